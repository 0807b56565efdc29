//! Hazards of a restart on real hosts: silent on what only looks like one, named where something is in the way, and
//! real, as an apply that accepts them shows.

use crate::hosts::{containers, says, seaworthy};
use crate::machine::Machine;

/// What the plan of these checks holds, a line each.
pub(crate) fn held(host: &Machine, checks: &str) -> String {
    let out = host.sh(&format!("seaworthy plan --check {checks}"));
    assert!([0, 2].contains(&out.status), "{out:?}");
    out.stdout.lines().filter(|line| line.starts_with("# held: ")).collect::<Vec<_>>().join("\n")
}

/// Waits for a condition of the shell, for as long as a slow machine may take.
pub(crate) fn wait_for(host: &Machine, condition: &str) {
    host.ok(&format!("for i in $(seq 600); do {{ {condition}; }} >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1"));
}

/// Runs a line in the background; when it has ended, `/run/lab/NAME` ends with `ended STATUS`.
pub(crate) fn start(host: &Machine, name: &str, line: &str) {
    host.ok(&format!("mkdir -p /run/lab; (({line}); echo ended $?) </dev/null >/run/lab/{name} 2>&1 &"));
}

const TALK: &str = "import socket, sys, time
talk = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    talk.send(b'.')
    if not talk.recv(1):
        sys.exit(1)
    print('.', end='', flush=True)
    time.sleep(0.1)
";

/// Opens a connection and keeps talking on it; `/run/lab/NAME` grows while it lives.
pub(crate) fn talk(host: &Machine, name: &str, address: &str, port: u16) {
    host.write_file("/run/lab/talk.py", TALK);
    start(host, name, &format!("exec python3 /run/lab/talk.py {address} {port}"));
    wait_for(host, &format!("grep -q '^\\.' /run/lab/{name}"));
}

/// Docker's unit counts starts; without this the third one within a minute fails.
pub(crate) const FORGET: &str = "systemctl reset-failed docker.socket docker.service 2>/dev/null";

/// Options that give a container the host's programs, `sleep` and `id` in `/suid` with the setuid bit.
const SUID: &str = "--network none -u 1000 -v /srv/suid:/suid:ro -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro";
const CHECKS: &str = "live-restore,daemon.no-new-privileges";

/// Everything that a restart leaves alone, close to what it does not.
fn near_misses(host: &Machine) {
    host.ok("lab-image; mkdir /srv/suid; cp /usr/bin/sleep /usr/bin/id /srv/suid; chmod 4755 /srv/suid/*");
    // cap_net_raw in the file, permitted and effective, as `setcap` writes it.
    let capable = "import os, struct; raw = struct.pack('<5I', 0x2000001, 0x2000, 0, 0, 0); \
        os.setxattr('/srv/suid/cat', 'security.capability', raw)";
    host.ok(&format!("cp /usr/bin/cat /srv/suid/cat && python3 -c \"{capable}\""));
    host.ok("docker run -d --name web -p 8080:80 busybox:1 nc -ll -p 80 -e cat");
    let health = "--health-cmd 'sleep 5000' --health-interval 1s --health-timeout 2h";
    host.ok(&format!("docker run -d --name checked --network none {health} busybox:1 sleep 10000"));
    host.ok(&format!("docker run -d --name plain {SUID} busybox:1 sleep 10000"));
    host.ok(&format!("docker run -d --name bound --security-opt no-new-privileges {SUID} busybox:1 /suid/sleep 10000"));
    host.ok("systemd-run --unit near -p After=docker.service -p Wants=docker.service sleep 10000");
    start(host, "logs", "docker logs -f web");
    wait_for(host, "docker top checked | grep 'sleep 5000'");
    // The kernel translates this one, docker-proxy has no part in it.
    talk(host, "dnat", "172.17.0.1", 8080);
}

