//! Our verdicts beside those of docker-bench-security 1.6.0, recorded on the same machines.
#![allow(clippy::disallowed_methods, reason = "tests read recorded files")]

#[path = "docker_bench/stock.rs"]
mod stock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seaworthy::audit::{self, Finding, Verdict};
use seaworthy::catalog::{Benchmark, Catalog, Entry};
use seaworthy::facts;
use seaworthy::host::RecordedHost;
use seaworthy::policy::Policy;
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn document(name: &str) -> Value {
    let path = fixture(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The sections about the host, the daemon and its files, and content trust.
fn host_and_daemon(number: &str) -> bool {
    number.starts_with(['1', '2', '3']) || number == "4.5"
}

/// Number to result, of those sections.
fn theirs(log: &str) -> BTreeMap<String, String> {
    theirs_of(log, host_and_daemon)
}

/// Number to result.
fn theirs_of(log: &str, wanted: fn(&str) -> bool) -> BTreeMap<String, String> {
    let log = document(&format!("reports/docker-bench/{log}.log.json"));
    let sections = log["tests"].as_array().expect("sections");
    let results = sections.iter().flat_map(|s| s["results"].as_array().expect("results"));
    let text = |result: &Value, key: &str| result[key].as_str().expect("text").to_owned();
    let all = results.map(|result| (text(result, "id"), text(result, "result")));
    all.filter(|(id, _)| wanted(id)).collect()
}

/// Findings of every check that has a number in the edition that docker-bench implements.
fn findings(host: &str) -> Vec<Finding> {
    let recording = serde_json::from_value(document(&format!("hosts/{host}.json"))).expect("a recording");
    let host = RecordedHost::new(recording);
    let catalog = Catalog::built_in();
    let entries: Vec<&Entry> = catalog.entries().filter(|e| e.number(Benchmark::V1_6_0).is_some()).collect();
    let facts = facts::gather(&host, &audit::needs(&entries));
    audit::audit(&entries, &facts, &Policy::default())
}

/// Number to verdict, of those checks.
fn ours(host: &str) -> BTreeMap<String, Verdict> {
    let catalog = Catalog::built_in();
    let mut verdicts: BTreeMap<String, Vec<Verdict>> = BTreeMap::new();
    for finding in findings(host) {
        let number = catalog.get(&finding.check).and_then(|e| e.number(Benchmark::V1_6_0)).expect("selected by number");
        verdicts.entry(number.to_owned()).or_default().push(finding.verdict);
    }
    verdicts.into_iter().map(|(number, all)| (number, whole(&all))).collect()
}

/// One verdict for a check with several subjects: the one that would be acted on.
fn whole(all: &[Verdict]) -> Verdict {
    let order = [Verdict::Fail, Verdict::Unknown, Verdict::Pending, Verdict::Manual, Verdict::Pass];
    order.into_iter().find(|verdict| all.contains(verdict)).unwrap_or(Verdict::NotApplicable)
}

fn agree(theirs: &str, ours: Verdict) -> bool {
    match theirs {
        "PASS" => ours == Verdict::Pass,
        "WARN" => ours == Verdict::Fail,
        _ => matches!(ours, Verdict::NotApplicable | Verdict::Manual | Verdict::Pass),
    }
}

/// A test on which we differ, and why that is meant.
type Known = (&'static str, &'static str, Verdict, &'static str);

/// Asserts that we agree on every recorded test but those in `known`, and still differ on these.
#[track_caller]
fn compare(log: &str, host: &str, known: &[Known]) {
    let theirs = theirs(log);
    assert!(theirs.len() > 60, "{log}: sections are missing");
    compare_with(&theirs, log, host, known);
}

#[track_caller]
fn compare_with(theirs: &BTreeMap<String, String>, log: &str, host: &str, known: &[Known]) {
    let ours = ours(host);
    let differ: Vec<_> = theirs
        .iter()
        .filter_map(|(number, result)| {
            let verdict = *ours.get(number).unwrap_or_else(|| panic!("no check has the number {number}"));
            (!agree(result, verdict)).then_some((number.as_str(), result.as_str(), verdict))
        })
        .collect();
    let mut expected: Vec<_> = known.iter().map(|(number, result, verdict, _)| (*number, *result, *verdict)).collect();
    expected.sort_by_key(|one| one.0);
    assert_eq!(differ, expected, "{log} against {host}");
}

/// docker-bench has no benchmark verdict for a missing default: its "not set" is only information.
const DEFAULT_ULIMITS: Known = (
    "2.8",
    "INFO",
    Verdict::Fail,
    "docker-bench scores a missing default-ulimits as information, the benchmark asks for one",
);

#[test]
fn a_fresh_host_is_judged_alike() {
    compare("bookworm-vm-fresh", "debian-12", &[DEFAULT_ULIMITS]);
}

#[test]
fn a_hardened_host_is_judged_alike() {
    compare("bookworm-vm-hardened", "debian-12-hardened", &[DEFAULT_ULIMITS]);
}

#[test]
fn what_apply_fixes_turns_for_docker_bench_too() {
    let (fresh, hardened) = (theirs("bookworm-vm-fresh"), theirs("bookworm-vm-hardened"));
    let warnings = |log: &BTreeMap<String, String>| log.values().filter(|result| *result == "WARN").count();
    assert_eq!((warnings(&fresh), warnings(&hardened)), (23, 4));
    let worse: Vec<_> = fresh.iter().filter(|(id, result)| *result == "PASS" && hardened[*id] != "PASS").collect();
    assert!(worse.is_empty(), "{worse:?}");
}

#[test]
fn the_exercise_turns_content_trust_for_docker_bench_and_nothing_back() {
    let (mut expected, exercise) = (theirs("bookworm-vm-hardened"), theirs("bookworm-vm-lab"));
    assert_eq!(expected.insert("4.5".into(), "PASS".into()).as_deref(), Some("WARN"));
    assert_eq!(exercise, expected);
}
