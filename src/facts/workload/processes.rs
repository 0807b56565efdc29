//! Processes that a restart of the daemon, or a new default for containers, would reach: those in containers,
//! docker-proxy, what clients work on, and the chain of our own parents.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::sockets::{self, Socket};
use crate::facts::{Known, Unknown};
use crate::host::{FileKind, Host};

/// Commands of the command line that build.
const BUILDS: [&str; 2] = ["build", "bake"];
/// Those that end with the daemon, and with them whoever waits: attached containers, transfers.
const WAITS: [&str; 12] =
    ["run", "start", "attach", "up", "pull", "push", "load", "save", "import", "export", "commit", "cp"];
/// Those that do no harm by ending, or that the API tells more about.
const SILENT: [&str; 7] = ["exec", "create", "logs", "events", "stats", "wait", "top"];

/// What was found in `/proc`.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// Processes whose cgroup names a container, of whichever engine, by process id.
    pub contained: Vec<Process>,
    /// Running docker-proxy processes.
    pub proxies: Vec<Proxy>,
    /// TCP sockets of the network that the proxies are in; empty without proxies.
    pub proxy_sockets: Vec<Socket>,
    /// What the daemon does for a client that waits for it.
    pub work: Vec<Work>,
    /// Where we ourselves come from.
    pub login: Login,
}

/// A process in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id on the host.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// Container ids in its cgroup, outermost first.
    pub containers: Vec<String>,
    /// Real user id.
    pub ruid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub rgid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Effective capabilities, one bit each as in `capability.h`.
    pub capabilities: u64,
    /// What a setuid program or file capabilities can bring it at the most.
    pub bounding: u64,
    /// User of this host that is root inside its user namespace (`/proc/PID/uid_map`): 0 where it has none of its own;
    /// `None`: not known, or nobody is.
    pub root: Option<u32>,
    /// Seccomp mode: 0 off, 1 strict, 2 filter (`SECCOMP_MODE_*`).
    pub seccomp: u8,
    /// It cannot gain privileges any more.
    pub no_new_privs: bool,
}

/// A docker-proxy: it listens on the host and copies each connection into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Address that it listens on.
    pub host_ip: IpAddr,
    /// Port that it listens on.
    pub host_port: u16,
    /// Address of the container.
    pub container_ip: IpAddr,
    /// Port in the container.
    pub container_port: u16,
}

/// A build, or a client that holds a connection to the daemon until its command is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// In words, without arguments (they may hold secrets).
    pub what: String,
    /// Container ids in the client's cgroup, outermost first; empty: it runs on the host.
    pub containers: Vec<String>,
}

/// Where our own session comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Ids of containers that we or one of our parents live in.
    pub containers: Vec<String>,
    /// Far ends of the TCP connections that our parents hold; among them the one that sshd serves.
    pub peers: Vec<IpAddr>,
}

/// Looks at every process.
///
/// A build is seen by the processes that its `RUN` steps have, or by its client on this host or in a container; one
/// that a client elsewhere started and that is between two steps cannot be seen. A login whose parents are gone (tmux,
/// screen), or through a container that shares the host's network, cannot be seen either.
///
/// `first`: containers by their first processes, for those whose cgroup does not tell (without root and without
/// delegated cgroups there is none for them).
///
/// # Errors
/// When `/proc` cannot be read, or when we are not root and so do not see everything.
pub(super) fn scan(host: &dyn Host, first: &BTreeMap<u32, String>) -> Known<Processes> {
    if host.euid() != 0 {
        return Err(Unknown("processes: only root sees all of them".into()));
    }
    let names = host.list(Path::new("/proc")).map_err(|error| Unknown(format!("/proc: {error}")))?;
    let mut found = Processes::default();
    let mut proxy_pid = None;
    let mut work = BTreeSet::new();
    for pid in names.iter().filter_map(|name| name.parse::<u32>().ok()) {
        let Some(name) = proc_text(host, pid, "comm")? else { continue };
        let cgroup = proc_text(host, pid, "cgroup")?.unwrap_or_default();
        let mut containers = container_ids(&cgroup);
        if containers.is_empty() {
            containers.extend(first.get(&pid).cloned());
        }
        if let Some(what) = working(host, pid, name.trim_end(), &cgroup, &containers)? {
            work.insert(Work { what, containers });
        } else if name.trim_end() == "docker-proxy" {
            let line = proc_text(host, pid, "cmdline")?.unwrap_or_default();
            if let Some(proxy) = proxy(&line) {
                proxy_pid = Some(pid);
                found.proxies.push(proxy);
            }
        } else if !containers.is_empty()
            && let Some(status) = proc_text(host, pid, "status")?
        {
            let root = proc_text(host, pid, "uid_map").ok().flatten().and_then(|map| root_of(&map));
            found.contained.push(Process { root, ..process(pid, &status, containers) });
        }
    }
    if let Some(pid) = proxy_pid {
        found.proxy_sockets = sockets::tcp(host, pid)?;
    }
    found.contained.sort_unstable_by_key(|process| process.pid);
    found.work = work.into_iter().collect();
    found.login = login(host)?;
    Ok(found)
}

