//! The strict reading of a compose file, with the place of everything in it.
//!
//! Compose itself reads with a parser of YAML 1.1 and takes less than YAML allows; what this reading refuses is what
//! the two could understand differently, or what nobody can say how it is meant.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::EditError;

/// Longer files are no compose files.
const MAX_BYTES: usize = 1 << 20;

/// Nodes of a document with all aliases written out: more is an attack, or as slow as one.
const MAX_NODES: usize = 100_000;

/// Levels of brackets, and of indentation; compose files have ten.
const MAX_DEPTH: usize = 64;

/// A value of the document.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Where it begins, in bytes; an anchor or a tag in front of it is not counted.
    pub(super) start: usize,
    /// Behind its last byte that is no blank and no comment.
    pub(super) end: usize,
    /// Line from 1; 0 for a value that is to be written.
    pub(super) line: usize,
    /// Number of its anchor; 0: it has none.
    anchor: usize,
    tag: Option<String>,
    /// Nodes in it, aliases written out.
    size: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text { text: String, style: ScalarStyle },
    List(Vec<Rc<Node>>),
    Map(Vec<Pair>),
    Alias(Rc<Node>),
}

/// An entry of a mapping.
pub(super) type Pair = (Rc<Node>, Rc<Node>);

/// A whole document.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) root: Rc<Node>,
    /// Anchors that some alias names.
    used: HashSet<usize>,
}

