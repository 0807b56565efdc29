//! A host in memory, made from a recording: files, a daemon, the kernel's audit, and faults at a chosen operation.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use seaworthy::catalog::ContainerSetting;
use seaworthy::facts::Container;
use seaworthy::host::{FileKind, Host, Node, Query, Recording, Stat};
use seaworthy::plan::LiveState;
use serde_json::{Value, json};

use super::fake_disk::PowerDisk;
use super::fake_docker::{FakeContainer, FakeDocker};
use super::fake_faults::Fault;
use super::fake_systemd::{Read, flags, property};
use super::fake_updates::FakeCluster;

/// One path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FakeNode {
    pub(crate) stat: Stat,
    pub(crate) bytes: Vec<u8>,
    pub(crate) xattrs: Vec<(String, Vec<u8>)>,
}

/// Something that systemd does a little later.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Job {
    Stop,
    Start,
    Reload,
}

pub(crate) struct FakeHost {
    pub(crate) files: BTreeMap<PathBuf, FakeNode>,
    pub(crate) docker: FakeDocker,
    /// Rules in the kernel.
    pub(crate) kernel_rules: Vec<String>,
    pub(crate) audit_enabled: u32,
    /// Records that the kernel lost, and a piece of the rule that makes it lose one more every millisecond.
    pub(crate) audit_lost: i64,
    pub(crate) audit_flood: Option<String>,
    pub(crate) augenrules: bool,
    /// Armed timers: what they run.
    pub(crate) timers: BTreeMap<String, Vec<String>>,
    /// `UnitFileState` and `ActiveState` of units other than docker.service that were changed.
    pub(crate) units: BTreeMap<String, (String, String)>,
    /// A unit other than docker.service whose start does not end.
    pub(crate) hangs: Option<String>,
    pub(crate) config_path: PathBuf,
    pub(crate) fault: Fault,
    /// Changing operations so far.
    pub(crate) ops: usize,
    /// Every change of a file and every sync, in order: what, and which path.
    pub(crate) trail: Vec<(&'static str, PathBuf)>,
    /// All commands that ran, and waits for nothing.
    pub(crate) log: Vec<String>,
    /// Milliseconds since the epoch.
    pub(crate) clock: i64,
    pub(crate) locked_by_other: bool,
    /// Someone else writes this file at that operation.
    pub(crate) meddler: Option<(usize, String, String)>,
    /// The API was asked while the daemon was down, which starts it where docker.socket listens.
    pub(crate) woken: AtomicBool,
    /// Questions about units so far, and the one to which systemd gives no answer.
    pub(crate) asked: AtomicUsize,
    pub(crate) unanswered: Option<usize>,
    /// Containers that compose made so far.
    pub(super) made_anew: usize,
    /// Compose was uninstalled.
    pub(crate) compose_is_gone: bool,
    pub(super) dead: bool,
    /// What a power cut would leave, once somebody asks.
    pub(super) disk: Option<PowerDisk>,
    pub(super) jobs: Vec<(i64, Job)>,
    /// What an installed package brought; it stays on rollback.
    pub(crate) installed: Vec<PathBuf>,
    /// docker.service and docker.socket as systemd has read them.
    pub(super) unit_read: Read,
    pub(super) socket_read: Read,
    /// What else the daemon's process has in `/proc`: its descriptors, its cgroup.
    pub(super) process: Vec<(PathBuf, FakeNode)>,
    /// What the engine says whatever the model thinks, merged over its answers.
    pub(crate) engine_over: BTreeMap<String, Value>,
    pub(crate) recording: Recording,
}

pub(super) fn stat(kind: FileKind, mode: u32) -> Stat {
    Stat { kind, mode, uid: 0, gid: 0, nlink: 1, immutable: false, size: 0, mtime: 0, dev: "8:1".into() }
}

pub(super) fn not_found() -> Error {
    Error::from(ErrorKind::NotFound)
}

impl FakeHost {
    /// A host as it was recorded. The daemon runs when docker.service was active.
    pub(crate) fn from_recording(recording: Recording) -> Self {
        let mut host = Self {
            files: BTreeMap::new(),
            docker: FakeDocker::default(),
            kernel_rules: Vec::new(),
            audit_enabled: 1,
            audit_lost: 7,
            audit_flood: None,
            augenrules: true,
            timers: BTreeMap::new(),
            units: BTreeMap::new(),
            config_path: "/etc/docker/daemon.json".into(),
            fault: Fault::None,
            ops: 0,
            trail: Vec::new(),
            log: Vec::new(),
            clock: recording.recorded_at * 1000,
            locked_by_other: false,
            hangs: None,
            meddler: None,
            woken: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            unanswered: None,
            made_anew: 0,
            compose_is_gone: false,
            dead: false,
            disk: None,
            jobs: Vec::new(),
            installed: Vec::new(),
            unit_read: Read::default(),
            socket_read: Read::default(),
            process: Vec::new(),
            engine_over: BTreeMap::new(),
            recording,
        };
        for (path, node) in host.recording.files.clone() {
            host.add(Path::new(&path), &node);
        }
        for dir in ["/etc", "/var/lib", "/run"] {
            host.mkdir_all(Path::new(dir));
        }
        if let Some(Some(answer)) = host.recording.answers.get("auditctl -l") {
            host.kernel_rules = answer.stdout.lines().filter(|line| line.starts_with('-')).map(str::to_owned).collect();
        }
        host.boot();
        host
    }

