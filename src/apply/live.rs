//! Changes of containers that exist, through the Engine's API, and their way back.

use std::path::Path;

use super::journal::{Journal, Op, Record};
use super::service;
use crate::error::{Failure, Result};
use crate::facts::{Container, short};
use crate::host::{EngineError, Host, HostMut};
use crate::plan::{Act, ContainerState, LiveChange, Plan};

/// How a container stands against a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As before it.
    Before,
    /// As after it.
    After,
    /// Otherwise: somebody else changed it.
    Foreign(ContainerState),
    /// There is no such container any more; what has its name now, if anything, is another one.
    Gone,
}

/// Looks at a container.
///
/// # Errors
/// When docker does not run, or does not answer.
pub(super) fn look(host: &dyn Host, socket: &Path, change: &LiveChange) -> Result<Standing> {
    let unknown = |why: &str| Failure::new(format!("container {} cannot be looked at", change.name)).because(why);
    // Whoever asks the socket of a stopped daemon starts it.
    if service::systemd(host) && !service::up(host) {
        return Err(unknown("docker.service does not run").hint("run `systemctl start docker.service`"));
    }
    let path = format!("/containers/{}/json", change.id);
    let found = match host.engine(socket, &[path]).into_iter().next() {
        Some(Ok(found)) => Container::read(&found),
        Some(Err(EngineError::Status(404, _))) => return Ok(Standing::Gone),
        Some(Err(error)) => return Err(unknown(&said(error))),
        None => None,
    };
    let found = found.ok_or_else(|| unknown("its inspection makes no sense"))?;
    let now = ContainerState::of(change.after.setting(), &found);
    Ok(if change.before.reached(&now) {
        Standing::Before
    } else if change.after.reached(&now) {
        Standing::After
    } else {
        Standing::Foreign(now)
    })
}

/// Brings a container to the end of a change, and looks whether it is there.
pub(super) fn set(host: &mut dyn HostMut, socket: &Path, change: &LiveChange) -> Result<()> {
    let failed = |why: &str| Failure::new(format!("container {} cannot be updated", change.name)).because(why);
    let path = format!("/containers/{}/update", change.id);
    let answer = host.engine_post(socket, &path, Some(&change.after.request()));
    // What counts is what is in force: an answer can be lost when all was done.
    match (look(host.as_host(), socket, change), answer) {
        (Ok(Standing::After), _) => Ok(()),
        (_, Err(error)) => Err(failed(&said(error))),
        (Ok(Standing::Gone), _) => Err(failed("it is gone")),
        (Ok(Standing::Before), _) => Err(failed("docker took it, and nothing changed")),
        (Ok(Standing::Foreign(now)), _) => Err(failed(&format!("it has {} {} now", now.what(), now.shown()))),
        (Err(error), _) => Err(error),
    }
}

fn said(error: EngineError) -> String {
    match error {
        EngineError::Status(status, message) => format!("docker answers {status}: {message}"),
        EngineError::Unreachable(why) | EngineError::Broken(why) => why,
    }
}

/// The changes of containers in a plan.
pub(super) fn updates(plan: &Plan) -> impl Iterator<Item = &LiveChange> {
    plan.steps.iter().filter_map(|step| match &step.act {
        Act::Update(change) => Some(change),
        _ => None,
    })
}

/// Compares every container with the plan.
///
/// # Errors
/// Refuses, naming each that differs or is gone.
pub(super) fn unmoved(host: &dyn Host, plan: &Plan) -> Result<()> {
    if host.offline() && updates(plan).next().is_some() {
        return Err(Failure::refused("plan changes containers, and none runs in an image").host("unchanged"));
    }
    let socket = &plan.target.socket;
    let mut differ = Vec::new();
    for change in updates(plan) {
        let LiveChange { name, id, before, after: _ } = change;
        match look(host, socket, change).map_err(|error| error.host("unchanged"))? {
            Standing::Before => {}
            Standing::Gone => differ.push(format!("container {name} ({}) is gone, or was made anew", short(id))),
            Standing::After => differ.push(line(change, before, &change.after)),
            Standing::Foreign(now) => differ.push(line(change, before, &now)),
        }
    }
    if differ.is_empty() {
        return Ok(());
    }
    let failure = Failure::refused("containers changed after the plan was made");
    let failure = differ.into_iter().fold(failure, Failure::because);
    Err(failure.host("unchanged").hint("run `seaworthy plan` and review the new one"))
}

fn line(change: &LiveChange, planned: &ContainerState, found: &ContainerState) -> String {
    format!("container {}: {} planned on {}, found {}", change.name, planned.what(), planned.shown(), found.shown())
}

/// One change of a container that a rollback takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveUndo {
    /// The way back.
    pub(super) back: LiveChange,
    /// Also from a state that is not the run's: it was shown, and forced.
    pub(super) from: Option<ContainerState>,
}

/// The changes that the journal tells of, last one first; with a check those of it alone.
pub(super) fn begun<'a>(journal: &'a Journal, plan: &Plan, check: Option<&str>) -> Vec<&'a LiveChange> {
    let undone = |one: &str| {
        let done = |record: &Record| matches!(record, Record::RollbackDone { check: Some(check), .. } if check == one);
        journal.records.iter().any(done)
    };
    // What another check needs as well stays for that one.
    let concerned = |change: &LiveChange| {
        let Some(check) = check else { return true };
        let mut steps = plan.steps.iter().filter(|step| matches!(&step.act, Act::Update(one) if one == change));
        steps.any(|step| step.checks.iter().any(|one| one == check))
            && plan
                .steps
                .iter()
                .filter(|step| matches!(&step.act, Act::Update(one) if one == change))
                .all(|step| step.checks.iter().all(|one| one == check || undone(one)))
    };
    let mut found: Vec<&LiveChange> = Vec::new();
    for op in journal.begun().rev() {
        if let Op::Update { change } = op
            && !found.contains(&change)
            && concerned(change)
        {
            found.push(change);
        }
    }
    found
}

impl LiveUndo {
    /// Sets a container back. Answers with what a person has to look at.
    pub(super) fn reach(&self, host: &mut dyn HostMut, socket: &Path, journal: &mut Journal) -> Result<Option<String>> {
        let LiveUndo { back, from } = self;
        match look(host.as_host(), socket, back)? {
            Standing::After => return Ok(None),
            Standing::Gone => return Ok(Some(format!("container {} went away meanwhile", back.name))),
            Standing::Foreign(now) if from.as_ref() != Some(&now) => {
                return Ok(Some(format!("container {} was changed by someone else meanwhile", back.name)));
            }
            Standing::Before | Standing::Foreign(_) => {}
        }
        // The journal that cannot be written does not stop it; both ends of the change are known from the run.
        let _ = journal.record(host, Record::Intent { op: Op::Update { change: back.reversed() } });
        set(host, socket, back).map(|()| None)
    }
}
