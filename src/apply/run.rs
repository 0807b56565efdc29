//! The engine of a run: lock, compare, back up, change, verify, commit; or take it all back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::backup;
use super::compose;
use super::history::{State, state, unfinished};
use super::image::Image;
use super::io::{At, lock, write_new};
use super::journal::{JOURNAL_SCHEMA, Journal, Op, Record, Who};
use super::prepare::{about_content, changes, drift, validate_all};
use super::progress::{Interrupt, Progress};
use super::rollback::{Undone, manual, merge, undo_all};
use super::service::{command, snapshot, systemd};
use super::store::{Run, Store};
use super::waiting::Deadlines;
use crate::error::{Failure, Kind, Result};
use crate::host::{Command, Host, HostMut, MAX_FILE};
use crate::plan::{Act, LiveChange, Plan, Recreation};

/// Looks at the host and answers with what it finds: new hazard evidence, or what is not as planned. Empty: all well.
pub type Look<'a> = &'a mut dyn FnMut(&dyn Host) -> Result<Vec<String>>;

/// How a plan is applied.
pub struct ApplyOptions<'a> {
    /// Leaves restarts out; the outcome says that one is needed.
    pub no_restart: bool,
    /// Undoes the run unless it is confirmed within so many seconds.
    pub confirm_within: Option<u64>,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// Who asked for it.
    pub who: Who,
    /// The command line, for the journal.
    pub args: Vec<String>,
    /// New hazard evidence, asked just before the first restart.
    pub detect: Look<'a>,
    /// The audit again, asked when everything is done: what is not as planned.
    pub verify: Look<'a>,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Id of the run.
    pub run: String,
    /// Slugs of the checks that it is for.
    pub applied: Vec<String>,
    /// Paths that it changed.
    pub changed: Vec<PathBuf>,
    /// Containers that it changed.
    pub containers: Vec<LiveChange>,
    /// Services that it made anew.
    pub recreated: Vec<Recreation>,
    /// What is written but not in force, and why.
    pub pending: Vec<String>,
    /// The daemon has to be restarted for some of it.
    pub restart_required: bool,
    /// The host has to boot for some of it.
    pub reboot_required: bool,
    /// Commands that a person has to run: nothing here runs services.
    pub by_hand: Vec<String>,
    /// Seconds since the epoch until which `seaworthy confirm RUN` keeps it.
    pub confirm_by: Option<i64>,
    /// Sentences for the report.
    pub notes: Vec<String>,
}

/// A run under way.
pub(super) struct Engine<'a, 'o> {
    pub(super) host: &'a mut dyn HostMut,
    pub(super) run: Run,
    pub(super) journal: Journal,
    pub(super) plan: &'a Plan,
    pub(super) options: &'a mut ApplyOptions<'o>,
    pub(super) progress: &'a mut dyn Progress,
    pub(super) interrupt: &'a Interrupt,
    /// What each path has to be when the next step comes.
    pub(super) now: BTreeMap<PathBuf, Image>,
    pub(super) outcome: Outcome,
    pub(super) armed: bool,
    pub(super) detected: bool,
}

