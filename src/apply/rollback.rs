//! Rollback: of a failed run by itself, of a whole run or one check of it on demand. Planned, shown, journalled, and
//! safe to be killed and run again: it looks at what is there and only moves towards the backups.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::audit_rules;
use super::daemon_undo::{DaemonUndo, Needs};
use super::goal::Goal;
use super::history::{State, open_part, state};
use super::io::lock;
use super::journal::{Journal, Op, Record, Who};
use super::live::LiveUndo;
use super::partial::made_dir;
use super::progress::Progress;
use super::replace::drop_staged;
use super::rollback_plan::{RollbackPlan, draft, read};
use super::run::disarm;
use super::service::{self, command, systemd};
use super::store::{Run, Store};
use super::waiting::{Deadlines, Waiting};
use crate::error::{Failure, Kind, Result};
use crate::host::{Command, HostMut};
use crate::plan::{LiveChange, Plan, Recreation};

/// How a run is rolled back.
#[derive(Clone, Debug)]
pub struct RollbackOptions {
    /// Restores what was changed since, and goes ahead in spite of hazards.
    pub force: bool,
    /// Takes back what this check did, and nothing else.
    pub only_check: Option<String>,
    /// Does nothing unless the run is unfinished or unconfirmed, and is not held by what a restart cuts: for those who
    /// mend, such as the timer, which may fire late.
    pub only_unfinished: bool,
    /// Seconds to wait for the lock.
    pub wait_lock: u64,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// Who asked for it.
    pub who: Who,
}

/// What a rollback did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackOutcome {
    /// Id of the run.
    pub run: String,
    /// Paths that are as before again.
    pub restored: Vec<PathBuf>,
    /// Containers that were set back, and the swarm: the way that each of them went.
    pub containers: Vec<LiveChange>,
    /// Services that were made anew from their old files.
    pub recreated: Vec<Recreation>,
    /// What stays, in sentences.
    pub notes: Vec<String>,
    /// Audit rules stay in the kernel until then.
    pub reboot_required: bool,
}

/// The end of a rollback.
#[derive(Default)]
pub(super) struct Undone {
    /// What a person has to look at; the run counts as undone.
    pub(super) left: Vec<String>,
    /// What failed: the run stays unfinished, and rollback can be run again.
    pub(super) errors: Vec<Failure>,
    /// What stays, or was not perfect.
    pub(super) notes: Vec<String>,
}

impl Undone {
    /// Keeps an error and goes on: the rest of the host has to come back all the same.
    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }
}

/// Rolls a run back.
///
/// # Errors
/// `Refused`: the host is unchanged and something needs `--force`, or the run is undone already. `Incomplete`: the
/// causes say what to do by hand.
pub fn rollback(
    host: &mut dyn HostMut,
    store: &Store,
    id: &str,
    options: &RollbackOptions,
    progress: &mut dyn Progress,
) -> Result<RollbackOutcome> {
    lock(host, options.wait_lock, progress)?;
    let run = store.open(host.as_host(), id)?;
    let mut journal = Journal::open(host.as_host(), &run)?;
    let mut outcome = RollbackOutcome { run: run.id.clone(), ..RollbackOutcome::default() };
    let now = state(&journal.records);
    if !journal.records.contains(&Record::Prepared) || now == State::RolledBack {
        outcome.notes.push("nothing of it stands".into());
        return Ok(outcome);
    }
    if options.only_unfinished && now == State::Committed {
        outcome.notes.push("the run is finished: it stands".into());
        return Ok(outcome);
    }
    let check = options.only_check.as_deref();
    if check.is_some() && now == State::Unfinished && open_part(&journal.records).is_none() {
        return Err(Failure::refused(format!("run {} is unfinished: it can only be rolled back whole", run.id))
            .host("unchanged")
            .hint(format!("run `seaworthy rollback {}`", run.id)));
    }
    let (plan, draft) = read(host.as_host(), &run, &journal, check)?;
    match (options.force, options.only_unfinished) {
        (true, _) => {}
        (false, true) => draft.mends()?,
        (false, false) => draft.unforced()?,
    }
    outcome.containers = draft.live.iter().map(|undo| undo.back.clone()).collect();
    outcome.recreated = draft.services.iter().map(|undo| undo.recreation.clone()).collect();
    outcome.restored = draft.changes.iter().map(|change| change.path.clone()).collect();
    let start = Record::RollbackStart { when: host.now(), who: options.who.clone(), check: options.only_check.clone() };
    let started = journal.record(host, start);
    if draft.finished {
        started.map_err(|error| error.host("unchanged"))?;
    }
    // A run that was killed is undone even when no line can be added: the host comes before the journal.
    let undone = undo(host, &run, &mut journal, &plan, &draft, options.deadlines, progress);
    if undone.errors.is_empty() {
        close(host, &run, &mut journal, options.only_check.clone(), &undone).map_err(|error| Failure {
            kind: Kind::Incomplete,
            host: Some(format!("as before run {}, which is still open", run.id)),
            hint: Some(format!("run `seaworthy rollback {}` again once its journal can be written", run.id)),
            ..error
        })?;
    }
    finish(undone, &journal, &run, &mut outcome)?;
    outcome.notes.extend(draft.notes);
    outcome.reboot_required = draft.audit.is_some() && !host.offline() && audit_rules::locked(host.as_host());
    Ok(outcome)
}

