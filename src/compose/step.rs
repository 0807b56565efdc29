//! Steps: what an edit comes down to, and what the document is to say after one.

use std::rc::Rc;

use granit_parser::ScalarStyle;

use super::text::truth;
use super::tree::{Kind, Node};

/// One change of one collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// The way to the collection, from the top of the file.
    pub(super) at: Vec<Segment>,
    pub(super) change: Change,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Segment {
    Key(String),
    Item(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Gives a key of a mapping a value; a new one comes last.
    Put(String, New),
    Cut(String),
    /// A new last item of a list.
    Push(New),
    PutItem(usize, New),
    CutItem(usize),
}

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum New {
    /// A text in these quotes.
    Text(String, ScalarStyle),
    /// `true` or a number.
    Bare(String),
    List(Vec<New>),
    Map(Vec<(&'static str, New)>),
}

impl New {
    /// A text in quotes: nothing in it means anything to any reader.
    pub(super) fn quoted(text: impl Into<String>) -> Self {
        Self::Text(text.into(), ScalarStyle::DoubleQuoted)
    }

    /// A text that stands for another, in quotes like that one: none where no reader needs them.
    pub(super) fn instead_of(node: Option<&Node>, text: impl Into<String>) -> Self {
        let text = text.into();
        let style = match node.map(|node| &node.kind) {
            Some(Kind::Text { style: ScalarStyle::Plain, .. }) if needs_no_quotes(&text) => ScalarStyle::Plain,
            Some(Kind::Text { style: ScalarStyle::SingleQuoted, .. }) => ScalarStyle::SingleQuoted,
            _ => ScalarStyle::DoubleQuoted,
        };
        Self::Text(text, style)
    }

    /// What a reader gets.
    pub(super) fn node(&self) -> Node {
        let shared = |new: &Self| Rc::new(new.node());
        Node::new(match self {
            Self::Text(text, style) => Kind::Text { text: text.clone(), style: *style },
            Self::Bare(text) => Kind::Text { text: text.clone(), style: ScalarStyle::Plain },
            Self::List(items) => Kind::List(items.iter().map(shared).collect()),
            Self::Map(entries) => {
                let entry = |(key, value): &(&str, Self)| (Rc::new(plain(key)), shared(value));
                Kind::Map(entries.iter().map(entry).collect())
            }
        })
    }
}

/// Paths and words that every YAML takes for text: they begin with no digit, and are not true, false or null.
fn needs_no_quotes(text: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/._:,=~-".contains(&byte);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic())
        || ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
    begins
        && text.bytes().all(safe)
        && !text.ends_with(':')
        && truth(text).is_none()
        && !text.eq_ignore_ascii_case("null")
}

fn plain(text: &str) -> Node {
    Node::new(Kind::Text { text: text.to_owned(), style: ScalarStyle::Plain })
}

impl Step {
    /// The document after the step. `None`: there is nothing of that kind at its place.
    pub(super) fn outcome(&self, root: &Node) -> Option<Node> {
        descend(root, &self.at, &self.change)
    }
}

fn descend(node: &Node, at: &[Segment], change: &Change) -> Option<Node> {
    let mut node = node.clone();
    match (at.split_first(), &mut node.kind) {
        (None, _) => return changed(node, change),
        (Some((Segment::Key(key), rest)), Kind::Map(entries)) => {
            let (_, value) = entries.iter_mut().find(|(name, _)| name.text() == Some(key))?;
            *value = Rc::new(descend(value, rest, change)?);
        }
        (Some((Segment::Item(index), rest)), Kind::List(items)) => {
            let item = items.get_mut(*index)?;
            *item = Rc::new(descend(item, rest, change)?);
        }
        _ => return None,
    }
    Some(node)
}

fn changed(mut node: Node, change: &Change) -> Option<Node> {
    match (&mut node.kind, change) {
        (Kind::Map(entries), Change::Put(key, new)) => {
            let value = Rc::new(new.node());
            match entries.iter_mut().find(|(name, _)| name.text() == Some(key)) {
                Some(entry) => entry.1 = value,
                None => entries.push((Rc::new(plain(key)), value)),
            }
        }
        (Kind::Map(entries), Change::Cut(key)) => {
            entries.remove(entries.iter().position(|(name, _)| name.text() == Some(key))?);
        }
        (Kind::List(items), Change::Push(new)) => items.push(Rc::new(new.node())),
        (Kind::List(items), Change::PutItem(index, new)) => *items.get_mut(*index)? = Rc::new(new.node()),
        (Kind::List(items), Change::CutItem(index)) if *index < items.len() => drop(items.remove(*index)),
        _ => return None,
    }
    Some(node)
}
