//! daemon.json in every form that hosts have it in.

use crate::hosts::{containers, content, daemon, same, says, seaworthy, starts, verdict};
use crate::machine::Machine;

const CONFIG: &str = "/etc/docker/daemon.json";

/// Applies and takes back on a daemon.json of this form; gives what it was in between.
fn there_and_back(suite: &str, text: &str) -> String {
    let host = Machine::host(suite);
    host.write_file(CONFIG, text);
    host.ok("systemctl restart docker");
    let before = content(&host);
    seaworthy(&host, "apply --yes", 0);
    assert_eq!(verdict(&host, "daemon.icc,daemon.live-restore"), "pass\npass");
    let between = host.ok(&format!("cat {CONFIG}; echo ."));
    says(&seaworthy(&host, "apply --yes", 0).stdout, &["nothing to do"]);
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
    between.strip_suffix('.').unwrap_or_default().to_owned()
}

#[test]
fn keys_of_others_stay_as_they_are_written() {
    let text = "{\n\t\"log-opts\" : {\"max-size\":\"10m\",\n\t\t\t\"max-file\": \"3\" },\n\n   \"max-concurrent-downloads\":  3,\n\t\"icc\":true}";
    let between = there_and_back("bookworm", text);
    says(
        &between,
        &[
            "\t\"log-opts\" : {\"max-size\":\"10m\",\n\t\t\t\"max-file\": \"3\" },\n\n   \"max-concurrent-downloads\":  3,\n\t\"icc\":false",
        ],
    );
    assert!(between.ends_with('}'), "no newline at the end came in:\n{between}");
}

#[test]
fn a_byte_order_mark_stays() {
    let between = there_and_back("trixie", "\u{feff}{\"debug\": false}\n");
    assert!(between.starts_with("\u{feff}{") && between.contains("\"debug\": false"), "{between}");
}

#[test]
fn an_empty_file_is_where_a_fresh_host_starts() {
    let between = there_and_back("trixie", "");
    says(&between, &["{\n  \"live-restore\": true,\n"]);
}

/// Invalid: a finding with file and line, everything else of the daemon is left alone, and the exit codes are right.
fn refuses_to_edit(host: &Machine, text: &str, line: u32, what: &str) {
    host.write_file(CONFIG, text);
    let (before, process) = (content(host), daemon(host));
    let audit = seaworthy(host, "audit --check daemon.config", 2).stdout;
    says(&audit, &[&format!("{CONFIG}:{line}: "), what]);
    let plan = seaworthy(host, "plan", 0).stdout;
    assert!(!plan.contains("+++ b/etc/docker"), "{plan}");
    let applied = seaworthy(host, "apply --yes", 0).stdout;
    says(&applied, &["nothing to do"]);
    seaworthy(host, "apply --yes --detailed-exitcode", 2);
    same(&before, &content(host), "an invalid file was edited");
    assert_eq!(daemon(host), process);
}

fn invalid_files_are_a_finding_and_are_not_edited(suite: &str) {
    let host = Machine::host(suite);
    refuses_to_edit(&host, "{\n  \"debug\": false,\n}\n", 3, "daemon.config");
    refuses_to_edit(&host, "{\n  \"debug\": true,\n  \"debug\": false\n}\n", 3, "debug");
    refuses_to_edit(&host, "{\"debug\": false}\n{\"icc\": false}\n", 2, "daemon.config");
    refuses_to_edit(&host, "[]\n", 1, "daemon.config");
    refuses_to_edit(&host, "{\"ICC\": true}\n", 1, "ICC");
}

/// Before 23.0 dockerd does not start with one.
#[test]
fn a_byte_order_mark_is_a_finding_on_bookworm() {
    let host = Machine::host("bookworm");
    refuses_to_edit(&host, "\u{feff}{\"debug\": false}\n", 1, "byte order mark");
    assert_ne!(host.sh("systemctl restart docker").status, 0, "it reads one after all");
}

#[test]
fn invalid_files_are_a_finding_and_are_not_edited_on_bookworm() {
    invalid_files_are_a_finding_and_are_not_edited("bookworm");
}

#[test]
fn invalid_files_are_a_finding_and_are_not_edited_on_trixie() {
    invalid_files_are_a_finding_and_are_not_edited("trixie");
}

#[test]
fn behind_a_link_the_target_is_edited_and_the_link_stays() {
    let host = Machine::host("bookworm");
    // A target on a real disk: below / the host is an overlay.
    host.write_file("/etc/site/daemon.json", "{\"debug\": false}\n");
    host.ok(&format!("ln -s ../site/daemon.json {CONFIG} && systemctl restart docker"));
    let before = content(&host);
    let plan = seaworthy(&host, "plan", 2).stdout;
    says(&plan, &["--- a/etc/site/daemon.json"]);
    seaworthy(&host, "apply --yes", 0);
    assert_eq!(host.ok(&format!("readlink {CONFIG}")), "../site/daemon.json");
    says(&host.ok("cat /etc/site/daemon.json"), &["\"debug\": false", "\"icc\": false"]);
    assert_eq!(verdict(&host, "daemon.icc"), "pass");
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn without_its_folder_there_is_a_file_and_then_none() {
    let host = Machine::host("trixie");
    host.ok("rm -rf /etc/docker && lab-image && docker run -d --name one --network none busybox:1 sleep 10000");
    let (before, running) = (content(&host), containers(&host));
    seaworthy(&host, "apply --yes", 0);
    assert_eq!(host.ok("stat -c '%a %U:%G' /etc/docker /etc/docker/daemon.json"), "755 root:root\n644 root:root");
    assert_eq!((containers(&host), starts(&host)), (running.clone(), 2));
    // The folder was made for all of them: one taken back leaves it.
    let one = seaworthy(&host, "rollback --check live-restore --yes", 0);
    assert!(!one.stderr.contains("directory") && !one.stdout.contains("stays:"), "{one:?}");
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn behind_a_link_for_its_folder_the_file_is_made_there() {
    let host = Machine::host("bookworm");
    host.ok("mv /etc/docker /etc/site && ln -s site /etc/docker");
    let before = content(&host);
    says(&seaworthy(&host, "plan", 2).stdout, &["# new file /etc/site/daemon.json"]);
    seaworthy(&host, "apply --yes", 0);
    assert_eq!(host.ok("readlink /etc/docker"), "site");
    assert_eq!(verdict(&host, "daemon.icc"), "pass");
    says(&seaworthy(&host, "apply --yes", 0).stdout, &["nothing to do"]);
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
}
