//! A host as it will be: the base with some files changed or created. The plan is audited against it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::path::{target, walk, walk_parent};
use super::seam::{Answer, EngineError, FileKind, Group, Host, Query, Stat, Take};

/// One path of an [`Overlay`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayFile {
    /// New content; `None`: as in the base (empty, if it is not there).
    pub content: Option<String>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// A directory, not a file.
    pub dir: bool,
}

/// See the module.
pub struct Overlay<'a> {
    base: &'a dyn Host,
    files: BTreeMap<PathBuf, OverlayFile>,
}

impl<'a> Overlay<'a> {
    /// Shows `base` as it is, until something is set.
    #[must_use]
    pub fn new(base: &'a dyn Host) -> Self {
        Self { base, files: BTreeMap::new() }
    }

    /// Shows a real path (without symlinks on the way) so. Directories above it are not made.
    pub fn set(&mut self, path: PathBuf, file: OverlayFile) {
        self.files.insert(path, file);
    }

    /// Where a link points. What cannot be looked at is left as it stands; the base then says what is wrong with it.
    fn link(&self, at: &Path) -> Option<PathBuf> {
        if self.files.contains_key(at) {
            return None;
        }
        self.base.stat(at).ok().as_ref().and_then(target)
    }

    fn real(&self, path: &Path) -> PathBuf {
        walk(path, |at| Ok(self.link(at))).unwrap_or_else(|_| path.to_owned())
    }

    fn entry(&self, path: &Path) -> PathBuf {
        walk_parent(path, |at| Ok(self.link(at))).unwrap_or_else(|_| path.to_owned())
    }

    /// A unit as systemd will show it once it has read the drop-ins that are new here.
    fn with_drop_ins(&self, unit: &str, mut answer: Answer) -> Answer {
        let dir = Path::new("/etc/systemd/system").join(format!("{unit}.d"));
        let new = self.files.keys().filter(|path| {
            path.parent() == Some(&dir)
                && path.extension().is_some_and(|e| e == "conf")
                && self.base.stat(path).is_err()
        });
        let new = new.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
        if !new.is_empty() {
            let known = answer.stdout.lines().find_map(|line| line.strip_prefix("DropInPaths=")).unwrap_or_default();
            // The last line with a key counts.
            let line = format!("DropInPaths={}\n", format!("{known} {new}").trim());
            answer.stdout.push_str(&line);
        }
        answer
    }

    /// What a path is stored on when it is new: the device of the nearest directory above it.
    fn device(&self, path: &Path) -> String {
        path.ancestors().skip(1).find_map(|dir| self.base.stat(dir).ok()).map(|stat| stat.dev).unwrap_or_default()
    }

    fn shown(&self, path: &Path, file: &OverlayFile) -> io::Result<Stat> {
        let OverlayFile { content, mode, uid, gid, dir } = file;
        let kind = if *dir { FileKind::Dir } else { FileKind::File };
        // a content is written by a rename over it, so it is a new object, younger than a daemon that runs now
        let fresh = |dev| Stat {
            kind,
            mode: *mode,
            uid: *uid,
            gid: *gid,
            nlink: if *dir { 2 } else { 1 },
            immutable: false,
            size: content.as_ref().map_or(0, |content| content.len() as u64),
            mtime: self.base.now() + 1,
            dev,
        };
        match self.base.stat(path) {
            Ok(stat) if content.is_none() => Ok(Stat { mode: *mode, uid: *uid, gid: *gid, ..stat }),
            Ok(stat) => Ok(fresh(stat.dev)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(fresh(self.device(path))),
            Err(e) => Err(e),
        }
    }
}

/// The answer, or the other one where the base has nothing.
fn or_if_new<T>(answer: io::Result<T>, new: T) -> io::Result<T> {
    match answer {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(new),
        answer => answer,
    }
}

impl Host for Overlay<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let real = self.real(path);
        match self.files.get(&real) {
            None => self.base.read(&real),
            Some(OverlayFile { dir: true, .. }) => {
                Err(io::Error::new(io::ErrorKind::IsADirectory, format!("{}: a directory", real.display())))
            }
            Some(OverlayFile { content: Some(content), .. }) => Ok(content.clone().into_bytes()),
            Some(_) => or_if_new(self.base.read(&real), Vec::new()),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let real = self.entry(path);
        match self.files.get(&real) {
            Some(file) => self.shown(&real, file),
            // as it was asked: a recording may know a path by that name only
            None => self.base.stat(path),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let real = self.real(path);
        let added = self.files.keys().filter(|file| file.parent() == Some(&real)).filter_map(|file| file.file_name());
        let mut names: BTreeSet<String> = added.map(|name| name.to_string_lossy().into_owned()).collect();
        let is_new_dir = self.files.get(&real).is_some_and(|file| file.dir);
        let base = self.base.list(&real);
        names.extend(if is_new_dir || !names.is_empty() { or_if_new(base, Vec::new())? } else { base? });
        Ok(names.into_iter().collect())
    }

    fn xattrs(&self, path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        let real = self.entry(path);
        if self.files.contains_key(&real) {
            return or_if_new(self.base.xattrs(&real), Vec::new());
        }
        self.base.xattrs(path)
    }

    fn ask(&self, query: &Query) -> io::Result<Answer> {
        let answer = self.base.ask(query)?;
        Ok(match query {
            Query::UnitShow(unit) => self.with_drop_ins(unit, answer),
            _ => answer,
        })
    }

    fn ahead(&self, queries: &[Query]) {
        self.base.ahead(queries);
    }

    fn engine(&self, socket: &Path, paths: &[String]) -> Vec<Result<Value, EngineError>> {
        self.base.engine(socket, paths)
    }

    fn engine_each(&self, socket: &Path, paths: &[String], take: Take<'_>) {
        self.base.engine_each(socket, paths, take);
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.base.user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        self.base.group_name(gid)
    }

    fn group(&self, name: &str) -> Option<Group> {
        self.base.group(name)
    }

    fn now(&self) -> i64 {
        self.base.now()
    }

    fn euid(&self) -> u32 {
        self.base.euid()
    }

    fn offline(&self) -> bool {
        self.base.offline()
    }
}
