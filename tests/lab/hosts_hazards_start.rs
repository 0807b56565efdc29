//! Daemons and containers that would not start any more, and what would be hidden, on real hosts.

use crate::hosts::{content, same, says, seaworthy, verdict};
use crate::hosts_hazards::{FORGET, held};
use crate::machine::Machine;

/// A member of a swarm takes live-restore, and does not start with it.
#[test]
fn a_node_of_a_swarm_does_not_start_with_live_restore() {
    let host = Machine::host("trixie");
    let check = "--check live-restore";
    host.ok("docker swarm init --advertise-addr 127.0.0.1");
    // While it runs the check does not apply, so that nothing is offered.
    assert_eq!(verdict(&host, "daemon.live-restore"), "not-applicable");
    says(&seaworthy(&host, &format!("apply --yes --accept live-restore {check}"), 0).stdout, &["nothing to do"]);
    // Stopped, its data root tells.
    host.ok("systemctl stop docker.socket docker.service");
    let before = content(&host);
    says(&held(&host, "live-restore"), &["swarm: this node is in a swarm (a member, by its data root)"]);
    seaworthy(&host, &format!("apply --yes --accept live-restore {check}"), 0);
    assert_ne!(host.sh(&format!("{FORGET}; systemctl start docker")).status, 0, "it starts in a swarm after all");
    says(&host.ok("journalctl -u docker -o cat -n 30"), &["incompatible with swarm mode"]);
    host.ok("systemctl stop docker.socket docker.service");
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
    host.ok(&format!("{FORGET}; systemctl start docker && docker swarm leave --force"));
    assert_eq!(held(&host, "live-restore"), "");
    host.ok("systemctl stop docker.socket docker.service");
    assert_eq!(held(&host, "live-restore"), "");
}

#[test]
fn userns_remap_refuses_some_containers() {
    let host = Machine::host("bookworm");
    host.ok("lab-image; docker volume create data; docker create --name ci --privileged busybox:1 true");
    host.ok("docker run -d --name agent --network none --pid host busybox:1 sleep 10000");
    host.ok("docker run -d --name edge --network host busybox:1 sleep 10000");
    host.ok("docker run -d --name spared --network none --pid host --userns host busybox:1 sleep 10000");
    host.ok("docker run -d --name plain --network none busybox:1 sleep 10000");
    let found = held(&host, "userns-remap");
    let breaks = "breaks-startup: agent uses the host's pid namespace, ci is privileged, \
        edge uses the host's network namespace; stops-containers: ";
    says(&found, &["hides-images: image busybox:1, container agent, container ci", "volume data", breaks]);
    says(&found, &["stop the running containers first"]);
    // Nobody can accept that away: under live-restore they would run on unseen.
    let accepted = "apply --yes --check live-restore,userns-remap --accept userns-remap";
    says(&seaworthy(&host, accepted, 0).stdout, &["1 check applied", "held: daemon.userns-remap"]);
    host.ok("docker rm -f ci agent edge && docker stop -t 0 spared plain");
    let found = held(&host, "userns-remap");
    assert!(found.contains("hides-images") && !found.contains("breaks-startup"), "{found}");

    seaworthy(&host, "apply --yes --check userns-remap --accept userns-remap", 0);
    assert_eq!(host.ok("docker ps -aq; docker images -q; docker volume ls -q"), "", "all is hidden");
    host.ok("lab-image");
    for (options, works) in
        [("--privileged", false), ("--pid host", false), ("--pid host --userns host", true), ("--ipc private", true)]
    {
        let out = host.sh(&format!("docker run --rm --network none {options} busybox:1 true"));
        assert_eq!(out.status == 0, works, "{options}: {out:?}");
        assert_eq!(out.stderr.contains("user namespaces"), !works, "{options}: {out:?}");
    }
    says(&host.sh("docker run --rm --network host busybox:1 true").stderr, &["user namespaces are enabled"]);
    host.ok("docker rmi busybox:1");
    seaworthy(&host, "rollback --yes", 0);
    host.ok("docker start spared plain && docker volume inspect data");
}

/// dockerd tells of a contradiction between settings only when it starts; validation passes.
#[test]
fn settings_that_contradict_each_other_fail_at_the_start() {
    let host = Machine::host("trixie");
    host.write_file("/etc/docker/daemon.json", "{\"iptables\": true}\n");
    assert_eq!(held(&host, "icc"), "");
    host.write_file("/etc/docker/daemon.json", "{\"iptables\": false}\n");
    host.ok(&format!("{FORGET}; systemctl restart docker"));
    let before = content(&host);
    let found = held(&host, "icc,iptables");
    says(&found, &["daemon.icc breaks-startup: iptables is false: dockerd refuses it together with icc=false"]);
    says(&found, &["daemon.iptables cuts-traffic: Docker's own firewall chains come back"]);
    let out = seaworthy(&host, "apply --yes --check icc --accept icc", 4);
    says(&out.stderr, &["docker.service failed after the restart", "host: rolled back"]);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(host.ok("systemctl is-active docker"), "active");
    // Both at once: the setting that comes first takes the contradiction away.
    seaworthy(&host, "apply --yes --check iptables --accept iptables", 0);
    seaworthy(&host, "apply --yes --check icc", 0);
    assert_eq!(verdict(&host, "daemon.icc,daemon.iptables"), "pass\npass");
}
