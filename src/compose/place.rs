//! Places in a service: what is there, and why it may not be edited there.

use std::rc::Rc;

use super::EditError;
use super::step::{Change, New, Segment, Step};
use super::text::{is_interpolated, truth};
use super::tree::{Kind, Node, Tree};

/// A key of the service or deeper in it, there or not.
#[derive(Clone)]
pub(super) struct Place<'t> {
    tree: &'t Tree,
    path: Vec<Segment>,
    /// What compose reads there, behind aliases and merges. `None`: the key is not there, or holds nothing.
    node: Option<&'t Node>,
    tag: Option<&'t str>,
    /// The line of the key, of the nearest one around it while it is not there.
    line: usize,
    /// Why nothing here can be edited in place, with the line.
    locked: Option<(usize, String)>,
}

/// Finds a service.
///
/// # Errors
/// It is not there, or is made of something else as well: `extends`, `include`, an alias.
pub(super) fn service<'t>(tree: &'t Tree, name: &str) -> Result<Place<'t>, EditError> {
    let root = Place { tree, path: Vec::new(), node: Some(&tree.root), tag: None, line: 1, locked: None };
    if let Some((key, _)) = tree.root.entry("include") {
        return Err(EditError::new(key.line, "the file includes others, which seaworthy does not follow"));
    }
    let services = root.get("services");
    if services.node.is_none() {
        return Err(EditError::new(0, "the file has no `services`"));
    }
    let service = services.get(name);
    service.editable()?;
    let Some(node) = service.node else {
        return Err(EditError::new(service.line, format!("the file has no service `{name}`")));
    };
    if !matches!(node.kind, Kind::Map(_)) {
        return Err(EditError::new(service.line, format!("service `{name}` is no mapping")));
    }
    let extends = service.get("extends");
    if extends.node.is_some() {
        let message = format!("service `{name}` extends another, whose settings it adds to its own");
        return Err(EditError::new(extends.line, message));
    }
    Ok(service)
}