/// What a restart cuts, although containers keep their processes, and what no-new-privileges takes from new ones.
fn in_the_way(host: &Machine, buildkit: u8) {
    let unit = "[Unit]\nRequires=docker.service\nAfter=docker.service\n[Service]\nRestart=always\nRestartSec=1\n\
        ExecStart=/usr/bin/docker run --rm --name app --network none busybox:1 sleep 10000\n\
        ExecStop=/usr/bin/docker stop -t 0 app\n";
    host.write_file("/etc/systemd/system/app.service", unit);
    host.ok("systemctl daemon-reload; systemctl start app");
    talk(host, "v4", "127.0.0.1", 8080);
    talk(host, "v6", "::1", 8080);
    start(host, "exec", "docker exec web sleep 10000");
    start(
        host,
        "build",
        &format!("printf 'FROM busybox:1\\nRUN sleep 7000\\n' | DOCKER_BUILDKIT={buildkit} docker build -"),
    );
    host.ok(&format!("docker run -d --name suid {SUID} busybox:1 /suid/sleep 10000"));
    host.ok(&format!("docker run -d -t --name caps {SUID} busybox:1 sh -c '/suid/cat; true'"));
    wait_for(host, "pgrep -f 'sleep 7000' && docker inspect app && docker top web | grep 'sleep 10000'");
}

fn what_a_restart_cuts(suite: &str, buildkit: u8) {
    let host = Machine::host(suite);
    near_misses(&host);
    assert_eq!(held(&host, CHECKS), "");
    in_the_way(&host, buildkit);
    let found = held(&host, CHECKS);
    let cut = ["exec in web: sleep", "connection from 127.0.0.1 to web:80", "connection from ::1 to web:80"];
    says(&found, &cut);
    says(&found, &["build by docker", "docker run", "app.service stops with docker.service"]);
    says(&found, &["suid: sleep (user 1000, acts as 0)", "caps: cat (user 1000, with capabilities of its program)"]);
    assert!(!found.contains("checked") && !found.contains("172.17.0.1") && !found.contains("near"), "{found}");
    says(&seaworthy(&host, &format!("apply --yes --check {CHECKS}"), 0).stdout, &["1 check applied", "held: "]);

    let who = format!("docker run --rm {SUID} busybox:1 /suid/id -u");
    let capable = format!("docker run --rm {SUID} busybox:1 sh -c '/suid/cat /proc/self/status; true' | grep CapEff");
    assert_eq!((host.ok(&who), host.ok(&capable)), ("0".into(), "CapEff:\t0000000000002000".into()));
    let app = host.ok("docker inspect -f '{{.Id}}' app");
    let processes = "docker inspect -f '{{.Name}} {{.State.Pid}}' web checked plain bound suid caps";
    let before = host.ok(processes);
    seaworthy(&host, &format!("apply --yes --check {CHECKS} --accept daemon.no-new-privileges"), 0);
    // Each was in its way for a reason; what was not named lives on.
    for name in ["v4", "v6", "exec", "build"] {
        wait_for(&host, &format!("grep 'ended [1-9]' /run/lab/{name}"));
    }
    wait_for(&host, "docker inspect -f '{{.State.Running}}' app | grep true");
    assert_ne!(host.ok("docker inspect -f '{{.Id}}' app"), app);
    let none = ("1000".into(), "CapEff:\t0000000000000000".into());
    assert_eq!((host.ok(&who), host.ok(&capable)), none, "programs give nothing in new containers");
    assert_eq!(host.ok(processes), before);
    let said = host.ok("stat -c %s /run/lab/dnat");
    wait_for(&host, &format!("test $(stat -c %s /run/lab/dnat) -gt {said}"));
    assert_eq!(host.ok("systemctl is-active near"), "active");
}

#[test]
fn what_a_restart_cuts_on_bookworm() {
    what_a_restart_cuts("bookworm", 1);
}

#[test]
fn what_a_restart_cuts_on_trixie() {
    what_a_restart_cuts("trixie", 0);
}

/// What Docker calls for `--gpus`. It lets the container to a device behind systemd's back, as NVIDIA's does; the device
/// is one that every kernel has.
const GPU_HOOK: &str = "#!/bin/bash\n[[ $1 == prestart ]] || exit 0\n\
    group=$(sed -n 's/.*:devices://p' /proc/$(jq -r .pid)/cgroup)\n\
    echo 'c 10:237 rwm' >/sys/fs/cgroup/devices$group/devices.allow\n";

