//! What a container has of the host's files and devices.

use std::path::{Component, Path, PathBuf};

use super::{Outcome, Seen};
use crate::audit::finding::Verdict;
use crate::catalog::Severity;
use crate::facts::workload::Mount;

/// Trees that the host lives by: they, what is in them, and what contains them.
const TREES: [&str; 15] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/containerd",
    "/var/spool/cron",
];
/// Files in them that programs are given to read, and that harm little.
const HARMLESS: [&str; 8] = [
    "/etc/hostname",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/etc/timezone",
    "/usr/share",
];
/// Where reading is enough: keys, password hashes, memory, what other containers keep.
const SECRETS: [&str; 7] =
    ["/dev", "/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/proc", "/root", "/var/lib/containerd"];
/// Names under which engines listen, wherever the file lies.
const SOCKETS: [&str; 3] = ["docker.sock", "containerd.sock", "podman.sock"];

pub(super) fn host_mounts(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("no directory that the host lives by").source("Mounts");
    let mut worst = None;
    let mut told = Vec::new();
    for mount in binds(seen) {
        let source = plain(&mount.source);
        if is_socket(&source) {
            continue; // container.docker-socket tells
        }
        let Some(severity) = harm(seen, &source, mount.writable) else { continue };
        told.push(format!("{}{}", mount.source, if mount.writable { "" } else { ", read-only" }));
        worst = worst.max(Some(severity));
    }
    match worst {
        None => outcome.actual("none"),
        Some(Harm::Little) => outcome.fails(told.join("; ")).severity(Severity::Low),
        Some(Harm::Full) => outcome.fails(told.join("; ")),
    }
}

/// How much a mount harms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    Little,
    Full,
}

/// `None`: not at all.
fn harm(seen: &Seen<'_>, source: &Path, writable: bool) -> Option<Harm> {
    let data_root = seen.facts.daemon.data_root.as_path();
    let trees = || TREES.iter().map(Path::new).chain([data_root]);
    let related = |other: &Path| source.starts_with(other) || other.starts_with(source);
    let within = |list: &[&str]| list.iter().any(|one| source.starts_with(one));
    if within(&HARMLESS) {
        return writable.then_some(Harm::Little);
    }
    if !trees().any(related) && !is_home(source) {
        return None;
    }
    if writable {
        return Some(Harm::Full);
    }
    let tells = SECRETS.iter().map(Path::new).chain([data_root]).any(related) || is_home(source);
    tells.then_some(Harm::Little)
}

/// All homes, a whole one, or somebody's keys: not a project in a home.
fn is_home(source: &Path) -> bool {
    let below = source.strip_prefix("/home").map(|rest| rest.components().count());
    below.is_ok_and(|depth| depth < 2) || source.components().any(|part| part.as_os_str() == ".ssh")
}

/// A mount carries the file system below it: a socket in it is mounted too, and one can write to it however it is
/// mounted.
pub(super) fn docker_socket(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("no socket of a container engine").source("Mounts");
    let known = sockets(seen);
    let reaches = |mount: &&Mount| {
        let source = plain(&mount.source);
        is_socket(&source) || known.iter().any(|socket| socket.starts_with(&source))
    };
    let found: Vec<&str> = binds(seen).filter(reaches).map(|mount| mount.source.as_str()).collect();
    if found.is_empty() { outcome.actual("none") } else { outcome.fails(found.join(", ")) }
}

/// Where this engine and others are known to listen.
fn sockets(seen: &Seen<'_>) -> Vec<PathBuf> {
    let daemon = &seen.facts.daemon;
    let usual = ["/run/docker.sock", "/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock"];
    let told = daemon.setting("containerd").next.ok().and_then(|path| path.as_str().map(PathBuf::from));
    let own = daemon.others.iter().map(|other| other.socket.clone()).chain([daemon.socket.clone()]).chain(told);
    usual.iter().map(PathBuf::from).chain(own).filter(|path| path.is_absolute()).map(|path| plain_path(&path)).collect()
}

pub(super) fn propagation(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("mounts that stay in the container").source("Mounts");
    let shared = |mount: &&Mount| ["shared", "rshared"].contains(&mount.propagation.as_str());
    let found: Vec<String> = seen
        .container
        .confinement
        .mounts
        .iter()
        .filter(shared)
        .map(|mount| format!("{} {}", mount.destination, mount.propagation))
        .collect();
    if found.is_empty() { outcome.actual("none that is shared") } else { outcome.fails(found.join(", ")) }
}

pub(super) fn read_only(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("read-only").source("HostConfig.ReadonlyRootfs");
    if seen.container.confinement.read_only { outcome.actual("read-only") } else { outcome.fails("writable") }
}

pub(super) fn devices(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let container = seen.container;
    let outcome =
        outcome.expected("no device of the host").source("HostConfig.Devices, DeviceRequests, DeviceCgroupRules");
    if container.privileged {
        return outcome.fails("all of them, being privileged");
    }
    let rules = &container.confinement.device_rules;
    let rules = rules.iter().map(|rule| format!("rule `{rule}`"));
    let all: Vec<String> = container.devices.iter().cloned().chain(rules).collect();
    if all.is_empty() {
        return outcome.actual("none");
    }
    let told = all.join(", ");
    if all.iter().any(|device| is_dangerous(device)) {
        return outcome.fails(told);
    }
    outcome.verdict(Verdict::Manual).actual(told)
}

/// A whole disk or the host's memory, or a rule for any device: root on the host for whoever opens it.
fn is_dangerous(device: &str) -> bool {
    let disks = ["/dev/sd", "/dev/hd", "/dev/vd", "/dev/xvd", "/dev/nvme", "/dev/mmcblk", "/dev/dm-", "/dev/md"];
    let beginnings = ["/dev/mapper/", "/dev/disk/", "/dev/mem", "/dev/kmem", "/dev/port"];
    let any = |rule: &str| rule.split_whitespace().nth(1).is_some_and(|numbers| numbers.starts_with('*'));
    device == "/dev"
        || disks.iter().chain(&beginnings).any(|start| device.starts_with(start))
        || device.strip_prefix("rule `").is_some_and(any)
}

/// Paths of the host; volumes lie in the data root and are the engine's.
fn binds<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a Mount> + use<'a> {
    seen.container.confinement.mounts.iter().filter(|mount| mount.kind == "bind" && mount.source.starts_with('/'))
}

fn is_socket(source: &Path) -> bool {
    source.file_name().is_some_and(|name| SOCKETS.iter().any(|socket| name == *socket))
}

fn plain(source: &str) -> PathBuf {
    plain_path(Path::new(source))
}

/// Without `..`, and `/var/run` under its real name, which it has had for longer than Docker exists.
fn plain_path(path: &Path) -> PathBuf {
    let mut real = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => real.push(name),
            Component::ParentDir => {
                real.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    real.strip_prefix("/var/run").map(|rest| Path::new("/run").join(rest)).unwrap_or(real)
}
