//! An edit of a compose file changes its own keys of one service and nothing else, and is made once.
//!
//! Input: the service, the edit as JSON, the file.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use seaworthy::plan::edit::compose::{HostKey, ServiceEdit, edit, service_value};
use serde_json::{Map, Value};

use super::{keeps_line_ends, shared};

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((service, rest)) = text.split_once('\n') else { return };
    let (one, old) = rest.split_once('\n').unwrap_or((rest, ""));
    let Ok(one) = serde_json::from_str::<ServiceEdit>(one) else { return };
    let new = match edit(old, service, &one) {
        Ok(new) => new,
        Err(error) => {
            assert!(error.line <= old.split(['\n', '\r']).count(), "{error} in {old:?}");
            assert!(!error.message.contains("bug"), "{error} in {old:?}");
            return;
        }
    };
    let before = load(old).expect("what is edited can be read");
    let after = load(&new).unwrap_or_else(|| panic!("{old:?} became {new:?}"));
    assert_eq!(edit(&new, service, &one).as_ref(), Ok(&new), "the second time changes nothing");
    assert_eq!(old.starts_with('\u{feff}'), new.starts_with('\u{feff}'));
    let keys = keys(&one);
    assert_eq!(without(before, service, keys), without(after, service, keys), "{old:?} became {new:?}");
    for key in keys.iter().filter(|_| matches!(one, ServiceEdit::Remove(_))) {
        let (there, now) = (service_value(old, service, key), service_value(&new, service, key));
        assert!(now == there || now == Ok(None), "{old:?} became {new:?}");
    }
    if matches!(one, ServiceEdit::Remove(_)) {
        let (head, tail) = shared(old, &new);
        assert!(head + tail >= new.len(), "{new:?} is not {old:?} but for one gap");
    }
    keeps_line_ends(old, &new);
}

/// The keys of a service that an edit may touch.
fn keys(edit: &ServiceEdit) -> &'static [&'static str] {
    match edit {
        ServiceEdit::NoNewPrivileges | ServiceEdit::Confine(_) => &["security_opt"],
        ServiceEdit::DropCapabilities { .. } => &["cap_drop", "cap_add"],
        ServiceEdit::RemoveCapabilities(_) => &["cap_add"],
        ServiceEdit::ReadOnlyRoot { .. } => &["read_only", "tmpfs"],
        ServiceEdit::User(_) => &["user"],
        ServiceEdit::PidsLimit(_) => &["pids_limit", "deploy"],
        ServiceEdit::MemoryLimit(_) => &["mem_limit", "deploy"],
        ServiceEdit::Cpus(_) => &["cpus", "deploy"],
        ServiceEdit::CpuShares(_) => &["cpu_shares"],
        ServiceEdit::RestartOnFailure(_) => &["restart"],
        ServiceEdit::BindPorts(_) => &["ports"],
        ServiceEdit::ReadOnlyMount(_) | ServiceEdit::PrivateMount(_) => &["volumes"],
        ServiceEdit::Healthcheck(_) => &["healthcheck"],
        ServiceEdit::RemoveDevice(_) => &["devices"],
        ServiceEdit::Remove(HostKey::Privileged) => &["privileged"],
        ServiceEdit::Remove(HostKey::HostNetwork | HostKey::BridgeNetwork) => &["network_mode"],
        ServiceEdit::Remove(HostKey::Pid) => &["pid"],
        ServiceEdit::Remove(HostKey::Ipc) => &["ipc"],
        ServiceEdit::Remove(HostKey::Uts) => &["uts"],
        ServiceEdit::Remove(HostKey::Userns) => &["userns_mode"],
        ServiceEdit::Remove(HostKey::CgroupParent) => &["cgroup_parent"],
    }
}

/// The document but for these keys, as text: the order counts.
fn without(mut document: Value, service: &str, keys: &[&str]) -> String {
    let service = document.get_mut("services").and_then(|services| services.get_mut(service));
    let service = service.and_then(Value::as_object_mut).expect("an edited service is a mapping");
    for key in keys {
        service.shift_remove(*key);
    }
    document.to_string()
}

/// A plain reading, aliases written out; a text says whether it stood in quotes, and all have their tags.
fn load(text: &str) -> Option<Value> {
    let mut events = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text))
        .map(|next| next.map(|(event, _)| event).ok());
    let mut anchors = HashMap::new();
    loop {
        match events.next()?? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            event => return node(event, &mut events, &mut anchors),
        }
    }
}

fn node<'t>(
    event: Event<'t>,
    events: &mut impl Iterator<Item = Option<Event<'t>>>,
    anchors: &mut HashMap<usize, Value>,
) -> Option<Value> {
    let (value, anchor, tag) = match event {
        Event::Alias(id) => return anchors.get(&id).cloned(),
        Event::Scalar(text, style, anchor, tag) => {
            let quoted = style != ScalarStyle::Plain;
            (Value::from(format!("{text}{}", if quoted { "''" } else { "" })), anchor, tag)
        }
        Event::SequenceStart(_, anchor, tag) => {
            let mut items = Vec::new();
            loop {
                match events.next()?? {
                    Event::SequenceEnd => break,
                    event => items.push(node(event, events, anchors)?),
                }
            }
            (Value::from(items), anchor, tag)
        }
        Event::MappingStart(_, anchor, tag) => {
            let mut map = Map::new();
            loop {
                let key = match events.next()?? {
                    Event::MappingEnd => break,
                    Event::Scalar(text, ..) => text.into_owned(),
                    _ => return None,
                };
                let event = events.next()??;
                map.insert(key, node(event, events, anchors)?);
            }
            (Value::from(map), anchor, tag)
        }
        _ => return None,
    };
    let value = match tag {
        Some(tag) if !value.is_object() => Value::from(vec![Value::from(tag.to_string()), value]),
        _ => value,
    };
    if anchor != 0 {
        anchors.insert(anchor, value.clone());
    }
    Some(value)
}
