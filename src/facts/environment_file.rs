//! Reads `/etc/environment` by the rules of `pam_env`: `KEY=VALUE` a line, an `export ` in front is skipped, `#` ends
//! the line wherever it stands, quotes around the value are taken off, nothing is expanded, and the last one wins.

use std::ops::Range;

/// One assignment of a name.
pub(crate) struct Assignment {
    /// Bytes of the value in the text, without quotes, blanks at the end and comment.
    pub(crate) value: Range<usize>,
    /// Line, from 1.
    pub(crate) line: usize,
}

/// The value of a variable and its line, from 1. An empty value counts as one. `None`: not set.
pub fn get(text: &str, name: &str) -> Option<(String, usize)> {
    assignments(text, name).pop().map(|last| (text[last.value].to_owned(), last.line))
}

/// Every line that sets a name.
pub(crate) fn assignments(text: &str, name: &str) -> Vec<Assignment> {
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
