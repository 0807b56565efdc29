//! Findings to one plan, computed against the host as it will be: creating daemon.json makes its owner, mode and watch
//! checks apply, so rounds go on until nothing is added. That is what makes the second apply empty.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::change::{Fingerprint, Held, Plan};
use super::draft::Draft;
use super::edits::{self, Effects};
use super::hazard::{self, Change, Situation};
use super::steps;
use crate::audit::{self, Applicability, Disruption, Finding, HazardFound, PendingOn, Verdict};
use crate::catalog::{Check, Edit, Entry, Hazard, Object};
use crate::error::Result;
use crate::facts::workload::Workload;
use crate::facts::{self, Facts, Origin, keys};
use crate::host::{Command, Host};
use crate::policy::Policy;

/// Rounds after which the catalogue would be at fault.
const MAX_ROUNDS: usize = 6;

/// What is planned, and from what.
pub struct Inputs<'a> {
    /// The host; it should remember its answers, since it is read once a round.
    pub host: &'a dyn Host,
    /// The selected checks.
    pub entries: &'a [&'a Entry],
    /// The site's file.
    pub policy: &'a Policy,
    /// Facts of the host as it is.
    pub facts: &'a Facts,
    /// Containers, images and so on.
    pub workload: &'a Workload,
    /// Which of the fixable checks are taken.
    pub choice: Choice,
    /// Write files, but restart nothing.
    pub no_restart: bool,
    /// Paths that our last run changed and that have been put back since.
    pub put_back: &'a [PathBuf],
}

/// Which of the fixable checks are taken.
#[derive(Clone, Debug)]
pub enum Choice {
    /// All without hazards, and these.
    Automatic {
        /// Slugs that are taken with their hazards.
        accept: BTreeSet<String>,
    },
    /// Exactly these, with their hazards.
    Only(BTreeSet<String>),
    /// Exactly these, but with hazards only those of `accept`: what was shown as harmless may not be so once something
    /// else (live-restore) was declined.
    Reviewed {
        /// Slugs that are taken where they hurt nothing.
        only: BTreeSet<String>,
        /// Slugs that are taken with their hazards.
        accept: BTreeSet<String>,
    },
}

impl Choice {
    fn accepts(&self, check: &str) -> bool {
        match self {
            Self::Automatic { accept } | Self::Only(accept) | Self::Reviewed { accept, .. } => accept.contains(check),
        }
    }

    fn considers(&self, check: &str) -> bool {
        match self {
            Self::Automatic { .. } => true,
            Self::Only(only) | Self::Reviewed { only, .. } => only.contains(check),
        }
    }
}

/// A plan, and the findings with what the plan found out about them.
pub struct Planned {
    /// What would be done.
    pub plan: Plan,
    /// Findings of the host as it is.
    pub findings: Vec<Finding>,
}

/// What is known of one fixable check.
pub(super) struct Fix {
    pub(super) disruption: Disruption,
    pub(super) hazards: Vec<HazardFound>,
}

/// Everything that the rounds gather.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) draft: Draft,
    pub(super) commands: Vec<(Command, String)>,
    pub(super) fixes: BTreeMap<String, Fix>,
    pub(super) included: BTreeSet<String>,
    pub(super) held: BTreeSet<String>,
    /// Settings that take effect with the restart of this plan.
    pub(super) restart_keys: BTreeSet<String>,
    /// Checks written earlier that wait for a restart which hurts nothing here.
    pub(super) restart_for: BTreeSet<String>,
    /// Checks that were written before and only wait for something.
    pub(super) waiting: BTreeMap<String, PendingOn>,
}

/// Computes the plan.
///
/// # Errors
/// A file that has to be edited cannot be read or understood.
pub fn plan(inputs: &Inputs<'_>) -> Result<Planned> {
    let objects = audit::objects(inputs.entries);
    let mut findings = audit::audit(inputs.entries, inputs.facts, inputs.policy);
    let waiting = findings.iter().filter(|f| f.verdict == Verdict::Pending);
    let waiting = waiting.filter_map(|f| Some((f.check.clone(), f.pending_on?))).collect();
    let mut gathered = Gathered { waiting, ..Gathered::default() };
    add_round(inputs, inputs.facts, &findings, &mut gathered, None)?;
    let failed = findings.iter().filter(|f| f.verdict == Verdict::Fail).map(|f| f.check.clone()).collect();
    for _ in 0..MAX_ROUNDS {
        let before = gathered.included.len();
        let future = future_facts(inputs, &gathered, &objects);
        let then = audit::audit(inputs.entries, &future, inputs.policy);
        add_round(inputs, &future, &then, &mut gathered, Some(&failed))?;
        if gathered.included.len() == before {
            break;
        }
    }
    wait_for_restart(inputs, &mut gathered);
    annotate(&mut findings, &gathered);
    let plan = steps::assemble(inputs, &gathered, held(&gathered));
    Ok(Planned { plan, findings })
}

