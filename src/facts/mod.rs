//! Facts about a host: read through `&dyn Host`, judged elsewhere.

pub mod audit_rules;
mod command_line;
pub mod compose;
pub mod config_file;
mod daemon;
pub mod daemon_json;
pub mod environment_file;
pub mod images;
pub mod keys;
mod model;
mod mounts;
pub mod networks;
mod next_start;
mod objects;
mod rootless;
mod scope;
mod settings;
mod swarm;
#[cfg(test)]
pub(crate) mod testing;
mod units;
pub mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use workload::Workload;

use crate::catalog::Object;
use crate::host::{Host, Query, path};
use crate::threads::joined;

pub use compose::ComposeFiles;
pub use images::{Detail, Health, Image};
pub use model::{
    Argument, Audit, AuditRule, Config, Daemon, FiledRule, Install, Known, Located, Names, Other, Place, Running,
    Scope, Unit, Unknown, Version,
};
pub use mounts::Mount;
pub use networks::Network;
pub use rootless::Account;
pub use settings::{Origin, Setting, has_option};
pub use swarm::{Cluster, Node};
pub use workload::{Container, Swarm, short};

/// The units that are looked at.
const UNITS: [&str; 4] = ["docker.service", "docker.socket", "containerd.service", "auditd.service"];
/// How many of them, the first, are the daemon's own.
const OF_DAEMON: usize = 2;

/// Everything the audit looks at.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What kind of host this is and how much of it we may see.
    pub scope: Scope,
    /// The user whose own Docker this is about; `None`: the system's.
    pub rootless: Option<Account>,
    /// The daemon: its configuration on disk, its flags, what is in force.
    pub daemon: Daemon,
    /// systemd units by name (`docker.service`, `docker.socket`, `containerd.service`, `auditd.service`).
    pub units: BTreeMap<String, Known<Unit>>,
    /// Audit rules on disk and in the kernel.
    pub audit: Audit,
    /// Where each object of the catalogue is on this host. An empty list: it does not exist here.
    pub objects: BTreeMap<Object, Known<Vec<Located>>>,
    /// `/etc/environment`; an absent file is the empty text.
    pub environment: Known<String>,
    /// Members of the group docker: listed ones and those whose primary group it is.
    pub docker_group: Known<Vec<String>>,
    /// What is mounted, in order; nothing in an image that does not run.
    pub mounts: Known<Arc<[Mount]>>,
    /// Version of the Docker command line, `None` when it is not installed.
    pub client_version: Known<Option<Version>>,
    /// Names of users and groups that appear as owners.
    pub names: Names,
    /// What lives here: containers, images, volumes, processes.
    pub workload: Arc<Workload>,
    /// Images, or why they are not known.
    pub images: Known<Vec<Image>>,
    /// This node of the swarm; `None`: it is in none.
    pub swarm: Known<Option<Node>>,
    /// Networks that the swarm has on this node, by name. Empty outside a swarm.
    pub networks: Known<Vec<Network>>,
    /// The compose files that containers come from.
    pub compose: ComposeFiles,
    /// When the host was read, seconds since the epoch.
    pub read_at: i64,
}

/// What has to be read besides what is always read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The user whose own Docker is meant; `None`: the system's.
    pub rootless: Option<Account>,
    /// Objects to be located.
    pub objects: BTreeSet<Object>,
    /// What each image holds and how it was built. That it is there is always read.
    pub images: bool,
    /// The swarm, if this host is in one: its settings, services and secrets, and its ports here.
    pub swarm: bool,
    /// Networks of the swarm.
    pub networks: bool,
}

/// Reads a host.
pub fn gather(host: &dyn Host, needs: &Needs) -> Facts {
    gather_with(host, needs, None)
}

/// Reads a host as it will be, `now` being what it is: files differ, and what lives there is the same.
pub fn foresee(host: &dyn Host, needs: &Needs, now: &Facts) -> Facts {
    gather_with(host, needs, Some(now))
}

fn gather_with(host: &dyn Host, needs: &Needs, now: Option<&Facts>) -> Facts {
    let scope = scope::gather(host);
    let later = meanwhile(&scope, needs);
    std::thread::scope(|threads| {
        let asked = threads.spawn(move || host.ahead(&later));
        // Who may be asked what depends on the daemon's own units: what they wait for, all else waits for.
        if scope.systemd && needs.rootless.is_none() {
            host.ahead(&UNITS[..OF_DAEMON].iter().map(|unit| Query::UnitShow((*unit).to_owned())).collect::<Vec<_>>());
        }
        let read = |name: &&str| ((*name).to_owned(), read_unit(host, &scope, needs, name));
        let mut units: BTreeMap<String, Known<Unit>> = UNITS[..OF_DAEMON].iter().map(read).collect();
        let unit = |name: &str| units.get(name).and_then(|u| u.as_ref().ok()).filter(|u| u.exists());
        let rootless = needs.rootless.as_ref();
        let seat = rootless.map_or_else(|| daemon::Seat::system(unit("docker.socket")), Account::seat);
        let mut daemon = daemon::look(host, &units["docker.service"], seat);
        let socket = daemon.socket.clone();
        let begin = daemon.listens && now.is_none();
        let begun = begin.then(|| threads.spawn(move || workload::begin(host, &socket)));
        daemon::complete(host, &mut daemon);
        let (service, socket) = (unit("docker.service"), unit("docker.socket"));
        let context = objects::Context { daemon: &daemon, service, socket, rootless };
        let located = needs.objects.iter().map(|object| (object.clone(), objects::locate(host, &context, object)));
        let located: BTreeMap<Object, Known<Vec<Located>>> = located.collect();
        let begun = begun.map(joined);
        joined(asked);
        units.extend(UNITS[OF_DAEMON..].iter().map(read));
        let whole = Looked { scope, units, daemon, located };
        whole.facts(host, needs, now, begun)
    })
}

