//! The effective value of a daemon setting: what the next start will use, and what is in force now.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Shape};
use super::model::{Argument, Config, Daemon, Known, Place, Unknown};

/// Where the next start takes a value from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody sets it.
    Default,
    /// daemon.json.
    File,
    /// A flag of the unit; the place of its last occurrence.
    Flag(Place),
}

/// A setting of the daemon.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What the next start will use.
    pub next: Known<Value>,
    /// Where that comes from.
    pub origin: Origin,
    /// Set by a flag and in daemon.json: the next start fails, whatever the values.
    pub conflict: bool,
    /// What the running daemon uses; `None` when none runs.
    pub in_force: Known<Option<Value>>,
    /// Where `in_force` was read.
    pub in_force_source: &'static str,
}

impl Daemon {
    /// The effective value of a key of daemon.json.
    pub fn setting(&self, name: &str) -> Setting {
        let fallback = Key { name: "", flags: &[], shape: Shape::Text, reload: false };
        let key = keys::find(name).copied().unwrap_or(fallback);
        let in_file = match &self.config {
            Config::Missing => Ok(None),
            Config::Valid { value, .. } => Ok(value.get(name).cloned()),
            Config::Invalid { line, message } => {
                Err(Unknown(format!("{}:{line}: {message}", self.config_path.display())))
            }
            Config::Unreadable(why) => Err(Unknown(format!("{}: {why}", self.config_path.display()))),
        };
        let flag = self.next_argv.as_ref().map(|argv| flag_value(argv, &key)).map_err(Clone::clone);
        let (next, origin, conflict) = match (flag, in_file) {
            (Err(why), _) | (Ok(None), Err(why)) => (Err(why), Origin::Default, false),
            (Ok(Some((value, place))), file) => {
                let both = matches!(file, Ok(Some(_)));
                (file.map(|_| value), Origin::Flag(place), both)
            }
            (Ok(None), Ok(Some(value))) => (Ok(value), Origin::File, false),
            (Ok(None), Ok(None)) => (Ok(keys::default(name)), Origin::Default, false),
        };
        let (in_force, in_force_source) = self.in_force(name, &key, next.as_ref().ok());
        Setting { next, origin, conflict, in_force, in_force_source }
    }

    /// Whether daemon.json was changed after the running daemon started. One second of tolerance: the start time is
    /// counted in ticks since a boot time that the kernel rounds.
    pub fn changed_since_start(&self) -> bool {
        match (&self.running, self.config_mtime) {
            (Ok(Some(running)), Some(mtime)) => mtime > running.started + 1,
            _ => false,
        }
    }

    fn in_force(&self, name: &str, key: &Key, next: Option<&Value>) -> (Known<Option<Value>>, &'static str) {
        let running = match &self.running {
            Ok(Some(running)) => running,
            Ok(None) => return (Ok(None), "docker.service is not running"),
            Err(why) => return (Err(why.clone()), "docker.service"),
        };
        if let Some((answer, source)) = self.shown_by_api(name) {
            return (answer.map(Some), source);
        }
        let argv: Vec<_> = running.argv.iter().map(|text| Argument { text: text.clone(), place: nowhere() }).collect();
        if let Some((value, _)) = flag_value(&argv, key) {
            return (Ok(Some(value)), "flag of the running daemon");
        }
        if self.changed_since_start() {
            return (Err(Unknown("daemon.json changed after the daemon started".into())), "start time of the daemon");
        }
        // The file is as it was when the daemon read it, so a value from there or the default is in force; a flag that
        // the running daemon lacks is not.
        let flagged = self.next_argv.as_ref().is_ok_and(|argv| flag_value(argv, key).is_some());
        let value = if flagged { keys::default(name) } else { next.cloned().unwrap_or(Value::Null) };
        (Ok(Some(value)), "daemon.json, unchanged since the daemon started")
    }

    /// What the Engine API says about a key, for those that it shows.
    fn shown_by_api(&self, name: &str) -> Option<(Known<Value>, &'static str)> {
        let info = |f: &dyn Fn(&Value) -> Value| self.info.as_ref().map(f).map_err(Clone::clone);
        let answer = match name {
            "icc" => {
                let value = self.bridge.as_ref().map_err(Clone::clone).and_then(|bridge| {
                    let text = bridge["Options"]["com.docker.network.bridge.enable_icc"].as_str();
                    text.map(|t| json!(t == "true")).ok_or_else(|| Unknown("the bridge network names no icc".into()))
                });
                (value, "API /networks/bridge Options enable_icc")
            }
            "live-restore" => (info(&|i| i["LiveRestoreEnabled"].clone()), "API /info LiveRestoreEnabled"),
            "debug" => (info(&|i| i["Debug"].clone()), "API /info Debug"),
            "log-driver" => (info(&|i| i["LoggingDriver"].clone()), "API /info LoggingDriver"),
            "experimental" => (info(&|i| i["ExperimentalBuild"].clone()), "API /info ExperimentalBuild"),
            "authorization-plugins" => {
                (info(&|i| list_or_empty(&i["Plugins"]["Authorization"])), "API /info Plugins.Authorization")
            }
            "userns-remap" => (
                info(&|i| json!(if has_option(i, "userns") { "in force" } else { "" })),
                "API /info SecurityOptions name=userns",
            ),
            // Shown since 24.0 only; before that the file or flag at start decides.
            "no-new-privileges" if self.version.as_ref().is_some_and(|v| v.numbers[0] >= 24) => {
                (info(&|i| json!(has_option(i, "no-new-privileges"))), "API /info SecurityOptions no-new-privileges")
            }
            "seccomp-profile" => (info(&seccomp), "API /info SecurityOptions name=seccomp"),
            _ => return None,
        };
        Some(answer)
    }
}

