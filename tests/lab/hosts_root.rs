//! A tree that is not running: everything stays inside it.

use crate::hosts::{content, daemon, same, says, seaworthy};
use crate::machine::Machine;

/// A copy of what seaworthy looks at, on a real disk.
const COPY: &str = "mkdir /var/lib/docker/tree && cd /var/lib/docker/tree && cp -a /etc . && \
    mkdir -p usr/lib/systemd usr/sbin usr/bin var/lib run && cp -a /usr/lib/systemd/system usr/lib/systemd/ && \
    cp -a /usr/sbin/dockerd usr/sbin/ && cp -a /usr/bin/docker /usr/bin/containerd usr/bin/ && \
    cp -a /usr/lib/os-release usr/lib/ && ln -s usr/lib lib && ln -s usr/sbin sbin && ln -s usr/bin bin";

fn tree(host: &Machine) -> String {
    host.ok(
        "cd /var/lib/docker/tree && find . -path ./var/lib/seaworthy -prune -o -printf '%p %y %m %U:%G %l\\n' | sort; \
         find etc -type f | sort | xargs -d '\\n' sha256sum",
    )
}

#[test]
fn a_tree_is_planned_changed_and_taken_back_inside() {
    let host = Machine::host("bookworm");
    host.ok(COPY);
    let (before, inside, process) = (content(&host), tree(&host), daemon(&host));
    let root = "--root /var/lib/docker/tree";
    says(&seaworthy(&host, &format!("audit {root}"), 2).stdout, &["daemon.icc"]);
    says(&seaworthy(&host, &format!("plan {root}"), 2).stdout, &["+++ b/etc/docker/daemon.json"]);
    same(&inside, &tree(&host), "what only reads has changed the tree");
    seaworthy(&host, &format!("apply --yes {root}"), 0);
    says(&host.ok("cat /var/lib/docker/tree/etc/docker/daemon.json"), &["\"icc\": false"]);
    assert_eq!(host.ok("ls /var/lib/docker/tree/var/lib/seaworthy/runs | wc -l"), "1");
    says(&seaworthy(&host, &format!("apply --yes {root}"), 0).stdout, &["nothing to do"]);
    seaworthy(&host, &format!("rollback --yes {root}"), 0);
    same(&inside, &tree(&host), "the rollback is not exact");
    same(&before, &content(&host), "the host was changed");
    assert_eq!(daemon(&host), process);
    assert_eq!(host.sh("test -e /var/lib/seaworthy").status, 1, "runs lie under the tree");
}

#[test]
fn links_in_a_tree_do_not_lead_out_of_it() {
    let host = Machine::host("bookworm");
    host.ok(COPY);
    host.ok("mkdir -p /etc/outside && cd /var/lib/docker/tree && rm -rf etc/docker && ln -s /etc/outside etc/docker");
    host.ok("cd /var/lib/docker/tree && mkdir -p etc/systemd/system && ln -s ../../../../../../../etc/outside etc/default.d");
    let before = content(&host);
    let root = "--root /var/lib/docker/tree";
    let out = host.sh(&format!("seaworthy apply --yes {root}"));
    assert!([0, 1, 3].contains(&out.status), "{out:?}");
    same(&before, &content(&host), "the host was reached through a link");
    assert_eq!(host.ok("ls -A /etc/outside /etc/docker | grep daemon || true"), "");

    // With the folder there, inside, the link is followed inside.
    host.ok("mkdir -p /var/lib/docker/tree/etc/outside");
    seaworthy(&host, &format!("apply --yes {root}"), 0);
    says(&host.ok("cat /var/lib/docker/tree/etc/outside/daemon.json"), &["\"icc\": false"]);
    same(&before, &content(&host), "the host was reached through a link");
    seaworthy(&host, &format!("rollback --yes {root}"), 0);
    assert_eq!(host.ok("ls -A /var/lib/docker/tree/etc/outside"), "");
}
