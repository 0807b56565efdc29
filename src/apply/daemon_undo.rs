//! Taking daemon.json back without losing a container.
//!
//! A daemon that starts without live-restore kills the containers that the one before it left running, and one that
//! stops without it kills them too. So live-restore is in force around every restart, and goes last, by reload.
//! Deleting a reloadable key does not unset it: its old value is written, reloaded and confirmed, and only then
//! the old bytes come back, without a reload.

use serde_json::{Map, Value};

use super::goal::Goal;
use super::hazards;
use super::image::{Access, Image, look};
use super::io::At;
use super::journal::{Journal, Op, Record};
use super::prepare::changes;
use super::replace;
use super::service::{self, Container, DOCKER};
use super::store::Run;
use super::waiting::{AFTER_RELOAD, Waiting, Wanted};
use crate::error::{Failure, Result};
use crate::facts::keys;
use crate::host::{Command, HostMut};
use crate::plan::{FileState, Plan, Undo};

/// What the services need once the files are back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// docker.service was restarted with what goes.
    pub(super) restart: bool,
    /// docker.service was reloaded with what goes.
    pub(super) reload: bool,
    /// The same for keys other than live-restore.
    pub(super) values: bool,
}

/// A copy of daemon.json with live-restore set; only ever in force for seconds, so its form does not matter. `None`:
/// the text is not a JSON object.
pub(super) fn with_live_restore(text: &str, value: bool) -> Option<String> {
    let bare = text.trim_start_matches('\u{feff}');
    let mut object: Map<String, Value> =
        if bare.trim().is_empty() { Map::new() } else { serde_json::from_str(bare).ok()? };
    object.insert("live-restore".into(), value.into());
    serde_json::to_string_pretty(&object).ok().map(|text| text + "\n")
}

/// A copy of daemon.json in which each of the reloadable keys stands, with its default where nobody sets it. `None`: the
/// text is not a JSON object.
fn with_defaults<'k>(text: &str, keys: impl Iterator<Item = &'k str>) -> Option<String> {
    let bare = text.trim_start_matches('\u{feff}');
    let mut object: Map<String, Value> =
        if bare.trim().is_empty() { Map::new() } else { serde_json::from_str(bare).ok()? };
    // A null would be no value: dockerd reads it as if the key were not there.
    for key in keys.filter(|key| keys::find(key).is_some_and(|known| known.reload) && !keys::default(key).is_null()) {
        object.entry(key).or_insert_with(|| keys::default(key));
    }
    serde_json::to_string_pretty(&object).ok().map(|text| text + "\n")
}

fn wants_live_restore(text: &str) -> bool {
    let value: Option<Value> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok();
    value.and_then(|value| value.get("live-restore")?.as_bool()).unwrap_or(false)
}

/// A rollback that reaches the daemon.
pub(super) struct DaemonUndo<'a, 'w> {
    pub(super) host: &'a mut dyn HostMut,
    pub(super) run: &'a Run,
    pub(super) journal: &'a mut Journal,
    pub(super) plan: &'a Plan,
    /// daemon.json, when the run changed it.
    pub(super) goal: Option<&'a Goal>,
    pub(super) waiting: Waiting<'w>,
    /// What a person has to look at.
    pub(super) left: Vec<String>,
    /// Sentences for the report.
    pub(super) notes: Vec<String>,
    /// The run was finished: a stopped daemon is someone's wish, not our doing.
    pub(super) finished: bool,
}

