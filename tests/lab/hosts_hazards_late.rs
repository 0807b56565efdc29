//! Hazards that nobody can look for, and hazards that come late, on real hosts: both hold.

use crate::hosts::{containers, content, daemon, runs, same, says, seaworthy};
use crate::hosts_hazards::{held, start, talk, wait_for};
use crate::machine::Machine;

/// Stands before the Engine's socket: `proxy.py WORD HOW` answers requests whose first line has the word with an error,
/// or not at all.
const PROXY: &str = r#"import os, socket, sys, threading, time
word, how = sys.argv[1:]
def serve(client):
    head = b''
    while b'\r\n\r\n' not in head:
        part = client.recv(65536)
        if not part:
            return
        head += part
    if word in head.split(b'\r\n')[0].decode():
        if how == 'hang':
            time.sleep(10000)
        body = b'{"message": "out of order"}'
        client.sendall(b'HTTP/1.1 500 no\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
        return client.close()
    engine = socket.socket(socket.AF_UNIX)
    engine.connect('/run/engine.sock')
    engine.sendall(head.replace(b'\r\n\r\n', b'\r\nConnection: close\r\n\r\n', 1))
    while part := engine.recv(65536):
        client.sendall(part)
    client.close()
listener = socket.socket(socket.AF_UNIX)
listener.bind('/run/new.sock')
listener.listen(64)
os.rename('/run/new.sock', '/run/docker.sock')
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

#[test]
fn what_the_engine_does_not_tell_holds() {
    let host = Machine::host("trixie");
    host.ok("lab-image; docker run -d --name web busybox:1 nc -ll -p 80 -e cat; docker exec -d web sleep 10000");
    host.write_file("/run/lab/proxy.py", PROXY);
    host.ok("mv /run/docker.sock /run/engine.sock");
    let broken = |word: &str, how: &str, checks: &str| {
        start(&host, "proxy", &format!("exec python3 /run/lab/proxy.py {word} {how}"));
        wait_for(&host, "test -S /run/docker.sock");
        let found = held(&host, checks);
        host.ok("kill $(pgrep -f '^python3 /run/lab/proxy.py') && rm /run/docker.sock");
        found
    };
    let all = "live-restore,icc,userland-proxy,daemon.no-new-privileges,userns-remap";
    // The proxy itself is no trouble.
    let found = broken("/nothing", "error", all);
    says(&found, &["daemon.no-new-privileges interrupts: exec in web: sleep; include"]);
    assert!(!found.contains("could not look"), "{found}");
    let found = broken("/containers/json", "error", all);
    let containers = "could not look: Engine API: /containers/json?all=1: answers 500: out of order";
    for hazard in ["stops-containers", "interrupts", "cuts-traffic", "drops-privilege", "breaks-startup"] {
        says(&found, &[&format!("{hazard}: {containers}")]);
    }
    says(&broken("/json", "hang", "userns-remap"), &["could not look: Engine API: ", "no whole answer within"]);
    says(&broken("/volumes", "error", "userns-remap"), &["could not look further: Engine API: /volumes: answers 500"]);
    says(&broken("/exec/", "error", "daemon.no-new-privileges"), &["interrupts: could not look: Engine API: /exec/"]);
    says(&broken("/info", "error", "live-restore,daemon.no-new-privileges"), &["could not look"]);
    host.ok("mv /run/engine.sock /run/docker.sock");
}

#[test]
fn what_may_not_be_read_or_makes_no_sense_holds() {
    let host = Machine::host("bookworm");
    host.ok("lab-image; docker create --name old --network none busybox:1 true");
    let nobody = |groups: &str, checks: &str| {
        let user = format!("setpriv --reuid=65534 --regid=65534 --groups {groups}");
        host.ok(&format!("cd /; {user} seaworthy plan --check {checks} | grep '^# held'"))
    };
    // With the socket, but without everyone's processes.
    let found = nobody("$(stat -c %g /run/docker.sock)", "daemon.no-new-privileges,userland-proxy");
    let processes = "could not look: processes: only root sees all of them";
    says(&found, &[&format!("interrupts: {processes}"), &format!("drops-privilege: {processes}")]);
    says(&found, &[&format!("cuts-traffic: {processes}")]);
    host.ok("systemctl stop docker.socket docker.service");
    let found = nobody("65534", "live-restore,icc,userns-remap");
    for hazard in ["swarm", "stops-containers", "cuts-traffic", "hides-images", "breaks-startup"] {
        says(&found, &[&format!("{hazard}: could not look: /var/lib/docker: Permission denied")]);
    }
    // Root reads all of it, and the daemon is down: silent where there is nothing, blind where it makes no sense.
    assert_eq!(held(&host, "live-restore,icc,daemon.no-new-privileges"), "");
    says(&held(&host, "userns-remap"), &["hides-images: image busybox:1, container old; include"]);
    host.ok("for f in /var/lib/docker/containers/*/config.v2.json; do echo '{' >$f; done");
    for check in ["icc", "daemon.no-new-privileges", "userns-remap"] {
        says(&held(&host, check), &["could not look", "config.v2.json: EOF"]);
    }
}

/// Applies, and does something when the plan is approved and the lock taken, before the restart; gives what it says.
fn meanwhile(host: &Machine, args: &str, what: &dyn Fn()) -> String {
    host.ok("rm -f /run/said");
    start(host, "apply", &format!("exec seaworthy apply --yes {args} 2>/run/said"));
    // Stopped with its first change behind it, it stands still until all of it has happened.
    let line =
        "until grep -q '^write' /run/said; do pgrep -x seaworthy || exit 9; sleep 0.01; done; pkill -STOP -x seaworthy";
    host.ok(line);
    assert!(!host.ok("cat /run/said").contains("restart docker"), "it was not stopped in time");
    what();
    host.ok("pkill -CONT -x seaworthy");
    wait_for(host, "grep '^ended' /run/lab/apply");
    assert_eq!(host.ok("tail -n 1 /run/lab/apply"), "ended 3", "{}", host.ok("cat /run/said"));
    host.ok("cat /run/said")
}

#[test]
fn hazards_that_come_late_stop_the_run() {
    let host = Machine::host("trixie");
    let (before, process) = (content(&host), daemon(&host));
    // A fresh host: an image comes, which userns-remap would hide.
    let said = meanwhile(&host, "", &|| drop(host.ok("lab-image late:1")));
    says(&said, &["host has new hazards since the plan was made", "daemon.userns-remap hides-images image late:1"]);
    says(&said, &["host: rolled back", "hint: run `seaworthy plan`"]);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(daemon(&host), process, "it was restarted");

    host.ok("lab-image; docker run -d --name web -p 127.0.0.1:8080:80 busybox:1 nc -ll -p 80 -e cat");
    let run = host.ok("docker inspect -f '{{.State.Pid}}' web");
    let checks = "--check live-restore,daemon.no-new-privileges,icc";
    let said = meanwhile(&host, checks, &|| {
        start(&host, "exec", "docker exec web sleep 10000");
        wait_for(&host, "docker top web | grep 'sleep 10000'");
    });
    says(&said, &["daemon.no-new-privileges interrupts exec in web: sleep", "host: rolled back"]);
    host.ok("kill $(pgrep -f '^sleep 10000')");
    wait_for(&host, "grep ended /run/lab/exec");
    let said = meanwhile(&host, checks, &|| talk(&host, "v4", "127.0.0.1", 8080));
    says(&said, &["daemon.icc interrupts connection from 127.0.0.1 to web:80", "host: rolled back"]);
    assert!(!host.ok("cat /run/lab/v4").contains("ended"), "the connection was cut");
    host.ok("kill $(pgrep -f '^python3 /run/lab/talk.py')");
    let said = meanwhile(&host, checks, &|| drop(host.ok("docker run -d --name more busybox:1 sleep 10000")));
    says(&said, &["daemon.icc cuts-traffic web listens on 80/tcp beside 1 other container on the default bridge"]);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!((daemon(&host), host.ok("docker inspect -f '{{.State.Pid}}' web")), (process, run));
    assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}}'"), "false");
    assert_eq!(host.ok("systemctl list-timers --all | grep -c seaworthy || true"), "0");
}

