//! Text from the host, made safe for a terminal.

/// Shows control characters instead of sending them: a container's name must not move the cursor, and a right-to-left
/// mark must not make a diff read as something else. Line breaks are shown too.
pub fn clean(text: &str) -> String {
    escape(text, |_| false)
}

/// As [`clean`], for text of many lines: line breaks and tabs stay.
pub fn clean_lines(text: &str) -> String {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) || !deceives(c) {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    out
}

/// Control characters, and the marks that turn the direction of text or cannot be seen.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(clean("a\x1b[2Jb\r\n\u{9b}c\u{202e}d\u{7f}"), r"a\u{1b}[2Jb\r\n\u{9b}c\u{202e}d\u{7f}");
        assert_eq!(clean_lines("a\tb\n\x07c\r\n"), "a\tb\n\\u{7}c\\r\n");
    }

    #[test]
    fn letters_stay() {
        assert_eq!(clean("größe 日本 é \\"), "größe 日本 é \\");
    }
}
