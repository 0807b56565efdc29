//! Rights that someone uses today: privileges gained in containers, access to the Engine's socket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{Evidence, Situation};
use crate::catalog::{Edit, Object};
use crate::facts::workload::{Container, Process};
use crate::facts::{Known, Unknown};
use crate::host::Stat;

/// Writing to a socket is what `connect` needs.
const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;

/// Processes in containers that gained privileges by executing a program, which they could not under
/// no-new-privileges. One that cannot gain any already is left out.
pub(super) fn drops_privilege(subject: &Situation, evidence: &mut Evidence) {
    if subject.change.sets("no-new-privileges") != Some(Value::Bool(true)) {
        return;
    }
    let workload = subject.workload;
    let Some(containers) = evidence.known(&workload.containers) else { return };
    let Some(processes) = evidence.known(&workload.processes) else { return };
    let by_pid: BTreeMap<u32, &Process> = processes.contained.iter().map(|process| (process.pid, process)).collect();
    for process in processes.contained.iter().filter(|process| !process.no_new_privs) {
        let Some(container) = containers.iter().find(|c| process.containers.contains(&c.id)) else { continue };
        let parent = by_pid.get(&process.parent).filter(|parent| parent.containers == process.containers);
        // The first process has its parent outside. Since Docker 25 (24.0.6, moby#45511) dockerd starts it with what
        // its program's file would give, so that it keeps that.
        let kept = subject.facts.daemon.version.as_ref().is_some_and(|version| version.numbers[0] >= 25);
        let without =
            parent.map_or(!kept && !is_root(container), |parent| parent.euid != 0 && parent.capabilities == 0);
        if let Some(gained) = gained(process, parent.copied(), without) {
            evidence.name(format!("{}: {} ({gained})", container.name, process.name));
        }
    }
}

/// What a process has only by the program that it is: the effective user or group is not the real one (setuid, setgid),
/// it is root below a parent that is not (sudo sets both), or it has capabilities and started without (file
/// capabilities; a daemon that was root and kept some is not meant). `without`: it started without capabilities.
fn gained(process: &Process, parent: Option<&Process>, without: bool) -> Option<String> {
    let Process { ruid, euid, rgid, egid, .. } = *process;
    if euid != ruid {
        Some(format!("user {ruid}, acts as {euid}"))
    } else if let Some(parent) = parent.filter(|parent| euid == 0 && parent.ruid != 0 && parent.euid != 0) {
        Some(format!("root, started by user {}", parent.euid))
    } else if egid != rgid {
        Some(format!("group {rgid}, acts as {egid}"))
    } else {
        (process.capabilities != 0 && euid != 0 && without)
            .then(|| format!("user {euid}, with capabilities of its program"))
    }
}

/// A socket that loses owner, group or mode bits through which someone other than root may use it.
pub(super) fn cuts_access(subject: &Situation, evidence: &mut Evidence) {
    let containerd = Object::Named("containerd-socket".into());
    for edit in &subject.change.edits {
        if matches!(edit, Edit::FileAccess { object, .. } if *object == containerd) {
            containerd_socket(subject, &containerd, evidence);
        }
        if let Edit::FileAccess { object, owner, group, mode } = edit
            && *object == Object::Named("docker-socket".into())
        {
            let mask = mode.as_deref().map_or(Ok(0o7777), |mode| u32::from_str_radix(mode, 8));
            let (Ok(mask), Some(stat)) = (mask, evidence.take(socket_stat(subject))) else { continue };
            let Some(stat) = stat else { continue };
            lost(subject, &stat, owner.as_deref(), group.as_deref(), mask, evidence);
        }
    }
}

/// containerd knows no group of its own, and who connects to it is recorded nowhere.
fn containerd_socket(subject: &Situation, object: &Object, evidence: &mut Evidence) {
    let Some(located) = subject.facts.objects.get(object) else {
        return evidence.blind("containerd's socket was not looked at");
    };
    let open = |stat: &Stat| stat.uid != 0 || stat.mode & (GROUP_WRITE | OTHER_WRITE) != 0;
    if evidence.known(located).into_iter().flatten().any(|one| open(&one.stat)) {
        evidence.blind("who uses containerd's socket leaves no trace");
    }
}

fn socket_stat(subject: &Situation) -> Known<Option<Stat>> {
    match subject.facts.objects.get(&Object::Named("docker-socket".into())) {
        Some(Ok(located)) => Ok(located.first().map(|located| located.stat.clone())),
        Some(Err(unknown)) => Err(unknown.clone()),
        None => {
            let path = &subject.facts.daemon.socket;
            subject.host.stat(path).map(Some).map_err(|error| Unknown(format!("{}: {error}", path.display())))
        }
    }
}

