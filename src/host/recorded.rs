//! A host that answers from a [`Recording`]. What was never asked for is an error of its own, so that a question
//! without an answer cannot pass for a file that does not exist.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::path::{target, walk, walk_parent};
use super::recording::{Node, Recording};
use super::seam::{Answer, EngineError, FileKind, Group, Host, Query, Stat};

/// See the module.
#[derive(Clone, Debug)]
pub struct RecordedHost {
    recording: Recording,
}

impl RecordedHost {
    /// A host of this recording. In a recording that is [`Recording::complete`], a directory that is only implied by
    /// a path below it exists: root's, mode 0755, with the names that the recording has in it.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        Self { recording }
    }

    /// What it answers from.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    fn node(&self, path: &Path) -> Option<&Node> {
        self.recording.files.get(path.to_str()?)
    }

    /// Where a recorded link points. What was not recorded is taken for a plain directory here; the question itself
    /// is then answered for the path as it stands.
    fn link(&self, at: &Path) -> io::Result<Option<PathBuf>> {
        match self.node(at) {
            Some(node) if node.absent => Err(gone(at)),
            Some(Node { stat: None, denied: true, .. }) => Err(denied(at)),
            Some(node) => Ok(node.stat.as_ref().and_then(target)),
            None => Ok(None),
        }
    }

    /// The node that a question about a path itself is answered from: as it was asked for, else by its real name.
    fn find(&self, path: &Path) -> io::Result<(PathBuf, Option<&Node>)> {
        if let Some(node) = self.node(path) {
            return Ok((path.to_owned(), Some(node)));
        }
        let real = walk_parent(path, |at| self.link(at))?;
        let node = self.node(&real);
        Ok((real, node))
    }

    /// The names that the recording has directly in a directory.
    fn implied(&self, dir: &Path) -> BTreeSet<String> {
        if !self.recording.complete {
            return BTreeSet::new();
        }
        let below = self.recording.files.iter().filter(|(_, node)| !node.absent);
        let names = below.filter_map(|(path, _)| Path::new(path).strip_prefix(dir).ok()?.iter().next());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    fn missing(&self, path: &Path, what: &str) -> io::Error {
        if self.recording.complete && self.node(path).is_none() {
            return gone(path);
        }
        io::Error::other(format!("{}: {what} was not recorded", path.display()))
    }
}

impl Host for RecordedHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let real = walk(path, |at| self.link(at))?;
        match self.node(&real) {
            Some(node) if node.absent => Err(gone(&real)),
            Some(Node { content: Some(content), .. }) => Ok(content.clone().into_bytes()),
            Some(node) if node.denied => Err(denied(&real)),
            Some(Node { stat: Some(Stat { kind: FileKind::Dir, .. }), .. }) => {
                Err(io::Error::new(io::ErrorKind::IsADirectory, format!("{}: a directory", real.display())))
            }
            _ => Err(self.missing(&real, "content")),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let (real, node) = self.find(path)?;
        match node {
            Some(Node { stat: Some(stat), .. }) => Ok(stat.clone()),
            Some(node) if node.absent => Err(gone(&real)),
            Some(node) if node.denied => Err(denied(&real)),
            _ if !self.implied(&real).is_empty() => Ok(implied_dir()),
            _ => Err(self.missing(&real, "stat")),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let real = walk(path, |at| self.link(at))?;
        match self.node(&real) {
            Some(Node { list: Some(list), .. }) => return Ok(list.clone()),
            Some(node) if node.absent => return Err(gone(&real)),
            Some(node) if node.denied => return Err(denied(&real)),
            Some(Node { stat: Some(stat), .. }) if stat.kind != FileKind::Dir => {
                return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{}: no directory", real.display())));
            }
            _ => {}
        }
        let names = self.implied(&real);
        if names.is_empty() && !(self.recording.complete && self.node(&real).is_some()) {
            return Err(self.missing(&real, "list"));
        }
        Ok(names.into_iter().collect())
    }

    fn xattrs(&self, path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        let (real, node) = self.find(path)?;
        match node {
            Some(node) if node.absent => Err(gone(&real)),
            Some(Node { stat: None, denied: true, .. }) => Err(denied(&real)),
            Some(node) => Ok(node.xattrs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()),
            None if !self.implied(&real).is_empty() => Ok(Vec::new()),
            None => Err(self.missing(&real, "xattrs")),
        }
    }

    fn ask(&self, query: &Query) -> io::Result<Answer> {
        let key = query.key();
        match self.recording.answers.get(&key) {
            Some(Some(answer)) => Ok(answer.clone()),
            Some(None) => Err(io::Error::new(io::ErrorKind::NotFound, format!("{key}: not installed"))),
            None => Err(io::Error::new(io::ErrorKind::Unsupported, format!("{key}: was not recorded"))),
        }
    }

    fn engine(&self, _socket: &Path, paths: &[String]) -> Vec<Result<Value, EngineError>> {
        let answer = |path: &String| self.recording.engine.get(path).cloned();
        let unknown = |path: &String| Err(EngineError::Unreachable(format!("{path}: was not recorded")));
        paths.iter().map(|path| answer(path).unwrap_or_else(|| unknown(path))).collect()
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
        self.recording.recorded_at
    }

    fn euid(&self) -> u32 {
        self.recording.euid
    }

    fn offline(&self) -> bool {
        self.recording.offline
    }
}

fn implied_dir() -> Stat {
    Stat {
        kind: FileKind::Dir,
        mode: 0o755,
        uid: 0,
        gid: 0,
        nlink: 2,
        immutable: false,
        size: 4096,
        mtime: 0,
        dev: "8:1".into(),
    }
}

fn gone(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or directory", path.display()))
}

fn denied(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: permission denied", path.display()))
}
