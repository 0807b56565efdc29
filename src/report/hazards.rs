//! Hazards in words.

use crate::audit::{Finding, HazardFound};
use crate::plan::Held;
use crate::text::clean;

use super::text::word;

/// Names of one hazard that a line tells; there may be hundreds, and documents for programs have all of them.
const NAMED: usize = 16;

/// `hides-images: redis:7, 3 volumes; swarm: could not look: …`, every name.
pub fn hazards(hazards: &[HazardFound]) -> String {
    joined(hazards, |evidence| evidence.join(", "))
}

/// The hazards of a finding, in short and without the name of its subject, which is said before them.
pub(super) fn of_finding(finding: &Finding) -> String {
    let (_, name) = finding.subject.split_once(':').unwrap_or_default();
    let behind = |text: &str| {
        let rest = text.strip_prefix(name)?;
        rest.strip_prefix(": ").or_else(|| rest.strip_prefix(" (")?.strip_suffix(')')).map(str::to_owned)
    };
    let short = |text: &String| behind(text).unwrap_or_else(|| text.clone());
    let one =
        |found: &HazardFound| HazardFound { evidence: found.evidence.iter().map(short).collect(), ..found.clone() };
    in_short(&finding.hazards.iter().map(one).collect::<Vec<_>>())
}

/// A check that is held: what it would hurt, and what would include it.
pub(super) fn of_held(held: &Held) -> String {
    let (check, include) = (clean(&held.check), clean(&held.include()));
    let hazards = in_short(&held.hazards);
    // What has to be done first may be all that there is to say.
    if hazards.contains(&include) { format!("{check} {hazards}") } else { format!("{check} {hazards}; {include}") }
}

fn in_short(hazards: &[HazardFound]) -> String {
    joined(hazards, |evidence| match evidence.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", evidence[..NAMED].join(", ")),
        _ => evidence.join(", "),
    })
}

fn joined(hazards: &[HazardFound], names: impl Fn(&[String]) -> String) -> String {
    let one = |found: &HazardFound| {
        let HazardFound { hazard, evidence, looked } = found;
        let evidence: Vec<String> = evidence.iter().map(|name| clean(name)).collect();
        match (looked, evidence.is_empty()) {
            (true, false) => format!("{}: {}", word(hazard), names(&evidence)),
            (true, true) => word(hazard),
            (false, false) => format!("{}: could not look: {}", word(hazard), names(&evidence)),
            (false, true) => format!("{}: could not look", word(hazard)),
        }
    };
    hazards.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Verdict;
    use crate::catalog::Hazard;
    use crate::report::samples;

    fn found(evidence: Vec<String>) -> HazardFound {
        HazardFound { hazard: Hazard::NeedsValue, evidence, looked: true }
    }

    #[test]
    fn many_names_are_counted() {
        let names = |count: usize| (1..=count).map(|n| format!("c{n}")).collect::<Vec<_>>();
        assert!(in_short(&[found(names(NAMED))]).ends_with(", c15, c16"));
        assert!(in_short(&[found(names(NAMED + 3))]).ends_with(", c15, c16 and 3 more"));
        assert!(hazards(&[found(names(NAMED + 3))]).ends_with(", c18, c19"));
    }

    #[test]
    fn the_subject_is_not_named_again() {
        let finding = |evidence: &str| Finding {
            subject: "container:web".into(),
            hazards: vec![found(vec![evidence.into()])],
            ..samples::finding("container.memory", "5.11", Verdict::Fail)
        };
        assert_eq!(of_finding(&finding("web: has to be chosen")), "needs-value: has to be chosen");
        assert_eq!(of_finding(&finding("web (down after a boot)")), "needs-value: down after a boot");
        assert_eq!(of_finding(&finding("webmail: stays")), "needs-value: webmail: stays");
    }

    #[test]
    fn what_has_to_be_done_first_is_said_once() {
        let held = |flag: &str, evidence: &str| {
            let hazards = vec![found(vec![evidence.into()])];
            of_held(&Held { check: "container.memory".into(), hazards, flag: flag.into() })
        };
        assert_eq!(held("set `memory`", "set `memory`"), "container.memory needs-value: set `memory`");
        assert_eq!(held("--accept x", "web"), "container.memory needs-value: web; include with `--accept x`");
    }

    #[test]
    fn a_hazard_that_could_not_be_looked_for_says_so() {
        let blind = HazardFound { looked: false, ..samples::hazard(Hazard::Swarm, &["daemon stopped"]) };
        let found = samples::hazard(Hazard::StopsContainers, &["web", "db\n"]);
        assert_eq!(hazards(&[found, blind]), "stops-containers: web, db\\n; swarm: could not look: daemon stopped");
    }
}
