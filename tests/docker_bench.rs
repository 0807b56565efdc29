//! Our verdicts beside those of docker-bench-security 1.6.0, recorded on the same machines.
#![allow(clippy::disallowed_methods, reason = "tests read recorded files")]

#[path = "docker_bench/page.rs"]
mod page;
#[path = "docker_bench/stock.rs"]
mod stock;

use std::collections::{BTreeMap, BTreeSet};
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

/// Every result of a log.
fn results(log: &str) -> Vec<Value> {
    let log = document(&format!("reports/docker-bench/{log}.log.json"));
    let sections = log["tests"].as_array().expect("sections");
    sections.iter().flat_map(|s| s["results"].as_array().expect("results")).cloned().collect()
}

fn text<'v>(result: &'v Value, key: &str) -> &'v str {
    result[key].as_str().expect("text")
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
    let all =
        results(log).into_iter().map(|result| (text(&result, "id").to_owned(), text(&result, "result").to_owned()));
    all.filter(|(id, _)| wanted(id)).collect()
}

/// What we find on a recorded host, each with its number in the edition that docker-bench implements.
fn findings(host: &str) -> Vec<(String, Finding)> {
    let recording = serde_json::from_value(document(&format!("hosts/{host}.json"))).expect("a recording");
    let host = RecordedHost::new(recording);
    let catalog = Catalog::built_in();
    let entries: Vec<&Entry> = catalog.entries().filter(|e| e.number(Benchmark::V1_6_0).is_some()).collect();
    let facts = facts::gather(&host, &audit::needs(&entries));
    let numbered = |finding: Finding| {
        let number = catalog.get(&finding.check).and_then(|e| e.number(Benchmark::V1_6_0)).expect("selected by number");
        (number.to_owned(), finding)
    };
    audit::audit(&entries, &facts, &Policy::default()).into_iter().map(numbered).collect()
}

