//! What the site wants of its swarm: `[values.swarm]`.

use std::path::{Component, PathBuf};

use serde::{Deserialize, Deserializer, de::Error as _};

/// An hour in nanoseconds, the least that a manager takes (`MinNodeCertExpiration` in swarmkit's `ca/config.go`).
const HOUR: i64 = 3_600_000_000_000;
/// Beyond docker's own 90 days nothing is shortened.
const MOST: i64 = 90 * 24 * HOUR;

/// Values for the swarm that this host manages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SwarmValues {
    /// For how long certificates of nodes are good, in nanoseconds; written like `48h`.
    #[serde(deserialize_with = "expiry")]
    pub cert_expiry: Option<i64>,
    /// The file, not there yet, that gets the unlock key when autolock is switched on.
    #[serde(deserialize_with = "key_file")]
    pub unlock_key_file: Option<PathBuf>,
}

fn expiry<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(from)?;
    let hours = text.strip_suffix('h').filter(|hours| hours.bytes().all(|byte| byte.is_ascii_digit()));
    let long = hours.and_then(|hours| hours.parse::<i64>().ok()?.checked_mul(HOUR));
    let wrong = || D::Error::custom(format!("`{text}` is no number of hours from 1h to 2160h, such as 48h"));
    long.filter(|long| (HOUR..=MOST).contains(long)).map(Some).ok_or_else(wrong)
}

fn key_file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(from)?;
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if path.is_absolute() && plain && path.file_name().is_some() {
        return Ok(Some(path));
    }
    Err(D::Error::custom(format!("`{}` is no absolute path of a file, such as /root/swarm.key", path.display())))
}
