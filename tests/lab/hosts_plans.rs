//! Saved plans, and one fix taken back out of many.

use crate::hosts::{content, runs, same, says, seaworthy, snapshot, verdict};
use crate::machine::Machine;

#[test]
fn a_saved_plan_is_applied_and_nothing_else() {
    let host = Machine::host("trixie");
    let before = content(&host);
    let shown = seaworthy(&host, "plan --check icc,live-restore --out /root/plan.json", 2).stdout;
    seaworthy(&host, "apply /root/plan.json --check userns-remap --yes", 64);
    seaworthy(&host, "apply /root/plan.json --accept userns-remap --yes", 64);
    seaworthy(&host, "apply /root/plan.json", 3);
    assert!(shown.contains("+  \"icc\": false") && !shown.contains("userland-proxy"), "{shown}");
    seaworthy(&host, "apply /root/plan.json --yes", 0);
    assert_eq!(host.ok("jq -c . /etc/docker/daemon.json"), r#"{"live-restore":true,"icc":false}"#);
    // What it was made on is gone.
    says(&seaworthy(&host, "apply /root/plan.json --yes", 3).stderr, &["host: unchanged"]);
    seaworthy(&host, "rollback --yes", 0);
    seaworthy(&host, "apply /root/plan.json --yes", 0);
    seaworthy(&host, "rollback --yes", 0);
    host.ok("rm /root/plan.json");
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn a_plan_of_a_host_that_moved_on_is_refused() {
    let host = Machine::host("bookworm");
    seaworthy(&host, "plan --out /root/plan.json", 2);
    let refused = |what: &str, named: &str| {
        let before = snapshot(&host);
        let out = seaworthy(&host, "apply /root/plan.json --yes", 3);
        says(&out.stderr, &["the plan was made", "host: unchanged", named]);
        same(&before, &snapshot(&host), what);
    };
    host.write_file("/etc/docker/daemon.json", "{\"debug\": false}\n");
    refused("daemon.json was written meanwhile", "caused by: 1: ");
    host.ok("rm /etc/docker/daemon.json && lab-image late:1");
    refused("an image came", "late:1");
    host.ok("docker rmi late:1 && cp /etc/machine-id /root/ && printf '%032d\\n' 7 >/etc/machine-id");
    refused("another host", "machine-id");
    host.ok("cp /root/machine-id /etc/machine-id");
    host.write_file("/root/broken.json", "{\"schema_version\": 1}\n");
    says(&seaworthy(&host, "apply /root/broken.json --yes", 1).stderr, &["this is not a saved plan"]);
    assert_eq!(runs(&host).len(), 0);
    seaworthy(&host, "apply /root/plan.json --yes", 0);
}

#[test]
fn one_fix_is_taken_back_and_the_others_stay() {
    let host = Machine::host("trixie");
    let before = content(&host);
    seaworthy(&host, "apply --yes", 0);
    let icc = "docker network inspect bridge -f '{{index .Options \"com.docker.network.bridge.enable_icc\"}}'";
    assert_eq!(host.ok(icc), "false");
    seaworthy(&host, "rollback --check daemon.icc --yes", 0);
    assert_eq!(host.ok(icc), "true");
    assert_eq!(
        host.ok("jq -c 'keys' /etc/docker/daemon.json"),
        r#"["live-restore","no-new-privileges","userland-proxy","userns-remap"]"#
    );
    assert_eq!(verdict(&host, "daemon.icc,daemon.live-restore,daemon.userns-remap"), "fail\npass\npass");
    // live-restore alone goes by a reload.
    let process = host.ok("systemctl show -p MainPID docker");
    seaworthy(&host, "rollback --check live-restore --yes", 0);
    assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}}'"), "false");
    assert_eq!(host.ok("systemctl show -p MainPID docker"), process);
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
}
