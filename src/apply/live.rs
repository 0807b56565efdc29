//! Changes of containers that exist and of the swarm, through the Engine's API, and their way back.

use std::path::Path;

use serde_json::json;

use super::journal::{Journal, Op, Record};
use super::service;
use super::swarm;
use crate::catalog::ContainerSetting;
use crate::error::{Failure, Result};
use crate::facts::{Container, short};
use crate::host::{EngineError, Host, HostMut};
use crate::plan::{Act, LiveChange, LiveSetting, LiveState, Plan};

/// How a container, or the swarm, stands against a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As before it.
    Before,
    /// As after it.
    After,
    /// On the way, where only a change that was killed or failed leaves it.
    Between,
    /// Otherwise: somebody else changed it.
    Foreign(LiveState),
    /// There is no such container any more; what has its name now, if anything, is another one. This node is in another
    /// swarm, or in none.
    Gone,
}

/// Looks at a container, or at the swarm.
///
/// # Errors
/// When docker does not run, or does not answer.
pub(super) fn look(host: &dyn Host, socket: &Path, change: &LiveChange) -> Result<Standing> {
    let unknown = |why: &str| Failure::new(format!("{} cannot be looked at", change.subject())).because(why);
    // Whoever asks the socket of a stopped daemon starts it.
    if service::systemd(host) && !service::up(host) {
        return Err(unknown("docker.service does not run").hint("run `systemctl start docker.service`"));
    }
    let now = match change.after.setting() {
        LiveSetting::Swarm(setting) => swarm::now(host, socket, change, setting).map_err(|why| unknown(&why))?,
        LiveSetting::Container(setting) => {
            let path = format!("/containers/{}/json", change.id);
            let found = match host.engine(socket, &[path]).into_iter().next() {
                Some(Ok(found)) => Container::read(&found),
                Some(Err(EngineError::Status(404, _))) => return Ok(Standing::Gone),
                Some(Err(error)) => return Err(unknown(&said(error))),
                None => None,
            };
            let found = found.ok_or_else(|| unknown("its inspection makes no sense"))?;
            Some(LiveState::of(setting, &found))
        }
    };
    let Some(now) = now else { return Ok(Standing::Gone) };
    Ok(if change.passes(&now) || swarm::key_file_is_left(host, change, &now) {
        Standing::Between
    } else if change.before.reached(&now) {
        Standing::Before
    } else if change.after.reached(&now) {
        Standing::After
    } else {
        Standing::Foreign(now)
    })
}

/// Brings a container, or the swarm, to the end of a change, and looks whether it is there.
pub(super) fn set(host: &mut dyn HostMut, socket: &Path, change: &LiveChange) -> Result<()> {
    let failed = |why: &str| Failure::new(format!("{} cannot be updated", change.subject())).because(why);
    let answer = match &change.after {
        LiveState::Networks { names } => move_to(host, socket, &change.id, names),
        _ if change.of_swarm() => swarm::set(host, socket, change),
        _ => {
            let path = format!("/containers/{}/update", change.id);
            host.engine_post(socket, &path, Some(&change.after.request())).map(|_| ())
        }
    };
    // What counts is what is in force: an answer can be lost when all was done.
    match (look(host.as_host(), socket, change), answer) {
        // Without its key in the file a swarm is lost at the next restart, whatever is in force.
        (Ok(Standing::After), answer) if answer.is_ok() || !matches!(change.after, LiveState::Autolock { .. }) => {
            Ok(())
        }
        (_, Err(error)) => Err(failed(&said(error))),
        (Ok(Standing::Gone), _) => Err(failed("it is gone")),
        (Ok(Standing::Before | Standing::After), _) => Err(failed("docker took it, and nothing changed")),
        (Ok(Standing::Between), _) => Err(failed("docker took it, and did half of it")),
        (Ok(Standing::Foreign(now)), _) => Err(failed(&format!("it has {} {} now", now.what(), now.shown()))),
        (Err(error), _) => Err(error),
    }
}

