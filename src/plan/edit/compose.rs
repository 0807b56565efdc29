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

/// What a service has for a key, through an alias or `<<` too; variables stay as they are written. `None`: nothing.
///
/// # Errors
/// As [`edit`], for what the file and the service are.
pub fn service_value(text: &str, service: &str, key: &str) -> Result<Option<Value>, EditError> {
    let tree = tree::read(body(text))?;
    let service = place::service(&tree, service)?;
    Ok(service.get(key).node().map(json))
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
