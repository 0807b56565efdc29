//! Our drop-in for docker.socket, [`SOCKET_PATH`]: systemd makes the socket anew at each start, so that a chmod of it
//! does not last.

use std::ops::Range;

use super::{line_end, terminated};
use crate::mode;

/// Where the drop-in lives. systemd reads drop-ins by name and the last one wins: also over the `override.conf` that
/// `systemctl edit` makes.
pub const SOCKET_PATH: &str = "/etc/systemd/system/docker.socket.d/zz-seaworthy.conf";

const HEADER: &str = "\
# Written by seaworthy: owner, group and mode of Docker's socket.
# `seaworthy rollback` takes it back.
[Socket]
";

/// What a socket gets; `None` leaves it to the unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Socket<'a> {
    /// Name of the owner.
    pub user: Option<&'a str>,
    /// Name of the group.
    pub group: Option<&'a str>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// The text of the drop-in that has these settings; what else is in it stays.
pub fn socket(existing: Option<&str>, wanted: Socket<'_>) -> String {
    let mut text = match existing {
        Some(text) if !text.trim().is_empty() => terminated(text),
        _ => HEADER.to_owned(),
    };
    let mode = wanted.mode.map(mode::text);
    for (key, value) in [("SocketUser", wanted.user), ("SocketGroup", wanted.group), ("SocketMode", mode.as_deref())] {
        if let Some(value) = value {
            text = assign(&text, key, value);
        }
    }
    text
}

/// Sets a key of `[Socket]`: in its last line, which is the one that counts, or at the end of the section.
fn assign(text: &str, key: &str, value: &str) -> String {
    let mut in_section = false;
    let mut section_end = None;
    let mut last = None;
    let (lines, open) = logical_lines(text);
    for range in lines {
        let line = text[range.clone()].trim();
        if line.starts_with('[') {
            in_section = line == "[Socket]";
        }
        if in_section && !line.is_empty() {
            section_end = Some(range.end);
            if line.split_once('=').is_some_and(|(name, _)| name.trim_end() == key) {
                last = Some(range);
            }
        }
    }
    let end = line_end(text);
    let entry = format!("{key}={value}{end}");
    // One of several lines stays as it is: a new one behind it counts.
    match (last.filter(|range| text[range.clone()].matches('\n').count() == 1), section_end) {
        (Some(range), _) => [&text[..range.start], &entry, &text[range.end..]].concat(),
        // An empty line ends a last one that a backslash would join to ours.
        (None, Some(at)) if open && at == text.len() => [text, end, &entry].concat(),
        (None, Some(at)) => [&text[..at], &entry, &text[at..]].concat(),
        (None, None) => [text, if open { end } else { "" }, "[Socket]", end, &entry].concat(),
    }
}

/// Lines as systemd joins them at a backslash, past the comments between, with their ends; and whether the last one
/// would go on.
fn logical_lines(text: &str) -> (Vec<Range<usize>>, bool) {
    let mut lines: Vec<Range<usize>> = Vec::new();
    let (mut offset, mut open) = (0, false);
    for line in text.split_inclusive('\n') {
        let range = offset..offset + line.len();
        offset = range.end;
        match lines.last_mut().filter(|_| open) {
            Some(last) => last.end = range.end,
            None => lines.push(range),
        }
        if !line.trim_start().starts_with(['#', ';']) {
            let bare = line.trim_end_matches(['\r', '\n']);
            // Two backslashes are one, and join nothing.
            open = (bare.len() - bare.trim_end_matches('\\').len()) % 2 == 1;
        }
    }
    (lines, open)
}

#[cfg(test)]
mod tests {
    use super::{HEADER, Socket, socket};

    const ALL: Socket<'_> = Socket { user: Some("root"), group: Some("docker"), mode: Some(0o660) };

    #[test]
    fn writes_a_whole_drop_in() {
        let text = socket(None, ALL);
        assert_eq!(text, format!("{HEADER}SocketUser=root\nSocketGroup=docker\nSocketMode=0660\n"));
        assert_eq!(socket(Some(&text), ALL), text);
        assert_eq!(socket(Some(" \n"), ALL), text);
    }

    #[test]
    fn keeps_what_else_is_there() {
        let mode = Socket { mode: Some(0o660), ..Socket::default() };
        assert_eq!(
            socket(Some("[Socket]\nSocketMode=0600\nSocketMode = 0666\n\n[Unit]\nSocketMode=1"), mode),
            "[Socket]\nSocketMode=0600\nSocketMode=0660\n\n[Unit]\nSocketMode=1\n"
        );
        assert_eq!(
            socket(Some("[Socket]\nBacklog=1\n\n[Unit]\n"), mode),
            "[Socket]\nBacklog=1\nSocketMode=0660\n\n[Unit]\n"
        );
        assert_eq!(socket(Some("[Unit]\r\n"), mode), "[Unit]\r\n[Socket]\r\nSocketMode=0660\r\n");
    }

    #[test]
    fn a_line_that_goes_on_is_one_line() {
        let mode = Socket { mode: Some(0o660), ..Socket::default() };
        let set = |text| socket(Some(text), mode);
        assert_eq!(
            set("[Socket]\nListenStream=/a \\\n# why\nSocketMode=0666\n"),
            "[Socket]\nListenStream=/a \\\n# why\nSocketMode=0666\nSocketMode=0660\n"
        );
        assert_eq!(set("[Socket]\nSocketMode=\\\n0666\n"), "[Socket]\nSocketMode=\\\n0666\nSocketMode=0660\n");
        assert_eq!(set("[Socket]\nX=1\\\n# c"), "[Socket]\nX=1\\\n# c\n\nSocketMode=0660\n");
        assert_eq!(set("[Unit]\nX=1\\"), "[Unit]\nX=1\\\n\n[Socket]\nSocketMode=0660\n");
        assert_eq!(set("[Socket]\nX=1\\\\\n"), "[Socket]\nX=1\\\\\nSocketMode=0660\n");
    }

    #[test]
    fn touches_nothing_that_is_not_wanted() {
        let text = "[Socket]\nSocketUser=x\n";
        assert_eq!(socket(Some(text), Socket::default()), text);
    }
}