/// The container that this process lives in, although it may see the host's files and processes: whoever comes by
/// `chroot` or `nsenter` stays in the container's cgroup, and ends with it.
pub fn own_container(host: &dyn Host) -> Option<String> {
    let cgroup = host.read(Path::new("/proc/self/cgroup")).ok()?;
    if let Some(id) = container_ids(&String::from_utf8_lossy(&cgroup)).pop() {
        return Some(super::short(&id).to_owned());
    }
    // With a cgroup namespace of its own the path begins below the container, and says nothing.
    let namespace = |pid: &str| host.stat(Path::new("/proc").join(pid).join("ns/cgroup").as_path()).ok();
    let (own, first) = (namespace("self")?.kind, namespace("1")?.kind);
    (own != first).then(|| "in a cgroup namespace of its own".to_owned())
}

/// A file of a process; `None` when the process has ended meanwhile.
fn proc_text(host: &dyn Host, pid: u32, name: &str) -> Known<Option<String>> {
    let path = format!("/proc/{pid}/{name}");
    match host.read(Path::new(&path)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if ended(&error) => Ok(None),
        Err(error) => Err(Unknown(format!("{path}: {error}"))),
    }
}

/// A process that ends between two reads gives ENOENT, or ESRCH (3) on a file that is open already.
fn ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3)
}

/// The 64-digit ids in a cgroup path: `docker-ID.scope` under systemd, `/docker/ID` without.
pub(super) fn container_ids(cgroup: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for word in cgroup.split(|c: char| !c.is_ascii_hexdigit()) {
        if word.len() == 64 && !ids.iter().any(|id| id == word) {
            ids.push(word.to_owned());
        }
    }
    ids
}

fn process(pid: u32, status: &str, containers: Vec<String>) -> Process {
    let mut process = Process { pid, containers, bounding: u64::MAX, ..Process::default() };
    for (key, value) in status.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "Name" => value.clone_into(&mut process.name),
            "PPid" => process.parent = value.parse().unwrap_or(0),
            "NoNewPrivs" => process.no_new_privs = value == "1",
            "CapEff" => process.capabilities = u64::from_str_radix(value, 16).unwrap_or(u64::MAX),
            "CapBnd" => process.bounding = u64::from_str_radix(value, 16).unwrap_or(u64::MAX),
            "Seccomp" => process.seccomp = value.parse().unwrap_or(0),
            "Uid" => (process.ruid, process.euid) = ids(value),
            "Gid" => (process.rgid, process.egid) = ids(value),
            _ => {}
        }
    }
    process
}

/// Who is user 0 of the namespace, outside of it: lines are first id inside, first id outside, how many
/// (`user_namespaces(7)`).
fn root_of(map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.next()? == "0").then(|| fields.next()?.parse().ok())?
    })
}

/// Real and effective id.
fn ids(value: &str) -> (u32, u32) {
    let mut ids = value.split_whitespace().map(|id| id.parse().unwrap_or(0));
    let real = ids.next().unwrap_or(0);
    (real, ids.next().unwrap_or(real))
}

