//! One step, written into the text. The editor's reading is lenient: [`super::prove`] decides whether it was right.

use std::str::FromStr;

use granit_parser::ScalarStyle;
use serde::de::IgnoredAny;
use yaml_edit::{AsYaml, Mapping, ScalarValue, Sequence, YamlFile, YamlNode};

use super::step::{Change, New, Segment, Step};

/// The text after the step. `None`: the editor does not find its place.
pub(super) fn write(text: &str, step: &Step) -> Option<String> {
    let file = YamlFile::from_str(text).ok()?;
    if file.to_string() != text {
        return None;
    }
    let mut node: Option<YamlNode> = None;
    for segment in &step.at {
        node = Some(match (&node, segment) {
            (None, Segment::Key(key)) => file.document()?.get(key)?,
            (Some(node), Segment::Key(key)) => node.as_mapping()?.get(key)?,
            (Some(node), Segment::Item(index)) => node.as_sequence()?.get(*index)?,
            (None, Segment::Item(_)) => return None,
        });
    }
    let node = node?;
    let value = |new| value(new, is_json(text));
    match &step.change {
        Change::Put(key, new) => node.as_mapping()?.set(key, &*value(new)),
        Change::Cut(key) => drop(node.as_mapping()?.remove(key)?),
        Change::Push(new) => node.as_sequence()?.push(&*value(new)),
        Change::PutItem(index, new) => drop(node.as_sequence()?.set(*index, &*value(new))),
        Change::CutItem(index) => drop(node.as_sequence()?.remove(*index)?),
    }
    Some(file.to_string())
}

/// Compose files may be JSON, and then other readers want them to stay that.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn value(new: &New, json: bool) -> Box<dyn AsYaml> {
    match new {
        New::Text(text, ScalarStyle::SingleQuoted) => Box::new(ScalarValue::single_quoted(text)),
        New::Text(text, ScalarStyle::Plain) => Box::new(ScalarValue::plain(text)),
        New::Text(text, _) => Box::new(ScalarValue::double_quoted(text)),
        New::Bare(text) => Box::new(ScalarValue::parse(text)),
        New::List(items) => {
            // In brackets: lists in lines would be indented by two, whatever the file does.
            let list = Sequence::new_flow();
            for item in items {
                list.push(&*value(item, json));
            }
            Box::new(list)
        }
        New::Map(entries) => {
            let map = Mapping::new();
            for (key, entry) in entries {
                let key = if json { ScalarValue::double_quoted(*key) } else { ScalarValue::plain(*key) };
                map.set(key, &*value(entry, json));
            }
            Box::new(map)
        }
    }
}
