//! The lab itself: what every other test takes for granted.

use std::process::Command;

use crate::machine::Machine;

/// Boots a host, starts a container in it, and answers with Docker's version.
fn docker_works(suite: &str) -> String {
    let host = Machine::host(suite);
    host.ok("lab-image");
    host.ok("docker run -d --name web busybox:1 sleep 1000");
    assert_eq!(host.ok("docker inspect -f '{{.State.Running}}' web"), "true");
    assert_eq!(host.ok("docker exec web cat /proc/1/comm"), "sleep");
    assert_eq!(host.ok("systemctl is-active docker"), "active");
    host.ok("docker info --format '{{.ServerVersion}}'")
}

#[test]
fn bookworm_runs_docker_20() {
    let version = docker_works("bookworm");
    assert!(version.starts_with("20.10."), "{version}");
}

#[test]
fn trixie_runs_docker_26() {
    let version = docker_works("trixie");
    assert!(version.starts_with("26.1."), "{version}");
}

#[test]
fn two_hosts_at_once_do_not_see_each_other() {
    let one = Machine::host("bookworm");
    let other = Machine::host("bookworm");
    one.write_file("/etc/docker/daemon.json", "{\"icc\": false}\n");
    one.ok("systemctl restart docker && lab-image only:1");
    assert_eq!(other.sh("cat /etc/docker/daemon.json").status, 1);
    assert_eq!(other.ok("docker images -q"), "");
    assert_eq!(other.ok("systemctl show -p NRestarts --value docker"), "0");
    let answers = (other.sh("exit 7").status, other.sh_with("cat >&2", b"said").stderr);
    assert_eq!(answers, (7, "said".to_owned()));
}

#[test]
fn a_terminal_reaches_into_a_host() {
    let host = Machine::host("bookworm");
    let on_terminal = host.on_terminal("bash -c 'test -t 0 && stty size <&1 && cat /proc/1/comm'");
    let out = Command::new("script").args(["--quiet", "--return", "--command", &on_terminal, "/dev/null"]).output();
    let out = out.expect("script is bsdutils");
    let said = String::from_utf8_lossy(&out.stdout).replace('\r', "");
    assert!(out.status.success() && said.ends_with("systemd\n"), "{said}");
}

#[test]
fn the_binary_runs_on_both_suites() {
    for suite in ["bookworm", "trixie"] {
        let out = Machine::host(suite).sh("seaworthy --version");
        assert_eq!((out.status, out.stderr.as_str()), (0, ""), "{suite}: {out:?}");
    }
}

#[test]
fn a_virtual_machine_has_audit_and_a_disk_that_can_be_copied() {
    let vm = Machine::vm("bookworm");
    assert!(vm.ok("auditctl -s").lines().any(|l| l == "enabled 1"));
    vm.ok("echo kept >/root/copied; sync; echo lost >/root/open");
    let cut = vm.fork();
    assert_eq!(cut.offline("cat root/copied root/open").stdout, "kept\n", "a copy has what a cut leaves");
    assert_eq!(vm.ok("cat /root/open"), "lost");
}

/// The way back of a host that lost auditd, or never had it, from packages in the image. On bookworm the product does it.
#[test]
fn auditd_installs_without_network_on_trixie() {
    let vm = Machine::vm("trixie");
    vm.ok("dpkg --purge auditd");
    assert_eq!(vm.sh("command -v auditctl").status, 1);
    vm.ok("DEBIAN_FRONTEND=noninteractive apt-get install -y auditd");
    assert_eq!(vm.ok("systemctl is-active auditd"), "active");
    assert!(vm.ok("auditctl -s").lines().any(|l| l == "enabled 1"));
}
