//! `seaworthy facts`, and secrets, which no output shows.

use crate::shell::{Tree, seaworthy};

#[test]
fn what_is_recorded_is_audited_and_planned_elsewhere_alike() {
    let Some(tree) = Tree::owned() else { return };
    let file = tree.arg("facts.json");
    let said = tree.run(&["facts", "--output", &file]).exits(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", "recorded to ROOT/facts.json\n"));
    assert_eq!(tree.mode_of("facts.json"), 0o600);
    // Why a client's version is not known is told in other words there.
    let skip = ["--skip", "image.content-trust"];
    let there = tree.run(&[&["plan"][..], &skip].concat()).exits(2).out;
    assert_eq!(seaworthy(&[&["plan", "--facts", &file][..], &skip].concat()).exits(2).out, there);
    let findings = |said: &crate::shell::Said| said.json()["findings"].clone();
    let there = tree.run(&[&["audit", "--format", "json"][..], &skip].concat()).exits(2);
    let here = seaworthy(&[&["audit", "--format", "json", "--facts", &file][..], &skip].concat());
    assert_eq!(findings(&here), findings(&there));
}

#[test]
fn a_file_that_is_no_recording_is_named_with_its_line() {
    let tree = Tree::new();
    tree.write("facts.json", "{\n  \"schema_version\": 1,\n");
    let said = seaworthy(&["audit", "--facts", &tree.arg("facts.json")]).exits(1);
    assert!(said.err.contains("facts.json:3: this is not a facts file\n"), "{}", said.err);
    assert!(said.err.contains("hint: record one with `seaworthy facts --output FILE`\n"), "{}", said.err);
    seaworthy(&["audit", "--facts", "/nowhere/facts.json"]).exits(1).is("facts-missing");
}

#[test]
fn a_recording_of_a_newer_version_is_refused() {
    let tree = Tree::new();
    let mut value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(crate::DEBIAN).unwrap()).unwrap();
    value["schema_version"] = 99.into();
    value["tool_version"] = "9.0.0".into();
    tree.write("facts.json", &value.to_string());
    let said = seaworthy(&["audit", "--facts", &tree.arg("facts.json")]).exits(1);
    assert!(said.err.contains("was recorded by a newer seaworthy (9.0.0)"), "{}", said.err);
}

#[test]
fn secrets_show_nowhere() {
    let Some(tree) = Tree::owned() else { return };
    tree.write(
        "etc/docker/daemon.json",
        "{\n  \"icc\": true,\n  \"http-proxy\": \"http://user:hunter2@proxy:3128\"\n}\n",
    );
    let file = tree.arg("fixes.json");
    let said = [
        tree.run(&["audit", "-v"]),
        tree.run(&["audit", "--format", "json"]),
        tree.run(&["plan"]),
        tree.run(&["plan", "--format", "json", "--out", &file]),
        tree.run(&["facts"]),
        tree.run(&["apply", "--yes", "--format", "json"]).exits(0),
        tree.run(&["history", "-v"]),
        tree.run(&["history", "--format", "json"]),
        tree.run(&["rollback", "--yes", "--check", "daemon.icc"]).exits(0),
        tree.run(&["rollback", "--yes", "--format", "json"]).exits(0),
    ];
    for said in said {
        assert!(!said.all().contains("hunter2"), "{}", said.all());
    }
    assert!(tree.read("etc/docker/daemon.json").contains("hunter2"), "it is still there, of course");
    assert_eq!(tree.mode_of("fixes.json") & 0o077, 0, "a saved plan holds whole files");
}
