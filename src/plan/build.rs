//! Findings to one plan, computed against the host as it will be: creating daemon.json makes its owner, mode and watch
//! checks apply, so rounds go on until nothing is added. That is what makes the second apply empty.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::assess::{Fix, assess, settings};
use super::change::{Held, Plan};
use super::compose;
use super::draft::Draft;
use super::edits::{self, Effects};
use super::steps;
use crate::audit::{self, Applicability, Disruption, Finding, HazardFound, PendingOn, Verdict};
use crate::catalog::{Edit, Entry, Hazard};
use crate::facts::{self, Facts, Needs};
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
    /// Which of the fixable checks are taken.
    pub choice: Choice,
    /// Write files, but restart nothing.
    pub no_restart: bool,
    /// Paths that our last run changed and that have been put back since.
    pub put_back: &'a [PathBuf],
    /// Checks that a run of ours wrote and that stand: a restart that they still wait for is made up for.
    pub written: &'a BTreeSet<String>,
}

/// Hazards that are accepted with a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Whatever it would hurt: it was named.
    All,
    /// These, which were shown; others still hold it.
    Shown(BTreeSet<Hazard>),
}

/// Which of the fixable checks are taken.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// None but these (and what fails only because of them); `None`: all.
    pub only: Option<BTreeSet<String>>,
    /// Slugs that are taken although they would hurt something.
    pub accept: BTreeMap<String, Accept>,
    /// Containers of compose services are made anew from their files: what costs no more than that is taken.
    pub recreate: bool,
}

impl Choice {
    /// All that hurts nothing here.
    pub fn automatic() -> Self {
        Self::default()
    }

    /// All that hurts nothing here, and these.
    pub fn accepting(checks: BTreeSet<String>) -> Self {
        Self { accept: checks.into_iter().map(|check| (check, Accept::All)).collect(), ..Self::default() }
    }

    /// Exactly these, whatever they would hurt.
    pub fn only(checks: BTreeSet<String>) -> Self {
        Self { only: Some(checks.clone()), ..Self::accepting(checks) }
    }

    fn takes(&self, check: &str, fix: &Fix) -> bool {
        if fix.obstacle.is_some() {
            return false;
        }
        let mut hurts = fix.hazards.iter().filter(|h| !(self.recreate && fix.compose && fix.is_recreation(h)));
        match self.accept.get(check) {
            Some(Accept::All) => true,
            Some(Accept::Shown(shown)) => hurts.all(|h| shown.contains(&h.hazard)),
            None => hurts.next().is_none(),
        }
    }

    fn considers(&self, check: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(check))
    }
}

/// A plan, and the findings with what the plan found out about them.
pub struct Planned {
    /// What would be done.
    pub plan: Plan,
    /// Findings of the host as it is.
    pub findings: Vec<Finding>,
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
    /// Checks that were written before and only wait for something.
    pub(super) waiting: BTreeMap<String, PendingOn>,
}

/// Computes the plan. An edit that cannot be made holds its check, and nothing else.
pub fn plan(inputs: &Inputs<'_>) -> Planned {
    let mut findings = audit::audit(inputs.entries, inputs.facts, inputs.policy);
    let mut held_late: BTreeMap<String, Fix> = BTreeMap::new();
    // What a fix hurts depends on what shares its restart, which is known only when all is gathered: what turns out
    // to hurt then is held as well, and the rest planned anew. Each turn holds at least one check more.
    let mut gathered = loop {
        let (mut gathered, future) = rounds(inputs, &findings, &held_late);
        let late = assess_together(inputs, &mut gathered, &future);
        if late.is_empty() {
            break gathered;
        }
        held_late.extend(late);
    };
    wait_for_restart(inputs, &mut gathered);
    wait_for_recreation(inputs, &findings, &mut gathered);
    annotate(&mut findings, &gathered);
    let plan = steps::assemble(inputs, &gathered, held(&gathered));
    Planned { plan, findings }
}

