//! What lives on this host's Docker: what a fix could hurt. Hazards are looked for in it.

mod compose;
mod confinement;
mod container;
mod data_root;
mod engine;
mod layer;
mod processes;
mod recipe;
pub mod sockets;
mod usage;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

pub use compose::ComposeOrigin;
pub use confinement::{Confinement, Mount, UNLIMITED_MEMORY};
pub use container::{Container, Namespaces, Port, Return, short};
pub(super) use container::{labels, text, texts};
pub(super) use engine::known;
pub use layer::written;
pub use processes::{Login, Process, Processes, Proxy, Work, own_container};
pub use recipe::{Recipe, recipe};
pub use usage::{Most, Usage, usage};

use super::model::{Known, Unit, Unknown};
use crate::host::{ComposeTool, Host, Query};
use crate::threads::joined;

/// Services that write other people's files again and again.
pub(super) const AGENTS: [&str; 6] = [
    "puppet.service",
    "chef-client.service",
    "chef-client.timer",
    "salt-minion.service",
    "cfengine3.service",
    "cf-execd.service",
];

/// How systemd stops a unit together with another one (systemd.unit(5), and `UNIT_ATOM_PROPAGATE_STOP` in its source).
const STOPS_TOO: [&str; 5] = ["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo"];

/// Everything that lives here.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Containers, running or not, by name: all of them, or why not.
    pub containers: Known<Vec<Container>>,
    /// What is known although not all containers could be read; `None`: all were, or the list was not.
    pub partial: Option<Partial>,
    /// Images: tag, else digest, else short id.
    pub images: Known<Vec<String>>,
    /// Names of volumes.
    pub volumes: Known<Vec<String>>,
    /// Whether this node is in a swarm.
    pub swarm: Known<Swarm>,
    /// Running execs, without health checks.
    pub execs: Known<Vec<Exec>>,
    /// Processes. Empty without a look when no daemon and no container runs.
    pub processes: Known<Processes>,
    /// What running containers on the default bridge listen on, such as `80/tcp`, by container id.
    pub listeners: BTreeMap<String, Known<Vec<String>>>,
    /// The compose that is installed here, where containers come from one.
    pub compose: Option<ComposeTool>,
    /// Active configuration agents, by unit.
    pub agents: Known<Vec<String>>,
    /// Active units that systemd stops when it stops docker.service.
    pub dependents: Known<Vec<String>>,
}

/// Containers of which some could not be read.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// Those that could, by name.
    pub read: Vec<Container>,
    /// Those that could not.
    pub unread: Vec<Unread>,
}

/// A container that is there and that the Engine says nothing more about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Why not.
    pub why: Unknown,
}

/// This node's place in a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swarm {
    /// In none.
    Inactive,
    /// In one, or on the way in, or locked, or in error; the word says which.
    Active(String),
}

/// A command that runs in a container beside its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// Name of the container.
    pub container: String,
    /// The program; its arguments may be secret and are not kept.
    pub program: String,
    /// `--privileged`
    pub privileged: bool,
    /// `--user`; empty: the container's.
    pub user: String,
}

/// What has to be known before the look: all of it is in [`super::Daemon`] and [`super::Scope`].
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The Engine's socket.
    pub socket: &'a Path,
    /// The daemon runs, so that the API is asked; else the data root is read.
    pub running: bool,
    /// Data root, without the leaf of userns-remap.
    pub data_root: &'a Path,
    /// `GET /info`; used only when the daemon runs.
    pub info: &'a Known<Value>,
    /// systemd is PID 1.
    pub systemd: bool,
    /// docker.service.
    pub service: &'a Known<Unit>,
}

/// Containers, images and volumes, from wherever they are read.
struct Stock {
    containers: Known<Vec<Container>>,
    partial: Option<Partial>,
    images: Known<Vec<String>>,
    volumes: Known<Vec<String>>,
}

impl Stock {
    /// The containers that could be read.
    fn read(&self) -> &[Container] {
        match (&self.containers, &self.partial) {
            (_, Some(partial)) => &partial.read,
            (Ok(containers), None) => containers,
            (Err(_), None) => &[],
        }
    }

    /// By name: evidence is told, and compared, in one order.
    fn sort(&mut self) {
        if let Ok(containers) = &mut self.containers {
            containers.sort_by(|a, b| a.name.cmp(&b.name));
        }
        if let Some(partial) = &mut self.partial {
            partial.read.sort_by(|a, b| a.name.cmp(&b.name));
            partial.unread.sort_by(|a, b| a.name.cmp(&b.name));
        }
        for names in self.images.iter_mut().chain(&mut self.volumes) {
            names.sort_unstable();
        }
    }
}

/// What is read of a daemon that runs, before anything else about it has to be known.
pub(super) struct Begun {
    stock: Stock,
    execs: Known<Vec<Exec>>,
    processes: Known<Processes>,
}

/// Asks the Engine of a daemon that runs, and looks at all processes.
pub(super) fn begin(host: &dyn Host, socket: &Path) -> Begun {
    let mut stock = engine::stock(host, socket);
    stock.sort();
    let first = first_ones(&stock);
    let (execs, processes) = std::thread::scope(|threads| {
        let processes = threads.spawn(|| processes::scan(host, &first));
        let execs = match &stock.containers {
            Ok(containers) => engine::execs(host, socket, containers),
            Err(unknown) => Err(unknown.clone()),
        };
        (execs, joined(processes))
    });
    Begun { stock, execs, processes }
}

