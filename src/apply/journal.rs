//! The journal of a run: JSON lines, each durable before what it speaks of is done.
//!
//! It is all that a later process needs to undo the run: `Backup` records come before the first change, and an
//! `Intent` before each operation, with every state that the operation can leave behind.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::backup::Saved;
use super::image::Image;
use super::io::{At, sync_parent, write_new};
use super::service::Snapshot;
use super::store::{JOURNAL, Run};
use crate::error::{Failure, Result};
use crate::host::{Command, Host, HostMut};
use crate::plan::{LiveChange, Recreation};

/// Version of the journal's form; within it fields are only added.
pub const JOURNAL_SCHEMA: u32 = 1;

/// Who made a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// User id of the person: of `SUDO_USER` where there is one.
    pub uid: u32,
    /// Name of the person.
    pub name: String,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record")]
pub enum Record {
    /// The run begins. The plan is durable by now.
    Start {
        /// [`JOURNAL_SCHEMA`].
        schema: u32,
        /// Id of the run.
        run: String,
        /// Version of seaworthy.
        tool_version: String,
        /// Who asked for it.
        who: Who,
        /// Seconds since the epoch.
        when: i64,
        /// The command line.
        args: Vec<String>,
    },
    /// One path is backed up.
    Backup(Saved),
    /// How services, containers and the kernel were.
    Before(Snapshot),
    /// All backups are durable: from here on the host may be changed.
    Prepared,
    /// The timer that undoes the run when we die is about to be armed.
    Armed {
        /// Name of the timer.
        unit: String,
    },
    /// Something is about to be done.
    Intent {
        /// What.
        op: Op,
    },
    /// It was done.
    Done {
        /// What.
        op: Op,
    },
    /// Everything is done; the run stands unless nobody confirms it.
    Applied {
        /// Seconds since the epoch until which it has to be confirmed.
        confirm_by: i64,
    },
    /// The run stands.
    Commit {
        /// Seconds since the epoch.
        when: i64,
    },
    /// The run, or one check of it, is about to be undone.
    RollbackStart {
        /// Seconds since the epoch.
        when: i64,
        /// Who asked for it.
        who: Who,
        /// Only this check.
        check: Option<String>,
    },
    /// It was undone.
    RollbackDone {
        /// Only this check.
        check: Option<String>,
        /// What could not be undone.
        left: Vec<String>,
    },
}

/// Something that is done to the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// A path is changed.
    Path {
        /// The path.
        path: PathBuf,
        /// Every state in which it can be found if we die meanwhile; the intended one comes last.
        images: Vec<Image>,
    },
    /// docker.service reloads.
    Reload,
    /// docker.service restarts while these containers run.
    Restart {
        /// Name, id and process of each.
        running: Vec<super::service::Container>,
    },
    /// A container is changed.
    Update {
        /// Which, and its state at both ends.
        change: LiveChange,
    },
    /// A service of a compose project is made anew.
    Recreate {
        /// Which, and its containers before the run.
        recreation: Recreation,
        /// Its published ports before the run, such as `8080->80/tcp`.
        ports: Vec<String>,
    },
    /// systemd reads its units again.
    DaemonReload,
    /// The kernel's audit rules are loaded.
    LoadAuditRules,
    /// A command of the plan runs.
    Run {
        /// Which.
        command: Command,
    },
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// The complete lines.
    text: String,
    /// The file may hold an incomplete line behind `text`.
    torn: bool,
    pub(super) records: Vec<Record>,
}

impl Journal {
    /// Starts the journal of a new run.
    pub(super) fn begin(host: &mut dyn HostMut, run: &Run, start: Record) -> Result<Self> {
        let path = run.journal();
        write_new(host, &path, b"")?;
        let mut journal = Self { path, text: String::new(), torn: false, records: Vec::new() };
        journal.record(host, start)?;
        sync_parent(host, &journal.path)?;
        Ok(journal)
    }