/// Applies a plan: all of it, or nothing.
///
/// # Errors
/// `Refused` and `Failed`: the host is unchanged. `RolledBack`: it was changed and is as before again. `Incomplete`:
/// it could not be brought back; the causes say what to do by hand.
pub fn apply(
    host: &mut dyn HostMut,
    store: &Store,
    plan: &Plan,
    options: &mut ApplyOptions,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Outcome> {
    lock(host, 0, progress)?;
    no_open_run(host.as_host(), store)?;
    if options.confirm_within.is_some() && !systemd(host.as_host()) {
        return Err(Failure::refused("`--confirm-within` needs systemd, which does not run here").host("unchanged"));
    }
    let now = drift(host.as_host(), plan)?;
    if plan.is_empty() {
        return Ok(Outcome::default());
    }
    let (run, journal) = begin(host, store, plan, options).map_err(|error| error.host("unchanged"))?;
    progress.step(&format!("run {}", run.id));
    let outcome = Outcome { run: run.id.clone(), ..Outcome::default() };
    let mut engine =
        Engine { host, run, journal, plan, options, progress, interrupt, now, outcome, armed: false, detected: false };
    match engine.all() {
        Ok(()) => Ok(engine.outcome),
        Err(error) => Err(engine.take_back(error)),
    }
}

/// Refuses while an earlier run is neither done nor undone.
fn no_open_run(host: &dyn Host, store: &Store) -> Result<()> {
    if let Some(open) = unfinished(host, store)? {
        return Err(Failure::refused(format!("run {} did not finish", open.run))
            .host("unchanged by this run")
            .hint(format!("run `seaworthy rollback {}`", open.run)));
    }
    for id in store.list(host)? {
        let journal = Journal::open(host, &store.open(host, &id)?)?;
        if let State::Unconfirmed { .. } = state(&journal.records) {
            return Err(Failure::refused(format!("run {id} waits to be confirmed"))
                .host("unchanged by this run")
                .hint(format!("run `seaworthy confirm {id}` or `seaworthy rollback {id}`")));
        }
    }
    Ok(())
}

/// The directory, the plan and the first line of the journal, all durable.
fn begin(host: &mut dyn HostMut, store: &Store, plan: &Plan, options: &ApplyOptions) -> Result<(Run, Journal)> {
    let text = serde_json::to_vec_pretty(plan).map_err(|error| Failure::new("plan").because(error))?;
    if text.len() as u64 > MAX_FILE {
        return Err(Failure::refused("the plan is too large: a rollback could not read it"));
    }
    let run = store.create(host)?;
    write_new(host, &run.plan(), &text)?;
    let start = Record::Start {
        schema: JOURNAL_SCHEMA,
        run: run.id.clone(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        who: options.who.clone(),
        when: host.now(),
        args: options.args.clone(),
    };
    let journal = Journal::begin(host, &run, start)?;
    Ok((run, journal))
}

impl Engine<'_, '_> {
    fn all(&mut self) -> Result<()> {
        self.back_up()?;
        validate_all(self.host, &self.run, self.plan)?;
        compose::as_written(self.host, &self.run, self.plan)?;
        self.journal.record(self.host, Record::Prepared)?;
        for step in &self.plan.steps {
            self.interrupted()?;
            if !self.armed && !matches!(step.act, Act::Run(Command::Install { .. })) {
                self.arm()?;
            }
            self.step(step)?;
            for check in &step.checks {
                if !self.outcome.applied.contains(check) {
                    self.outcome.applied.push(check.clone());
                }
            }
        }
        self.interrupted()?;
        self.progress.step("audit again");
        let wrong = (self.options.verify)(self.host.as_host())?;
        if !wrong.is_empty() {
            let mut failure = Failure::new("audit after the changes does not find what was planned");
            failure.causes = wrong;
            return Err(failure);
        }
        self.interrupted()?;
        self.commit()
    }

    fn interrupted(&self) -> Result<()> {
        if self.interrupt.load(Ordering::SeqCst) { Err(Failure::new("interrupted")) } else { Ok(()) }
    }

    /// Backs up every path of the plan, and how services were, before anything is changed.
    fn back_up(&mut self) -> Result<()> {
        self.progress.step("back up");
        let mut paths = BTreeMap::<PathBuf, bool>::new();
        for change in changes(self.plan) {
            *paths.entry(change.path.clone()).or_default() |= about_content(change);
        }
        let mut saved = Vec::new();
        for (number, (path, content)) in paths.iter().enumerate() {
            saved.push(backup::save(self.host, &self.run, number, path, *content)?);
        }
        let dir = self.run.dir.join("backups");
        self.host.sync(&dir).at("synced", &dir)?;
        self.host.sync(&self.run.dir).at("synced", &self.run.dir)?;
        for one in saved {
            // The backup is what rollback restores: it has to be what the plan was compared with.
            if self.now.get(&one.path).is_none_or(|now| !now.covers(&one.image)) {
                return Err(Failure::refused(format!("{} changes while it is backed up", one.path.display())));
            }
            self.journal.record(self.host, Record::Backup(one))?;
        }
        let units = self.plan.steps.iter().filter_map(|step| match &step.act {
            Act::Run(Command::Enable(unit) | Command::Start(unit)) => Some(unit.clone()),
            _ => None,
        });
        let before = snapshot(self.host.as_host(), &self.plan.target.socket, &units.collect::<Vec<_>>());
        self.journal.record(self.host, Record::Before(before))
    }

    /// Arms the timer that undoes this run should we die: a copy of ourselves, as the binary may be replaced.
    fn arm(&mut self) -> Result<()> {
        self.armed = true;
        if !systemd(self.host.as_host()) {
            return Ok(());
        }
        let binary = self.run.binary();
        self.host.copy_self(&binary).at("written", &binary)?;
        self.host.sync(&binary).at("synced", &binary)?;
        let (unit, seconds) = (self.run.timer(), self.longest());
        self.arm_timer(unit, seconds)
    }

    fn arm_timer(&mut self, unit: String, seconds: u64) -> Result<()> {
        self.journal.record(self.host, Record::Armed { unit: unit.clone() })?;
        let argv = vec![
            self.run.binary().display().to_string(),
            "rollback".into(),
            self.run.id.clone(),
            "--yes".into(),
            "--only-unfinished".into(),
        ];
        command(self.host, &Command::ArmTimer { unit, seconds, argv }).map(|_| ())
    }

    /// The longest that this run and its own rollback can take: the timer must not fire while we are at work.
    fn longest(&self) -> u64 {
        let limits = self.options.deadlines;
        let restart = limits.restart + 2 * limits.window + 30;
        let of = |act: &Act| match act {
            Act::RestartDocker => restart,
            Act::LiveRestoreFirst(_) => limits.reload + 10,
            Act::LoadAuditRules { .. } => 60,
            Act::Run(Command::Install { .. }) => 1800,
            // As long as the Engine may take for its answer.
            Act::Update(_) => 70,
            // As long as compose may take, and its service to be well.
            Act::Recreate(_) => 2 * (300 + limits.service + limits.window) + 60,
            Act::File(_) | Act::Run(_) | Act::DaemonReload => 10,
        };
        self.plan.steps.iter().map(|step| of(&step.act)).sum::<u64>() + restart + 2 * limits.reload + 240
    }

    /// The run stands: from here on the timer undoes it no more, or only when nobody confirms it.
    fn commit(&mut self) -> Result<()> {
        let when = self.host.now();
        if let Some(seconds) = self.options.confirm_within {
            self.arm_timer(self.run.confirm_timer(), seconds)?;
            let confirm_by = when + i64::try_from(seconds).unwrap_or(i64::MAX - when);
            self.journal.record(self.host, Record::Applied { confirm_by })?;
            self.outcome.confirm_by = Some(confirm_by);
        } else {
            self.journal.record(self.host, Record::Commit { when })?;
        }
        // Should this fail, the timer finds a finished run and leaves it alone.
        disarm(self.host, &self.journal, &[self.run.timer()]);
        Ok(())
    }

    /// Undoes what was done and says how the host stands.
    fn take_back(self, error: Failure) -> Failure {
        let Self { host, run, mut journal, plan, options, progress, .. } = self;
        let installs = |op: &Op| matches!(op, Op::Run { command: Command::Install { .. } });
        let changed = journal.begun().any(|op| !installs(op));
        let unchanged = if journal.begun().any(installs) { "unchanged, but for packages" } else { "unchanged" };
        progress.step("roll back");
        let who = options.who.clone();
        let undone = undo_all(host, &run, &mut journal, plan, who, options.deadlines, progress);
        let (mut left, notes) = match undone {
            Ok(Undone { left, errors, notes }) => {
                let failed = merge(errors).into_iter().flat_map(|error| {
                    std::iter::once(format!("rollback: {error}")).chain(error.causes.clone()).collect::<Vec<_>>()
                });
                (left.into_iter().chain(failed).collect::<Vec<_>>(), notes)
            }
            Err(second) => (vec![format!("rollback: {second}")], second.causes),
        };
        if !changed && left.is_empty() {
            return notes.into_iter().fold(error, Failure::because).host(unchanged);
        }
        if left.is_empty() {
            let kind = if error.kind == Kind::Refused { Kind::Refused } else { Kind::RolledBack };
            let failure = notes.into_iter().fold(Failure { kind, ..error }, Failure::because);
            return failure.host(format!("rolled back (run {})", run.id));
        }
        left.extend(manual(&journal, &run));
        left.into_iter()
            .fold(Failure { kind: Kind::Incomplete, ..error }, Failure::because)
            .host(format!("rollback of run {} is incomplete", run.id))
            .hint(format!("run `seaworthy rollback {}`", run.id))
    }
}

/// Disarms those of these timers that were armed. Not a failure: an armed timer leaves a finished run alone.
pub(super) fn disarm(host: &mut dyn HostMut, journal: &Journal, timers: &[String]) {
    for timer in timers {
        let armed = journal.records.iter().any(|record| matches!(record, Record::Armed { unit } if unit == timer));
        if armed {
            let _ = host.run(&Command::DisarmTimer(timer.clone()));
        }
    }
}

/// Keeps a run that would be undone unless confirmed.
///
/// # Errors
/// When the run does not wait for it.
pub fn confirm(host: &mut dyn HostMut, store: &Store, id: &str, progress: &mut dyn Progress) -> Result<()> {
    lock(host, 0, progress)?;
    let run = store.open(host.as_host(), id)?;
    let mut journal = Journal::open(host.as_host(), &run)?;
    match state(&journal.records) {
        State::Unconfirmed { .. } => {}
        State::Committed => return Ok(()),
        other => {
            return Err(Failure::refused(format!("run {} is {other}: there is nothing to confirm", run.id)));
        }
    }
    let when = host.now();
    journal.record(host, Record::Commit { when })?;
    disarm(host, &journal, &[run.timer(), run.confirm_timer()]);
    Ok(())
}
