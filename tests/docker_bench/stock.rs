//! Images, what lies about, and the swarm: sections 4 (without 4.1 and 4.5), 6 and 7, and 5.1.

use seaworthy::audit::Verdict;

use super::{Known, compare_with, document, findings, theirs_of};

fn stock(number: &str) -> bool {
    let images = number.starts_with("4.") && !["4.1", "4.5"].contains(&number);
    images || number.starts_with(['6', '7']) || number == "5.1"
}

#[track_caller]
fn compare(log: &str, host: &str, known: &[Known]) {
    let theirs = theirs_of(log, stock);
    assert_eq!(theirs.len(), 10 + 2 + 9 + 1, "{log}: sections are missing");
    compare_with(&theirs, log, host, known);
}

/// Outside a swarm: what is not there is not good, it is not there.
const NO_SWARM: &str = "docker-bench passes the checks of a swarm where there is none";

/// A host without an image and without a swarm.
pub(crate) const EMPTY: &[Known] = &[
    ("4.6", "PASS", Verdict::NotApplicable, "without an image none has a health check"),
    ("4.7", "PASS", Verdict::NotApplicable, "without an image none has an update"),
    ("4.9", "PASS", Verdict::NotApplicable, "without an image none has an ADD"),
    ("7.1", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.2", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.3", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.4", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.5", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.6", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.7", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.8", "PASS", Verdict::NotApplicable, NO_SWARM),
    ("7.9", "PASS", Verdict::NotApplicable, NO_SWARM),
];

#[test]
fn a_host_without_images_and_swarm_is_judged_alike() {
    compare("bookworm-vm-fresh", "debian-12", EMPTY);
    compare("bookworm-vm-hardened", "debian-12-hardened", EMPTY);
}

/// Images of both builders, some containers, a manager of a swarm of its own.
pub(crate) const SWARM: &[Known] = &[
    (
        "4.7",
        "INFO",
        Verdict::Fail,
        "it names the one image that updates and installs in one step, and misses the two that do not: the line is cut off",
    ),
    ("4.9", "INFO", Verdict::Fail, "it only informs, and names the distribution's image and ENV ADDRESS= as well"),
    ("5.1", "WARN", Verdict::Manual, "a service runs in the swarm: whether it is wanted is for a person to say"),
];

#[test]
fn a_host_with_images_and_a_swarm_is_judged_alike() {
    compare("trixie-swarm", "debian-13-swarm", SWARM);
}

/// What a test of theirs names, its brackets and repetitions aside.
fn named(number: &str) -> Vec<String> {
    let log = document("reports/docker-bench/trixie-swarm.log.json");
    let sections = log["tests"].as_array().expect("sections");
    let mut results = sections.iter().flat_map(|section| section["results"].as_array().expect("results"));
    let result = results.find(|result| result["id"] == number).expect("the test");
    let items = result["items"].as_array().expect("items").iter().filter_map(|item| item.as_str());
    let mut names: Vec<String> = items.map(|item| item.trim_matches(['[', ']']).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The subjects on which a check of ours fails.
fn failing(check: &str) -> Vec<String> {
    let all = findings("debian-13-swarm").into_iter().map(|(_, finding)| finding);
    let failing = all.filter(|finding| finding.check == check && finding.verdict == Verdict::Fail);
    failing.map(|finding| finding.subject.split_once(':').expect("a kind").1.to_owned()).collect()
}

#[test]
fn the_images_and_networks_that_are_named() {
    // By each of its names, and one that a build left; `HEALTHCHECK NONE` is one to docker-bench.
    assert_eq!(named("4.6"), ["00f2b6a5f5cb", "base:1", "distro:1", "registry.example/kit:1", "shop/kit:1"]);
    assert_eq!(failing("image.healthcheck"), ["base:1", "distro:1", "shop/bad:1", "shop/kit:1"]);
    assert_eq!(named("4.7"), ["shop/good:1"]);
    assert_eq!(failing("image.update-alone"), ["shop/bad:1", "shop/kit:1"]);
    let added = ["distro:1", "registry.example/kit:1", "shop/bad:1", "shop/bad:latest", "shop/good:1", "shop/kit:1"];
    assert_eq!(named("4.9"), added);
    assert_eq!(failing("image.add"), ["shop/bad:1", "shop/kit:1"]);
    assert_eq!(named("7.3"), ["(swarm)", "ingress", "plain"]);
    assert_eq!(failing("swarm.overlay-encryption"), ["plain", "undone"]);
}
