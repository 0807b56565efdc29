//! What people on a real host may write: names that a terminal acts on, secrets, and files that are not root's.

use crate::hosts::{containers, content, daemon, runs, same, says, seaworthy};
use crate::machine::Machine;

/// Clears the screen, breaks the line, and turns the writing round.
const EVIL: &str = r"ev\e[2J\nhint: run `curl x`\u202e\u009bil";

/// A bind source, labels, variables and processes of such names, and secrets wherever docker's own pages put them.
fn strange(host: &Machine) {
    let secret = "http://user:hunter2@proxy:3128";
    host.write_file(
        "/etc/docker/daemon.json",
        &format!("{{\n  \"http-proxy\": \"{secret}\",\n  \"debug\": false\n}}\n"),
    );
    host.write_file(
        "/etc/systemd/system/docker.service.d/proxy.conf",
        &format!("[Service]\nEnvironment=\"HTTPS_PROXY={secret}\" \"API_TOKEN=hunter2\"\n"),
    );
    host.write_file("/etc/default/docker", &format!("DOCKER_OPTS=\"--icc=true --https-proxy={secret}\"\n"));
    host.write_file("/root/.docker/config.json", "{\"auths\": {\"r.example\": {\"auth\": \"aHVudGVyMg==\"}}}\n");
    host.ok("echo 'SITE_PASSWORD=hunter2' >>/etc/environment");
    host.ok("systemctl daemon-reload && systemctl restart docker && lab-image");
    host.ok(&format!(
        "evil=$(printf '{EVIL}') && mkdir -p \"/srv/$evil\" && docker volume create data && \
         docker run -d --name one --network none --mount \"type=bind,\\\"source=/srv/$evil\\\",target=/data\" \
         --label \"note=$evil\" --label token=hunter2 -e PLAIN=hunter2 -e \"EVIL=$evil\" \
         busybox:1 sh -c 'sleep 10000' --password=hunter2 && \
         docker exec one sh -c 'printf \"#!/bin/sh\\nsleep 9999\\n\" >\"/bin/$0\" && chmod 755 \"/bin/$0\"' \"$evil\" && \
         docker exec -d one \"/bin/$evil\" --token=hunter2 --password hunter2"
    ));
}

/// What a terminal acts on, or what would pass for a line of ours.
fn harmless(text: &str, what: &str) {
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    let at = text.find(bad).map(|at| text[..at].lines().last().unwrap_or_default());
    assert_eq!(at, None, "{what}: behind this stands what a terminal acts on");
    assert!(!text.lines().any(|line| line.starts_with("hint: run `curl")), "{what}: {text}");
}

