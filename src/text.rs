//! Text that comes from the host, made fit for a terminal.
//!
//! Names of containers, images, volumes and processes are chosen by whoever may start one; an escape sequence in them
//! must not reach the terminal of root, and a right-to-left mark must not make a diff read as something else.

/// The text with everything escaped that a terminal could act on or that could disguise it: control characters, line
/// breaks too, and characters that are invisible or change the direction of writing.
#[must_use]
pub fn clean(text: &str) -> String {
    escape(text, |_| false)
}

/// As [`clean`], for text of many lines: line breaks and tabs stay.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !keep(c) && (c.is_control() || disguises(c)) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Unicode's bidirectional controls (the "trojan source" characters), separators that some terminals break lines at,
/// and characters without width.
fn disguises(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{clean, clean_lines};

    #[test]
    fn plain_text_stays() {
        assert_eq!(clean("redis:7 größe 日本"), "redis:7 größe 日本");
    }

    #[test]
    fn escape_sequences_lose_their_escape() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{9b}1m\u{7f}"), r"a\u{1b}[2Jb\nc\u{9b}1m\u{7f}");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(clean_lines("a\tb\n\x07c\r\n"), "a\tb\n\\u{7}c\\r\n");
    }

    #[test]
    fn direction_and_width_cannot_disguise() {
        assert_eq!(clean("a\u{202e}b\u{200b}c\u{2028}"), r"a\u{202e}b\u{200b}c\u{2028}");
    }
}
