//! `seaworthy plan`.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::DEBIAN;
use crate::shell::{Said, Tree, seaworthy};

fn plan(more: &[&str]) -> Said {
    let mut args = vec!["plan", "--facts", DEBIAN];
    args.extend(more);
    seaworthy(&args)
}

#[test]
fn a_fresh_host_gets_the_whole_diff() {
    plan(&[]).exits(2).is("plan");
}

#[test]
fn nothing_to_do_is_said_once() {
    plan(&["--check", "daemon.log-level"]).exits(0).is("plan-nothing");
}

#[test]
fn what_is_held_alone_makes_no_change() {
    plan(&["--check", "image.content-trust,daemon.central-logging"]).exits(0).is("plan-held");
}

#[test]
fn accept_takes_in_what_is_held_but_not_what_needs_a_value() {
    let checks = "image.content-trust,daemon.central-logging";
    plan(&["--check", checks, "--accept", "content-trust,central-logging"]).exits(2).is("plan-accept");
    plan(&["--accept", "content-trst"]).exits(64).is("plan-accept-unknown");
}

#[test]
fn without_a_restart_the_restart_is_left_out_and_said() {
    plan(&["--check", "daemon.icc", "--no-restart"]).exits(2).is("plan-no-restart");
}

#[test]
fn the_site_gives_values_that_nobody_can_guess() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("config.toml");
    fs::write(&config, "[values]\nlog-driver = \"journald\"\n").unwrap();
    let said = plan(&["--check", "central-logging", "--config", config.to_str().unwrap()]).exits(2);
    assert!(said.out.contains("+  \"log-driver\": \"journald\"\n"), "{}", said.out);
}