    fn add(&mut self, path: &Path, node: &Node) {
        if node.absent || (node.stat.is_none() && node.content.is_none() && node.list.is_none()) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.mkdir_all(parent);
        }
        let kind = if node.list.is_some() { FileKind::Dir } else { FileKind::File };
        let default = if node.list.is_some() { stat(kind, 0o755) } else { stat(kind, 0o644) };
        let xattrs = node.xattrs.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        let bytes = node.content.clone().unwrap_or_default().into_bytes();
        self.files.insert(path.into(), FakeNode { stat: node.stat.clone().unwrap_or(default), bytes, xattrs });
    }

    fn mkdir_all(&mut self, path: &Path) {
        for dir in path.ancestors() {
            let stat = Stat { dev: self.device(dir), ..stat(FileKind::Dir, 0o755) };
            self.files.entry(dir.into()).or_insert(FakeNode { stat, bytes: Vec::new(), xattrs: Vec::new() });
        }
    }

    /// Puts a file there, made if it is missing.
    pub(crate) fn write(&mut self, path: &str, mode: u32, text: &str) {
        let stat = Stat { dev: self.device(Path::new(path)), ..stat(FileKind::File, mode) };
        let node = Node { stat: Some(stat), content: Some(text.into()), ..Node::default() };
        self.add(Path::new(path), &node);
    }

    /// The device of the nearest directory above a path.
    pub(super) fn device(&self, path: &Path) -> String {
        let above = path.ancestors().skip(1).find_map(|dir| self.files.get(dir));
        above.map_or("8:1".into(), |node| node.stat.dev.clone())
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.files.get(Path::new(path)).map(|node| String::from_utf8_lossy(&node.bytes).into_owned())
    }

    /// Adds a running container.
    pub(crate) fn container(&mut self, name: &str, pid: i64, restarts: bool) {
        let id = format!("{name}00ff");
        self.docker.containers.push(FakeContainer {
            id,
            name: name.into(),
            pid,
            restarts,
            remove: false,
            updated: serde_json::Map::new(),
            composed: None,
            networks: None,
        });
    }

