//! What a fix interrupts, what it would hurt on this host, and what stands in its way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::build::{Choice, Gathered, Inputs};
use super::change::{Fingerprint, Plan};
use super::compose::{self, Writing};
use super::edits;
use super::hazard::{self, Change, Situation};
use super::live::LiveSetting;
use super::proposal::{Obstacle, Proposal, proposals};
use super::steps;
use crate::audit::{self, Disruption, Finding, HazardFound};
use crate::catalog::{Edit, Entry, Hazard, Object};
use crate::facts::{self, Facts, Origin, keys};
use crate::policy::{self, Policy};

/// What is known of one fixable check.
#[derive(Clone, Debug)]
pub(super) struct Fix {
    pub(super) disruption: Disruption,
    pub(super) hazards: Vec<HazardFound>,
    /// What has to be done first: with this nobody can accept the hazards.
    pub(super) obstacle: Option<String>,
    /// What each failing container gets.
    pub(super) containers: Vec<Proposal>,
    /// What is written into the compose files of failing containers.
    pub(super) composed: Vec<Writing>,
    /// There is a compose that can make them anew.
    pub(super) compose: bool,
}

impl Fix {
    /// What it interrupts when it is done whole, containers made anew with it.
    pub(super) fn interrupts(&self) -> Disruption {
        let recreates = self.recreates().then_some(Disruption::RecreateContainers);
        recreates.into_iter().fold(self.disruption, Disruption::max)
    }

    /// Whether containers have to be made anew for it to hold.
    pub(super) fn recreates(&self) -> bool {
        self.composed.iter().any(|one| one.edits.is_ok())
    }

    /// Whether a hazard is no more than that containers are made anew.
    pub(super) fn is_recreation(&self, found: &HazardFound) -> bool {
        found.hazard == Hazard::StopsContainers && self.recreates()
    }

    /// What would include it: a flag, or what has to be done first.
    pub(super) fn flag(&self, check: &str) -> String {
        let (recreates, all) = (self.recreates(), self.hazards.iter().all(|found| self.is_recreation(found)));
        match &self.obstacle {
            Some(first) => first.clone(),
            None if recreates && !self.compose => format!("--accept {check}"),
            None if recreates && all => "--recreate".into(),
            None if recreates => format!("--accept {check} --recreate"),
            None => format!("--accept {check}"),
        }
    }

    /// Of its hazards, what is about one container, where it is known by container.
    pub(super) fn own(&self, id: &str) -> Option<Vec<HazardFound>> {
        let live = self.containers.iter().find(|one| one.id == id).map(|one| one.own(&self.hazards));
        live.or_else(|| self.composed.iter().find(|one| one.id == id).map(|one| one.own(&self.hazards)))
    }
}

/// The hazards of a plan's checks on the host as it is now, one `CHECK HAZARD NAME` each, as in its fingerprint.
pub fn evidence(inputs: &Inputs<'_>, plan: &Plan) -> Vec<String> {
    // What is known of containers that the plan was not asked about is no reason to refuse it.
    let policy = Policy { subjects: plan.subjects.clone(), ..inputs.policy.clone() };
    let inputs = &Inputs { policy: &policy, choice: Choice::automatic(), ..*inputs };
    let mut gathered = Gathered { included: plan.accepted.iter().cloned().collect(), ..Gathered::default() };
    let planned = |e: &&&Entry| plan.accepted.contains(&e.id);
    let entries: Vec<&&Entry> = inputs.entries.iter().filter(planned).collect();
    gathered.restart_keys = entries.iter().flat_map(|e| settings(e)).map(str::to_owned).collect();
    let fixes = entries.iter().map(|e| (e.id.clone(), assess(inputs, inputs.facts, e, &gathered)));
    steps::evidence(fixes.map(|(check, fix)| (check, fix.hazards)))
}

/// What a plan would be compared with now.
pub fn fingerprint(inputs: &Inputs<'_>, plan: &Plan) -> Fingerprint {
    let evidence = evidence(inputs, plan);
    steps::fingerprint(inputs.facts, evidence)
}