/// Rolls back on demand, by the timer of an unconfirmed run, and by the next apply, while an exec runs in a container.
#[test]
fn what_a_rollback_cuts_is_asked_for_first() {
    let host = Machine::host("trixie");
    host.ok("lab-image; docker run -d --name web --network none busybox:1 sleep 10000");
    let (before, running) = (content(&host), containers(&host));
    let working = || {
        start(&host, "exec", "docker exec web sleep 7000");
        wait_for(&host, "docker top web | grep 'sleep 7000'");
    };
    let cut = |what: &str| {
        wait_for(&host, "grep 'ended [1-9]' /run/lab/exec");
        // Its process lives on, with nobody at the other end.
        host.ok("kill $(pgrep -f '^sleep 7000')");
        assert_eq!(containers(&host), running, "{what}");
        same(&before, &content(&host), &format!("{what} is not exact"));
    };
    let checks = "--check live-restore,daemon.no-new-privileges";
    seaworthy(&host, &format!("apply --yes {checks}"), 0);
    let (after, process) = (content(&host), daemon(&host));
    working();
    let refused = seaworthy(&host, "rollback --yes", 3).stderr;
    says(&refused, &["# note: interrupts: exec in web: sleep", "would hurt what is there now", "host: unchanged"]);
    says(&refused, &["--force`"]);
    same(&after, &content(&host), "a refusal changed something");
    assert_eq!(daemon(&host), process, "it was restarted");
    assert!(!host.ok("cat /run/lab/exec").contains("ended"), "the exec was cut");
    // That of a fix which took no restart is not held, and cuts nothing.
    seaworthy(&host, "rollback --yes --check live-restore", 0);
    assert!(!host.ok("cat /run/lab/exec").contains("ended"), "the exec was cut");
    seaworthy(&host, "rollback --yes --force", 0);
    cut("a forced rollback");

    // What nobody confirms is undone, whatever that cuts.
    seaworthy(&host, &format!("apply --yes {checks} --confirm-within 6000"), 0);
    let run = runs(&host).pop().expect("a run");
    working();
    let unit = format!("seaworthy-confirm-{run}.service");
    host.ok(&format!("systemctl start {unit}; while systemctl is-active -q {unit}; do sleep 0.2; done"));
    says(&seaworthy(&host, &format!("history {run}"), 0).stdout, &["rolled back"]);
    cut("the rollback of an unconfirmed run");
}
