//! A host that remembers every answer: a second question costs nothing, all stages see the same state, and what was
//! seen can be kept as a [`Recording`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::path::{is_of_process, resolve};
use super::recording::{Node, RECORDING_SCHEMA, Recording};
use super::seam::{Answer, EngineError, Group, Host, Query, Stat, Take};

/// A file of a process that has ended since it was opened.
const ESRCH: i32 = 3;

/// See the module.
pub struct Recorder<'a> {
    inner: &'a dyn Host,
    now: i64,
    stats: Cache<PathBuf, Stat>,
    contents: Cache<PathBuf, Vec<u8>>,
    lists: Cache<PathBuf, Vec<String>>,
    xattrs: Cache<PathBuf, Vec<(String, Vec<u8>)>>,
    answers: Cache<Query, Answer>,
    engine: Mutex<BTreeMap<(PathBuf, String), Result<Value, EngineError>>>,
    /// Keeps what [`Host::engine_each`] answers too.
    whole: bool,
    users: Mutex<BTreeMap<u32, Option<String>>>,
    groups: Mutex<BTreeMap<u32, Option<String>>>,
    groups_by_name: Mutex<BTreeMap<String, Option<Group>>>,
}

impl<'a> Recorder<'a> {
    /// Remembers what `inner` answers; its clock stands still from now on.
    #[must_use]
    pub fn new(inner: &'a dyn Host) -> Self {
        Self {
            inner,
            now: inner.now(),
            stats: Cache::default(),
            contents: Cache::default(),
            lists: Cache::default(),
            xattrs: Cache::default(),
            answers: Cache::default(),
            engine: Mutex::default(),
            whole: false,
            users: Mutex::default(),
            groups: Mutex::default(),
            groups_by_name: Mutex::default(),
        }
    }

    /// Remembers everything, to be recorded: what is asked for one by one too.
    #[must_use]
    pub fn whole(inner: &'a dyn Host) -> Self {
        Self { whole: true, ..Self::new(inner) }
    }

    /// Everything that was asked so far, unmasked. Errors other than "not there" and "not allowed" are left out: to
    /// the reader of the recording they are what was not recorded.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let answers = held(&self.answers.known);
        let answers = answers.iter().filter_map(|(query, answer)| match answer {
            Ok(answer) => Some((query.key(), Some(answer.clone()))),
            Err(error) if error.kind == io::ErrorKind::NotFound => Some((query.key(), None)),
            Err(_) => None,
        });
        Recording {
            schema_version: RECORDING_SCHEMA,
            tool_version: env!("CARGO_PKG_VERSION").into(),
            recorded_at: self.now,
            euid: self.euid(),
            offline: self.offline(),
            complete: false,
            note: String::new(),
            files: self.files(),
            answers: answers.collect(),
            engine: held(&self.engine).iter().map(|((_, path), value)| (path.clone(), value.clone())).collect(),
            users: held(&self.users).clone(),
            groups: held(&self.groups).clone(),
            groups_by_name: held(&self.groups_by_name).clone(),
        }
    }

    fn files(&self) -> BTreeMap<String, Node> {
        let mut files: BTreeMap<String, Node> = BTreeMap::new();
        self.stats.each(|path, stat| {
            let node = files.entry(text(path)).or_default();
            match stat {
                Ok(stat) => node.stat = Some(stat.clone()),
                Err(error) => {
                    node.absent = error.is_absent();
                    node.denied = error.is_denied();
                }
            }
        });
        self.contents.each(|path, content| match content {
            Ok(bytes) => {
                let node = files.entry(text(path)).or_default();
                let content = String::from_utf8_lossy(bytes);
                node.lossy = content.as_bytes() != bytes.as_slice();
                node.content = Some(content.into_owned());
            }
            // a process that has ended meanwhile: its files are not looked at before they are read
            Err(error) if is_of_process(path) && (error.is_absent() || error.raw == Some(ESRCH)) => {
                files.entry(text(path)).or_default().absent = true;
            }
            Err(error) => note_denied(&mut files, path, error),
        });
        self.lists.each(|path, list| match list {
            Ok(names) => files.entry(text(path)).or_default().list = Some(names.clone()),
            Err(error) => note_denied(&mut files, path, error),
        });
        self.xattrs.each(|path, xattrs| {
            if let Ok(xattrs) = xattrs {
                let lossy = |(name, value): &(String, Vec<u8>)| (name.clone(), String::from_utf8_lossy(value).into());
                files.entry(text(path)).or_default().xattrs = xattrs.iter().map(lossy).collect();
            }
        });
        files.retain(|_, node| *node != Node::default());
        files
    }
}

