//! A daemon that does not do as it should: it dies, hangs, or comes back with less than it had.

use crate::hosts::{containers, content, daemon, runs, same, says, seaworthy, verdict};
use crate::machine::Machine;

/// dockerd, which misbehaves as /run/misbehave says whenever it starts on what seaworthy has written.
const WRAPPER: &str = r#"#!/bin/sh
real=/usr/sbin/dockerd.real kept=/root/local-kv.db networks=/var/lib/docker/network/files
case " $* " in *\ --validate\ * | *\ --version\ *) exec $real "$@" ;; esac
[ ! -e $kept ] || mv $kept $networks/
if grep -qs '"icc"' /etc/docker/daemon.json; then
  case $(cat /run/misbehave) in
  dies) (sleep 3; kill -9 $$) & ;;
  hangs) exec sleep 100000 ;;
  loses-network) mv $networks/local-kv.db $kept ;;
  loses-container) kill -9 "$(cat /run/victim)" ;;
  esac
fi
exec $real "$@"
"#;

/// Three containers without a restart policy, one of them on the default bridge.
fn busy(suite: &str) -> Machine {
    let host = Machine::host(suite);
    host.ok("lab-image && docker run -d --name web busybox:1 sleep 10000");
    host.ok("for n in one two; do docker run -d --name $n --network none busybox:1 sleep 10000; done");
    host
}

/// The same, with the wrapper in dockerd's place.
fn spoilt(suite: &str) -> Machine {
    let host = busy(suite);
    host.ok("mv /usr/sbin/dockerd /usr/sbin/dockerd.real");
    host.write_file("/usr/sbin/dockerd", WRAPPER);
    host.ok("chmod 755 /usr/sbin/dockerd && systemctl restart docker && docker start web one two");
    host
}

/// Applies, which has to be rolled back for `why`; the host is as before, containers but for `lost` with their
/// processes.
fn rolled_back(host: &Machine, how: &str, why: &[&str], lost: &[&str]) {
    host.ok(&format!("echo {how} >/run/misbehave; docker inspect -f '{{{{.State.Pid}}}}' two >/run/victim"));
    let (before, running) = (content(host), containers(host));
    let out = seaworthy(host, "apply --yes", 4);
    let run = runs(host).pop().expect("a run");
    says(&out.stderr, why);
    says(&out.stderr, &[&format!("host: rolled back (run {run})\n")]);
    works_as_before(host, &running, lost, how);
    same(&before, &content(host), how);
    says(&seaworthy(host, &format!("history {run}"), 0).stdout, &["rolled back, by root"]);
}

/// The daemon is well, its settings are those of before, and the same containers run.
fn works_as_before(host: &Machine, running: &str, lost: &[&str], what: &str) {
    says(&daemon(host), &["ActiveState=active"]);
    assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}}'"), "false", "{what}");
    let networks = host.ok("docker network ls --format '{{.Name}}' | sort | paste -sd ' '");
    assert_eq!(networks, "bridge host none", "{what}");
    let now = containers(host);
    assert_eq!(now.lines().count(), running.lines().count(), "{what}:\n{now}");
    let name = |line: &str| line.split(' ').next().unwrap_or_default().trim_start_matches('/').to_owned();
    for (was, is) in running.lines().zip(now.lines()) {
        assert_eq!(name(was), name(is), "{what}");
        assert!(was == is || lost.contains(&name(is).as_str()), "{what}: {was}, now {is}");
    }
    assert_eq!(host.ok("systemctl list-timers --all | grep -c seaworthy || true"), "0", "{what}");
}

#[test]
fn one_that_dies_or_loses_a_container_is_rolled_back_on_trixie() {
    let host = spoilt("trixie");
    let why = ["error: docker.service failed after the restart\n", "hint: run `journalctl -u docker.service -n 50`\n"];
    rolled_back(&host, "dies", &why, &[]);
    let why = ["error: docker is not as before the restart\n", "caused by: 1: container two does not run\n"];
    rolled_back(&host, "loses-container", &why, &["two"]);
}

#[test]
fn one_that_loses_a_network_is_rolled_back_on_bookworm() {
    let host = spoilt("bookworm");
    let why = ["error: docker is not as before the restart\n", "caused by: 1: network bridge is missing\n"];
    rolled_back(&host, "loses-network", &why, &[]);
    // A run that failed is not in the way of one that does not.
    host.ok("echo nothing >/run/misbehave");
    let running = containers(&host);
    seaworthy(&host, "apply --yes", 0);
    assert_eq!(containers(&host), running);
}

