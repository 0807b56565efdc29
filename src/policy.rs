//! The site's file, `/etc/seaworthy/config.toml`: which checks, and the values that only the site can know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Failure, Result};
use crate::host::Host;

/// Where the file is unless `--config` says otherwise.
pub const CONFIG: &str = "/etc/seaworthy/config.toml";

/// What the site decided. Every field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// The profile where `--profile` is not given.
    pub profile: Option<String>,
    /// The benchmark where `--benchmark` is not given.
    pub benchmark: Option<Benchmark>,
    /// Names that may be in the group docker.
    pub trusted_docker_users: Vec<String>,
    /// Values for settings that have no right one for everybody.
    pub values: Values,
}

/// A version of the CIS Docker benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Benchmark {
    /// 1.6.0
    #[serde(rename = "1.6.0")]
    V160,
    /// 1.7.0
    #[serde(rename = "1.7.0")]
    V170,
    /// 1.8.0
    #[serde(rename = "1.8.0")]
    V180,
}

impl Benchmark {
    /// As it is written: `1.8.0`.
    pub fn version(self) -> &'static str {
        match self {
            Self::V160 => "1.6.0",
            Self::V170 => "1.7.0",
            Self::V180 => "1.8.0",
        }
    }
}

/// Values for keys of daemon.json.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Values {
    /// `log-driver`: a driver that sends logs away from this host.
    pub log_driver: Option<String>,
    /// `log-opts` of that driver; dockerd takes texts only.
    pub log_opts: BTreeMap<String, String>,
    /// `default-ulimits` by name.
    pub default_ulimits: BTreeMap<String, Ulimit>,
    /// `authorization-plugins`, asked in this order.
    pub authorization_plugins: Vec<String>,
}

/// A resource limit of processes in containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ulimit {
    /// What a process may raise its own limit to; -1 is unlimited.
    pub hard: i64,
    /// What it starts with.
    pub soft: i64,
}

impl Policy {
    /// Reads the file; a missing one is the default, unless it was named on the command line.
    ///
    /// # Errors
    /// With file and line, and the key that was probably meant.
    pub fn load(host: &dyn Host, named: Option<&Path>) -> Result<Self> {
        let path = named.map_or_else(|| PathBuf::from(CONFIG), Path::to_path_buf);
        let shown = path.display();
        let bytes = match host.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(Self::default()),
            Err(error) => return Err(Failure::new(format!("{shown} cannot be read")).because(error).host("unchanged")),
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::new(format!("{shown} is not UTF-8 text")).host("unchanged"))?;
        Self::parse(&text, &path)
    }

    /// Reads the file's text; `path` is for messages.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml_edit::de::from_str(text).map_err(|error| explain(&error, text, path))
    }

    /// The value for a key of daemon.json, in the form that dockerd reads; `None`: the site has not chosen one.
    pub fn value(&self, key: &str) -> Option<Value> {
        let Values { log_driver, log_opts, default_ulimits, authorization_plugins } = &self.values;
        match key {
            "log-driver" => log_driver.as_ref().map(|driver| json!(driver)),
            "log-opts" => (!log_opts.is_empty()).then(|| json!(log_opts)),
            "authorization-plugins" => (!authorization_plugins.is_empty()).then(|| json!(authorization_plugins)),
            "default-ulimits" => (!default_ulimits.is_empty()).then(|| {
                let limit = |(name, limit): (&String, &Ulimit)| {
                    (name.clone(), json!({ "Name": name, "Hard": limit.hard, "Soft": limit.soft }))
                };
                Value::Object(default_ulimits.iter().map(limit).collect())
            }),
            _ => None,
        }
    }
}

fn explain(error: &toml_edit::de::Error, text: &str, path: &Path) -> Failure {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let failure = Failure::new(format!("{}:{line}: {message}", path.display())).host("unchanged");
    match nearest(&message) {
        Some(key) => failure.hint(format!("write `{key}`")),
        None => failure,
    }
}

/// The key that was probably meant, from serde's "unknown field `a`, expected one of `b`, `c`".
fn nearest(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (Some(given), true) = (quoted.next(), message.starts_with("unknown ")) else { return None };
    let known: Vec<&str> = quoted.collect();
    similar::get_close_matches(given, &known, 1, 0.6).first().map(|key| (*key).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy> {
        Policy::parse(text, Path::new(CONFIG))
    }

    #[test]
    fn values_come_in_the_form_of_daemon_json() {
        let policy = parse(
            "profile = \"level-1\"\nbenchmark = \"1.6.0\"\ntrusted-docker-users = [\"deploy\"]\n\
             [values]\nlog-driver = \"syslog\"\nlog-opts = { syslog-address = \"udp://10.0.0.5:514\" }\n\
             authorization-plugins = [\"opa\"]\n[values.default-ulimits]\nnofile = { soft = 1024, hard = 4096 }\n",
        )
        .unwrap();
        assert_eq!(policy.profile.as_deref(), Some("level-1"));
        assert_eq!(policy.benchmark.map(Benchmark::version), Some("1.6.0"));
        assert_eq!(policy.trusted_docker_users, ["deploy"]);
        assert_eq!(policy.value("log-driver"), Some(json!("syslog")));
        assert_eq!(policy.value("log-opts"), Some(json!({"syslog-address": "udp://10.0.0.5:514"})));
        assert_eq!(policy.value("authorization-plugins"), Some(json!(["opa"])));
        assert_eq!(
            policy.value("default-ulimits"),
            Some(json!({"nofile": {"Name": "nofile", "Hard": 4096, "Soft": 1024}}))
        );
        assert_eq!(policy.value("icc"), None);
    }

    #[test]
    fn an_empty_file_is_the_default_and_chooses_nothing() {
        let policy = parse("# nothing yet\n").unwrap();
        assert_eq!(policy, Policy::default());
        assert_eq!(policy.value("log-driver"), None);
        assert_eq!(policy.value("default-ulimits"), None);
    }

    #[test]
    fn an_error_has_its_line_and_the_key_that_was_meant() {
        let failure = parse("# site\nprofle = \"lab\"\n").unwrap_err();
        assert!(failure.message.starts_with("/etc/seaworthy/config.toml:2: unknown field `profle`"), "{failure}");
        assert_eq!(failure.hint.as_deref(), Some("write `profile`"));
        let failure = parse("[values]\n\nlog_driver = \"syslog\"\n").unwrap_err();
        assert!(failure.message.starts_with("/etc/seaworthy/config.toml:3: "), "{failure}");
        assert_eq!(failure.hint.as_deref(), Some("write `log-driver`"));
    }

    #[test]
    fn wrong_types_and_versions_are_named() {
        let failure = parse("trusted-docker-users = \"deploy\"\n").unwrap_err();
        assert!(failure.message.contains(":1: invalid type"), "{failure}");
        assert_eq!(failure.hint, None);
        assert!(parse("benchmark = \"1.9.0\"\n").unwrap_err().message.contains("`1.8.0`"));
        assert!(parse("profile = \n").unwrap_err().message.starts_with("/etc/seaworthy/config.toml:1: "));
    }
}
