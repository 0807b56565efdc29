//! One service of a compose file, as text to text: only the lines of the edited key change.
//!
//! `yaml-edit` writes, and `granit-parser` reads before and after. What is not proven to say exactly what was meant is
//! refused: anchors that reach other services, merges, several documents, variables in the value itself.

mod decide;
mod limits;
mod lists;
mod mounts;
mod place;
mod ports;
mod prove;
mod step;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod write;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use tree::Node;

/// What is edited in a service. Made twice it is made once; where it is so already, the text stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServiceEdit {
    /// `no-new-privileges:true` in `security_opt`, instead of `:false` if that is there.
    NoNewPrivileges,
    /// Takes the option that switches a confinement off out of `security_opt`.
    Confine(Confinement),
    /// `ALL` in `cap_drop`.
    #[serde(rename_all = "kebab-case")]
    DropCapabilities {
        /// Capabilities that stay: in `cap_add`, beside those that are there. With or without `CAP_`.
        keep: Vec<String>,
    },
    /// Takes capabilities out of `cap_add`, written with or without `CAP_`.
    RemoveCapabilities(Vec<String>),
    /// `read_only: true`.
    #[serde(rename_all = "kebab-case")]
    ReadOnlyRoot {
        /// What stays writable, in `tmpfs`: absolute paths, with options behind a colon if need be. A path that a
        /// volume is mounted on is left out.
        tmpfs: Vec<String>,
    },
    /// `user`: `UID` or `UID:GID`.
    User(String),
    /// `pids_limit`, or `deploy.resources.limits.pids` where that is there.
    PidsLimit(u32),
    /// `mem_limit` in bytes, or `deploy.resources.limits.memory` where that is there.
    MemoryLimit(u64),
    /// `cpus`: how many processors it may use, or `deploy.resources.limits.cpus` where that is there.
    Cpus(f64),
    /// `cpu_shares`: weight against other containers; 1024 is everyone's.
    CpuShares(u32),
    /// `restart: on-failure:N`; fewer retries stay.
    RestartOnFailure(u32),
    /// Binds the ports that are published on all addresses to this one. In a port that is written as a mapping this is
    /// `host_ip`, which docker-compose 1 refuses and compose 2 takes.
    BindPorts(IpAddr),
    /// Makes the bind mount on this path of the container read-only.
    ReadOnlyMount(String),
    /// Makes the `shared` or `rshared` bind mount on this path of the container `rprivate`.
    PrivateMount(String),
    /// `healthcheck`, where there is none.
    Healthcheck(Healthcheck),
    /// Takes away a key that opens the host to the container.
    Remove(HostKey),
    /// Takes one of `devices` away, by its path on the host.
    RemoveDevice(String),
    /// These in `cap_drop`, unless `ALL` is there. With or without `CAP_`.
    DropThese(Vec<String>),
}

impl ServiceEdit {
    /// The keys of the service that it looks at: where compose merges several files, the one that has them is edited.
    pub fn keys(&self) -> &'static [&'static str] {
        match self {
            Self::NoNewPrivileges | Self::Confine(_) => &["security_opt"],
            Self::DropCapabilities { .. } => &["cap_drop", "cap_add"],
            Self::DropThese(_) => &["cap_drop"],
            Self::RemoveCapabilities(_) => &["cap_add"],
            Self::ReadOnlyRoot { .. } => &["read_only", "tmpfs"],
            Self::User(_) => &["user"],
            Self::PidsLimit(_) => &["pids_limit", "deploy"],
            Self::MemoryLimit(_) => &["mem_limit", "deploy"],
            Self::Cpus(_) => &["cpus", "deploy"],
            Self::CpuShares(_) => &["cpu_shares"],
            Self::RestartOnFailure(_) => &["restart"],
            Self::BindPorts(_) => &["ports"],
            Self::ReadOnlyMount(_) | Self::PrivateMount(_) => &["volumes"],
            Self::Healthcheck(_) => &["healthcheck"],
            Self::Remove(key) => key.names(),
            Self::RemoveDevice(_) => &["devices"],
        }
    }
}

/// What an option of `security_opt` can switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// `apparmor=unconfined`
    Apparmor,
    /// `seccomp=unconfined`
    Seccomp,
    /// `label=disable`
    Label,
}

/// A key of a service that opens the host to it. Other values than those named here stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKey {
    /// `privileged: true`
    Privileged,
    /// `network_mode: host`
    HostNetwork,
    /// `network_mode: bridge`: docker0, where all can reach each other.
    BridgeNetwork,
    /// `pid: host`
    Pid,
    /// `ipc: host`
    Ipc,
    /// `uts: host`
    Uts,
    /// `userns_mode: host`
    Userns,
    /// `cgroup_parent`, whatever it is.
    CgroupParent,
}

impl HostKey {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Privileged => &["privileged"],
            Self::HostNetwork | Self::BridgeNetwork => &["network_mode"],
            Self::Pid => &["pid"],
            Self::Ipc => &["ipc"],
            Self::Uts => &["uts"],
            Self::Userns => &["userns_mode"],
            Self::CgroupParent => &["cgroup_parent"],
        }
    }
}

