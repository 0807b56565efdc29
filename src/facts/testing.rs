//! A host of paths and answers in memory, for unit tests. What it was not told does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::host::{Answer, EngineError, FileKind, Group, Host, Query, Stat};

/// The host. Parents of files are directories by themselves.
#[derive(Default)]
pub(crate) struct FakeHost {
    files: BTreeMap<PathBuf, String>,
    stats: BTreeMap<PathBuf, Stat>,
    denied: BTreeSet<PathBuf>,
    answers: BTreeMap<String, Answer>,
    engine: BTreeMap<String, Result<Value, EngineError>>,
    pub(crate) euid: u32,
    pub(crate) offline: bool,
}

/// What a `stat` says about a regular file of root.
pub(crate) fn stat(kind: FileKind) -> Stat {
    Stat { kind, mode: 0o644, uid: 0, gid: 0, nlink: 1, size: 0, mtime: 0, dev: "8:1".into() }
}

impl FakeHost {
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.into());
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
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
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