/// What was read first, and what the rest goes by.
struct Looked {
    scope: Scope,
    units: BTreeMap<String, Known<Unit>>,
    daemon: Daemon,
    located: BTreeMap<Object, Known<Vec<Located>>>,
}

impl Looked {
    /// Reads the rest. `begun`: what the Engine was asked already.
    fn facts(self, host: &dyn Host, needs: &Needs, now: Option<&Facts>, begun: Option<workload::Begun>) -> Facts {
        let Self { scope, units, daemon, located } = self;
        let seen = workload::Context {
            socket: &daemon.socket,
            running: daemon.listens,
            data_root: &daemon.data_root,
            info: &daemon.info,
            systemd: scope.systemd,
            service: &units["docker.service"],
        };
        let fresh = || Arc::new(workload::gather(host, &seen, begun));
        let workload = now.map_or_else(fresh, |now| Arc::clone(&now.workload));
        let asked = (seen.running && !host.offline()).then_some(&*daemon.socket);
        let swarm = &workload.swarm;
        Facts {
            read_at: host.now(),
            images: now.map_or_else(|| images::gather(host, asked, needs.images), |now| now.images.clone()),
            swarm: now.map_or_else(|| swarm::gather(host, asked, &daemon, swarm, needs.swarm), |now| now.swarm.clone()),
            networks: now
                .map_or_else(|| networks::gather(host, asked, swarm, needs.networks), |now| now.networks.clone()),
            compose: compose::gather(host, &workload),
            audit: audit_rules::gather(host, has_audit(&scope)),
            environment: environment(host),
            docker_group: docker_group(host),
            mounts: now.map_or_else(|| mounts::gather(host), |now| now.mounts.clone()),
            client_version: client_version(host),
            names: names(host, &located),
            objects: located,
            rootless: needs.rootless.clone(),
            scope,
            workload,
            daemon,
            units,
        }
    }
}

/// What is always asked and waits for nothing.
fn meanwhile(scope: &Scope, needs: &Needs) -> Vec<Query> {
    let mut queries = vec![Query::DockerVersion, Query::AuditVersion];
    if has_audit(scope) {
        queries.extend([Query::AuditStatus, Query::AuditRules]);
    }
    if scope.systemd {
        // of a user's own Docker no unit is asked for
        let units = UNITS[OF_DAEMON..].iter().filter(|_| needs.rootless.is_none()).chain(&workload::AGENTS);
        queries.extend(units.map(|unit| Query::UnitShow((*unit).to_owned())));
    }
    queries
}

/// Whether the kernel's audit rules are about this host.
fn has_audit(scope: &Scope) -> bool {
    scope.initial_pid_namespace && !scope.offline
}

fn read_unit(host: &dyn Host, scope: &Scope, needs: &Needs, name: &str) -> Known<Unit> {
    if needs.rootless.is_some() {
        Err(Unknown("units of a user's own Docker are not asked for".into()))
    } else if scope.systemd || scope.offline {
        units::read(host, name)
    } else {
        Err(Unknown("systemd does not run here".into()))
    }
}

fn environment(host: &dyn Host) -> Known<String> {
    match path::read_text(host, Path::new("/etc/environment")) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Unknown(error.to_string())),
    }
}

/// Listed members, and accounts whose primary group it is.
fn docker_group(host: &dyn Host) -> Known<Vec<String>> {
    let Some(group) = host.group("docker") else { return Ok(Vec::new()) };
    let mut members: BTreeSet<String> = group.members.into_iter().collect();
    let accounts = path::read_text(host, Path::new("/etc/passwd")).map_err(|e| Unknown(format!("/etc/passwd: {e}")))?;
    for line in accounts.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if fields.get(3).and_then(|gid| gid.parse().ok()) == Some(group.gid) {
            members.insert(fields[0].to_owned());
        }
    }
    Ok(members.into_iter().collect())
}

fn client_version(host: &dyn Host) -> Known<Option<Version>> {
    match host.ask(&Query::DockerVersion) {
        Ok(answer) => Ok(Version::find(&answer.stdout)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unknown(format!("docker --version: {error}"))),
    }
}

fn names(host: &dyn Host, objects: &BTreeMap<Object, Known<Vec<Located>>>) -> Names {
    let mut names = Names::default();
    names.user_ids.insert("root".into(), 0);
    names.group_ids.insert("root".into(), 0);
    names.users.insert(0, "root".into());
    names.groups.insert(0, "root".into());
    if let Some(group) = host.group("docker") {
        names.group_ids.insert("docker".into(), group.gid);
        names.groups.insert(group.gid, "docker".into());
    }
    for located in objects.values().flatten().flatten() {
        let (uid, gid) = (located.stat.uid, located.stat.gid);
        names.users.entry(uid).or_insert_with(|| host.user_name(uid).unwrap_or_else(|| uid.to_string()));
        names.groups.entry(gid).or_insert_with(|| host.group_name(gid).unwrap_or_else(|| gid.to_string()));
    }
    names
}

impl Names {
    /// `USER:GROUP` of an owner, numbers where there is no name.
    pub fn owner(&self, uid: u32, gid: u32) -> String {
        let user = self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string());
        let group = self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string());
        format!("{user}:{group}")
    }
}

impl Facts {
    /// A unit that exists here.
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.get(name).and_then(|u| u.as_ref().ok()).filter(|u| u.exists())
    }
}