/// What fixing a check interrupts, and what it would hurt here.
pub(super) fn assess(inputs: &Inputs<'_>, facts: &Facts, entry: &Entry, gathered: &Gathered) -> Fix {
    let disruption = disruption(facts, entry);
    let (containers, composed) = containers(inputs, entry);
    let mut change = Change {
        check: entry.id.clone(),
        edits: entry.remediation.edits.iter().map(|edit| kept(inputs, facts, edit)).collect(),
        files: files(facts, entry).into_iter().chain(compose::targets(&composed)).collect(),
        // A pending change is judged by what it will hurt when it takes effect, so --no-restart silences nothing.
        restart: disruption >= Disruption::RestartDaemon,
        daemon_reload: reloads_units(facts, entry),
        live_restore_first: live_restore_first(inputs, gathered),
        together: gathered.restart_keys.iter().cloned().collect(),
        values: BTreeMap::new(),
        containers,
        composed,
        own_history: inputs.put_back.to_vec(),
    };
    let keys: Vec<String> = change.keys().map(str::to_owned).collect();
    change.values = keys.iter().filter_map(|key| Some((key.clone(), inputs.policy.value(key)?))).collect();
    let situation = Situation { host: inputs.host, facts, workload: &inputs.facts.workload, change: &change };
    let hazards = hazard::look(&situation, &entry.remediation.hazards);
    let obstacle = obstacle(inputs, entry, &hazards)
        .or_else(|| no_container(&change.containers))
        .or_else(|| compose::nothing_possible(&change.composed).filter(|_| !change.composed.is_empty()))
        .or_else(|| hazard::in_the_way(&situation));
    let compose = inputs.facts.workload.compose.is_some();
    Fix { disruption, hazards, obstacle, containers: change.containers, composed: change.composed, compose }
}

/// An edit as this site makes it.
fn kept(inputs: &Inputs<'_>, facts: &Facts, edit: &Edit) -> Edit {
    match edit {
        Edit::DaemonSetting { key, value: Some(value) } => {
            let value = edits::kept(inputs.policy, facts, key, value);
            Edit::DaemonSetting { key: key.clone(), value: Some(value) }
        }
        edit => edit.clone(),
    }
}

/// What the containers get that fail the check now, or the swarm.
fn containers(inputs: &Inputs<'_>, entry: &Entry) -> (Vec<Proposal>, Vec<Writing>) {
    let about = |edit: &Edit| LiveSetting::of(edit).is_some() || matches!(edit, Edit::Compose(_));
    if !entry.remediation.edits.iter().any(about) {
        return (Vec::new(), Vec::new());
    }
    let findings = audit::audit(&[entry], inputs.facts, inputs.policy);
    let failing: Vec<&Finding> = findings.iter().filter(|finding| !finding.waived).collect();
    let live = proposals(inputs.host, inputs.facts, inputs.policy, entry, &failing);
    (live, compose::writings(inputs.facts, inputs.policy, entry, &failing))
}

/// Where not one of the containers can be changed, what has to be done first.
fn no_container(proposals: &[Proposal]) -> Option<String> {
    let obstacles: Option<Vec<&Obstacle>> = proposals.iter().map(|one| one.change.as_ref().err()).collect();
    obstacles?.first().map(|obstacle| obstacle.first.clone())
}

/// A value cannot be accepted, only given; and nobody can keep containers running through a move of the data root.
fn obstacle(inputs: &Inputs<'_>, entry: &Entry, hazards: &[HazardFound]) -> Option<String> {
    if hazards.iter().any(|h| h.hazard == Hazard::NeedsValue) && settings(entry).next().is_some() {
        let key = settings(entry).find(|key| inputs.policy.value(key).is_none());
        return key.map(|key| format!("set `{key}` under [values] in {}", policy::CONFIG));
    }
    // The fix that takes the trouble away has no such hazard; for all others it comes first.
    let broken = hazards.iter().any(|h| h.hazard == Hazard::BreaksStartup);
    if broken && inputs.facts.daemon.next_start_fails().is_some() {
        return Some("mend daemon.config first, or the next start of docker fails".into());
    }
    let moves = settings(entry).any(|key| key == "userns-remap");
    let running = inputs.facts.workload.running().is_ok_and(|all| !all.is_empty());
    (moves && running).then(|| "stop the running containers first: they would be lost from view".to_owned())
}

