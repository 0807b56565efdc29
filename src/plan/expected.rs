//! What a plan expects of the containers, and what has to be said before it is approved.

use super::assess::live_restore_first;
use super::build::{Gathered, Inputs};
use super::change::{Act, Plan};
use super::compose;
use super::draft::Composed;
use super::live::LiveState;
use super::recreation::Recreation;
use crate::audit::Disruption;
use crate::audit::HazardFound;
use crate::catalog::words::hazard_name;
use crate::facts::workload::{ComposeOrigin, Return};
use crate::host::Command;

type Named = Vec<(String, String)>;

/// Containers that have to run after the plan, and those that a restart stops and that are started again, by name and
/// id.
pub(super) fn containers(inputs: &Inputs<'_>, gathered: &Gathered, restart: bool) -> (Named, Named) {
    if !restart {
        return (Vec::new(), Vec::new());
    }
    let named = |c: &crate::facts::workload::Container| (c.name.clone(), c.id.clone());
    let running = inputs.facts.workload.running().unwrap_or_default();
    let in_force = inputs.facts.daemon.setting("live-restore").in_force.is_ok_and(|v| v == Some(true.into()));
    if in_force || live_restore_first(inputs, gathered) {
        return (running.into_iter().map(named).collect(), Vec::new());
    }
    let stays = running.into_iter().filter(|c| c.returns() != Return::Lost);
    let expected: Vec<_> = stays.clone().map(named).collect();
    let stopped = stays.filter(|c| matches!(c.returns(), Return::Stays | Return::MayStay)).map(named).collect();
    (expected, stopped)
}

/// Sentences said before approval: what stays on rollback, what has to be done by hand.
pub(super) fn notes(inputs: &Inputs<'_>, gathered: &Gathered, plan: &Plan, restart: bool) -> Vec<String> {
    let scope = &inputs.facts.scope;
    let mut notes = Vec::new();
    let most =
        |least: Disruption| gathered.fixes.iter().any(|(c, f)| gathered.included.contains(c) && f.disruption >= least);
    let touches_daemon = most(Disruption::Reload);
    if gathered.included.contains("daemon.userns-remap") {
        notes.push(
            "dockerd itself creates the user and group dockremap and their ranges (/etc/passwd, /etc/group, \
             /etc/shadow, /etc/gshadow, /etc/subuid, /etc/subgid); they stay on rollback"
                .into(),
        );
        notes.push(
            "containers, images and volumes made from now on live in a data root of their own; a rollback hides them"
                .into(),
        );
    }
    if plan.steps.iter().any(|step| matches!(step.act, Act::LoadAuditRules { .. })) {
        notes.extend(rules_wait(inputs));
    }
    let installs = |step: &super::Step| matches!(step.act, Act::Run(Command::Install { .. }));
    if plan.steps.iter().any(installs) {
        notes.push("the package auditd stays installed on rollback".into());
    }
    if gathered.included.contains("image.content-trust") {
        notes.push(
            "DOCKER_CONTENT_TRUST holds from the next login on; sessions and services that run now are not changed"
                .into(),
        );
    }
    notes.extend(updates(inputs, gathered));
    notes.extend(composed(inputs, gathered));
    notes.extend(accepted(gathered, inputs.choice.recreate));
    if gathered.included.contains("daemon.no-new-privileges") {
        notes.push(
            "no-new-privileges holds for containers created from now on; those that exist stay as they are".into(),
        );
    }
    if !scope.systemd && !plan.steps.is_empty() && !scope.offline {
        notes.push("systemd does not run here: nothing takes this back by itself if seaworthy dies on the way".into());
        if touches_daemon {
            notes.push(
                "systemd does not run here: restart dockerd by hand for the daemon's settings to take effect".into(),
            );
        }
    } else if most(Disruption::RestartDaemon) && !restart && !scope.offline && scope.systemd {
        notes.push("docker.service is not restarted: what needs that waits for its next start".into());
    }
    notes
}

