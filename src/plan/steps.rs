//! The order of a plan: packages, owners and modes, the environment, audit rules, then the daemon's files with
//! live-restore first and one restart at the most.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::build::{Gathered, Inputs};
use super::change::{Act, FileChange, FileState, Fingerprint, Held, PLAN_SCHEMA, Plan, Step, Target, Undo};
use super::draft::Live;
use super::edit::daemon_json;
use super::{compose, draft, edits, expected};
use crate::audit::{Disruption, HazardFound, PendingOn};
use crate::catalog::Check;
use crate::catalog::words::hazard_name;
use crate::facts::audit_rules::{self, OWN_RULES, OWN_TMPFILES, PLAIN_RULES};
use crate::facts::keys::Shape;
use crate::facts::{AuditRule, Config, Facts, Install, Origin, Version, keys};
use crate::host::Command;

/// Puts everything that was gathered into one ordered plan.
pub(super) fn assemble(inputs: &Inputs<'_>, gathered: &Gathered, held: Vec<Held>) -> Plan {
    let facts = inputs.facts;
    let sorted = Sorted::new(facts, gathered);
    let mut steps: Vec<Step> = Vec::new();
    // Without systemd a unit cannot be enabled or started, but a package can still be installed.
    let doable = |c: &Command| facts.scope.systemd || matches!(c, Command::Install { .. }) && !facts.scope.offline;
    for (command, check) in gathered.commands.iter().filter(|(c, _)| doable(c)) {
        steps.push(Step { act: Act::Run(command.clone()), checks: vec![check.clone()] });
    }
    for path in &sorted.plain {
        steps.push(file(gathered, path, None));
    }
    audit_steps(inputs, gathered, &sorted, &mut steps);
    // Before any restart: what dockerd refuses then costs none.
    steps.extend(updates(gathered, false));
    let restart = service_steps(inputs, gathered, &sorted, &mut steps);
    // After it: a manager that is to be unlocked would be locked by it.
    steps.extend(updates(gathered, true));
    let recreations = compose::recreations(facts, &gathered.draft);
    let recreates = inputs.choice.recreate && !recreations.is_empty();
    for (recreation, checks) in recreations.into_iter().filter(|_| recreates) {
        steps.push(Step { act: Act::Recreate(recreation), checks });
    }
    let interrupts = gathered.included.iter().filter_map(|c| gathered.fixes.get(c)).map(|f| f.disruption);
    let disruption = interrupts.chain(recreates.then_some(Disruption::RecreateContainers)).max();
    let (expected_containers, stopped_containers) = expected::containers(inputs, gathered, restart);
    let taken = gathered.fixes.iter().filter(|(check, _)| gathered.included.contains(*check));
    let found = evidence(taken.map(|(check, fix)| (check.clone(), fix.hazards.clone())));
    let mut plan = Plan {
        schema_version: PLAN_SCHEMA,
        tool_version: env!("CARGO_PKG_VERSION").into(),
        generated_at: crate::time::rfc3339(inputs.host.now()),
        fingerprint: fingerprint(facts, found),
        accepted: gathered.included.iter().cloned().collect(),
        steps,
        held,
        disruption: disruption.unwrap_or_default(),
        expected_containers,
        stopped_containers,
        notes: Vec::new(),
        target: target(facts, configured(facts, gathered)),
        parts: gathered.draft.parts.clone(),
        compose: compose::projects(facts, &gathered.draft),
        composed: gathered.draft.composed.iter().flat_map(|one| one.containers.iter().cloned()).collect(),
        subjects: inputs.policy.subjects.clone(),
    };
    plan.notes = expected::notes(inputs, gathered, &plan, restart);
    plan
}

/// The changes of containers, or those of the swarm.
fn updates(gathered: &Gathered, of_swarm: bool) -> impl Iterator<Item = Step> {
    let wanted = gathered.draft.live.iter().filter(move |live| live.change.of_swarm() == of_swarm);
    wanted.map(|Live { change, checks, .. }| Step {
        act: Act::Update(change.clone()),
        checks: checks.iter().cloned().collect(),
    })
}

/// The paths of the draft by what has to happen around them.
struct Sorted {
    plain: Vec<PathBuf>,
    audit: Vec<PathBuf>,
    service: Vec<PathBuf>,
    units: bool,
}

impl Sorted {
    fn new(facts: &Facts, gathered: &Gathered) -> Self {
        let flags = facts.daemon.next_argv.iter().flatten().map(|a| a.place.file.clone());
        let mut daemon: BTreeSet<PathBuf> = flags.collect();
        daemon.insert(facts.daemon.config_real_path.clone());
        daemon.insert(edits::OWN_DROP_IN.into());
        let mut sorted = Self { plain: Vec::new(), audit: Vec::new(), service: Vec::new(), units: false };
        for (path, target) in &gathered.draft.targets {
            if target.before == target.after {
                continue;
            }
            let content = matches!(&target.after, FileState::Present { content: Some(_), .. });
            sorted.units |= content && is_unit(path);
            let audit = path.starts_with("/etc/audit") || path.as_os_str() == OWN_TMPFILES;
            match (content, audit, daemon.contains(path)) {
                (true, true, _) => sorted.audit.push(path.clone()),
                (true, _, true) => sorted.service.push(path.clone()),
                _ => sorted.plain.push(path.clone()),
            }
        }
        // daemon.json last: by then the flags that it would conflict with are gone.
        sorted.service.sort_by_key(|p| *p == facts.daemon.config_real_path);
        sorted
    }
}

