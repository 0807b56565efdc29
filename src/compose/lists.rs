//! Edits of lists: security options, capabilities, devices.

use super::place::Place;
use super::step::{New, Step};
use super::text::{is_interpolated, split, truth};
use super::{Confinement, EditError};

/// The engine reads `=` and, as it did at first, `:`; an option without a value is true.
fn option(text: &str) -> (&str, Option<&str>) {
    text.find(['=', ':']).map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

/// The options of one name in `security_opt`, with their values.
fn options<'t>(list: &Place<'t>, name: &str) -> Result<Vec<(Place<'t>, Option<&'t str>)>, EditError> {
    let mut found = Vec::new();
    for place in list.items()? {
        let Some(text) = place.text()? else { continue };
        let (own, value) = option(text);
        let ours = own == name && (value.is_none() || !is_interpolated(text));
        if !ours && is_interpolated(text) && (own == name || is_interpolated(own)) {
            return Err(place.refuse_variable(text));
        }
        if ours {
            found.push((place, value));
        }
    }
    Ok(found)
}

pub(super) fn no_new_privileges(service: &Place<'_>) -> Result<Vec<Step>, EditError> {
    const WANTED: &str = "no-new-privileges:true";
    let list = service.get("security_opt");
    let found = options(&list, "no-new-privileges")?;
    let is_on = |value: Option<&str>| value.is_none_or(|value| value == "1" || truth(value) == Some(true));
    let on = found.iter().any(|(_, value)| is_on(*value));
    let mut off: Vec<Place<'_>> =
        found.into_iter().filter(|(_, value)| !is_on(*value)).map(|(place, _)| place).collect();
    // One of the entries says it, and none the contrary: of two the last one would count, and compose takes no two.
    let mut steps = Vec::new();
    match off.first() {
        None | Some(_) if on => {}
        None => return list.append(vec![New::quoted(WANTED)]),
        Some(first) => {
            steps.push(first.put(New::instead_of(first.node(), WANTED))?);
            off.remove(0);
        }
    }
    steps.extend(list.cut_items(&off)?);
    Ok(steps)
}

pub(super) fn confine(service: &Place<'_>, confinement: Confinement) -> Result<Vec<Step>, EditError> {
    let (name, off) = match confinement {
        Confinement::Apparmor => ("apparmor", "unconfined"),
        Confinement::Seccomp => ("seccomp", "unconfined"),
        Confinement::Label => ("label", "disable"),
    };
    let list = service.get("security_opt");
    let found = options(&list, name)?.into_iter().filter(|(_, value)| *value == Some(off));
    list.cut_items(&found.map(|(place, _)| place).collect::<Vec<_>>())
}

/// A capability's name as the engine compares it.
fn capability(text: &str) -> String {
    let name = text.to_ascii_uppercase();
    name.strip_prefix("CAP_").map(ToOwned::to_owned).unwrap_or(name)
}

fn known(names: &[String]) -> Result<Vec<String>, EditError> {
    let name = |text: &String| {
        let name = capability(text);
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        fits.then_some(name).ok_or_else(|| EditError::new(0, format!("`{text}` is no capability")))
    };
    names.iter().map(name).collect()
}

/// The capabilities that a list names, each with its place.
fn capabilities<'t>(list: &Place<'t>) -> Result<Vec<(Place<'t>, String)>, EditError> {
    let mut found = Vec::new();
    for place in list.items()? {
        if let Some(text) = place.literal()? {
            found.push((place, capability(text)));
        }
    }
    Ok(found)
}

pub(super) fn drop_capabilities(service: &Place<'_>, keep: &[String]) -> Result<Vec<Step>, EditError> {
    let (dropped, added) = (service.get("cap_drop"), service.get("cap_add"));
    let there = capabilities(&added)?;
    if let Some((all, _)) = there.iter().find(|(_, name)| name == "ALL") {
        return Err(all.refuse("`cap_add` gives ALL: what it needs has to be chosen by hand"));
    }
    let mut steps = Vec::new();
    if !capabilities(&dropped)?.iter().any(|(_, name)| name == "ALL") {
        steps.extend(dropped.append(vec![New::quoted("ALL")])?);
    }
    let mut missing: Vec<String> = Vec::new();
    for name in known(keep)? {
        if name != "ALL" && !there.iter().any(|(_, other)| *other == name) && !missing.contains(&name) {
            missing.push(name);
        }
    }
    steps.extend(added.append(missing.into_iter().map(New::quoted).collect())?);
    Ok(steps)
}

pub(super) fn drop_these(service: &Place<'_>, names: &[String]) -> Result<Vec<Step>, EditError> {
    let list = service.get("cap_drop");
    let there = capabilities(&list)?;
    if there.iter().any(|(_, name)| name == "ALL") {
        return Ok(Vec::new());
    }
    let mut missing: Vec<String> = Vec::new();
    for name in known(names)? {
        if !there.iter().any(|(_, other)| *other == name) && !missing.contains(&name) {
            missing.push(name);
        }
    }
    list.append(missing.into_iter().map(New::quoted).collect())
}

pub(super) fn remove_capabilities(service: &Place<'_>, names: &[String]) -> Result<Vec<Step>, EditError> {
    let names = known(names)?;
    let list = service.get("cap_add");
    let there = capabilities(&list)?;
    let all = there.iter().find(|(_, name)| name == "ALL" && !names.contains(name));
    if let Some((place, _)) = all.filter(|_| !names.is_empty()) {
        return Err(place.refuse("`cap_add` gives ALL, and these with it: what it needs has to be chosen by hand"));
    }
    let found: Vec<_> = there.into_iter().filter(|(_, name)| names.contains(name)).map(|(place, _)| place).collect();
    list.cut_items(&found)
}

pub(super) fn remove_device(service: &Place<'_>, path: &str) -> Result<Vec<Step>, EditError> {
    let list = service.get("devices");
    let mut found = Vec::new();
    for place in list.items()? {
        let source = match place.node() {
            Some(node) if node.text().is_none() => place.get("source").text()?,
            _ => place.text()?,
        };
        let Some(source) = source else { continue };
        // `HOST[:CONTAINER[:rwm]]`; a device of CDI has a name with `=` and no colon.
        let host = split(source, ':')[0];
        if host == path {
            found.push(place);
        } else if is_interpolated(host) {
            return Err(place.refuse_variable(source));
        }
    }
    list.cut_items(&found)
}
