//! Rollback: of a failed run by itself, of a whole run or one check of it on demand. Planned, shown, journalled, and
//! safe to be killed and run again: it looks at what is there and only moves towards the backups.

use std::path::PathBuf;

use super::audit_rules;
use super::daemon_undo::{DaemonUndo, Needs};
use super::goal::{Goal, Standing, whole};
use super::history::{State, open_part, state};
use super::image::Image;
use super::io::{At, lock};
use super::journal::{Journal, Op, Record, Who};
use super::partial::{self, KeyEdit};
use super::progress::Progress;
use super::replace::drop_staged;
use super::run::disarm;
use super::service::{Deadlines, Waiting, command, describe, systemd};
use super::store::{Run, Store};
use crate::error::{Failure, Kind, Result};
use crate::host::{Command, Host, HostMut};
use crate::plan::{Act, FileChange, FileState, Plan};

/// How a run is rolled back.
#[derive(Clone, Debug)]
pub struct RollbackOptions {
    /// Restores what was changed since, and goes ahead in spite of hazards.
    pub force: bool,
    /// Takes back what this check did, and nothing else.
    pub only_check: Option<String>,
    /// Does nothing unless the run is unfinished or unconfirmed: for the timer, which may fire late.
    pub only_unfinished: bool,
    /// Seconds to wait for the lock.
    pub wait_lock: u64,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// Who asked for it.
    pub who: Who,
    /// Sets (`Some`) or removes (`None`) a key of daemon.json without touching anything else.
    pub edit_key: KeyEdit,
}

/// What a rollback would do.
#[derive(Clone, Debug)]
pub struct RollbackPlan {
    /// Id of the run.
    pub run: String,
    /// Paths: `before` is now, `after` as it will be. Content that is not UTF-8 is shown with replacements.
    pub changes: Vec<FileChange>,
    /// Commands, in order, as a person would type them.
    pub actions: Vec<String>,
    /// Paths that were changed since; they need `--force`.
    pub changed_since: Vec<ChangedSince>,
    /// What would be hurt, with names; needs `--force`.
    pub held: Vec<String>,
    /// What stays.
    pub notes: Vec<String>,
    pub(super) goals: Vec<Goal>,
    needs: Needs,
    audit: Option<Vec<String>>,
    daemon_reload: bool,
    disable: Vec<Command>,
}

/// A path that is no longer what the run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSince {
    /// The path.
    pub path: PathBuf,
    /// Before the run.
    pub before: String,
    /// As the run left it.
    pub ours: String,
    /// Now.
    pub now: String,
}

/// What a rollback did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackOutcome {
    /// Id of the run.
    pub run: String,
    /// Paths that are as before again.
    pub restored: Vec<PathBuf>,
    /// What stays, in sentences.
    pub notes: Vec<String>,
}

/// The end of a rollback.
pub(super) struct Undone {
    /// What a person has to look at.
    pub(super) left: Vec<String>,
    notes: Vec<String>,
}

/// Plans a rollback: of the whole run, or of one check.
///
/// # Errors
/// When the run or its journal cannot be read, or the check's share cannot be told from others'.
pub fn plan_rollback(
    host: &dyn Host,
    store: &Store,
    id: &str,
    check: Option<&str>,
    edit_key: KeyEdit,
) -> Result<RollbackPlan> {
    let run = store.open(host, id)?;
    let journal = Journal::open(host, &run)?;
    if !journal.records.contains(&Record::Prepared) {
        // Nothing was changed, and the plan itself may be half written.
        return Ok(RollbackPlan::empty(&run));
    }
    let plan = read_plan(host, &run)?;
    draft(host, &run, &journal, &plan, check, edit_key)
}

pub(super) fn read_plan(host: &dyn Host, run: &Run) -> Result<Plan> {
    let text = host.read(&run.plan()).at("read", &run.plan())?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::of(Kind::Incomplete, format!("{} is damaged", run.plan().display())).because(error))
}

fn draft(
    host: &dyn Host,
    run: &Run,
    journal: &Journal,
    plan: &Plan,
    check: Option<&str>,
    edit_key: KeyEdit,
) -> Result<RollbackPlan> {
    let mut draft = RollbackPlan::empty(run);
    let concerns = |act: &dyn Fn(&Act) -> bool| {
        plan.steps
            .iter()
            .any(|step| act(&step.act) && check.is_none_or(|check| step.checks.iter().any(|one| one == check)))
    };
    draft.goals = match check {
        None => whole(host, run, journal)?,
        Some(check) => partial::goals(host, run, journal, plan, check, edit_key)?,
    };
    for op in journal.begun() {
        match op {
            Op::Restart { socket, .. } if concerns(&|act| matches!(act, Act::RestartDocker | Act::RestartSocket)) => {
                draft.needs.restart = true;
                draft.needs.socket |= *socket;
            }
            Op::Reload if concerns(&|act| matches!(act, Act::LiveRestoreFirst(_))) => draft.needs.reload = true,
            Op::LoadAuditRules if concerns(&|act| matches!(act, Act::LoadAuditRules { .. })) => {
                draft.audit = Some(partial::watches(plan, check));
            }
            Op::DaemonReload if concerns(&|act| *act == Act::DaemonReload) => draft.daemon_reload = true,
            Op::Run { command } => draft.service(journal, plan, command, check),
            _ => {}
        }
    }
    draft.describe(host, journal, plan);
    if matches!(state(&journal.records), State::Committed | State::Unconfirmed { .. }) {
        draft.held = partial::hazards(host, plan, &draft.goals, draft.needs.restart);
    }
    Ok(draft)
}