impl<'t> Place<'t> {
    /// What is there.
    pub(super) fn node(&self) -> Option<&'t Node> {
        self.node
    }

    /// The tag that stands in front of the value, though it holds nothing.
    pub(super) fn tag(&self) -> Option<&'t str> {
        self.tag
    }

    /// The place of a key in this mapping.
    pub(super) fn get(&self, key: &str) -> Self {
        let mut place = self.below(Segment::Key(key.to_owned()));
        let Some(map) = self.node else { return place };
        if !matches!(map.kind, Kind::Map(_)) {
            place.lock(self.line, format!("{} is no mapping", self.name()));
        } else if let Some((name, value)) = map.entry(key) {
            place.line = name.line;
            place.enter(value);
        } else if let Some((value, line)) = map.merged(key) {
            place.line = line;
            place.node = Some(value.resolved()).filter(|node| !node.is_null());
            place.lock(line, format!("`{key}` comes through `<<`"));
        }
        place
    }

    fn below(&self, segment: Segment) -> Self {
        let path = self.path.iter().cloned().chain([segment]).collect();
        Self { tree: self.tree, path, node: None, tag: None, line: self.line, locked: self.locked.clone() }
    }

    fn enter(&mut self, value: &'t Node) {
        let node = value.resolved();
        self.node = Some(node).filter(|node| !node.is_null());
        self.tag = value.tag().or_else(|| node.tag());
        if value.is_alias() {
            self.lock(self.line, format!("{} is an alias", self.name()));
        } else if self.tree.is_shared(value) {
            self.lock(self.line, format!("{} carries an anchor that other parts of the file use", self.name()));
        } else if let Some(tag) = value.tag() {
            self.lock(self.line, format!("{} carries the tag `{tag}`", self.name()));
        }
    }

    fn lock(&mut self, line: usize, why: String) {
        self.locked.get_or_insert((line, why));
    }

    fn name(&self) -> String {
        let keys = self.path.iter().rev().find_map(|segment| match segment {
            Segment::Key(key) => Some(format!("`{key}`")),
            Segment::Item(_) => None,
        });
        keys.unwrap_or_else(|| "the file".into())
    }

    /// The places of the items of a list; of none, while nothing is there.
    ///
    /// # Errors
    /// Something else is there.
    pub(super) fn items(&self) -> Result<Vec<Self>, EditError> {
        let Some(node) = self.node else { return Ok(Vec::new()) };
        let Kind::List(items) = &node.kind else {
            return Err(self.refuse(format!("{} is no list", self.name())));
        };
        let place = |(i, item): (usize, &'t Rc<Node>)| {
            let mut place = self.below(Segment::Item(i));
            place.line = item.line;
            place.enter(item);
            place
        };
        Ok(items.iter().enumerate().map(place).collect())
    }

    /// The text of a scalar; `None`: nothing is there.
    ///
    /// # Errors
    /// A list or a mapping is there.
    pub(super) fn text(&self) -> Result<Option<&'t str>, EditError> {
        match self.node {
            Some(node) if node.text().is_none() => Err(self.refuse(format!("{} is no single value", self.name()))),
            node => Ok(node.and_then(Node::text)),
        }
    }

    /// The text of a scalar that no variable has a part in.
    ///
    /// # Errors
    /// As [`Self::text`], and an interpolation.
    pub(super) fn literal(&self) -> Result<Option<&'t str>, EditError> {
        match self.text()? {
            Some(text) if is_interpolated(text) => Err(self.refuse_variable(text)),
            text => Ok(text),
        }
    }

    /// Whether true or false is there.
    ///
    /// # Errors
    /// Something else is.
    pub(super) fn truth(&self) -> Result<Option<bool>, EditError> {
        let Some(text) = self.literal()? else { return Ok(None) };
        let refuse = || self.refuse(format!("{} is `{text}`, neither true nor false", self.name()));
        truth(text).ok_or_else(refuse).map(Some)
    }

    /// A refusal at this place.
    pub(super) fn refuse(&self, message: impl Into<String>) -> EditError {
        EditError::new(self.line, message)
    }

    /// A refusal of a value that compose puts together from variables.
    pub(super) fn refuse_variable(&self, text: &str) -> EditError {
        self.refuse(format!("`{text}` comes from a variable: seaworthy does not know its value"))
    }

    fn editable(&self) -> Result<(), EditError> {
        match &self.locked {
            Some((line, why)) => Err(EditError::new(*line, format!("{why}: it has to be changed by hand"))),
            None => Ok(()),
        }
    }

    /// Writes a value here, over what is there.
    pub(super) fn put(&self, value: New) -> Result<Step, EditError> {
        self.step(|segment| match segment {
            Segment::Key(key) => Change::Put(key, value),
            Segment::Item(index) => Change::PutItem(index, value),
        })
    }

    /// Takes the key or the item away.
    pub(super) fn cut(&self) -> Result<Step, EditError> {
        self.step(|segment| match segment {
            Segment::Key(key) => Change::Cut(key),
            Segment::Item(index) => Change::CutItem(index),
        })
    }

    fn step(&self, change: impl FnOnce(Segment) -> Change) -> Result<Step, EditError> {
        self.editable()?;
        let mut at = self.path.clone();
        let last = at.pop().ok_or_else(|| self.refuse("the file itself is no value of a service"))?;
        Ok(Step { at, change: change(last) })
    }

    /// Appends items to the list here, or writes the list.
    pub(super) fn append(&self, items: Vec<New>) -> Result<Vec<Step>, EditError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let Some(node) = self.node else { return Ok(vec![self.put(New::List(items))?]) };
        self.editable()?;
        if !matches!(node.kind, Kind::List(_)) {
            return Err(self.refuse(format!("{} is no list", self.name())));
        }
        Ok(items.into_iter().map(|item| Step { at: self.path.clone(), change: Change::Push(item) }).collect())
    }

    /// Takes some of the items of the list here away, or the whole key when none would stay.
    pub(super) fn cut_items(&self, items: &[Self]) -> Result<Vec<Step>, EditError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        if items.len() == self.items()?.len() {
            return Ok(vec![self.cut()?]);
        }
        // From the end, so that the numbers of those before stay.
        items.iter().rev().map(Self::cut).collect()
    }
}