/// Where the values of containers come from, and what docker cannot take back.
fn updates(inputs: &Inputs<'_>, gathered: &Gathered) -> Vec<String> {
    let live = &gathered.draft.live;
    let mut notes: Vec<String> = live.iter().flat_map(|one| one.notes.clone()).collect();
    if live.iter().any(|one| one.change.before.is_unlimited_memory()) {
        notes.push(
            "a rollback gives containers all memory again, but docker then shows a limit of 4 EiB and not none: it \
             cannot take one away from a container that exists"
                .into(),
        );
    }
    if live.iter().any(|one| matches!(one.change.after, LiveState::Networks { .. })) {
        notes.push(
            "a rollback puts containers back on the default bridge, with whatever addresses are free there then; what \
             their links had in /etc/hosts comes back when they are started anew"
                .into(),
        );
    }
    for one in live {
        if let LiveState::Autolock { key_file: Some(path), .. } = &one.change.after {
            notes.push(format!(
                "{} will hold the key without which a manager that was restarted cannot be unlocked: put it where it is \
                 found then, and take it off this host",
                path.display()
            ));
        }
    }
    let systemd = inputs.facts.daemon.info.as_ref().is_ok_and(|info| info["CgroupDriver"] == "systemd");
    let free = LiveState::PidsLimit { limit: 0 };
    if systemd && live.iter().any(|one| one.change.before == free) {
        notes.push(
            "a rollback lets containers have any number of processes; the limit that systemd gave them when they were \
             started (TasksMax) does not come back"
                .into(),
        );
    }
    notes
}

/// What compose files say from now on, and when that holds.
fn composed(inputs: &Inputs<'_>, gathered: &Gathered) -> Vec<String> {
    let composed = &gathered.draft.composed;
    if inputs.facts.workload.compose.is_none() {
        let told = |one: &Composed| {
            let ComposeOrigin { project, service, .. } = &one.origin;
            format!(
                "service {service} of project {project} has to be made anew for it to hold: compose is not installed here"
            )
        };
        return composed.iter().map(told).collect();
    }
    let waiting = compose::recreations(inputs.facts, &gathered.draft).into_iter().filter(|_| !inputs.choice.recreate);
    let told = |(recreation, _): (Recreation, Vec<String>)| {
        let (what, how) = (recreation.told(), recreation.command());
        format!("{what}: what its file says now holds once it is made anew, by `--recreate` or by `{how}`")
    };
    waiting.map(told).collect()
}

/// What is done although it hurts something here: whoever accepted a check by name, or by a profile, reads it once more.
fn accepted(gathered: &Gathered, recreate: bool) -> impl Iterator<Item = String> {
    let included = gathered.fixes.iter().filter(|(check, _)| gathered.included.contains(*check));
    included.flat_map(move |(check, fix)| {
        let text = |found: &HazardFound| {
            let evidence =
                if found.evidence.is_empty() { String::new() } else { format!(": {}", found.evidence.join(", ")) };
            let looked = if found.looked { "" } else { ": could not look" };
            format!("{check} is accepted in spite of {}{looked}{evidence}", hazard_name(found.hazard))
        };
        // Where nothing is made anew, nothing is lost either.
        fix.hazards.iter().filter(|found| recreate || !fix.is_recreation(found)).map(text).collect::<Vec<_>>()
    })
}

/// Why audit rules that are written now are not in force yet, where that is known before.
fn rules_wait(inputs: &Inputs<'_>) -> Option<String> {
    let audit = &inputs.facts.audit;
    if audit.enabled == Ok(2) {
        return Some("the kernel's audit rules are locked until the next reboot: new ones wait for it".into());
    }
    let missing = audit.not_loaded().ok()?;
    let first = missing.first()?;
    let place = format!("{}:{}", first.file.display(), first.line);
    Some(format!("{place} does not load, and stops the audit rules behind it: they wait until it is mended"))
}
