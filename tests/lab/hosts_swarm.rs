//! What the Engine changes besides limits, by real dockerds: networks of containers that run, and the swarm.

use crate::hosts::{containers, runs, says, seaworthy, verdict};
use crate::machine::Machine;

/// The networks of a container with its ports, addresses left out.
fn networks(host: &Machine, name: &str) -> String {
    host.ok(&format!("docker inspect {name} | jq -c '.[0].NetworkSettings | [(.Networks | keys), .Ports]'"))
}

/// Asks a published port of the host's own.
fn answers(host: &Machine) -> bool {
    let ask =
        "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; grep -m1 -q '^HTTP/1.1 404' <&3";
    host.sh(&format!("timeout 20 bash -c \"{ask}\"")).status == 0
}

const BRIDGE: &str = "--check container.default-bridge";

fn away_from_the_default_bridge(host: &Machine) {
    host.ok("lab-image && docker run -d --name db busybox:1 httpd -f -p 80");
    host.ok("docker run -d --name web -p 8080:80 --link db busybox:1 httpd -f -p 80");
    host.ok("docker create --name idle busybox:1 sleep 1");
    let (before, running) = (networks(host, "web"), containers(host));
    assert!(before.starts_with("[[\"bridge\"]") && answers(host), "{before}");

    // Nobody chose a network, or the one that was chosen is not there: nothing is done, accepted or not.
    let accepted = format!("apply --yes {BRIDGE} --accept container.default-bridge");
    says(&seaworthy(host, &accepted, 0).stdout, &["nothing to do", "needs-value: db: `network` has to be"]);
    host.write_file("/etc/seaworthy/config.toml", "[values.containers.\"*\"]\nnetwork = \"shop\"\n");
    says(
        &seaworthy(host, &accepted, 0).stdout,
        &["needs-value: db: there is no network shop", "docker network create shop"],
    );

    // What runs is asked about, what does not is moved.
    host.ok("docker network create shop");
    let held = seaworthy(host, &format!("apply --yes {BRIDGE}"), 0);
    says(
        &held.stdout,
        &["nothing to do", "cuts-traffic: db: web links to db, db: gets", "--accept container.default-bridge"],
    );
    let idle = seaworthy(host, &format!("apply --yes {BRIDGE} --subject idle"), 0);
    says(&idle.stdout, &["updated container idle: network shop (was bridge)"]);
    seaworthy(host, &accepted, 0);
    assert_eq!((containers(host), answers(host)), (running.clone(), true), "same processes, same port");
    assert_eq!(networks(host, "web"), before.replace("bridge", "shop"));
    assert_eq!(verdict(host, "container.default-bridge"), "pass\npass\npass");
    // By name, which it could not on the bridge without a link.
    host.ok("docker exec db nslookup web || docker exec db ping -c1 -W9 web");
    says(&seaworthy(host, &accepted, 0).stdout, &["nothing to do"]);
    host.ok("docker restart -t 0 web");
    assert_eq!(networks(host, "web"), before.replace("bridge", "shop"), "it comes back where it was put");

    let running = containers(host);
    for run in runs(host).iter().rev() {
        says(
            &seaworthy(host, &format!("history {run}"), 0).stdout,
            &["committed, stands", "network shop (was bridge)"],
        );
        let back = seaworthy(host, &format!("rollback {run} --yes"), 0);
        says(&back.stdout, &["network bridge (was shop)", "gets an address on its old network"]);
    }
    assert_eq!((containers(host), answers(host)), (running, true));
    assert_eq!((networks(host, "web"), networks(host, "idle")), (before, "[[\"bridge\"],{}]".into()));
    host.ok("docker rm -f web db idle && docker network rm shop");
}

/// What the swarm is set to.
fn spec(host: &Machine) -> String {
    host.ok("docker info --format '{{json .Swarm.Cluster.Spec}}' | jq -cS .")
}

const SWARM: &str = "--check swarm.cert-expiry --check swarm.autolock";
const CONFIG: &str = "[values.swarm]\ncert-expiry = \"48h\"\nunlock-key-file = \"/root/swarm.key\"\n";

fn a_swarm_of_one(host: &Machine) {
    host.ok("docker swarm init --advertise-addr 127.0.0.1");
    let before = spec(host);
    host.ok("rm /etc/seaworthy/config.toml");
    let accepted = format!("apply --yes {SWARM} --accept swarm.autolock");
    says(&seaworthy(host, &accepted, 0).stdout, &["nothing to do", "`unlock-key-file` has to be chosen; set"]);
    assert_eq!(verdict(host, "swarm.cert-expiry"), "manual");

    host.write_file("/etc/seaworthy/config.toml", CONFIG);
    assert_eq!(verdict(host, "swarm.cert-expiry"), "fail");
    let first = seaworthy(host, &format!("apply --yes {SWARM}"), 0);
    says(&first.stdout, &["updated swarm: life of nodes' certificates 48 hours (was 90 days)"]);
    says(&first.stdout, &["held: swarm.autolock breaks-startup: after each restart of docker"]);
    let plan = seaworthy(host, &format!("plan {SWARM} --accept swarm.autolock"), 2);
    says(&plan.stdout, &["# run: docker swarm update --autolock=true", "/root/swarm.key will hold the key"]);
    let second = seaworthy(host, &accepted, 0);
    says(&second.stdout, &["updated swarm: autolock on, its unlock key in /root/swarm.key (was off)"]);
    assert_eq!(verdict(host, "swarm.autolock"), "pass");

    // The key is the one in force, in that file alone.
    let key = host.ok("cat /root/swarm.key");
    assert_eq!(
        (host.ok("docker swarm unlock-key -q"), host.ok("stat -c '%a %U' /root/swarm.key")),
        (key.clone(), "600 root".into())
    );
    assert!(key.starts_with("SWMKEY-"), "a key");
    assert_eq!(host.sh(&format!("grep -rqF '{key}' /var/lib/seaworthy /etc /run/log /var/log")).status, 1);
    assert!(!format!("{}{}", second.stdout, second.stderr).contains(&key));

    // From now on a restart is known to lock it.
    let restart = seaworthy(host, "plan --check daemon.icc", 0);
    says(&restart.stdout, &["stops-containers: this manager of a swarm (locked from then on"]);
    host.ok("systemctl restart docker.service");
    assert_eq!(verdict(host, "swarm.autolock"), "pass");
    let locked = seaworthy(host, "rollback --yes", 5);
    says(&locked.stderr, &["it is locked; run `docker swarm unlock` first"]);
    host.ok("script -qec 'docker swarm unlock' /dev/null </root/swarm.key");
    host.ok("for i in $(seq 60); do docker node ls && exit 0; sleep 1; done; exit 1");
    seaworthy(host, "rollback --yes", 0);
    assert_eq!(host.sh("test -e /root/swarm.key").status, 1, "its key unlocks nothing any more");
    let run = host.ok("seaworthy history --format json | jq -r '[.runs[] | select(.stands == \"stands\")][-1].run'");
    says(&seaworthy(host, &format!("rollback {run} --yes"), 0).stdout, &["certificates 90 days (was 48 hours)"]);
    assert_eq!(spec(host), before);
    host.ok("systemctl restart docker.service && docker node ls");
}

fn by_the_engine(suite: &str) {
    let host = Machine::host(suite);
    away_from_the_default_bridge(&host);
    a_swarm_of_one(&host);
}

#[test]
fn networks_and_the_swarm_there_and_back_on_bookworm() {
    by_the_engine("bookworm");
}

#[test]
fn networks_and_the_swarm_there_and_back_on_trixie() {
    by_the_engine("trixie");
}