/// Takes checks up until nothing is added.
fn rounds(inputs: &Inputs<'_>, findings: &[Finding], held: &BTreeMap<String, Fix>) -> (Gathered, Facts) {
    let needs = audit::needs(inputs.entries);
    let waiting = findings.iter().filter(|f| f.verdict == Verdict::Pending);
    let mut gathered = Gathered {
        waiting: waiting.filter_map(|f| Some((f.check.clone(), f.pending_on?))).collect(),
        held: held.keys().cloned().collect(),
        fixes: held.clone(),
        ..Gathered::default()
    };
    add_round(inputs, inputs.facts, findings, &mut gathered, None);
    let failed = findings.iter().filter(|f| f.verdict == Verdict::Fail).map(|f| f.check.clone()).collect();
    let mut future = future_facts(inputs, &gathered, &needs);
    for _ in 0..MAX_ROUNDS {
        let before = gathered.included.len();
        let then = audit::audit(inputs.entries, &future, inputs.policy);
        add_round(inputs, &future, &then, &mut gathered, Some(&failed));
        if gathered.included.len() == before {
            break;
        }
        future = future_facts(inputs, &gathered, &needs);
    }
    (gathered, future)
}

/// Looks at every check that was taken again, now that all of them are known. Answers with those that are not to be
/// done after all.
fn assess_together(inputs: &Inputs<'_>, gathered: &mut Gathered, future: &Facts) -> BTreeMap<String, Fix> {
    // A daemon that would not start again is not touched: neither restarted nor made to read its file.
    let broken = inputs.facts.daemon.next_start_fails().and_then(|_| future.daemon.next_start_fails());
    let mut late = BTreeMap::new();
    for entry in inputs.entries.iter().filter(|e| gathered.included.contains(&e.id)) {
        let mut fix = assess(inputs, inputs.facts, entry, gathered);
        if let Some(why) = broken.as_ref().filter(|_| fix.disruption > Disruption::None) {
            fix.hazards.push(HazardFound { hazard: Hazard::BreaksStartup, evidence: vec![why.clone()], looked: true });
            fix.obstacle = Some("mend daemon.config first, or the next start of docker fails".into());
        }
        if inputs.choice.takes(&entry.id, &fix) {
            gathered.fixes.insert(entry.id.clone(), fix);
        } else {
            late.insert(entry.id.clone(), fix);
        }
    }
    late
}

fn future_facts(inputs: &Inputs<'_>, gathered: &Gathered, needs: &Needs) -> Facts {
    let overlay = gathered.draft.overlay(inputs.host);
    facts::foresee(&overlay, needs, inputs.facts)
}

/// Takes up every failing check that is neither included nor held yet.
fn add_round(
    inputs: &Inputs<'_>,
    facts: &Facts,
    findings: &[Finding],
    gathered: &mut Gathered,
    first: Option<&BTreeSet<String>>,
) {
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
        let possible = edits::possible(inputs.host, facts, entry);
        if failing.is_empty() || known || entry.remediation.edits.is_empty() || !considered || !possible {
            continue;
        }
        let fix = assess(inputs, facts, entry, gathered);
        if !inputs.choice.takes(&entry.id, &fix) {
            gathered.hold(&entry.id, fix);
            continue;
        }
        let context = edits::Context { base: inputs.host, facts, policy: inputs.policy };
        let mut draft = gathered.draft.clone();
        match edits::apply(&context, &mut draft, entry, &failing) {
            Ok(Effects { first: commands }) => gathered.take(entry, fix, draft, commands),
            // What was written in an earlier round stands; a part of it that cannot be written again is no loss.
            Err(_) if gathered.included.contains(&entry.id) => {}
            Err(failure) => {
                let evidence =
                    vec![std::iter::once(failure.message).chain(failure.causes).collect::<Vec<_>>().join(": ")];
                let hazard = HazardFound { hazard: Hazard::ForeignOwner, evidence, looked: false };
                let obstacle = Some("change it by hand".into());
                gathered.hold(&entry.id, Fix { hazards: vec![hazard], obstacle, ..fix });
            }
        }
    }
}

impl Gathered {
    fn hold(&mut self, check: &str, fix: Fix) {
        self.fixes.entry(check.to_owned()).or_insert(fix);
        self.held.insert(check.to_owned());
    }

