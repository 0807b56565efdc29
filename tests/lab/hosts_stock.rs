//! Images as builders make them, and a swarm, on a real daemon.

use crate::hosts::{says, seaworthy, verdict};
use crate::machine::Machine;

/// One image with everything that is looked for, one without; `busybox:1` was imported.
const BAD: &str = "FROM busybox:1
ARG BUILD_TOKEN
ENV DB_PASSWORD=hunter2
RUN printf '#!/bin/sh\\n' >/bin/apt-get && chmod 755 /bin/apt-get
RUN apt-get update
ADD app /srv/app
HEALTHCHECK NONE
";
const GOOD: &str = "FROM busybox:1
ENV ADDRESS=10.0.0.5 TOKEN_FILE=/run/secrets/token
RUN printf '#!/bin/sh\\n' >/bin/apt-get && chmod 755 /bin/apt-get && apt-get update && apt-get install x
COPY app /srv/app
HEALTHCHECK CMD true
";

/// `SUBJECT VERDICT`, a line each.
fn each(host: &Machine, check: &str) -> String {
    let line = format!(
        "seaworthy audit --format json --check {check} 2>/dev/null | jq -r '.findings[] | [.subject, .verdict] | join(\" \")'"
    );
    host.ok(&line)
}

fn build(host: &Machine) {
    host.ok("lab-image && mkdir -p /root/build && echo hi >/root/build/app");
    host.write_file("/root/build/bad", BAD);
    host.write_file("/root/build/good", GOOD);
    let build = "DOCKER_BUILDKIT=0 docker build -q";
    host.ok(&format!("cd /root/build && {build} --build-arg BUILD_TOKEN=hunter2 -t shop/bad:1 -f bad . 2>&1"));
    host.ok(&format!("cd /root/build && {build} -t shop/good:1 -f good . 2>&1"));
    host.ok("docker run -d --name web shop/good:1 sleep 10000 && docker create --name never shop/good:1 true");
}

fn images(host: &Machine) {
    let told = |bad: &str| format!("image:busybox:1 pass\nimage:shop/bad:1 {bad}\nimage:shop/good:1 pass");
    assert_eq!(each(host, "image.healthcheck"), told("fail").replacen("pass", "fail", 1));
    assert_eq!(each(host, "image.update-alone"), told("fail"));
    assert_eq!(each(host, "image.add"), told("fail"));
    assert_eq!(each(host, "image.secrets"), told("manual"));
    let sprawl = seaworthy(host, "audit --check operations.*", 0).stdout.replace('\n', " ");
    let sprawl = sprawl.split_whitespace().collect::<Vec<_>>().join(" ");
    says(&sprawl, &["3 images, 2 used by no container: busybox:1, shop/bad:1", "never (created and never run, today)"]);
    let one = seaworthy(host, "audit --check image.add --subject shop/g* --format json", 0).stdout;
    says(&one, &["image:shop/good:1"]);
}

/// A veth takes the place of a network card.
fn swarm(host: &Machine) {
    assert_eq!(verdict(host, "swarm.unused"), "pass");
    assert_eq!(verdict(host, "swarm.managers"), "not-applicable");
    host.ok("ip link add eth0 type veth peer name eth1 && ip addr add 10.0.0.5/24 dev eth0");
    host.ok("ip link set eth0 up && ip link set eth1 up");
    host.ok("docker swarm init --advertise-addr 10.0.0.5");
    assert_eq!(verdict(host, "swarm.unused"), "fail");
    assert_eq!(verdict(host, "swarm.listen"), "fail");
    assert_eq!(verdict(host, "swarm.autolock"), "fail");
    assert_eq!(verdict(host, "swarm.unlock-key"), "not-applicable");
    assert_eq!(verdict(host, "swarm.cert-expiry"), "manual");
    assert_eq!(verdict(host, "swarm.secrets"), "manual");
    host.ok("docker swarm leave --force");
    host.ok("docker swarm init --advertise-addr 10.0.0.5 --listen-addr 10.0.0.5:2377 --cert-expiry 48h");
    assert_eq!(verdict(host, "swarm.listen"), "pass");
    assert_eq!(verdict(host, "swarm.cert-expiry"), "pass");
    assert_eq!(verdict(host, "swarm.managers"), "pass");
    host.ok("docker network create -d overlay plain && docker network create -d overlay --opt encrypted locked");
    host.ok("printf hunter2 | docker secret create db_password -");
    host.ok("docker service create --detach --name app --env PLAIN=hunter2 shop/good:1 sleep 10000");
    let overlay = "network:ingress manual\nnetwork:locked pass\nnetwork:plain fail";
    assert_eq!(each(host, "swarm.overlay-encryption"), overlay);
    assert_eq!(verdict(host, "swarm.secrets"), "pass");
    assert_eq!(verdict(host, "swarm.unused"), "manual");
}

/// What is recorded is judged alike elsewhere, and neither values nor what lets a node join are in it.
fn recorded(host: &Machine) {
    let checks = "--check image.healthcheck,image.update-alone,image.add,image.secrets,operations.*,swarm.*";
    seaworthy(host, "facts --output /root/facts.json", 0);
    let findings = |args: &str| host.ok(&format!("seaworthy audit --format json {checks} {args} | jq -S .findings"));
    assert_eq!(findings("--facts /root/facts.json"), findings(""));
    let facts = host.ok("cat /root/facts.json");
    says(&facts, &["DB_PASSWORD=********", "BUILD_TOKEN=********", "apt-get update"]);
    for secret in ["hunter2", "SWMTKN"] {
        assert!(!facts.contains(secret), "{secret} is recorded");
    }
}

/// A manager that was restarted and is locked knows nothing of its swarm.
fn locked(host: &Machine) {
    host.ok("docker swarm update --autolock=true");
    assert_eq!(verdict(host, "swarm.autolock"), "pass");
    assert_eq!(verdict(host, "swarm.unlock-key"), "manual");
    host.ok("systemctl restart docker");
    host.ok("for i in $(seq 300); do docker info 2>&1 | grep -q 'Swarm: locked' && exit 0; sleep 1; done; exit 1");
    assert_eq!(verdict(host, "swarm.autolock"), "pass");
    assert_eq!(verdict(host, "swarm.unused"), "manual");
    for check in
        ["managers", "listen", "overlay-encryption", "secrets", "unlock-key", "cert-expiry", "ca", "data-plane"]
    {
        assert_eq!(verdict(host, &format!("swarm.{check}")), "unknown", "{check}");
    }
}

fn judged(suite: &str) {
    let host = Machine::host(suite);
    build(&host);
    images(&host);
    swarm(&host);
    recorded(&host);
    locked(&host);
}

#[test]
fn images_and_a_swarm_are_judged_on_bookworm() {
    judged("bookworm");
}

#[test]
fn images_and_a_swarm_are_judged_on_trixie() {
    judged("trixie");
}
