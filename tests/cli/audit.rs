//! `seaworthy audit`.

use serde_json::json;

use crate::DEBIAN;
use crate::shell::{Tree, seaworthy};

fn audit(more: &[&str]) -> crate::shell::Said {
    let mut args = vec!["audit", "--facts", DEBIAN];
    args.extend(more);
    seaworthy(&args)
}

#[test]
fn a_fresh_host_is_reported_from_the_worst_on() {
    audit(&[]).is("audit");
}

#[test]
fn verbose_adds_titles_sources_and_what_passes() {
    audit(&["-v", "--check", "daemon.icc,daemon.log-level,file.etc-docker-mode"]).is("audit-verbose");
}

/// A host with containers that break one rule each.
const CONTAINERS: &str = "fixtures/hosts/debian-13-containers.json";

#[test]
fn many_containers_are_reported_in_few_lines() {
    seaworthy(&["audit", "--facts", CONTAINERS, "--check", "container.*"]).is("audit-containers");
}

#[test]
fn json_has_a_finding_for_each_container() {
    let of = |more: &[&str]| {
        let args = ["audit", "--facts", CONTAINERS, "--format", "json", "--check", "container.memory"];
        let value = seaworthy(&[&args[..], more].concat()).json();
        let told =
            |finding: &serde_json::Value| format!("{} {}", finding["subject"], finding["verdict"]).replace('"', "");
        value["findings"].as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(of(&[]).len(), 19);
    assert_eq!(of(&["--subject", "hardened"]), ["container:hardened pass"]);
    assert_eq!(of(&["--subject", "h*"]), ["container:hardened pass", "container:host fail"]);
}

#[test]
fn an_offline_tree_says_what_only_a_running_host_tells() {
    let Some(tree) = Tree::owned() else { return };
    tree.run(&["audit"]).is("audit-root");
}

#[test]
fn json_carries_what_is_published() {
    let audit = audit(&["--format", "json"]).exits(2);
    let value = audit.json();
    assert_eq!(audit.err, "");
    assert_eq!((&value["schema_version"], &value["exit"]), (&json!(1), &json!(2)));
    assert_eq!((&value["benchmark"], &value["profile"]), (&json!("cis-1.8.0"), &json!("level-2")));
    assert_eq!(value["tool_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value["generated_at"], "2026-11-22T19:15:11Z", "the recording's clock, not ours");
    assert_eq!(value["machine_id"].as_str().unwrap().len(), 32);
    let findings = value["findings"].as_array().unwrap();
    assert_eq!(value["summary"]["total"], findings.len());
    let icc = findings.iter().find(|finding| finding["check"] == "daemon.icc").unwrap();
    assert_eq!((&icc["verdict"], &icc["subject"]), (&json!("fail"), &json!("daemon:docker.service")));
    assert_eq!((&icc["applicability"], &icc["disruption"]), (&json!("automatic"), &json!("restart-daemon")));
    assert_eq!(icc["references"]["cis-1.8.0"], "2.2");
    let trust = findings.iter().find(|finding| finding["check"] == "image.content-trust").unwrap();
    assert_eq!((&trust["applicability"], &trust["hazards"][0]["hazard"]), (&json!("ask"), &json!("breaks-pulls")));
}

#[test]
fn selection_narrows_what_is_reported() {
    let checks = |more: &[&str]| {
        let mut args = vec!["--format", "json"];
        args.extend(more);
        let value = audit(&args).json();
        let slug = |finding: &serde_json::Value| finding["check"].as_str().unwrap().to_owned();
        value["findings"].as_array().unwrap().iter().map(slug).collect::<Vec<_>>()
    };
    assert_eq!(checks(&["--check", "icc"]), ["daemon.icc"]);
    assert_eq!(checks(&["--check", "2.2,daemon.log-level"]), ["daemon.icc", "daemon.log-level"]);
    assert!(checks(&["--skip", "audit.*"]).iter().all(|slug| !slug.starts_with("audit.")));
    assert!(checks(&["--profile", "lab"]).contains(&"image.content-trust".to_owned()));
    let named = checks(&["--subject", "path:/etc/docker"]);
    assert_eq!(named, ["audit.etc-docker", "file.etc-docker-owner", "file.etc-docker-mode"]);
    assert_eq!(checks(&["--subject", "/etc/docker"]), named);
}

#[test]
fn a_number_is_read_in_the_benchmark_and_says_where_it_moved() {
    audit(&["--check", "2.15", "--benchmark", "1.6.0"]).is("audit-moved-number");
}

#[test]
fn a_subject_that_nothing_has_is_no_clean_bill() {
    audit(&["--subject", "path:/nowhere"]).exits(64).is("audit-no-subject");
}

#[test]
fn fail_on_decides_the_exit_code_and_never_hides_a_finding() {
    audit(&["--check", "daemon.icc", "--fail-on", "high"]).exits(0).is("audit-fail-on");
    let _ = audit(&["--check", "daemon.icc", "--fail-on", "medium"]).exits(2);
    let _ = audit(&["--check", "daemon.log-level"]).exits(0);
    let Some(tree) = Tree::owned() else { return };
    let _ = tree.run(&["audit", "--check", "host.engine-version"]).exits(0);
    let _ = tree.run(&["audit", "--check", "host.engine-version", "--fail-on", "unknown"]).exits(2);
    let _ = audit(&["--fail-on", "worst"]).exits(64);
}

#[test]
fn output_goes_to_a_file_and_nothing_to_stdout() {
    let tree = Tree::new();
    let file = tree.arg("report.json");
    let said = audit(&["--format", "json", "--output", &file]).exits(2);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    let value: serde_json::Value = serde_json::from_str(&tree.read("report.json")).unwrap();
    assert_eq!(value["schema_version"], 1);
    let said = audit(&["--output", "/nowhere/report"]).exits(1);
    assert!(said.err.starts_with("error: /nowhere/report cannot be written\n"), "{}", said.err);
}

#[test]
fn a_host_without_docker_is_an_error_not_a_clean_host() {
    let Some(tree) = Tree::owned() else { return };
    std::fs::remove_file(tree.path("usr/sbin/dockerd")).unwrap();
    std::fs::remove_file(tree.path("usr/lib/systemd/system/docker.service")).unwrap();
    tree.run(&["audit"]).exits(1).is("audit-no-docker");
    let error = tree.run(&["audit", "--format", "json"]).exits(1).json();
    assert_eq!((&error["error"]["kind"], &error["error"]["host"]), (&json!("failed"), &json!("unchanged")));
}

#[test]
fn nothing_is_changed() {
    let Some(tree) = Tree::owned() else { return };
    let before = tree.state();
    let _ = tree.run(&["audit"]).exits(2);
    let _ = tree.run(&["plan"]).exits(2);
    let _ = tree.run(&["facts"]).exits(0);
    assert_eq!(tree.state(), before);
    assert!(!tree.path("var/lib/seaworthy").exists() && !tree.path("run").exists());
}
