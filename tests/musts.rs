//! What every fix has to keep: the table of CONTRIBUTING.md names a test for each promise, and here are those that are
//! about the whole of the project.
#![allow(clippy::disallowed_methods, reason = "these are files of the project, not of a host")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Numbers that stand for a promise; 29 is none.
fn numbers() -> BTreeSet<u32> {
    (1..=47).filter(|number| *number != 29).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(folder)]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == ending) {
                found.push(path);
            }
        }
    }
    found
}

/// A promise of the table: its words, and its tests by file.
struct Row {
    words: String,
    tests: Vec<(String, Vec<String>)>,
}

/// Rows of the form ``| 7 | words | `file` test, test; `file` test |``.
fn table() -> BTreeMap<u32, Row> {
    let mut rows = BTreeMap::new();
    for line in text("CONTRIBUTING.md").lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, words, tests] = cells[..] else { continue };
        let Ok(number) = number.parse() else { continue };
        let file = |part: &str| {
            let (file, names) = part.trim().strip_prefix('`')?.split_once('`')?;
            Some((file.to_owned(), names.split(',').map(|name| name.trim().to_owned()).collect()))
        };
        let tests = tests.split(';').map(|part| file(part).unwrap_or_else(|| panic!("{number}: `{part}`"))).collect();
        assert!(rows.insert(number, Row { words: words.into(), tests }).is_none(), "{number} is there twice");
    }
    rows
}

/// Names of the tests of a source file, or of the scenarios of a fixture.
fn tests_of(file: &str) -> BTreeSet<String> {
    let text = text(file);
    if let Some(name) = file.strip_suffix(".toml") {
        assert!(name.starts_with("fixtures/"), "{file} holds no scenarios");
        let scenario = |line: &str| Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned());
        return text.lines().filter_map(scenario).collect();
    }
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
            names.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
            is_test = false;
        }
    }
    names
}

