//! An edit of a flag where an admin wrote it: no line but those of its assignment changes, the flag has the value, and
//! the second time nothing changes.
//!
//! Input: the key of daemon.json, the value (empty: the flag is taken away), the line, the file.

use seaworthy::facts::keys::{self, Shape};
use seaworthy::plan::edit::flags::edit_file;

use super::shared;

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(4, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let Some(key) = keys::find(next()) else { return };
    let value = Some(next()).filter(|value| !value.is_empty());
    let Ok(line) = next().parse() else { return };
    let old = next();
    let boolean = key.shape == Shape::Bool;
    let Some(new) = edit_file(old, line, key.flags, boolean, value) else { return };
    let (head, tail) = shared(old, &new);
    let first = old[..ceil(old, head)].matches('\n').count();
    let last = old.matches('\n').count() - old[ceil(old, old.len() - tail)..].matches('\n').count();
    for at in first..last {
        let line = old.lines().nth(at).unwrap_or_default();
        let more = line.ends_with('\\') || line.trim_start().starts_with(['#', ';']) || old.contains(['"', '\'']);
        assert!(more, "more than one assignment changed: {old:?} became {new:?}");
    }
    let Some(value) = value else {
        let mut left = old.chars();
        assert!(new.chars().all(|c| left.any(|kept| kept == c)), "{new:?} is not {old:?} with something cut out");
        return;
    };
    // A value of several lines that became one may have left the line behind.
    if old.matches('\n').count() == new.matches('\n').count() {
        let again = edit_file(&new, line, key.flags, boolean, Some(value));
        assert_eq!(again.as_ref(), Some(&new), "the second time changes nothing");
    }
    assert!(new.contains(value), "{old:?} became {new:?}");
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