/// The running containers by their first process.
fn first_ones(stock: &Stock) -> BTreeMap<u32, String> {
    let running = stock.containers.iter().flatten().filter(|container| container.running);
    running.map(|container| (container.pid, container.id.clone())).collect()
}

/// With the daemon down its data root is read instead of the API.
fn stopped(host: &dyn Host, data_root: &Path) -> Begun {
    let mut stock = data_root::stock(host, data_root);
    stock.sort();
    let idle = stock.containers.as_ref().is_ok_and(|containers| !containers.iter().any(|c| c.running));
    let processes =
        if host.offline() || idle { Ok(Processes::default()) } else { processes::scan(host, &first_ones(&stock)) };
    // Without a daemon nobody holds the other end of an exec.
    Begun { stock, execs: Ok(Vec::new()), processes }
}

/// Looks at everything that lives here. `begun`: what was read already, of a daemon that runs.
pub(super) fn gather(host: &dyn Host, context: &Context, begun: Option<Begun>) -> Workload {
    let running = context.running && !host.offline();
    let begun =
        begun.unwrap_or_else(|| if running { begin(host, context.socket) } else { stopped(host, context.data_root) });
    let Begun { stock, execs, processes } = begun;
    let swarm = if running { info_swarm(context.info) } else { data_root::swarm(host, context.data_root) };
    let on_bridge = stock.containers.iter().flatten().filter(|c| c.running && c.on_default_bridge());
    let listeners = on_bridge.map(|c| (c.id.clone(), sockets::listeners(host, c.pid))).collect();
    let composed = stock.read().iter().any(|container| container.compose.is_some());
    let compose = if composed { ComposeTool::of(host) } else { None };
    let units = context.systemd && !host.offline();
    let agents = if units { active(host, AGENTS.map(str::to_owned)) } else { Ok(Vec::new()) };
    let dependents = if units { dependents(host, context.service) } else { Ok(Vec::new()) };
    Workload {
        containers: stock.containers,
        partial: stock.partial,
        images: stock.images,
        volumes: stock.volumes,
        swarm,
        execs,
        processes,
        listeners,
        compose,
        agents,
        dependents,
    }
}

impl Workload {
    /// The containers that run.
    ///
    /// # Errors
    /// When containers could not be read.
    pub fn running(&self) -> Known<Vec<&Container>> {
        let containers = self.containers.as_ref().map_err(Clone::clone)?;
        Ok(containers.iter().filter(|container| container.running).collect())
    }

    /// The containers that could be read, and those that could not: for who judges each for itself. Whoever has to know
    /// all of them takes [`Self::containers`].
    ///
    /// # Errors
    /// When there is no list of containers.
    pub fn each(&self) -> Known<(&[Container], &[Unread])> {
        match (&self.containers, &self.partial) {
            (_, Some(Partial { read, unread })) => Ok((read, unread)),
            (Ok(containers), None) => Ok((containers, &[])),
            (Err(unknown), None) => Err(unknown.clone()),
        }
    }

    /// The first process of a running container.
    ///
    /// # Errors
    /// When processes could not be read, or it ended meanwhile.
    pub fn first_process(&self, container: &Container) -> Known<&Process> {
        let processes = self.processes.as_ref().map_err(Clone::clone)?;
        let at = processes.contained.binary_search_by_key(&container.pid, |process| process.pid);
        let own = at.ok().map(|at| &processes.contained[at]);
        own.ok_or_else(|| Unknown(format!("process {} of container {} is gone", container.pid, container.name)))
    }
}

fn info_swarm(info: &Known<Value>) -> Known<Swarm> {
    let info = info.as_ref().map_err(Clone::clone)?;
    match info["Swarm"]["LocalNodeState"].as_str() {
        Some("inactive" | "") => Ok(Swarm::Inactive),
        Some(state) => Ok(Swarm::Active(state.to_owned())),
        None => Err(Unknown("Engine API: /info does not say whether this node is in a swarm".into())),
    }
}

/// The daemon's own socket may be part of its service; it is no loss.
fn dependents(host: &dyn Host, service: &Known<Unit>) -> Known<Vec<String>> {
    let service = service.as_ref().map_err(Clone::clone)?;
    let related = STOPS_TOO.iter().filter_map(|relation| service.properties.get(*relation));
    let names = related.flat_map(|names| names.split_whitespace()).filter(|name| *name != "docker.socket");
    active(host, names.map(str::to_owned))
}

/// Those of these units that run.
fn active(host: &dyn Host, units: impl IntoIterator<Item = String>) -> Known<Vec<String>> {
    let mut active = Vec::new();
    for unit in units {
        match host.ask(&Query::UnitShow(unit.clone())) {
            Ok(answer) if answer.stdout.lines().any(|line| line == "ActiveState=active") => active.push(unit),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Unknown(format!("systemctl show {unit}: {error}"))),
        }
    }
    Ok(active)
}
