//! A host in memory, made from a recording: files, a daemon, the kernel's audit, and faults at a chosen operation.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use seaworthy::host::{Answer, EngineError, FileKind, Group, Host, Node, Query, Recording, Stat};
use serde_json::{Map, Value, json};

use super::fake_docker::{FakeContainer, FakeDocker};

/// What goes wrong, and at which changing operation (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// That one operation fails with EIO.
    Fail(usize),
    /// The process dies there: that operation and all later ones do nothing. A write may be half done.
    Kill(usize),
    /// From there on nothing can be written below `/var`: the disk is full.
    VarFull(usize),
    /// The same, and the process dies at the second number.
    VarFullKill(usize, usize),
}

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
    pub(crate) augenrules: bool,
    /// Armed timers: what they run.
    pub(crate) timers: BTreeMap<String, Vec<String>>,
    /// `UnitFileState` and `ActiveState` of units other than docker.service that were changed.
    pub(crate) units: BTreeMap<String, (String, String)>,
    pub(crate) config_path: PathBuf,
    pub(crate) fault: Fault,
    /// Changing operations so far.
    pub(crate) ops: usize,
    /// All commands that ran, and waits for nothing.
    pub(crate) log: Vec<String>,
    /// Milliseconds since the epoch.
    pub(crate) clock: i64,
    pub(crate) locked_by_other: bool,
    /// Someone else writes this file at that operation.
    pub(crate) meddler: Option<(usize, String, String)>,
    /// The API was asked while the daemon was down, which starts it where docker.socket listens.
    pub(crate) woken: std::cell::Cell<bool>,
    pub(super) dead: bool,
    pub(super) jobs: Vec<(i64, Job)>,
    recording: Recording,
}