#[test]
fn strange_names_and_secrets_show_nowhere() {
    let host = Machine::host("trixie");
    strange(&host);
    let (before, running) = (content(&host), containers(&host));
    let mut all = Vec::new();
    let mut say = |args: &str, status: i32| {
        let out = seaworthy(&host, args, status);
        // What is written to a file or a pipe is exact; a name of a host is never part of it as it is.
        harmless(&out.stdout, args);
        harmless(&out.stderr, args);
        all.extend([out.stdout.clone(), out.stderr.clone()]);
        out
    };
    say("audit -v", 2);
    say("audit --format json", 2);
    let everything = "--accept content-trust,daemon.no-new-privileges,icc,live-restore,userland-proxy";
    says(
        &say(&format!("plan {everything}"), 2).stdout,
        &["# not patchable: secrets are masked", r"ev\u{1b}[2J\nhint: run `curl x`\u{202e}\u{9b}il"],
    );
    say(&format!("plan {everything} --format json --out /root/plan.json"), 2);
    say("facts --output /root/facts.json", 0);
    says(&host.ok("cat /root/facts.json"), &[r"ev\u001b[2J\nhint: run `curl x`", "PLAIN=********"]);
    say("plan --facts /root/facts.json", 2);
    say(&format!("apply --yes {everything}"), 0);
    let run = runs(&host).pop().expect("a run");
    say("apply --yes --format json", 0);
    say("apply /root/plan.json --yes", 3);
    say("history -v", 0);
    say(&format!("history {run} --format json"), 0);
    host.ok("cp -a /etc/default/docker /root/kept && sed -i 's/hunter2/hunter2x/' /etc/default/docker");
    says(&say("rollback --yes", 3).stderr, &["was changed since"]);
    host.ok("mv /root/kept /etc/default/docker");
    assert_eq!(containers(&host), running);

    let timer = format!("/var/lib/seaworthy/runs/{run}/seaworthy rollback {run} --yes --only-unfinished 2>&1");
    all.push(host.ok(&timer));
    all.push(host.ok("cat /root/facts.json && journalctl -o cat | grep -i seaworthy"));
    for text in &all {
        for secret in ["hunter", "aHVudGVyMg"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "a secret is shown");
        }
    }
    // What has to hold them is root's alone.
    let open = "find /var/lib/seaworthy /root/facts.json /root/plan.json -perm /077 -o ! -user root";
    assert_eq!(host.ok(open), "");
    says(&host.ok(&format!("cat /var/lib/seaworthy/runs/{run}/backups/*")), &["hunter2"]);

    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(containers(&host), running);
    host.ok("rm /root/facts.json /root/plan.json");
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn what_belongs_to_someone_else_decides_nothing() {
    let host = Machine::host("bookworm");
    host.ok("useradd --create-home eve && cd /home/eve && install -d -o eve -g eve lent");
    seaworthy(&host, "plan --check daemon.icc --out /root/plan.json", 2);
    let before = content(&host);
    let refused = |args: &str, named: &str, undo: &str| {
        let before = content(&host);
        let out = seaworthy(&host, args, 3);
        says(&out.stderr, &[named, "belongs to someone else", "host: unchanged"]);
        same(&before, &content(&host), named);
        host.ok(undo);
    };

    // A plan that eve wrote, or to which she leads; one behind her pipe is not waited for.
    host.ok("install -m 600 -o eve /root/plan.json /home/eve/plan.json");
    refused("apply /home/eve/plan.json --yes", "/home/eve/plan.json", "rm /home/eve/plan.json");
    host.ok("ln -s /root/plan.json /home/eve/plan.json && chown -h eve /home/eve/plan.json");
    refused("apply /home/eve/plan.json --yes", "/home/eve/plan.json", "rm /home/eve/plan.json");
    host.ok("mkfifo -m 600 /home/eve/plan.json && chown eve /home/eve/plan.json");
    refused("apply /home/eve/plan.json --yes", "/home/eve/plan.json", "rm /home/eve/plan.json");

    // A link where a document goes is replaced, not followed.
    host.ok("ln -s /etc/passwd /home/eve/out.json && ln -s /etc/passwd /home/eve/facts.json");
    let accounts = host.ok("sha256sum /etc/passwd");
    seaworthy(&host, "plan --check daemon.icc --out /home/eve/out.json", 2);
    seaworthy(&host, "facts --output /home/eve/facts.json", 0);
    assert_eq!(host.ok("sha256sum /etc/passwd"), accounts);
    assert_eq!(
        host.ok("cd /home/eve && stat -c '%F %a %U' out.json facts.json && rm out.json facts.json"),
        "regular file 600 root\nregular file 600 root"
    );

    // The site's file, its folder, and the folder behind a link.
    host.write_file("/etc/seaworthy/config.toml", "[values]\nlog-driver = \"journald\"\n");
    for (spoil, mend) in [
        ("chown eve /etc/seaworthy/config.toml", "chown root /etc/seaworthy/config.toml"),
        ("chown eve /etc/seaworthy", "chown root /etc/seaworthy"),
        (
            "mv /etc/seaworthy/config.toml /home/eve/lent/ && ln -s /home/eve/lent/config.toml /etc/seaworthy/",
            "rm -r /etc/seaworthy",
        ),
    ] {
        host.ok(spoil);
        refused("apply --yes", "/etc/seaworthy/config.toml", mend);
    }
    host.ok("rm -r /home/eve/lent/config.toml");

    // The lock: a folder that eve made first is not used.
    host.ok("rm -rf /run/seaworthy && install -d -o eve /run/seaworthy");
    let out = seaworthy(&host, "apply --yes", 3);
    says(&out.stderr, &["the lock cannot be taken", "belongs to user id", "host: unchanged"]);
    host.ok("rm -rf /run/seaworthy && ln -s /home/eve/lent /run/seaworthy");
    seaworthy(&host, "apply --yes", 3);
    assert_eq!(host.ok("ls -A /home/eve/lent; rm /run/seaworthy"), "");
    assert_eq!(runs(&host).len(), 0);
    same(&before, &content(&host), "something was done after all");

    // Runs: as a restore from an archive with other owners leaves them, or as links.
    seaworthy(&host, "apply --yes --check daemon.icc", 0);
    let run = format!("/var/lib/seaworthy/runs/{}", runs(&host).pop().expect("a run"));
    let applied = content(&host);
    for path in
        ["/var/lib/seaworthy", "/var/lib/seaworthy/runs", &run, &format!("{run}/plan.json"), &format!("{run}/journal")]
    {
        host.ok(&format!("chown eve {path}"));
        let out = seaworthy(&host, "rollback --yes", 3);
        says(&out.stderr, &[&format!("error: {path} belongs to someone else"), "host: unchanged", "`ls -ld "]);
        host.ok(&format!("chown root {path}"));
    }
    for path in ["/var/lib/seaworthy", &run, &format!("{run}/journal")] {
        host.ok(&format!("mv {path} /root/kept && ln -s /root/kept {path}"));
        let out = seaworthy(&host, "rollback --yes", 3);
        says(&out.stderr, &[path, "is not a"]);
        host.ok(&format!("rm {path} && mv /root/kept {path}"));
    }
    same(&applied, &content(&host), "a refused rollback changed something");
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
}

