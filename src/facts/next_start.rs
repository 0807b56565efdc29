//! Whether dockerd would come back after a restart, as far as its configuration decides.

use serde_json::{Map, Value};

use super::daemon_json;
use super::keys;
use super::model::{Config, Daemon};
use super::settings::Origin;

impl Daemon {
    /// Why the next start of dockerd fails, with file and line; `None` when nothing speaks against it or the
    /// configuration could not be read.
    pub fn next_start_fails(&self) -> Option<String> {
        let path = self.config_path.display();
        match &self.config {
            Config::Missing | Config::Unreadable(_) => None,
            Config::Invalid { line, message } => Some(format!("{path}:{line}: {message}")),
            Config::Valid { value, .. } => self.conflict(value).or_else(|| self.unknown_key(value)),
        }
    }

    /// dockerd refuses a key that is also a flag, even with the same value.
    fn conflict(&self, value: &Map<String, Value>) -> Option<String> {
        let set = keys::KEYS.iter().filter(|key| value.contains_key(key.name));
        let (key, place) = set.map(|key| (key.name, self.setting(key.name))).find_map(|(name, setting)| {
            let Origin::Flag(place) = setting.origin else { return None };
            setting.conflict.then_some((name, place))
        })?;
        let flag = format!("{}:{}", place.file.display(), place.line);
        Some(format!("{}: `{key}` is also set by a flag in {flag}", self.place_of(key)))
    }

    /// dockerd refuses keys that it does not know. A running daemon that has read this very file knows them all.
    fn unknown_key(&self, value: &Map<String, Value>) -> Option<String> {
        if !matches!(self.running, Ok(None)) && !self.changed_since_start() {
            return None;
        }
        let known = |name: &str| daemon_json::KEYS.contains(&name);
        // dockerd looks into an object that it does not know before it compares the names: an empty one goes through.
        let refused = |(name, value): &(&String, &Value)| match value {
            _ if known(name) => false,
            Value::Object(inner) => !inner.keys().all(|name| known(name)),
            _ => true,
        };
        let (key, _) = value.iter().find(refused)?;
        Some(format!("{}: `{key}` is no key that dockerd knows", self.place_of(key)))
    }

    fn place_of(&self, key: &str) -> String {
        let path = self.config_path.display();
        self.config.line_of(key).map_or(path.to_string(), |line| format!("{path}:{line}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{argument, config, facts};
    use super::*;

    fn daemon(value: &Value) -> Daemon {
        Daemon { config: config(value), config_mtime: Some(0), ..facts().daemon }
    }

    #[test]
    fn a_file_that_cannot_be_read_as_json_stops_the_next_start() {
        let config = Config::Invalid { line: 3, message: "trailing comma".into() };
        let broken = Daemon { config, ..facts().daemon };
        assert_eq!(broken.next_start_fails().as_deref(), Some("/etc/docker/daemon.json:3: trailing comma"));
        assert_eq!(facts().daemon.next_start_fails(), None);
    }

    #[test]
    fn a_key_that_is_also_a_flag_stops_the_next_start() {
        let mut daemon = daemon(&json!({"icc": false}));
        assert_eq!(daemon.next_start_fails(), None);
        daemon.next_argv.as_mut().unwrap().push(argument("--icc=false", false));
        let why = "/etc/docker/daemon.json:1: `icc` is also set by a flag in /etc/default/docker:13";
        assert_eq!(daemon.next_start_fails().as_deref(), Some(why));
    }

    #[test]
    fn an_unknown_key_stops_the_next_start_unless_the_running_daemon_took_it() {
        let mut daemon = daemon(&json!({"icc": false, "live-restor": true}));
        assert_eq!(daemon.next_start_fails(), None);
        daemon.config_mtime = Some(1000);
        let why = "/etc/docker/daemon.json:1: `live-restor` is no key that dockerd knows";
        assert_eq!(daemon.next_start_fails().as_deref(), Some(why));
        daemon.config_mtime = Some(0);
        daemon.running = Ok(None);
        assert_eq!(daemon.next_start_fails().as_deref(), Some(why));
    }

    #[test]
    fn of_an_unknown_object_only_the_names_within_count() {
        let stopped = |value| Daemon { running: Ok(None), ..daemon(&value) };
        assert_eq!(stopped(json!({"more": {"icc": true}})).next_start_fails(), None);
        assert!(stopped(json!({"more": {"other": true}})).next_start_fails().is_some());
    }
}
