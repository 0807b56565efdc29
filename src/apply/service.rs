//! Services, containers and the kernel as they are now, and commands that change them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Failure, Result};
use crate::host::{Answer, Command, FileKind, Host, HostMut, Query};
use crate::plan::diff;

/// The unit of the daemon.
pub(super) const DOCKER: &str = "docker.service";
/// Networks that dockerd makes at its start.
pub(super) const DEFAULT_NETWORKS: [&str; 3] = ["bridge", "host", "none"];

/// A running container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Name, without slash.
    pub name: String,
    /// Id.
    pub id: String,
    /// Its first process.
    pub pid: i64,
    /// It ends and is started again by itself: it cannot be held to a process.
    #[serde(default)]
    pub restarts: bool,
}

/// How services, containers and the kernel were before a run. `None` and `""`: could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `ActiveState` of docker.service.
    pub active: String,
    /// Process id and start time of docker.service.
    #[serde(default)]
    pub process: (u32, String),
    /// live-restore in force.
    pub live_restore: Option<bool>,
    /// The host is in a swarm.
    pub swarm: Option<bool>,
    /// Running containers.
    pub containers: Option<Vec<Container>>,
    /// Names of default networks that were there.
    pub networks: Option<Vec<String>>,
    /// `auditctl -l`.
    pub audit_rules: Option<Vec<String>>,
    /// Units that the plan enables or starts: `UnitFileState` and `ActiveState`.
    #[serde(default)]
    pub units: BTreeMap<String, (String, String)>,
}

/// A unit as systemd shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) active: String,
    pub(super) enabled: String,
    /// Tells one process of the unit from the next: process id and start time.
    pub(super) process: (u32, String),
}

/// Whether systemd is in charge of this host.
pub(super) fn systemd(host: &dyn Host) -> bool {
    !host.offline() && host.stat(Path::new("/run/systemd/system")).is_ok_and(|stat| stat.kind == FileKind::Dir)
}

/// Looks at a unit.
pub(super) fn unit(host: &dyn Host, name: &str) -> Result<Unit> {
    let answer = host
        .ask(&Query::UnitShow(name.into()))
        .map_err(|error| Failure::new(format!("{name} cannot be read")).because(error))?;
    if !answer.ok() {
        // Nothing said is not "inactive".
        return Err(Failure::new(format!("{name} cannot be read")).because(answer.stderr.trim()));
    }
    let get = |key: &str| {
        let line = answer.stdout.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    let pid = get("MainPID").parse().unwrap_or(0);
    let process = (pid, get("ExecMainStartTimestampMonotonic"));
    Ok(Unit { active: get("ActiveState"), enabled: get("UnitFileState"), process })
}

/// Whether the daemon runs. Whoever asks its socket while it does not starts it: docker.socket listens for it.
pub(super) fn up(host: &dyn Host) -> bool {
    unit(host, DOCKER).is_ok_and(|unit| unit.active == "active")
}

/// `GET PATH`, `None` when there is no answer.
pub(super) fn get(host: &dyn Host, socket: &Path, path: &str) -> Option<Value> {
    if !up(host) {
        return None;
    }
    host.engine(socket, &[path.to_owned()]).into_iter().next()?.ok()
}

/// Whether live-restore is in force; `None` when the API does not answer.
pub(super) fn live_restore(host: &dyn Host, socket: &Path) -> Option<bool> {
    get(host, socket, "/info")?.get("LiveRestoreEnabled")?.as_bool()
}

fn swarm(host: &dyn Host, socket: &Path) -> Option<bool> {
    let info = get(host, socket, "/info")?;
    Some(info.pointer("/Swarm/LocalNodeState").and_then(Value::as_str).is_some_and(|state| state != "inactive"))
}

/// The running containers with their processes; `None` when the API does not answer.
pub(super) fn running(host: &dyn Host, socket: &Path) -> Option<Vec<Container>> {
    let list = get(host, socket, "/containers/json")?;
    let ids: Vec<_> = list.as_array()?.iter().filter_map(|one| one.get("Id")?.as_str().map(str::to_owned)).collect();
    let paths: Vec<_> = ids.iter().map(|id| format!("/containers/{id}/json")).collect();
    let details = host.engine(socket, &paths);
    let container = |(id, detail): (String, std::result::Result<Value, _>)| {
        let detail = detail.ok()?;
        let running = detail.pointer("/State/Running").and_then(Value::as_bool).unwrap_or(true);
        let name = detail.get("Name").and_then(Value::as_str).unwrap_or(&id).trim_start_matches('/').to_owned();
        let pid = detail.pointer("/State/Pid").and_then(Value::as_i64).unwrap_or(0);
        let count = detail.get("RestartCount").and_then(Value::as_i64).unwrap_or(0);
        let restarts = count > 0 || detail.pointer("/State/Restarting").and_then(Value::as_bool).unwrap_or(false);
        running.then_some(Container { name, id, pid, restarts })
    };
    Some(ids.into_iter().zip(details).filter_map(container).collect())
}

pub(super) fn networks(host: &dyn Host, socket: &Path) -> Option<Vec<String>> {
    let list = get(host, socket, "/networks")?;
    let names: Vec<_> = list.as_array()?.iter().filter_map(|one| one.get("Name")?.as_str()).collect();
    Some(DEFAULT_NETWORKS.iter().filter(|name| names.contains(name)).map(ToString::to_string).collect())
}

/// How the host is now; `units` are those that the plan enables or starts.
pub(super) fn snapshot(host: &dyn Host, socket: &Path, units: &[String]) -> Snapshot {
    if !systemd(host) {
        return Snapshot::default();
    }
    let docker = unit(host, DOCKER).unwrap_or_default();
    let named = |name: &String| unit(host, name).ok().map(|unit| (name.clone(), (unit.enabled, unit.active)));
    Snapshot {
        active: docker.active,
        process: docker.process,
        live_restore: live_restore(host, socket),
        swarm: swarm(host, socket),
        containers: running(host, socket),
        networks: networks(host, socket),
        audit_rules: super::audit_rules::kernel(host).ok(),
        units: units.iter().filter_map(named).collect(),
    }
}

/// Runs one command; a status other than 0 is a failure.
pub(super) fn command(host: &mut dyn HostMut, command: &Command) -> Result<Answer> {
    let answer =
        host.run(command).map_err(|error| Failure::new(format!("`{command}` cannot be run")).because(error))?;
    if answer.ok() {
        return Ok(answer);
    }
    let mut failure = Failure::new(format!("`{command}` failed with status {}", answer.status));
    let said = if answer.stderr.trim().is_empty() { &answer.stdout } else { &answer.stderr };
    for line in said.lines().filter(|line| !line.trim().is_empty()).take(5) {
        // dockerd names both values of what is set twice, and log options can be tokens.
        failure = failure.because(diff::masked(line.trim()));
    }
    Err(failure)
}