#[test]
fn json_carries_changes_in_order_and_what_is_held() {
    let said = plan(&["--format", "json"]).exits(2);
    let value = said.json();
    assert_eq!((&value["schema_version"], &value["exit"]), (&json!(1), &json!(2)));
    let kinds: Vec<&str> =
        value["changes"].as_array().unwrap().iter().map(|change| change["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["file", "file", "load-audit-rules", "live-restore-first", "file", "restart-docker"]);
    let flags: Vec<&Value> = value["held"].as_array().unwrap().iter().map(|held| &held["flag"]).collect();
    assert!(flags.contains(&&json!("--accept image.content-trust")), "{flags:?}");
    assert!(flags.contains(&&json!("set `log-driver` under [values] in /etc/seaworthy/config.toml")), "{flags:?}");
    assert_eq!(value["disruption"], "restart-daemon");
    let stays =
        |note: &Value| note.as_str().unwrap().contains("dockremap") && note.to_string().contains("stay on rollback");
    assert!(value["notes"].as_array().unwrap().iter().any(stays), "{}", value["notes"]);
}

/// The promise of the format: what is printed is what these tools write.
#[test]
fn patch_and_git_take_the_printed_plan() {
    let printed = plan(&[]).exits(2).out;
    let expected = "{\n  \"live-restore\": true,\n  \"icc\": false,\n  \"userns-remap\": \"default\",\n  \
                    \"no-new-privileges\": true,\n  \"userland-proxy\": false\n}\n";
    for tool in [["patch", "-p1", "--input"], ["git", "apply", "--verbose"]] {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("fixes.diff");
        fs::write(&file, &printed).unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(&tree).unwrap();
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).arg(&file).current_dir(&tree).env("GIT_CEILING_DIRECTORIES", dir.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{tool:?}: {output:?}");
        assert_eq!(fs::read_to_string(tree.join("etc/docker/daemon.json")).unwrap(), expected, "{tool:?}");
        let rules = fs::read_to_string(tree.join("etc/audit/rules.d/50-seaworthy-docker.rules")).unwrap();
        assert!(rules.lines().any(|line| line == "-w /etc/docker -p wa -k docker"), "{tool:?}: {rules}");
        assert!(tree.join("etc/tmpfiles.d/seaworthy-docker.conf").exists(), "{tool:?}");
    }
}

/// Whoever patches with what a dry run prints has what an apply writes, to the byte: both come from the same changes.
#[test]
fn what_is_printed_is_what_apply_writes() {
    let Some(tree) = Tree::owned() else { return };
    let files = ["etc/docker/daemon.json", "etc/environment"];
    tree.write(files[0], "{\n\t\"dns\": [\"10.0.0.2\"], \"mtu\": 1.50e3,\n\t\"icc\" :true}");
    tree.write(files[1], "PATH=/bin");
    let accept = ["--accept", "content-trust"];
    let saved = tree.arg("fixes.json");
    let printed = tree.run(&[&["plan"], &accept[..]].concat()).exits(2).out;
    let of_saved = tree.run(&[&["plan", "--out", &saved], &accept[..]].concat()).exits(2).out;
    assert_eq!(of_saved, printed);
    let copy = TempDir::new().unwrap();
    for file in files {
        fs::create_dir_all(copy.path().join(file).parent().unwrap()).unwrap();
        fs::copy(tree.path(file), copy.path().join(file)).unwrap();
    }
    let diff = copy.path().join("fixes.diff");
    fs::write(&diff, &printed).unwrap();
    let mut patch = Command::new("patch");
    let output = patch.args(["-p1", "--input"]).arg(&diff).current_dir(copy.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let _ = tree.run(&["apply", &saved, "--yes"]).exits(0);
    for file in files {
        let patched = fs::read_to_string(copy.path().join(file)).unwrap();
        assert_eq!(tree.read(file), patched);
    }
    assert!(tree.read(files[0]).contains("\"mtu\": 1.50e3,\n\t\"icc\" :false"), "{}", tree.read(files[0]));
}

#[test]
fn a_saved_plan_is_applied_and_nothing_else() {
    let Some(tree) = Tree::owned() else { return };
    let file = tree.arg("fixes.json");
    tree.run(&["plan", "--check", "daemon.icc", "--out", &file]).exits(2).is("plan-out");
    let said = tree.run(&["apply", &file, "--yes"]).exits(0);
    assert!(said.out.contains(": 1 check applied\n  daemon.icc\n"), "{}", said.all());
    assert_eq!(tree.read("etc/docker/daemon.json"), "{\n  \"icc\": false\n}\n");
    assert_eq!(tree.mode_of("etc/docker"), 0o777, "not in the plan");
}

#[test]
fn a_saved_plan_is_refused_when_the_host_moved_on() {
    let Some(tree) = Tree::owned() else { return };
    let file = tree.arg("fixes.json");
    let _ = tree.run(&["plan", "--check", "daemon.icc", "--out", &file]).exits(2);
    tree.write("etc/docker/daemon.json", "{\"debug\": true}\n");
    let before = tree.state();
    let said = tree.run(&["apply", &file, "--yes"]).exits(3);
    assert!(said.err.contains("host: unchanged\n"), "{}", said.err);
    assert_eq!(tree.state(), before);
}

#[test]
fn a_saved_plan_is_not_applied_off_a_terminal_without_yes() {
    let Some(tree) = Tree::owned() else { return };
    let file = tree.arg("fixes.json");
    let _ = tree.run(&["plan", "--check", "daemon.icc", "--out", &file]).exits(2);
    tree.run(&["apply", &file]).exits(3).is("plan-apply-without-yes");
}

#[test]
fn a_plan_that_is_truncated_or_of_another_version_is_refused() {
    let Some(tree) = Tree::owned() else { return };
    let file = tree.arg("fixes.json");
    let _ = tree.run(&["plan", "--check", "daemon.icc", "--out", &file]).exits(2);
    let whole = tree.read("fixes.json");
    tree.write("fixes.json", &whole[..whole.len() / 2]);
    let said = tree.run(&["apply", &file, "--yes"]).exits(1);
    assert!(said.err.starts_with("error: ROOT/fixes.json:"), "{}", said.err);
    assert!(said.err.contains(": this is not a saved plan\n"), "{}", said.err);
    let mut value: Value = serde_json::from_str(&whole).unwrap();
    value["schema_version"] = json!(99);
    value["tool_version"] = json!("9.0.0");
    tree.write("fixes.json", &value.to_string());
    tree.run(&["apply", &file, "--yes"]).exits(3).is("plan-other-version");
    assert!(!tree.path("etc/docker/daemon.json").exists());
}

#[test]
fn a_saved_plan_carries_its_own_selection() {
    seaworthy(&["apply", "fixes.json", "--check", "icc"]).exits(64).is("plan-apply-selection");
}
