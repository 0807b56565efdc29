//! daemon.json as a fact.

use std::path::Path;

use super::daemon_json;
use super::model::Config;
use crate::host::{Host, path};

/// Reads the file; what dockerd would refuse is a fact too.
pub fn load(host: &dyn Host, file: &Path) -> Config {
    let text = match path::read_text(host, file) {
        Ok(text) => text,
        Err(error) => {
            return match error.kind() {
                std::io::ErrorKind::NotFound => Config::Missing,
                std::io::ErrorKind::InvalidData => Config::Invalid { line: 0, message: error.to_string() },
                _ => Config::Unreadable(error.to_string()),
            };
        }
    };
    match daemon_json::read(&text) {
        Ok(value) => Config::Valid { text, value },
        Err(error) => Config::Invalid { line: error.line, message: error.message },
    }
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