/// An object that is there, since it was looked at before, but whose content may not be read.
fn note_denied(files: &mut BTreeMap<String, Node>, path: &Path, error: &Kept) {
    if error.is_denied() {
        files.entry(text(path)).or_default().denied = true;
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Host for Recorder<'_> {
    /// Links are followed here, by `stat`, so that each content is recorded once, under its real name, with the links
    /// that lead there.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if is_of_process(path) {
            return self.contents.get(path, || self.inner.read(path));
        }
        let real = resolve(self, path)?;
        self.contents.get(&real, || self.inner.read(&real))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.stats.get(path, || self.inner.stat(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let real = resolve(self, path)?;
        self.lists.get(&real, || self.inner.list(&real))
    }

    fn xattrs(&self, path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        self.stat(path)?; // so that the recording says whether it is there
        self.xattrs.get(path, || self.inner.xattrs(path))
    }

    fn ask(&self, query: &Query) -> io::Result<Answer> {
        self.answers.get(query, || self.inner.ask(query))
    }

    fn ahead(&self, queries: &[Query]) {
        let unknown: Vec<Query> = {
            let known = held(&self.answers.known);
            queries.iter().filter(|query| !known.contains_key(query)).cloned().collect()
        };
        for (query, answer) in unknown.iter().zip(self.inner.ask_all(&unknown)) {
            // only to be remembered: whoever asks gets it then
            drop(self.answers.keep(query.clone(), answer));
        }
    }

    fn engine(&self, socket: &Path, paths: &[String]) -> Vec<Result<Value, EngineError>> {
        let key = |path: &String| (socket.to_owned(), path.clone());
        let unknown: Vec<String> = {
            let known = held(&self.engine);
            paths.iter().filter(|path| !known.contains_key(&key(path))).cloned().collect()
        };
        if !unknown.is_empty() {
            let answers = self.inner.engine(socket, &unknown);
            held(&self.engine).extend(unknown.iter().map(key).zip(answers));
        }
        let known = held(&self.engine);
        let lost = || Err(EngineError::Broken("the question was not asked".into()));
        paths.iter().map(|path| known.get(&key(path)).cloned().unwrap_or_else(lost)).collect()
    }

    fn engine_each(&self, socket: &Path, paths: &[String], take: Take<'_>) {
        if !self.whole {
            return self.inner.engine_each(socket, paths, take);
        }
        for (at, answer) in self.engine(socket, paths).into_iter().enumerate() {
            take(at, answer);
        }
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        remembered(&self.users, &uid, || self.inner.user_name(uid))
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        remembered(&self.groups, &gid, || self.inner.group_name(gid))
    }

    fn group(&self, name: &str) -> Option<Group> {
        remembered(&self.groups_by_name, &name.to_owned(), || self.inner.group(name))
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn euid(&self) -> u32 {
        self.inner.euid()
    }

    fn offline(&self) -> bool {
        self.inner.offline()
    }
}

/// An error that can be given again.
#[derive(Clone, Debug)]
struct Kept {
    kind: io::ErrorKind,
    raw: Option<i32>,
    message: String,
}

impl Kept {
    fn of(error: &io::Error) -> Self {
        Self { kind: error.kind(), raw: error.raw_os_error(), message: error.to_string() }
    }

    fn again(&self) -> io::Error {
        self.raw.map_or_else(|| io::Error::new(self.kind, self.message.clone()), io::Error::from_raw_os_error)
    }

    /// Below a file there is nothing either.
    fn is_absent(&self) -> bool {
        matches!(self.kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }

    fn is_denied(&self) -> bool {
        self.kind == io::ErrorKind::PermissionDenied
    }
}

/// Answers by question. Never held while the host is asked: it may ask back. What two threads ask at once is asked twice,
/// and the answer that is there first is the answer.
struct Cache<K, V> {
    known: Mutex<BTreeMap<K, Result<V, Kept>>>,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { known: Mutex::new(BTreeMap::new()) }
    }
}

impl<K: Ord, V: Clone> Cache<K, V> {
    fn get<Q>(&self, key: &Q, ask: impl FnOnce() -> io::Result<V>) -> io::Result<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let known = held(&self.known).get(key).cloned();
        known.unwrap_or_else(|| self.keep(key.to_owned(), ask())).map_err(|kept| kept.again())
    }

    /// Remembers an answer, unless there is one.
    fn keep(&self, key: K, answer: io::Result<V>) -> Result<V, Kept> {
        held(&self.known).entry(key).or_insert_with(|| answer.map_err(|error| Kept::of(&error))).clone()
    }

    fn each(&self, mut see: impl FnMut(&K, &Result<V, Kept>)) {
        for (key, answer) in held(&self.known).iter() {
            see(key, answer);
        }
    }
}

fn remembered<K: Ord + Clone, V: Clone>(known: &Mutex<BTreeMap<K, V>>, key: &K, ask: impl FnOnce() -> V) -> V {
    let answer = held(known).get(key).cloned();
    answer.unwrap_or_else(|| {
        let answer = ask();
        held(known).entry(key.clone()).or_insert(answer).clone()
    })
}

/// What is behind a lock. A thread that panicked with it left nothing half done: it only ever puts one answer in.
fn held<T>(known: &Mutex<T>) -> MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
