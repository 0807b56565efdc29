//! Edits: pure functions from the old text of a file to the new one. None of them looks at a host.

pub mod daemon_json;
pub mod drop_in;
pub mod environment;
pub mod flags;
pub mod rules_file;

/// The line end of a text: its first one decides, `\n` where there is none.
fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The text with a line end at its end, so that what is appended starts a line of its own.
fn terminated(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(line_end(&text));
    }
    text
}
