//! `/etc/environment`, by the rules of `pam_env`: `KEY=VALUE` a line, an `export ` in front is skipped, `#` ends the
//! line wherever it stands, quotes around the value are taken off, nothing is expanded, and the last one wins.

use std::ops::Range;

use super::terminated;
use crate::error::{Failure, Result};

/// The file.
pub const PATH: &str = "/etc/environment";

/// One assignment of a name.
struct Assignment {
    /// Bytes of the value in the text, without quotes, blanks at the end and comment.
    value: Range<usize>,
    /// Line, from 1.
    line: usize,
}

/// The value of a variable and its line, from 1. An empty value counts as one. `None`: not set.
pub fn get(text: &str, name: &str) -> Option<(String, usize)> {
    assignments(text, name).pop().map(|last| (text[last.value].to_owned(), last.line))
}

/// Gives a variable a value: in the last line that sets it, which is the one that wins, or in a new line at the end.
///
/// # Errors
/// A name or value that the file cannot express: it knows no escapes.
pub fn set(text: &str, name: &str, value: &str) -> Result<String> {
    let plain = |c: char| !c.is_control() && !matches!(c, '#' | '"' | '\'' | '\\');
    if !is_name(name) || !value.chars().all(plain) || value.trim() != value {
        return Err(Failure::new(format!("{PATH}: `{name}` cannot be given this value there")));
    }
    if let Some(last) = assignments(text, name).pop() {
        if &text[last.value.clone()] == value {
            return Ok(text.to_owned());
        }
        if text[last.value.clone()].ends_with('\\') {
            return Err(Failure::new(format!("{PATH}: the value of `{name}` goes on in the next line")));
        }
        return Ok([&text[..last.value.start], value, &text[last.value.end..]].concat());
    }
    let text = terminated(text);
    let end = super::line_end(&text);
    // A backslash at the end of the last line would swallow ours; an empty line stops that.
    let guard = if text.trim_end_matches(['\r', '\n']).ends_with('\\') { end } else { "" };
    Ok(format!("{text}{guard}{name}={value}{end}"))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn assignments(text: &str, name: &str) -> Vec<Assignment> {
    let mut found = Vec::new();
    let (mut offset, mut continued) = (0, false);
    for (i, full) in text.split_inclusive('\n').enumerate() {
        let line = full.trim_end_matches(['\r', '\n']);
        // pam_env joins a line that ends in a backslash with the next one.
        let is_start = !std::mem::replace(&mut continued, line.ends_with('\\'));
        if let Some(value) = is_start.then(|| value_in(line, name)).flatten() {
            found.push(Assignment { value: offset + value.start..offset + value.end, line: i + 1 });
        }
        offset += full.len();
    }
    found
}

/// Where the value stands in a line that sets `name`.
fn value_in(line: &str, name: &str) -> Option<Range<usize>> {
    let line = &line[..line.find('#').unwrap_or(line.len())];
    let start = line.trim_start();
    let start = start.strip_prefix("export ").unwrap_or(start);
    let value = start.strip_prefix(name)?.strip_prefix('=')?;
    let begin = line.len() - value.len();
    let value = value.trim_end();
    let inner = value.strip_prefix(['"', '\'']).map_or(value, |rest| rest.strip_suffix(['"', '\'']).unwrap_or(rest));
    let begin = begin + usize::from(value.starts_with(['"', '\'']));
    Some(begin..begin + inner.len())
}

#[cfg(test)]
mod tests {
    use super::{get, set};

    const NAME: &str = "DOCKER_CONTENT_TRUST";

    #[test]
    fn reads_as_pam_env_does() {
        for (text, value, line) in [
            ("DOCKER_CONTENT_TRUST=1\n", "1", 1),
            ("DOCKER_CONTENT_TRUST=0\nDOCKER_CONTENT_TRUST=1", "1", 2),
            ("\n  export DOCKER_CONTENT_TRUST=\"1\" # on\r\n", "1", 2),
            ("DOCKER_CONTENT_TRUST='1'\n", "1", 1),
            ("DOCKER_CONTENT_TRUST=1#2\n", "1", 1),
            ("DOCKER_CONTENT_TRUST=\n", "", 1),
            ("DOCKER_CONTENT_TRUST=\"\n", "", 1),
        ] {
            assert_eq!(get(text, NAME), Some((value.into(), line)), "{text:?}");
        }
        for text in [
            "",
            "#DOCKER_CONTENT_TRUST=1",
            "DOCKER_CONTENT_TRUST =1",
            "DOCKER_CONTENT_TRUST_SERVER=1",
            "X=\\\nDOCKER_CONTENT_TRUST=1",
        ] {
            assert_eq!(get(text, NAME), None, "{text:?}");
        }
    }

    #[test]
    fn edits_the_line_that_wins_and_nothing_else() {
        for (before, after) in [
            ("DOCKER_CONTENT_TRUST=0\n", "DOCKER_CONTENT_TRUST=1\n"),
            (
                "A=1\r\nexport DOCKER_CONTENT_TRUST=\"0\"  # off\r\nB=2",
                "A=1\r\nexport DOCKER_CONTENT_TRUST=\"1\"  # off\r\nB=2",
            ),
            ("DOCKER_CONTENT_TRUST=1\nDOCKER_CONTENT_TRUST=0\n", "DOCKER_CONTENT_TRUST=1\nDOCKER_CONTENT_TRUST=1\n"),
            ("DOCKER_CONTENT_TRUST=", "DOCKER_CONTENT_TRUST=1"),
            ("", "DOCKER_CONTENT_TRUST=1\n"),
            ("A=1", "A=1\nDOCKER_CONTENT_TRUST=1\n"),
            ("A=1\r\nB=2", "A=1\r\nB=2\r\nDOCKER_CONTENT_TRUST=1\r\n"),
            ("A=1\\\n", "A=1\\\n\nDOCKER_CONTENT_TRUST=1\n"),
            ("#DOCKER_CONTENT_TRUST=1\n", "#DOCKER_CONTENT_TRUST=1\nDOCKER_CONTENT_TRUST=1\n"),
        ] {
            assert_eq!(set(before, NAME, "1").unwrap(), after, "{before:?}");
            assert_eq!(set(after, NAME, "1").unwrap(), after, "second time, {before:?}");
            assert_eq!(get(after, NAME).unwrap().0, "1");
        }
    }

    #[test]
    fn refuses_what_the_file_cannot_say() {
        for (name, value) in
            [("A", "a#b"), ("A", "a\nb"), ("A", " a"), ("A", "\"a"), ("A-B", "1"), ("", "1"), ("A", "a\\")]
        {
            assert!(set("", name, value).is_err(), "{name}={value}");
        }
        assert!(set("A=0\\\nB=1\n", "A", "1").is_err());
    }
}