fn lost(s: &Situation, stat: &Stat, owner: Option<&str>, group: Option<&str>, mask: u32, evidence: &mut Evidence) {
    let names = &s.facts.names;
    let old_owner = names.users.get(&stat.uid).cloned().or_else(|| s.host.user_name(stat.uid));
    if stat.uid != 0 && owner.is_some() && owner != old_owner.as_deref() {
        evidence.name(format!("{} owns the socket", old_owner.unwrap_or_else(|| format!("user {}", stat.uid))));
    }
    let old_group = names.groups.get(&stat.gid).cloned().or_else(|| s.host.group_name(stat.gid));
    // root's group is the strictest there is, and stays.
    let regrouped = group.is_some() && stat.gid != 0 && group != old_group.as_deref();
    let group_loses = stat.mode & GROUP_WRITE != 0 && stat.gid != 0 && (regrouped || mask & GROUP_WRITE == 0);
    let others_lose = stat.mode & OTHER_WRITE != 0 && mask & OTHER_WRITE == 0;
    if group_loses {
        group_users(s, stat.gid, old_group.as_deref(), evidence);
    }
    if others_lose {
        evidence.blind(format!(
            "mode {:04o} lets every user of this host in; who makes use of it is not recorded",
            stat.mode
        ));
    }
    if group_loses || others_lose {
        containers_with_socket(s, evidence);
    }
}

/// Members of the group, and users whose processes have it now.
fn group_users(subject: &Situation, gid: u32, group: Option<&str>, evidence: &mut Evidence) {
    let shown = group.map_or_else(|| gid.to_string(), str::to_owned);
    let mut users: BTreeSet<String> = if group == Some("docker") {
        evidence.known(&subject.facts.docker_group).into_iter().flatten().cloned().collect()
    } else {
        group.and_then(|name| subject.host.group(name)).into_iter().flat_map(|group| group.members).collect()
    };
    for uid in evidence.take(users_of_group(subject, gid)).into_iter().flatten() {
        users.insert(subject.host.user_name(uid).unwrap_or_else(|| uid.to_string()));
    }
    for user in users {
        evidence.name(format!("user {user}, by group {shown}"));
    }
}

/// Effective users, other than root, of processes that have the group.
fn users_of_group(subject: &Situation, gid: u32) -> Known<BTreeSet<u32>> {
    let mut users = BTreeSet::new();
    if subject.host.offline() {
        return Ok(users);
    }
    let pids = subject.host.list(Path::new("/proc")).map_err(|error| Unknown(format!("/proc: {error}")))?;
    for pid in pids.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        // A process that has ended meanwhile has lost nothing.
        let Ok(status) = subject.host.read(Path::new(&format!("/proc/{pid}/status"))) else { continue };
        let status = String::from_utf8_lossy(&status);
        let ids = |key: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.into_iter().flat_map(str::split_whitespace).filter_map(|id| id.parse().ok()).collect()
        };
        let euid = ids("Uid:").get(1).copied().unwrap_or(0);
        if euid != 0 && (ids("Groups:").contains(&gid) || ids("Gid:").contains(&gid)) {
            users.insert(euid);
        }
    }
    Ok(users)
}

/// Containers that have the socket and do not use it as the host's root.
fn containers_with_socket(subject: &Situation, evidence: &mut Evidence) {
    let options = subject.facts.daemon.info.as_ref().map(|info| info["SecurityOptions"].to_string());
    let remapped = options.is_ok_and(|options| options.contains("name=userns"));
    for container in evidence.known(&subject.workload.containers).into_iter().flatten() {
        if has_socket(subject, container) && (!is_root(container) || remapped && container.namespaces.user != "host") {
            let user = if container.user.is_empty() { "remapped root" } else { &container.user };
            evidence.name(format!("container {} has the socket and runs as {user}", container.name));
        }
    }
}

/// Whether the Engine's socket, or a directory above it, is mounted into a container.
pub(super) fn has_socket(subject: &Situation, container: &Container) -> bool {
    let socket = run(&subject.facts.daemon.socket.to_string_lossy());
    container.mounts.iter().any(|source| Path::new(&socket).starts_with(run(source)))
}

fn is_root(container: &Container) -> bool {
    let user = container.user.split(':').next().unwrap_or_default();
    ["", "0", "root"].contains(&user)
}

/// `/var/run` is a link to `/run` on every host that Docker supports.
fn run(path: &str) -> String {
    match path.strip_prefix("/var/run") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/run{rest}"),
        _ => path.to_owned(),
    }
}
