//! An edit of a compose file touches one service's key, is made once, and what it makes can be read.
//!
//! Input: the service, the edit as JSON, the file.

use seaworthy::compose::{Document, Service, ServiceEdit, edit};
use serde_json::Value;

use super::keeps_line_ends;

/// Keys that people write, beside those that are edited.
const KEYS: [&str; 16] = [
    "build",
    "cap_add",
    "cap_drop",
    "command",
    "depends_on",
    "deploy",
    "devices",
    "environment",
    "healthcheck",
    "image",
    "labels",
    "networks",
    "ports",
    "privileged",
    "security_opt",
    "volumes",
];

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, '\n');
    let (Some(name), Some(one), Some(old)) = (parts.next(), parts.next(), parts.next()) else { return };
    let Ok(one) = serde_json::from_str::<ServiceEdit>(one) else { return };
    let new = match edit(old, name, &one) {
        Ok(new) => new,
        Err(error) => {
            assert!(error.line <= old.lines().count().max(1), "{error} in {old:?}");
            assert!(!error.message.contains("bug"), "{error} in {old:?}");
            return;
        }
    };
    assert_eq!(edit(&new, name, &one).as_ref(), Ok(&new), "the second time changes nothing");
    let (before, after) = (Document::read(old).expect("it was read"), Document::read(&new).expect("it can be read"));
    assert_eq!(before.names(), after.names(), "{old:?} became {new:?}");
    let service = after.service(name).expect("it is still there");
    assert_eq!(service.is_so(&one), Ok(true), "{old:?} became {new:?}");
    for other in before.names() {
        let (Ok(then), Ok(now)) = (before.service(&other), after.service(&other)) else { continue };
        let own = if other == name { one.keys() } else { &[] };
        for key in KEYS.iter().filter(|key| !own.contains(key)) {
            let value = |service: &Service<'_>| -> Option<Value> { service.value(key) };
            assert_eq!(value(&then), value(&now), "`{key}` of `{other}`: {old:?} became {new:?}");
        }
    }
    // What it writes stands inside the service: the file begins as it began.
    let head = old.find(name).map_or("", |at| &old[..at]);
    assert!(new.starts_with(head), "{old:?} became {new:?}");
    keeps_line_ends(old, &new);
}
