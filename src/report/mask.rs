//! Takes secrets out of a recording before it leaves the host.

use std::path::PathBuf;

use serde_json::Value;

use crate::facts::{Container, images};
use crate::host::{RecordedHost, Recording, path};
use crate::plan::diff;

const MASK: &str = "********";
/// Commands of containers and images: no check reads them, and people write secrets into them.
const COMMANDS: &[&str] = &["Cmd", "Args", "Command", "OnBuild"];
/// What the tokens of a swarm begin with.
const JOIN_TOKEN: &str = "SWMTKN-";
/// Names in a swarm's answers whose values make whoever knows them a node or its root.
const JOINS: &[&str] = &["JoinToken", "JoinTokens", "UnlockKey", "SigningCAKey"];
/// The words of a docker client's command line that tell a build from other work.
const BUILD_WORDS: &[&str] = &["build", "bake", "--build", "run", "exec", "create"];

/// Values of environment variables and build arguments, credentials in addresses, commands, what lets a node join a
/// swarm, and what a file holds under a name that means a secret.
pub fn recording(mut recording: Recording) -> Recording {
    for file in compose_files(&recording) {
        if let Some(node) = recording.files.get_mut(&file) {
            node.content = None;
        }
    }
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

/// The compose files that containers come from: variables stand in them under any name, in commands and arguments too, so
/// that they are not recorded. Where they really are, links followed.
fn compose_files(recording: &Recording) -> Vec<String> {
    let origin = |value: &Value| Container::read(value)?.compose;
    let named = recording.engine.values().flatten().filter_map(origin).flat_map(|origin| origin.config_files);
    let host = RecordedHost::new(recording.clone());
    let mut files: Vec<PathBuf> = named.collect();
    files.extend(files.clone().iter().filter_map(|file| path::resolve(&host, file).ok()));
    files.iter().map(|file| file.to_string_lossy().into_owned()).collect()
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
        Value::Object(map) => {
            map.iter_mut().for_each(|(key, value)| mask(value, if name == "JoinTokens" { name } else { key }));
        }
        Value::Array(all) if name == "Env" => {
            for entry in all.iter_mut() {
                let named = entry.as_str().and_then(|text| text.split_once('='));
                // That there is nothing is no secret, and counts.
                if let Some((key, _)) = named.filter(|(_, value)| !value.is_empty()) {
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
        Value::String(text) if name == "CreatedBy" => *text = images::masked(text),
        Value::String(text) if text.contains(JOIN_TOKEN) || JOINS.contains(&name) => MASK.clone_into(text),
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
    fn nothing_of_an_image_or_a_swarm_tells_a_secret() {
        let mut value = json!([
            {"CreatedBy": "|1 TOKEN=hunter2 /bin/sh -c apt-get update && login hunter2", "Comment": "token: hunter2"},
            {"Config": {"Env": ["PASSWORD=hunter2", "EMPTY="], "Cmd": ["hunter2"]}, "RepoTags": ["web:1"]},
            {"JoinTokens": {"Worker": "SWMTKN-1-hunter2", "Manager": "hunter2"}, "ID": "abc", "UnlockKey": "SWMKEY-1-hunter2",
                "Spec": {"CAConfig": {"SigningCAKey": "hunter2", "NodeCertExpiry": 7}}},
            {"Spec": {"Name": "db_password", "TaskTemplate": {"ContainerSpec": {"Env": ["A=hunter2"], "Args": ["hunter2"]}}}},
            {"note": "docker swarm join --token SWMTKN-1-hunter2"},
        ]);
        mask(&mut value, "");
        let text = value.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        for kept in ["TOKEN=", "apt-get update", "EMPTY=\"", "web:1", "abc", "NodeCertExpiry\":7", "db_password"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
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
