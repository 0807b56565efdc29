//! What is looked at in each container and in each image. One word a rule; what it means in words is in `words.rs`, how it
//! is decided in `audit/probe/container` and `audit/probe/image`.

use serde::{Deserialize, Serialize};

/// What is looked at in each container: what runs, not what a flag once said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ContainerRule {
    /// The processor time that it gets has a limit, or a share of its own.
    Cpu,
    /// Its memory has a limit.
    Memory,
    /// The number of its processes has a limit.
    PidsLimit,
    /// Its processes cannot gain privileges.
    NoNewPrivileges,
    /// It is not privileged.
    Privileged,
    /// A container that cannot start is not started again for ever.
    RestartPolicy,
}

/// What the Engine can change in a container that exists, while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerSetting {
    /// How much memory it may take, swap included.
    Memory,
    /// How much processor time it may take.
    Cpus,
    /// How many processes and threads it may have.
    PidsLimit,
    /// Whether and how often it is started again.
    RestartPolicy,
}