/// docker.service has no start timeout. Whoever sees it hang and interrupts has the host back at once; by itself that
/// takes the deadline of a restart, 90 s, which the tests in memory let pass.
#[test]
fn a_start_that_hangs_is_given_up() {
    let host = spoilt("trixie");
    host.ok("echo hangs >/run/misbehave");
    let (before, running) = (content(&host), containers(&host));
    let line = "seaworthy apply --yes 2>/run/said & until systemctl is-active docker | grep -q activating; do sleep 0.1; \
        done; sleep 2; kill -TERM $!; wait $!; echo $?; cat /run/said";
    let said = host.ok(line);
    says(&said, &["4\n", "error: interrupted\n", "host: rolled back (run "]);
    works_as_before(&host, &running, &[], "interrupted");
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn someone_else_restarts_it_meanwhile() {
    let host = busy("trixie");
    let (before, running) = (content(&host), containers(&host));
    let meanwhile = |step: &str, what: &str| {
        host.sh(&format!(
            "rm -f /run/said; seaworthy apply --yes 2>/run/said & until grep -q '^{step}' /run/said; do \
             kill -0 $! || exit 9; sleep 0.01; done; {what}; wait $!; s=$?; cat /run/said; exit $s"
        ))
    };
    // Before live-restore is in force it costs them their containers; the run is given up, and they are started again.
    let out = meanwhile("write /etc/docker/daemon.json", "systemctl restart docker");
    let (status, said) = (out.status, out.stdout + &out.stderr);
    assert_eq!(status, 4, "{said}");
    says(&said, &["error: docker.service was restarted by someone else meanwhile\n", "container web does not run\n"]);
    says(&said, &["host: rolled back (run "]);
    works_as_before(&host, &running, &["web", "one", "two"], "restarted before");
    same(&before, &content(&host), "the rollback is not exact");
    // Afterwards it costs nothing.
    let running = containers(&host);
    let out = meanwhile("restart docker.service", "sleep 2; systemctl restart docker");
    assert_eq!(out.status, 0, "{out:?}");
    assert_eq!(containers(&host), running);
    assert_eq!(verdict(&host, "daemon.live-restore"), "pass");
    seaworthy(&host, "rollback --yes", 0);
    works_as_before(&host, &running, &[], "taken back");
    same(&before, &content(&host), "the rollback is not exact");
}

/// Someone else broke daemon.json, and the unit has failed: what can be told is told, what can be mended is.
#[test]
fn a_daemon_that_is_down_already_can_be_looked_at_and_mended() {
    let host = busy("trixie");
    host.write_file("/etc/docker/daemon.json", "{\"live-restore\": true}\n");
    host.ok("systemctl reload docker; until docker info -f '{{.LiveRestoreEnabled}}' | grep true; do sleep 0.2; done");
    let running = containers(&host);
    let processes = || host.ok("pgrep -x sleep -a | grep 10000 | sort");
    let alive = processes();
    host.write_file("/etc/docker/daemon.json", "{\"live-restore\": true, \"no-such-key\": 1}\n");
    host.ok("chmod 775 /etc/docker; systemctl restart docker; until systemctl is-failed -q docker; do sleep 0.2; done");
    let key = "/etc/docker/daemon.json:1: `no-such-key` is no key that dockerd knows";
    let audit = seaworthy(&host, "audit", 2);
    says(&audit.stdout.split_whitespace().collect::<Vec<_>>().join(" "), &[key, "daemon stopped", "(by hand)"]);
    let plan = seaworthy(&host, "plan", 2).stdout;
    says(&plan, &["# mode 0775 -> 0755 /etc/docker\n", &format!("# held: daemon.icc breaks-startup: {key}")]);
    says(&plan, &["mend daemon.config first, or the next start of docker fails"]);
    let out = seaworthy(&host, "apply --yes", 0);
    says(&out.stderr, &["warning: docker must not be restarted as it is, its start would fail", key]);
    assert_eq!(host.ok("stat -c %a /etc/docker"), "755");
    assert_eq!((host.sh("systemctl is-active docker").stdout.as_str(), processes()), ("failed\n", alive));
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(host.ok("stat -c %a /etc/docker"), "775");

    // With the key gone an apply brings the daemon up, and the containers are those that ran all the time.
    host.write_file("/etc/docker/daemon.json", "{\"live-restore\": true}\n");
    let before = content(&host);
    seaworthy(&host, "apply --yes", 0);
    assert_eq!((containers(&host), host.ok("systemctl is-active docker")), (running.clone(), "active".into()));
    assert_eq!(verdict(&host, "daemon.icc"), "pending containers-stopped");
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!((containers(&host), host.ok("systemctl is-active docker")), (running, "active".into()));
    same(&before, &content(&host), "the rollback is not exact");
}
