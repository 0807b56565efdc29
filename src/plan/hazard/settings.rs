//! How the daemon's settings will stand at its next start: flags, else daemon.json. dockerd refuses a key in both.

use serde_json::Value;

use crate::facts::{Argument, Config, Facts, Known, Unknown};

/// Flags whose name is not `--KEY`: dockerd names lists in the singular.
const FLAGS: [(&str, &[&str]); 15] = [
    ("authorization-plugins", &["--authorization-plugin"]),
    ("data-root", &["--data-root", "--graph", "-g"]),
    ("debug", &["--debug", "-D"]),
    ("default-ulimits", &["--default-ulimit"]),
    ("dns-opts", &["--dns-opt"]),
    ("exec-opts", &["--exec-opt"]),
    ("features", &["--feature"]),
    ("group", &["--group", "-G"]),
    ("hosts", &["--host", "-H"]),
    ("insecure-registries", &["--insecure-registry"]),
    ("labels", &["--label"]),
    ("log-level", &["--log-level", "-l"]),
    ("log-opts", &["--log-opt"]),
    ("registry-mirrors", &["--registry-mirror"]),
    ("storage-opts", &["--storage-opt"]),
];

/// The arguments that give a setting as a flag, each with its value; a flag without one is `true`.
pub(super) fn flags<'a>(facts: &'a Facts, key: &str) -> Known<Vec<(&'a Argument, String)>> {
    let arguments = facts.daemon.next_argv.as_ref().map_err(Clone::clone)?;
    let own = format!("--{key}");
    let names = FLAGS.iter().find(|(name, _)| *name == key).map_or_else(|| vec![own.as_str()], |(_, n)| n.to_vec());
    let mut found = Vec::new();
    for (at, argument) in arguments.iter().enumerate().skip(1) {
        let (name, value) = match argument.text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.text.as_str(), None),
        };
        if names.contains(&name) {
            let next = arguments.get(at + 1).map(|next| next.text.as_str()).filter(|next| !next.starts_with('-'));
            // A Boolean flag takes its value only behind `=`; then the next word is no value, and there is none.
            found.push((argument, value.or(next).unwrap_or("true").to_owned()));
        }
    }
    Ok(found)
}

/// A key of daemon.json.
pub(super) fn filed<'a>(facts: &'a Facts, key: &str) -> Known<Option<&'a Value>> {
    match &facts.daemon.config {
        Config::Missing => Ok(None),
        Config::Valid { value, .. } => Ok(value.get(key)),
        Config::Invalid { message, .. } => Err(Unknown(format!("daemon.json: {message}"))),
        Config::Unreadable(why) => Err(Unknown(format!("daemon.json: {why}"))),
    }
}

/// A Boolean setting as the next start will have it.
pub(super) fn boolean(facts: &Facts, key: &str, default: bool) -> Known<bool> {
    if let Some((_, value)) = flags(facts, key)?.last() {
        // As Go's ParseBool; dockerd does not start with anything else.
        return Ok(!["false", "0", "f", "F", "FALSE", "False"].contains(&value.as_str()));
    }
    Ok(filed(facts, key)?.and_then(Value::as_bool).unwrap_or(default))
}

/// A list of texts as the next start will have it.
pub(super) fn list(facts: &Facts, key: &str) -> Known<Vec<String>> {
    let mut all: Vec<String> = flags(facts, key)?.into_iter().map(|(_, value)| value).collect();
    all.extend(filed(facts, key)?.into_iter().flat_map(texts));
    Ok(all)
}

/// The texts in a JSON list.
pub(super) fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