/// Number to verdict, of every check that has one in the edition that docker-bench implements.
fn ours(host: &str) -> BTreeMap<String, Verdict> {
    let mut verdicts: BTreeMap<String, Vec<Verdict>> = BTreeMap::new();
    for (number, finding) in findings(host) {
        verdicts.entry(number).or_default().push(finding.verdict);
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

/// What it still warns of once the application of `tests/lab/shop` is hardened, and why.
const LEFT: [(&str, &str); 2] = [
    ("5.2", "the lab's hosts have no AppArmor: to us the check does not apply there"),
    ("5.9", "it warns of every published port; whether one is needed is for a person to say"),
];

/// Both logs were recorded on the lab host of `an_application_is_hardened_and_taken_back` in `hosts_compose`.
#[test]
fn of_an_application_that_apply_hardened_it_warns_of_nothing_that_is_open() {
    let warnings = |log: &str| -> Vec<String> {
        let all = theirs_of(log, |number| number.starts_with("5."));
        all.into_iter().filter(|(_, result)| result == "WARN").map(|(number, _)| number).collect()
    };
    assert_eq!(warnings("trixie-shop-before").len(), 10);
    assert_eq!(warnings("trixie-shop-after"), LEFT.map(|(number, _)| number));
}

#[test]
fn the_exercise_turns_content_trust_for_docker_bench_and_nothing_back() {
    let (mut expected, exercise) = (theirs("bookworm-vm-hardened"), theirs("bookworm-vm-lab"));
    assert_eq!(expected.insert("4.5".into(), "PASS".into()).as_deref(), Some("WARN"));
    assert_eq!(exercise, expected);
}

/// Numbers of the checks that docker-bench makes on containers.
fn is_about_containers(number: &str) -> bool {
    number == "4.1" || number.starts_with("5.") && number != "5.1"
}

/// Never in its list: one that does not run, and one whose name has the letters `nil`, which it takes for its own.
const OUT_OF_ITS_SIGHT: [&str; 2] = ["stopped", "vanilla"];

/// A check on which we differ: containers that only docker-bench names, those that only we do, and why that is meant.
type Differs = (&'static str, &'static [&'static str], &'static [&'static str], &'static str);

const RUNNING: &[&str] = &[
    "admin",
    "below",
    "device",
    "everything",
    "execs",
    "group",
    "hardened",
    "host",
    "joined",
    "limits",
    "local",
    "low",
    "mounts",
    "run",
    "shared",
    "ssh",
    "web",
];

const DIFFERENCES: &[Differs] = &[
    ("4.1", &[], &["limits"], "user 0:0 is root; it compares the text with 0 and root"),
    ("5.10", &[], &["joined"], "the host's network through another container; it looks at the mode alone"),
    ("5.12", &["local"], &[], "a CPU quota is a limit; it looks at shares and nano CPUs"),
    ("5.15", &[], &["limits", "low", "web"], "always, unless-stopped and on-failure without a number never end"),
    ("5.16", &[], &["joined"], "the host's processes through another container"),
    ("5.17", &[], &["joined"], "the host's shared memory through another container"),
    ("5.2", RUNNING, &[], "there is no AppArmor on this host"),
    ("5.23", &[], &["execs"], "it does not look at execs"),
    ("5.24", &[], &["execs"], "it does not look at execs"),
    ("5.26", &[], &["limits"], "no-new-privileges:false is off; it looks for the name of the option"),
    (
        "5.3",
        &[
            "below",
            "device",
            "everything",
            "execs",
            "group",
            "joined",
            "local",
            "low",
            "mounts",
            "run",
            "shared",
            "ssh",
            "web",
        ],
        &[],
        "there is no SELinux on this host; to docker-bench any option is one of SELinux",
    ),
    (
        "5.4",
        &[],
        &[
            "below", "device", "execs", "group", "host", "joined", "limits", "local", "low", "mounts", "run", "shared",
            "ssh", "web",
        ],
        "the default set has NET_RAW, which the benchmark wants gone; it looks at what was added",
    ),
    ("5.32", &[], &["run"], "the socket comes with its directory; it looks for the socket's name"),
    ("5.6", &[], &["below"], "what is in a system directory, and /root; it compares eight names"),
    ("5.7", &["host", "joined"], &[], "they see the host's processes, the sshd of another container among them"),
    ("5.8", &["local"], &[], "1024 is not a privileged port"),
    ("5.9", &["hardened", "local", "low", "web"], &[], "whether a published port is needed is for a person to say"),
];

/// Containers that its result names. The items have forms of their own: `NAME`, `NAME:PORT`, `ID:NAME`.
fn named(result: &Value) -> BTreeSet<String> {
    let items = result["items"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let name = |item: &str| match item.split_once(':') {
        Some((id, name)) if id.len() == 64 => name.to_owned(),
        Some((name, _)) => name.to_owned(),
        None => item.to_owned(),
    };
    items.map(name).collect()
}

#[test]
fn containers_are_judged_alike_one_by_one_but_where_we_say_why() {
    let ours = findings("debian-13-containers");
    let mut differ = Vec::new();
    let mut compared = 0;
    for result in results("trixie-containers") {
        let number = text(&result, "id");
        if !is_about_containers(number) {
            continue;
        }
        compared += 1;
        let theirs = named(&result);
        // What is information to docker-bench is as good as ours that a person has to look.
        let asks = text(&result, "result") == "INFO" && !theirs.is_empty();
        let flags = |verdict| verdict == Verdict::Fail || verdict == Verdict::Manual && asks;
        let own = ours.iter().filter(|(own, finding)| own == number && flags(finding.verdict));
        let own = own.map(|(_, finding)| finding.subject.trim_start_matches("container:").to_owned());
        let own: BTreeSet<String> = own.filter(|name| !OUT_OF_ITS_SIGHT.contains(&name.as_str())).collect();
        let only =
            |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect::<Vec<_>>();
        if theirs != own {
            differ.push((number.to_owned(), only(&theirs, &own), only(&own, &theirs)));
        }
    }
    assert_eq!(compared, 32, "sections are missing");
    differ.sort();
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut known: Vec<_> =
        DIFFERENCES.iter().map(|(id, theirs, ours, _)| (id.to_string(), owned(theirs), owned(ours))).collect();
    known.sort();
    assert_eq!(differ, known);
}

#[test]
fn what_docker_bench_does_not_see_is_seen() {
    let theirs: BTreeSet<String> =
        results("trixie-containers").iter().filter(|r| is_about_containers(text(r, "id"))).flat_map(named).collect();
    let ours = findings("debian-13-containers");
    for name in OUT_OF_ITS_SIGHT {
        assert!(!theirs.contains(name), "docker-bench sees {name} by now");
        let open = ours.iter().filter(|(_, finding)| finding.subject == format!("container:{name}"));
        let open: BTreeSet<&str> =
            open.filter(|(_, finding)| finding.verdict == Verdict::Fail).map(|(number, _)| number.as_str()).collect();
        // Both share the host's processes and have the daemon's socket.
        assert!(["5.16", "5.32", "5.11"].iter().all(|number| open.contains(number)), "{name}: {open:?}");
    }
}
