//! Containers that are changed while they run, by real dockerds: limits that were proposed or chosen, what a kill leaves,
//! and the way back.

use crate::hosts::{containers, runs, says, seaworthy, verdict};
use crate::machine::Machine;

const CHECKS: &str = "--check container.memory --check container.pids-limit --check container.cpu";
const ACCEPTED: &str = "--accept container.memory --accept container.pids-limit";

/// What the site chose, for one of them.
const CONFIG: &str = "[values.containers.web]\nmemory = \"256m\"\npids-limit = 300\ncpus = 0.5\n";

fn busy(host: Machine) -> Machine {
    host.ok("lab-image && docker run -d --name web --network none busybox:1 httpd -f -p 80");
    host.ok("docker run -d --name one --network none --restart always busybox:1 sleep 10000");
    host.ok("docker run -d --name two --network none --pids-limit 50 busybox:1 sleep 10000");
    host
}

/// What docker says of each, whole.
fn inspected(host: &Machine) -> String {
    host.ok("docker inspect web one two | jq -S '.[] | {Name, HostConfig, State}'")
}

/// The same, where docker cannot go all the way back: no limit of memory is one of 4 EiB then, no limit of processes is
/// 0 and not null, and no quota is -1 with its period.
fn as_before(host: &Machine, before: &str) {
    let now = host.ok("docker inspect web one two | jq -S '.[] | {Name, HostConfig, State} \
         | if .HostConfig.Memory == 4611686018427387904 and .HostConfig.MemorySwap == 9223372036854771712 \
           then .HostConfig.Memory = 0 | .HostConfig.MemorySwap = 0 else . end \
         | if .HostConfig.PidsLimit == 0 then .HostConfig.PidsLimit = null else . end \
         | if .HostConfig.CpuQuota == -1 then .HostConfig.CpuQuota = 0 | .HostConfig.CpuPeriod = 0 else . end'");
    crate::hosts::same(before, &now, "the rollback is not exact");
}

/// What the kernel holds a container to: memory, processes, processor time.
fn enforced(host: &Machine, name: &str) -> Vec<i64> {
    let line = format!(
        "pid=$(docker inspect -f '{{{{.State.Pid}}}}' {name}); \
         group() {{ awk -F: -v c=\"$1\" 'index(\",\" $2 \",\", \",\" c \",\") {{ print \"/sys/fs/cgroup/\" $2 $3 }}' /proc/$pid/cgroup; }}; \
         if [ -e /sys/fs/cgroup/cgroup.controllers ]; then g=/sys/fs/cgroup$(cut -d: -f3 /proc/$pid/cgroup); \
           cat $g/memory.max $g/pids.max; cut -d' ' -f1 $g/cpu.max; \
         else cat $(group memory)/memory.limit_in_bytes $(group pids)/pids.max $(group cpu)/cpu.cfs_quota_us; fi"
    );
    // No limit is `max`, -1, or more than any host has.
    let value = |word: &str| word.parse().ok().filter(|limit| (1..1 << 60).contains(limit)).unwrap_or(0);
    host.ok(&line).lines().map(value).collect()
}

fn limits_there_and_back(suite: &str) {
    let host = busy(Machine::host(suite));
    let (before, running) = (inspected(&host), containers(&host));
    // Where systemd keeps the groups, it limits processes by itself.
    let free = enforced(&host, "one");
    assert_eq!((free[0], free[2]), (0, 0));

    // Nobody chose a value: `--yes` alone limits nothing.
    let held = seaworthy(&host, &format!("apply --yes {CHECKS}"), 0);
    says(&held.stdout, &["nothing to do", "needs-value: one: 64 MiB proposed", "one: 64 proposed, web: 64 proposed"]);
    says(&held.stdout, &["container.cpu needs-value: one: `cpus` has to be chosen"]);
    assert_eq!(inspected(&host), before);
    let each =
        "seaworthy audit --format json --check container.memory 2>/dev/null | jq -c '.findings[].hazards[].evidence'";
    let own = ["one", "two", "web"].map(|name| format!("[\"{name}: 64 MiB proposed\"]"));
    assert_eq!(host.ok(each), own.join("\n"));

    // The site chose for one of them; the others are asked about.
    host.write_file("/etc/seaworthy/config.toml", CONFIG);
    let plan = seaworthy(&host, &format!("plan {CHECKS} --subject web"), 2);
    says(&plan.stdout, &["# run: docker update --memory 256m --memory-swap 256m web\n"]);
    seaworthy(&host, &format!("apply --yes {CHECKS} --subject web"), 0);
    assert_eq!(enforced(&host, "web"), [256 << 20, 300, 50_000]);
    assert_eq!(enforced(&host, "one"), free);
    let rest = seaworthy(&host, &format!("apply --yes {CHECKS} {ACCEPTED}"), 0);
    says(&rest.stdout, &["updated container one: memory 64 MiB (was unlimited)"]);
    assert_eq!((enforced(&host, "one"), enforced(&host, "two")), (vec![64 << 20, 64, 0], vec![64 << 20, 50, 0]));
    assert_eq!(verdict(&host, "container.memory"), "pass\npass\npass");
    says(&seaworthy(&host, &format!("apply --yes {CHECKS} {ACCEPTED}"), 0).stdout, &["nothing to do"]);
    assert_eq!(containers(&host), running);

    for run in runs(&host).iter().rev() {
        says(&seaworthy(&host, &format!("history {run}"), 0).stdout, &["committed, stands", "memory"]);
        says(&seaworthy(&host, &format!("rollback {run} --yes"), 0).stdout, &["memory unlimited (was"]);
    }
    assert_eq!((enforced(&host, "web"), enforced(&host, "two")), (vec![0, 0, 0], vec![0, 50, 0]));
    as_before(&host, &before);
    assert_eq!(verdict(&host, "container.memory"), "fail\nfail\nfail");

    // What was taken away stays away when the container starts anew.
    host.ok("docker restart -t 0 web one");
    assert_eq!((enforced(&host, "web"), enforced(&host, "one")), (vec![0, 0, 0], vec![0, 0, 0]));
}

