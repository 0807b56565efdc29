//! Settings that are flags: the fix goes where the flag is, and never into daemon.json beside it.

use crate::hosts::{containers, content, same, says, seaworthy, verdict};
use crate::machine::Machine;

const DEFAULTS: &str = "# Docker Upstart and SysVinit configuration file\n#DOCKERD=\"/usr/local/bin/dockerd\"\n\n\
    DOCKER_OPTS=\"--icc=true --dns 10.0.0.2\"\n# the end";

fn a_flag_in_the_defaults_file_is_edited_there(suite: &str) {
    let host = Machine::host(suite);
    host.write_file("/etc/default/docker", DEFAULTS);
    host.ok("systemctl restart docker");
    let before = content(&host);
    let plan = seaworthy(&host, "plan", 2).stdout;
    says(&plan, &["--- a/etc/default/docker", "-DOCKER_OPTS=\"--icc=true --dns 10.0.0.2\""]);
    seaworthy(&host, "apply --yes", 0);
    let edited = DEFAULTS.replace("--icc=true", "--icc=false");
    assert_eq!(host.ok("cat /etc/default/docker"), edited.trim_end());
    assert_eq!(host.ok("jq -c 'keys' /etc/docker/daemon.json | grep -c icc || true"), "0");
    assert_eq!(
        host.ok("docker network inspect bridge -f '{{index .Options \"com.docker.network.bridge.enable_icc\"}}'"),
        "false"
    );
    assert_eq!(verdict(&host, "daemon.icc"), "pass");
    says(&seaworthy(&host, "apply --yes", 0).stdout, &["nothing to do"]);
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
    says(
        &host.ok("tr '\\0' ' ' </proc/$(systemctl show -p MainPID --value docker)/cmdline"),
        &["--icc=true --dns 10.0.0.2"],
    );
}

#[test]
fn a_flag_in_the_defaults_file_is_edited_there_on_bookworm() {
    a_flag_in_the_defaults_file_is_edited_there("bookworm");
}

#[test]
fn a_flag_in_the_defaults_file_is_edited_there_on_trixie() {
    a_flag_in_the_defaults_file_is_edited_there("trixie");
}

const OVERRIDE: &str = "[Service]\n# ours\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// \\\n    \
    --containerd=/run/containerd/containerd.sock --icc=true \\\n    --userland-proxy\nLimitNOFILE=65536\n";

#[test]
fn a_flag_in_the_admin_s_drop_in_is_edited_there() {
    let host = Machine::host("trixie");
    let file = "/etc/systemd/system/docker.service.d/override.conf";
    host.write_file(file, OVERRIDE);
    host.ok("systemctl daemon-reload && systemctl restart docker");
    let before = content(&host);
    seaworthy(&host, "apply --yes", 0);
    let edited = OVERRIDE.replace("--icc=true", "--icc=false").replace("--userland-proxy", "--userland-proxy=false");
    assert_eq!(host.ok(&format!("cat {file}")), edited.trim_end());
    assert_eq!(host.ok("jq -c keys /etc/docker/daemon.json"), r#"["live-restore","no-new-privileges","userns-remap"]"#);
    assert_eq!(host.ok("ls /etc/systemd/system/docker.service.d"), "override.conf");
    assert_eq!(verdict(&host, "daemon.icc,daemon.userland-proxy"), "pass\npass");
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(host.ok("systemctl show -p NeedDaemonReload --value docker"), "no");
    says(&host.ok("tr '\\0' ' ' </proc/$(systemctl show -p MainPID --value docker)/cmdline"), &["--icc=true"]);
}

/// live-restore as a flag is in force already, so containers live through the restart and through its way back.
#[test]
fn live_restore_as_a_flag_holds_containers_both_ways() {
    let host = Machine::host("bookworm");
    host.write_file("/etc/default/docker", "DOCKER_OPTS=--live-restore\n");
    host.ok("systemctl restart docker && lab-image && docker run -d --name one busybox:1 sleep 10000");
    let (before, running) = (content(&host), containers(&host));
    seaworthy(&host, "apply --yes", 0);
    assert_eq!(host.ok("jq -c keys /etc/docker/daemon.json"), r#"["icc","no-new-privileges","userland-proxy"]"#);
    assert_eq!(containers(&host), running);
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "the rollback is not exact");
}

/// Off by a flag it cannot be reloaded on: a restart stops what runs, so everything that restarts is held.
#[test]
fn live_restore_off_as_a_flag_holds_every_restart() {
    let host = Machine::host("trixie");
    host.write_file("/etc/default/docker", "DOCKER_OPTS=--live-restore=false\n");
    host.ok("systemctl restart docker && lab-image && docker run -d --name one busybox:1 sleep 10000");
    let (before, running) = (content(&host), containers(&host));
    let out = seaworthy(&host, "apply --yes", 0).stdout;
    says(&out, &["nothing to do", "held: daemon.no-new-privileges stops-containers: one", "held: daemon.live-restore"]);
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "what is held was done");

    // Accepted, the container stops with the restart and is started again.
    seaworthy(&host, "apply --yes --accept live-restore", 0);
    assert_eq!(host.ok("cat /etc/default/docker"), "DOCKER_OPTS=--live-restore=true");
    assert_eq!(host.ok("docker inspect -f '{{.State.Running}}' one"), "true");
    assert_ne!(containers(&host), running);
    // The way back stops it too.
    says(&seaworthy(&host, "rollback --yes", 3).stderr, &["stops-containers: one", "--force"]);
}
