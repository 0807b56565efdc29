//! Containers as they run: each check of them on a real daemon, and what is left of that when the daemon is down.

use std::collections::BTreeSet;
use std::path::Path;

use seaworthy::audit;
use seaworthy::catalog::{Catalog, Entry};
use seaworthy::facts;
use seaworthy::host::RecordedHost;
use seaworthy::policy::Policy;
use serde_json::Value;

use crate::hosts::seaworthy;
use crate::machine::Machine;

/// The containers of `fixtures/hosts/debian-13-containers.json` and of the docker-bench log beside it: each breaks some
/// rule, or keeps all of them. `vanilla` has the letters that docker-bench takes for its own.
const CONTAINERS: &str = r#"
set -eu
lab-image; docker network create apart; mkdir -p /srv/data /srv/shared
run() { docker run -d --name "$@" busybox:1 sleep 1000000; }
run web -p 8080:80 --restart always
run local -p 127.0.0.1:1024:80 --restart on-failure:5 --cpu-quota 50000
run low -p '[::1]:443:80' -p 127.0.0.1:80:81/udp --restart unless-stopped
run host --network host --pid host --ipc host --uts host --userns host
run joined --network container:host --pid container:host --ipc container:host
run hardened --network apart -p 127.0.0.1:8081:80 --read-only --cap-drop ALL --security-opt no-new-privileges \
  --user 1000:1000 --memory 64m --memory-swap 64m --pids-limit 50 --cpus 0.5 --restart on-failure:3 \
  --health-cmd true --ulimit nofile=64:128
run admin --cap-add SYS_ADMIN --cap-add CAP_SYS_PTRACE --security-opt seccomp=unconfined --security-opt apparmor=unconfined
run everything --cap-add ALL --cap-drop NET_RAW --user 1000
run mounts -v /etc:/host/etc:ro -v /srv/data:/data
run below -v /etc/ssh:/keys -v /root:/host/root -v /etc/localtime:/etc/localtime:ro
run run -v /run:/host/run:ro
run vanilla -v /var/run/docker.sock:/var/run/docker.sock --pid host --network none
run shared -v /srv/shared:/shared:rshared
run device --device /dev/zero:/dev/mine --device-cgroup-rule 'c 10:200 rwm'
docker create --name stopped --privileged --restart always --pid host \
  -v /var/run/docker.sock:/var/run/docker.sock busybox:1 sleep 1000000
docker run -d --name ssh busybox:1 sh -c \
  "printf '#!/bin/sh\\nsleep 1000000\\n' >/tmp/sshd; chmod +x /tmp/sshd; exec /tmp/sshd"
run limits --cpu-shares 1024 --pids-limit -1 --restart on-failure --cpuset-cpus 0 \
  --security-opt no-new-privileges:false --user 0:0
run group --cgroup-parent custom --restart on-failure:6 --health-cmd false --health-interval 1s --health-retries 1
run execs --user 1000
docker exec -d --privileged execs sleep 1000000
docker exec -d --user 0 execs sleep 1000000
docker exec -d execs sleep 1000000
for _ in $(seq 100); do # a detached exec is there a moment later
  [ "$(docker top execs | grep -c sleep)" = 4 ] && [ "$(docker top ssh | grep -c /tmp/sshd)" = 1 ] && exit
  sleep 0.2
done
exit 1
"#;

/// Check, subject, verdict and severity of each finding.
type Judged = BTreeSet<[String; 4]>;

fn judged(findings: &Value) -> Judged {
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("text").to_owned();
    let one = |finding: &Value| ["check", "subject", "verdict", "severity"].map(|key| text(finding, key));
    findings.as_array().expect("findings").iter().map(one).collect()
}

fn live(host: &Machine, check: &str) -> Judged {
    let out = host.sh(&format!("seaworthy audit --format json --check '{check}'"));
    let report: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", out.stderr));
    judged(&report["findings"])
}

