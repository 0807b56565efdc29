//! Disks that are full or read-only, on real hosts: a clear message, and the host as it was.

use crate::hosts::{containers, content, runs, same, says, seaworthy};
use crate::machine::Machine;

const CONFIG: &str = "/etc/docker/daemon.json";

/// A container without a restart policy, and a daemon.json of the owner's.
fn busy() -> Machine {
    let host = Machine::host("trixie");
    host.write_file(CONFIG, "{\"debug\": false}\n");
    host.ok("systemctl restart docker && lab-image && docker run -d --name one --network none busybox:1 sleep 10000");
    host
}

/// The host is exactly as it was, with nothing left to undo.
fn assert_untouched(host: &Machine, before: &str, running: &str, what: &str) {
    same(before, &content(host), what);
    assert_eq!(containers(host), running, "{what}");
    assert_eq!(
        host.ok("systemctl is-active docker; docker info -f '{{.LiveRestoreEnabled}}'"),
        "active\nfalse",
        "{what}"
    );
    assert_eq!(host.ok("systemctl list-timers --all | grep -c seaworthy || true"), "0", "{what}");
    assert!(!seaworthy(host, "audit", 2).stderr.contains("did not finish"), "{what}");
}

#[test]
fn a_store_without_room_leaves_the_host_as_it_was() {
    let host = busy();
    let (before, running) = (content(&host), containers(&host));
    let store = "/var/lib/seaworthy";
    let apply = |pages: &str| {
        let mount = format!("mkdir -p {store}; mount -t tmpfs -o mode=700,size=$((({pages}) * 4))k none {store}");
        host.sh(&format!("{mount} || exit 99; seaworthy apply --yes; s=$?; umount {store}; rmdir {store}; exit $s"))
    };
    // In pages: nothing fits, then all but the copy of the binary.
    for (pages, what) in [("1", "/plan.json cannot be "), ("60", "/seaworthy cannot be written\n")] {
        let out = apply(pages);
        assert_eq!(out.status, 1, "{out:?}");
        says(&out.stderr, &["error: /var/lib/seaworthy/runs/", what, "No space left on device", "host: unchanged\n"]);
        says(&out.stderr, &["hint: run `df -h /var/lib/seaworthy/runs/"]);
        assert_untouched(&host, &before, &running, pages);
    }
    // The binary fits, and then more and more of what comes after it, until there is room for all.
    let enough = (4..20).find(|more| {
        let out = apply(&format!("$(stat -c %s /usr/local/bin/seaworthy) / 4096 + {more}"));
        if out.status == 0 {
            return true;
        }
        assert!(matches!(out.status, 1 | 4), "{out:?}");
        let stands = if out.status == 4 { "host: rolled back (run " } else { "host: unchanged\n" };
        says(&out.stderr, &[stands, "No space left on device", "hint: run `df -h /var/lib/seaworthy/runs/"]);
        assert_untouched(&host, &before, &running, &format!("{more} pages more than the binary"));
        false
    });
    assert!(enough.is_some_and(|more| more > 4), "{enough:?}");
    assert_eq!(containers(&host), running);
}

#[test]
fn a_folder_that_takes_nothing_leaves_the_host_as_it_was() {
    let host = busy();
    let (before, running) = (content(&host), containers(&host));
    // Memory is no place for settings, which has to be accepted first; then it is full.
    let full = "cp -a /etc/docker /root/kept; mount -t tmpfs -o size=8k none /etc/docker; \
        cp -a /root/kept/daemon.json /etc/docker; chmod 755 /etc/docker; head -c 4096 /dev/zero >/etc/docker/filled";
    let apply = "seaworthy apply --yes --accept live-restore,icc; s=$?; umount /etc/docker; rm -r /root/kept; exit $s";
    let out = host.sh(&format!("{full} || exit 99; {apply}"));
    assert_eq!(out.status, 1, "{out:?}");
    says(
        &out.stderr,
        &["error: /etc/docker/.daemon.json.seaworthy-", " cannot be written\n", "No space left on device"],
    );
    says(&out.stderr, &["host: unchanged\nhint: run `df -h /etc/docker`\n"]);
    assert_untouched(&host, &before, &running, "full");

    let (ro, rw) = ("mount -o remount,bind,ro /etc", "mount -o remount,bind,rw /etc");
    let out = host.sh(&format!("{ro}; seaworthy plan; s=$?; {rw}; exit $s"));
    says(&out.stdout, &["# note: no changes to make\n", "# held: daemon.live-restore foreign-owner: "]);
    says(&out.stdout, &["foreign-owner: /etc/docker/daemon.json: its file system /etc is read-only; "]);
    assert!(!out.stdout.contains("+++"), "{}", out.stdout);
    assert_untouched(&host, &before, &running, "a read-only file system");
}

/// The worst moment: everything is written, the daemon has restarted on it, somebody interrupts, and nothing can be
/// written any more.
#[test]
fn a_disk_that_turns_read_only_under_a_run_is_told_and_mended() {
    let host = busy();
    let (before, running) = (content(&host), containers(&host));
    let meanwhile = |what: &str| {
        let line = format!(
            "rm -f /run/said; seaworthy apply --yes 2>/run/said & until grep -q '^restart docker' /run/said; do \
             kill -0 $! || exit 9; sleep 0.01; done; sleep 1; {what}; kill -TERM $!; wait $!; s=$?; cat /run/said; exit $s"
        );
        host.sh(&line)
    };
    let out = meanwhile("mount -o remount,bind,ro /etc");
    assert_eq!(out.status, 5, "{out:?}");
    let run = runs(&host).pop().expect("a run");
    let told = [
        "error: interrupted\n",
        "rollback: /etc/docker/.daemon.json.seaworthy-",
        "Read-only file system",
        &format!("by hand: install -m 0644 -o 0 -g 0 /var/lib/seaworthy/runs/{run}/backups/000 {CONFIG}\n"),
        &format!("host: rollback of run {run} is incomplete\n"),
        &format!("hint: run `seaworthy rollback {run}`\n"),
    ];
    says(&out.stdout, &told);
    // What stands is whole, works, and somebody is going to try again.
    assert_eq!(containers(&host), running);
    assert_eq!(host.ok(&format!("systemctl is-active docker; jq .icc {CONFIG}")), "active\nfalse");
    says(&host.ok("systemctl list-timers --all"), &[&format!("seaworthy-{run}.timer")]);
    host.ok("mount -o remount,bind,rw /etc");
    seaworthy(&host, &format!("rollback {run} --yes"), 0);
    assert_untouched(&host, &before, &running, "/etc");

    // The store alone: the host comes back all the same, and the run is closed once it can be.
    host.ok("mount -t tmpfs -o mode=700 none /var/lib/seaworthy");
    let out = meanwhile("mount -o remount,ro /var/lib/seaworthy");
    assert_eq!(out.status, 4, "{out:?}");
    says(&out.stdout, &["error: interrupted\n", "Read-only file system", "host: rolled back (run "]);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(containers(&host), running);
    host.ok("mount -o remount,rw /var/lib/seaworthy");
    says(&seaworthy(&host, "audit", 2).stderr, &["did not finish: `seaworthy rollback "]);
    seaworthy(&host, "rollback --yes", 0);
    assert_untouched(&host, &before, &running, "the store");
}
