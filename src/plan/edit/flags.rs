//! Flags of dockerd where an admin wrote them: an `ExecStart=` or `Environment=` line of a unit, or a variable of an
//! environment file (`DOCKER_OPTS`, `OPTIONS`). Only the flag's own token changes; quotes, line continuations and
//! everything else stay.

#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;

use words::Word;

/// Gives a flag a value, or takes it away, in the assignment that line `place_line` (from 1) of a file belongs to.
///
/// `names` are the flag's spellings (`--icc`; `-D` and `--debug`); `boolean` flags take a value only behind `=`.
/// All occurrences change, since the last one wins. `value` `None` takes them away. Returns the new text; `None`
/// when the flag is not there, or the value cannot be written without quoting.
pub fn edit_file(text: &str, place_line: usize, names: &[&str], boolean: bool, value: Option<&str>) -> Option<String> {
    let new = edited(text, place_line, names, boolean, value)?;
    // Quotes can stand so oddly that what is written is not what is read: done again, it would change again. A value that
    // goes over fewer lines now may have left this one behind.
    let same_lines = text.matches('\n').count() == new.matches('\n').count();
    let lasts =
        value.is_none() || !same_lines || edited(&new, place_line, names, boolean, value).as_ref() == Some(&new);
    lasts.then_some(new)
}

fn edited(text: &str, place_line: usize, names: &[&str], boolean: bool, value: Option<&str>) -> Option<String> {
    let runs = words::runs_at(text, place_line);
    let edits: Vec<(Range<usize>, String)> = runs
        .iter()
        .flat_map(|run| {
            let hits = hits(run, names, boolean);
            match value {
                Some(value) => hits.iter().map(|hit| hit.with_value(run, text, boolean, value)).collect::<Vec<_>>(),
                None => gaps(&hits, run, text).into_iter().map(|gap| (gap, String::new())).collect(),
            }
        })
        .collect();
    if edits.is_empty() || value.is_some_and(|value| !needs_no_quotes(value)) {
        return None;
    }
    if edits.windows(2).any(|pair| pair[0].0.end > pair[1].0.start) {
        return None;
    }
    let mut new = text.to_owned();
    for (range, replacement) in edits.into_iter().rev() {
        new.replace_range(range, &replacement);
    }
    Some(new)
}

/// Gives a boolean or (with a value that is no `true` or `false`) another flag a value in one assignment.
///
/// `None`: the flag is not there, or the value cannot be written without quoting.
pub fn set_flag(line_text: &str, names: &[&str], value: &str) -> Option<String> {
    edit_file(line_text, 1, names, is_boolean(value), Some(value))
}

/// Takes a flag away from one assignment. `None`: it is not there.
pub fn remove_flag(line_text: &str, names: &[&str], boolean: bool) -> Option<String> {
    edit_file(line_text, 1, names, boolean, None)
}

fn is_boolean(value: &str) -> bool {
    matches!(value, "true" | "false")
}

/// Neither systemd nor a shell does anything to such text (`%` and `$` would be expanded). Behind a short flag an equals
/// sign would not be part of the value: `-H=x` is `-H x`.
fn needs_no_quotes(value: &str) -> bool {
    !value.is_empty()
        && !value.starts_with('=')
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:=,@+-[]".contains(&byte))
}

/// One occurrence of a flag: the words `first..=last` of a run.
struct Hit {
    first: usize,
    last: usize,
    /// Where the value stands in the text of the last word; `None`: a bare boolean flag.
    value: Option<usize>,
}

impl Hit {
    /// The bytes to replace, and what by.
    fn with_value(&self, run: &[Word], text: &str, boolean: bool, value: &str) -> (Range<usize>, String) {
        let word = &run[self.last];
        match self.value {
            None => (word.inner.end..word.inner.end, format!("={value}")),
            Some(at) => {
                let raw = &text[word.inner.clone()];
                // `--name="value"`: the quotes stay, if they are around all of it.
                let quotes = usize::from(words::quoted(&raw[at..]).is_some_and(|len| len + 2 == raw.len() - at));
                let attached = boolean && at == 2 && !raw[at..].starts_with('=');
                let value = if attached { format!("={value}") } else { value.to_owned() };
                (word.inner.start + at + quotes..word.inner.end - quotes, value)
            }
        }
    }
}

/// The bytes to cut for each hit: its words and the blanks before them, or after them when nothing before stays.
fn gaps(hits: &[Hit], run: &[Word], text: &str) -> Vec<Range<usize>> {
    let mut leading = 0;
    let gap = |hit: &Hit| {
        let (first, last) = (&run[hit.first].outer, &run[hit.last].outer);
        let leads = hit.first == leading;
        if leads {
            leading = hit.last + 1;
            return first.start..run.get(leading).map_or(last.end, |next| next.outer.start);
        }
        let previous = run[hit.first - 1].outer.end;
        // Between two words there is nothing but blanks, joined line ends, and comments, which stay.
        let comments = text[previous..first.start].contains(['#', ';']);
        let start = if comments { text[..first.start].trim_end_matches([' ', '\t']).len() } else { previous };
        start..last.end
    };
    hits.iter().map(gap).collect()
}

/// Finds a flag by the rules of pflag, which dockerd reads its command line with.
fn hits(run: &[Word], names: &[&str], boolean: bool) -> Vec<Hit> {
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(word) = run.get(i) {
        let hit = names.iter().find_map(|name| {
            let rest = word.text.strip_prefix(name)?;
            let short = !name.starts_with("--");
            if rest.starts_with('=') {
                return Some(Hit { first: i, last: i, value: Some(name.len() + 1) });
            }
            if rest.is_empty() && boolean {
                return Some(Hit { first: i, last: i, value: None });
            }
            if rest.is_empty() {
                // Without a word behind it the flag has no value, and dockerd does not start.
                return (i + 1 < run.len()).then_some(Hit { first: i, last: i + 1, value: Some(0) });
            }
            // `-ldebug`
            (short && !boolean).then_some(Hit { first: i, last: i, value: Some(name.len()) })
        });
        i = hit.as_ref().map_or(i, |hit| hit.last) + 1;
        found.extend(hit);
    }
    found
}
