//! The site's file: it is refused with a line that is in it, or it says what an independent reader of TOML finds, and
//! gives dockerd values of the types that it reads.
//!
//! Input: the file.

use std::path::Path;

use seaworthy::catalog::Benchmark;
use seaworthy::facts::keys::{self, Shape};
use seaworthy::plan::edit::daemon_json;
use seaworthy::policy::Policy;
use serde_json::{Value, json};

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let policy = match Policy::parse(text, Path::new("/x.toml")) {
        Ok(policy) => policy,
        Err(failure) => {
            let line = failure.message.strip_prefix("/x.toml:").and_then(|rest| rest.split(':').next()?.parse().ok());
            let lines = text.split('\n').count();
            assert!(line.is_some_and(|line: usize| (1..=lines).contains(&line)), "{} of {text:?}", failure.message);
            return;
        }
    };
    assert!(policy.subjects.is_empty(), "subjects come from the command line alone");
    let document: toml_edit::DocumentMut = text.parse().expect("what was read is TOML");
    let item = |key: &str| document.get(key).and_then(|item| item.as_str());
    assert_eq!(policy.profile.as_deref(), item("profile"));
    assert_eq!(policy.benchmark.map(Benchmark::version), item("benchmark"));
    let known = ["profile", "benchmark", "trusted-docker-users", "values"];
    assert!(document.iter().all(|(key, _)| known.contains(&key)), "a key that is not known went through: {text:?}");
    for key in keys::KEYS {
        let Some(value) = policy.value(key.name) else { continue };
        let fits = match (key.shape, &value) {
            (Shape::Text, Value::String(_)) | (Shape::Map, Value::Object(_)) => true,
            (Shape::List, Value::Array(all)) => all.iter().all(Value::is_string),
            _ => false,
        };
        assert!(fits, "{} = {value}", key.name);
        assert!(document.get("values").and_then(|values| values.get(key.name)).is_some(), "{} = {value}", key.name);
        // What the site wants can be written, unless two names in it differ in case alone.
        if let Ok(written) = daemon_json::set("{}", key.name, &value) {
            assert_eq!(daemon_json::read(&written).expect("was read again")[key.name], value);
        } else {
            assert!(daemon_json::read(&json!({ key.name: value }).to_string()).is_err(), "{} = {value}", key.name);
        }
    }
}
