//! Traffic that a fix would cut, on a real host: between containers, over IPv6, from a registry without TLS.

use crate::hosts::{says, seaworthy};
use crate::hosts_hazards::{held, start, talk, wait_for};
use crate::machine::Machine;

const CHECKS: &str = "live-restore,icc,userland-proxy,insecure-registries";
const REGISTRY: &str = "172.17.0.1:5000";

/// Whether a container reaches a port of another one.
fn reaches(host: &Machine, from: &str, to: &str, port: u16) -> bool {
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    // What is no container of this name is an alias that a link made.
    let line = format!(
        "to=$(docker inspect -f '{address}' {to} 2>/dev/null) || to={to}; \
        docker exec {from} sh -c \"echo hello | timeout 5 nc $to {port}\""
    );
    host.sh(&line).stdout == "hello\n"
}

fn answers(host: &Machine, address: &str, port: u16) -> bool {
    let talk = "import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); \
        s.settimeout(5); s.send(b'x'); sys.exit(s.recv(1) != b'x')";
    host.sh(&format!("python3 -c \"{talk}\" {address} {port}")).status == 0
}

fn pull(host: &Machine) -> String {
    host.sh(&format!("docker pull {REGISTRY}/tool:1")).stderr
}

#[test]
fn traffic_that_would_stop_is_named_and_stops() {
    let host = Machine::host("trixie");
    host.write_file("/etc/docker/daemon.json", &format!("{{\"insecure-registries\": [\"{REGISTRY}\"]}}\n"));
    host.ok("systemctl restart docker; lab-image; docker network create shop");
    // Near misses: a network of their own, a port on loopback alone, a listener alone on the default bridge.
    host.ok("docker run -d --name east --network shop busybox:1 nc -ll -p 80 -e cat");
    host.ok("docker run -d --name west --network shop -p 127.0.0.1:9000:80 busybox:1 nc -ll -p 80 -e cat");
    host.ok("docker run -d --name lone busybox:1 nc -ll -p 80 -e cat");
    assert_eq!(held(&host, CHECKS), "");

    host.ok("docker run -d --name db --expose 5432 busybox:1 nc -ll -p 5432 -e cat");
    host.ok("docker run -d --name web --link db:database -p 8080:80 busybox:1 nc -ll -p 80 -e cat");
    says(&held(&host, "userland-proxy"), &["web:80 is reached over IPv6 ([::]:8080) by docker-proxy alone"]);
    talk(&host, "v6", "::1", 8080);
    host.ok(&format!("lab-image {REGISTRY}/tool:1"));
    start(&host, "registry", "exec python3 -m http.server --bind 172.17.0.1 5000");
    wait_for(&host, "grep -q Serving /run/lab/registry || ss -ltn | grep 172.17.0.1:5000");
    let found = held(&host, CHECKS);
    says(&found, &["web links to db", "db listens on 5432/tcp beside 2 other containers on the default bridge"]);
    says(&found, &["web:80 is used over [::1]:8080 now", &format!("image {REGISTRY}/tool:1 comes from {REGISTRY}")]);
    assert!(!found.contains("east") && !found.contains("west"), "{found}");
    let secure = "Get \"https://";
    assert!(
        reaches(&host, "lone", "db", 5432) && reaches(&host, "web", "lone", 80) && reaches(&host, "east", "west", 80)
    );
    assert!(answers(&host, "::1", 8080) && answers(&host, "127.0.0.1", 8080) && !pull(&host).contains(secure));

    let accept = "--accept icc,userland-proxy,insecure-registries";
    seaworthy(&host, &format!("apply --yes --check {CHECKS} {accept}"), 0);
    assert!(!answers(&host, "::1", 8080) && answers(&host, "127.0.0.1", 8080));
    says(&pull(&host), &[secure]);
    // icc waits until no container runs.
    host.ok("docker stop -t 0 east west lone db web; systemctl restart docker; docker start east west lone db web");
    assert!(!reaches(&host, "lone", "db", 5432) && !reaches(&host, "web", "lone", 80));
    assert!(reaches(&host, "web", "database", 5432), "a link stays open for what is exposed");
    assert!(reaches(&host, "east", "west", 80) && answers(&host, "127.0.0.1", 9000), "what was not named works on");
}