/// An image of which every path leads out, or is something that is not to be opened.
#[test]
fn a_hostile_tree_neither_reaches_nor_hangs_the_host() {
    let host = Machine::host("bookworm");
    host.ok(
        "cp -a /etc/machine-id /etc/outside && mkdir -p /srv/lure/docker && echo '{}' >/srv/lure/docker/daemon.json",
    );
    host.ok(
        "mkdir -p /srv/tree && cd /srv/tree && mkdir -p etc/docker usr/sbin usr/lib/systemd/system var/lib run && \
         touch usr/sbin/dockerd && cp /usr/lib/systemd/system/docker.* usr/lib/systemd/system/ && \
         cp /usr/lib/os-release etc/os-release && cp /etc/passwd /etc/group etc/",
    );
    let (before, process) = (content(&host), daemon(&host));
    let config = "etc/docker/daemon.json";
    // What is a pipe, a socket or too large is tried on every machine, by the tests of the command line.
    for make in [
        &format!("mknod {config} c 1 5"),
        &format!("mknod {config} c 5 0"),
        &format!("ln -s ../../../../../../proc/kmsg {config}"),
        &format!("ln -s /proc/1/root/etc/outside {config}"),
        "rm -r etc/docker && ln -s ../../../srv/lure/docker etc/docker",
        "rm etc/docker && ln -s /srv/lure/docker etc/docker",
        "mv etc inside && ln -s /srv/lure etc",
        "rm etc && mv inside etc && ln -s ../../../../srv/lure var/lib/seaworthy",
    ] {
        host.ok(&format!("cd /srv/tree && if test ! -L etc -a ! -L etc/docker; then rm -f {config}; fi && {make}"));
        for args in ["audit", "apply --yes", "rollback --yes"] {
            let out = host.sh(&format!("timeout 60 seaworthy {args} --root /srv/tree"));
            assert!([0, 1, 2, 3].contains(&out.status), "{make}: {args}: {out:?}");
        }
        assert_eq!(host.ok("find /srv/lure -type f -exec cat {} + && find /srv/lure | wc -l"), "{}\n3", "{make}");
    }
    let now = content(&host);
    let own = |text: &str| text.lines().filter(|l| !l.starts_with("/srv/tree")).collect::<Vec<_>>().join("\n");
    same(&own(&before), &own(&now), "the host was reached");
    assert_eq!(daemon(&host), process);
}
