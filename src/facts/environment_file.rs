//! Reads `/etc/environment` by the rules of `pam_env`: `KEY=VALUE` a line, an `export ` in front is skipped, `#` ends
//! the line wherever it stands, quotes around the value are taken off, nothing is expanded, and the last one wins.

use std::ops::Range;

/// Blanks to `pam_env`.
const BLANKS: [char; 2] = [' ', '\t'];

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
    let value = |line: &Line<'_>| {
        let value = value_in(line.text, name)?;
        Some(Assignment { value: line.offset + value.start..line.offset + value.end, line: line.number })
    };
    lines(text).filter(|line| !line.joined).filter_map(|line| value(&line)).collect()
}

/// Whether what is appended would become part of the last variable's value.
pub(crate) fn goes_on(text: &str) -> bool {
    lines(text).last().is_some_and(|line| line.open)
}

/// A line that is neither blank nor a comment.
struct Line<'t> {
    text: &'t str,
    offset: usize,
    /// From 1.
    number: usize,
    /// It goes on with the line before it, whatever it looks like.
    joined: bool,
    /// It goes on in the next.
    open: bool,
}

/// `pam_env` joins a line that ends in a backslash, blanks behind it or not, with the next that is neither blank nor a
/// comment (seen with 1.5.2; 1.7.0 stops at those). A comment behind it, or a carriage return, and it does not go on.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let (mut offset, mut open) = (0, false);
    text.split_inclusive('\n').enumerate().filter_map(move |(i, full)| {
        let begin = offset;
        offset += full.len();
        let text = full.strip_suffix('\n').unwrap_or(full);
        if text.trim_start_matches(BLANKS).is_empty() || text.trim_start_matches(BLANKS).starts_with('#') {
            return None;
        }
        let goes_on = !text.contains('#') && text.trim_end_matches(BLANKS).ends_with('\\');
        let joined = std::mem::replace(&mut open, goes_on);
        Some(Line { text, offset: begin, number: i + 1, joined, open: goes_on })
    })
}

/// Where the value stands in a line that sets `name`.
fn value_in(line: &str, name: &str) -> Option<Range<usize>> {
    let line = &line[..line.find('#').unwrap_or(line.len())];
    let start = line.trim_start_matches(BLANKS);
    let start = start.strip_prefix("export ").unwrap_or(start);
    let value = start.strip_prefix(name)?.strip_prefix('=')?;
    let begin = line.len() - value.len();
    let value = value.trim_end();
    let inner = value.strip_prefix(['"', '\'']).map_or(value, |rest| rest.strip_suffix(['"', '\'']).unwrap_or(rest));
    let begin = begin + usize::from(value.starts_with(['"', '\'']));
    Some(begin..begin + inner.len())
}
