//! Our drop-in for docker.socket says what was wanted, as systemd reads it, and all else that is in it stays.
//!
//! Input: owner, group, mode in octal, one a line, `-` for none; the file.

use seaworthy::plan::edit::drop_in::{Socket, socket};

use super::keeps_line_ends;

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(4, '\n');
    let mut next = || lines.next().filter(|line| *line != "-");
    let name = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let (user, group) = (next().filter(name), next().filter(name));
    let mode = next().and_then(|mode| u32::from_str_radix(mode, 8).ok()).filter(|mode| *mode <= 0o7777);
    let old = lines.next().unwrap_or_default();
    if old.lines().any(|line| line.trim() == "\\") {
        // what begins on the line below a bare backslash: nobody writes that, and nobody here reads it
        return;
    }
    let wanted = Socket { user, group, mode };
    let new = socket(Some(old), wanted);
    assert_eq!(socket(Some(&new), wanted), new, "the second time changes nothing");
    let mode = mode.map(|mode| format!("{mode:04o}"));
    let keys = [("SocketUser", user), ("SocketGroup", group), ("SocketMode", mode.as_deref())];
    let (before, after) = (read(old), read(&new));
    for (key, value) in keys {
        let last = |all: &[Setting]| all.iter().rev().find(|one| one.is("[Socket]", key)).map(|one| one.value.clone());
        let wanted = value.map(str::to_owned).or_else(|| last(&before));
        assert_eq!(last(&after), wanted, "{key} of {old:?} became that of {new:?}");
    }
    let others = |all: &[Setting]| {
        let ours = |one: &Setting| keys.iter().any(|(key, value)| value.is_some() && one.is("[Socket]", key));
        all.iter().filter(|one| !ours(one)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(others(&before), others(&after), "other settings of {old:?} became those of {new:?}");
    if !old.trim().is_empty() {
        let mut left = new.split('\n').map(|line| line.trim_end_matches('\r'));
        for line in old.split('\n').map(|line| line.trim_end_matches('\r')) {
            let replaced = keys.iter().any(|(key, value)| value.is_some() && line.trim_start().starts_with(key));
            assert!(replaced || left.any(|kept| kept == line), "line {line:?} of {old:?} is gone from {new:?}");
        }
        keeps_line_ends(old, &new);
    }
    assert!(new.ends_with('\n'));
}

#[derive(Clone, Debug, PartialEq)]
struct Setting {
    section: String,
    key: String,
    value: String,
}

impl Setting {
    fn is(&self, section: &str, key: &str) -> bool {
        self.section == section && self.key == key
    }
}

/// As systemd reads it (`config_parse`): a line that ends in a backslash goes on in the next, comments between them
/// are skipped.
fn read(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let (mut section, mut joined) = (String::new(), String::new());
    // a line that would go on ends with the file
    for line in text.split('\n').chain([""]) {
        let line = line.trim_end_matches('\r');
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        joined += line;
        if (joined.len() - joined.trim_end_matches('\\').len()) % 2 == 1 {
            joined.pop();
            joined.push(' ');
            continue;
        }
        let line = std::mem::take(&mut joined);
        let line = line.trim();
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim_end().to_owned(), value.trim().to_owned());
            settings.push(Setting { section: section.clone(), key, value });
        }
    }
    settings
}