fn proxy(command_line: &str) -> Option<Proxy> {
    let words: Vec<&str> = command_line.split('\0').collect();
    let value = |flag: &str| {
        let at = words.iter().position(|word| word.trim_start_matches('-') == flag && word.starts_with('-'))?;
        words.get(at + 1).copied()
    };
    Some(Proxy {
        protocol: value("proto").unwrap_or("tcp").to_owned(),
        host_ip: value("host-ip")?.parse().ok()?,
        host_port: value("host-port")?.parse().ok()?,
        container_ip: value("container-ip")?.parse().ok()?,
        container_port: value("container-port")?.parse().ok()?,
    })
}

/// A build step, or a client at work.
fn working(host: &dyn Host, pid: u32, name: &str, cgroup: &str, containers: &[String]) -> Known<Option<String>> {
    // dockerd runs the steps of BuildKit in `docker/buildkit/ID`; with the systemd driver the unexpanded
    // `system.slice:docker:ID` becomes the name of the cgroup. These ids are not those of containers.
    if containers.is_empty() && (cgroup.contains("/docker/buildkit/") || cgroup.contains(":docker:")) {
        return Ok(Some("build step".into()));
    }
    let runtime = containers.is_empty() && name.starts_with("runc");
    let client = ["docker", "docker-buildx", "docker-compose", "buildx"].contains(&name);
    if !(runtime || client) {
        return Ok(None);
    }
    let line = proc_text(host, pid, "cmdline")?.unwrap_or_default();
    if runtime {
        return Ok(line.contains("/buildkit/executor").then(|| "build step".to_owned()));
    }
    // Behind the first of these comes what is not docker's: images, and commands for containers.
    let known = |word: &&str| BUILDS.contains(word) || WAITS.contains(word) || SILENT.contains(word);
    Ok(line
        .split('\0')
        .skip(1)
        .find(known)
        .filter(|verb| !SILENT.contains(verb))
        .map(|verb| if BUILDS.contains(&verb) { format!("build by {name}") } else { format!("{name} {verb}") }))
}

/// Follows our parents up to PID 1, or to the last one in this PID namespace.
fn login(host: &dyn Host) -> Known<Login> {
    let mut login = Login::default();
    let status = host.read(Path::new("/proc/self/status")).map_err(|e| Unknown(format!("/proc/self/status: {e}")))?;
    let mut current = process(0, &String::from_utf8_lossy(&status), Vec::new());
    if let Ok(cgroup) = host.read(Path::new("/proc/self/cgroup")) {
        login.containers = container_ids(&String::from_utf8_lossy(&cgroup));
    }
    // Parents form a chain that ends at 1 (or at 0 in a PID namespace); the bound is against a table that lies.
    for _ in 0..64 {
        let pid = current.parent;
        if pid <= 1 {
            break;
        }
        let Some(status) = proc_text(host, pid, "status")? else { break };
        current = process(pid, &status, Vec::new());
        login.containers.extend(container_ids(&proc_text(host, pid, "cgroup")?.unwrap_or_default()));
        login.peers.extend(peers(host, pid)?);
    }
    login.containers.sort_unstable();
    login.containers.dedup();
    login.peers.sort_unstable();
    login.peers.dedup();
    Ok(login)
}

/// Far ends of the TCP connections that a process holds.
fn peers(host: &dyn Host, pid: u32) -> Known<Vec<IpAddr>> {
    let directory = format!("/proc/{pid}/fd");
    let numbers = match host.list(Path::new(&directory)) {
        Ok(numbers) => numbers,
        Err(error) if ended(&error) => return Ok(Vec::new()),
        Err(error) => return Err(Unknown(format!("{directory}: {error}"))),
    };
    let inodes: BTreeSet<u64> = numbers
        .iter()
        .filter_map(|number| match host.stat(Path::new(&format!("{directory}/{number}"))).ok()?.kind {
            FileKind::Symlink(target) => target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok(),
            _ => None,
        })
        .collect();
    if inodes.is_empty() {
        return Ok(Vec::new());
    }
    let sockets = sockets::tcp(host, pid)?;
    Ok(sockets.iter().filter(|s| s.established() && inodes.contains(&s.inode)).map(|s| s.remote.ip()).collect())
}
