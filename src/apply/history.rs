//! What was done, when, by whom, and what of it still stands.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::compose;
use super::compose_undo;
use super::goal::{Goal, Standing as PathStanding, whole};
use super::journal::{Journal, Op, Record, Who};
use super::live::{self, Standing};
use super::store::{PLAN, Store};
use crate::error::Result;
use crate::host::Host;
use crate::plan::{LiveChange, Plan, Recreation};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// It ended before anything was changed.
    Unchanged,
    /// It, or its rollback, was killed: something has to undo it.
    Unfinished,
    /// It waits to be confirmed.
    Unconfirmed {
        /// Seconds since the epoch.
        until: i64,
    },
    /// It stands.
    Committed,
    /// All of it was undone.
    RolledBack,
    /// It was undone, and something was left for a person to look at.
    Incomplete,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "without changes",
            Self::Unfinished => "unfinished",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Committed => "committed",
            Self::RolledBack => "rolled back",
            Self::Incomplete => "rolled back incompletely",
        })
    }
}

/// The state that a journal tells of.
pub(super) fn state(records: &[Record]) -> State {
    let mut settled = State::Unchanged;
    let mut part_open = false;
    for record in records {
        match record {
            Record::Prepared => settled = State::Unfinished,
            Record::Applied { confirm_by } => settled = State::Unconfirmed { until: *confirm_by },
            Record::Commit { .. } => settled = State::Committed,
            Record::RollbackStart { check, .. } => match check {
                Some(_) => part_open = true,
                None if settled == State::Unchanged => {}
                None => settled = State::Unfinished,
            },
            // The rest of the run is as it was before one check of it was undone.
            Record::RollbackDone { check: Some(_), .. } => part_open = false,
            Record::RollbackDone { check: None, .. } if settled == State::Unchanged => {}
            Record::RollbackDone { check: None, left } => {
                part_open = false;
                settled = if left.is_empty() { State::RolledBack } else { State::Incomplete };
            }
            Record::Start { .. }
            | Record::Backup(_)
            | Record::Before(_)
            | Record::Armed { .. }
            | Record::Intent { .. }
            | Record::Done { .. } => {}
        }
    }
    if part_open { State::Unfinished } else { settled }
}

/// The check whose rollback was killed, where the rest of the run stands.
pub(super) fn open_part(records: &[Record]) -> Option<String> {
    records.iter().rev().find_map(|record| match record {
        Record::RollbackStart { check, .. } => Some(check.clone()),
        Record::Commit { .. } | Record::Applied { .. } | Record::RollbackDone { .. } => Some(None),
        _ => None,
    })?
}

/// A run that something has to undo, or the undoing of one check that has to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Id of the run.
    pub run: String,
    /// The one check whose rollback was killed; `None`: the whole run has to be undone.
    pub check: Option<String>,
}

/// The run that was killed, if there is one: the newest. One whose time to be confirmed has passed counts too, as
/// its timer did not outlive a boot.
///
/// # Errors
/// When the runs cannot be read.
pub fn unfinished(host: &dyn Host, store: &Store) -> Result<Option<Unfinished>> {
    for id in store.list(host)?.into_iter().rev() {
        let journal = Journal::open(host, &store.open(host, &id)?)?;
        match state(&journal.records) {
            State::Unfinished => {}
            State::Unconfirmed { until } if host.now() > until => {}
            _ => continue,
        }
        return Ok(Some(Unfinished { run: id, check: open_part(&journal.records) }));
    }
    Ok(None)
}

/// One path of a run, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathNow {
    /// The path.
    pub path: PathBuf,
    /// `stands`, `undone`, or `changed since: ` and what it is now.
    pub now: String,
}

/// One container of a run, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainerNow {
    /// What was done to it, in words.
    pub change: String,
    /// As of a path; or that it is gone.
    pub now: String,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// Its id.
    pub id: String,
    /// When it began, seconds since the epoch.
    pub when: i64,
    /// Who asked for it.
    pub who: Who,
    /// The command line.
    pub args: Vec<String>,
    /// Version of seaworthy that made it.
    pub tool_version: String,
    /// How it ended.
    pub state: State,
    /// Checks that it was for.
    pub checks: Vec<String>,
    /// Checks of it that were undone one by one.
    pub undone: Vec<String>,
    /// The paths that it changed, and how they are now.
    pub paths: Vec<PathNow>,
    /// The containers that it changed, and the swarm, and how they are now.
    pub containers: Vec<ContainerNow>,
    /// Services were restarted, reloaded or changed, rules loaded.
    pub services: bool,
}

