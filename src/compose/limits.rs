//! Limits of memory, processes and processor time: at the service, or where `deploy` gives them.

use super::EditError;
use super::place::Place;
use super::step::{New, Step};
use super::text::{bytes, size};

/// The engine refuses less memory.
const LEAST_MEMORY: u64 = 6 << 20;

/// Sets a limit where limits are given: compose refuses keys at the service that `deploy.resources.limits` does not
/// say as well, also while those lack the key.
fn limit(
    service: &Place<'_>,
    [key, deployed]: [&str; 2],
    is_so: impl Fn(&str) -> bool,
    new: impl Fn(&Place<'_>, bool) -> New,
) -> Result<Vec<Step>, EditError> {
    let limits = service.get("deploy").get("resources").get("limits");
    let (own, deploy) = (service.get(key), limits.get(deployed));
    let there: Vec<&str> = [own.literal()?, deploy.literal()?].into_iter().flatten().collect();
    if !there.is_empty() && there.iter().all(|text| is_so(text)) {
        return Ok(Vec::new());
    }
    if own.node().is_some() && limits.node().is_some() {
        let message = format!("`{key}` stands here, and there is `deploy.resources.limits` too: one has to go first");
        return Err(own.refuse(message));
    }
    let place = if limits.node().is_some() { deploy } else { own };
    Ok(vec![place.put(new(&place, limits.node().is_some()))?])
}

pub(super) fn pids(service: &Place<'_>, pids: u32) -> Result<Vec<Step>, EditError> {
    if pids == 0 {
        return Err(EditError::new(0, "0 processes are no limit"));
    }
    let wanted = pids.to_string();
    limit(service, ["pids_limit", "pids"], |there| there == wanted, |_, _| New::Bare(wanted.clone()))
}

pub(super) fn memory(service: &Place<'_>, limit_bytes: u64) -> Result<Vec<Step>, EditError> {
    if limit_bytes < LEAST_MEMORY {
        return Err(EditError::new(0, "the engine takes no memory limit below 6m"));
    }
    let is_so = |there: &str| bytes(there) == Some(limit_bytes);
    let new = |place: &Place<'_>, _| New::instead_of(place.node(), size(limit_bytes));
    let steps = limit(service, ["mem_limit", "memory"], is_so, new)?;
    if !steps.is_empty() {
        fits(service, limit_bytes)?;
    }
    Ok(steps)
}

/// The engine starts no container whose limit is below what it reserves, or above memory and swap together.
fn fits(service: &Place<'_>, limit: u64) -> Result<(), EditError> {
    let reserved = service.get("deploy").get("resources").get("reservations").get("memory");
    let checks = [
        (service.get("mem_reservation"), true, "reserves more than the limit"),
        (reserved, true, "reserves more than the limit"),
        (service.get("memswap_limit"), false, "is below the limit"),
    ];
    for (place, below, why) in checks {
        let Some(text) = place.literal()? else { continue };
        if !below && matches!(text, "-1" | "0") {
            continue;
        }
        match bytes(text) {
            Some(there) if there == limit || (there < limit) == below => {}
            Some(_) => return Err(place.refuse(format!("`{text}` {why} of {}", size(limit)))),
            None => return Err(place.refuse(format!("`{text}` is no size"))),
        }
    }
    Ok(())
}

pub(super) fn cpus(service: &Place<'_>, cpus: f64) -> Result<Vec<Step>, EditError> {
    if !(0.01..=4096.0).contains(&cpus) {
        return Err(EditError::new(0, format!("{cpus} is no number of processors")));
    }
    let wanted = cpus.to_string();
    let is_so = |there: &str| there.parse::<f64>().is_ok_and(|there| there.to_string() == wanted);
    // The schema of `deploy` wants a text.
    let new = |place: &Place<'_>, deployed| {
        if deployed { New::instead_of(place.node(), &wanted) } else { New::Bare(wanted.clone()) }
    };
    let steps = limit(service, ["cpus", "cpus"], is_so, new)?;
    let quota = ["cpu_quota", "cpu_period"].map(|key| service.get(key));
    match quota.iter().find(|place| place.node().is_some()) {
        Some(place) if !steps.is_empty() => {
            Err(place.refuse("the engine takes `cpus` or quota and period, not both: one has to go first"))
        }
        _ => Ok(steps),
    }
}

pub(super) fn cpu_shares(service: &Place<'_>, shares: u32) -> Result<Vec<Step>, EditError> {
    if !(2..=262_144).contains(&shares) {
        return Err(EditError::new(0, "shares of the processors are from 2 to 262144"));
    }
    let wanted = shares.to_string();
    let place = service.get("cpu_shares");
    if place.literal()? == Some(&wanted) {
        return Ok(Vec::new());
    }
    Ok(vec![place.put(New::Bare(wanted))?])
}
