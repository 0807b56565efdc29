//! `seaworthy apply`, `rollback`, `history` and `confirm` on the tree of a host that is not running.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::shell::Tree;

#[test]
fn off_a_terminal_it_needs_yes() {
    let Some(tree) = Tree::owned() else { return };
    let before = tree.state();
    tree.run(&["apply"]).exits(3).is("apply-without-yes");
    assert_eq!(tree.state(), before);
}

#[test]
fn what_is_applied_is_listed_and_taken_back_exactly() {
    let Some(tree) = Tree::owned() else { return };
    let before = tree.state();
    tree.run(&["history"]).exits(0).is("history-none");
    tree.run(&["apply", "--yes"]).exits(0).is("apply");
    assert_eq!(tree.mode_of("etc/docker"), 0o755);
    assert_eq!(tree.mode_of("etc/docker/daemon.json"), 0o644);
    assert_eq!(tree.mode_of("var/lib/seaworthy"), 0o700);
    tree.run(&["apply", "--yes"]).exits(0).is("apply-again");
    tree.run(&["history"]).exits(0).is("history");
    tree.run(&["rollback"]).exits(3).is("rollback-without-yes");
    assert_eq!(tree.mode_of("etc/docker"), 0o755, "nothing was agreed to");
    tree.run(&["rollback", "--yes"]).exits(0).is("rollback");
    assert_eq!(tree.state(), before);
    tree.run(&["history"]).exits(0).is("history-rolled-back");
    tree.run(&["rollback", "--yes"]).exits(1).is("rollback-nothing");
}

#[test]
fn json_tells_what_was_done() {
    let Some(tree) = Tree::owned() else { return };
    let only = ["apply", "--yes", "--format", "json", "--check", "file.etc-docker-mode"];
    let value = tree.run(&only).exits(0).json();
    assert_eq!((&value["schema_version"], &value["exit"], &value["changed"]), (&json!(1), &json!(0), &json!(true)));
    assert_eq!(value["applied"], json!(["file.etc-docker-mode"]));
    let headers = (&value["diff"][0]["before_header"], &value["diff"][0]["after_header"]);
    assert_eq!(headers, (&json!("/etc/docker 0777 0:0"), &json!("/etc/docker 0755 0:0")));
    let run = value["run"].as_str().unwrap().to_owned();
    let again = tree.run(&only).exits(0).json();
    assert_eq!((&again["changed"], &again["run"]), (&json!(false), &json!(null)));
    let history = tree.run(&["history", "--format", "json"]).exits(0).json();
    assert_eq!((&history["schema_version"], &history["runs"][0]["run"]), (&json!(1), &json!(run)));
    assert_eq!(history["runs"].as_array().unwrap().len(), 1, "a run that does nothing is none");
    let back = tree.run(&["rollback", &run, "--yes", "--format", "json"]).exits(0).json();
    assert_eq!((&back["changed"], &back["applied"]), (&json!(true), &json!(["file.etc-docker-mode"])));
    assert_eq!(tree.mode_of("etc/docker"), 0o777);
}

#[test]
fn a_tree_that_was_never_booted_has_no_var() {
    let Some(tree) = Tree::owned() else { return };
    std::fs::remove_dir_all(tree.path("var")).unwrap();
    let _ = tree.run(&["apply", "--yes", "--check", "daemon.icc"]).exits(0);
    assert_eq!((tree.mode_of("var"), tree.mode_of("var/lib/seaworthy")), (0o755, 0o700));
}

#[test]
fn detailed_exitcode_tells_that_findings_stay_open() {
    let Some(tree) = Tree::owned() else { return };
    let _ = tree.run(&["apply", "--yes", "--check", "daemon.icc", "--detailed-exitcode"]).exits(0);
    let _ = tree.run(&["apply", "--yes", "--check", "daemon.central-logging", "--detailed-exitcode"]).exits(2);
}

#[test]
fn one_fix_of_a_run_is_taken_back_alone() {
    let Some(tree) = Tree::owned() else { return };
    let _ = tree.run(&["apply", "--yes"]).exits(0);
    tree.run(&["rollback", "--check", "daemon.icc", "--yes"]).exits(0).is("rollback-check");
    let config = tree.read("etc/docker/daemon.json");
    assert!(!config.contains("icc") && config.contains("\"live-restore\": true"), "{config}");
    let said = tree.run(&["audit", "--check", "daemon.icc"]).exits(2);
    assert!(said.out.contains("icc: true; expected false"), "{}", said.out);
}

/// dockerd makes the user at its first start with userns-remap, and nobody takes it away again.
#[test]
fn what_stays_is_said() {
    let Some(tree) = Tree::owned() else { return };
    let _ = tree.run(&["apply", "--yes", "--check", "daemon.userns-remap"]).exits(0);
    tree.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndockremap:x:100:101::/:/bin/false\n");
    tree.run(&["rollback", "--yes"]).exits(0).is("rollback-dockremap");
    assert!(tree.read("etc/passwd").contains("dockremap"));
}