/// The failure of a rollback on demand, if it is one.
fn finish(undone: Undone, journal: &Journal, run: &Run, outcome: &mut RollbackOutcome) -> Result<()> {
    let Undone { left, errors, notes } = undone;
    if let Some(failure) = merge(errors) {
        let failure = left.into_iter().chain(manual(journal, run)).fold(failure, Failure::because);
        return Err(failure
            .host(format!("rollback of run {} is incomplete", run.id))
            .hint(format!("run `seaworthy rollback {}` again", run.id)));
    }
    if !left.is_empty() {
        let failure = Failure::of(Kind::Incomplete, format!("run {} is rolled back, but not all is well", run.id));
        return Err(left.into_iter().fold(failure, Failure::because).host("files are as before the run"));
    }
    outcome.notes.extend(notes);
    Ok(())
}

/// Several failures as one: the first, with the others as causes.
pub(super) fn merge(errors: Vec<Failure>) -> Option<Failure> {
    let mut errors = errors.into_iter();
    let first = Failure { kind: Kind::Incomplete, ..errors.next()? };
    Some(errors.fold(first, |failure, other| {
        let failure = failure.because(&other);
        other.causes.into_iter().fold(failure, Failure::because)
    }))
}

/// Takes a run back that failed under our hands. What someone else wrote meanwhile is left and named.
pub(super) fn undo_all(
    host: &mut dyn HostMut,
    run: &Run,
    journal: &mut Journal,
    plan: &Plan,
    who: Who,
    deadlines: Deadlines,
    progress: &mut dyn Progress,
) -> Result<Undone> {
    let when = host.now();
    // The host comes before the journal: what was done is undone even when no line can be added.
    let _ = journal.record(host, Record::RollbackStart { when, who, check: None });
    let mut draft = draft(host.as_host(), run, journal, plan, None)?;
    let foreign: Vec<_> = draft.changed_since.iter().map(|one| one.path.clone()).collect();
    draft.goals.retain(|goal| !foreign.contains(&goal.path));
    let containers = std::mem::take(&mut draft.containers_since);
    draft.live.retain(|undo| undo.from.is_none());
    let config_is_foreign = plan.target.config.as_ref().is_some_and(|config| foreign.contains(config));
    if config_is_foreign {
        // A start on someone else's daemon.json, without live-restore, would kill containers.
        draft.needs = Needs::default();
    }
    let mut undone = undo(host, run, journal, plan, &draft, deadlines, progress);
    undone.left.extend(foreign.iter().map(|path| format!("{} was changed by someone else meanwhile", path.display())));
    undone.left.extend(containers);
    if config_is_foreign {
        undone.left.push("docker.service was left as it is".into());
    }
    if undone.errors.is_empty() {
        // The host is as before. That the journal does not say so costs another rollback, which finds nothing to do.
        if let Err(error) = close(host, run, journal, None, &undone) {
            let why = std::iter::once(error.message).chain(error.causes).collect::<Vec<_>>().join(": ");
            undone.notes.push(format!("{why}; run `seaworthy rollback {}` once it can be", run.id));
        }
    }
    Ok(undone)
}

fn close(
    host: &mut dyn HostMut,
    run: &Run,
    journal: &mut Journal,
    check: Option<String>,
    undone: &Undone,
) -> Result<()> {
    let whole = check.is_none();
    let closed = journal.record(host, Record::RollbackDone { check, left: undone.left.clone() });
    if whole {
        // Also when no line can be added: the host is as before, and the timer would restart the daemon for nothing.
        disarm(host, journal, &[run.timer(), run.confirm_timer()]);
    }
    closed
}

