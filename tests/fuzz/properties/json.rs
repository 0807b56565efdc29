//! A reader of its own for JSON that is known to be valid: where each member of an object stands.

use std::ops::Range;

/// One member of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    /// From the quote that opens the key to the end of the value.
    pub(super) all: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The members of the object whose brace is the first one in the text.
pub(super) fn members(text: &str) -> Vec<Member> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let Some(open) = text.find('{') else { return found };
    let mut at = blanks(bytes, open + 1);
    while bytes[at] == b'"' {
        let start = at;
        let end = string(bytes, at);
        let key = serde_json::from_str(&text[start..end]).expect("a key is a string");
        at = blanks(bytes, end);
        assert_eq!(bytes[at], b':');
        let begin = blanks(bytes, at + 1);
        at = value(bytes, begin);
        found.push(Member { key, all: start..at, value: begin..at });
        at = blanks(bytes, at);
        if bytes[at] == b',' {
            at = blanks(bytes, at + 1);
        }
    }
    assert_eq!(bytes[at], b'}');
    found
}

fn blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| b" \t\r\n".contains(byte)).count()
}

fn string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn value(bytes: &[u8], begin: usize) -> usize {
    let (mut at, mut depth) = (begin, 0);
    loop {
        match bytes[at] {
            b'"' => at = string(bytes, at),
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => at += 1,
        }
        if depth == 0 && b"\"}]".contains(&bytes[at - 1]) {
            return at;
        }
    }
}
