//! The README's table of checks: by section of the benchmark, how they are decided and what is done about a fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaworthy::audit::Verdict;
use seaworthy::catalog::{Benchmark, Catalog, Edit, Entry};

use crate::Checked;
use crate::coverage::entry;
use crate::fixture::{Fixture, folder};

const BEGIN: &str = "<!-- begin: checks -->\n";
const END: &str = "<!-- end: checks -->";

/// Sections of CIS Docker 1.8.0, and what has no number in it.
const SECTIONS: [(&str, &str); 8] = [
    ("1", "the host"),
    ("2", "the daemon"),
    ("3", "its files"),
    ("4", "images"),
    ("5", "containers"),
    ("6", "what lies about"),
    ("7", "the swarm"),
    ("-", "without a number"),
];

/// One line of the table.
#[derive(Clone, Copy, Default)]
struct Line {
    checks: usize,
    by_data: usize,
    by_a_person: usize,
    settings: usize,
    audit_rules: usize,
    owners_and_modes: usize,
    live: usize,
    compose: usize,
    advice: usize,
}

impl Line {
    /// Counts a check: decided by data where a fixture shows it failing.
    fn add(&mut self, entry: &Entry, fails: bool) {
        self.checks += 1;
        *(if fails { &mut self.by_data } else { &mut self.by_a_person }) += 1;
        *match entry.remediation.edits.first() {
            None => &mut self.advice,
            Some(Edit::AuditWatch { .. }) => &mut self.audit_rules,
            Some(Edit::FileAccess { .. }) => &mut self.owners_and_modes,
            Some(Edit::Container(_) | Edit::Swarm(_)) => &mut self.live,
            Some(Edit::Compose(_)) => &mut self.compose,
            Some(_) => &mut self.settings,
        } += 1;
    }

    fn told(&self, number: &str, section: &str) -> String {
        let Self { checks, by_data, by_a_person, settings, audit_rules, owners_and_modes, live, compose, advice } =
            self;
        let numbers = [checks, by_data, by_a_person, settings, audit_rules, owners_and_modes, live, compose, advice];
        let cells: Vec<String> =
            numbers.map(|number| if *number == 0 { String::new() } else { number.to_string() }).into();
        format!("| {number} | {section} | {} |\n", cells.join(" | "))
    }
}

fn table(catalog: &Catalog, fixtures: &[Arc<Fixture>]) -> String {
    let mut lines: BTreeMap<&str, Line> = BTreeMap::new();
    let mut all = Line::default();
    for fixture in fixtures {
        let Some(entry) = entry(catalog, &fixture.name) else { continue };
        let number = entry.number(Benchmark::DEFAULT).unwrap_or("-");
        let fails = fixture.scenarios.iter().any(|scenario| scenario.expect == Verdict::Fail);
        let (section, _) =
            SECTIONS.iter().find(|(section, _)| number.split('.').next() == Some(section)).unwrap_or(&SECTIONS[7]);
        lines.entry(section).or_default().add(entry, fails);
        all.add(entry, fails);
    }
    let mut out = "| CIS 1.8.0 | about | checks | decided by data | by a person | setting | audit rule | owner, mode | while it runs | compose file | advice |\n\
        |---|---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for (number, section) in SECTIONS {
        out.push_str(&lines.get(number).copied().unwrap_or_default().told(number, section));
    }
    out.push_str(&all.told("", "all"));
    out
}

/// The README says what the catalogue has; with `SEAWORTHY_BLESS` it is told.
pub(crate) fn is_fresh(catalog: &Catalog, fixtures: &[Arc<Fixture>]) -> Checked {
    let path = folder().with_file_name("README.md");
    let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
    let (head, rest) = text.split_once(BEGIN).ok_or("README.md has no begin of the table of checks")?;
    let (there, tail) = rest.split_once(END).ok_or("README.md has no end of the table of checks")?;
    let table = table(catalog, fixtures);
    if there == table {
        return Ok(());
    }
    if std::env::var_os("SEAWORTHY_BLESS").is_some() {
        return std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).map_err(|e| e.to_string());
    }
    Err(format!(
        "README.md's table of checks is stale; run `SEAWORTHY_BLESS=1 cargo test --test catalog`; it is\n{table}"
    ))
}
