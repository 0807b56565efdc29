//! A host in one file: what `seaworthy facts` writes and `--facts FILE` reads. Also the base of every fixture.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seam::{Answer, EngineError, Group, Stat};

/// Version of the form; within it fields are only added.
pub const RECORDING_SCHEMA: u32 = 1;

/// Everything that was read of a host, keyed by how it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// [`RECORDING_SCHEMA`].
    pub schema_version: u32,
    /// Version of seaworthy that recorded it.
    pub tool_version: String,
    /// Seconds since the epoch.
    pub recorded_at: i64,
    /// Effective user id of the recorder; 0 saw everything.
    pub euid: u32,
    /// Recorded from an offline image.
    #[serde(default)]
    pub offline: bool,
    /// A path that is not listed does not exist. False in real recordings: there it was never asked for, and is
    /// unknown.
    #[serde(default)]
    pub complete: bool,
    /// Free words: where the recording comes from, or that it was made by hand.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Paths.
    #[serde(default)]
    pub files: BTreeMap<String, Node>,
    /// Answers of child processes by [`super::Query::key`]; `None`: the program is not installed.
    #[serde(default)]
    pub answers: BTreeMap<String, Option<Answer>>,
    /// Engine API answers by path.
    #[serde(default)]
    pub engine: BTreeMap<String, Result<Value, EngineError>>,
    /// User names by id; `None`: no such user.
    #[serde(default)]
    pub users: BTreeMap<u32, Option<String>>,
    /// Group names by id.
    #[serde(default)]
    pub groups: BTreeMap<u32, Option<String>>,
    /// Groups by name.
    #[serde(default)]
    pub groups_by_name: BTreeMap<String, Option<Group>>,
}

/// One path of a recording. What was not asked for is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// `lstat`; `None` with `absent` unset: not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stat: Option<Stat>,
    /// Nothing is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// It is there, but could not be read (permission).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// Content of a file, invalid UTF-8 replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Content was not UTF-8.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lossy: bool,
    /// Names in a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Vec<String>>,
    /// Extended attributes, values as text with invalid UTF-8 replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<(String, String)>,
}
