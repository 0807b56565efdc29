//! What the tests on container hosts share: seaworthy with its exit code, and the host as it is, to compare.

use crate::machine::{Machine, Out};

/// Runs `seaworthy ARGS`, which has to end with `status`.
pub(crate) fn seaworthy(host: &Machine, args: &str, status: i32) -> Out {
    let out = host.sh(&format!("seaworthy {args}"));
    assert_eq!(out.status, status, "`seaworthy {args}`:\n{}{}", out.stdout, out.stderr);
    out
}

/// Asserts that a text has each of these parts.
#[track_caller]
pub(crate) fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

/// Asserts that two listings are the same, and shows only the lines that are not.
#[track_caller]
pub(crate) fn same(before: &str, after: &str, what: &str) {
    let only = |a: &str, b: &str| a.lines().filter(|l| !b.lines().any(|o| o == *l)).collect::<Vec<_>>().join("\n");
    assert!(before == after, "{what}\nbefore:\n{}\nafter:\n{}", only(before, after), only(after, before));
}

/// What systemd, dpkg's timers and the daemon itself write while nobody does anything.
const NOISE: &str = "-path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp -o -path /var/log \
    -o -path /var/tmp -o -path /var/lib/systemd -o -path /var/lib/containerd -o -path /var/lib/docker";

/// Every path of the host with type, mode, owner, size, link target and times, and what Docker has: for commands that
/// may change nothing.
pub(crate) fn snapshot(host: &Machine) -> String {
    let files = format!(
        "find / /etc -xdev \\( {NOISE} \\) -prune -o -type d -printf '%p %y %m %U:%G %T@ %C@\\n' \
         -o -printf '%p %y %m %U:%G %s %l %T@ %C@\\n' | sort -u"
    );
    let docker = "stat -c '%n %A %u:%g' /var/lib/docker /run/docker.sock; docker images -aq; docker ps -aq; \
         docker volume ls -q; docker network ls -q; docker info | grep -v -e Goroutines -e 'File Descr' -e 'System Time' -e Runtimes";
    // systemd forgets idle units when it likes, dockerd's trial mounts among them, and pads columns to the longest name
    let units = "systemctl list-units --plain --no-legend --state=active,activating,failed --type=service,socket,timer \
         | awk '{print $1, $3, $4}' | sort";
    host.ok(&format!("{files}; {docker}; {units}"))
}

/// What a rollback has to bring back: types, modes, owners and content, no times. Seaworthy's own store is left out,
/// and of the account files what dockerd adds for dockremap.
pub(crate) fn content(host: &Machine) -> String {
    let accounts = r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?";
    let own = "-o -path /var/lib/seaworthy";
    let files = format!(
        "find / /etc -xdev \\( {NOISE} {own} \\) -prune -o -type d -printf '%p %y %m %U:%G\\n' \
         -o -printf '%p %y %m %U:%G %s %l\\n' | grep -vE '^{accounts} ' | sort -u"
    );
    let sums = format!("find /etc -xdev -type f | grep -vE '^{accounts}$' | sort | xargs -d '\\n' sha256sum");
    let users = "for f in passwd group shadow gshadow subuid subgid; do stat -c '%n %a %u:%g' /etc/$f; \
         grep -v ^dockremap: /etc/$f; done";
    host.ok(&format!("{files}; {sums}; {users}; stat -c '%n %a %u:%g' /run/docker.sock"))
}

/// The daemon's process and how often systemd restarted it.
pub(crate) fn daemon(host: &Machine) -> String {
    host.ok("systemctl show docker.service -p ActiveState -p MainPID -p NRestarts -p ExecMainStartTimestampMonotonic")
}

/// How often the daemon was started since the host booted.
pub(crate) fn starts(host: &Machine) -> u32 {
    host.ok("journalctl -u docker.service -o cat | grep -c 'Daemon has completed initialization'")
        .parse()
        .expect("grep counts")
}

/// Running containers with their processes.
pub(crate) fn containers(host: &Machine) -> String {
    host.ok("docker ps -q | xargs -r docker inspect -f '{{.Name}} {{.State.Pid}} {{.State.StartedAt}}' | sort")
}

/// Ids of runs, oldest first.
pub(crate) fn runs(host: &Machine) -> Vec<String> {
    host.ok("ls /var/lib/seaworthy/runs 2>/dev/null; true").lines().map(str::to_owned).collect()
}

/// The verdict of a check and what it waits for or was found, from the audit.
pub(crate) fn verdict(host: &Machine, check: &str) -> String {
    let line = format!(
        "seaworthy audit --format json --check {check} 2>/dev/null | \
         jq -r '.findings[] | [.verdict, .pending_on // empty] | join(\" \")'"
    );
    host.ok(&line)
}