pub(super) fn stat(kind: FileKind, mode: u32) -> Stat {
    Stat { kind, mode, uid: 0, gid: 0, nlink: 1, size: 0, mtime: 0, dev: "8:1".into() }
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
            augenrules: true,
            timers: BTreeMap::new(),
            units: BTreeMap::new(),
            config_path: "/etc/docker/daemon.json".into(),
            fault: Fault::None,
            ops: 0,
            log: Vec::new(),
            clock: recording.recorded_at * 1000,
            locked_by_other: false,
            meddler: None,
            woken: std::cell::Cell::new(false),
            dead: false,
            jobs: Vec::new(),
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
            let node = FakeNode { stat: stat(FileKind::Dir, 0o755), bytes: Vec::new(), xattrs: Vec::new() };
            self.files.entry(dir.into()).or_insert(node);
        }
    }

    /// Puts a file there, made if it is missing.
    pub(crate) fn write(&mut self, path: &str, mode: u32, text: &str) {
        let node = Node { stat: Some(stat(FileKind::File, mode)), content: Some(text.into()), ..Node::default() };
        self.add(Path::new(path), &node);
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.files.get(Path::new(path)).map(|node| String::from_utf8_lossy(&node.bytes).into_owned())
    }

    /// Adds a running container.
    pub(crate) fn container(&mut self, name: &str, pid: i64, restarts: bool) {
        let id = format!("{name}00ff");
        self.docker.containers.push(FakeContainer { id, name: name.into(), pid, restarts, remove: false });
    }

    /// Brings the daemon up from the recorded unit and daemon.json.
    fn boot(&mut self) {
        let shown = self.recording.answers.get("systemctl show docker.service").cloned().flatten().unwrap_or_default();
        if let Some(Ok(list)) = self.recording.engine.get("/containers/json") {
            for one in list.as_array().into_iter().flatten() {
                let id = one["Id"].as_str().unwrap_or_default().to_owned();
                let detail = self.recording.engine.get(&format!("/containers/{id}/json"));
                let detail = detail.and_then(|detail| detail.clone().ok()).unwrap_or_default();
                let policy = detail["HostConfig"]["RestartPolicy"]["Name"].as_str().unwrap_or("no").to_owned();
                self.docker.containers.push(FakeContainer {
                    name: one["Names"][0].as_str().unwrap_or(&id).trim_start_matches('/').into(),
                    pid: detail["State"]["Pid"].as_i64().filter(|pid| *pid != 0).unwrap_or(900),
                    restarts: !matches!(policy.as_str(), "no" | ""),
                    remove: detail["HostConfig"]["AutoRemove"] == json!(true),
                    id,
                });
            }
        }
        self.docker.flags = self.flags(&shown.stdout);
        if shown.stdout.lines().any(|line| line == "ActiveState=active") {
            let containers = std::mem::take(&mut self.docker.containers);
            let text = self.config();
            self.docker.start(self.clock, text.as_deref());
            self.docker.containers = containers;
            self.docker.reset_failed();
        }
    }

    fn config(&self) -> Option<Vec<u8>> {
        self.read(&self.config_path).ok()
    }

    /// Flags of `ExecStart`, with variables of the environment files.
    fn flags(&self, shown: &str) -> Map<String, Value> {
        let line = shown.lines().find(|line| line.starts_with("ExecStart=")).unwrap_or_default();
        let argv = line.split_once("argv[]=").map_or("", |(_, rest)| rest).split(" ;").next().unwrap_or_default();
        let mut words: Vec<String> = Vec::new();
        for word in argv.split_whitespace().skip(1) {
            match word.strip_prefix('$') {
                None => words.push(word.into()),
                Some(name) => words.extend(self.variable(name.trim_matches(['{', '}']))),
            }
        }
        let mut flags = Map::new();
        for word in words.iter().filter_map(|word| word.strip_prefix("--")) {
            let (key, value) = word.split_once('=').unwrap_or((word, "true"));
            flags.insert(key.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
        }
        flags
    }

    fn variable(&self, name: &str) -> Vec<String> {
        let texts = ["/etc/default/docker", "/etc/sysconfig/docker"].map(|path| self.text(path).unwrap_or_default());
        let mut line =
            texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let value = line.next_back().unwrap_or_default().trim_matches(['"', '\'']);
        value.split_whitespace().map(str::to_owned).collect()
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
        let own = |path: &Path| path.starts_with("/var/lib/seaworthy");
        let plain = |(path, node): (&PathBuf, &FakeNode)| {
            let mut node = node.clone();
            node.stat.mtime = 0;
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
    pub(super) fn pass(&mut self, ms: i64) {
        self.clock += ms;
        while let Some(at) = self.jobs.iter().position(|(due, _)| *due <= self.clock) {
            let (_, job) = self.jobs.remove(at);
            let text = self.config();
            match job {
                Job::Stop => self.docker.stop(),
                Job::Start => {
                    let shown = self.recording.answers.get("systemctl show docker.service").cloned().flatten();
                    self.docker.flags = self.flags(&shown.unwrap_or_default().stdout);
                    self.docker.start(self.clock, text.as_deref());
                }
                Job::Reload => self.docker.reload(text.as_deref()),
            }
        }
    }
}

impl Host for FakeHost {
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let mut path = path.to_path_buf();
        for _ in 0..8 {
            let node = self.files.get(&path).ok_or_else(not_found)?;
            match &node.stat.kind {
                FileKind::Symlink(to) => path = path.parent().unwrap_or(&path).join(to),
                FileKind::Dir => return Err(Error::from(ErrorKind::IsADirectory)),
                _ => return Ok(node.bytes.clone()),
            }
        }
        Err(Error::other("too many links"))
    }

    fn stat(&self, path: &Path) -> Result<Stat> {
        let node = self.files.get(path).ok_or_else(not_found)?;
        let size = u64::try_from(node.bytes.len()).unwrap_or(0);
        Ok(Stat { size, ..node.stat.clone() })
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        let node = self.files.get(path).ok_or_else(not_found)?;
        if node.stat.kind != FileKind::Dir {
            return Err(Error::from(ErrorKind::NotADirectory));
        }
        let inside = self.files.keys().filter(|one| one.parent() == Some(path));
        Ok(inside.filter_map(|one| Some(one.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn xattrs(&self, path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.files.get(path).ok_or_else(not_found)?.xattrs.clone())
    }

    fn ask(&self, query: &Query) -> Result<Answer> {
        let recorded = self.recording.answers.get(&query.key()).cloned().flatten();
        let text = |stdout: String| Ok(Answer { status: 0, stdout, stderr: String::new() });
        match query {
            Query::AuditRules if recorded.is_some() && self.kernel_rules.is_empty() => text("No rules\n".into()),
            Query::AuditRules if recorded.is_some() => text(self.kernel_rules.join("\n") + "\n"),
            Query::AuditStatus if recorded.is_some() => text(format!("enabled {}\nlost 0\n", self.audit_enabled)),
            Query::UnitShow(name) => {
                let recorded = recorded.ok_or_else(not_found)?;
                let over: Vec<(&str, String)> = if name == "docker.service" {
                    vec![
                        ("ActiveState", self.docker.active.clone()),
                        ("MainPID", self.docker.pid.to_string()),
                        ("ExecMainStartTimestampMonotonic", self.docker.started.to_string()),
                    ]
                } else if let Some((enabled, active)) = self.units.get(name) {
                    vec![("UnitFileState", enabled.clone()), ("ActiveState", active.clone())]
                } else {
                    return Ok(recorded);
                };
                let old = recorded
                    .stdout
                    .lines()
                    .filter(|line| over.iter().all(|(key, _)| !line.starts_with(&format!("{key}="))));
                let mut lines: Vec<String> = old.map(str::to_owned).collect();
                lines.extend(over.iter().map(|(key, value)| format!("{key}={value}")));
                text(lines.join("\n") + "\n")
            }
            _ => recorded.ok_or_else(not_found),
        }
    }

    fn engine(&self, _socket: &Path, paths: &[String]) -> Vec<std::result::Result<Value, EngineError>> {
        let one = |path: &String| {
            if self.docker.active != "active" {
                self.woken.set(true);
                return Err(EngineError::Unreachable("connection refused".into()));
            }
            let recorded = self.recording.engine.get(path).cloned();
            let value = recorded.as_ref().and_then(|answer| answer.as_ref().ok());
            match self.docker.answer(path, value) {
                Some(value) => Ok(value),
                None => recorded.unwrap_or_else(|| Err(EngineError::Status(404, "not recorded".into()))),
            }
        };
        paths.iter().map(one).collect()
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.recording.users.get(&uid).cloned().flatten()
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        self.recording.groups.get(&gid).cloned().flatten()
    }

    fn group(&self, name: &str) -> Option<Group> {
        self.recording.groups_by_name.get(name).cloned().flatten()
    }

    fn now(&self) -> i64 {
        self.clock / 1000
    }

    fn euid(&self) -> u32 {
        self.recording.euid
    }

    fn offline(&self) -> bool {
        self.recording.offline
    }
}