    /// Includes a check, if its edits change anything: what they do not change is for a person.
    fn take(&mut self, entry: &Entry, fix: Fix, draft: Draft, commands: Vec<Command>) {
        let same = draft.parts.len() == self.draft.parts.len() && draft.live.len() == self.draft.live.len();
        if same && commands.is_empty() {
            // Another check of this plan writes the same into a compose file.
            if fix.recreates() {
                self.fixes.entry(entry.id.clone()).or_insert(fix);
            }
            return;
        }
        self.draft = draft;
        self.included.insert(entry.id.clone());
        self.fixes.entry(entry.id.clone()).or_insert(fix);
        self.restart_keys.extend(settings(entry).map(str::to_owned));
        for command in commands {
            if !self.commands.iter().any(|(known, _)| *known == command) {
                self.commands.push((command, entry.id.clone()));
            }
        }
    }
}

/// What an earlier run of ours wrote with --no-restart is completed, when the restart hurts nothing here.
fn wait_for_restart(inputs: &Inputs<'_>, gathered: &mut Gathered) {
    if inputs.facts.daemon.next_start_fails().is_some() || inputs.no_restart {
        return;
    }
    let waits = |entry: &&&Entry| {
        let pending = gathered.waiting.get(&entry.id) == Some(&PendingOn::Restart);
        pending && inputs.written.contains(&entry.id) && inputs.choice.considers(&entry.id)
    };
    let waiting: Vec<&&Entry> = inputs.entries.iter().filter(waits).collect();
    for entry in waiting {
        let fix = assess(inputs, inputs.facts, entry, gathered);
        if inputs.choice.takes(&entry.id, &fix) {
            gathered.included.insert(entry.id.clone());
            gathered.fixes.insert(entry.id.clone(), fix);
        }
    }
}

/// What an earlier run of ours wrote into compose files is completed, when that is asked for.
fn wait_for_recreation(inputs: &Inputs<'_>, findings: &[Finding], gathered: &mut Gathered) {
    if !inputs.choice.recreate || inputs.facts.workload.compose.is_none() {
        return;
    }
    for entry in inputs.entries {
        let composes = entry.remediation.edits.iter().any(|edit| matches!(edit, Edit::Compose(_)));
        let ours = inputs.written.contains(&entry.id) && inputs.choice.considers(&entry.id);
        if composes && ours && compose::wait(inputs.facts, &mut gathered.draft, &entry.id, findings) {
            let fix = assess(inputs, inputs.facts, entry, gathered);
            gathered.included.insert(entry.id.clone());
            gathered.fixes.entry(entry.id.clone()).or_insert(fix);
        }
    }
}

fn annotate(findings: &mut [Finding], gathered: &Gathered) {
    for finding in findings.iter_mut().filter(|f| f.verdict == Verdict::Fail) {
        match gathered.fixes.get(&finding.check) {
            // Some containers come from compose files, and this one does not.
            Some(fix) if !fix.composed.is_empty() && fix.own(&finding.subject_id).is_none() => {
                finding.applicability = Some(Applicability::Manual);
            }
            Some(fix) => {
                finding.applicability =
                    Some(if fix.hazards.is_empty() { Applicability::Automatic } else { Applicability::Ask });
                let own = fix.own(&finding.subject_id);
                // One whose value was chosen is held for the others.
                finding.hazards = own.filter(|own| !own.is_empty()).unwrap_or_else(|| fix.hazards.clone());
                finding.disruption = fix.interrupts();
            }
            None => finding.applicability = Some(Applicability::Manual),
        }
    }
}

fn held(gathered: &Gathered) -> Vec<Held> {
    let one = |check: &String| {
        let fix = gathered.fixes.get(check);
        let flag = fix.map_or_else(|| format!("--accept {check}"), |fix| fix.flag(check));
        Held { check: check.clone(), hazards: fix.map(|f| f.hazards.clone()).unwrap_or_default(), flag }
    };
    gathered.held.iter().map(one).collect()
}
