//! A fresh host: what only reads changes nothing, and what was applied can be taken back to the last byte.

use crate::hosts::{content, daemon, runs, same, says, seaworthy, snapshot, starts};
use crate::machine::Machine;

fn what_only_reads_changes_nothing(suite: &str) {
    let host = Machine::host(suite);
    let (before, process) = (snapshot(&host), daemon(&host));
    let audit = seaworthy(&host, "audit", 2);
    says(&audit.stdout, &["daemon.userns-remap", "fixed by `seaworthy apply`"]);
    let plan = seaworthy(&host, "plan", 2);
    says(&plan.stdout, &["+++ b/etc/docker/daemon.json", "+  \"userns-remap\": \"default\"", "they stay on rollback"]);
    for args in ["explain daemon.icc", "checks", "facts", "history", "audit --format json --output /dev/null"] {
        let status = if args.starts_with("audit") { 2 } else { 0 };
        seaworthy(&host, args, status);
    }
    same(&before, &snapshot(&host), "something that only reads has changed the host");
    assert_eq!(daemon(&host), process);
    assert_eq!(host.sh("getent passwd dockremap").status, 2, "nobody made that user yet");
}

#[test]
fn what_only_reads_changes_nothing_on_bookworm() {
    what_only_reads_changes_nothing("bookworm");
}

#[test]
fn what_only_reads_changes_nothing_on_trixie() {
    what_only_reads_changes_nothing("trixie");
}

fn applied_once_and_taken_back(suite: &str) {
    let host = Machine::host(suite);
    let before = content(&host);
    let applied = seaworthy(&host, "apply --yes", 0);
    says(&applied.stdout, &["5 checks applied", "daemon.userns-remap", "held: image.content-trust"]);
    assert_eq!(starts(&host), 2, "one restart after the one at boot");
    let audit = seaworthy(&host, "audit --check daemon.icc,daemon.userns-remap,daemon.live-restore", 0);
    says(&audit.stdout, &["3 findings: 3 pass"]);

    let (process, files) = (daemon(&host), snapshot(&host));
    let again = seaworthy(&host, "apply --yes", 0);
    says(&again.stdout, &["nothing to do"]);
    seaworthy(&host, "plan", 0);
    assert_eq!(daemon(&host), process);
    assert_eq!(runs(&host).len(), 1);
    same(&files, &snapshot(&host), "the second apply has changed the host");

    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}} {{.SecurityOptions}}' | grep -c userns || true"), "0");
    assert_eq!(host.ok("cut -d: -f1 /etc/subuid"), "dockremap", "as the plan said");
    assert_eq!(host.ok("systemctl list-timers --all | grep -c seaworthy || true"), "0");
    // What stays does not stand in the way of another time.
    seaworthy(&host, "apply --yes", 0);
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the second rollback is not exact");
}

#[test]
fn applied_once_and_taken_back_on_bookworm() {
    applied_once_and_taken_back("bookworm");
}

#[test]
fn applied_once_and_taken_back_on_trixie() {
    applied_once_and_taken_back("trixie");
}