/// A file that systemd reads only when it is told to.
fn is_unit(path: &Path) -> bool {
    path.starts_with("/etc/systemd") && path.extension().is_some_and(|e| e == "conf" || e == "service")
}

/// The checks that systemd reads its units again for: with one of them taken back it has to once more.
fn unit_checks(gathered: &Gathered) -> Vec<String> {
    let units = gathered.draft.targets.iter().filter(|(path, target)| is_unit(path) && target.before != target.after);
    units.flat_map(|(_, target)| target.checks.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn file(gathered: &Gathered, path: &Path, interim: Option<String>) -> Step {
    let draft::Target { before, after, checks } = gathered.draft.targets[path].clone();
    let change = FileChange { path: path.to_owned(), before, after, interim, secret: false };
    Step { act: Act::File(change), checks: checks.into_iter().collect() }
}

fn audit_steps(inputs: &Inputs<'_>, gathered: &Gathered, sorted: &Sorted, steps: &mut Vec<Step>) {
    let facts = inputs.facts;
    for path in &sorted.audit {
        steps.push(file(gathered, path, None));
    }
    let is_watch =
        |check: &str| inputs.entries.iter().any(|e| e.id == check && matches!(e.check, Check::AuditWatch { .. }));
    let waits = |(check, on): (&String, &PendingOn)| *on == PendingOn::Reload && is_watch(check);
    let pending: Vec<String> =
        gathered.waiting.iter().filter(|(c, on)| waits((*c, *on))).map(|(check, _)| check.clone()).collect();
    let here = facts.scope.initial_pid_namespace && !facts.scope.offline;
    // A foreign rule that does not load stops ours behind it: loading again mends nothing.
    let blocked = facts.audit.not_loaded().is_ok_and(|missing| !missing.is_empty());
    let new: BTreeSet<String> = sorted.audit.iter().flat_map(|p| gathered.draft.targets[p].checks.clone()).collect();
    if !here || (new.is_empty() && (pending.is_empty() || blocked)) {
        return;
    }
    let expect = if blocked || facts.audit.enabled == Ok(2) { Vec::new() } else { watches(gathered, facts) };
    let checks: BTreeSet<String> = new.into_iter().chain(pending).collect();
    steps.push(Step { act: Act::LoadAuditRules { expect }, checks: checks.into_iter().collect() });
}

/// The watches of our own file as it will be, `PATH PERM` each; without rules.d what this plan appends to the one file.
fn watches(gathered: &Gathered, facts: &Facts) -> Vec<String> {
    let drafted = gathered.draft.targets.get(Path::new(OWN_RULES)).map(|t| &t.after);
    let own = match drafted {
        Some(FileState::Present { content: Some(text), .. }) => text.clone(),
        _ => facts.audit.own_file.clone().ok().flatten().unwrap_or_default(),
    };
    let appended = gathered.draft.parts.iter().filter(|part| part.path.as_os_str() == PLAIN_RULES);
    let appended = appended.flat_map(|part| match &part.undo {
        Undo::Lines { after, .. } => after.as_slice(),
        _ => &[],
    });
    let rules = own.lines().chain(appended.map(String::as_str)).filter_map(audit_rules::parse);
    rules
        .filter_map(|rule| match rule {
            AuditRule::Watch { path, perm, .. } => Some(format!("{path} {perm}")),
            AuditRule::Other(_) => None,
        })
        .collect()
}

/// The daemon's files, and what makes them effective. Says whether that is a restart.
fn service_steps(inputs: &Inputs<'_>, gathered: &Gathered, sorted: &Sorted, steps: &mut Vec<Step>) -> bool {
    let facts = inputs.facts;
    let config = &facts.daemon.config_real_path;
    let by = |wanted: Disruption| -> BTreeSet<String> {
        let fixes =
            gathered.fixes.iter().filter(|(check, fix)| gathered.included.contains(*check) && fix.disruption == wanted);
        fixes.map(|(check, _)| check.clone()).collect()
    };
    let up = facts.scope.systemd && facts.unit("docker.service").is_some_and(|u| u.active != "inactive");
    let restart_for = by(Disruption::RestartDaemon);
    let restart = up && !inputs.no_restart && !restart_for.is_empty();
    let mut reload_for = by(Disruption::Reload);
    let waits = |(check, on): (&String, &PendingOn)| {
        *on == PendingOn::Reload
            && inputs.entries.iter().any(|e| e.id == *check && matches!(e.check, Check::DaemonSetting { .. }))
    };
    reload_for.extend(gathered.waiting.iter().filter(|(c, on)| waits((*c, *on))).map(|(c, _)| c.clone()));
    let interim = interim(gathered, config).filter(|_| up && facts.daemon.info.is_ok());
    let first = interim.is_some();
    if first {
        let checks = vec!["daemon.live-restore".to_owned()];
        steps.push(Step { act: Act::LiveRestoreFirst(config.clone()), checks });
    }
    for path in &sorted.service {
        let interim = interim.clone().filter(|_| path == config);
        steps.push(file(gathered, path, interim));
    }
    if sorted.units && facts.scope.systemd {
        steps.push(Step { act: Act::DaemonReload, checks: unit_checks(gathered) });
    }
    if restart {
        steps.push(Step { act: Act::RestartDocker, checks: restart_for.into_iter().collect() });
    } else {
        if first {
            reload_for.remove("daemon.live-restore");
        }
        if up && !reload_for.is_empty() {
            let act = Act::Run(Command::Reload("docker.service".into()));
            steps.push(Step { act, checks: reload_for.into_iter().collect() });
        }
    }
    restart
}

/// daemon.json with live-restore alone, when this plan turns it on there: it is reloaded before anything restarts.
fn interim(gathered: &Gathered, config: &Path) -> Option<String> {
    let target = gathered.draft.targets.get(config)?;
    let sets = |p: &super::change::Part| {
        p.path == config && matches!(&p.undo, Undo::DaemonKey { key, .. } if key == "live-restore")
    };
    if !gathered.draft.parts.iter().any(sets) {
        return None;
    }
    let before = match &target.before {
        FileState::Present { content, .. } => content.clone().unwrap_or_default(),
        FileState::Absent => String::new(),
    };
    daemon_json::set(&before, "live-restore", &json!(true)).ok()
}

/// Whether there is a daemon.json that dockerd reads, or will be.
fn configured(facts: &Facts, gathered: &Gathered) -> bool {
    let drafted = gathered.draft.targets.get(&facts.daemon.config_real_path).map(|t| &t.after);
    let text = matches!(drafted, Some(FileState::Present { content: Some(_), .. }));
    text || matches!(facts.daemon.config, Config::Valid { .. } | Config::Missing)
}

fn target(facts: &Facts, config: bool) -> Target {
    let daemon = &facts.daemon;
    let can_validate = daemon.install == Install::System && daemon.version.as_ref().is_some_and(|v| v.numbers[0] >= 23);
    let argv = daemon.next_argv.as_ref().ok().filter(|argv| !argv.is_empty() && can_validate);
    let flag = matches!(daemon.setting("live-restore").origin, Origin::Flag(_));
    Target {
        socket: daemon.socket.clone(),
        config: config.then(|| daemon.config_real_path.clone()),
        validate_argv: argv.map(|argv| argv.iter().map(|a| a.text.clone()).collect()),
        live_restore_is_flag: flag,
    }
}

/// What decides about a plan, by name: never PIDs, boot ids or times.
pub(super) fn fingerprint(facts: &Facts, evidence: Vec<String>) -> Fingerprint {
    let client = facts.client_version.as_ref().ok().and_then(Option::as_ref);
    let audit = facts.audit.version.as_ref().ok().and_then(Option::as_ref);
    let versions = [("engine", facts.daemon.version.as_ref()), ("client", client), ("audit", audit)];
    let version = |(what, version): (&str, Option<&Version>)| Some(format!("{what} {}", version?.text));
    let setting = |key: &keys::Key| {
        let setting = facts.daemon.setting(key.name);
        // Lists and options can hold tokens, and a refusal prints what differs.
        let shown = |value: &Value| match key.shape {
            Shape::Bool | Shape::Text => value.to_string(),
            Shape::List | Shape::Map => digest(value),
        };
        let in_force = match &setting.in_force {
            Ok(Some(value)) => shown(value),
            Ok(None) => "nothing runs".into(),
            Err(_) => "unknown".into(),
        };
        setting.next.ok().map(|next| format!("{}: next {}, in force {in_force}", key.name, shown(&next)))
    };
    Fingerprint {
        machine_id: facts.scope.machine_id.clone(),
        versions: versions.into_iter().filter_map(version).collect(),
        settings: keys::KEYS.iter().filter_map(setting).collect(),
        evidence,
    }
}

fn digest(value: &Value) -> String {
    let hash = Sha256::digest(value.to_string());
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Hazard evidence by name, `CHECK HAZARD NAME` each.
pub(super) fn evidence(fixes: impl Iterator<Item = (String, Vec<HazardFound>)>) -> Vec<String> {
    let mut all = Vec::new();
    for (check, hazards) in fixes {
        for HazardFound { hazard, evidence, looked: _ } in hazards {
            all.extend(evidence.iter().map(|name| format!("{check} {} {name}", hazard_name(hazard))));
        }
    }
    all.sort();
    all.dedup();
    all
}