    /// Reads the journal of a run. A last line that broke off is left out: what it announced was not begun.
    ///
    /// # Errors
    /// When a line before the last cannot be read: then nobody knows what was done.
    pub(super) fn open(host: &dyn Host, run: &Run) -> Result<Self> {
        let path = run.journal();
        let bytes = match host.stat(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            _ => run.read(host, JOURNAL)?,
        };
        let mut journal = Self { path, text: String::new(), torn: false, records: Vec::new() };
        let mut rest = bytes.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            match serde_json::from_slice(line) {
                Ok(record) => journal.records.push(record),
                Err(error) => {
                    let place = journal.records.len() + 1;
                    return Err(journal.damaged(run, &format!(":{place} cannot be read")).because(error));
                }
            }
            journal.text.push_str(&String::from_utf8_lossy(line));
            journal.text.push('\n');
            rest = after;
        }
        journal.torn = !rest.is_empty();
        if journal.is_cut(host, run) {
            return Err(journal.damaged(run, " was cut short: the run got further than it says"));
        }
        Ok(journal)
    }

    /// Whether the run left more behind than its journal tells of: backups come after the first line, and the copy of
    /// the binary after the last backup.
    fn is_cut(&self, host: &dyn Host, run: &Run) -> bool {
        let backups = || host.list(&run.dir.join("backups")).is_ok_and(|files| !files.is_empty());
        let armed = || host.stat(&run.binary()).is_ok();
        (self.records.is_empty() && backups()) || (!self.records.contains(&Record::Prepared) && armed())
    }

    fn damaged(&self, run: &Run, what: &str) -> Failure {
        let dir = run.dir.display();
        Failure::of(crate::error::Kind::Incomplete, format!("{}{what}", self.path.display()))
            .host("as that run left it")
            .hint(format!("compare `{dir}/backups` with the host by hand, then move `{dir}` away"))
    }

    /// Adds a line and makes it durable.
    pub(super) fn record(&mut self, host: &mut dyn HostMut, record: Record) -> Result<()> {
        if self.torn {
            self.mend(host)?;
        }
        let mut line = serde_json::to_string(&record).map_err(|error| Failure::new("journal").because(error))?;
        line.push('\n');
        // Until it is durable the file may hold half of it: the next line then starts with a whole file.
        self.torn = true;
        host.append(&self.path, line.as_bytes()).at("written", &self.path)?;
        host.sync(&self.path).at("synced", &self.path)?;
        self.torn = false;
        self.text.push_str(&line);
        self.records.push(record);
        Ok(())
    }

    /// Replaces a file that ends in half a line: a line behind it would make the whole journal unreadable.
    fn mend(&mut self, host: &mut dyn HostMut) -> Result<()> {
        let whole = self.path.with_extension("new");
        if host.stat(&whole).is_ok() {
            host.remove(&whole).at("removed", &whole)?;
        }
        write_new(host, &whole, self.text.as_bytes())?;
        host.rename(&whole, &self.path).at("replaced", &self.path)?;
        sync_parent(host, &self.path)?;
        self.torn = false;
        Ok(())
    }

    /// The backups, in the order in which they were made.
    pub(super) fn backups(&self) -> impl Iterator<Item = &Saved> {
        self.records.iter().filter_map(|record| match record {
            Record::Backup(saved) => Some(saved),
            _ => None,
        })
    }

    /// What was begun, in order; rollbacks included.
    pub(super) fn begun(&self) -> impl DoubleEndedIterator<Item = &Op> {
        self.records.iter().filter_map(|record| match record {
            Record::Intent { op } => Some(op),
            _ => None,
        })
    }

    /// How the host was before the run.
    pub(super) fn before(&self) -> Option<&Snapshot> {
        self.records.iter().find_map(|record| match record {
            Record::Before(snapshot) => Some(snapshot),
            _ => None,
        })
    }
}
