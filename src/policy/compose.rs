//! What the site gives the services of its compose files: `[values.compose."PROJECT/SERVICE"]`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de::Error as _};
use wildmatch::WildMatch;

use crate::compose::Healthcheck;

/// Values by `PROJECT/SERVICE` or a pattern of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ComposeServices(BTreeMap<String, ComposeValues>);

/// Values for the services that one name or pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ComposeValues {
    /// Whom its processes run as: `UID` or `UID:GID`, not root.
    #[serde(deserialize_with = "user")]
    pub user: Option<String>,
    /// Capabilities that it keeps, all others are dropped. Empty: none.
    #[serde(deserialize_with = "capabilities")]
    pub capabilities: Option<Vec<String>>,
    /// Paths that stay writable, in memory, when its root file system is read-only.
    #[serde(deserialize_with = "tmpfs")]
    pub tmpfs: Option<Vec<String>>,
    /// The address of the host that its ports are published on.
    #[serde(deserialize_with = "address")]
    pub address: Option<IpAddr>,
    /// How it is asked whether it is well.
    pub healthcheck: Option<Healthcheck>,
}

impl ComposeServices {
    /// A service's value: from its own name, else from the longest pattern that matches it.
    pub fn value<T>(&self, name: &str, of: impl Fn(&ComposeValues) -> Option<T>) -> Option<T> {
        let found = self.0.iter().filter(|(pattern, _)| WildMatch::new(pattern).matches(name));
        let found = found.filter_map(|(pattern, values)| Some(((pattern == name, pattern.len()), of(values)?)));
        found.max_by_key(|(rank, _)| *rank).map(|(_, value)| value)
    }
}

fn user<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let number = |id: &str| !id.is_empty() && id.len() <= 10 && id.bytes().all(|byte| byte.is_ascii_digit());
    let root = text.split(':').next().is_some_and(|id| id.parse() == Ok(0_u64));
    if text.splitn(2, ':').all(number) && !root {
        return Ok(Some(text));
    }
    Err(D::Error::custom(format!("`{text}` is no UID or UID:GID other than root's, such as 1000:1000")))
}

fn capabilities<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let plain = |name: &String| {
        let upper = name.to_ascii_uppercase();
        upper.strip_prefix("CAP_").map_or_else(|| upper.clone(), str::to_owned)
    };
    let names: Vec<String> = names.iter().map(plain).collect();
    let fits = |name: &String| name != "ALL" && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    match names.iter().find(|name| name.is_empty() || !fits(name)) {
        Some(name) => Err(D::Error::custom(format!("`{name}` is no single capability such as NET_BIND_SERVICE"))),
        None => Ok(Some(names)),
    }
}

fn tmpfs<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let paths = Vec::<String>::deserialize(from)?;
    match paths.iter().find(|path| !path.starts_with('/') || path.chars().any(|c| c.is_control() || c == '$')) {
        Some(path) => Err(D::Error::custom(format!("`{path}` is no absolute path"))),
        None => Ok(Some(paths)),
    }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    let text = String::deserialize(from)?;
    match text.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() => Ok(Some(address)),
        _ => Err(D::Error::custom(format!("`{text}` is no address of one interface, such as 127.0.0.1"))),
    }
}