#[test]
fn what_was_changed_by_hand_since_is_not_overwritten_without_force() {
    let Some(tree) = Tree::owned() else { return };
    let _ = tree.run(&["apply", "--yes", "--check", "daemon.icc"]).exits(0);
    tree.write("etc/docker/daemon.json", "{\n  \"icc\": false,\n  \"debug\": true\n}\n");
    tree.run(&["rollback", "--yes"]).exits(3).is("rollback-changed-since");
    assert!(tree.read("etc/docker/daemon.json").contains("debug"));
    let _ = tree.run(&["rollback", "--yes", "--force"]).exits(0);
    assert!(!tree.path("etc/docker/daemon.json").exists());
}

#[test]
fn only_the_subjects_that_were_named_are_changed() {
    let Some(tree) = Tree::owned() else { return };
    tree.mode("usr/lib/systemd/system/docker.service", 0o666);
    let _ = tree.run(&["apply", "--yes", "--subject", "path:/etc/docker"]).exits(0);
    assert_eq!(tree.mode_of("etc/docker"), 0o755);
    assert_eq!(tree.mode_of("usr/lib/systemd/system/docker.service"), 0o666);
    assert!(!tree.path("etc/docker/daemon.json").exists());
}

#[test]
fn a_configuration_that_dockerd_could_not_read_is_not_touched() {
    let Some(tree) = Tree::owned() else { return };
    tree.write("etc/docker/daemon.json", "{\n  \"debug\": true,\n}\n");
    let before = tree.read("etc/docker/daemon.json");
    tree.run(&["audit", "--check", "daemon.*"]).is("audit-broken-config");
    tree.run(&["apply", "--yes", "--check", "daemon.*"]).exits(0).is("apply-broken-config");
    assert_eq!(tree.read("etc/docker/daemon.json"), before);
    // Nor what is no text: it is not taken for a file that is missing.
    let bytes = b"{\n  \"labels\": [\"\xff\"]\n}\n";
    std::fs::write(tree.path("etc/docker/daemon.json"), bytes).unwrap();
    let said = tree.run(&["audit", "--check", "daemon.config"]).exits(2);
    assert!(said.out.contains("not UTF-8"), "{}", said.out);
    let _ = tree.run(&["apply", "--yes", "--check", "daemon.*"]).exits(0);
    assert_eq!(std::fs::read(tree.path("etc/docker/daemon.json")).unwrap(), bytes);
}

#[test]
fn runs_that_do_not_exist_are_named() {
    let Some(tree) = Tree::owned() else { return };
    for command in ["rollback", "history", "confirm"] {
        let said = tree.run(&[command, "20200101T000000Z-0000"]).exits(3);
        assert!(said.err.starts_with("error: run `20200101T000000Z-0000`: no such run\n"), "{}", said.all());
    }
    tree.run(&["rollback", "../../etc"]).exits(3).is("rollback-no-such-run");
}

#[test]
fn only_a_run_that_waits_can_be_confirmed() {
    let Some(tree) = Tree::owned() else { return };
    let value = tree.run(&["apply", "--yes", "--check", "daemon.icc", "--format", "json"]).exits(0).json();
    tree.run(&["confirm", value["run"].as_str().unwrap()]).is("confirm-committed");
}

/// What a saved plan would run as root, and what no diff of it shows, is not taken on its word.
#[test]
fn a_saved_plan_that_was_edited_or_can_be_is_refused() {
    let Some(tree) = Tree::owned() else { return };
    let (before, saved) = (tree.state(), tempfile::tempdir().unwrap());
    let file = saved.path().join("plan.json");
    let plan = file.to_str().unwrap();
    let _ = tree.run(&["plan", "--check", "daemon.icc", "--out", plan]).exits(2);
    let honest = std::fs::read_to_string(&file).unwrap();
    let write = |edit: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&honest).unwrap();
        edit(&mut value);
        std::fs::write(&file, value.to_string()).unwrap();
        tree.run(&["apply", plan, "--yes"])
    };
    let program = json!({ "act": { "run": { "install": { "argv": ["/bin/sh", "-c", "true"] } } }, "checks": [] });
    let said = write(&|plan| plan["steps"].as_array_mut().unwrap().push(program.clone())).exits(3);
    assert!(said.err.contains("it was edited") && said.err.contains("host: unchanged"), "{}", said.err);
    let _ = write(&|plan| plan["target"]["validate_argv"] = json!(["/bin/sh", "-c", "true"])).exits(3);
    let hidden = |plan: &mut Value| {
        let steps = plan["steps"].as_array_mut().unwrap();
        let change = steps.iter_mut().find_map(|step| step["act"].get_mut("file")).unwrap();
        change["interim"] = json!("{\"hosts\": [\"tcp://0.0.0.0:2375\"]}\n");
    };
    let _ = write(&hidden).exits(3);
    assert_eq!(tree.state(), before);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let said = write(&|_| ()).exits(3);
    assert!(said.err.contains("can be written by others"), "{}", said.err);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let _ = write(&|_| ()).exits(0);
    assert!(tree.read("etc/docker/daemon.json").contains("\"icc\": false"));
}
