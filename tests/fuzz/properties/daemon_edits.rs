//! Many edits in turn of a daemon.json that is built from the fuzzer's choices: keys that dockerd knows and others,
//! nested values, blanks as people leave them.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Number, Value};

use super::daemon_json::edit;

const KEYS: &[&str] =
    &["icc", "log-opts", "dns", "features", "live-restore", "userns-remap", "x", "\u{e4}", "a b", "\"", "\\", "nofile"];
const TEXTS: &[&str] =
    &["", "default", "10m", "1.1.1.1", "\u{20ac}", "a\"b", "\\", "\n", "{", "}", ",", "\u{1f40b}", "\u{7f}"];

/// The property.
pub fn check(data: &[u8]) {
    // Bytes that end early are an input that was used up.
    let _ = run(&mut Unstructured::new(data));
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let mut text = document(u)?;
    for _ in 0..u.int_in_range(1..=8)? {
        let key = *u.choose(KEYS)?;
        let value = if u.ratio(1, 4)? { None } else { Some(value(u, 3)?) };
        let Some(new) = edit(&text, key, value.as_ref()) else { return Ok(()) };
        text = new;
    }
    Ok(())
}

fn document(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(1, 8)? {
        return Ok((*u.choose(&["", "\n", "{}", "\u{feff}", "{ }\r\n", " \r\n"])?).to_owned());
    }
    let style = u.int_in_range(0..=4)?;
    let mark = if u.ratio(1, 8)? { "\u{feff}" } else { "" };
    let (object, end) = (object(u, 3)?, *u.choose(&["", "\n", "\r\n", " \n\n"])?);
    Ok([mark, &written(u, &object, style)?, end].concat())
}

fn object(u: &mut Unstructured<'_>, depth: u8) -> Result<Value> {
    let mut map = Map::new();
    for _ in 0..u.int_in_range(0..=5)? {
        map.insert((*u.choose(KEYS)?).to_owned(), value(u, depth - 1)?);
    }
    Ok(Value::Object(map))
}

fn value(u: &mut Unstructured<'_>, depth: u8) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth > 0 { 7 } else { 5 })? {
        0 => Value::Null,
        1 => Value::Bool(u.arbitrary()?),
        2 => Value::from(u.arbitrary::<i64>()?),
        3 => Number::from_f64(f64::from(u.arbitrary::<i32>()?) / 8.0).map_or(Value::Null, Value::Number),
        4 => Value::from(*u.choose(TEXTS)?),
        5 => Value::from(u.arbitrary::<&str>()?),
        6 => object(u, depth)?,
        _ => {
            let mut list = Vec::new();
            for _ in 0..u.int_in_range(0..=4)? {
                list.push(value(u, depth - 1)?);
            }
            Value::Array(list)
        }
    })
}

/// Blanks of a style: none, spaces, lines, lines of Windows, all mixed.
fn gap(u: &mut Unstructured<'_>, style: usize) -> Result<&'static str> {
    const GAPS: [&[&str]; 5] = [
        &[""],
        &["", " ", "  "],
        &["\n  ", "\n", " ", "\n\n\t", "\n    "],
        &["\r\n    ", "", " ", "\r\n"],
        &["", " ", "\t", "\n", "\r\n", "\r", "\n  "],
    ];
    u.choose(GAPS[style]).copied()
}

fn written(u: &mut Unstructured<'_>, value: &Value, style: usize) -> Result<String> {
    let (open, close, mut parts) = match value {
        Value::Array(list) => ("[", "]", list.iter().map(|value| (None, value)).collect::<Vec<_>>()),
        Value::Object(map) => ("{", "}", map.iter().map(|(key, value)| (Some(key), value)).collect()),
        leaf => return Ok(leaf.to_string()),
    };
    let mut text = open.to_owned();
    for (i, (key, value)) in parts.drain(..).enumerate() {
        text += &[gap(u, style)?, if i == 0 { "" } else { "," }, gap(u, style)?].concat();
        if let Some(key) = key {
            text += &[&Value::from(key.as_str()).to_string(), gap(u, style)?, ":", gap(u, style)?].concat();
        }
        text += &written(u, value, style)?;
    }
    Ok([&text, gap(u, style)?, close].concat())
}
