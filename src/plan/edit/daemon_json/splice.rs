//! Splices at the byte ranges that the parser reports, so that every byte that is not meant stays.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use serde_json::{Map, Value};

use crate::facts::daemon_json::{BLANKS, ReadError, is_blank, parse};
use crate::plan::edit::line_end;

/// Longer lists get one line an element.
const LINE: usize = 80;

/// The text that holds `new` instead of `old`. `body` has no byte order mark and passed the gate.
pub(super) fn reach(body: &str, old: &Map<String, Value>, new: &Map<String, Value>) -> Result<String, ReadError> {
    if old == new {
        return Ok(body.to_owned());
    }
    let mut text = if is_blank(body) { fresh(body) } else { body.to_owned() };
    reach_in(&mut text, &mut Vec::new(), old, new)?;
    Ok(text)
}

/// An empty or blank file becomes an object of our own style.
fn fresh(body: &str) -> String {
    format!("{{}}{}", line_end(body))
}

/// Walks down to the members that differ: those of an object next to them keep their bytes.
fn reach_in(
    text: &mut String,
    path: &mut Vec<String>,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<(), ReadError> {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        *text = cut(text, &object_at(&parse(text)?, path), key);
    }
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(before), _) if before == value => {}
            (Some(Value::Object(before)), Value::Object(after)) if !before.is_empty() => {
                path.push(key.clone());
                reach_in(text, path, before, after)?;
                path.pop();
            }
            _ => *text = put(text, &object_at(&parse(text)?, path), path.len(), key, value),
        }
    }
    Ok(())
}

/// The object under a path of keys; the path was walked in the parsed value before, so it is there.
fn object_at<'a>(root: &ast::Object<'a>, path: &[String]) -> ast::Object<'a> {
    path.iter().fold(root.clone(), |object, key| match find(&object, key).map(|property| &property.value) {
        Some(ast::Value::Object(inner)) => inner.clone(),
        _ => object,
    })
}

fn find<'o, 'a>(object: &'o ast::Object<'a>, key: &str) -> Option<&'o ast::ObjectProp<'a>> {
    object.properties.iter().find(|property| property.name.as_str() == key)
}

/// Replaces the value of a key, or appends the key behind the last one, in that one's style.
fn put(text: &str, object: &ast::Object<'_>, depth: usize, key: &str, value: &Value) -> String {
    if let Some(property) = find(object, key) {
        let range = property.value.range();
        let style = Style::around(text, property.name.range().start, depth + 1);
        return [&text[..range.start], &style.print(value), &text[range.end..]].concat();
    }
    let name = Value::from(key).to_string();
    let Some(last) = object.properties.last() else {
        let style = Style::inside_empty(text, object, depth);
        let (open, close) = (&text[..=object.range.start], &text[object.range.end - 1..]);
        let Some(indent) = &style.indent else {
            return format!("{open}{name}: {}{close}", style.print(value));
        };
        let outer = indent.strip_suffix(style.unit.as_str()).unwrap_or_default();
        return format!("{open}{0}{indent}{name}: {1}{0}{outer}{close}", style.line_end, style.print(value));
    };
    let (last_name, last_value) = (last.name.range(), last.value.range());
    let style = Style::around(text, last_name.start, depth + 1);
    let colon = &text[last_name.end..last_value.start];
    let colon = if colon.contains('\n') { ": " } else { colon };
    let gap = match &style.indent {
        Some(indent) => format!("{}{indent}", style.line_end),
        // One entry alone does not show what stands behind a comma; the colon does.
        None if object.properties.len() == 1 && colon.ends_with(' ') => " ".to_owned(),
        None => text[before_blanks(text, last_name.start)..last_name.start].to_owned(),
    };
    let (head, tail) = text.split_at(last_value.end);
    format!("{head},{gap}{name}{colon}{}{tail}", style.print(value))
}

/// Takes an entry and one comma away.
fn cut(text: &str, object: &ast::Object<'_>, key: &str) -> String {
    let entries = &object.properties;
    let Some(i) = entries.iter().position(|property| property.name.as_str() == key) else {
        return text.to_owned();
    };
    let (start, end) = match (i.checked_sub(1), entries.get(i + 1)) {
        (Some(previous), _) => (entries[previous].value.range().end, entries[i].value.range().end),
        (None, Some(next)) => (entries[0].name.range().start, next.name.range().start),
        (None, None) => (object.range.start + 1, object.range.end - 1),
    };
    [&text[..start], &text[end..]].concat()
}

/// Where the blanks before an offset begin.
fn before_blanks(text: &str, offset: usize) -> usize {
    text[..offset].trim_end_matches(BLANKS).len()
}

/// How a place in the file is laid out.
struct Style {
    line_end: &'static str,
    /// Blanks before the key where it begins a line; `None`: it shares a line.
    indent: Option<String>,
    /// One level.
    unit: String,
}

impl Style {
    /// The style of the entry that starts at `offset`, `depth` levels deep.
    fn around(text: &str, offset: usize, depth: usize) -> Self {
        let blanks = &text[before_blanks(text, offset)..offset];
        let indent = blanks.rfind('\n').map(|at| blanks[at + 1..].to_owned());
        let unit = indent.as_deref().map_or_else(String::new, |indent| unit_of(indent, depth));
        let line_end = if blanks.contains("\r\n") { "\r\n" } else { "\n" };
        Self { line_end, indent, unit }
    }

    /// The style for the first entry of an empty object: that of the entry which holds it; the root's is our own.
    fn inside_empty(text: &str, object: &ast::Object<'_>, depth: usize) -> Self {
        if depth == 0 {
            return Self { line_end: line_end(text), indent: Some("  ".into()), unit: "  ".into() };
        }
        let line_start = text[..object.range.start].rfind('\n').map(|at| at + 1);
        let Some(line_start) = line_start else {
            return Self { line_end: "\n", indent: None, unit: String::new() };
        };
        let key = line_start + text[line_start..].len() - text[line_start..].trim_start_matches([' ', '\t']).len();
        let mut style = Self::around(text, key, depth);
        style.indent = style.indent.map(|indent| indent + &style.unit);
        style
    }

    fn print(&self, value: &Value) -> String {
        match &self.indent {
            Some(indent) => self.print_lines(value, indent),
            None => one_line(value),
        }
    }

    /// Objects get a line an entry, lists too when they would be long; everything else stands in one line.
    fn print_lines(&self, value: &Value, indent: &str) -> String {
        let inner = format!("{indent}{}", self.unit);
        let lines: Vec<String> = match value {
            Value::Object(map) if !map.is_empty() => map
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), self.print_lines(value, &inner)))
                .collect(),
            Value::Array(list) if one_line(value).len() > LINE || list.iter().any(Value::is_object) => {
                list.iter().map(|value| self.print_lines(value, &inner)).collect()
            }
            _ => return one_line(value),
        };
        let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
        let between = format!(",{}{inner}", self.line_end);
        format!("{open}{0}{inner}{1}{0}{indent}{close}", self.line_end, lines.join(&between))
    }
}

/// One level out of an indentation that is `depth` levels deep. Unindented files have none.
fn unit_of(indent: &str, depth: usize) -> String {
    if depth > 1 && indent.len().is_multiple_of(depth) {
        return indent[..indent.len() / depth].to_owned();
    }
    if depth > 1 { "  ".into() } else { indent.to_owned() }
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<_> =
                map.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), one_line(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
