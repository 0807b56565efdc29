//! Hosts whose daemon is stopped, missing or nobody's service, and people who are not root or not there.

use crate::hosts::{content, daemon, runs, same, says, seaworthy, snapshot, verdict};
use crate::machine::Machine;

fn a_stopped_daemon_stays_stopped(suite: &str) {
    let host = Machine::host(suite);
    host.ok("systemctl stop docker.socket docker.service");
    let before = content(&host);
    let stopped =
        || assert_eq!(host.sh("systemctl is-active docker.service docker.socket").stdout, "inactive\ninactive\n");
    says(&seaworthy(&host, "audit", 2).stdout, &["daemon stopped", "daemon.icc"]);
    stopped();
    says(&seaworthy(&host, "plan", 2).stdout, &["+++ b/etc/docker/daemon.json", "waits for its next start"]);
    stopped();
    seaworthy(&host, "apply --yes", 0);
    stopped();
    says(&seaworthy(&host, "apply --yes", 0).stdout, &["nothing to do"]);
    seaworthy(&host, "rollback --yes", 0);
    stopped();
    same(&before, &content(&host), "the rollback is not exact");

    // What was written to a stopped daemon holds from its start on, and can be taken back then.
    seaworthy(&host, "apply --yes", 0);
    host.ok("systemctl start docker.socket docker.service");
    assert_eq!(verdict(&host, "daemon.icc,daemon.userns-remap"), "pass\npass");
    let process = daemon(&host);
    says(&seaworthy(&host, "rollback --yes", 0).stdout, &["taken back"]);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(daemon(&host), process, "it did not run before, so nothing of ours restarts it");
}

#[test]
fn a_stopped_daemon_stays_stopped_on_bookworm() {
    a_stopped_daemon_stays_stopped("bookworm");
}

#[test]
fn a_stopped_daemon_stays_stopped_on_trixie() {
    a_stopped_daemon_stays_stopped("trixie");
}

#[test]
fn without_docker_there_is_an_error_and_nothing_else() {
    let host = Machine::host("trixie");
    host.ok("systemctl stop docker.socket docker.service; dpkg --purge --force-depends docker.io 2>&1");
    let before = content(&host);
    for args in ["audit", "plan", "apply --yes"] {
        let out = seaworthy(&host, args, 1);
        says(&out.stderr, &["error: Docker is not installed", "host: unchanged", "hint: install Docker first"]);
        assert_eq!(out.stdout, "");
    }
    let json = seaworthy(&host, "audit --format json", 1).stdout;
    says(&json, &["\"error\"", "Docker is not installed"]);
    same(&before, &content(&host), "something was written");
    assert_eq!(host.sh("test -e /var/lib/seaworthy").status, 1);
}

#[test]
fn who_is_not_root_can_look_and_not_touch() {
    let host = Machine::host("bookworm");
    let before = snapshot(&host);
    let nobody =
        |args: &str| host.sh(&format!("cd / && setpriv --reuid=65534 --regid=65534 --clear-groups seaworthy {args}"));
    let audit = nobody("audit");
    assert_eq!(audit.status, 2, "{audit:?}");
    says(&audit.stdout, &["unknown"]);
    let plan = nobody("plan");
    assert!([0, 2].contains(&plan.status), "{plan:?}");
    for args in ["apply --yes", "rollback --yes", "confirm x"] {
        let out = nobody(args);
        assert_eq!(out.status, 3, "{args}: {out:?}");
        says(&out.stderr, &["needs root", "host: unchanged", "hint: run `sudo seaworthy"]);
    }
    same(&before, &snapshot(&host), "something was written");
}

#[test]
fn off_a_terminal_nothing_is_done_without_yes() {
    let host = Machine::host("bookworm");
    let before = snapshot(&host);
    let out = seaworthy(&host, "apply", 3);
    says(&out.stderr, &["no `--yes`", "host: unchanged", "hint: run `seaworthy apply --yes`"]);
    says(&seaworthy(&host, "", 64).stderr, &["Usage: seaworthy"]);
    seaworthy(&host, "rollback --yes", 1);
    same(&before, &snapshot(&host), "something was written");
}

/// A host whose PID 1 is not systemd has no /run/systemd/system. Files are written, services are the person's.
#[test]
fn without_systemd_files_are_written_and_the_rest_is_said() {
    let host = Machine::host("trixie");
    let before = content(&host);
    let bare =
        |args: &str| host.sh(&format!("unshare --mount sh -c 'mount -t tmpfs none /run/systemd && seaworthy {args}'"));
    let process = daemon(&host);
    let plan = bare("plan");
    assert_eq!(plan.status, 2, "{plan:?}");
    says(&plan.stdout, &["systemd does not run here", "restart dockerd by hand"]);
    let applied = bare("apply --yes");
    assert_eq!(applied.status, 0, "{applied:?}");
    says(&host.ok("cat /etc/docker/daemon.json"), &["\"icc\": false"]);
    assert_eq!(daemon(&host), process);
    let refused = bare("apply --yes --confirm-within 30");
    assert!(refused.status == 3 || refused.stdout.contains("nothing to do"), "{refused:?}");
    let back = bare("rollback --yes");
    assert_eq!(back.status, 0, "{back:?}");
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!((daemon(&host), runs(&host).len()), (process, 1));
}

/// The socket's mode is changed in place and kept by a drop-in, here in a folder that is a link; nothing restarts.
#[test]
fn the_socket_s_mode_is_changed_in_place_and_kept() {
    let host = Machine::host("trixie");
    host.write_file("/etc/site.d/override.conf", "[Socket]\nSocketMode=0666\n");
    host.ok("ln -s /etc/site.d /etc/systemd/system/docker.socket.d && systemctl daemon-reload");
    host.ok("systemctl stop docker.service && systemctl restart docker.socket && systemctl start docker.service");
    let (before, process) = (content(&host), daemon(&host));
    assert_eq!(host.ok("stat -c %a /run/docker.sock"), "666");
    let socket = "--check file.docker-socket-mode";
    seaworthy(&host, &format!("apply --yes --accept docker-socket-mode {socket}"), 0);
    assert_eq!(host.ok("stat -c %a /run/docker.sock"), "660");
    assert_eq!(host.ok("systemctl show -p SocketMode --value docker.socket"), "0660");
    says(&seaworthy(&host, &format!("audit {socket}"), 0).stdout, &["1 pass"]);
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(host.ok("systemctl show -p SocketMode --value docker.socket"), "0666");
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(daemon(&host), process);
}
