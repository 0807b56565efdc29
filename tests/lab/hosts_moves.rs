//! The host moves: between plan and apply, while an apply is at work, and between apply and rollback.

use crate::hosts::{containers, content, daemon, runs, same, says, seaworthy, snapshot, verdict};
use crate::machine::{Machine, Out};

/// Begins `seaworthy ARGS` and stops it as soon as `moment`, a line of shell, succeeds.
fn stopped(host: &Machine, args: &str, moment: &str) {
    host.ok(&format!(
        "rm -f /run/said /run/done; \
         (setsid bash -c 'echo $$ >/run/at; exec seaworthy {args} >/run/said 2>&1' >/dev/null; echo $? >/run/done) \
         >/dev/null 2>&1 & until {moment}; do test ! -e /run/done || exit 9; sleep 0.01; done; \
         kill -STOP $(cat /run/at)"
    ));
}

/// Lets it go on, to its end.
fn resumed(host: &Machine) -> Out {
    host.ok("kill -CONT $(cat /run/at); until test -s /run/done; do sleep 0.1; done");
    let status = host.ok("cat /run/done").parse().expect("a status");
    Out { status, stdout: host.ok("cat /run/said"), stderr: String::new() }
}

fn said(step: &str) -> String {
    format!("grep -qs '^{step}' /run/said")
}

#[test]
fn of_two_at_once_one_is_refused_and_a_container_that_comes_meanwhile_is_seen() {
    let host = Machine::host("trixie");
    let (before, process) = (content(&host), daemon(&host));
    host.ok("lab-image");

    // No container ran when the plan was made, so nothing keeps one that starts now through the restart.
    stopped(&host, "apply --yes --check daemon.icc", &said("back up"));
    host.ok("docker run -d --name late --network none busybox:1 sleep 10000");
    let running = containers(&host);
    let out = resumed(&host);
    assert_eq!(out.status, 3, "{}", out.stdout);
    says(&out.stdout, &["host has new hazards since the plan was made", "late", "host: rolled back"]);
    assert_eq!(containers(&host), running);
    assert_eq!(daemon(&host), process);
    same(&before, &content(&host), "a refusal before the restart left something behind");

    stopped(&host, "apply --yes", &said("write /etc/docker/daemon.json"));
    let run = runs(&host).pop().expect("a run");
    let state = snapshot(&host);
    for args in ["apply --yes", &format!("rollback {run} --yes"), &format!("confirm {run}")] {
        let out = seaworthy(&host, args, 3);
        says(&out.stderr, &["another seaworthy is at work", "host: unchanged", "hint: wait"]);
        assert!(!out.stderr.contains("taken back"), "{}", out.stderr);
    }
    let at_work = format!("run {run} is at work (pid {})", host.ok("cat /run/at"));
    for args in ["plan", "audit"] {
        let looked = seaworthy(&host, args, 2).stderr;
        says(&looked, &[&at_work]);
        assert!(!looked.contains("did not finish"), "{looked}");
    }
    let at_work = at_work.replace(&format!("run {run} is "), "");
    for args in ["history".to_owned(), format!("history {run}"), "history --format json".to_owned()] {
        let told = seaworthy(&host, &args, 0).stdout;
        says(&told, &[&run, &at_work]);
        assert!(!told.contains("unfinished"), "{told}");
    }
    same(&state, &snapshot(&host), "the second one changed something");
    let out = resumed(&host);
    assert_eq!(out.status, 0, "{}", out.stdout);
    says(&seaworthy(&host, &format!("history {run}"), 0).stdout, &["committed, stands"]);
    assert_eq!(verdict(&host, "daemon.live-restore"), "pass");
    assert_eq!(containers(&host), running);
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn what_a_configuration_manager_puts_back_is_not_fought_over() {
    let host = Machine::host("bookworm");
    host.write_file("/etc/docker/daemon.json", "{\n  \"log-level\": \"info\"\n}\n");
    host.ok("systemctl restart docker && lab-image && docker run -d --name one --network none busybox:1 sleep 10000");
    let (before, running) = (content(&host), containers(&host));
    host.ok("cp -a /etc/docker/daemon.json /root/managed.json");
    let before = before.replace("/root/managed.json", "");
    let put_back = "cp -a /root/managed.json /etc/docker/.new && mv /etc/docker/.new /etc/docker/daemon.json";
    let as_before = |what: &str| {
        host.ok("mv /root/managed.json /run/");
        same(&before, &content(&host), what);
        host.ok("mv /run/managed.json /root/");
        assert_eq!(containers(&host), running, "{what}");
        assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}}'"), "false", "{what}");
    };

    // While the run is at work: it is not restarted onto.
    stopped(&host, "apply --yes", "grep -q icc /etc/docker/daemon.json");
    host.ok(put_back);
    let out = resumed(&host);
    assert_eq!(out.status, 4, "{}", out.stdout);
    says(&out.stdout, &["/etc/docker/daemon.json was changed by someone else meanwhile"]);
    as_before("put back while the run was at work");

    // Afterwards: the next plan leaves the file to who keeps it, and the way back works all the same.
    seaworthy(&host, "apply --yes", 0);
    host.ok(put_back);
    let plan = seaworthy(&host, "plan --check daemon.icc", 0).stdout;
    says(&plan, &["# held: daemon.icc", "foreign-owner", "no changes to make"]);
    seaworthy(&host, "apply --yes --check daemon.icc", 0);
    assert!(!host.ok("cat /etc/docker/daemon.json").contains("icc"));
    assert_eq!(containers(&host), running);
    seaworthy(&host, "rollback --yes", 0);
    as_before("rolled back after it was put back");
}

