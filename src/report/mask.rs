//! Takes secrets out of a recording before it leaves the host.

use serde_json::Value;

use crate::host::Recording;
use crate::plan::diff;

const MASK: &str = "********";
/// Commands of containers and images: no check reads them, and people write secrets into them.
const COMMANDS: &[&str] = &["Cmd", "Args", "Command", "OnBuild"];
/// The words of a docker client's command line that tell a build from other work.
const BUILD_WORDS: &[&str] = &["build", "bake", "--build", "run", "exec", "create"];

/// Values of environment variables, credentials in addresses, commands, and what a file holds under a name that means
/// a secret.
pub fn recording(mut recording: Recording) -> Recording {
    for (path, node) in &mut recording.files {
        if let Some(text) = &mut node.content {
            *text = file(path, text);
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

fn file(path: &str, text: &str) -> String {
    // A container as the stopped daemon keeps it is what its API answers else.
    if path.ends_with("/config.v2.json")
        && let Ok(mut value) = serde_json::from_str(text)
    {
        mask(&mut value, "");
        return value.to_string();
    }
    if path.starts_with("/proc/") && path.ends_with("/cmdline") { command_line(text) } else { diff::masked(text) }
}

/// A process's command line. Of a client's and a runtime's, which can carry any container's variables, no more than
/// its program and what tells a build.
fn command_line(text: &str) -> String {
    let program = text.split('\0').next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    let daemon = ["dockerd", "docker-proxy", "containerd"].contains(&name);
    let known = |word: &str| word.is_empty() || BUILD_WORDS.contains(&word) || word.contains("/buildkit/executor");
    let word = |(at, word): (usize, &str)| {
        if at == 0 || known(word) {
            word.to_owned()
        } else if daemon {
            diff::masked(word)
        } else {
            MASK.to_owned()
        }
    };
    text.split('\0').enumerate().map(word).collect::<Vec<_>>().join("\0")
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
        Value::Array(all) => {
            let mut flag = String::new();
            for entry in all.iter_mut() {
                // Behind `--password` stands one.
                let behind = std::mem::replace(&mut flag, entry.as_str().unwrap_or_default().to_owned());
                let named = behind.strip_prefix("--").filter(|flag| !flag.contains('='));
                mask(entry, named.unwrap_or(name));
            }
        }
        Value::String(text) if COMMANDS.contains(&name) && !text.is_empty() => MASK.clone_into(text),
        Value::String(text) if diff::is_secret_value(name, text) => MASK.clone_into(text),
        Value::String(text) => *text = diff::masked(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_a_container_tells_a_secret() {
        let mut value = json!({
            "Path": "/bin/sh", "Args": ["-c", "x hunter2"], "Name": "/web",
            "Config": {
                "Env": ["PLAIN=hunter2"], "Cmd": ["hunter2"], "Entrypoint": ["/x", "--password", "hunter2", "--user", "me"],
                "Healthcheck": { "Test": ["CMD", "check", "--token=hunter2", "http://u:hunter2@x/"] },
                "Labels": { "api.token": "hunter2", "note": "password: hunter2", "tier": "front" },
            },
            "HostConfig": { "LogConfig": { "Config": { "splunk-token": "hunter2" } }, "Binds": ["/srv:/data:ro"] },
        });
        let whole = value.to_string();
        mask(&mut value, "");
        let text = value.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        for kept in ["/bin/sh", "/web", "me", "front", "/srv:/data:ro", "PLAIN=", "check"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert!(!file("/var/lib/docker/containers/ab/config.v2.json", &whole).contains("hunter2"));
    }

    #[test]
    fn command_lines_keep_what_is_read() {
        let client = "docker\0run\0-e\0PLAIN=hunter2\0busybox\0build\0";
        assert_eq!(command_line(client), format!("docker\0run\0{MASK}\0{MASK}\0{MASK}\0build\0"));
        let daemon = "/usr/sbin/dockerd\0-H\0fd://\0--http-proxy=http://u:hunter2@p\0--icc=false\0";
        let shown = command_line(daemon);
        assert!(!shown.contains("hunter2") && shown.ends_with("\0--icc=false\0"), "{shown:?}");
        let proxy =
            ["/usr/sbin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "80", ""].join("\0");
        assert_eq!(command_line(&proxy), proxy);
    }
}
