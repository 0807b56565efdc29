//! Hosts with containers and images: they keep what they have, whether the apply goes well or not.

use crate::hosts::{containers, content, daemon, runs, same, says, seaworthy, starts, verdict};
use crate::machine::Machine;

/// Three containers without a restart policy, one of them with a published port.
fn busy(suite: &str) -> Machine {
    let host = Machine::host(suite);
    host.ok("lab-image && docker run -d --name web -p 127.0.0.1:8080:80 busybox:1 httpd -f -p 80");
    // Beside a container that listens on the default bridge, icc=false would be held.
    host.ok("docker network create apart && docker run -d --name one --network apart busybox:1 sleep 10000");
    host.ok("docker run -d --name two --network none busybox:1 sleep 10000");
    host
}

fn containers_keep_their_processes(suite: &str) {
    let host = busy(suite);
    let (running, before) = (containers(&host), content(&host));
    assert_eq!(running.lines().count(), 3);
    let applied = seaworthy(&host, "apply --yes", 0);
    assert_eq!(containers(&host), running);
    assert_eq!(starts(&host), 2, "one restart after the one at boot");
    says(&applied.stdout, &["pending: daemon.icc waits for a start of docker while no container runs"]);
    let held =
        ["held: daemon.userns-remap hides-images: image busybox:1, container", "stop the running containers first"];
    says(&applied.stdout, &held);
    assert_eq!(verdict(&host, "daemon.icc"), "pending containers-stopped");
    assert_eq!(verdict(&host, "daemon.no-new-privileges"), "pending recreate");
    assert_eq!(verdict(&host, "daemon.live-restore"), "pass");
    assert_eq!(verdict(&host, "daemon.userns-remap"), "fail");
    // Pending is written: there is nothing to do about it a second time.
    says(&seaworthy(&host, "apply --yes", 0).stdout, &["nothing to do"]);

    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(containers(&host), running);
    assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}}'"), "false");
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn containers_keep_their_processes_on_bookworm() {
    containers_keep_their_processes("bookworm");
}

#[test]
fn containers_keep_their_processes_on_trixie() {
    containers_keep_their_processes("trixie");
}

/// dockerd looks at the options of a log driver only when it starts, so nothing before can tell.
fn a_start_that_fails_is_rolled_back(suite: &str) {
    let host = busy(suite);
    host.write_file(
        "/etc/seaworthy/config.toml",
        "[values]\nlog-driver = \"syslog\"\nlog-opts = { syslog-address = \"udp://127.0.0.1:514\", no-such-option = \"x\" }\n",
    );
    let (running, before) = (containers(&host), content(&host));
    let out = seaworthy(&host, "apply --yes", 4);
    let run = runs(&host).pop().expect("a run");
    says(&out.stderr, &["error: docker.service failed after the restart", &format!("host: rolled back (run {run})")]);
    assert_eq!(out.stdout, "");
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}} {{.LoggingDriver}}'"), "false json-file");
    says(&daemon(&host), &["ActiveState=active"]);
    says(&seaworthy(&host, "history", 0).stdout, &[&run, "rolled back"]);
    // The failed run stands in nobody's way.
    host.ok("rm /etc/seaworthy/config.toml");
    seaworthy(&host, "apply --yes", 0);
    assert_eq!(containers(&host), running);
}

#[test]
fn a_start_that_fails_is_rolled_back_on_bookworm() {
    a_start_that_fails_is_rolled_back("bookworm");
}

#[test]
fn a_start_that_fails_is_rolled_back_on_trixie() {
    a_start_that_fails_is_rolled_back("trixie");
}

#[test]
fn images_hold_userns_remap_until_it_is_accepted() {
    let host = Machine::host("trixie");
    host.ok("lab-image only:1");
    let plan = seaworthy(&host, "plan", 2).stdout;
    let held = ["# held: daemon.userns-remap hides-images: image only:1; ", "--accept daemon.userns-remap"];
    says(&plan, &held);
    says(&plan, &["+  \"icc\": false"]);
    assert!(!plan.contains("+  \"userns-remap\""), "{plan}");
    seaworthy(&host, "apply --yes --accept userns-remap", 0);
    assert_eq!(verdict(&host, "daemon.userns-remap"), "pass");
    assert_eq!(host.ok("docker images -q"), "", "they lie in the old data root");
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(host.ok("docker images --format '{{.Repository}}'"), "only");

    // What was made under userns-remap would be hidden by the rollback.
    seaworthy(&host, "apply --yes --accept userns-remap", 0);
    host.ok("lab-image later:1");
    let refused = seaworthy(&host, "rollback --yes", 3);
    says(&refused.stderr, &["later:1", "--force"]);
    assert_eq!(verdict(&host, "daemon.userns-remap"), "pass");
    seaworthy(&host, "rollback --yes --force", 0);
    assert_eq!(host.ok("docker images --format '{{.Repository}}'"), "only");
}
