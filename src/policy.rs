//! The site's file, `/etc/seaworthy/config.toml`: which checks, and the values that only the site can know.

mod compose;
mod containers;
mod registries;
mod swarm;
mod waivers;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::Benchmark;
use crate::error::{Failure, Result};
use crate::host::{Host, local, path};

pub use compose::{ComposeServices, ComposeValues};
pub use containers::{CPU_PERIOD, ContainerValues, Containers};
pub use registries::{Registries, Registry, registry_of};
pub use swarm::SwarmValues;
pub use waivers::{WAIVERS, Waiver, Waivers, parse_date, waived};

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
    /// Registries that images may come from; none: nothing is said about that.
    pub registries: Registries,
    /// Values for settings that have no right one for everybody.
    pub values: Values,
    /// Fails that somebody took on.
    #[serde(skip)]
    pub waivers: Waivers,
    /// `--subject`: only findings on subjects that match one of these patterns; all when empty.
    #[serde(skip)]
    pub subjects: Vec<String>,
}

/// Values for keys of daemon.json, for containers and for the swarm.
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
    /// `containers`: what each may take of the host.
    pub containers: Containers,
    /// `compose`: what the services of compose files get.
    pub compose: ComposeServices,
    /// `swarm`: what this host's swarm is to be like.
    pub swarm: SwarmValues,
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
    /// Reads the host's file, where a missing one is the default; or the one that was named on the command line. That
    /// one is the caller's: it lies here, also when the host is a recording or the tree below `--root`.
    ///
    /// # Errors
    /// With file and line, and the key that was probably meant.
    pub fn load(host: &dyn Host, named: Option<&Path>) -> Result<Self> {
        let path = named.unwrap_or(Path::new(CONFIG));
        let mut policy = match text(host, path, named.is_some())? {
            Some(text) => Self::parse(&text, path)?,
            None if named.is_none() => Self::default(),
            None => return Err(unread(path, &nix::errno::Errno::ENOENT.into())),
        };
        let beside = path.with_file_name(WAIVERS);
        if let Some(text) = text(host, &beside, named.is_some())? {
            policy.waivers = Waivers::parse(&text, &beside)?;
        }
        Ok(policy)
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
        let Values {
            log_driver,
            log_opts,
            default_ulimits,
            authorization_plugins,
            containers: _,
            compose: _,
            swarm: _,
        } = &self.values;
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

/// Reads a file of the site's, the host's or (`here`) the caller's; `None`: there is none.
///
/// # Errors
/// It cannot be read, or others can write it.
pub fn text(host: &dyn Host, path: &Path, here: bool) -> Result<Option<String>> {
    let text = match (here, host.euid()) {
        (true, 0) => local::read_own(path, local::sudo_user().map(|(uid, _)| uid)),
        (true, _) => local::read(path).map(Some),
        (false, _) => read_own(host, path),
    };
    match text {
        Ok(Some(text)) => Ok(Some(text)),
        Ok(None) => Err(Failure::refused(format!("{} or its folder {}", path.display(), local::FOREIGN))
            .host("unchanged")
            .hint(format!("look at `ls -ld {}` and at its folder", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unread(path, &error)),
    }
}

fn unread(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be read", path.display())).because(error).host("unchanged")
}

/// The host's file decides what root writes. `None`: somebody else may have written it, or can put another in its place.
fn read_own(host: &dyn Host, file: &Path) -> io::Result<Option<String>> {
    let real = path::resolve(host, file)?;
    for at in real.parent().into_iter().chain([real.as_path()]) {
        let stat = host.stat(at)?;
        if ![0, host.euid()].contains(&stat.uid) || stat.mode & 0o022 != 0 {
            return Ok(None);
        }
    }
    let text = String::from_utf8(host.read(&real)?);
    text.map(Some).map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8 text"))
}

fn explain(error: &toml_edit::de::Error, text: &str, path: &Path) -> Failure {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
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
mod tests;