/// The hazards of a plan's checks on the host as it is now, one `CHECK HAZARD NAME` each, as in its fingerprint.
pub fn evidence(inputs: &Inputs<'_>, plan: &Plan) -> Vec<String> {
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

fn future_facts(inputs: &Inputs<'_>, gathered: &Gathered, objects: &BTreeSet<Object>) -> Facts {
    let overlay = gathered.draft.overlay(inputs.host);
    facts::gather(&overlay, objects)
}

/// Takes up every failing check that is neither included nor held yet.
fn add_round(
    inputs: &Inputs<'_>,
    facts: &Facts,
    findings: &[Finding],
    gathered: &mut Gathered,
    first: Option<&BTreeSet<String>>,
) -> Result<()> {
    // live-restore first: whether it will hold the containers decides what a restart hurts.
    let live_restore = |e: &&&Entry| e.id == "daemon.live-restore";
    let (early, rest): (Vec<&&Entry>, Vec<&&Entry>) = inputs.entries.iter().partition(live_restore);
    for entry in early.into_iter().chain(rest) {
        let failing: Vec<&Finding> =
            findings.iter().filter(|f| f.check == entry.id && f.verdict == Verdict::Fail && !f.waived).collect();
        let known = gathered.held.contains(&entry.id);
        // What fails only because of this plan (the new daemon.json is not watched yet) belongs to it.
        let follows = first.is_some_and(|failed| !failed.contains(&entry.id));
        let considered = follows || inputs.choice.considers(&entry.id);
        if failing.is_empty() || known || entry.remediation.edits.is_empty() || !considered {
            continue;
        }
        let fix = assess(inputs, facts, entry, gathered);
        let take = fix.hazards.is_empty() || inputs.choice.accepts(&entry.id) && !needs_value(&fix);
        gathered.fixes.entry(entry.id.clone()).or_insert(fix);
        if !take {
            gathered.held.insert(entry.id.clone());
            continue;
        }
        let context = edits::Context { base: inputs.host, facts, policy: inputs.policy };
        let Effects { first: commands } = edits::apply(&context, &mut gathered.draft, entry, &failing)?;
        gathered.included.insert(entry.id.clone());
        gathered.restart_keys.extend(settings(entry).map(str::to_owned));
        for command in commands {
            if !gathered.commands.iter().any(|(known, _)| *known == command) {
                gathered.commands.push((command, entry.id.clone()));
            }
        }
    }
    Ok(())
}

/// What an earlier run wrote with --no-restart is completed, when the restart hurts nothing here.
fn wait_for_restart(inputs: &Inputs<'_>, gathered: &mut Gathered) {
    let waits = |entry: &&&Entry| {
        let written =
            gathered.waiting.get(&entry.id) == Some(&PendingOn::Restart) && !only_doubtful(inputs.facts, entry);
        written && !gathered.included.contains(&entry.id) && inputs.choice.considers(&entry.id)
    };
    let waiting: Vec<&&Entry> = inputs.entries.iter().filter(waits).collect();
    for entry in waiting {
        let fix = assess(inputs, inputs.facts, entry, gathered);
        if fix.hazards.is_empty() || inputs.choice.accepts(&entry.id) {
            gathered.restart_for.insert(entry.id.clone());
        }
    }
}

/// Nobody sets it, and daemon.json was written since the daemon started, by a reload of ours perhaps: whether something
/// else is in force cannot be known, and that alone is no reason to restart.
fn only_doubtful(facts: &Facts, entry: &Entry) -> bool {
    let Check::DaemonSetting { key, .. } = &entry.check else { return false };
    let setting = facts.daemon.setting(key);
    setting.origin == Origin::Default && setting.in_force.is_err()
}

/// A value cannot be accepted, only given.
fn needs_value(fix: &Fix) -> bool {
    fix.hazards.iter().any(|h| h.hazard == Hazard::NeedsValue)
}

/// What fixing a check interrupts, and what it would hurt here.
fn assess(inputs: &Inputs<'_>, facts: &Facts, entry: &Entry, gathered: &Gathered) -> Fix {
    let disruption = disruption(facts, entry);
    let mut change = Change {
        check: entry.id.clone(),
        edits: entry.remediation.edits.clone(),
        files: files(facts, entry),
        // A pending change is judged by what it will hurt when it takes effect, so --no-restart silences nothing.
        restart: disruption >= Disruption::RestartDaemon,
        daemon_reload: reloads_units(facts, entry),
        live_restore_first: gathered.included.contains("daemon.live-restore"),
        together: gathered.restart_keys.iter().cloned().collect(),
        values: BTreeMap::new(),
        own_history: inputs.put_back.to_vec(),
    };
    let keys: Vec<String> = change.keys().map(str::to_owned).collect();
    change.values = keys.iter().filter_map(|key| Some((key.clone(), inputs.policy.value(key)?))).collect();
    let situation = Situation { host: inputs.host, facts, workload: inputs.workload, change: &change };
    Fix { disruption, hazards: hazard::look(&situation, &entry.remediation.hazards) }
}

/// The settings of the daemon that an entry writes.
fn settings(entry: &Entry) -> impl Iterator<Item = &str> {
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
    settings(entry).any(in_unit)
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
            Edit::DaemonSetting { .. } | Edit::DaemonSettingRemove { .. } | Edit::Auditd => {}
        }
    }
    files
}

fn annotate(findings: &mut [Finding], gathered: &Gathered) {
    for finding in findings.iter_mut().filter(|f| f.verdict == Verdict::Fail) {
        match gathered.fixes.get(&finding.check) {
            Some(fix) => {
                finding.applicability =
                    Some(if fix.hazards.is_empty() { Applicability::Automatic } else { Applicability::Ask });
                finding.hazards.clone_from(&fix.hazards);
                finding.disruption = fix.disruption;
            }
            None => finding.applicability = Some(Applicability::Manual),
        }
    }
}

fn held(gathered: &Gathered) -> Vec<Held> {
    let one = |check: &String| {
        let hazards = gathered.fixes.get(check).map(|f| f.hazards.clone()).unwrap_or_default();
        let value = hazards.iter().any(|h| h.hazard == Hazard::NeedsValue);
        let flag = if value { "a value in [values] of the config".into() } else { format!("--accept {check}") };
        Held { check: check.clone(), hazards, flag }
    };
    gathered.held.iter().map(one).collect()
}