/// Does what was planned: files, daemon, audit rules, services, directories.
fn undo(
    host: &mut dyn HostMut,
    run: &Run,
    journal: &mut Journal,
    plan: &Plan,
    draft: &RollbackPlan,
    deadlines: Deadlines,
    progress: &mut dyn Progress,
) -> Undone {
    let mut done = Undone::default();
    for saved in journal.backups().map(|saved| saved.path.clone()).collect::<Vec<_>>() {
        let dropped = drop_staged(host, &saved, &run.id);
        done.keep(dropped);
    }
    let config = plan.target.config.as_ref();
    // A directory that the run made goes last, when what it made inside is gone.
    let (dirs, files): (Vec<&Goal>, Vec<&Goal>) = draft.goals.iter().partition(|goal| made_dir(plan, &goal.path));
    for goal in files.iter().filter(|goal| Some(&goal.path) != config) {
        progress.step(&format!("restore {}", goal.path.display()));
        let note = goal.reach(host, run, journal);
        done.notes.extend(done_note(&mut done.errors, note));
    }
    if draft.daemon_reload && systemd(host.as_host()) {
        let reloaded = command(host, &Command::DaemonReload);
        done.keep(reloaded);
    }
    if !done.errors.is_empty() && draft.needs.restart && service::up(host.as_host()) {
        // A daemon that runs is not restarted on files of which half are old and half are new.
        done.errors.push(Failure::new("docker.service was left as it runs"));
        return done;
    }
    if draft.needs != Needs::default() {
        progress.step("bring docker.service back");
    }
    // A swarm that is locked after the restart cannot be changed back by it any more.
    let up = service::up(host.as_host());
    let (early, late): (Vec<&LiveUndo>, Vec<&LiveUndo>) = draft.live.iter().partition(|one| up && one.back.of_swarm());
    set_back(host, &early, &plan.target.socket, journal, progress, &mut done);
    if !done.errors.is_empty() && !early.is_empty() && draft.needs.restart {
        done.errors.push(Failure::new("docker.service was left as it runs: its start could lock the swarm"));
        return done;
    }
    let waiting = Waiting { socket: &plan.target.socket, deadlines, interrupt: None, progress: &mut *progress };
    let goal = files.iter().find(|goal| Some(&goal.path) == config).copied();
    let (left, notes) = (Vec::new(), Vec::new());
    let finished = draft.finished;
    let mut daemon =
        DaemonUndo { host: &mut *host, run, journal: &mut *journal, plan, goal, waiting, left, notes, finished };
    let undone = daemon.undo(draft.needs);
    done.left.append(&mut daemon.left);
    done.notes.append(&mut daemon.notes);
    done.keep(undone);
    set_back(host, &late, &plan.target.socket, journal, progress, &mut done);
    for undo in &draft.services {
        let Recreation { service, project, .. } = &undo.recreation;
        progress.step(&format!("make service {service} of project {project} anew"));
        let mut waiting = Waiting { socket: &plan.target.socket, deadlines, interrupt: None, progress: &mut *progress };
        let made = undo.reach(host, journal, &mut waiting);
        done.keep(made);
    }
    let unloaded = unload_rules(host, journal, draft);
    done.notes.extend(done_note(&mut done.errors, unloaded).into_iter().flatten());
    for undo in draft.disable.iter().filter(|_| systemd(host.as_host())).collect::<Vec<_>>() {
        let ran = command(host, undo);
        done.keep(ran);
    }
    for goal in dirs {
        let note = goal.reach(host, run, journal);
        done.notes.extend(done_note(&mut done.errors, note));
    }
    done
}

/// Sets containers, or the swarm, back.
fn set_back(
    host: &mut dyn HostMut,
    updates: &[&LiveUndo],
    socket: &Path,
    journal: &mut Journal,
    progress: &mut dyn Progress,
    done: &mut Undone,
) {
    for update in updates {
        progress.step(&format!("set {} of {} back", update.back.after.what(), update.back.subject()));
        let left = update.reach(host, socket, journal);
        done.left.extend(done_note(&mut done.errors, left));
    }
}

/// The note of something that worked; else its error is kept.
fn done_note<T>(errors: &mut Vec<Failure>, result: Result<Option<T>>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok().flatten()
}

fn unload_rules(host: &mut dyn HostMut, journal: &Journal, draft: &RollbackPlan) -> Result<Option<Vec<String>>> {
    let Some(expect) = draft.audit.as_ref().filter(|_| !host.offline()) else { return Ok(None) };
    let before = journal.before().and_then(|before| before.audit_rules.clone()).unwrap_or_default();
    audit_rules::unload(host, expect, &before, !draft.finished).map(Some)
}

/// What a person can type when a rollback could not be completed.
pub(super) fn manual(journal: &Journal, run: &Run) -> Vec<String> {
    let begun: Vec<_> = journal.begun().collect();
    let mut lines = Vec::new();
    for saved in journal.backups() {
        let path = saved.path.display();
        if !begun.iter().any(|op| matches!(op, Op::Path { path, .. } if *path == saved.path)) {
            continue;
        }
        lines.push(match (saved.image.access(), &saved.file) {
            (None, _) => format!("by hand: rm {path}"),
            (Some(to), Some(file)) => {
                let backup = run.dir.join(file);
                format!("by hand: install -m {:04o} -o {} -g {} {} {path}", to.mode, to.uid, to.gid, backup.display())
            }
            (Some(to), None) => format!("by hand: chown {}:{} {path} && chmod {:04o} {path}", to.uid, to.gid, to.mode),
        });
    }
    let updates = begun.iter().filter_map(|op| if let Op::Update { change } = op { Some(change) } else { None });
    lines.extend(updates.rev().map(|change| format!("by hand: {}", change.reversed().command())));
    let recreated =
        begun.iter().filter_map(|op| if let Op::Recreate { recreation, .. } = op { Some(recreation) } else { None });
    let up: BTreeSet<String> = recreated.map(|recreation| format!("by hand: {}", recreation.command())).collect();
    lines.extend(up);
    if begun.iter().any(|op| matches!(op, Op::Restart { .. } | Op::Reload)) {
        lines.push(
            "by hand: keep \"live-restore\": true in daemon.json while containers run, or the start kills them".into(),
        );
        lines.push("by hand: systemctl reset-failed docker.service docker.socket".into());
        lines.push("by hand: systemctl start docker.service".into());
    }
    lines
}
