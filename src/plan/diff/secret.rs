//! Where a text holds secrets. Errs on the side of hiding.

use jsonc_parser::ast::Value;
use jsonc_parser::common::{Range, Ranged};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions};

use crate::secret::{ANYWHERE, WORDS, is_secret};

/// For each line, the byte from which it holds a secret.
pub(super) fn starts(text: &str) -> Vec<Option<usize>> {
    let mut lines = Lines::of(text);
    match json_ranges(text) {
        Some(found) => found.into_iter().for_each(|(start, end)| lines.hide(start, end)),
        None => in_lines(text, &mut lines),
    }
    lines.secret
}

/// The text with every secret replaced. JSON stays JSON.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if let Some(found) = json_ranges(text) {
        let mut done = 0;
        for (start, end) in found {
            out.push_str(&text[done..start]);
            out.push_str("\"********\"");
            done = end;
        }
        return out + &text[done..];
    }
    for (line, start) in text.split_inclusive('\n').zip(starts(text)) {
        match start {
            Some(start) => {
                out.push_str(&line[..start]);
                out.push_str("********");
                out.push_str(&line[line.trim_end_matches(['\r', '\n']).len()..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

/// Whether a value of that name is a secret.
pub fn is_secret_value(name: &str, value: &str) -> bool {
    let named = is_secret(name) && !value.is_empty() && !is_bool(value) && !is_key_path(name, value);
    named || has_userinfo(name, value)
}

/// Byte ranges of what holds secrets, in their order, when the text is JSON: values, and where people write what no
/// reader takes for JSON, comments.
fn json_ranges(text: &str) -> Option<Vec<(usize, usize)>> {
    let body = text.trim_start_matches('\u{feff}');
    if !body.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let collect = CollectOptions { comments: CommentCollectionStrategy::Separate, tokens: false };
    let parsed = jsonc_parser::parse_to_ast(body, &collect, &ParseOptions::default()).ok()?;
    let mut found = Vec::new();
    if let Some(root) = &parsed.value {
        in_json(root, "", false, &mut found);
    }
    let comments = parsed.comments.iter().flat_map(|map| map.values()).flat_map(|comments| comments.iter());
    found.extend(comments.filter(|comment| holds_one(comment.text())).map(Ranged::range));
    // A comment between two tokens is listed with both.
    found.sort_unstable_by_key(|range| range.start);
    found.dedup();
    let mark = text.len() - body.len();
    Some(found.into_iter().map(|range| (mark + range.start, mark + range.end)).collect())
}

/// Whether any line of a text holds a secret.
fn holds_one(text: &str) -> bool {
    let mut lines = Lines::of(text);
    in_lines(text, &mut lines);
    lines.secret.iter().any(Option::is_some)
}

/// The lines of a text and what is known about each.
struct Lines {
    starts: Vec<usize>,
    secret: Vec<Option<usize>>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let lens = text.split_inclusive('\n').map(str::len);
        let starts: Vec<usize> = lens.scan(0, |end, len| Some(std::mem::replace(end, *end + len))).collect();
        Self { secret: vec![None; starts.len()], starts }
    }

    fn hide(&mut self, from: usize, to: usize) {
        for (i, start) in self.starts.iter().enumerate() {
            let end = self.starts.get(i + 1).copied().unwrap_or(usize::MAX);
            if *start < to && from < end {
                let column = from.saturating_sub(*start);
                self.secret[i] = Some(self.secret[i].map_or(column, |old| old.min(column)));
            }
        }
    }
}

/// Collects the ranges of secret values. `secret`: a name above says so.
fn in_json(value: &Value<'_>, name: &str, secret: bool, found: &mut Vec<Range>) {
    match value {
        Value::Object(object) => {
            for property in &object.properties {
                let inner = property.name.as_str();
                if in_line(inner).is_some() {
                    found.push(property.name.range());
                }
                in_json(&property.value, inner, secret || is_secret(inner), found);
            }
        }
        Value::Array(array) => array.elements.iter().for_each(|element| in_json(element, name, secret, found)),
        Value::StringLit(text) => {
            let named = secret && !text.value.is_empty() && !is_key_path(name, &text.value);
            if named || has_userinfo(name, &text.value) || in_line(&text.value).is_some() {
                found.push(text.range());
            }
        }
        Value::NumberLit(number) if secret => found.push(number.range()),
        _ => {}
    }
}

fn in_lines(text: &str, lines: &mut Lines) {
    let (mut offset, mut in_private_key) = (0, false);
    for line in text.split_inclusive('\n') {
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----") {
            in_private_key = true;
        }
        let start = if in_private_key { Some(0) } else { in_line(line) };
        if let Some(start) = start {
            lines.hide(offset + start, offset + line.len());
        }
        if line.contains("-----END ") {
            in_private_key = false;
        }
        offset += line.len();
    }
}

/// The first byte of a secret in a line: the value of an assignment (`NAME=…`, `name: …`) or flag (`--name …`), or a
/// URL's user information.
fn in_line(line: &str) -> Option<usize> {
    let mut first = url_with_userinfo(line);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let mut at = 0;
    while let Some(begin) = line[at..].find(is_name).map(|found| at + found) {
        let end = line[begin..].find(|c| !is_name(c)).map_or(line.len(), |found| begin + found);
        at = end;
        let name = &line[begin..end];
        if let Some(value) = value_start(line, name, end) {
            let text = line[value..].trim_end();
            // `-F key=docker` of an audit rule names the rule.
            let alone = WORDS[2..].iter().any(|word| name.trim_matches('-').eq_ignore_ascii_case(word));
            let plain = text.is_empty() || is_bool(text) || is_key_path(name, text);
            let proxy = is_proxy(name) && text.contains('@');
            if proxy || (is_secret(name) && !alone && !plain) {
                first = Some(first.map_or(value, |old| old.min(value)));
            }
        }
    }
    first
}

/// Where the value of a name begins that ends at `end`; `None`: no value follows.
fn value_start(line: &str, name: &str, end: usize) -> Option<usize> {
    let rest = &line[end..];
    let unquoted = rest.trim_start_matches(['"', '\'']).trim_start();
    let value = match unquoted.strip_prefix(['=', ':']) {
        Some(value) => value,
        None if name.starts_with("--") && rest.starts_with([' ', '\t']) && !unquoted.starts_with('-') => unquoted,
        None => return None,
    };
    Some(line.len() - value.trim_start().trim_start_matches(['"', '\'']).len())
}

fn is_bool(value: &str) -> bool {
    let word = value.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    matches!(word, "true" | "false")
}

fn is_proxy(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("proxy")
}

/// Go's proxy settings may go without a scheme; then any `@` ends user information.
fn has_userinfo(name: &str, value: &str) -> bool {
    url_with_userinfo(value).is_some() || (is_proxy(name) && value.contains('@'))
}

fn url_with_userinfo(text: &str) -> Option<usize> {
    text.match_indices("://").map(|(at, scheme)| at + scheme.len()).find(|start| {
        let rest = &text[*start..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len());
        rest[..end].contains('@')
    })
}

/// The path of a key file (`syslog-tls-key`) is no secret.
fn is_key_path(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    value.starts_with('/') && name.ends_with("key") && !ANYWHERE.iter().any(|part| name.contains(part))
}
