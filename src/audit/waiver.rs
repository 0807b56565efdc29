//! Waivers: which of them count for a check, and which somebody has to look at.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use wildmatch::WildMatch;

use super::finding::Finding;
use crate::catalog::{Catalog, Entry};
use crate::facts::Facts;
use crate::policy::{Policy, Waiver};

/// The waivers of a check that count today, each with the pattern of its subjects.
pub(super) fn of_check(check: &str, facts: &Facts, policy: &Policy) -> Vec<(Arc<Waiver>, WildMatch)> {
    let all = policy.waivers.list.iter();
    let counts = all.filter(|waiver| waiver.check == check && !waiver.is_over(facts.read_at));
    counts.map(|waiver| (Arc::new(waiver.clone()), WildMatch::new(&waiver.subject))).collect()
}

/// A waiver that somebody has to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// The waiver.
    #[serde(flatten)]
    pub waiver: Waiver,
    /// Its file.
    pub file: PathBuf,
    /// Why.
    pub trouble: Trouble,
}

/// What is wrong with a waiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Its last day is over: it does not count any more.
    Expired,
    /// Nothing that it names fails here.
    Unused,
    /// There is no such check.
    UnknownCheck,
}

/// Waivers that somebody has to look at, in the file's order. Whether one is used can be said only of checks that were
/// judged on all subjects.
pub fn stale(
    catalog: &Catalog,
    entries: &[&Entry],
    findings: &[Finding],
    facts: &Facts,
    policy: &Policy,
) -> Vec<Stale> {
    let used: BTreeSet<usize> = findings.iter().filter_map(|finding| Some(finding.waiver.as_ref()?.line)).collect();
    let judged = |waiver: &Waiver| policy.subjects.is_empty() && entries.iter().any(|entry| entry.id == waiver.check);
    let trouble = |waiver: &Waiver| {
        if catalog.get(&waiver.check).is_none() {
            Some(Trouble::UnknownCheck)
        } else if waiver.is_over(facts.read_at) {
            Some(Trouble::Expired)
        } else {
            (judged(waiver) && !used.contains(&waiver.line)).then_some(Trouble::Unused)
        }
    };
    let all = policy.waivers.list.iter();
    all.filter_map(|waiver| {
        Some(Stale { trouble: trouble(waiver)?, file: policy.waivers.path.clone(), waiver: waiver.clone() })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::audit::{Verdict, audit};
    use crate::facts::{Container, testing};
    use crate::policy::Waivers;

    /// Two containers without a memory limit, and these waivers: check, subject, last day.
    fn judged(waivers: &[(&str, &str, &str)], subjects: &[&str]) -> (Vec<(String, bool)>, Vec<Trouble>) {
        let catalog = Catalog::built_in();
        let entries = [catalog.get("container.memory").expect("a check")];
        let mut facts = testing::facts();
        let named = |name: &str| Container { id: format!("id-{name}"), name: name.into(), ..Container::default() };
        Arc::make_mut(&mut facts.workload).containers = Ok(vec![named("db"), named("web")]);
        let one = |(check, subject, until): &(&str, &str, &str)| {
            format!(
                "[[waiver]]\ncheck = '{check}'\nsubject = '{subject}'\nreason = 'r'\nowner = 'o'\nuntil = {until}\n"
            )
        };
        let text: String = waivers.iter().map(one).collect();
        let policy = Policy {
            waivers: Waivers::parse(&text, Path::new("waivers.toml")).expect("waivers"),
            subjects: subjects.iter().map(|&subject| subject.into()).collect(),
            ..Policy::default()
        };
        let findings = audit(&entries, &facts, &policy);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Fail), "a waived one is still judged");
        let stale = stale(&catalog, &entries, &findings, &facts, &policy);
        let told = findings.iter().map(|finding| (finding.subject.clone(), finding.waived)).collect();
        (told, stale.iter().map(|stale| stale.trouble).collect())
    }

    #[test]
    fn a_waiver_counts_for_its_subjects_until_its_day() {
        let web = |waived| vec![("container:db".to_owned(), false), ("container:web".to_owned(), waived)];
        // Facts of tests were read on the first day of 1970.
        assert_eq!(judged(&[("container.memory", "web", "1970-01-01")], &[]), (web(true), vec![]));
        assert_eq!(judged(&[("container.memory", "web", "1969-12-31")], &[]), (web(false), vec![Trouble::Expired]));
        assert_eq!(judged(&[("container.cpu", "web", "1970-01-01")], &[]).0, web(false));
        let all = judged(&[("container.memory", "*", "2030-01-01")], &[]).0;
        assert!(all.iter().all(|(_, waived)| *waived));
    }

    #[test]
    fn one_that_nothing_needs_is_named_where_that_can_be_said() {
        let troubles = |waiver, subjects: &[&str]| judged(&[waiver], subjects).1;
        let gone = ("container.memory", "gone", "2030-01-01");
        assert_eq!(troubles(gone, &[]), [Trouble::Unused]);
        assert_eq!(troubles(gone, &["db"]), [], "other subjects were not judged");
        assert_eq!(troubles(("container.cpu", "web", "2030-01-01"), &[]), [], "nor that check");
        assert_eq!(troubles(("container.memry", "web", "2030-01-01"), &[]), [Trouble::UnknownCheck]);
    }
}
