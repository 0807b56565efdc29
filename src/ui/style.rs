//! Colours. No meaning is carried by colour alone.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use crate::text::clean_lines;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Heads a part.
    Heading,
    /// Heads a failure; something open.
    Error,
    /// Heads a warning; something that waits or holds.
    Warning,
    /// Heads a remark.
    Note,
    /// Heads what to do next.
    Hint,
    /// All is well.
    Good,
    /// Of less weight.
    Faint,
}

impl Role {
    fn style(self) -> Style {
        let bold = |color: AnsiColor| color.on_default().bold();
        match self {
            Self::Heading => Style::new().bold(),
            Self::Error => bold(AnsiColor::Red),
            Self::Warning => bold(AnsiColor::Yellow),
            Self::Note => bold(AnsiColor::Blue),
            Self::Hint => bold(AnsiColor::Cyan),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// Styles text; [`super::Ui`] takes the colour away where none is wanted.
pub fn paint(role: Role, text: &str) -> String {
    styled(role.style(), text)
}

/// Colours a unified diff by its line starts, with control characters shown.
pub fn paint_diff(diff: &str) -> String {
    let mut out = String::with_capacity(diff.len() * 2);
    for line in clean_lines(diff).split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        let style = if body.starts_with("--- ") || body.starts_with("+++ ") {
            Style::new().bold()
        } else if body.starts_with("@@") {
            AnsiColor::Cyan.on_default()
        } else if body.starts_with('+') {
            AnsiColor::Green.on_default()
        } else if body.starts_with('-') {
            AnsiColor::Red.on_default()
        } else if body.starts_with('#') {
            Style::new().dimmed()
        } else {
            Style::new()
        };
        out.push_str(&styled(style, body));
        out.push_str(end);
    }
    out
}

fn styled(style: Style, text: &str) -> String {
    if style.is_plain() || text.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 12);
    // Writing to a String cannot fail.
    let _infallible = write!(out, "{style}{text}{style:#}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_in_colour_is_the_same_text() {
        let diff = "# daemon.icc 2.2\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n";
        let painted = paint_diff(diff);
        assert!(painted.contains("\u{1b}[31m-old\u{1b}[0m\n"), "{painted:?}");
        assert!(painted.contains("\u{1b}[32m+new\u{1b}[0m\n"), "{painted:?}");
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), diff);
    }

    #[test]
    fn a_diff_cannot_smuggle_escapes() {
        assert!(!paint_diff("+a\u{1b}[8mhidden\r\n").contains("\u{1b}[8m"));
    }
}