impl Node {
    /// A value that is to be written.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, start: 0, end: 0, line: 0, anchor: 0, tag: None, size: 0 }
    }

    /// Behind an alias what it stands for.
    pub(super) fn resolved(&self) -> &Self {
        match &self.kind {
            Kind::Alias(target) => target.resolved(),
            _ => self,
        }
    }

    pub(super) fn is_alias(&self) -> bool {
        matches!(self.kind, Kind::Alias(_))
    }

    pub(super) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is a scalar without quotes.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Text { style: ScalarStyle::Plain, .. })
    }

    /// Whether it holds nothing: `key:`, `key: ~`, `key: null`.
    pub(super) fn is_null(&self) -> bool {
        self.is_plain() && matches!(self.text(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// The entries of a mapping, those of others are none.
    pub(super) fn entries(&self) -> &[Pair] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of a key that stands in this mapping itself.
    pub(super) fn entry(&self, key: &str) -> Option<(&Self, &Self)> {
        let found = self.entries().iter().find(|(name, _)| name.text() == Some(key));
        found.map(|(name, value)| (&**name, &**value))
    }

    /// What a key has through `<<`, and the line of that. Of several mappings the first one counts.
    pub(super) fn merged(&self, key: &str) -> Option<(&Self, usize)> {
        let (name, value) = self.entry("<<").filter(|(name, _)| name.is_plain())?;
        let sources: Vec<&Self> = match &value.resolved().kind {
            Kind::List(items) => items.iter().map(|item| item.resolved()).collect(),
            _ => vec![value.resolved()],
        };
        sources.into_iter().find_map(|source| {
            let own = source.entry(key).map(|(_, value)| value);
            own.or_else(|| source.merged(key).map(|(value, _)| value)).map(|value| (value, name.line))
        })
    }

    /// Whether a reader gets the same from both. The order of keys counts.
    pub(super) fn same(&self, other: &Self) -> bool {
        let (a, b) = (self.resolved(), other.resolved());
        let kind = match (&a.kind, &b.kind) {
            (Kind::Text { text: x, .. }, Kind::Text { text: y, .. }) => x == y && a.is_plain() == b.is_plain(),
            (Kind::List(x), Kind::List(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.same(y)),
            (Kind::Map(x), Kind::Map(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.0.same_key(&y.0) && x.1.same(&y.1))
            }
            _ => false,
        };
        kind && a.tag == b.tag
    }
}

impl Node {
    /// Keys are texts, in quotes or not; but `"<<"` merges nothing.
    fn same_key(&self, other: &Self) -> bool {
        self.text() == other.text() && (self.text() != Some("<<") || self.is_plain() == other.is_plain())
    }
}

impl Tree {
    /// Whether other parts of the file name this node's anchor.
    pub(super) fn is_shared(&self, node: &Node) -> bool {
        self.used.contains(&node.anchor)
    }
}

/// Reads a file without its byte order mark.
///
/// # Errors
/// No YAML, several documents, duplicate keys, keys that are no texts, aliases without end, characters that end a
/// line in YAML 1.1 and not in 1.2, files of absurd size.
pub(super) fn read(text: &str) -> Result<Tree, EditError> {
    if text.len() > MAX_BYTES {
        return Err(EditError::new(0, "the file is larger than 1 MiB"));
    }
    if let Some(at) = text.find(odd) {
        let line = text[..at].matches('\n').count() + 1;
        return Err(EditError::new(
            line,
            "holds a control character, or one that only some readers take for a line end",
        ));
    }
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        used: HashSet::new(),
        nodes: 0,
        last: 0,
    };
    reader.document().map(|root| Tree { root, used: reader.used })
}

/// NEL, LS and PS end a line, and so a comment, for readers of YAML 1.1 only.
fn odd(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Rc<Node>>,
    used: HashSet<usize>,
    nodes: usize,
    /// Behind the last scalar, alias or bracket.
    last: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), EditError> {
        match self.parser.next() {
            Some(next) => next.map_err(|error| from_scan(&error)),
            None => Err(EditError::new(0, "the file ends too early")),
        }
    }

    fn document(&mut self) -> Result<Rc<Node>, EditError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a second document begins here; compose reads them all, seaworthy edits one";
                    return Err(EditError::new(span.start.line(), message));
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span)?);
                }
                Event::StreamEnd => break,
                _ => return Err(EditError::new(span.start.line(), "something follows the document")),
            }
        }
        match root {
            Some(root) if matches!(root.kind, Kind::Map(_)) => Ok(root),
            _ => Err(EditError::new(0, "the file holds no mapping")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Rc<Node>, EditError> {
        let (start, line) = (offset(&span.start), span.start.line());
        let (kind, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                // Nothing at all stands at the next token, which may be lines away.
                if !span.is_empty() {
                    self.last = offset(&span.end);
                }
                (Kind::Text { text: text.into_owned(), style }, anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (Kind::List(self.items()?), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Kind::Map(self.pairs()?), anchor, tag),
            Event::Alias(id) => {
                let target = self.anchors.get(&id).cloned();
                self.used.insert(id);
                self.last = offset(&span.end);
                (Kind::Alias(target.ok_or_else(|| EditError::new(line, "an alias inside what it names"))?), 0, None)
            }
            _ => return Err(EditError::new(line, "a value is missing")),
        };
        let size = 1 + match &kind {
            Kind::Text { .. } => 0,
            Kind::List(items) => items.iter().map(|item| item.size).sum(),
            Kind::Map(pairs) => pairs.iter().map(|(key, value)| key.size + value.size).sum(),
            Kind::Alias(target) => target.size,
        };
        self.nodes = self.nodes.max(size);
        if self.nodes > MAX_NODES {
            return Err(EditError::new(line, "too many values, with aliases written out"));
        }
        let tag = tag.map(|tag: std::borrow::Cow<'_, Tag>| tag.to_string());
        let node = Rc::new(Node { kind, start, end: self.last.max(start), line, anchor, tag, size });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn items(&mut self) -> Result<Vec<Rc<Node>>, EditError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => {
                    self.close(&span);
                    return Ok(items);
                }
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn pairs(&mut self) -> Result<Vec<Pair>, EditError> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, span) => {
                    self.close(&span);
                    return Ok(pairs);
                }
                (event, span) => self.node(event, span)?,
            };
            let Some(name) = key.text().filter(|_| key.tag.is_none()) else {
                return Err(EditError::new(key.line, "a key that is no plain text"));
            };
            if let Some(first) = lines.insert(name.to_owned(), key.line) {
                let message = format!("key `{name}` is there twice, first in line {first}");
                return Err(EditError::new(key.line, message));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            pairs.push((key, value));
        }
    }

    /// A collection in brackets ends behind them, one in lines with the last thing in it.
    fn close(&mut self, span: &Span) {
        if !span.is_empty() {
            self.last = offset(&span.end);
        }
    }
}

fn offset(marker: &Marker) -> usize {
    marker.byte_offset().unwrap_or_default()
}

fn from_scan(error: &ScanError) -> EditError {
    EditError::new(error.marker().line(), error.info())
}
