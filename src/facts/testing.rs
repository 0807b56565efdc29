//! A host of paths and answers in memory, for unit tests. What it was not told does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::model::{Argument, Audit, Config, Daemon, Install, Names, Place, Running, Scope, Unknown, Version};
use super::workload::{Processes, Swarm, Workload};
use super::{Facts, Known, Mount};
use crate::host::{Answer, EngineError, FileKind, Group, Host, Query, Stat};

/// The host. Parents of files are directories by themselves.
#[derive(Default)]
pub(crate) struct FakeHost {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) stats: BTreeMap<PathBuf, Stat>,
    pub(crate) denied: BTreeSet<PathBuf>,
    pub(crate) answers: BTreeMap<String, Answer>,
    pub(crate) engine: BTreeMap<String, Result<Value, EngineError>>,
    pub(crate) euid: u32,
    pub(crate) offline: bool,
}

/// What a `stat` says about a regular file of root.
pub(crate) fn stat(kind: FileKind) -> Stat {
    Stat { kind, mode: 0o644, uid: 0, gid: 0, nlink: 1, immutable: false, size: 0, mtime: 0, dev: "8:1".into() }
}

impl FakeHost {
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.bytes(path, text.as_bytes())
    }

    pub(crate) fn bytes(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }

    pub(crate) fn node(mut self, path: &str, stat: Stat) -> Self {
        self.stats.insert(path.into(), stat);
        self
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.node(path, stat(FileKind::Symlink(target.into())))
    }

    pub(crate) fn deny(mut self, path: &str) -> Self {
        self.denied.insert(path.into());
        self
    }

    pub(crate) fn unit(mut self, unit: &str, show: &str) -> Self {
        let answer = Answer { stdout: show.into(), ..Answer::default() };
        self.answers.insert(Query::UnitShow(unit.into()).key(), answer);
        self
    }

    pub(crate) fn api(mut self, path: &str, value: Value) -> Self {
        self.engine.insert(path.into(), Ok(value));
        self
    }

    pub(crate) fn api_error(mut self, path: &str, error: EngineError) -> Self {
        self.engine.insert(path.into(), Err(error));
        self
    }

    fn check(&self, path: &Path) -> io::Result<()> {
        if self.denied.contains(path) { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.files.keys().chain(self.stats.keys()).any(|other| other != path && other.starts_with(path))
    }
}

impl Host for FakeHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.check(path)?;
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.check(path)?;
        match self.stats.get(path) {
            Some(stat) => Ok(stat.clone()),
            None if self.files.contains_key(path) => Ok(stat(FileKind::File)),
            None if self.is_dir(path) => Ok(stat(FileKind::Dir)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.check(path)?;
        if !self.is_dir(path) && !self.stats.get(path).is_some_and(|stat| stat.kind == FileKind::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let below = self.files.keys().chain(self.stats.keys()).filter_map(|other| other.strip_prefix(path).ok());
        let names: BTreeSet<String> = below
            .filter_map(|rest| Some(rest.components().next()?.as_os_str().to_string_lossy().into_owned()))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn xattrs(&self, _: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        Ok(Vec::new())
    }

    fn ask(&self, query: &Query) -> io::Result<Answer> {
        self.answers.get(&query.key()).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn engine(&self, _: &Path, paths: &[String]) -> Vec<Result<Value, EngineError>> {
        let missing = || Err(EngineError::Unreachable("connection refused".into()));
        paths.iter().map(|path| self.engine.get(path).cloned().unwrap_or_else(missing)).collect()
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        (uid == 1000).then(|| "alice".into())
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        match gid {
            0 => Some("root".into()),
            999 => Some("docker".into()),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<Group> {
        match name {
            "root" => Some(Group { gid: 0, members: Vec::new() }),
            "docker" => Some(Group { gid: 999, members: vec!["alice".into()] }),
            _ => None,
        }
    }

    fn now(&self) -> i64 {
        1_700_000_000
    }

    fn euid(&self) -> u32 {
        self.euid
    }

    fn offline(&self) -> bool {
        self.offline
    }
}

/// Facts of a host with a running daemon, no daemon.json, and nothing else of note.
pub(crate) fn facts() -> Facts {
    let unread = || Unknown("not read here".into());
    Facts {
        rootless: None,
        scope: Scope {
            offline: false,
            privileged: true,
            systemd: true,
            initial_pid_namespace: true,
            selinux: false,
            machine_id: Some("0123".into()),
            os_id: "debian".into(),
            os_name: "Debian GNU/Linux 12".into(),
            hostname: "box".into(),
        },
        daemon: daemon(),
        units: BTreeMap::new(),
        audit: Audit {
            version: Err(unread()),
            enabled: Err(unread()),
            kernel: Err(unread()),
            files: Err(unread()),
            strays: Ok(Vec::new()),
            rules_d: true,
            own_file: Ok(None),
            own_tmpfiles: Ok(None),
        },
        objects: BTreeMap::new(),
        environment: Ok(String::new()),
        docker_group: Ok(vec!["alice".into()]),
        mounts: Ok(Arc::default()),
        client_version: Ok(Some(version("20.10.24"))),
        names: Names::default(),
        workload: Arc::new(idle()),
        images: Ok(Vec::new()),
        swarm: Ok(None),
        networks: Ok(Vec::new()),
        compose: crate::facts::ComposeFiles::default(),
        read_at: 0,
    }
}

/// A host on which nothing lives.
fn idle() -> Workload {
    Workload {
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
    }
}

fn daemon() -> Daemon {
    let path = PathBuf::from("/etc/docker/daemon.json");
    Daemon {
        install: Install::System,
        others: Vec::new(),
        running: Ok(Some(Running { pid: 500, argv: Vec::new(), exe: "/usr/sbin/dockerd".into(), started: 1 })),
        next_argv: Ok(vec![argument("/usr/sbin/dockerd", true), argument("-H", true), argument("fd://", true)]),
        config_path: path.clone(),
        config_real_path: path,
        config: Config::Missing,
        config_mtime: None,
        info: Ok(serde_json::json!({"LiveRestoreEnabled": false, "Swarm": {"LocalNodeState": "inactive"}})),
        version_api: Ok(Value::Null),
        bridge: Ok(Value::Null),
        version: Some(version("20.10.24")),
        socket: "/run/docker.sock".into(),
        listens: true,
        data_root: "/var/lib/docker".into(),
    }
}

/// What is mounted on a host.
pub(crate) fn mounts(host: &FakeHost) -> Known<Arc<[Mount]>> {
    super::mounts::gather(host)
}

/// An argument of the unit's command line, in the package's unit or in `/etc/default/docker`.
pub(crate) fn argument(text: &str, vendor: bool) -> Argument {
    let (file, variable) = if vendor {
        ("/lib/systemd/system/docker.service", None)
    } else {
        ("/etc/default/docker", Some("DOCKER_OPTS"))
    };
    let place = Place { file: file.into(), line: 13, variable: variable.map(str::to_owned), vendor };
    Argument { text: text.into(), place }
}

/// A version from its text.
pub(crate) fn version(text: &str) -> Version {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(text.split('.')) {
        *number = part.parse().unwrap();
    }
    Version { text: text.into(), numbers }
}

/// daemon.json that dockerd can read.
pub(crate) fn config(value: &Value) -> Config {
    Config::Valid { text: value.to_string(), value: value.as_object().unwrap().clone() }
}
