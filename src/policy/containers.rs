//! What the site gives its containers: `[values.containers."NAME"]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use wildmatch::WildMatch;

/// The least that dockerd takes for memory, in bytes (`linuxMinMemory` in moby's `daemon/daemon_unix.go`).
const LEAST_MEMORY: i64 = 6 << 20;
/// The period of a quota of processor time, in microseconds: dockerd's own for `--cpus`.
pub const CPU_PERIOD: i64 = 100_000;
/// The least quota that the kernel takes, in microseconds.
const LEAST_QUOTA: i64 = 1000;

/// Values by name of a container or pattern of names and images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Containers(BTreeMap<String, ContainerValues>);

/// Values for the containers that one name or pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ContainerValues {
    /// Memory and swap together in bytes; written like `512m` or `2g`.
    #[serde(deserialize_with = "memory")]
    pub memory: Option<i64>,
    /// Processor time in each [`CPU_PERIOD`], in microseconds; written as a number of processors, such as `1.5`.
    #[serde(deserialize_with = "quota")]
    pub cpus: Option<i64>,
    /// Processes and threads.
    #[serde(deserialize_with = "pids")]
    pub pids_limit: Option<i64>,
    /// Name of the network that it is on in place of the default bridge.
    #[serde(deserialize_with = "network")]
    pub network: Option<String>,
}

impl Containers {
    /// A container's value: from its own name, else from the longest pattern that matches its name or its image.
    pub fn value<T>(&self, name: &str, image: &str, of: impl Fn(&ContainerValues) -> Option<T>) -> Option<T> {
        let matches = |pattern: &str| {
            let pattern = WildMatch::new(pattern);
            pattern.matches(name) || pattern.matches(image)
        };
        let found = self.0.iter().filter(|(pattern, _)| matches(pattern));
        let found = found.filter_map(|(pattern, values)| Some(((pattern == name, pattern.len()), of(values)?)));
        found.max_by_key(|(rank, _)| *rank).map(|(_, value)| value)
    }
}

fn memory<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || D::Error::custom(format!("`{text}` is no size of 6m or more, such as 512m or 2g"));
    let size = bytes(&text).filter(|size| *size >= LEAST_MEMORY);
    size.map(Some).ok_or_else(wrong)
}

/// A number of bytes, with one of docker's letters behind it or none.
fn bytes(text: &str) -> Option<i64> {
    let (digits, unit) = match text.char_indices().last()? {
        (at, 'b' | 'B') => (&text[..at], 0),
        (at, 'k' | 'K') => (&text[..at], 10),
        (at, 'm' | 'M') => (&text[..at], 20),
        (at, 'g' | 'G') => (&text[..at], 30),
        (at, 't' | 'T') => (&text[..at], 40),
        _ => (text, 0),
    };
    // A sign or a blank is none of ours, and no host has more than a pebibyte.
    let number: i64 = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.checked_mul(1 << unit).filter(|size| *size <= 1 << 50)
}

fn quota<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let cpus = f64::deserialize(from)?;
    // Up to 8192, which is more than Linux runs on, every quota is exact.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range is checked below")]
    let quota = (cpus * CPU_PERIOD as f64).round() as i64;
    if (0.01..=8192.0).contains(&cpus) && quota >= LEAST_QUOTA {
        return Ok(Some(quota));
    }
    Err(D::Error::custom(format!("{cpus} is no number of processors from 0.01 up, such as 1.5")))
}

fn pids<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let limit = i64::deserialize(from)?;
    // Above the kernel's PID_MAX_LIMIT it would limit nothing.
    if (1..=1 << 22).contains(&limit) {
        return Ok(Some(limit));
    }
    Err(D::Error::custom(format!("{limit} is no number of processes from 1 up, such as 200")))
}

fn network<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    // What dockerd takes for a name (moby's `daemon/names`).
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let named = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain);
    // These are every container's.
    if named && !["bridge", "default", "host", "none"].contains(&name.as_str()) {
        return Ok(Some(name));
    }
    Err(D::Error::custom(format!("`{name}` is no network of one's own, such as shop")))
}
