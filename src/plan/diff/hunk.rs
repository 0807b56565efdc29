//! Hunks with as much context as secrets allow.

use std::fmt::Write as _;
use std::ops::Range;

use similar::{ChangeTag, TextDiff};

use super::secret;

/// Lines of context, as everyone expects them.
const CONTEXT: usize = 3;

/// What stands for a secret.
const MASK: &str = "********";

/// The hunks of a file.
pub(super) struct Hunks {
    pub(super) text: String,
    /// Why the hunks cannot be patched; empty when they can.
    pub(super) notes: Vec<&'static str>,
    /// A line that changes holds a secret.
    pub(super) masked: bool,
}

struct Line<'t> {
    tag: ChangeTag,
    text: &'t str,
    /// Byte from which the line holds a secret.
    secret: Option<usize>,
}

impl Line<'_> {
    fn is_context(&self) -> bool {
        self.tag == ChangeTag::Equal && self.secret.is_none()
    }
}

/// A hunk.
struct Span {
    lines: Range<usize>,
    /// A secret right below leaves it without a line there, which git reads as the end of the file.
    unplaced: bool,
}

/// Compares two texts. `all_secret` masks every line.
pub(super) fn hunks(old: &str, new: &str, all_secret: bool) -> Hunks {
    // `TextDiff::from_lines` would also break lines at a lone carriage return, which neither patch nor git does.
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let secrets = |text, lines: &[&str]| if all_secret { vec![Some(0); lines.len()] } else { secret::starts(text) };
    let (old_secrets, new_secrets) = (secrets(old, &a), secrets(new, &b));
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&a, &b);
    let lines: Vec<Line<'_>> = diff
        .iter_all_changes()
        .map(|change| {
            let in_old = change.old_index().and_then(|i| old_secrets[i]);
            let in_new = change.new_index().and_then(|i| new_secrets[i]);
            let secret = in_old.into_iter().chain(in_new).min();
            Line { tag: change.tag(), text: change.value(), secret }
        })
        .collect();
    let spans = spans(&lines);
    let text = spans.iter().map(|span| print(&lines, span)).collect();
    let masked = lines.iter().any(|line| line.tag != ChangeTag::Equal && line.secret.is_some());
    let mut notes = Vec::new();
    if masked {
        notes.push("holds secrets: masked, cannot be patched");
    } else if spans.iter().any(|span| span.unplaced) {
        notes.push("a secret stands next to it: without it there is not enough context to patch");
    }
    Hunks { text, notes, masked }
}

/// Groups the changes: those with little and harmless text between them share a hunk.
fn spans(lines: &[Line<'_>]) -> Vec<Span> {
    let mut changes: Vec<Range<usize>> = Vec::new();
    for i in (0..lines.len()).filter(|i| lines[*i].tag != ChangeTag::Equal) {
        match changes.last_mut() {
            Some(last) if i - last.end <= 2 * CONTEXT && lines[last.end..i].iter().all(Line::is_context) => {
                last.end = i + 1;
            }
            _ => changes.push(i..i + 1),
        }
    }
    changes.into_iter().map(|change| with_context(lines, change)).collect()
}

fn with_context(lines: &[Line<'_>], change: Range<usize>) -> Span {
    let (above, below) = (&lines[..change.start], &lines[change.end..]);
    let mut lead = above.iter().rev().take(CONTEXT).take_while(|line| line.is_context()).count();
    let mut trail = below.iter().take(CONTEXT).take_while(|line| line.is_context()).count();
    let cut_above = lead < CONTEXT.min(above.len());
    let cut_below = trail < CONTEXT.min(below.len());
    // A side with less context than the other tells patch that the file begins or ends there. One line below stays
    // all the same: without it git looks for the hunk at the end of the file.
    if cut_above {
        trail = trail.min(lead.max(1));
    }
    if cut_below {
        lead = lead.min(trail.max(1));
    }
    Span { lines: change.start - lead..change.end + trail, unplaced: cut_below && trail == 0 }
}

fn print(lines: &[Line<'_>], span: &Span) -> String {
    let count = |range: Range<usize>, other: ChangeTag| lines[range].iter().filter(|line| line.tag != other).count();
    let side = |other: ChangeTag| {
        let (before, len) = (count(0..span.lines.start, other), count(span.lines.clone(), other));
        // An empty side names the line before it.
        let start = if len == 0 { before } else { before + 1 };
        if len == 1 { start.to_string() } else { format!("{start},{len}") }
    };
    let mut text = format!("@@ -{} +{} @@\n", side(ChangeTag::Insert), side(ChangeTag::Delete));
    for line in &lines[span.lines.clone()] {
        let (sign, bare) = (line.tag, line.text.strip_suffix('\n'));
        let shown = bare.unwrap_or(line.text);
        let _ = match line.secret {
            Some(from) => writeln!(text, "{sign}{}{MASK}", &shown[..from.min(shown.len())]),
            None => writeln!(text, "{sign}{shown}"),
        };
        if bare.is_none() {
            text += "\\ No newline at end of file\n";
        }
    }
    text
}
