//! What a container can take from the others.

use super::{Outcome, Seen};
use crate::audit::finding::Verdict;

/// What the kernel takes where no share is given, so that giving it changes nothing.
const DEFAULT_SHARES: i64 = 1024;
/// How often the benchmark lets a container that fails be started again.
const RETRIES: i64 = 5;

pub(super) fn memory(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let limit = seen.container.confinement.memory;
    let outcome = outcome.expected("a limit").source("HostConfig.Memory");
    if limit > 0 { outcome.actual(format!("{limit} bytes")) } else { outcome.fails("no limit") }
}

pub(super) fn pids(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let limit = seen.container.confinement.pids;
    let outcome = outcome.expected("a limit").source("HostConfig.PidsLimit");
    if limit > 0 { outcome.actual(limit.to_string()) } else { outcome.fails("no limit") }
}

/// Any one will do: the two forms of a limit, a share of its own, or processors that it has to keep to.
pub(super) fn cpu(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let own = &seen.container.confinement;
    let outcome = outcome.expected("a limit, or a share of its own");
    if own.nano_cpus > 0 {
        let (whole, part) = (own.nano_cpus / 1_000_000_000, own.nano_cpus % 1_000_000_000);
        let fraction = format!("{part:09}");
        let cpus = format!("{whole}.{fraction}");
        let cpus = cpus.trim_end_matches('0').trim_end_matches('.');
        return outcome.actual(format!("{cpus} processors")).source("HostConfig.NanoCpus");
    }
    if own.cpu_quota > 0 {
        return outcome.actual(format!("{} µs in each period", own.cpu_quota)).source("HostConfig.CpuQuota");
    }
    if ![0, DEFAULT_SHARES].contains(&own.cpu_shares) {
        return outcome.actual(format!("share {}", own.cpu_shares)).source("HostConfig.CpuShares");
    }
    if !own.cpuset.is_empty() {
        let outcome = outcome.source("HostConfig.CpusetCpus");
        let all = seen.facts.daemon.info.as_ref().ok().and_then(|info| info["NCPU"].as_u64());
        return match (processors(&own.cpuset), all) {
            (Some(some), Some(all)) if some >= all => outcome.fails(format!("all {all} processors")),
            _ => outcome.actual(format!("processors {}", own.cpuset)),
        };
    }
    outcome.fails("no limit").source("HostConfig.NanoCpus, CpuQuota, CpuShares, CpusetCpus")
}

/// How many a list such as `0-2,4` names.
fn processors(list: &str) -> Option<u64> {
    let one = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').map(one).sum()
}

pub(super) fn cgroup_parent(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let parent = seen.container.confinement.cgroup_parent.as_str();
    let outcome = outcome.expected("the daemon's").source("HostConfig.CgroupParent");
    if parent.is_empty() { outcome.actual("the daemon's") } else { outcome.fails(parent) }
}

pub(super) fn restart(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let container = seen.container;
    let outcome = outcome.expected(format!("none, or on-failure with at most {RETRIES} retries"));
    if let Some(service) = container.labels.get("com.docker.swarm.service.name") {
        let actual = format!("by its service {service}: docker service inspect tells");
        return outcome.verdict(Verdict::Manual).actual(actual).source("com.docker.swarm.service.name");
    }
    let outcome = outcome.source("HostConfig.RestartPolicy");
    match (container.restart.as_str(), container.restart_count) {
        ("" | "no", _) => outcome.actual("none"),
        ("on-failure", retries @ 1..=RETRIES) => outcome.actual(format!("on-failure, {retries} retries")),
        ("on-failure", retries @ 1..) => outcome.fails(format!("on-failure, {retries} retries")),
        ("on-failure", _) => outcome.fails("on-failure, without end"),
        (policy, _) => outcome.fails(policy),
    }
}

/// Inspection shows the daemon's defaults among a container's own.
pub(super) fn ulimits(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let defaults = match seen.facts.daemon.setting("default-ulimits").next {
        Ok(defaults) => defaults,
        Err(why) => return outcome.not_known(&why),
    };
    let by_default = |limit: &&String| {
        let name = limit.split('=').next().unwrap_or_default();
        let (soft, hard) = (&defaults[name]["Soft"], &defaults[name]["Hard"]);
        **limit == format!("{name}={soft}:{hard}")
    };
    let own: Vec<&str> =
        seen.container.confinement.ulimits.iter().filter(|limit| !by_default(limit)).map(String::as_str).collect();
    let outcome = outcome.source("HostConfig.Ulimits");
    if own.is_empty() {
        return outcome.verdict(Verdict::Manual).actual("the daemon's: a person says whether they fit");
    }
    outcome.expected("limits of its own, where it needs them").actual(own.join(", "))
}
