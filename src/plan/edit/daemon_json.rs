//! Edits of daemon.json that touch nothing but the key they are for.

mod splice;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use crate::facts::daemon_json::{ReadError, line_of, read};

use crate::facts::daemon_json::body;

/// Gives a top-level key a value and returns the new text: the value is replaced where it stands, or the key is
/// appended in the style of the last entry. Of an object only the members that differ are touched. A key that has
/// the value already leaves the text as it is.
///
/// # Errors
/// The text is not one that [`read`] takes.
pub fn set(text: &str, key: &str, value: &Value) -> Result<String, ReadError> {
    let mut wanted = read(text)?;
    wanted.insert(key.to_owned(), value.clone());
    rewrite(text, &wanted)
}

/// Takes a top-level key away and returns the new text; without the key the text stays as it is.
///
/// # Errors
/// The text is not one that [`read`] takes.
pub fn remove(text: &str, key: &str) -> Result<String, ReadError> {
    let mut wanted = read(text)?;
    wanted.shift_remove(key);
    rewrite(text, &wanted)
}

/// Brings the text to the wanted object, and reads the result again: an edit that says something else than was
/// meant must never reach a host.
fn rewrite(text: &str, wanted: &Map<String, Value>) -> Result<String, ReadError> {
    let body = body(text);
    let new = splice::reach(body, &read(text)?, wanted)?;
    let text = [&text[..text.len() - body.len()], &new].concat();
    if read(&text).as_ref() == Ok(wanted) {
        Ok(text)
    } else {
        Err(ReadError { line: 0, column: 0, message: "the edit did not come out as intended; this is a bug".into() })
    }
}