impl RollbackPlan {
    fn empty(run: &Run) -> Self {
        Self {
            run: run.id.clone(),
            changes: Vec::new(),
            actions: Vec::new(),
            changed_since: Vec::new(),
            held: Vec::new(),
            notes: Vec::new(),
            goals: Vec::new(),
            needs: Needs::default(),
            audit: None,
            daemon_reload: false,
            disable: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.actions.is_empty()
    }

    /// How a command of the plan is taken back.
    fn service(&mut self, journal: &Journal, plan: &Plan, done: &Command, check: Option<&str>) {
        let alone = plan
            .steps
            .iter()
            .filter(|step| step.act == Act::Run(done.clone()))
            .all(|step| check.is_none_or(|check| step.checks.iter().all(|one| one == check)));
        if !alone {
            return;
        }
        let before = journal.before().map(|before| &before.units);
        let was = |unit: &str| before.and_then(|units| units.get(unit)).cloned().unwrap_or_default();
        match done {
            Command::Enable(unit) if was(unit).0 == "disabled" => self.disable.push(Command::Disable(unit.clone())),
            // auditd refuses to be stopped by systemd, and a host without it is worse off.
            Command::Start(unit) if unit == "auditd.service" && was(unit).1 != "active" => {
                self.notes.push("auditd.service keeps running until the next boot".into());
            }
            Command::Start(unit) if was(unit).1 == "inactive" => self.disable.push(Command::Stop(unit.clone())),
            Command::Install { argv } => self.notes.push(format!("packages stay: {}", argv.join(" "))),
            _ => {}
        }
    }

    /// Fills in what is shown.
    fn describe(&mut self, host: &dyn Host, journal: &Journal, plan: &Plan) {
        for goal in &self.goals {
            let standing = goal.standing(host, journal, plan);
            if standing == Standing::There {
                continue;
            }
            let planned = super::prepare::changes(plan).filter(|change| change.path == goal.path).last();
            if let Standing::Foreign(now) = standing {
                let ours = planned.map(|change| Image::planned(&change.after, &goal.image).to_string());
                let before = goal.image.to_string();
                let ours = ours.unwrap_or_default();
                self.changed_since.push(ChangedSince { path: goal.path.clone(), before, ours, now });
            }
            self.changes.push(FileChange {
                path: goal.path.clone(),
                before: shown(host, goal),
                after: goal.state(),
                interim: None,
                secret: planned.is_some_and(|change| change.secret),
            });
        }
        let mut actions = Vec::new();
        if self.daemon_reload {
            actions.push(Command::DaemonReload);
        }
        if self.needs.restart {
            actions.push(Command::Restart(super::service::DOCKER.into()));
        } else if self.needs.reload {
            actions.push(Command::Reload(super::service::DOCKER.into()));
        }
        if self.audit.is_some() {
            actions.push(Command::LoadAuditRules);
        }
        actions.extend(self.disable.iter().cloned());
        self.actions = actions.iter().map(describe).collect();
    }
}

impl Goal {
    fn state(&self) -> FileState {
        let Some(access) = self.image.access() else { return FileState::Absent };
        let content = self.bytes.as_ref().map(|_| self.text());
        FileState::Present { dir: self.is_dir(), mode: access.mode, uid: access.uid, gid: access.gid, content }
    }
}

/// The host's path in the form of a plan.
fn shown(host: &dyn Host, goal: &Goal) -> FileState {
    let Ok(stat) = host.stat(&goal.path) else { return FileState::Absent };
    let content = if goal.reads() { host.read(&goal.path).ok() } else { None };
    FileState::Present {
        dir: stat.kind == crate::host::FileKind::Dir,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        content: content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
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
    let plan = read_plan(host.as_host(), &run)?;
    let draft = draft(host.as_host(), &run, &journal, &plan, check, options.edit_key)?;
    if !options.force {
        refuse(&draft)?;
    }
    outcome.restored = draft.changes.iter().map(|change| change.path.clone()).collect();
    let start = Record::RollbackStart { when: host.now(), who: options.who.clone(), check: options.only_check.clone() };
    journal.record(host, start).map_err(|error| error.host("unchanged"))?;
    let undone = undo(host, &run, &mut journal, &plan, &draft, options.deadlines, progress);
    let undone = undone.and_then(|undone| {
        close(host, &run, &mut journal, options.only_check.clone(), &undone)?;
        Ok(undone)
    });
    match undone {
        Ok(Undone { left, notes }) if left.is_empty() => {
            outcome.notes.extend(draft.notes);
            outcome.notes.extend(notes);
            Ok(outcome)
        }
        Ok(Undone { left, .. }) => {
            let failure = Failure::of(Kind::Incomplete, format!("run {} is rolled back, but not all is well", run.id));
            Err(left.into_iter().fold(failure, Failure::because).host("files are as before the run"))
        }
        Err(error) => {
            let failure = Failure { kind: Kind::Incomplete, ..error };
            Err(manual(&journal, &run)
                .into_iter()
                .fold(failure, Failure::because)
                .host(format!("rollback of run {} is incomplete", run.id)))
        }
    }
}

fn refuse(draft: &RollbackPlan) -> Result<()> {
    let (message, causes): (_, Vec<String>) = if let Some(first) = draft.changed_since.first() {
        let line = |one: &ChangedSince| {
            format!("{}: before {}, left by the run {}, now {}", one.path.display(), one.before, one.ours, one.now)
        };
        let message = format!("{} was changed since run {}", first.path.display(), draft.run);
        (message, draft.changed_since.iter().map(line).collect())
    } else if !draft.held.is_empty() {
        (format!("rollback of run {} would hurt what is there now", draft.run), draft.held.clone())
    } else {
        return Ok(());
    };
    let failure = causes.into_iter().fold(Failure::refused(message), Failure::because);
    Err(failure.host("unchanged").hint(format!("run `seaworthy rollback {} --force`", draft.run)))
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
    let mut draft = draft(host.as_host(), run, journal, plan, None, |_, _, _| Err(String::new()))?;
    let foreign: Vec<_> = draft.changed_since.iter().map(|one| one.path.clone()).collect();
    draft.goals.retain(|goal| !foreign.contains(&goal.path));
    let mut undone = undo(host, run, journal, plan, &draft, deadlines, progress)?;
    undone.left.extend(foreign.iter().map(|path| format!("{} was changed by someone else meanwhile", path.display())));
    for saved in journal.backups().map(|saved| saved.path.clone()).collect::<Vec<_>>() {
        drop_staged(host, &saved, &run.id)?;
    }
    close(host, run, journal, None, &undone)?;
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
    journal.record(host, Record::RollbackDone { check, left: undone.left.clone() })?;
    if whole {
        disarm(host, journal, &[run.timer(), run.confirm_timer()]);
    }
    Ok(())
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
) -> Result<Undone> {
    for saved in journal.backups().map(|saved| saved.path.clone()).collect::<Vec<_>>() {
        drop_staged(host, &saved, &run.id)?;
    }
    let mut done = Undone { left: Vec::new(), notes: Vec::new() };
    let config = plan.target.config.as_ref();
    // A directory that the run made goes last, when what it made inside is gone.
    let (dirs, files): (Vec<&Goal>, Vec<&Goal>) =
        draft.goals.iter().partition(|goal| super::partial::made_dir(plan, &goal.path));
    for goal in files.iter().filter(|goal| Some(&goal.path) != config) {
        progress.step(&format!("restore {}", goal.path.display()));
        done.notes.extend(goal.reach(host, run, journal)?);
    }
    if draft.daemon_reload && systemd(host.as_host()) {
        command(host, &Command::DaemonReload)?;
    }
    if draft.needs.restart || draft.needs.reload {
        progress.step("bring docker.service back");
    }
    let waiting = Waiting { socket: &plan.target.socket, deadlines, interrupt: None, progress };
    let goal = files.iter().find(|goal| Some(&goal.path) == config).copied();
    let (left, notes) = (Vec::new(), Vec::new());
    let mut daemon = DaemonUndo { host, run, journal, plan, goal, waiting, left, notes };
    daemon.undo(draft.needs)?;
    done.left.append(&mut daemon.left);
    done.notes.append(&mut daemon.notes);
    unload_rules(host, journal, draft, &mut done)?;
    for undo in draft.disable.iter().filter(|_| systemd(host.as_host())).collect::<Vec<_>>() {
        command(host, undo)?;
    }
    for goal in dirs {
        done.notes.extend(goal.reach(host, run, journal)?);
    }
    Ok(done)
}

fn unload_rules(host: &mut dyn HostMut, journal: &Journal, draft: &RollbackPlan, done: &mut Undone) -> Result<()> {
    let Some(expect) = draft.audit.as_ref().filter(|_| !host.offline()) else { return Ok(()) };
    let before = journal.before().and_then(|before| before.audit_rules.clone()).unwrap_or_default();
    done.notes.extend(audit_rules::unload(host, expect, &before)?);
    Ok(())
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
    if begun.iter().any(|op| matches!(op, Op::Restart { .. } | Op::Reload)) {
        lines.push(
            "by hand: keep \"live-restore\": true in daemon.json while containers run, or the start kills them".into(),
        );
        lines.push("by hand: systemctl reset-failed docker.service docker.socket".into());
        lines.push("by hand: systemctl start docker.service".into());
    }
    lines
}
