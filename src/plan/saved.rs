//! A saved plan is a claim: what is carried out is what is planned on this host now, if that is the same.

use std::collections::BTreeSet;

use super::build::{Choice, Inputs, plan};
use super::change::{Act, FileChange, Plan};
use crate::catalog::Entry;
use crate::error::{Failure, Result};
use crate::policy::Policy;

/// Plans anew what a saved plan says that it does, and answers with that: a plan file can choose among the checks of
/// the catalogue, and accept what they would hurt, but it cannot say what is written or run for them. `inputs` are
/// those of all checks.
///
/// # Errors
/// Refuses a plan that would do something else; the causes say where.
pub fn vetted(saved: &Plan, inputs: &Inputs<'_>) -> Result<Plan> {
    let chosen: BTreeSet<String> = saved.accepted.iter().cloned().collect();
    // A check that only waits for a step is named by that step alone.
    let named =
        |entry: &&&Entry| chosen.contains(&entry.id) || saved.steps.iter().any(|step| step.checks.contains(&entry.id));
    let entries: Vec<&Entry> = inputs.entries.iter().filter(named).copied().collect();
    let policy = Policy { subjects: saved.subjects.clone(), ..inputs.policy.clone() };
    let recreate = saved.steps.iter().any(|step| matches!(step.act, Act::Recreate(_)));
    let choice = Choice { recreate, ..Choice::only(chosen) };
    let no_restart = !saved.steps.iter().any(|step| step.act == Act::RestartDocker);
    let here = plan(&Inputs { entries: &entries, policy: &policy, choice, no_restart, ..*inputs }).plan;
    let differs = differs(saved, &here);
    if differs.is_empty() {
        return Ok(Plan { held: saved.held.clone(), ..here });
    }
    let failure = Failure::refused(
        "the plan does what no plan of seaworthy's does here: it was edited, or made with another configuration",
    );
    let failure = differs.into_iter().fold(failure, Failure::because);
    Err(failure.host("unchanged").hint("make it anew with `seaworthy plan --out FILE`"))
}

/// Where two plans do not do the same, in words; the content of files is not repeated.
fn differs(saved: &Plan, here: &Plan) -> Vec<String> {
    let mut differs = Vec::new();
    let act = |act: &Act| match act {
        Act::File(FileChange { path, .. }) => format!("change of {}", path.display()),
        Act::Run(command) => format!("`{command}`"),
        Act::LiveRestoreFirst(path) => format!("live-restore first in {}", path.display()),
        Act::LoadAuditRules { .. } => "load of the audit rules".into(),
        Act::Update(change) => format!("update of {}", change.told()),
        Act::DaemonReload => "reload of systemd's units".into(),
        Act::RestartDocker => "restart of docker".into(),
        Act::Recreate(recreation) => format!("recreation of {}", recreation.told()),
    };
    let only = |a: &Plan, b: &Plan, whose: &str| {
        let other = a.steps.iter().filter(|step| !b.steps.contains(step)).map(|step| act(&step.act));
        other.map(|what| format!("{whose}: {what}")).collect::<Vec<_>>()
    };
    differs.extend(only(saved, here, "only in the plan file"));
    differs.extend(only(here, saved, "only planned here"));
    let same = [
        ("the checks", saved.accepted == here.accepted),
        ("the order of the steps", !differs.is_empty() || saved.steps == here.steps),
        ("the daemon that it is about", saved.target == here.target),
        ("the containers whose compose files it changes", saved.composed == here.composed),
        ("what each check does to a shared file", saved.parts == here.parts),
    ];
    differs.extend(same.iter().filter(|(_, same)| !same).map(|(what, _)| format!("not as planned here: {what}")));
    differs
}