/// How a container is asked whether it is well. Durations as compose writes them (`30s`, `1m30s`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Healthcheck {
    /// `["CMD", program, arguments…]` or `["CMD-SHELL", line]`, literally: a `$` is the container's.
    pub test: Vec<String>,
    /// Between two tests.
    #[serde(default)]
    pub interval: Option<String>,
    /// For one test.
    #[serde(default)]
    pub timeout: Option<String>,
    /// After the start, while a failure does not count.
    #[serde(default)]
    pub start_period: Option<String>,
    /// Failures in a row that make it unhealthy.
    #[serde(default)]
    pub retries: Option<u32>,
}

/// Why a compose file is not edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditError {
    /// Line, from 1; 0: none in particular.
    pub line: usize,
    /// What is wrong, without the line.
    pub message: String,
}

impl EditError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}: {}", self.message),
        }
    }
}

impl std::error::Error for EditError {}

/// Makes one edit of a service and returns the new text.
///
/// # Errors
/// The file is none that can be read in one way only, the service is not there or is made of something else as well
/// (`extends`, `include`, an alias), the value comes from elsewhere (a variable, `<<`, an anchor), or the result is
/// not proven right. Nothing is half done.
pub fn edit(text: &str, service: &str, edit: &ServiceEdit) -> Result<String, EditError> {
    let body = body(text);
    let mut tree = tree::read(body)?;
    let mut new = body.to_owned();
    for step in decide::steps(&place::service(&tree, service)?, edit)? {
        (new, tree) = prove::make(&new, &tree, &step)?;
    }
    if !decide::steps(&place::service(&tree, service)?, edit)?.is_empty() {
        return Err(EditError::new(0, "the edit did not come out as intended; this is a bug"));
    }
    Ok([&text[..text.len() - body.len()], &new].concat())
}

/// A file as compose reads it, to be asked about its services.
#[derive(Clone, Debug)]
pub struct Document(tree::Tree);

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// It is none that can be read in one way only.
    pub fn read(text: &str) -> Result<Self, EditError> {
        tree::read(body(text)).map(Self)
    }

    /// Whether it has the service; what that is made of is not looked at.
    pub fn has(&self, service: &str) -> bool {
        let services = self.0.root.entry("services").map(|(_, services)| services.resolved());
        services.is_some_and(|services| services.entry(service).is_some() || services.merged(service).is_some())
    }

    /// The names of its services.
    pub fn names(&self) -> Vec<String> {
        let services = self.0.root.entry("services").map(|(_, services)| services.resolved().entries());
        let names = services.into_iter().flatten().filter_map(|(name, _)| name.text());
        names.map(str::to_owned).collect()
    }

    /// A service of it.
    ///
    /// # Errors
    /// It is not there, or is made of something else as well (`extends`, `include`, an alias).
    pub fn service(&self, name: &str) -> Result<Service<'_>, EditError> {
        place::service(&self.0, name).map(Service)
    }
}

/// One service of a file.
pub struct Service<'d>(place::Place<'d>);

impl Service<'_> {
    /// What it has for a key, through an alias or `<<` too; variables stay as they are written. `None`: nothing.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.0.get(key).node().map(json)
    }

    /// Whether an edit would leave it as it is.
    ///
    /// # Errors
    /// As [`edit`]: what is there cannot be read, or may not be changed by us.
    pub fn is_so(&self, edit: &ServiceEdit) -> Result<bool, EditError> {
        decide::steps(&self.0, edit).map(|steps| steps.is_empty())
    }

    /// What compose takes for true and false. `None`: nothing is there.
    ///
    /// # Errors
    /// Something else is there, a variable, or a tag that changes how files are merged.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, EditError> {
        self.untagged(key)?.truth()
    }

    /// The one text of a key. `None`: nothing is there.
    ///
    /// # Errors
    /// As [`Self::truth`].
    pub fn literal(&self, key: &str) -> Result<Option<String>, EditError> {
        Ok(self.untagged(key)?.literal()?.map(str::to_owned))
    }

    /// The texts of a list. Empty: nothing is there.
    ///
    /// # Errors
    /// As [`Self::truth`].
    pub fn literals(&self, key: &str) -> Result<Vec<String>, EditError> {
        let texts: Result<Vec<_>, _> = self.untagged(key)?.items()?.iter().map(place::Place::literal).collect();
        Ok(texts?.into_iter().flatten().map(str::to_owned).collect())
    }

    /// Compose takes what earlier files say away for `!reset` and `!override`.
    fn untagged(&self, key: &str) -> Result<place::Place<'_>, EditError> {
        let place = self.0.get(key);
        match place.tag() {
            Some(tag) => Err(place.refuse(format!("`{key}` carries the tag `{tag}`"))),
            None => Ok(place),
        }
    }
}

/// What a service has for a key: [`Service::value`].
///
/// # Errors
/// As [`edit`], for what the file and the service are.
pub fn service_value(text: &str, service: &str, key: &str) -> Result<Option<Value>, EditError> {
    Ok(Document::read(text)?.service(service)?.value(key))
}

fn body(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn json(node: &Node) -> Value {
    let node = node.resolved();
    match &node.kind {
        tree::Kind::List(items) => items.iter().map(|item| json(item)).collect(),
        tree::Kind::Map(entries) => {
            let entry = |(key, value): &tree::Pair| (key.text().unwrap_or_default().to_owned(), json(value));
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
        _ if node.is_null() => Value::Null,
        _ => scalar(node),
    }
}

/// A number stays a number, and true and false what they are in every YAML.
fn scalar(node: &Node) -> Value {
    let text = node.text().unwrap_or_default();
    match text {
        "true" | "false" if node.is_plain() => Value::Bool(text == "true"),
        _ if node.is_plain() => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    }
}
