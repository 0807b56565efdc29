//! What a container wrote outside of its volumes: it is lost with the container.

use std::path::Path;

use serde_json::Value;

use super::super::model::{Known, Unknown};
use super::container::{Container, text};
use crate::host::{EngineError, Host};

/// The paths that a container changed in its own layer, innermost ones alone, sorted. With them go: both versions of
/// compose keep named and anonymous volumes when they make a container anew, and nothing else (measured with 1.29.2 on
/// 20.10.24 and 2.26.1 on 26.1.5).
///
/// Only for a daemon that runs: see [`Host::engine`].
///
/// # Errors
/// When the Engine does not tell.
pub fn written(host: &dyn Host, socket: &Path, container: &Container) -> Known<Vec<String>> {
    let question = format!("/containers/{}/changes", container.id);
    let why = |error: EngineError| match error {
        EngineError::Unreachable(why) | EngineError::Broken(why) | EngineError::Status(_, why) => why,
    };
    let unknown = |why: String| Unknown(format!("what container {} wrote is not known: {why}", container.name));
    let answer = host.engine(socket, &[question]).pop().ok_or_else(|| unknown("no answer".into()))?;
    let confinement = &container.confinement;
    let mounts = confinement.mounts.iter().map(|mount| mount.destination.as_str());
    let mounts = mounts.chain(confinement.tmpfs.iter().map(String::as_str));
    Ok(innermost(&answer.map_err(|error| unknown(why(error)))?, &mounts.collect::<Vec<_>>()))
}

/// A changed file has all folders above it in the list, and a place where something is mounted is made for it.
fn innermost(changes: &Value, mounts: &[&str]) -> Vec<String> {
    // Nothing changed: `null`.
    let mut paths: Vec<String> = changes.as_array().into_iter().flatten().map(|one| text(&one["Path"])).collect();
    paths.sort_unstable();
    let above = |path: &str, other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let inner = |path: &&String| {
        let made = mounts.iter().any(|mount| *mount == path.as_str() || above(path, mount));
        !made && !paths.iter().any(|other| above(path, other))
    };
    paths.iter().filter(inner).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn folders_above_and_places_of_mounts_are_no_loss() {
        let of = |paths: &[&str]| paths.iter().map(|path| json!({"Path": path, "Kind": 1})).collect::<Value>();
        let changes = of(&["/a", "/a/b", "/a/b/c", "/etc", "/etc/group", "/scratch", "/srv", "/srv/data", "/ab"]);
        assert_eq!(innermost(&changes, &["/scratch", "/srv/data"]), ["/a/b/c", "/ab", "/etc/group"]);
        assert!(innermost(&Value::Null, &[]).is_empty());
    }
}
