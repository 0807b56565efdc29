//! The page that tells on what we differ and why: `fixtures/reports/docker-bench/README.md`.

use std::fmt::Write;

use seaworthy::audit::Verdict;

use super::{DEFAULT_ULIMITS, DIFFERENCES, Known, LEFT, fixture, stock};

const HEAD: &str = "\
# Beside docker-bench-security 1.6.0

Its logs in this folder were recorded on lab hosts, whose facts are in `fixtures/hosts`. `tests/docker_bench.rs` holds
our verdicts against them, containers one by one: on everything that is not in these tables both agree, and a new
difference fails the test. Numbers are those of CIS Docker 1.6.0. This page is written by that test.

";

fn word(verdict: Verdict) -> String {
    serde_json::to_value(verdict).expect("a word").as_str().expect("a word").to_owned()
}

fn line(&(number, theirs, ours, why): &Known) -> String {
    format!("| {number} | {theirs} | {} | {why} |\n", word(ours))
}

fn page() -> String {
    let mut out = format!("{HEAD}| check | docker-bench | seaworthy | why |\n|---|---|---|---|\n");
    for known in std::iter::once(&DEFAULT_ULIMITS).chain(stock::EMPTY).chain(stock::SWARM) {
        out.push_str(&line(known));
    }
    out.push_str("\nOf containers, how many only one of both names:\n\n");
    out.push_str("| check | docker-bench alone | seaworthy alone | why |\n|---|---|---|---|\n");
    for (number, theirs, ours, why) in DIFFERENCES {
        let line = writeln!(out, "| {number} | {} | {} | {why} |", theirs.len(), ours.len());
        line.expect("a String takes everything");
    }
    out.push_str("\nOf an application of three services that `apply --recreate` hardened it still warns of:\n\n");
    for (number, why) in LEFT {
        writeln!(out, "- {number}: {why}").expect("a String takes everything");
    }
    out
}

#[test]
fn the_page_of_differences_says_what_is_tested() {
    let path = fixture("reports/docker-bench/README.md");
    if std::env::var_os("SEAWORTHY_BLESS").is_some() {
        std::fs::write(&path, page()).expect("the page can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(there, page(), "stale; run `SEAWORTHY_BLESS=1 cargo test --test docker_bench`");
}
