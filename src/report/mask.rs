//! Takes secrets out of a recording before it leaves the host.

use serde_json::Value;

use crate::host::Recording;
use crate::plan::diff;

const MASK: &str = "********";

/// Values of environment variables, credentials in addresses, and what a file holds under a name that means a secret.
pub fn recording(mut recording: Recording) -> Recording {
    for node in recording.files.values_mut() {
        if let Some(text) = &mut node.content {
            *text = diff::masked(text);
        }
    }
    for answer in recording.answers.values_mut().flatten() {
        answer.stdout = diff::masked(&answer.stdout);
    }
    for value in recording.engine.values_mut().flatten() {
        mask(value, "");
    }
    recording
}

fn mask(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| mask(value, key)),
        Value::Array(all) if name == "Env" => {
            for entry in all.iter_mut() {
                if let Some((key, _)) = entry.as_str().and_then(|text| text.split_once('=')) {
                    *entry = Value::String(format!("{key}={MASK}"));
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|value| mask(value, name)),
        Value::String(text) if diff::is_secret_value(name, text) => MASK.clone_into(text),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
