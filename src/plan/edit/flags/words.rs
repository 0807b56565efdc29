//! The words of a command line where they stand in a file.

use std::ops::Range;

/// One word.
#[derive(Debug)]
pub(super) struct Word {
    /// Its bytes with the quotes around it.
    pub(super) outer: Range<usize>,
    /// Its bytes without the quotes around the whole of it.
    pub(super) inner: Range<usize>,
    /// What is between.
    pub(super) text: String,
}

/// The runs of words in the assignment that holds a line: one for a command line or a variable of a file, one a
/// variable for `Environment=`. Empty when the line belongs to no assignment.
pub(super) fn runs_at(text: &str, line: usize) -> Vec<Vec<Word>> {
    let Some((name, value)) = assignment_at(text, line) else { return Vec::new() };
    let rest = &text[value..];
    match name {
        "Environment" => words(text, value..value + logical_len(rest, true), true)
            .into_iter()
            .filter_map(|word| {
                let at = word.inner.start + word.text.find('=')? + 1;
                // `NAME="…"`: quotes behind the equals sign belong to neither.
                let inner = at..word.inner.end;
                let inner = quoted(&text[inner.clone()]).map_or(inner, |len| at + 1..at + 1 + len);
                Some(words(text, inner, true))
            })
            .collect(),
        _ if name.starts_with("Exec") => vec![words(text, value..value + logical_len(rest, true), true)],
        _ => {
            let range = match quoted(rest) {
                Some(len) => value + 1..value + 1 + len,
                None => value..value + logical_len(rest, false),
            };
            vec![words(text, range, false)]
        }
    }
}

/// The name and the offset of the value of the assignment that a line (from 1) belongs to.
fn assignment_at(text: &str, line: usize) -> Option<(&str, usize)> {
    let mut starts = vec![0];
    starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
    let mut i = line.checked_sub(1).filter(|i| *i < starts.len())?;
    let line_at = |i: usize| text[starts[i]..].lines().next().unwrap_or_default();
    // A line that a backslash joins to the one before it is no assignment, whatever it looks like.
    while let Some(above) = (0..i).rev().find(|above| !is_comment(line_at(*above))) {
        if !line_at(above).ends_with('\\') {
            break;
        }
        i = above;
    }
    // Inside quotes a value may also go on without one.
    loop {
        if let Some((name, offset)) = assignment(line_at(i)) {
            return Some((name, starts[i] + offset));
        }
        i = i.checked_sub(1)?;
    }
}

fn assignment(line: &str) -> Option<(&str, usize)> {
    let trimmed = line.trim_start();
    let trimmed = trimmed.strip_prefix("export ").unwrap_or(trimmed).trim_start();
    let (name, value) = trimmed.split_once('=')?;
    let name = name.trim_end();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| (name, line.len() - value.trim_start_matches([' ', '\t']).len()))
}

/// The length of a logical line: up to the first line end that no backslash joins to the next one. Comment lines
/// between the joined lines of a unit do not end it: systemd skips them. In an environment file they are joined.
fn logical_len(text: &str, unit: bool) -> usize {
    let mut len = 0;
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end_matches(['\r', '\n']);
        if !bare.ends_with('\\') && (i == 0 || !unit || !is_comment(bare)) {
            return len + bare.len();
        }
        len += line.len();
    }
    len
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// The length of what stands between the quotes that a text starts with; `None`: it starts with none, or they are
/// never closed.
pub(super) fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(at - 1),
            _ => {}
        }
    }
    None
}

/// Splits at blanks and joined line ends; quotes hold a word together. In a unit, comment lines may stand between
/// joined lines.
fn words(text: &str, range: Range<usize>, unit: bool) -> Vec<Word> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let rest = &text[at..range.end];
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
            let line_begins = text[at - blank..at].contains('\n');
            if unit && line_begins && is_comment(&text[at..range.end]) {
                at += text[at..range.end].find('\n').unwrap_or(range.end - at);
            }
        } else if rest.starts_with("\\\n") || rest.starts_with("\\\r\n") {
            at += 1;
        } else {
            let len = word_len(rest);
            let outer = at..at + len;
            let inner = match quoted(&rest[..len]) {
                Some(inside) if inside + 2 == len => at + 1..at + 1 + inside,
                _ => outer.clone(),
            };
            found.push(Word { text: text[inner.clone()].to_owned(), outer, inner });
            at += len;
        }
    }
    found
}

/// Where the word that a text starts with ends.
fn word_len(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') if text[at..].starts_with("\\\n") || text[at..].starts_with("\\\r\n") => return at,
            (Some('"') | None, '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, _) if c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}
