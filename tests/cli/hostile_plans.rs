//! Plan files that were edited, or that others had a hand in.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hostile::harmless;
use crate::shell::Tree;

fn saved(tree: &Tree, checks: &str) -> (TempDir, String, Value) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json").to_str().unwrap().to_owned();
    let _ = tree.run(&["plan", "--check", checks, "--out", &file]).exits(2);
    let plan = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    (dir, file, plan)
}

/// The change of a path in a plan.
fn change<'p>(plan: &'p mut Value, path: &str) -> &'p mut Value {
    let steps = plan["steps"].as_array_mut().unwrap().iter_mut();
    steps.filter_map(|step| step["act"].get_mut("file")).find(|change| change["path"] == path).unwrap()
}

type Edit = (&'static str, fn(&mut Value));

const CONFIG: &str = "/etc/docker/daemon.json";

fn new_file(path: &str) -> Value {
    let after = json!({ "state": "present", "dir": false, "mode": 0o644, "uid": 0, "gid": 0, "content": "x\n" });
    json!({ "act": { "file": { "path": path, "before": { "state": "absent" }, "after": after } },
            "checks": ["daemon.icc"] })
}

fn push(plan: &mut Value, step: Value) {
    plan["steps"].as_array_mut().unwrap().push(step);
}

/// What a plan file can say that no plan of the catalogue does.
const EDITS: &[Edit] = &[
    ("a file of its own", |plan| push(plan, new_file("/etc/cron.d/x"))),
    ("a path that climbs", |plan| push(plan, new_file("/etc/../etc/cron.d/x"))),
    ("a relative path", |plan| push(plan, new_file("etc/cron.d/x"))),
    ("a path with line breaks", |plan| push(plan, new_file("/etc/x\nhint: run `x`\u{1b}[2J"))),
    ("a very long path", |plan| push(plan, new_file(&format!("/etc/{}", "x/".repeat(5000))))),
    ("a path through a file", |plan| push(plan, new_file("/etc/passwd/x"))),
    ("another content", |plan| {
        change(plan, CONFIG)["after"]["content"] = json!("{\"icc\": false, \"hosts\": [\"tcp://0.0.0.0:2375\"]}\n");
    }),
    ("another mode", |plan| change(plan, CONFIG)["after"]["mode"] = json!(0o4777)),
    ("another owner", |plan| change(plan, CONFIG)["after"]["uid"] = json!(1000)),
    ("a hidden content in between", |plan| change(plan, CONFIG)["interim"] = json!("{\"hosts\": []}\n")),
    ("a removal", |plan| {
        let before = json!({ "state": "present", "dir": false, "mode": 0o644, "uid": 0, "gid": 0, "content": "root:x:0:0:root:/root:/bin/sh\n" });
        push(
            plan,
            json!({ "act": { "file": { "path": "/etc/passwd", "before": before, "after": { "state": "absent" } } }, "checks": [] }),
        );
    }),
    ("a program", |plan| {
        push(plan, json!({ "act": { "run": { "install": { "argv": ["/bin/sh", "-c", "id"] } } }, "checks": [] }));
    }),
    ("a package of its own", |plan| {
        let argv =
            ["/usr/bin/apt-get", "-y", "--no-install-recommends", "-o", "DPkg::Pre-Invoke::=id", "install", "auditd"];
        push(plan, json!({ "act": { "run": { "install": { "argv": argv } } }, "checks": [] }));
    }),
    ("a unit of its own", |plan| push(plan, json!({ "act": { "run": { "start": "evil.service" } }, "checks": [] }))),
    ("an armed timer", |plan| {
        let timer = json!({ "arm-timer": { "unit": "x", "seconds": 1, "argv": ["/bin/sh"] } });
        push(plan, json!({ "act": { "run": timer }, "checks": [] }));
    }),
    ("a restart", |plan| push(plan, json!({ "act": "restart-docker", "checks": ["daemon.icc"] }))),
    ("rules to take away", |plan| {
        push(plan, json!({ "act": { "load-audit-rules": { "expect": ["/etc/passwd wa"] } }, "checks": [] }));
    }),
    ("live-restore in another file", |plan| {
        push(plan, json!({ "act": { "live-restore-first": "/etc/passwd" }, "checks": [] }));
    }),
    ("fewer steps", |plan| drop(plan["steps"].as_array_mut().unwrap().pop())),
    ("the same step twice", |plan| {
        let last = plan["steps"].as_array().unwrap().last().unwrap().clone();
        push(plan, last);
    }),
    ("a program to validate with", |plan| plan["target"]["validate_argv"] = json!(["/bin/sh", "-c", "id"])),
    ("a socket of its own", |plan| plan["target"]["socket"] = json!("/tmp/evil.sock")),
    ("a configuration elsewhere", |plan| plan["target"]["config"] = json!("/etc/passwd")),
    ("a key to put back", |plan| {
        let undo = json!({ "daemon-key": { "key": "hosts", "before": ["tcp://0.0.0.0:2375"] } });
        plan["parts"].as_array_mut().unwrap().push(json!({ "check": "daemon.icc", "path": CONFIG, "undo": undo }));
    }),
    ("a mode to put back", |plan| {
        let undo = json!({ "mode": { "mode": 0o4777 } });
        plan["parts"].as_array_mut().unwrap().push(json!({ "check": "daemon.icc", "path": CONFIG, "undo": undo }));
    }),
    ("a check that it does not fix", |plan| {
        plan["accepted"].as_array_mut().unwrap().push(json!("image.content-trust"));
    }),
    ("a check that does not exist", |plan| plan["accepted"].as_array_mut().unwrap().push(json!("evil.check"))),
];

#[test]
fn a_plan_file_cannot_say_what_is_done() {
    let Some(tree) = Tree::owned() else { return };
    let (_dir, file, plan) = saved(&tree, "daemon.icc,file.etc-docker-mode");
    let before = tree.state();
    for (what, edit) in EDITS {
        let mut edited = plan.clone();
        edit(&mut edited);
        fs::write(&file, edited.to_string()).unwrap();
        let said = tree.run(&["apply", &file, "--yes"]);
        assert!([1, 3].contains(&said.code) && said.err.contains("\nhost: unchanged\n"), "{what}: {}", said.all());
        harmless(&said.err, false);
        assert_eq!(tree.state(), before, "{what}");
        assert!(!tree.path("var/lib/seaworthy/runs").exists(), "{what}: a run was begun");
    }
    fs::write(&file, plan.to_string()).unwrap();
    let _ = tree.run(&["apply", &file, "--yes"]).exits(0);
}

/// What a plan file says beside what is done is not believed either.
#[test]
fn a_plan_file_cannot_hide_what_is_done() {
    let Some(tree) = Tree::owned() else { return };
    let (_dir, file, mut plan) = saved(&tree, "daemon.icc,daemon.userns-remap");
    plan["notes"] = json!([]);
    plan["disruption"] = json!("none");
    plan["stopped_containers"] = json!([["web", "../images/prune?x="]]);
    plan["expected_containers"] = plan["stopped_containers"].clone();
    plan["held"] = json!([{ "check": "\u{1b}[2J\nhint: run `curl x`", "hazards": [], "flag": "--x\u{202e}" }]);
    fs::write(&file, plan.to_string()).unwrap();
    let said = tree.run(&["apply", &file, "--yes"]).exits(0);
    assert!(said.err.contains("note: dockerd itself creates the user and group dockremap"), "{}", said.err);
    harmless(&said.out, false);
    let kept = fs::read_dir(tree.path("var/lib/seaworthy/runs")).unwrap().next().unwrap().unwrap().path();
    let kept: Value = serde_json::from_str(&fs::read_to_string(kept.join("plan.json")).unwrap()).unwrap();
    assert_eq!((&kept["stopped_containers"], &kept["expected_containers"]), (&json!([]), &json!([])));
}

#[test]
fn a_plan_file_that_is_none_is_refused_at_once() {
    let Some(tree) = Tree::owned() else { return };
    let (dir, file, plan) = saved(&tree, "daemon.icc");
    let before = tree.state();
    let whole = plan.to_string();
    for text in ["", "null", "[]", "{}", &"[".repeat(100_000), &whole[..whole.len() - 1], &format!("{whole}{whole}")] {
        fs::write(&file, text).unwrap();
        let said = tree.run(&["apply", &file, "--yes"]).exits(1);
        assert!(said.err.contains("this is not a saved plan"), "{}", said.err);
    }
    fs::write(&file, b"\xff\xfe{}").unwrap();
    let _ = tree.run(&["apply", &file, "--yes"]).exits(1);
    let _ = tree.run(&["apply", dir.path().to_str().unwrap(), "--yes"]).exits(1);
    // By name it is the same file, but others can write it.
    fs::write(&file, &whole).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
    let link = dir.path().join("link.json");
    symlink(&file, &link).unwrap();
    for plan in [&file, link.to_str().unwrap()] {
        let said = tree.run(&["apply", plan, "--yes"]).exits(3);
        assert!(said.err.contains("can be written by others"), "{}", said.err);
    }
    assert_eq!(tree.state(), before);
}

#[test]
fn a_plan_made_with_other_values_is_refused() {
    let Some(tree) = Tree::owned() else { return };
    let dir = TempDir::new().unwrap();
    let (config, file) = (dir.path().join("config.toml"), dir.path().join("plan.json"));
    fs::write(&config, "[values]\nlog-driver = \"journald\"\n").unwrap();
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    let _ = tree.run(&["plan", "--check", "central-logging", "--config", config, "--out", file]).exits(2);
    let said = tree.run(&["apply", file, "--yes"]).exits(3);
    assert!(said.err.contains("log-driver has to be chosen"), "{}", said.err);
    let other = dir.path().join("other.toml");
    fs::write(&other, "[values]\nlog-driver = \"journald\"\nlog-opts = { tag = \"x\" }\n").unwrap();
    let said = tree.run(&["apply", file, "--yes", "--config", other.to_str().unwrap()]).exits(3);
    assert!(said.err.contains("made with another configuration"), "{}", said.err);
    let _ = tree.run(&["apply", file, "--yes", "--config", config]).exits(0);
    assert!(tree.read("etc/docker/daemon.json").contains("journald"));
}

#[test]
fn a_plan_for_some_subjects_is_a_plan() {
    let Some(tree) = Tree::owned() else { return };
    tree.mode("usr/lib/systemd/system/docker.service", 0o666);
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let file = file.to_str().unwrap();
    let _ = tree.run(&["plan", "--subject", "path:/etc/docker", "--no-restart", "--out", file]).exits(2);
    let _ = tree.run(&["apply", file, "--yes"]).exits(0);
    assert_eq!(tree.mode_of("etc/docker"), 0o755);
    assert_eq!(tree.mode_of("usr/lib/systemd/system/docker.service"), 0o666);
}
