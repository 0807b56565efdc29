//! The README's promises: each command line in it can be given.

use std::fs;

use seaworthy::catalog::Entry;
use seaworthy::cli::{Parsed, parse};
use seaworthy::policy::Policy;

use crate::shell::seaworthy;

/// The `seaworthy …` lines of all fenced blocks, as words; `cargo run --` stands for the program.
fn lines() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut fenced = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let line = line.trim_start_matches("$ ").trim_start_matches("sudo ");
        let line = line.replace("cargo run -- ", "seaworthy ");
        if fenced && (line == "seaworthy" || line.starts_with("seaworthy ")) {
            let line = line.split(" #").next().unwrap_or(&line);
            found.push(line.split(" | ").next().unwrap_or(line).trim().to_owned());
        }
    }
    found
}

/// Words of a line of shell; double quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_command_line_of_the_readme_can_be_given() {
    let lines = lines();
    assert!(lines.len() >= 10, "{lines:?}");
    for line in &lines {
        match parse(words(line).into_iter().map(Into::into)) {
            Ok(Parsed::Run(_) | Parsed::Text(_)) => {}
            Err(failure) => panic!("`{line}`: {failure}"),
        }
    }
}

#[test]
fn the_sites_file_of_the_readme_can_be_read() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let text = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let policy = Policy::parse(text, "README.md".as_ref()).unwrap();
    assert_eq!(policy.value("log-driver"), Some("syslog".into()));
    assert_eq!(policy.trusted_docker_users, ["deploy"]);
}

#[test]
fn the_part_of_a_plan_in_the_readme_is_what_is_printed() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let plan = seaworthy(&["plan", "--facts", crate::DEBIAN]).out;
    for line in readme.split("```diff\n").nth(1).unwrap().split("```").next().unwrap().lines() {
        assert!(plan.lines().any(|printed| printed == line), "{line}");
    }
}

/// The worked example is a whole remediation: it must never teach a form that the catalogue refuses.
#[test]
fn the_check_of_contributing_is_one() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/CONTRIBUTING.md")).unwrap();
    let toml = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let entry: Entry = toml_edit::de::from_str(toml).unwrap();
    assert!(text.contains(&format!("**1. `remediations/{}.toml`.**", entry.id.replace('.', "-"))));
}

#[test]
fn the_first_commands_of_the_readme_are_there_to_be_run() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains("cargo run -- plan --facts fixtures/hosts/debian-12.json"));
    assert!(readme.contains("tests/run"));
    for file in [crate::DEBIAN, "tests/run", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{file}");
    }
}