/// Kills an apply while it updates containers; one that was done before is taken back and tried again.
fn killed(host: &Machine, apply: &str) {
    let once = format!(
        "rm -f /run/said; {apply} 2>/run/said & p=$!; \
         until grep -q '^update .* container' /run/said || ! kill -0 $p; do sleep 0.01; done; kill -9 $p; wait $p"
    );
    for _ in 0..20 {
        if host.sh(&once).status == 137 {
            return;
        }
        seaworthy(host, "rollback --yes", 0);
    }
    panic!("twenty applies were done before they could be killed");
}

fn what_comes_between(suite: &str) {
    let host = busy(Machine::host(suite));
    let before = inspected(&host);
    let checks = "--check container.memory --check container.pids-limit --check container.restart-policy";
    let accepted = format!("{ACCEPTED} --accept container.restart-policy");

    // Killed on the way: whoever comes next takes it back.
    let apply = format!("seaworthy apply --yes {checks} {accepted}");
    killed(&host, &apply);
    says(&host.ok("systemctl list-timers --no-legend 'seaworthy-*'"), &["seaworthy-"]);
    says(&seaworthy(&host, "audit --check container.memory", 2).stderr, &["did not finish"]);
    seaworthy(&host, "rollback --yes", 0);
    as_before(&host, &before);

    // A plan whose file says another limit than any plan would.
    seaworthy(&host, &format!("plan {checks} {accepted} --out /root/plan"), 2);
    host.ok("sed 's/67108864/6291456/g' /root/plan >/root/edited && cmp -s /root/plan /root/edited; test $? = 1");
    let edited = seaworthy(&host, "apply /root/edited --yes", 3);
    says(&edited.stderr, &["it was edited", "only in the plan file: update of container one: memory 6 MiB"]);

    // A plan of a container that was made anew since.
    host.ok("docker rm -f two && docker run -d --name two --network none busybox:1 sleep 10000");
    let refused = seaworthy(&host, "apply /root/plan --yes", 3);
    says(&refused.stderr, &["container two", "is gone, or was made anew", "host: unchanged"]);

    // What somebody changed since, and what is gone.
    let applied = seaworthy(&host, &format!("apply --yes {checks} {accepted}"), 0);
    says(&applied.stdout, &["updated container one: restart policy on-failure:5 (was always)"]);
    host.ok("docker update --pids-limit 77 web && docker rm -f two");
    let held = seaworthy(&host, "rollback --yes", 3);
    says(&held.stderr, &["container web: processes before unlimited, left by the run 64, now 77"]);
    let forced = seaworthy(&host, "rollback --yes --force", 0);
    says(&forced.stdout, &["container two is gone: memory cannot be set back"]);
    assert_eq!(host.ok("docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' one"), "always");
    assert_eq!((enforced(&host, "web"), enforced(&host, "one")), (vec![0, 0, 0], vec![0, 0, 0]));

    // One that does not run has taken nothing yet: the others are limited, and it stays open until somebody chooses.
    host.ok("docker create --name idle --network none busybox:1 sleep 1");
    let apply = "apply --yes --check container.memory --accept container.memory";
    let part = seaworthy(&host, apply, 0);
    says(&part.stdout, &["updated container one: memory 64 MiB", "updated container web: memory 64 MiB"]);
    says(&part.stderr, &["idle: `memory` has to be chosen", "findings that stay open: 1 fail"]);
    assert_eq!(verdict(&host, "container.memory"), "fail\npass\npass");
    let rest = seaworthy(&host, apply, 0);
    says(&rest.stdout, &["nothing to do", "`memory` under [values.containers.\"idle\"]"]);
    host.write_file("/etc/seaworthy/config.toml", "[values.containers.\"busybox:*\"]\nmemory = \"32m\"\n");
    seaworthy(&host, "apply --yes --check container.memory", 0);
    assert_eq!(host.ok("docker inspect -f '{{.HostConfig.Memory}}' idle"), "33554432");
}

#[test]
fn limits_there_and_back_on_bookworm() {
    limits_there_and_back("bookworm");
}

#[test]
fn limits_there_and_back_on_trixie() {
    limits_there_and_back("trixie");
}

#[test]
fn what_comes_between_a_change_and_its_way_back_on_bookworm() {
    what_comes_between("bookworm");
}

#[test]
fn what_comes_between_a_change_and_its_way_back_on_trixie() {
    what_comes_between("trixie");
}
