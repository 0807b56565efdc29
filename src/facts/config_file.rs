//! daemon.json as a fact.

use std::path::Path;

use serde_json::{Map, Value};

use super::daemon_json;
use super::keys::{self, Shape};
use super::model::Config;
use crate::host::{Host, path};

/// Reads the file; what dockerd would refuse is a fact too.
pub fn load(host: &dyn Host, file: &Path) -> Config {
    let text = match host.read(file).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return Config::Invalid { line: path::not_utf8(&error), message: "not UTF-8".into() },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Config::Missing,
        Err(error) => return Config::Unreadable(error.to_string()),
    };
    match daemon_json::read(&text) {
        Ok(value) => match wrong_type(&value) {
            Some((key, wanted)) => {
                let line = daemon_json::line_of(&text, key).unwrap_or(0);
                Config::Invalid { line, message: format!("`{key}` has to be {wanted}") }
            }
            None => Config::Valid { text, value },
        },
        Err(error) => Config::Invalid { line: error.line, message: error.message },
    }
}

/// A key whose value has another type than dockerd reads: fatal since 23.0, tolerated in part before.
fn wrong_type(value: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
    let wrong = |key: &&keys::Key| {
        let fits = |value: &Value| match key.shape {
            Shape::Bool => value.is_boolean(),
            Shape::Text => value.is_string(),
            Shape::List => value.is_array(),
            Shape::Map => value.is_object(),
        };
        value.get(key.name).is_some_and(|value| !fits(value))
    };
    let words = |shape: Shape| match shape {
        Shape::Bool => "true or false",
        Shape::Text => "a string",
        Shape::List => "a list",
        Shape::Map => "an object",
    };
    keys::KEYS.iter().find(wrong).map(|key| (key.name, words(key.shape)))
}

impl Config {
    /// The line in which a key is set, from 1.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        match self {
            Self::Valid { text, .. } => daemon_json::line_of(text, key),
            Self::Missing | Self::Invalid { .. } | Self::Unreadable(_) => None,
        }
    }
}
