//! An edit of /etc/environment gives one variable its value, and every other one keeps its own, as `pam_env` reads them.
//!
//! Input: the name, the value, the file.

use std::collections::BTreeMap;

use seaworthy::facts::environment_file::get;
use seaworthy::plan::edit::environment::set;

use super::{keeps_line_ends, shared};

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((name, rest)) = text.split_once('\n') else { return };
    let (value, old) = rest.split_once('\n').unwrap_or((rest, ""));
    let Ok(new) = set(old, name, value) else { return };
    assert_eq!(get(&new, name).map(|(value, _)| value).as_deref(), Some(value), "{old:?} became {new:?}");
    assert_eq!(set(&new, name, value).as_ref().ok(), Some(&new), "the second time changes nothing");
    let (Some(before), Some(mut after)) = (pam_env(old), pam_env(&new)) else { return };
    assert_eq!(after.insert(name.to_owned(), value.to_owned()).as_deref(), Some(value), "{old:?} became {new:?}");
    let mut wanted = before;
    wanted.insert(name.to_owned(), value.to_owned());
    assert_eq!(after, wanted, "{old:?} became {new:?}");
    let (head, tail) = shared(old, &new);
    // A replaced value may share bytes with the new one; what is gone lies in one line.
    let gone = &old[floor(old, head)..old.len() - tail.min(old.len() - floor(old, head))];
    assert!(!gone.contains('\n'), "{gone:?} is gone from {old:?}");
    if get(old, name).is_none() {
        assert!(new.starts_with(old), "{old:?} became {new:?}");
    }
    keeps_line_ends(old, &new);
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What `pam_env` 1.5.2 makes of the file (`_assemble_line`, `_parse_env_file`): a line that ends in a backslash goes
/// on in the next that is neither blank nor a comment, `#` ends a line, quotes around a value are taken off, the last
/// one wins. Blanks at the end of a value are left out here.
fn pam_env(text: &str) -> Option<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    let mut joined = String::new();
    for line in text.split('\n') {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bare = line.split('#').next().unwrap_or_default();
        match bare.trim_end_matches([' ', '\t']).strip_suffix('\\') {
            Some(more) if bare.len() == line.len() => {
                joined += more;
                if !joined.contains('=') {
                    // a name in two lines: nobody writes that, and nobody here reads it
                    return None;
                }
                continue;
            }
            _ => joined += bare,
        }
        let line = std::mem::take(&mut joined);
        let line = line.strip_prefix("export ").unwrap_or(&line);
        let Some((name, value)) = line.split_once('=') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let value = value.trim_end();
        let value = value.strip_prefix(['"', '\'']).map_or(value, |v| v.strip_suffix(['"', '\'']).unwrap_or(v));
        variables.insert(name.to_owned(), value.to_owned());
    }
    Some(variables)
}