/// A fix in a drop-in makes systemd read its units again, and set the device rules of containers that it knows.
#[test]
fn a_reload_of_units_takes_a_gpu_away() {
    let host = Machine::host("bookworm");
    host.write_file("/usr/bin/nvidia-container-runtime-hook", GPU_HOOK);
    let config = "{\"exec-opts\": [\"native.cgroupdriver=systemd\"], \"live-restore\": true}\n";
    host.write_file("/etc/docker/daemon.json", config);
    let flag = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --userland-proxy\n";
    host.write_file("/etc/systemd/system/docker.service.d/override.conf", flag);
    host.ok("chmod 755 /usr/bin/nvidia-container-runtime-hook; systemctl daemon-reload; systemctl restart docker");
    host.ok("lab-image; mknod /root/device c 10 237");
    let opens = |name: &str| {
        let line = "test -e /dev/gpu || mknod /dev/gpu c 10 237; : </dev/gpu";
        host.sh(&format!("docker exec {name} sh -c '{line}'")).status == 0
    };
    let run = |name: &str, options: &str| {
        host.ok(&format!("docker run -d --name {name} --network none {options} busybox:1 sleep 10000"));
    };
    run("plain", "");
    assert_eq!(held(&host, "userland-proxy"), "");
    run("train", "--gpus all");
    let found = held(&host, "userland-proxy");
    says(&found, &["loses-devices: train (GPU)"]);
    assert!(!found.contains("plain"), "{found}");
    says(&seaworthy(&host, "apply --yes --check userland-proxy", 0).stdout, &["nothing to do"]);
    assert!(opens("train") && !opens("plain"), "what is held was done");

    let running = containers(&host);
    // One that Docker itself lets to the device is known to systemd.
    run("given", "--device /root/device:/dev/gpu");
    seaworthy(&host, "apply --yes --check userland-proxy --accept userland-proxy", 0);
    assert!(!opens("train"), "it has its device still");
    assert!(opens("given"));
    host.ok("docker rm -f given");
    assert_eq!(containers(&host), running);
    // Mended by a restart of the container, and held again on the way back.
    host.ok("docker restart -t 0 train");
    assert!(opens("train"));
    says(&seaworthy(&host, "rollback --yes", 3).stderr, &["loses-devices: train (GPU)", "--force"]);
    assert!(opens("train"));
}

/// The restart would end seaworthy half-way, however it came to see the host's files.
#[test]
fn inside_a_container_nothing_is_applied() {
    let host = Machine::host("trixie");
    host.ok("lab-image; cp /usr/local/bin/seaworthy /srv");
    let mounts =
        "-v /run/docker.sock:/run/docker.sock -v /srv:/srv:ro -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro";
    host.ok(&format!("docker run -d --name ci --pid host --network none {mounts} -v /:/host busybox:1 sleep 10000"));
    // The container's own cgroup tells, or with version 2 its cgroup namespace, here made by hand.
    let entered = "docker exec ci chroot /host seaworthy apply --yes";
    for (line, why) in [
        ("docker exec ci /srv/seaworthy apply --yes", "this is a container (/.dockerenv)"),
        (entered, "this process lives in a container ("),
        (&format!("{entered} --accept icc,daemon.no-new-privileges,userland-proxy"), "and would end with it"),
        ("unshare --cgroup seaworthy apply --yes", "this process lives in a container ("),
        ("unshare --cgroup seaworthy rollback --yes", "this process lives in a container ("),
    ] {
        let out = host.sh(line);
        assert_eq!(out.status, 3, "{line}: {out:?}");
        says(&out.stderr, &[why, "host: unchanged"]);
    }
    assert_eq!(host.sh("test -e /etc/docker/daemon.json || test -e /var/lib/seaworthy").status, 1);
    // To look from there is no harm, and names the way in.
    says(&host.sh("docker exec ci chroot /host seaworthy plan").stdout, &["our own login comes through ci"]);
    // A login of another session of the host is none of the container's.
    says(&seaworthy(&host, "plan", 2).stdout, &["+  \"icc\": false"]);
}