/// What the fixtures' host says, which was recorded on one like it.
fn recorded() -> Judged {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/debian-13-containers.json");
    let text = std::fs::read_to_string(&path).expect("a recording");
    let host = RecordedHost::new(serde_json::from_str(&text).expect("a recording"));
    let catalog = Catalog::built_in();
    let entries: Vec<&Entry> = catalog.entries().filter(|entry| entry.id.starts_with("container.")).collect();
    let facts = facts::gather(&host, &audit::needs(&entries));
    judged(&serde_json::to_value(audit::audit(&entries, &facts, &Policy::default())).expect("findings"))
}

#[track_caller]
fn same(left: &Judged, right: &Judged) {
    let only = |one: &Judged, other: &Judged| one.difference(other).map(|all| all.join(" ")).collect::<Vec<_>>();
    assert_eq!(only(left, right), only(right, left));
}

fn containers_are_judged_as_they_run(suite: &str) {
    let host = Machine::host(suite);
    // bookworm's runc starts nothing privileged in a lab host, which lacks a capability or two.
    let privileged = suite != "bookworm";
    let script = if privileged { CONTAINERS.to_owned() } else { CONTAINERS.replace("exec -d --privileged", "exec -d") };
    host.ok(&script);
    let running = live(&host, "container.*");
    assert!(running.len() > 36 * 19 - 1, "{}", running.len());
    let seen = |all: &Judged| -> Judged {
        all.iter().filter(|one| privileged || one[0] != "container.privileged-exec").cloned().collect()
    };
    same(&seen(&running), &seen(&recorded()));

    // What is configured is read from the data root just the same; there, nothing runs.
    host.ok("docker kill $(docker ps -q) && systemctl stop docker.socket docker");
    let kept = [
        "memory",
        "cpu",
        "pids-limit",
        "read-only",
        "restart-policy",
        "host-mounts",
        "docker-socket",
        "devices",
        "shared-propagation",
        "cgroup-parent",
        "healthcheck",
        "host-pid",
        "host-network",
        "privileged",
        "wildcard-ports",
    ];
    let kept = kept.map(|name| format!("container.{name}"));
    let only = |all: &Judged| all.iter().filter(|one| kept.contains(&one[0])).cloned().collect::<Judged>();
    let down = live(&host, "container.*");
    same(&only(&down), &only(&running));
    let says = |check: &str, name: &str, verdict: &str| {
        let found =
            down.iter().find(|one| one[0] == format!("container.{check}") && one[1] == format!("container:{name}"));
        assert_eq!(found.map(|one| one[2].as_str()), Some(verdict), "{check} of {name} with the daemon down");
    };
    says("sshd", "ssh", "not-applicable");
    says("root-exec", "execs", "not-applicable");
    says("user", "web", "fail");
    says("user", "hardened", "pass");
    says("capabilities", "hardened", "pass");
    says("cap-sys-admin", "everything", "fail");
    says("apparmor", "web", "unknown");
}

#[test]
fn containers_are_judged_as_they_run_on_bookworm() {
    containers_are_judged_as_they_run("bookworm");
}

#[test]
fn containers_are_judged_as_they_run_on_trixie() {
    containers_are_judged_as_they_run("trixie");
}

#[test]
fn root_of_a_user_namespace_matters_less() {
    let host = Machine::host("trixie");
    host.write_file("/etc/docker/daemon.json", "{\"userns-remap\": \"default\"}\n");
    host.ok("systemctl restart docker && lab-image && docker network create apart");
    host.ok("docker run -d --name mapped --network apart busybox:1 sleep 100000");
    host.ok("docker run -d --name mine --network apart --user 1000 --cap-drop NET_RAW busybox:1 sleep 100000");
    host.ok("docker run -d --name true-root --network apart --userns host --cap-add SYS_ADMIN busybox:1 sleep 100000");
    let found = |check: &str| -> Vec<String> {
        let of = |one: &[String; 4]| format!("{} {} {}", one[1].trim_start_matches("container:"), one[2], one[3]);
        live(&host, check).iter().map(of).collect()
    };
    assert_eq!(found("container.user"), ["mapped fail low", "mine pass medium", "true-root fail medium"]);
    assert_eq!(found("container.capabilities"), ["mapped fail low", "mine pass high", "true-root fail high"]);
    assert_eq!(found("container.host-userns"), ["mapped pass medium", "mine pass medium", "true-root fail medium"]);
    seaworthy(&host, "audit --check container.user --subject mine", 0);
}
