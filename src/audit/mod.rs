//! Catalogue x facts x policy to findings. Pure.

mod expect;
mod finding;
mod probe;
mod subject;
mod waiver;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Builtin, Check, Edit, Entry, Object, SwarmRule};
use crate::facts::{Container, Facts, Needs};
use crate::policy::{Policy, Waiver};
use crate::text::clean;
use wildmatch::WildMatch;

use subject::Subjects;

pub use expect::show as show_value;
pub use finding::{Applicability, Disruption, Finding, HazardFound, PendingOn, Verdict};
pub use waiver::{Stale, Trouble, stale};

/// Whether Docker gives every container this capability and nothing speaks against it.
pub fn is_usual_capability(name: &str) -> bool {
    probe::is_usual_capability(name)
}

/// Whether all that is known of a finding is that a person has to look, and at what.
pub fn is_attested(finding: &Finding) -> bool {
    finding.verdict == Verdict::Manual && finding.actual == probe::A_PERSON_LOOKS
}

/// What these checks and their remediations look at.
pub fn needs(entries: &[&Entry]) -> Needs {
    let any = |wanted: fn(&Check) -> bool| entries.iter().any(|entry| wanted(&entry.check));
    Needs {
        rootless: None,
        objects: objects(entries),
        images: any(|check| matches!(check, Check::Image(_))),
        swarm: any(|check| matches!(check, Check::Swarm(_))),
        networks: any(|check| matches!(check, Check::Swarm(SwarmRule::Overlay))),
    }
}

fn objects(entries: &[&Entry]) -> BTreeSet<Object> {
    let named = |name: &str| Object::Named(name.to_owned());
    let mut needed = BTreeSet::from([named("daemon-json"), named("docker-socket"), named("data-root")]);
    for entry in entries {
        match &entry.check {
            Check::AuditWatch { object, also, .. } => {
                needed.insert(object.clone());
                needed.extend(also.iter().cloned());
            }
            Check::FileAccess { object, .. } => {
                needed.insert(object.clone());
            }
            Check::Builtin(Builtin::DataRootMount) => {
                needed.insert(Object::Path("/".into()));
                needed.insert(Object::Path("/var/lib/containerd".into()));
            }
            Check::Builtin(Builtin::TlsListener) => {
                needed.extend(["tls-ca", "tls-cert", "tls-key"].map(named));
            }
            Check::DaemonSetting { .. }
            | Check::Environment { .. }
            | Check::Attest { .. }
            | Check::Container(_)
            | Check::Image(_)
            | Check::Swarm(_)
            | Check::Builtin(_) => {}
        }
        for edit in &entry.remediation.edits {
            if let Edit::AuditWatch { object, .. } | Edit::FileAccess { object, .. } = edit {
                needed.insert(object.clone());
            }
        }
    }
    needed
}

/// Judges every check, on the subjects that the policy names: all, unless it names some.
pub fn audit(entries: &[&Entry], facts: &Facts, policy: &Policy) -> Vec<Finding> {
    let subjects = Subjects::new(facts);
    let patterns: Vec<WildMatch> = policy.subjects.iter().map(|pattern| WildMatch::new(pattern)).collect();
    let wanted = |outcome: &probe::Outcome| {
        patterns.is_empty() || patterns.iter().any(|pattern| subjects.named(outcome, pattern))
    };
    let mut findings = Vec::new();
    for entry in entries {
        let common = (Arc::from(entry.title.as_str()), Arc::new(entry.references.clone()));
        let taken_on = waiver::of_check(&entry.id, facts, policy);
        for outcome in probe::run(entry, facts, policy).into_iter().filter(wanted) {
            let waiver = taken_on.iter().find(|(_, pattern)| subjects.named(&outcome, pattern));
            let waiver = waiver.filter(|_| outcome.verdict == Verdict::Fail).map(|(waiver, _)| Arc::clone(waiver));
            findings.push(finding(entry, &common, outcome, waiver));
        }
    }
    findings
}

/// Whether a container that is not there yet, such as one of [`crate::facts::compose::anew`], would pass a check.
pub fn holds(entry: &Entry, facts: &Facts, container: &Container) -> bool {
    probe::holds(entry, facts, container)
}

/// Title and references, which a thousand findings of one check hold once.
type Common = (Arc<str>, Arc<BTreeMap<String, String>>);

fn finding(
    entry: &Entry,
    (title, references): &Common,
    outcome: probe::Outcome,
    waiver: Option<Arc<Waiver>>,
) -> Finding {
    let probe::Outcome { subject, subject_id, verdict, pending_on, severity, expected, actual, source } = outcome;
    Finding {
        check: entry.id.clone(),
        title: Arc::clone(title),
        level: entry.level,
        references: Arc::clone(references),
        subject_id: subject_id.unwrap_or_else(|| subject.clone()),
        subject,
        verdict,
        pending_on,
        severity: severity.unwrap_or(entry.severity),
        expected,
        // Names of programs and paths in containers are anybody's.
        actual: clean(&actual),
        source: clean(&source),
        applicability: None,
        hazards: Vec::new(),
        disruption: Disruption::None,
        waived: waiver.is_some(),
        waiver,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::facts::testing;

    #[test]
    fn what_a_container_calls_itself_reaches_no_terminal() {
        let catalog = Catalog::built_in();
        let entries = [catalog.get("container.devices").expect("a check")];
        let mut facts = testing::facts();
        let devices = vec!["/dev/ev\u{1b}[2J\nhint: run".into()];
        Arc::make_mut(&mut facts.workload).containers = Ok(vec![Container { devices, ..Container::default() }]);
        let found = audit(&entries, &facts, &Policy::default());
        assert_eq!(found[0].actual, "/dev/ev\\u{1b}[2J\\nhint: run");
    }
}