/// Whether this plan turns live-restore on by a reload, before anything restarts. A flag needs the restart itself.
pub(super) fn live_restore_first(inputs: &Inputs<'_>, gathered: &Gathered) -> bool {
    gathered.included.contains("daemon.live-restore")
        && !matches!(inputs.facts.daemon.setting("live-restore").origin, Origin::Flag(_))
}

/// The settings of the daemon that an entry writes.
pub(super) fn settings(entry: &Entry) -> impl Iterator<Item = &str> {
    entry.remediation.edits.iter().filter_map(|edit| match edit {
        Edit::DaemonSetting { key, .. } | Edit::DaemonSettingRemove { key } => Some(key.as_str()),
        _ => None,
    })
}

/// The settings of the daemon that an entry changes here: it may write several, some of which are good already.
fn changed_settings<'e>(facts: &'e Facts, entry: &'e Entry) -> impl Iterator<Item = &'e str> {
    entry.remediation.edits.iter().filter_map(|edit| {
        let (key, value) = match edit {
            Edit::DaemonSetting { key, value } => (key, value.as_ref()),
            Edit::DaemonSettingRemove { key } => (key, None),
            _ => return None,
        };
        let setting = facts.daemon.setting(key);
        let good = value.is_some() && setting.next.as_ref().ok() == value && !setting.conflict;
        (!good).then_some(key.as_str())
    })
}

/// What a fix interrupts: a restart, unless the key is one that dockerd reloads and it is set in daemon.json.
fn disruption(facts: &Facts, entry: &Entry) -> Disruption {
    let changed: Vec<&str> = changed_settings(facts, entry).collect();
    // Nothing left to write: what waits for a restart is judged by all that it writes.
    let keys = if changed.is_empty() { settings(entry).collect() } else { changed };
    let each = keys.into_iter().map(|key| {
        let flag = matches!(facts.daemon.setting(key).origin, Origin::Flag(_));
        let reload = keys::find(key).is_some_and(|k| k.reload) && !flag;
        if reload { Disruption::Reload } else { Disruption::RestartDaemon }
    });
    each.max().unwrap_or_default()
}

/// A flag in a unit file takes a daemon-reload; one in an environment file does not.
fn reloads_units(facts: &Facts, entry: &Entry) -> bool {
    let in_unit = |key: &str| match facts.daemon.setting(key).origin {
        Origin::Flag(place) => place.vendor || place.variable.is_none(),
        Origin::File | Origin::Default => false,
    };
    // Enabling a unit, installing one, and a drop-in for the socket make systemd read its units again too.
    let audit_missing = matches!(facts.audit.version, Ok(None));
    let else_read = |edit: &Edit| match edit {
        Edit::Auditd => true,
        Edit::AuditWatch { .. } => audit_missing,
        Edit::FileAccess { object, .. } => *object == Object::Named("docker-socket".into()),
        _ => false,
    };
    settings(entry).any(in_unit) || entry.remediation.edits.iter().any(else_read)
}

/// The files that a fix would change, as far as that is known before.
fn files(facts: &Facts, entry: &Entry) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = settings(entry)
        .filter_map(|key| match facts.daemon.setting(key).origin {
            Origin::Flag(place) if place.vendor => None,
            Origin::Flag(place) => Some(place.file),
            Origin::File | Origin::Default => Some(facts.daemon.config_path.clone()),
        })
        .collect();
    for edit in &entry.remediation.edits {
        match edit {
            Edit::Environment { .. } => files.push("/etc/environment".into()),
            Edit::AuditWatch { .. } => files.push(facts::audit_rules::OWN_RULES.into()),
            Edit::FileAccess { object, .. } => {
                let located = facts.objects.get(object).and_then(|o| o.as_ref().ok());
                files.extend(located.into_iter().flatten().map(|l| l.path.clone()));
            }
            Edit::AuditNeverTask => {
                let rules = facts.audit.files.iter().flatten().filter(|r| r.rule.is_never_task());
                files.extend(rules.map(|r| r.file.clone()));
            }
            Edit::DaemonSetting { .. }
            | Edit::DaemonSettingRemove { .. }
            | Edit::Auditd
            | Edit::Container(_)
            | Edit::Swarm(_)
            | Edit::Compose(_) => {}
        }
    }
    files
}