#[test]
fn each_promise_has_a_test_that_exists() {
    let rows = table();
    assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), numbers(), "the table of CONTRIBUTING.md");
    let mut wrong = Vec::new();
    for (number, row) in &rows {
        if row.words.len() < 20 || row.tests.is_empty() {
            wrong.push(format!("{number}: it says nothing, or names no test"));
        }
        for (file, names) in &row.tests {
            let there = tests_of(file);
            let lacking = names.iter().filter(|name| !there.contains(*name));
            wrong.extend(lacking.map(|name| format!("{number}: {file} has no test `{name}`")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The Engine is asked over its own socket, the kernel over netlink by auditctl; nobody else is.
#[test]
fn nothing_speaks_to_a_network() {
    let ways = ["TcpStream", "TcpListener", "TcpSocket", "UdpSocket", "ToSocketAddrs", "AF_INET", "lookup_host"];
    for file in files("src", "rs").iter().filter(|file| !file.ends_with("engine/tests.rs")) {
        let text = text(file);
        let found: Vec<_> = ways.iter().filter(|way| text.contains(**way)).collect();
        assert!(found.is_empty(), "{}: {found:?}", file.display());
    }
    let lock = text("Cargo.lock");
    let clients = ["reqwest", "ureq", "curl", "rustls", "openssl", "native-tls", "hickory-resolver", "hyper-tls"];
    for client in clients {
        assert!(!lock.contains(&format!("name = \"{client}\"\n")), "{client}");
    }
}

/// The files that a fix may write, by their beginning: never a unit of a package, the accounts, or what users keep.
const WRITABLE: [&str; 9] = [
    "/etc/docker/",
    "/etc/default/docker",
    "/etc/sysconfig/docker",
    "/etc/environment",
    "/etc/audit/rules.d/",
    "/etc/audit/audit.rules",
    "/etc/tmpfiles.d/seaworthy-docker.conf",
    "/etc/systemd/system/docker.service.d/",
    "/etc/systemd/system/docker.socket.d/",
];

/// What a fix may run, by its beginning; the package manager for the one package that was approved.
const RUNNABLE: [&str; 8] = [
    "augenrules --load",
    "systemctl daemon-reload",
    "systemctl enable auditd.service",
    "systemctl start auditd.service",
    "systemctl reload docker.service",
    "systemctl restart docker.service",
    "systemctl start docker.service",
    "/usr/bin/apt-get -y --no-install-recommends -o DPkg::Lock::Timeout=300 install auditd",
];

/// Of every host and every check that the fixtures have.
#[test]
fn only_the_settings_of_docker_and_audit_are_written() {
    let mut written = 0;
    for fixture in files("fixtures", "toml") {
        let document: toml_edit::DocumentMut = text(&fixture).parse().unwrap();
        for scenario in document["scenario"].as_array_of_tables().unwrap() {
            let at = format!("{}: {}", fixture.display(), scenario["name"].as_str().unwrap());
            let named =
                |tables: &toml_edit::Table, path: &str| tables.get("files").and_then(|files| files.get(path)).is_some();
            let diff = scenario.get("diff").and_then(|diff| diff.as_str()).unwrap_or_default();
            for line in diff.lines() {
                if let Some(path) = line.strip_prefix("+++ b") {
                    written += 1;
                    let ours = WRITABLE.iter().any(|start| path.starts_with(start));
                    // a scenario may have its daemon.json elsewhere
                    let configured = path.rsplit('.').next() == Some("json") && named(scenario, path);
                    // the file that the labels of a container name
                    let composed = path.ends_with("/compose.yaml") && named(scenario, path);
                    assert!(ours || configured || composed, "{at}: {line}");
                } else if let Some(command) = line.strip_prefix("# run: ") {
                    assert!(RUNNABLE.contains(&command) || is_update(command), "{at}: {line}");
                } else if line.starts_with('+') {
                    let never = ["\"iptables\": false", "\"data-root\"", "\"seccomp-profile\"", "net.ipv4"];
                    assert!(!never.iter().any(|word| line.contains(word)), "{at}: {line}");
                }
            }
        }
    }
    assert!(written > 100, "{written}");
}

/// What is changed in a container that exists, its limits, restart policy and network, or in the swarm.
fn is_update(command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    let known = match words[..] {
        ["docker", "network", "connect", _, to, "&&", "docker", "network", "disconnect", "bridge", from] => to == from,
        ["docker", "swarm", "update", "--autolock=true"] | ["docker", "swarm", "update", "--cert-expiry", _] => true,
        _ => false,
    };
    known || is_docker_update(command)
}

fn is_docker_update(command: &str) -> bool {
    let options =
        command.strip_prefix("docker update ").unwrap_or_default().split(' ').filter(|word| word.starts_with('-'));
    let known = ["--memory", "--memory-swap", "--cpu-period", "--cpu-quota", "--pids-limit", "--restart"];
    let mut options = options.peekable();
    options.peek().is_some() && options.all(|option| known.contains(&option) || option == "-1")
}

/// As the diffs of the fixtures say it, for hosts of every kind.
#[test]
fn modes_only_get_stricter_and_of_one_path_each() {
    let mut changed = 0;
    for fixture in files("fixtures", "toml") {
        let text = text(&fixture);
        for line in text.lines().filter_map(|line| line.strip_prefix("# mode ")) {
            let words: Vec<&str> = line.split(' ').collect();
            let [before, "->", after, path] = words[..] else { panic!("{}: {line}", fixture.display()) };
            let mode = |text| u32::from_str_radix(text, 8).unwrap();
            assert_eq!(mode(after) & !mode(before), 0, "{}: {line} adds a bit", fixture.display());
            let plain = path.starts_with('/') && !path.contains('*') && !path.starts_with("/var/lib/docker");
            assert!(plain, "{}: {line}", fixture.display());
            changed += 1;
        }
    }
    assert!(changed > 20, "{changed}");
}
