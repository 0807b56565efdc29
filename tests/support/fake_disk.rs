//! What a disk keeps through a power cut: what was synced, and of the rest whatever had reached it by chance.
//!
//! As POSIX has it: the sync of a file keeps its content, owner, mode and attributes, and not its name; the sync of a
//! directory keeps the names in it. Names of one directory reach the disk in the order in which they were changed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::fake_host::{FakeHost, FakeNode, Job};

/// What reaches the disk in time, beside what was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survives {
    /// Nothing.
    Nothing,
    /// All names and no content: a file that was renamed before it was synced is empty.
    Names,
    /// All content and no name.
    Content,
    /// Everything.
    All,
    /// Some names and some content, whole or half, as this number decides.
    Some(u32),
}

/// One change of a name.
#[derive(Clone, Debug)]
enum Name {
    Put(PathBuf, usize),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf),
}

/// One object: as it was synced, and as it was last when it had lost its name.
#[derive(Clone, Debug)]
struct Inode {
    synced: FakeNode,
    last: Option<FakeNode>,
}

/// A disk below the host's files.
#[derive(Clone, Debug)]
pub(crate) struct PowerDisk {
    inodes: Vec<Inode>,
    /// Names as processes see them.
    cached: BTreeMap<PathBuf, usize>,
    /// Names on the disk.
    names: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not on the disk yet, each with its directory.
    pending: Vec<(PathBuf, Name)>,
    /// The files as the host boots with them: those in memory are these again.
    boot: BTreeMap<PathBuf, FakeNode>,
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_path_buf()
}

impl PowerDisk {
    fn new(files: &BTreeMap<PathBuf, FakeNode>) -> Self {
        let inodes = files.values().map(|node| Inode { synced: node.clone(), last: None }).collect();
        let names: BTreeMap<_, _> = files.keys().cloned().enumerate().map(|(at, path)| (path, at)).collect();
        Self { inodes, cached: names.clone(), names, pending: Vec::new(), boot: files.clone() }
    }

    pub(super) fn made(&mut self, path: &Path, node: &FakeNode) {
        self.inodes.push(Inode { synced: node.clone(), last: None });
        let number = self.inodes.len() - 1;
        self.cached.insert(path.into(), number);
        self.pending.push((parent(path), Name::Put(path.into(), number)));
    }

    pub(super) fn gone(&mut self, path: &Path, node: Option<&FakeNode>) {
        self.unnamed(path, node);
        self.pending.push((parent(path), Name::Gone(path.into())));
    }

    pub(super) fn moved(&mut self, from: &Path, to: &Path, replaced: Option<&FakeNode>) {
        self.unnamed(to, replaced);
        if let Some(number) = self.cached.remove(from) {
            self.cached.insert(to.into(), number);
        }
        self.pending.push((parent(to), Name::Moved(from.into(), to.into())));
    }

    fn unnamed(&mut self, path: &Path, node: Option<&FakeNode>) {
        if let Some(number) = self.cached.remove(path) {
            self.inodes[number].last = node.cloned();
        }
    }

    pub(super) fn synced(&mut self, path: &Path, node: &FakeNode) {
        if let Some(number) = self.cached.get(path) {
            self.inodes[*number].synced = node.clone();
        }
        for (dir, name) in std::mem::take(&mut self.pending) {
            if dir == path {
                apply(&mut self.names, name);
            } else {
                self.pending.push((dir, name));
            }
        }
    }

    /// What is on the disk after the power went.
    fn left(self, files: &BTreeMap<PathBuf, FakeNode>, survives: Survives) -> BTreeMap<PathBuf, FakeNode> {
        let mut names = self.names;
        let mut dirs: BTreeMap<PathBuf, Vec<Name>> = BTreeMap::new();
        for (dir, name) in self.pending {
            dirs.entry(dir).or_default().push(name);
        }
        for (dir, pending) in dirs {
            let count = match survives {
                Survives::Nothing | Survives::Content => 0,
                Survives::Names | Survives::All => pending.len(),
                Survives::Some(seed) => chance(seed, &dir, pending.len() + 1),
            };
            for name in pending.into_iter().take(count) {
                apply(&mut names, name);
            }
        }
        let here: BTreeMap<usize, &FakeNode> =
            self.cached.iter().filter_map(|(path, number)| Some((*number, files.get(path)?))).collect();
        let content = |path: &Path, number: usize| {
            let inode = &self.inodes[number];
            let cached = here.get(&number).copied().or(inode.last.as_ref()).unwrap_or(&inode.synced);
            match survives {
                Survives::Nothing | Survives::Names => inode.synced.clone(),
                Survives::Content | Survives::All => cached.clone(),
                Survives::Some(seed) => match chance(seed, path, 3) {
                    0 => inode.synced.clone(),
                    1 => cached.clone(),
                    _ => half(&inode.synced, cached),
                },
            }
        };
        names.iter().map(|(path, number)| (path.clone(), content(path, *number))).collect()
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, name: Name) {
    match name {
        Name::Put(path, number) => {
            names.insert(path, number);
        }
        Name::Gone(path) => {
            names.remove(&path);
        }
        Name::Moved(from, to) => {
            if let Some(number) = names.remove(&from) {
                names.insert(to, number);
            }
        }
    }
}

/// A number below `of` that depends on the path.
fn chance(seed: u32, path: &Path, of: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (seed, path).hash(&mut hasher);
    usize::try_from(hasher.finish() % (of as u64)).unwrap_or(0)
}

/// Owner and mode as they were last, and of the bytes that were not synced half.
fn half(synced: &FakeNode, cached: &FakeNode) -> FakeNode {
    let kept = if cached.bytes.starts_with(&synced.bytes) { synced.bytes.len() } else { 0 };
    let bytes = cached.bytes[..kept + (cached.bytes.len() - kept) / 2].to_vec();
    if cached.bytes == synced.bytes { cached.clone() } else { FakeNode { bytes, ..cached.clone() } }
}

impl FakeHost {
    /// From here on the disk tells what was synced from what was not.
    pub(crate) fn watch_disk(&mut self) {
        self.disk = Some(PowerDisk::new(&self.files));
    }

    /// The power goes, and comes back: the host boots from what the disk has kept.
    pub(crate) fn power_cut(&mut self, survives: Survives) {
        let disk = self.disk.take().expect("the disk is watched");
        let memory = |path: &Path| path.starts_with("/run") || path.starts_with("/proc");
        let boot = disk.boot.clone();
        let mut files = disk.left(&self.files, survives);
        files.retain(|path, _| !memory(path));
        files.extend(boot.into_iter().filter(|(path, _)| memory(path)));
        let whole = files.clone();
        files.retain(|path, _| path.ancestors().all(|above| whole.contains_key(above)));
        self.files = files;
        self.timers.clear();
        self.jobs.clear();
        self.docker.power_off();
        self.revive();
        self.reload_units();
        self.kernel_rules.clear();
        self.load_rules();
        self.jobs.push((self.clock, Job::Start));
        self.revive();
    }
}
