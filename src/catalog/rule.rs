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

/// What is looked at in each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImageRule {
    /// It has a health check.
    Healthcheck,
    /// No build step refreshes the package index without installing from it.
    UpdateAlone,
    /// Files came in by COPY.
    Add,
    /// No variable and no build argument has a name that means a secret.
    Secrets,
}

/// What is looked at in the swarm, from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SwarmRule {
    /// Swarm mode is off, or the swarm is used.
    Unused,
    /// An odd number of managers, seven at the most.
    Managers,
    /// Ports of the swarm are open on one address only.
    Listen,
    /// Traffic of overlay networks between nodes is encrypted.
    Overlay,
    /// Secrets are kept as secrets of the swarm.
    Secrets,
    /// Managers are locked after a restart.
    Autolock,
    /// The unlock key is changed now and then.
    UnlockKey,
    /// Certificates of nodes are short-lived.
    CertExpiry,
    /// The root certificate is changed now and then.
    Ca,
    /// Traffic of containers does not share an interface with that of the managers.
    DataPlane,
}