/// Puts a container on these networks and on no others: first on the new ones, so that it is never on none, and its
/// published ports move when it leaves the one by which it reaches others (measured with 20.10.24 and 26.1.5).
fn move_to(host: &mut dyn HostMut, socket: &Path, id: &str, names: &[String]) -> std::result::Result<(), EngineError> {
    let found = host.engine(socket, &[format!("/containers/{id}/json")]).into_iter().next();
    let found = found.unwrap_or_else(|| Err(EngineError::Broken("no answer".into())))?;
    let now = Container::read(&found).map(|one| LiveState::of(ContainerSetting::Network, &one));
    let Some(LiveState::Networks { names: now }) = now else {
        return Err(EngineError::Broken("its inspection makes no sense".into()));
    };
    let body = json!({ "Container": id });
    let missing = names.iter().filter(|name| !now.contains(name)).map(|name| (name, "connect"));
    let leaving = now.iter().filter(|name| !names.contains(name)).map(|name| (name, "disconnect"));
    for (name, what) in missing.chain(leaving) {
        host.engine_post(socket, &format!("/networks/{name}/{what}"), Some(&body))?;
    }
    Ok(())
}

pub(super) fn said(error: EngineError) -> String {
    match error {
        EngineError::Status(status, message) => format!("docker answers {status}: {message}"),
        EngineError::Unreachable(why) | EngineError::Broken(why) => why,
    }
}

/// The changes of containers and of the swarm in a plan.
pub(super) fn updates(plan: &Plan) -> impl Iterator<Item = &LiveChange> {
    plan.steps.iter().filter_map(|step| match &step.act {
        Act::Update(change) => Some(change),
        _ => None,
    })
}

/// Compares every container, and the swarm, with the plan.
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
        let LiveChange { id, before, .. } = change;
        let subject = change.subject();
        match look(host, socket, change).map_err(|error| error.host("unchanged"))? {
            Standing::Before => {}
            Standing::Gone => differ.push(format!("{subject} ({}) is gone, or was made anew", short(id))),
            Standing::After => differ.push(line(change, before, &change.after)),
            Standing::Between => differ.push(format!("{subject}: half of it is there already")),
            Standing::Foreign(now) => differ.push(line(change, before, &now)),
        }
    }
    if differ.is_empty() {
        return Ok(());
    }
    let what = if updates(plan).any(|change| !change.of_swarm()) { "containers" } else { "the swarm" };
    let failure = Failure::refused(format!("{what} changed after the plan was made"));
    let failure = differ.into_iter().fold(failure, Failure::because);
    Err(failure.host("unchanged").hint("run `seaworthy plan` and review the new one"))
}

fn line(change: &LiveChange, planned: &LiveState, found: &LiveState) -> String {
    let subject = change.subject();
    format!("{subject}: {} planned on {}, found {}", planned.what(), planned.shown(), found.shown())
}

/// One change of a container, or of the swarm, that a rollback takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveUndo {
    /// The way back.
    pub(super) back: LiveChange,
    /// Also from a state that is not the run's: it was shown, and forced.
    pub(super) from: Option<LiveState>,
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
    /// Sets it back. Answers with what a person has to look at.
    pub(super) fn reach(&self, host: &mut dyn HostMut, socket: &Path, journal: &mut Journal) -> Result<Option<String>> {
        let LiveUndo { back, from } = self;
        match look(host.as_host(), socket, back)? {
            Standing::After => return Ok(None),
            Standing::Gone => return Ok(Some(format!("{} went away meanwhile", back.subject()))),
            Standing::Foreign(now) if from.as_ref() != Some(&now) => {
                return Ok(Some(format!("{} was changed by someone else meanwhile", back.subject())));
            }
            Standing::Before | Standing::Between | Standing::Foreign(_) => {}
        }
        // The journal that cannot be written does not stop it; both ends of the change are known from the run.
        let _ = journal.record(host, Record::Intent { op: Op::Update { change: back.reversed() } });
        set(host, socket, back).map(|()| None)
    }
}