/// All runs, oldest first. A run whose journal cannot be read is an error: nobody knows what it did.
///
/// # Errors
/// When the runs cannot be read.
pub fn list(host: &dyn Host, store: &Store) -> Result<Vec<RunSummary>> {
    let mut runs = Vec::new();
    for id in store.list(host)? {
        runs.extend(summary(host, store, &id)?);
    }
    Ok(runs)
}

/// One run; `None` when it ended before its journal began.
///
/// # Errors
/// When it cannot be read.
pub fn summary(host: &dyn Host, store: &Store, id: &str) -> Result<Option<RunSummary>> {
    let run = store.open(host, id)?;
    let journal = Journal::open(host, &run)?;
    let Some(Record::Start { who, when, args, tool_version, .. }) = journal.records.first() else { return Ok(None) };
    let plan: Option<Plan> = run.read(host, PLAN).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut checks: Vec<String> = Vec::new();
    for check in plan.iter().flat_map(|plan| &plan.steps).flat_map(|step| &step.checks) {
        if !checks.contains(check) {
            checks.push(check.clone());
        }
    }
    let undone = journal.records.iter().filter_map(|record| match record {
        Record::RollbackDone { check, .. } => check.clone(),
        _ => None,
    });
    let ended = state(&journal.records);
    let now = |goal: Goal| {
        let standing = plan.as_ref().map(|plan| goal.standing(host, &journal, plan));
        let now = match standing {
            Some(PathStanding::There) => "undone".into(),
            // A later run can have left the same.
            Some(PathStanding::Ours) if ended == State::RolledBack => "undone".into(),
            Some(PathStanding::Ours) => "stands".into(),
            Some(PathStanding::Foreign(now)) => format!("changed since: {now}"),
            None => "unknown: the plan is damaged".into(),
        };
        PathNow { path: goal.path, now }
    };
    let paths = whole(host, &run, &journal)?.into_iter().rev().map(now).collect();
    let stands = |change: &LiveChange| {
        let standing = plan.as_ref().map(|plan| live::look(host, &plan.target.socket, change));
        let now = match standing {
            Some(Ok(Standing::Before)) => "undone".into(),
            Some(Ok(Standing::After)) => "stands".into(),
            Some(Ok(Standing::Between)) => "half done".into(),
            Some(Ok(Standing::Foreign(now))) => format!("changed since: {}", now.shown()),
            Some(Ok(Standing::Gone)) => {
                format!("the {} is gone", if change.of_swarm() { "swarm" } else { "container" })
            }
            Some(Err(failure)) => format!("unknown: {}", failure.causes.join("; ")),
            None => "unknown: the plan is damaged".into(),
        };
        ContainerNow { change: change.told(), now }
    };
    let remade = |recreation: &Recreation| {
        let members = plan.as_ref().map(|plan| compose::members(host, &plan.target.socket, recreation));
        let now = match members {
            _ if ended == State::RolledBack => "undone".into(),
            Some(Ok(members)) if members.iter().any(|one| one.container.running) => "stands".into(),
            Some(Ok(_)) => "the service does not run".into(),
            Some(Err(failure)) => format!("unknown: {}", failure.causes.join("; ")),
            None => "unknown: the plan is damaged".into(),
        };
        ContainerNow { change: format!("{} made anew", recreation.told()), now }
    };
    let updated = plan.iter().flat_map(|plan| live::begun(&journal, plan, None)).rev().map(stands);
    let recreated = plan.iter().flat_map(|plan| compose_undo::begun(&journal, plan, None)).rev();
    let containers = updated.chain(recreated.map(|(recreation, _)| remade(recreation))).collect();
    Ok(Some(RunSummary {
        id: run.id.clone(),
        when: *when,
        who: who.clone(),
        args: args.clone(),
        tool_version: tool_version.clone(),
        state: ended,
        checks,
        undone: undone.collect(),
        paths,
        containers,
        services: journal.begun().any(|op| !matches!(op, Op::Path { .. } | Op::Update { .. } | Op::Recreate { .. })),
    }))
}

/// The plan of a run, as it was approved.
///
/// # Errors
/// When it cannot be read.
pub fn plan_of(host: &dyn Host, store: &Store, id: &str) -> Result<Plan> {
    super::rollback_plan::read_plan(host, &store.open(host, id)?)
}
