//! What is to be done for an edit, from what is there.

use super::place::Place;
use super::step::{New, Step};
use super::text::{escaped, is_interpolated};
use super::{EditError, Healthcheck, HostKey, ServiceEdit, limits, lists, mounts, ports};

/// The steps of an edit; none where it is so already.
pub(super) fn steps(service: &Place<'_>, edit: &ServiceEdit) -> Result<Vec<Step>, EditError> {
    match edit {
        ServiceEdit::NoNewPrivileges => lists::no_new_privileges(service),
        ServiceEdit::Confine(confinement) => lists::confine(service, *confinement),
        ServiceEdit::DropCapabilities { keep } => lists::drop_capabilities(service, keep),
        ServiceEdit::DropThese(names) => lists::drop_these(service, names),
        ServiceEdit::RemoveCapabilities(names) => lists::remove_capabilities(service, names),
        ServiceEdit::RemoveDevice(path) => lists::remove_device(service, path),
        ServiceEdit::ReadOnlyRoot { tmpfs } => read_only_root(service, tmpfs),
        ServiceEdit::User(user) => self::user(service, user),
        ServiceEdit::PidsLimit(pids) => limits::pids(service, *pids),
        ServiceEdit::MemoryLimit(bytes) => limits::memory(service, *bytes),
        ServiceEdit::Cpus(cpus) => limits::cpus(service, *cpus),
        ServiceEdit::CpuShares(shares) => limits::cpu_shares(service, *shares),
        ServiceEdit::RestartOnFailure(retries) => restart(service, *retries),
        ServiceEdit::BindPorts(address) => ports::bind(service, *address),
        ServiceEdit::ReadOnlyMount(target) => mounts::read_only(service, target),
        ServiceEdit::PrivateMount(target) => mounts::private(service, target),
        ServiceEdit::Healthcheck(check) => healthcheck(service, check),
        ServiceEdit::Remove(key) => remove(service, *key),
    }
}

fn remove(service: &Place<'_>, key: HostKey) -> Result<Vec<Step>, EditError> {
    let (name, value) = match key {
        HostKey::Privileged => ("privileged", None),
        HostKey::HostNetwork => ("network_mode", Some("host")),
        HostKey::BridgeNetwork => ("network_mode", Some("bridge")),
        HostKey::Pid => ("pid", Some("host")),
        HostKey::Ipc => ("ipc", Some("host")),
        HostKey::Uts => ("uts", Some("host")),
        HostKey::Userns => ("userns_mode", Some("host")),
        HostKey::CgroupParent => ("cgroup_parent", None),
    };
    let place = service.get(name);
    let opens = match value {
        None if key == HostKey::Privileged => place.truth()? == Some(true),
        None => place.text()?.is_some(),
        Some(value) => place.literal()? == Some(value),
    };
    Ok(if opens { vec![place.cut()?] } else { Vec::new() })
}

fn read_only_root(service: &Place<'_>, tmpfs: &[String]) -> Result<Vec<Step>, EditError> {
    let place = service.get("read_only");
    let mut steps = Vec::new();
    if place.truth()? != Some(true) {
        steps.push(place.put(New::Bare("true".into()))?);
    }
    let place = service.get("tmpfs");
    let single = place.node().and_then(|node| node.text());
    let mut there: Vec<String> = if let Some(path) = single {
        vec![path.to_owned()]
    } else {
        let texts: Result<Vec<_>, _> = place.items()?.iter().map(Place::text).collect();
        texts?.into_iter().flatten().map(ToOwned::to_owned).collect()
    };
    there.extend(mounts::targets(service)?);
    let is_there = |path: &str| there.iter().any(|other| mounts::same_path(other, path));
    let mut missing: Vec<&String> = Vec::new();
    for path in tmpfs {
        if !path.starts_with('/') || path.chars().any(|c| c.is_control() || c == '$') {
            return Err(EditError::new(0, format!("`{path}` is no absolute path for tmpfs")));
        }
        if !is_there(path) && !missing.iter().any(|other| mounts::same_path(other, path)) {
            missing.push(path);
        }
    }
    let new: Vec<New> = missing.into_iter().map(New::quoted).collect();
    match single {
        Some(_) if new.is_empty() => {}
        // One path alone may stand without a list; two may not.
        Some(path) => {
            let all = [New::instead_of(place.node(), path)].into_iter().chain(new).collect();
            steps.push(place.put(New::List(all))?);
        }
        None => steps.extend(place.append(new)?),
    }
    Ok(steps)
}