    /// The limits, restart policies and networks of all containers, as dockerd means them.
    pub(crate) fn settings(&self) -> Vec<String> {
        let paths: Vec<String> =
            self.docker.containers.iter().map(|one| format!("/containers/{}/json", one.id)).collect();
        let all = [
            ContainerSetting::Memory,
            ContainerSetting::Cpus,
            ContainerSetting::PidsLimit,
            ContainerSetting::RestartPolicy,
            ContainerSetting::Network,
        ];
        let of = |shown: Value| {
            let one = Container::read(&shown).expect("an inspection");
            let all = all.map(|setting| LiveState::of(setting, &one).shown());
            format!("{}: {}", one.name, all.join(", "))
        };
        let shown = self.engine(Path::new("/run/docker.sock"), &paths).into_iter();
        shown.map(|answer| of(answer.expect("an answer"))).collect()
    }

    /// Brings the daemon up from the recorded unit and daemon.json, with the process that it had.
    fn boot(&mut self) {
        let answer = |path: &str| self.recording.engine.get(path).and_then(|answer| answer.clone().ok());
        let list = answer("/containers/json?all=1").or_else(|| answer("/containers/json")).unwrap_or_default();
        let mut containers = Vec::new();
        for one in list.as_array().into_iter().flatten() {
            let id = one["Id"].as_str().unwrap_or_default().to_owned();
            let detail = answer(&format!("/containers/{id}/json")).unwrap_or_default();
            let policy = detail["HostConfig"]["RestartPolicy"]["Name"].as_str().unwrap_or("no").to_owned();
            containers.push(FakeContainer {
                name: one["Names"][0].as_str().unwrap_or(&id).trim_start_matches('/').into(),
                pid: detail["State"]["Pid"].as_i64().unwrap_or(900),
                restarts: !matches!(policy.as_str(), "no" | ""),
                remove: detail["HostConfig"]["AutoRemove"] == json!(true),
                updated: serde_json::Map::new(),
                composed: None,
                networks: None,
                id,
            });
        }
        let (info, version) = (answer("/info").unwrap_or_default(), answer("/version").unwrap_or_default());
        if let Some(major) = version["Version"].as_str().and_then(|text| text.split('.').next()?.parse().ok()) {
            self.docker.major = major;
        }
        for option in info["SecurityOptions"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            match option.strip_prefix("name=seccomp,profile=") {
                Some(profile) => self.docker.builtin_seccomp = profile.into(),
                None if ["name=userns", "name=no-new-privileges"].contains(&option) => {}
                None => self.docker.other_options.push(option.into()),
            }
        }
        self.docker.swarm = info["Swarm"]["LocalNodeState"].as_str().is_some_and(|state| state != "inactive");
        let cluster = &info["Swarm"]["Cluster"];
        self.docker.cluster = cluster["Spec"].is_object().then(|| FakeCluster {
            id: cluster["ID"].as_str().unwrap_or_default().into(),
            version: cluster["Version"]["Index"].as_u64().unwrap_or(0),
            spec: cluster["Spec"].clone(),
            locked: false,
        });
        self.docker.containers = containers;
        let shown = self.recorded_show("docker.service");
        let pid: u32 = property(&shown, "MainPID").and_then(|pid| pid.parse().ok()).unwrap_or(0);
        let top = PathBuf::from(format!("/proc/{pid}"));
        let own = self.files.iter().filter(|(path, _)| pid != 0 && path.starts_with(&top));
        self.process =
            own.filter_map(|(path, node)| Some((path.strip_prefix(&top).ok()?.into(), node.clone()))).collect();
        if property(&shown, "ActiveState").as_deref() == Some("active") {
            self.settle(pid);
        } else {
            self.reload_units();
        }
    }

    /// Makes what is on disk be in force, as if the daemon had been started after it, with this process.
    pub(crate) fn settle(&mut self, pid: u32) {
        self.reload_units();
        let gone = self.docker.pid;
        let containers = std::mem::take(&mut self.docker.containers);
        self.read_flags();
        let text = self.config();
        self.docker.start(self.clock, text.as_deref());
        self.docker.started = 1;
        self.docker.containers = containers;
        self.docker.reset_failed();
        if self.docker.active == "active" && pid != 0 {
            self.docker.pid = pid;
        }
        self.show_process(gone);
    }

