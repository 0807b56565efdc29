//! Where runs are kept: `/var/lib/seaworthy/runs/RUN/` with the plan, the journal and the backups.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::io::At;
use crate::error::{Failure, Result};
use crate::host::{FileKind, Host, HostMut};

/// Where runs are kept on the host.
const RUNS: &str = "/var/lib/seaworthy/runs";

/// The journal of a run, in its directory.
pub(super) const JOURNAL: &str = "journal";
/// The plan of a run, in its directory.
pub(super) const PLAN: &str = "plan.json";

/// The runs of a host.
#[derive(Clone, Debug)]
pub struct Store {
    runs: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self { runs: RUNS.into() }
    }
}

/// One run: its id and its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// `20261122T183000Z-3fa9`: the time in UTC and four hexadecimal digits.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
}

impl Run {
    /// The journal of the run.
    pub(super) fn journal(&self) -> PathBuf {
        self.dir.join(JOURNAL)
    }

    /// The plan as it was approved.
    pub(super) fn plan(&self) -> PathBuf {
        self.dir.join(PLAN)
    }

    /// Reads a file of the run.
    ///
    /// # Errors
    /// When it cannot be read, or cannot be trusted.
    pub(super) fn read(&self, host: &dyn Host, file: &str) -> Result<Vec<u8>> {
        let path = self.dir.join(file);
        trusted(host, &path, &FileKind::File)?;
        host.read(&path).at("read", &path)
    }

    /// The copy of the binary that the timer runs.
    pub(super) fn binary(&self) -> PathBuf {
        self.dir.join("seaworthy")
    }

    /// Name of the transient timer that undoes the run when we die.
    pub(super) fn timer(&self) -> String {
        format!("seaworthy-{}", self.id)
    }

    /// Name of the transient timer that undoes the run when nobody confirms it.
    pub(super) fn confirm_timer(&self) -> String {
        format!("seaworthy-confirm-{}", self.id)
    }
}

impl Store {
    /// Makes a directory for a new run, and those above it where they are missing.
    pub(super) fn create(&self, host: &mut dyn HostMut) -> Result<Run> {
        let parent = self.runs.parent().unwrap_or(&self.runs).to_path_buf();
        for dir in [&parent, &self.runs] {
            ensure_dir(host, dir)?;
        }
        let id = self.free_id(host.as_host())?;
        let dir = self.runs.join(&id);
        for dir in [dir.clone(), dir.join("backups")] {
            host.make_dir(&dir, 0o700).at("made", &dir)?;
        }
        host.sync(&dir).at("synced", &dir)?;
        host.sync(&self.runs).at("synced", &self.runs)?;
        Ok(Run { id, dir })
    }

    /// Ids of all runs, oldest first.
    ///
    /// # Errors
    /// When the directory of runs cannot be trusted (a symlink, another owner, others may write) or read.
    pub fn list(&self, host: &dyn Host) -> Result<Vec<String>> {
        match host.list(&self.runs) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at("read", &self.runs),
            Ok(_) => {
                for dir in self.runs.parent().into_iter().chain([self.runs.as_path()]) {
                    trusted(host, dir, &FileKind::Dir)?;
                }
            }
        }
        let mut names = host.list(&self.runs).at("read", &self.runs)?;
        names.retain(|name| well_formed(name));
        names.sort();
        Ok(names)
    }

    /// Opens a run by its id, or by an end of it that no other run has.
    ///
    /// # Errors
    /// When there is no such run, or its directory cannot be trusted.
    pub fn open(&self, host: &dyn Host, id: &str) -> Result<Run> {
        let runs = self.list(host)?;
        let named: Vec<_> = runs.iter().filter(|run| *run == id || (id.len() >= 4 && run.ends_with(id))).collect();
        let [id] = named.as_slice() else {
            let what = if named.is_empty() { "no such run" } else { "several runs end like that" };
            return Err(Failure::refused(format!("run `{id}`: {what}")).hint("run `seaworthy history`"));
        };
        let dir = self.runs.join(id);
        trusted(host, &dir, &FileKind::Dir)?;
        Ok(Run { id: (*id).clone(), dir })
    }

    /// An id that sorts behind all others: within one second the digits count up.
    fn free_id(&self, host: &dyn Host) -> Result<String> {
        let time = jiff::Timestamp::from_second(host.now())
            .map_err(|error| Failure::new("clock of the host is out of range").because(error).host("unchanged"))?
            .strftime("%Y%m%dT%H%M%SZ");
        let prefix = format!("{time}-");
        let taken = self.list(host)?.iter().filter_map(|run| run.strip_prefix(&prefix).map(str::to_owned)).max();
        let digits = match taken.and_then(|digits| u32::from_str_radix(&digits, 16).ok()) {
            Some(last) => last + 1,
            None => std::process::id() & 0x7fff,
        };
        Ok(format!("{prefix}{digits:04x}"))
    }
}

/// Only our own names: what else lies there is not ours to open.
fn well_formed(id: &str) -> bool {
    id.split_once('-').is_some_and(|(time, digits)| {
        time.len() == 16 && time.ends_with('Z') && digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn ensure_dir(host: &mut dyn HostMut, dir: &Path) -> Result<()> {
    match host.stat(dir) {
        Ok(_) => trusted(host.as_host(), dir, &FileKind::Dir),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            host.make_dir(dir, 0o700).at("made", dir)?;
            let parent = dir.parent().unwrap_or(dir);
            host.sync(parent).at("synced", parent)
        }
        Err(error) => Err(error).at("read", dir),
    }
}

/// Plans, journals and backups decide what root writes: who can plant one owns the host. So each, and each directory on
/// the way to them, has to be ours alone.
fn trusted(host: &dyn Host, path: &Path, kind: &FileKind) -> Result<()> {
    let stat = host.stat(path).at("read", path)?;
    let wrong = if stat.kind != *kind {
        if *kind == FileKind::Dir { "is not a directory" } else { "is not a regular file" }
    } else if stat.uid != host.euid() {
        "belongs to someone else"
    } else if stat.mode & 0o022 != 0 {
        "can be written by others"
    } else {
        return Ok(());
    };
    Err(Failure::refused(format!("{} {wrong}", path.display()))
        .host("unchanged")
        .hint(format!("look at `ls -ld {}`", path.display())))
}