/// Whether `/info` `SecurityOptions` has `name=NAME`.
pub fn has_option(info: &Value, name: &str) -> bool {
    let wanted = format!("name={name}");
    let options = info["SecurityOptions"].as_array();
    options.is_some_and(|all| {
        all.iter().filter_map(Value::as_str).any(|o| o == wanted || o.starts_with(&format!("{wanted},")))
    })
}

/// The seccomp profile in force: `builtin` (named `default` before 23.0), `unconfined`, or a path.
fn seccomp(info: &Value) -> Value {
    let options = info["SecurityOptions"].as_array().cloned().unwrap_or_default();
    let profile = options.iter().filter_map(Value::as_str).find_map(|o| o.strip_prefix("name=seccomp,profile="));
    match profile {
        Some("default" | "builtin") => json!("builtin"),
        Some(other) => json!(other),
        None => json!("unconfined"),
    }
}

fn list_or_empty(value: &Value) -> Value {
    if value.is_null() { json!([]) } else { value.clone() }
}

fn nowhere() -> Place {
    Place { file: Path::new("/proc").to_path_buf(), line: 0, variable: None, vendor: true }
}

/// The value that the flags of a command line give to a key, and the place of the last one. Pflag's rules: a bool may
/// stand bare, everything else takes `=VALUE` or the next argument.
pub(super) fn flag_value(argv: &[Argument], key: &Key) -> Option<(Value, Place)> {
    let mut found: Vec<(String, Place)> = Vec::new();
    let mut rest = argv.iter().skip(1);
    while let Some(argument) = rest.next() {
        let (name, attached) = match argument.text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.text.as_str(), None),
        };
        let glued = (name.len() > 2 && !name.starts_with("--")).then(|| name.split_at_checked(2)).flatten();
        let (name, attached) = match glued {
            Some((short, value)) if key.flags.contains(&short) && short.starts_with('-') => {
                let value = attached.map_or(value.to_owned(), |more| format!("{value}={more}"));
                (short, Some(value))
            }
            _ => (name, attached),
        };
        if key.flags.contains(&name) {
            let value = match (attached, key.shape) {
                (Some(value), _) => value,
                (None, Shape::Bool) => "true".into(),
                (None, _) => rest.next().map(|a| a.text.clone())?,
            };
            found.push((value, argument.place.clone()));
        } else if attached.is_none() && takes_value(name) {
            rest.next();
        }
    }
    let place = found.last()?.1.clone();
    let mut values = found.into_iter().map(|(value, _)| value);
    let value = match key.shape {
        Shape::Bool => json!(matches!(values.next_back()?.as_str(), "true" | "1" | "t" | "T" | "TRUE" | "True")),
        Shape::Text => json!(values.next_back()?),
        Shape::List => json!(values.collect::<Vec<_>>()),
        Shape::Map => {
            let pairs = values.map(|v| match v.split_once('=') {
                Some((name, value)) => (name.to_owned(), json!(value)),
                None => (v, Value::Null),
            });
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    };
    Some((value, place))
}

fn takes_value(flag: &str) -> bool {
    keys::KEYS.iter().any(|k| k.flags.contains(&flag) && k.shape != Shape::Bool)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<Argument> {
        words.iter().map(|w| Argument { text: (*w).into(), place: nowhere() }).collect()
    }

    fn value(name: &str, words: &[&str]) -> Option<Value> {
        flag_value(&argv(words), keys::find(name).expect("key")).map(|(v, _)| v)
    }

    #[test]
    fn a_flag_with_value_false_is_false() {
        assert_eq!(value("icc", &["dockerd", "--icc=false"]), Some(json!(false)));
        assert_eq!(value("no-new-privileges", &["dockerd", "--no-new-privileges=false"]), Some(json!(false)));
        assert_eq!(value("live-restore", &["dockerd", "--live-restore"]), Some(json!(true)));
    }

    #[test]
    fn the_space_form_and_the_short_form_are_read() {
        assert_eq!(value("log-level", &["dockerd", "--log-level", "debug"]), Some(json!("debug")));
        assert_eq!(value("log-level", &["dockerd", "-l=debug"]), Some(json!("debug")));
        assert_eq!(value("hosts", &["dockerd", "-H", "fd://", "-Htcp://x:1"]), Some(json!(["fd://", "tcp://x:1"])));
    }

    #[test]
    fn the_value_of_another_flag_is_not_a_flag() {
        assert_eq!(value("debug", &["dockerd", "--data-root", "-D"]), None);
    }

    #[test]
    fn the_last_one_wins() {
        assert_eq!(value("icc", &["dockerd", "--icc=false", "--icc"]), Some(json!(true)));
    }
}
