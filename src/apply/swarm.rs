//! Changes of the swarm that this host manages, and the file that gets its unlock key.

use std::path::Path;

use serde_json::Value;

use super::io::sync_parent;
use crate::catalog::SwarmSetting;
use crate::host::{EngineError, Host, HostMut};
use crate::plan::{LiveChange, LiveState};

/// What every unlock key begins with (`encryption.HumanReadableKey` in swarmkit).
const KEY: &str = "SWMKEY-";

/// `Swarm` of `GET /info`, which does not hold the tokens that let a node join, as `GET /swarm` does.
fn info(host: &dyn Host, socket: &Path) -> std::result::Result<Value, EngineError> {
    let answer = host.engine(socket, &["/info".to_owned()]).into_iter().next();
    Ok(answer.unwrap_or_else(|| Err(EngineError::Broken("no answer".into())))?["Swarm"].clone())
}

/// How the swarm of a change stands; `None`: this node is not in it any more.
///
/// # Errors
/// Why a node that is in a swarm does not tell.
pub(super) fn now(
    host: &dyn Host,
    socket: &Path,
    change: &LiveChange,
    setting: SwarmSetting,
) -> std::result::Result<Option<LiveState>, String> {
    let swarm = info(host, socket).map_err(super::live::said)?;
    let cluster = &swarm["Cluster"];
    match (swarm["LocalNodeState"].as_str(), cluster["ID"].as_str().filter(|id| !id.is_empty())) {
        (Some("locked"), _) => Err("it is locked; run `docker swarm unlock` first".into()),
        (Some("inactive") | None, _) => Ok(None),
        (_, Some(id)) if id != change.id => Ok(None),
        (_, Some(_)) => match LiveState::of_swarm(setting, &cluster["Spec"]) {
            Some(state) => Ok(Some(state)),
            None => Err("the engine does not say".into()),
        },
        (Some(_), None) => Err("this node is no manager, or has no majority of managers".into()),
    }
}

/// Changes the specification of the swarm as it is now. Where it was changed in between, the Engine refuses.
pub(super) fn set(host: &mut dyn HostMut, socket: &Path, change: &LiveChange) -> std::result::Result<(), EngineError> {
    let key_file = |state: &LiveState| match state {
        LiveState::Autolock { key_file, .. } => key_file.clone(),
        _ => None,
    };
    let to = key_file(&change.after);
    if let Some(path) = &to {
        // Before there is a key: what cannot be written then is not locked.
        host.create(path).and_then(|()| host.sync(path)).map_err(|error| broken(path, &error))?;
        sync_parent(host, path).map_err(|failure| EngineError::Broken(failure.message))?;
    }
    let cluster = info(host.as_host(), socket)?["Cluster"].clone();
    let version = cluster["Version"]["Index"].as_u64().unwrap_or(0);
    let spec = change.after.in_spec(cluster["Spec"].clone());
    host.engine_post(socket, &format!("/swarm/update?version={version}"), Some(&spec))?;
    if let Some(path) = &to {
        keep_key(host, socket, path)?;
    }
    match key_file(&change.before) {
        Some(path) => drop_key(host, &path),
        None => Ok(()),
    }
}

/// Writes the unlock key to its file, and nowhere else.
fn keep_key(host: &mut dyn HostMut, socket: &Path, path: &Path) -> std::result::Result<(), EngineError> {
    let answer = host.engine(socket, &["/swarm/unlockkey".to_owned()]).into_iter().next();
    let answer = answer.unwrap_or_else(|| Err(EngineError::Broken("no answer".into())))?;
    let key = answer["UnlockKey"].as_str().filter(|key| key.starts_with(KEY));
    let key = key.ok_or_else(|| EngineError::Broken("the engine does not give the unlock key".into()))?;
    let written = host.append(path, format!("{key}\n").as_bytes());
    written.and_then(|()| host.sync(path)).map_err(|error| broken(path, &error))
}

/// Removes the file of a key that unlocks nothing any more, unless it holds something else by now.
fn drop_key(host: &mut dyn HostMut, path: &Path) -> std::result::Result<(), EngineError> {
    if !is_ours(host.as_host(), path) {
        return Ok(());
    }
    host.remove(path).map_err(|error| broken(path, &error))?;
    sync_parent(host, path).map_err(|failure| EngineError::Broken(failure.message))
}

/// Whether a file holds an unlock key, or nothing yet.
fn is_ours(host: &dyn Host, path: &Path) -> bool {
    host.read(path).is_ok_and(|bytes| bytes.is_empty() || bytes.starts_with(KEY.as_bytes()))
}

/// Whether autolock is off while the file for its key is there: a run, or its rollback, was killed between the two.
pub(super) fn key_file_is_left(host: &dyn Host, change: &LiveChange, now: &LiveState) -> bool {
    let files = [&change.before, &change.after].into_iter().filter_map(|state| match state {
        LiveState::Autolock { key_file, .. } => key_file.as_ref(),
        _ => None,
    });
    matches!(now, LiveState::Autolock { on: false, .. }) && files.into_iter().any(|path| is_ours(host, path))
}

fn broken(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::Broken(format!("{}: {error}", path.display()))
}