impl<'a> DaemonUndo<'a, '_> {
    /// Brings daemon.json to its goal and the daemon to what it says.
    pub(super) fn undo(&mut self, needs: Needs) -> Result<()> {
        let here = service::systemd(self.host.as_host());
        if !here || needs == Needs::default() {
            return self.exact();
        }
        let was = self.journal.before().map(|before| before.active.clone()).unwrap_or_default();
        let now = service::unit(self.host.as_host(), DOCKER)?.active;
        if was == "failed" || (was == "inactive" && now != "active") {
            // A daemon that did not run before has nothing to go back to; what runs now is not killed for it.
            self.exact()?;
            if now == "active" {
                self.notes.push("docker.service did not run before: it keeps what it has until its next start".into());
            }
            return Ok(());
        }
        if now != "active" && (!needs.restart || (self.finished && now == "inactive")) {
            return self.exact();
        }
        if needs.restart && !self.restarted() {
            self.restart()?;
        } else {
            if self.live_restore_goes() {
                self.set_live_restore(false)?;
            }
            if needs.values && !needs.restart {
                self.old_values()?;
            }
        }
        self.exact()
    }

    /// Reloads the values that reloadable keys had, those that nobody had set included: written out, they hold.
    fn old_values(&mut self) -> Result<()> {
        let Some(goal) = self.goal else { return Ok(()) };
        let access = goal.image.access().unwrap_or(Access { mode: 0o644, uid: 0, gid: 0 });
        let set = self.plan.parts.iter().filter(|part| part.path == goal.path).filter_map(|part| match &part.undo {
            Undo::DaemonKey { key, .. } => Some(key.as_str()),
            _ => None,
        });
        let Some(text) = with_defaults(&goal.text(), set) else { return Ok(()) };
        goal.write(self.host, self.run, self.journal, text.as_bytes(), access)?;
        self.note(Record::Intent { op: Op::Reload });
        service::command(self.host, &Command::Reload(DOCKER.into()))?;
        self.host.sleep(AFTER_RELOAD);
        Ok(())
    }

    /// The restart of this rollback was already seen through, by a process that died afterwards.
    fn restarted(&self) -> bool {
        let since = self.journal.records.iter().rposition(|record| {
            !matches!(record, Record::Intent { .. } | Record::Done { .. } | Record::RollbackStart { .. })
        });
        let tail = self.journal.records.iter().skip(since.map_or(0, |at| at + 1));
        tail.rev().find_map(|record| match record {
            Record::Done { op: Op::Restart { .. } } => Some(true),
            Record::Intent { op: Op::Restart { .. } } => Some(false),
            _ => None,
        }) == Some(true)
    }

    /// Whether live-restore is a key that we may write, and has to go in the end.
    fn live_restore_goes(&self) -> bool {
        let target = &self.plan.target;
        let before = self.journal.before();
        !target.live_restore_is_flag
            && before.and_then(|before| before.swarm) != Some(true)
            && self.goal.is_some_and(|goal| !wants_live_restore(&goal.text()))
    }

    fn restart(&mut self) -> Result<()> {
        if self.switches_userns() {
            return self.restart_elsewhere();
        }
        let host = self.host.as_host();
        let up = service::up(host);
        let in_force = service::live_restore(host, self.waiting.socket);
        let bracket = self.live_restore_goes() && self.transient(true)?;
        if bracket {
            if up && in_force == Some(false) {
                self.host_reload(true)?;
            }
        } else {
            self.exact()?;
            if up && in_force == Some(false) && self.goal.is_some_and(|goal| wants_live_restore(&goal.text())) {
                self.host_reload(true)?;
            }
        }
        let wanted = self.wanted();
        let op = Op::Restart { running: wanted.containers.clone() };
        self.note(Record::Intent { op: op.clone() });
        if bracket && !self.is_transient(true)? {
            return Err(Failure::new("daemon.json was changed by someone else meanwhile"));
        }
        let missing = self.waiting.restart(self.host, &wanted)?;
        self.left.extend(missing);
        self.note(Record::Done { op });
        if bracket {
            self.set_live_restore(false)?;
        }
        Ok(())
    }

    fn switches_userns(&self) -> bool {
        self.goal.is_some_and(|goal| hazards::switches_userns(self.host.as_host(), std::slice::from_ref(goal)))
    }

    /// A restart into another data root: a daemon that starts there does not find the containers of this one, and
    /// live-restore would leave them as orphans. They are stopped, which was accepted, or there are none.
    fn restart_elsewhere(&mut self) -> Result<()> {
        if service::live_restore(self.host.as_host(), self.waiting.socket) == Some(true) && self.live_restore_goes() {
            // Off by reload in the file as it is now: the old content comes with the restart.
            let Some(goal) = self.goal else { return self.exact() };
            let now = String::from_utf8_lossy(&self.host.read(&goal.path).at("read", &goal.path)?).into_owned();
            if let (Some(text), Some(access)) =
                (with_live_restore(&now, false), look(self.host.as_host(), &goal.path, false)?.access())
            {
                goal.write(self.host, self.run, self.journal, text.as_bytes(), access)?;
                self.host_reload(false)?;
            }
        }
        self.exact()?;
        let wanted = Wanted::from(self.journal.before(), Vec::new(), false);
        let op = Op::Restart { running: Vec::new() };
        self.note(Record::Intent { op: op.clone() });
        self.waiting.restart(self.host, &wanted)?;
        self.note(Record::Done { op });
        Ok(())
    }

    fn set_live_restore(&mut self, value: bool) -> Result<()> {
        if service::live_restore(self.host.as_host(), self.waiting.socket) != Some(value) && self.transient(value)? {
            self.host_reload(value)?;
        }
        Ok(())
    }

    fn host_reload(&mut self, value: bool) -> Result<()> {
        self.note(Record::Intent { op: Op::Reload });
        self.waiting.reload(self.host, value)
    }

    /// Writes the goal's content with live-restore set; false when that is not possible.
    fn transient(&mut self, value: bool) -> Result<bool> {
        let Some((goal, access, text)) = self.transient_text(value) else { return Ok(false) };
        if !self.is_transient(value)? {
            self.folder(goal)?;
            goal.write(self.host, self.run, self.journal, text.as_bytes(), access)?;
        }
        Ok(true)
    }

    /// The folder that the run made for daemon.json: an earlier try of this rollback can have removed it already.
    fn folder(&mut self, goal: &Goal) -> Result<()> {
        let made = changes(self.plan).find(|change| goal.path.parent() == Some(&change.path));
        let Some((path, &FileState::Present { dir: true, mode, uid, gid, .. })) =
            made.map(|change| (&change.path, &change.after))
        else {
            return Ok(());
        };
        if look(self.host.as_host(), path, false)? == Image::Absent {
            replace::make_dir(self.host, path, Access { mode, uid, gid })?;
        }
        Ok(())
    }

    fn is_transient(&self, value: bool) -> Result<bool> {
        let Some((goal, access, text)) = self.transient_text(value) else { return Ok(false) };
        Ok(look(self.host.as_host(), &goal.path, true)? == Image::file(access, text.as_bytes()))
    }

    fn transient_text(&self, value: bool) -> Option<(&'a Goal, Access, String)> {
        let goal = self.goal?;
        let access = goal.image.access().unwrap_or(Access { mode: 0o644, uid: 0, gid: 0 });
        Some((goal, access, with_live_restore(&goal.text(), value)?))
    }

    fn exact(&mut self) -> Result<()> {
        if let Some(goal) = self.goal {
            self.notes.extend(goal.reach(self.host, self.run, self.journal)?);
        }
        Ok(())
    }

    /// A journal that cannot be written does not stop a rollback.
    fn note(&mut self, record: Record) {
        let _ = self.journal.record(self.host, record);
    }

    /// The containers that run now, or that ran when the daemon was last restarted; those that do not come back are
    /// started.
    fn wanted(&self) -> Wanted {
        let host = self.host.as_host();
        let live = service::running(host, self.waiting.socket);
        let same = live.is_some() && service::live_restore(host, self.waiting.socket) == Some(true);
        let last = || {
            let of = |op: &Op| match op {
                Op::Restart { running, .. } => Some(running.clone()),
                _ => None,
            };
            let restarted = self.journal.begun().rev().find_map(of);
            restarted.or_else(|| self.journal.before()?.containers.clone())
        };
        // A run that failed may have lost some on the way: they ran when its restart began.
        let settled = |record: &Record| matches!(record, Record::Commit { .. } | Record::Applied { .. });
        let failed = !self.journal.records.iter().any(settled);
        let lost: Vec<Container> = match &live {
            Some(live) if failed => {
                let gone = |one: &Container| !live.iter().any(|other| other.id == one.id);
                last().unwrap_or_default().into_iter().filter(gone).collect()
            }
            _ => Vec::new(),
        };
        let same = same && lost.is_empty();
        let mut containers: Vec<Container> = live.or_else(last).unwrap_or_default();
        containers.extend(lost);
        // Compose may have been about to make these anew: it is run again once the daemon is up.
        let recreated: Vec<&String> = self
            .journal
            .begun()
            .flat_map(|op| match op {
                Op::Recreate { recreation, .. } => recreation.containers.iter().map(|(name, _)| name).collect(),
                _ => Vec::new(),
            })
            .collect();
        containers.retain(|one| !recreated.contains(&&one.name));
        let start = containers.iter().map(|one| (one.name.clone(), one.id.clone())).collect();
        let mut wanted = Wanted::from(self.journal.before(), containers, same);
        wanted.start = start;
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_set_is_written_out() {
        let text = with_defaults("{\"dns\": [], \"live-restore\": true}", ["debug", "icc", "live-restore"].into_iter());
        let value: Value = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!(value, serde_json::json!({"dns": [], "live-restore": true, "debug": false}));
        assert_eq!(with_defaults("[]", [].into_iter()), None);
    }

    #[test]
    fn the_transient_copy_keeps_every_other_key() {
        let text = with_live_restore("\u{feff}{\"icc\": true, \"live-restore\": true, \"dns\": [\"10.0.0.2\"]}", false);
        let value: Value = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!(value, serde_json::json!({"icc": true, "live-restore": false, "dns": ["10.0.0.2"]}));
        assert_eq!(with_live_restore(" \n", true).unwrap(), "{\n  \"live-restore\": true\n}\n");
        assert_eq!(with_live_restore("{,}", true), None);
        assert_eq!(with_live_restore("[1]", true), None);
    }
}
