//! An edit of daemon.json touches nothing but its key, reads as what was meant, and is made once.
//!
//! Input: the key, the value as JSON (nothing: the key is taken away), the file.

use seaworthy::plan::edit::daemon_json::{line_of, read, remove, set};
use serde_json::{Value, json};

use super::json::{Member, members};
use super::{keeps_line_ends, shared};

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((key, rest)) = text.split_once('\n') else { return };
    let (value, text) = rest.split_once('\n').unwrap_or((rest, ""));
    let value: Option<Value> = match value.trim() {
        "" => None,
        value => match serde_json::from_str(value) {
            Ok(value) => Some(value),
            Err(_) => return,
        },
    };
    edit(text, key, value.as_ref());
}

/// Makes one edit and holds it to everything; answers with the new text, where the file can be edited.
pub(super) fn edit(old: &str, key: &str, value: Option<&Value>) -> Option<String> {
    let apply = |text: &str| value.map_or_else(|| remove(text, key), |value| set(text, key, value));
    let before = match read(old) {
        Ok(before) => before,
        Err(error) => {
            let lines = old.split('\n').count();
            assert!((1..=lines).contains(&error.line) && error.column > 0, "{error} in {lines} lines of {old:?}");
            assert_eq!(apply(old), Err(error), "what cannot be read cannot be edited");
            return None;
        }
    };
    let body = old.strip_prefix('\u{feff}').unwrap_or(old);
    let plain: Value = if body.trim().is_empty() { json!({}) } else { serde_json::from_str(body).expect("JSON") };
    assert_eq!(plain, Value::Object(before.clone()));
    let mut wanted = before.clone();
    match value {
        Some(value) => drop(wanted.insert(key.to_owned(), value.clone())),
        None => drop(wanted.shift_remove(key)),
    }
    if read(&Value::Object(wanted.clone()).to_string()).as_ref() != Ok(&wanted) {
        // a value or a name that no daemon.json can hold next to the others
        assert!(apply(old).is_err());
        return None;
    }
    let new = apply(old).expect("a file that can be read can be edited");
    let after = read(&new).expect("the result can be read");
    assert_eq!(after, wanted, "{old:?} became {new:?}");
    assert!(after.keys().eq(wanted.keys()), "the order of {old:?} became that of {new:?}");
    assert_eq!(apply(&new).as_ref(), Ok(&new), "the second time changes nothing");
    untouched(old, &new, key, value);
    keeps_line_ends(old, &new);
    Some(new)
}

/// Every byte that is not the edit's stays.
fn untouched(old: &str, new: &str, key: &str, value: Option<&Value>) {
    let (olds, news) = (members(old), members(new));
    for member in &news {
        let line = new[..member.all.start].matches('\n').count() + 1;
        assert_eq!(line_of(new, &member.key), Some(line), "line of `{}` in {new:?}", member.key);
    }
    let member = olds.iter().find(|member| member.key == key);
    let is = |member: &Member, value: &Value| {
        serde_json::from_str::<Value>(&old[member.value.clone()]).ok().as_ref() == Some(value)
    };
    match (member, value) {
        (None, None) => assert_eq!(old, new),
        (Some(member), Some(value)) if is(member, value) => assert_eq!(old, new),
        (Some(member), Some(value)) => {
            let (head, tail) = (&old[..member.value.start], &old[member.value.end..]);
            assert!(new.starts_with(head) && new.ends_with(tail), "{old:?} became {new:?}");
            inside(&old[member.value.clone()], &new[head.len()..new.len() - tail.len()], value);
        }
        (Some(member), None) => {
            let (head, tail) = shared(old, new);
            assert_eq!(head + tail, new.len(), "{new:?} is {old:?} but for one gap");
            let cut = [&old[..member.all.start], &old[member.all.end..]].concat();
            let squeezed = |text: &str| text.replace([' ', '\t', '\r', '\n'], "");
            let (cut, rest) = (squeezed(&cut), squeezed(new));
            assert!(cut.len() - rest.len() <= 1, "{new:?} lacks more than the member and a comma of {old:?}");
        }
        (None, Some(_)) => match olds.last() {
            Some(last) => {
                let (head, tail) = old.split_at(last.all.end);
                assert!(new.starts_with(&format!("{head},")) && new.ends_with(tail), "{old:?} became {new:?}");
                let again = remove(new, key).expect("what was added can be taken away");
                assert_eq!(again, old, "taken away again");
            }
            None => assert_eq!(old.starts_with('\u{feff}'), new.starts_with('\u{feff}')),
        },
    }
}

/// Of an object only the members that differ are touched.
fn inside(old: &str, new: &str, value: &Value) {
    let (Some(value), true) = (value.as_object(), old.starts_with('{')) else { return };
    let news = members(new);
    for member in members(old) {
        let same = |now: &&Member| now.key == member.key;
        let (Some(wanted), Some(now)) = (value.get(&member.key), news.iter().find(same)) else { continue };
        let raw = &old[member.value.clone()];
        if serde_json::from_str::<Value>(raw).ok().as_ref() == Some(wanted) {
            assert_eq!(&old[member.all.clone()], &new[now.all.clone()], "a member that was as wanted");
        }
    }
}