fn user(service: &Place<'_>, user: &str) -> Result<Vec<Step>, EditError> {
    let number = |id: &str| !id.is_empty() && id.len() <= 10 && id.bytes().all(|byte| byte.is_ascii_digit());
    if !user.splitn(2, ':').all(number) {
        return Err(EditError::new(0, format!("`{user}` is neither UID nor UID:GID")));
    }
    let place = service.get("user");
    if place.literal()? == Some(user) {
        return Ok(Vec::new());
    }
    // In quotes: `10:20` is a number to readers of YAML 1.1.
    Ok(vec![place.put(New::quoted(user))?])
}

fn restart(service: &Place<'_>, retries: u32) -> Result<Vec<Step>, EditError> {
    if retries == 0 {
        return Err(EditError::new(0, "a restart policy with 0 retries has no limit"));
    }
    let place = service.get("restart");
    let count = |policy: &str| policy.strip_prefix("on-failure:").and_then(|count| count.parse::<u32>().ok());
    if place.literal()?.and_then(count).is_some_and(|count| (1..=retries).contains(&count)) {
        return Ok(Vec::new());
    }
    let deploy = service.get("deploy").get("restart_policy");
    if deploy.node().is_some() {
        return Err(deploy.refuse("`deploy.restart_policy` says when it restarts: it has to be changed by hand"));
    }
    Ok(vec![place.put(New::instead_of(place.node(), format!("on-failure:{retries}")))?])
}

fn healthcheck(service: &Place<'_>, check: &Healthcheck) -> Result<Vec<Step>, EditError> {
    let shaped = match check.test.first().map(String::as_str) {
        Some("CMD") => check.test.len() > 1,
        Some("CMD-SHELL") => check.test.len() == 2,
        _ => false,
    };
    if !shaped {
        return Err(EditError::new(0, "a health check's test is CMD and a program, or CMD-SHELL and one line"));
    }
    let test = check.test.iter().map(|word| New::quoted(escaped(word))).collect();
    let mut entries = vec![("test", New::List(test))];
    let durations = [("interval", &check.interval), ("timeout", &check.timeout), ("start_period", &check.start_period)];
    for (key, duration) in durations {
        let Some(duration) = duration else { continue };
        if !is_duration(duration) {
            return Err(EditError::new(0, format!("`{duration}` is no duration such as 30s or 1m30s")));
        }
        entries.push((key, New::quoted(duration)));
    }
    if let Some(retries) = check.retries {
        entries.push(("retries", New::Bare(retries.to_string())));
    }
    let place = service.get("healthcheck");
    if place.node().is_none() {
        return Ok(vec![place.put(New::Map(entries))?]);
    }
    let same = |(key, value): &(&str, New)| place.get(key).node().is_some_and(|there| there.same(&value.node()));
    if entries.iter().all(same) {
        return Ok(Vec::new());
    }
    let disabled = place.get("disable").truth()? == Some(true);
    Err(place.refuse(if disabled {
        "`healthcheck` is switched off here: it has to be changed by hand"
    } else {
        "there is a `healthcheck` already: it has to be changed by hand"
    }))
}

/// Numbers with units, without blanks, such as `1m30s`.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let Some(name) = ["us", "ms", "s", "m", "h"].iter().find(|name| unit.starts_with(**name)) else { return false };
        if unit.len() == rest.len() {
            return false;
        }
        rest = &unit[name.len()..];
    }
    !text.is_empty() && !is_interpolated(text)
}
