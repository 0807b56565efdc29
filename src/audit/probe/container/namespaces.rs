//! Namespaces that a container shares with the host, itself or through another container.

use super::{Outcome, Seen};
use crate::catalog::{Namespace, Severity};
use crate::facts::{Container, Known, Unknown};

pub(super) fn run(seen: &Seen<'_>, which: Namespace, outcome: Outcome) -> Outcome {
    let (key, expected) = match which {
        Namespace::Network => ("NetworkMode", "a network of its own"),
        Namespace::Pid => ("PidMode", "process ids of its own"),
        Namespace::Ipc => ("IpcMode", "shared memory of its own"),
        Namespace::Uts => ("UTSMode", "a host name of its own"),
        Namespace::User => ("UsernsMode", "the daemon's choice"),
    };
    let outcome = outcome.expected(expected).source(format!("HostConfig.{key}"));
    match shared(seen, which) {
        Ok(Shared::No) => outcome.actual("not the host's"),
        Ok(Shared::Itself) if which == Namespace::User && seen.in_user_namespaces() == Ok(false) => {
            outcome.fails("the host's, once the daemon puts containers into user namespaces").severity(Severity::Low)
        }
        Ok(Shared::Itself) => outcome.fails("the host's"),
        Ok(Shared::Through(other)) => outcome.fails(format!("the host's, through container {}", other.name)),
        Err(why) => outcome.not_known(&why),
    }
}

/// How a namespace of the host is shared.
pub(super) enum Shared<'a> {
    No,
    Itself,
    /// Joined to this container, which shares it.
    Through(&'a Container),
}

/// Follows `container:ID` to whoever has the namespace.
///
/// # Errors
/// When a container on that way could not be read.
pub(super) fn shared<'a>(seen: &Seen<'a>, which: Namespace) -> Known<Shared<'a>> {
    let mut container = seen.container;
    // dockerd lets nobody join a container that joined another; the bound is against files that say so all the same.
    for _ in 0..=seen.containers.len() {
        if mode(container, which) == "host" {
            let itself = container.id == seen.container.id;
            return Ok(if itself { Shared::Itself } else { Shared::Through(container) });
        }
        let Some(other) = mode(container, which).strip_prefix("container:") else { return Ok(Shared::No) };
        let known = |one: &&Container| one.name == other || !other.is_empty() && one.id.starts_with(other);
        container = seen
            .containers
            .iter()
            .find(known)
            .ok_or_else(|| Unknown(format!("it joins container {other}, which could not be read")))?;
    }
    Ok(Shared::No)
}

fn mode(container: &Container, which: Namespace) -> &str {
    let spaces = &container.namespaces;
    match which {
        Namespace::Network => &spaces.network,
        Namespace::Pid => &spaces.pid,
        Namespace::Ipc => &spaces.ipc,
        Namespace::Uts => &spaces.uts,
        Namespace::User => &spaces.user,
    }
}