#[test]
fn what_was_changed_since_is_shown_three_ways_without_its_secrets() {
    let host = Machine::host("trixie");
    let config = |debug: bool, password: &str, icc: &str| {
        let text = format!("{{\n  \"debug\": {debug},\n  \"http-proxy\": \"http://u:{password}@p:3128\"{icc}\n}}\n");
        host.write_file("/etc/docker/daemon.json", &text);
    };
    config(false, "hunter2", "");
    host.ok("systemctl restart docker");
    let before = content(&host);
    seaworthy(&host, "apply --yes --check daemon.icc,daemon.live-restore", 0);
    let run = runs(&host).pop().expect("a run");
    let left = host.ok("cat /etc/docker/daemon.json");
    config(true, "hunter3", ",\n  \"icc\": true");
    let changed = content(&host);
    let out = seaworthy(&host, &format!("rollback {run} --yes"), 3);
    says(
        &out.stderr,
        &[
            "# /etc/docker/daemon.json was changed since; what the run did:",
            "+  \"icc\": false",
            "# what was done since:",
            "-  \"debug\": false,",
            "+  \"debug\": true,",
            "# what this rollback does:",
            "host: unchanged",
            "--force`",
        ],
    );
    let json = host.sh(&format!("seaworthy rollback {run} --yes --format json"));
    for text in [&out.stdout, &out.stderr, &json.stdout, &json.stderr] {
        assert!(!text.contains("hunter"), "{text}");
    }
    same(&changed, &content(&host), "a refusal changed something");
    says(&seaworthy(&host, &format!("history {run} -v"), 0).stdout, &["changed since"]);

    // Put to what the run left, it is the run's again; with an ACL for one more user, mode and owner as they were, not.
    host.write_file("/etc/docker/daemon.json", &format!("{left}\n"));
    let acl = "import os, struct; entries = [(1, 6, -1), (2, 4, 33), (4, 4, -1), (16, 4, -1), (32, 4, -1)]; \
        acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *one) for one in entries); \
        os.setxattr('/etc/docker/daemon.json', 'system.posix_acl_access', acl)";
    let listed = host.ok("ls -l --time-style=+ /etc/docker/daemon.json");
    host.ok(&format!("python3 -c \"{acl}\""));
    let out = seaworthy(&host, &format!("rollback {run} --yes"), 3);
    says(&out.stderr, &["# what was done since:", "with other attributes: system.posix_acl_access", "--force`"]);
    let names = "python3 -c \"import os; print(os.listxattr('/etc/docker/daemon.json'))\"";
    says(&host.ok(names), &["system.posix_acl_access"]);
    host.ok("python3 -c \"import os; os.removexattr('/etc/docker/daemon.json', 'system.posix_acl_access')\"");
    assert_eq!(host.ok("ls -l --time-style=+ /etc/docker/daemon.json"), listed);
    seaworthy(&host, &format!("rollback {run} --yes"), 0);
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn a_plan_outlives_a_boot_that_changed_nothing() {
    let host = Machine::host("trixie");
    host.ok("lab-image && docker run -d --name one --restart always --network none busybox:1 sleep 10000");
    let before = content(&host);
    seaworthy(&host, "plan --out /root/plan.json", 2);
    let (running, process) = (containers(&host), daemon(&host));
    // All that a boot takes away, but the kernel itself.
    host.ok("systemctl stop docker.socket docker containerd && rm -rf /run/docker /run/containerd /run/seaworthy && \
         systemctl start containerd docker.socket docker && until docker ps -q | grep -q .; do sleep 0.1; done");
    assert_ne!(containers(&host), running);
    assert_ne!(daemon(&host), process);
    let running = containers(&host);
    seaworthy(&host, "apply /root/plan.json --yes", 0);
    assert_eq!(verdict(&host, "daemon.live-restore"), "pass");
    assert_eq!(containers(&host), running);
    seaworthy(&host, "rollback --yes", 0);
    host.ok("rm /root/plan.json");
    same(&before, &content(&host), "the rollback is not exact");
}