    /// Reads the units as they are on disk.
    pub(crate) fn reload_units(&mut self) {
        self.unit_read = self.read_unit("docker.service");
        self.socket_read = self.read_unit("docker.socket");
    }

    /// Reads the command line as a start does.
    fn read_flags(&mut self) {
        let mut flags = flags(&self.argv());
        let other = flags.remove("config-file").and_then(|file| Some(PathBuf::from(file.as_str()?)));
        self.config_path = other.unwrap_or_else(|| "/etc/docker/daemon.json".into());
        self.docker.flags = flags;
    }

    fn config(&self) -> Option<Vec<u8>> {
        self.read(&self.config_path).ok()
    }

    /// The state of the host as a recording again: files as they are, answers of the model.
    pub(crate) fn recording(&self) -> Recording {
        let mut recording = self.recording.clone();
        recording.files =
            self.files.iter().map(|(path, node)| (path.display().to_string(), Self::node(node))).collect();
        let paths: Vec<String> = recording.engine.keys().cloned().collect();
        let answers = self.engine(Path::new(""), &paths);
        recording.engine = paths.into_iter().zip(answers).collect();
        for query in [Query::UnitShow("docker.service".into()), Query::AuditRules, Query::AuditStatus] {
            if recording.answers.contains_key(&query.key()) {
                recording.answers.insert(query.key(), self.ask(&query).ok());
            }
        }
        recording
    }

    fn node(node: &FakeNode) -> Node {
        let file = node.stat.kind == FileKind::File;
        Node {
            stat: Some(node.stat.clone()),
            content: file.then(|| String::from_utf8_lossy(&node.bytes).into_owned()),
            xattrs: node.xattrs.iter().map(|(k, v)| (k.clone(), String::from_utf8_lossy(v).into_owned())).collect(),
            ..Node::default()
        }
    }

    /// Everything that a rollback has to restore: files but for seaworthy's own, times left out.
    pub(crate) fn state(&self) -> Vec<(PathBuf, FakeNode)> {
        let own = |path: &Path| {
            let passing = ["/var/lib/seaworthy", "/run/seaworthy", "/proc"].iter().any(|top| path.starts_with(top));
            passing || self.installed.iter().any(|file| file == path)
        };
        let plain = |(path, node): (&PathBuf, &FakeNode)| {
            let mut node = node.clone();
            (node.stat.mtime, node.stat.size) = (0, 0);
            (path.clone(), node)
        };
        self.files.iter().filter(|(path, _)| !own(path)).map(plain).collect()
    }

    /// A fresh process on the same host: what systemd was told goes on, the lock is free, no fault any more.
    pub(crate) fn revive(&mut self) {
        self.dead = false;
        self.fault = Fault::None;
        self.pass(5000);
    }

    /// Lets time pass; systemd does what is due.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.clock += ms;
        if self.audit_flood.as_ref().is_some_and(|rule| self.kernel_rules.iter().any(|one| one.contains(rule))) {
            self.audit_lost += ms;
        }
        self.docker.age();
        while let Some(at) = self.jobs.iter().position(|(due, _)| *due <= self.clock) {
            let (_, job) = self.jobs.remove(at);
            let text = self.config();
            let gone = self.docker.pid;
            let before: Vec<_> = self.docker.containers.iter().map(|one| (one.id.clone(), one.pid)).collect();
            match job {
                Job::Stop => self.docker.stop(),
                Job::Start => {
                    self.read_flags();
                    let text = self.config();
                    self.docker.start(self.clock, text.as_deref());
                }
                Job::Reload => self.docker.reload(text.as_deref()),
            }
            if self.docker.pid != gone {
                self.show_process(gone);
            }
            self.show_containers(&before);
        }
    }
}
