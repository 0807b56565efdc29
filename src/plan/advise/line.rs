//! The command line that is put together.

use std::collections::BTreeMap;

use serde_json::Value;

use super::quote::{ask, quoted};
use crate::plan::diff;

/// What secrets are replaced by in recordings.
const MASK: &str = "********";

/// Options so far, what a person has to choose, and what has to be said.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    words: Vec<String>,
    /// What is done first, one command line each.
    pub(super) before: Vec<String>,
    /// What is done afterwards, one command line each.
    pub(super) after: Vec<String>,
    /// What each name stands for.
    pub(super) choices: BTreeMap<String, String>,
    /// What has to be said about it.
    pub(super) notes: Vec<String>,
}

impl Line {
    /// `--NAME`
    pub(super) fn flag(&mut self, name: &str) {
        self.words.push(format!("--{name}"));
    }

    /// `--NAME VALUE`
    pub(super) fn option(&mut self, name: &str, value: impl Into<String>) {
        self.flag(name);
        self.words.push(value.into());
    }

    /// `--NAME VALUE`, unless there is no value.
    pub(super) fn given(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) if !text.is_empty() => self.option(name, text.clone()),
            Value::Number(number) if number.as_i64().is_some_and(|n| n != 0) => self.option(name, number.to_string()),
            _ => {}
        }
    }

    /// `--NAME VALUE` for each text of a list.
    pub(super) fn each(&mut self, name: &str, list: &Value) {
        for text in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.option(name, text);
        }
    }

    /// `--NAME KEY=VALUE` for each entry of a map; a secret becomes a choice.
    pub(super) fn pairs(&mut self, name: &str, map: &Value) {
        for (key, value) in map.as_object().into_iter().flatten() {
            let value = self.told(key, value.as_str().unwrap_or_default(), &format!("the value of --{name} {key}"));
            self.option(name, format!("{key}={value}"));
        }
    }

    /// Something that has to be said, once.
    pub(super) fn note(&mut self, text: &str) {
        if !self.notes.iter().any(|known| known == text) {
            self.notes.push(text.to_owned());
        }
    }

    /// Goes on with what another one has.
    pub(super) fn append(&mut self, other: Self) {
        self.words.extend(other.words);
        self.choices.extend(other.choices);
        self.notes.extend(other.notes);
    }

    /// A word that is not an option.
    pub(super) fn word(&mut self, word: impl Into<String>) {
        self.words.push(word.into());
    }

    /// A place in a word that a person fills in.
    pub(super) fn choose(&mut self, name: &str, what: impl Into<String>) -> String {
        self.choices.entry(name.to_owned()).or_insert_with(|| what.into());
        ask(name)
    }

    /// The text, or a place for it where it is a secret as far as its name and form can tell.
    pub(super) fn told(&mut self, name: &str, text: &str, what: &str) -> String {
        let secret = diff::is_secret_value(name, text) || text.contains(MASK) || diff::masked(text) != text;
        if !secret {
            return text.to_owned();
        }
        let number = 1 + self.choices.keys().filter(|name| name.starts_with("SECRET_")).count();
        self.choose(&format!("SECRET_{number}"), format!("{what}, which is not shown"))
    }

    /// As [`Self::told`] for the words of a command: what follows `--password` is one.
    pub(super) fn told_all(&mut self, words: &[String], what: &str) -> Vec<String> {
        let mut flag = String::new();
        let told = |word: &String| {
            let behind = std::mem::replace(&mut flag, word.clone());
            let name = behind.strip_prefix("--").filter(|flag| !flag.contains('=')).unwrap_or_default();
            self.told(name, word, what)
        };
        words.iter().map(told).collect()
    }

    /// The whole line.
    pub(super) fn text(&self) -> String {
        joined(&self.words)
    }
}

/// Words as bash reads them.
pub(super) fn joined<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(" ")
}
