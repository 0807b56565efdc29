//! Each detector: found, silent, could not look.

mod files;
mod network;
mod running;
mod settings;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::catalog::Edit;
use crate::facts::testing::{self, FakeHost};
use crate::facts::workload::{Container, Process, Processes, Swarm};
use crate::facts::{Known, Unknown};
use crate::host::{FileKind, Stat};

/// A host, what is known of it, and a change; each test alters what it is about.
struct Case {
    host: FakeHost,
    facts: Facts,
    workload: Workload,
    change: Change,
}

impl Case {
    /// An empty host with a running daemon.
    fn new() -> Self {
        let workload = Workload {
            containers: Ok(Vec::new()),
            partial: None,
            images: Ok(Vec::new()),
            volumes: Ok(Vec::new()),
            swarm: Ok(Swarm::Inactive),
            execs: Ok(Vec::new()),
            processes: Ok(Processes::default()),
            listeners: BTreeMap::new(),
            compose: None,
            agents: Ok(Vec::new()),
            dependents: Ok(Vec::new()),
        };
        Self { host: FakeHost::default(), facts: testing::facts(), workload, change: Change::default() }
    }

    /// An empty host on which this setting is written.
    fn setting(key: &str, value: Value) -> Self {
        let mut case = Self::new();
        case.change.edits.push(Edit::DaemonSetting { key: key.into(), value: Some(value) });
        case
    }

    /// An empty host whose daemon restarts.
    fn restart() -> Self {
        let mut case = Self::new();
        case.change.restart = true;
        case
    }

    fn detect(&self, hazard: Hazard) -> Detection {
        detect(hazard, &self.situation())
    }

    /// Changes the host, and looks at what is mounted on it.
    fn hosted(&mut self, build: impl FnOnce(FakeHost) -> FakeHost) {
        self.host = build(std::mem::take(&mut self.host));
        self.facts.mounts = testing::mounts(&self.host);
    }

    fn situation(&self) -> Situation<'_> {
        Situation { host: &self.host, facts: &self.facts, workload: &self.workload, change: &self.change }
    }

    fn info(&mut self, value: Value) {
        self.facts.daemon.info = Ok(value);
    }
}

/// A running container that returns by itself, on a network of its own.
fn container(name: &str) -> Container {
    Container {
        id: format!("{name:a<64}"),
        name: name.into(),
        running: true,
        pid: 77,
        restart: "always".into(),
        networks: vec![("shop".into(), vec!["172.18.0.2".parse().unwrap()])],
        ..Container::default()
    }
}

/// What userns-remap needs is there.
fn can_remap(host: FakeHost) -> FakeHost {
    let open = || Stat { mode: 0o755, ..testing::stat(FileKind::Dir) };
    host.node("/", open())
        .file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("/etc/subuid", "")
        .file("/etc/subgid", "")
        .file("/usr/sbin/useradd", "")
        .file("/proc/sys/user/max_user_namespaces", "63000\n")
}

fn unread<T>() -> Known<T> {
    Err(Unknown("may not be read".into()))
}

fn found(names: &[&str]) -> Detection {
    Detection::Found(names.iter().map(|name| (*name).to_owned()).collect())
}

fn blind() -> Detection {
    Detection::CouldNotLook("may not be read".into())
}

#[test]
fn names_are_made_fit_for_a_terminal() {
    let mut case = Case::setting("userns-remap", json!("default"));
    case.workload.containers = Ok(vec![container("a\u{1b}[2J")]);
    assert_eq!(case.detect(Hazard::HidesImages), found(&[r"container a\u{1b}[2J"]));
}

#[test]
fn names_outweigh_blind_spots_and_tell_them() {
    let mut case = Case::setting("userns-remap", json!("default"));
    case.workload.images = Ok(vec!["redis:7".into()]);
    case.workload.volumes = unread();
    assert_eq!(case.detect(Hazard::HidesImages), found(&["image redis:7", "could not look further: may not be read"]));
}

#[test]
fn a_blind_detector_holds_like_one_that_found() {
    let mut case = Case::restart();
    case.workload.containers = unread();
    let held = look(&case.situation(), &[]);
    assert_eq!(held[0].hazard, Hazard::StopsContainers);
    assert!(!held[0].looked && held[0].evidence == ["may not be read"]);
}

#[test]
fn a_fresh_host_is_hurt_by_nothing() {
    for (key, value) in [
        ("icc", json!(false)),
        ("userns-remap", json!("default")),
        ("live-restore", json!(true)),
        ("userland-proxy", json!(false)),
        ("no-new-privileges", json!(true)),
    ] {
        let mut case = Case::setting(key, value);
        case.host = can_remap(case.host).file("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/vda1 rw\n");
        case.change.files = vec!["/etc/docker/daemon.json".into()];
        case.change.restart = true;
        case.change.daemon_reload = true;
        assert_eq!(look(&case.situation(), &[]), [], "{key}");
    }
}

#[test]
fn what_the_catalogue_lists_is_looked_for_too() {
    let mut case = Case::new();
    case.facts.client_version = Ok(Some(testing::version("28.5.2")));
    let held = look(&case.situation(), &[Hazard::BreaksPulls]);
    assert_eq!(held.iter().map(|h| h.hazard).collect::<Vec<_>>(), [Hazard::BreaksPulls]);
}
