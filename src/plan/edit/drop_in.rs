//! Our drop-in for docker.socket, [`SOCKET_PATH`]: systemd makes the socket anew at each start, so that a chmod of it
//! does not last.

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
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            in_section = trimmed == "[Socket]";
        }
        let range = offset..offset + line.len();
        if in_section && !trimmed.is_empty() {
            section_end = Some(range.end);
            if trimmed.split_once('=').is_some_and(|(name, _)| name.trim_end() == key) {
                last = Some(range.clone());
            }
        }
        offset = range.end;
    }
    let entry = format!("{key}={value}{}", line_end(text));
    match (last, section_end) {
        (Some(range), _) => [&text[..range.start], &entry, &text[range.end..]].concat(),
        (None, Some(end)) => [&text[..end], &entry, &text[end..]].concat(),
        (None, None) => [text, "[Socket]", line_end(text), &entry].concat(),
    }
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
    fn touches_nothing_that_is_not_wanted() {
        let text = "[Socket]\nSocketUser=x\n";
        assert_eq!(socket(Some(text), Socket::default()), text);
    }
}
