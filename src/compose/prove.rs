//! What a step wrote, held to what it was to write: the document says what is intended, and no other byte moved.

use std::ops::Range;

use super::EditError;
use super::step::{Change, Segment, Step};
use super::tree::{self, Node, Tree};
use super::write::{is_json, write};

/// Makes one step, and proves it.
///
/// # Errors
/// The result is not proven right; the file is then left alone.
pub(super) fn make(text: &str, tree: &Tree, step: &Step) -> Result<(String, Tree), EditError> {
    let place = Around::of(&tree.root, step);
    let line = place.as_ref().map_or(0, |place| place.line);
    let fail =
        |why: &str| EditError::new(line, format!("the edit is not certain to be right ({why}): nothing is done"));
    let place = place.ok_or_else(|| fail("its place is not in the file"))?;
    let intended = step.outcome(&tree.root).ok_or_else(|| fail("its place holds something else"))?;
    let new = write(text, step).ok_or_else(|| fail("the editor reads the file differently"))?;
    if !place.holds(text, &new) {
        return Err(fail("it would move other lines"));
    }
    if line_ends(text).is_some_and(|end| line_ends(&new) != Some(end)) {
        return Err(fail("it would mix line ends"));
    }
    if is_json(text) && !is_json(&new) {
        return Err(fail("it would be JSON no more"));
    }
    let after = tree::read(&new).map_err(|error| fail(&error.to_string()))?;
    if !after.root.same(&intended) {
        return Err(fail("it would not read as intended"));
    }
    Ok((new, after))
}

/// Where a step may change the text.
struct Around {
    line: usize,
    /// The value that is replaced or taken away; empty for what is new.
    range: Range<usize>,
    how: How,
}

enum How {
    Replaced,
    Inserted,
    Removed,
}

impl Around {
    fn of(root: &Node, step: &Step) -> Option<Self> {
        let collection = step.at.iter().try_fold(root, |node, segment| match segment {
            Segment::Key(key) => node.entry(key).map(|(_, value)| value),
            Segment::Item(index) => item(node, *index),
        })?;
        let (range, line, how) = match &step.change {
            Change::Put(key, _) => match collection.entry(key) {
                Some((name, value)) if value.is_null() && value.end <= name.end => (0..0, name.line, How::Inserted),
                Some((name, value)) => (name.end..value.end, name.line, How::Replaced),
                None => (0..0, collection.line, How::Inserted),
            },
            Change::Push(_) => (0..0, collection.line, How::Inserted),
            Change::PutItem(index, _) => {
                let old = item(collection, *index)?;
                (old.start..old.end, old.line, How::Replaced)
            }
            Change::Cut(key) => {
                let (name, value) = collection.entry(key)?;
                (name.start..name.end.max(value.end), name.line, How::Removed)
            }
            Change::CutItem(index) => {
                let old = item(collection, *index)?;
                (old.start..old.end, old.line, How::Removed)
            }
        };
        Some(Self { line, range, how })
    }

    /// Whether one contiguous piece changed, and that one.
    fn holds(&self, old: &str, new: &str) -> bool {
        let kept = |range: &Range<usize>| {
            let outside = old.len() - range.len();
            new.len() >= outside && new.starts_with(&old[..range.start]) && new.ends_with(&old[range.end..])
        };
        match self.how {
            How::Replaced => kept(&self.range),
            How::Inserted => shared(old, new) >= old.len(),
            How::Removed => {
                // With it go the dash, the blanks or the comma beside it, and a comment in its line.
                let before = old[..self.range.start].trim_end_matches([' ', '\t', '\r', '\n', ',', '-']).len();
                let behind = &old[self.range.end..];
                let rest = behind.trim_start_matches([' ', '\t', ',']);
                let rest = if rest.starts_with('#') { &rest[rest.find('\n').unwrap_or(rest.len())..] } else { rest };
                let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
                shared(new, old) >= new.len() && kept(&(before..old.len() - rest.len()))
            }
        }
    }
}

fn item(node: &Node, index: usize) -> Option<&Node> {
    match &node.kind {
        tree::Kind::List(items) => items.get(index).map(|item| &**item),
        _ => None,
    }
}

/// Bytes that two texts share at their start and, apart from those, at their end.
fn shared(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    head + a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count()
}

/// The line ends of a text, where they are all alike.
fn line_ends(text: &str) -> Option<&'static str> {
    let (all, windows) = (text.matches('\n').count(), text.matches("\r\n").count());
    match (all, windows, text.matches('\r').count()) {
        (1.., 0, 0) => Some("\n"),
        (1.., windows, returns) if windows == all && returns == all => Some("\r\n"),
        _ => None,
    }
}
