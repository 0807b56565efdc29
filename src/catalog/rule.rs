//! What is looked at in each container and in each image. One word a rule; what it means in words is in `words.rs`, how it
//! is decided in `audit/probe/container` and `audit/probe/image`.

use serde::{Deserialize, Serialize};

/// What is looked at in each container: what runs, not what a flag once said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ContainerRule {
    /// Its memory has a limit.
    Memory,
    /// Its processes cannot gain privileges.
    NoNewPrivileges,
    /// It is not privileged.
    Privileged,
}
