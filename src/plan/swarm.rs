//! What the swarm gets: the site's values alone.

use std::path::Path;

use super::live::{LiveChange, LiveState};
use super::proposal::{Basis, Obstacle, Proposal};
use crate::catalog::SwarmSetting;
use crate::facts::Facts;
use crate::host::{Host, path};
use crate::policy::{CONFIG, Policy};

/// What a check would do to the swarm that this host manages.
pub(super) fn proposal(host: &dyn Host, facts: &Facts, policy: &Policy, setting: SwarmSetting) -> Proposal {
    let name = "swarm".to_owned();
    let cluster = facts.daemon.info.as_ref().map(|info| info["Swarm"]["Cluster"].clone()).unwrap_or_default();
    let id = cluster["ID"].as_str().unwrap_or_default().to_owned();
    let change = LiveState::of_swarm(setting, &cluster["Spec"])
        .ok_or_else(|| Obstacle { why: "the engine does not say".into(), first: "look at `docker info`".into() })
        .and_then(|before| {
            let after = value(host, policy, setting)?;
            Ok((LiveChange { name: name.clone(), id: id.clone(), before, after }, Basis::Config))
        });
    Proposal { name, id, change, blind: None }
}

fn value(host: &dyn Host, policy: &Policy, setting: SwarmSetting) -> Result<LiveState, Obstacle> {
    let values = &policy.values.swarm;
    let missing = |word: &str| Obstacle {
        why: format!("`{word}` has to be chosen"),
        first: format!("set `{word}` under [values.swarm] in {CONFIG}"),
    };
    match setting {
        SwarmSetting::CertExpiry => {
            let nanoseconds = values.cert_expiry.ok_or_else(|| missing("cert-expiry"))?;
            Ok(LiveState::CertExpiry { nanoseconds })
        }
        SwarmSetting::Autolock => {
            let file = values.unlock_key_file.as_ref().ok_or_else(|| missing("unlock-key-file"))?;
            match trouble(host, file) {
                Some(why) => Err(Obstacle {
                    why,
                    first: format!(
                        "set `unlock-key-file` under [values.swarm] in {CONFIG} to a file that is not there, in a folder \
                         that only root writes to"
                    ),
                }),
                None => Ok(LiveState::Autolock { on: true, key_file: Some(file.clone()) }),
            }
        }
    }
}

/// Why a file cannot take the key.
fn trouble(host: &dyn Host, file: &Path) -> Option<String> {
    let shown = file.display();
    match host.stat(file) {
        Ok(_) => return Some(format!("{shown} is there already")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Some(format!("{shown}: {error}")),
    }
    let folder = match path::resolve(host, file.parent()?) {
        Ok(folder) => folder,
        Err(error) => return Some(format!("the folder of {shown}: {error}")),
    };
    // Whoever can rename a folder on the way decides what is read there.
    let others = |at: &&Path| !host.stat(at).is_ok_and(|stat| stat.uid == 0 && stat.mode & 0o022 == 0);
    let open = folder.ancestors().find(others)?;
    Some(format!("{shown}: others than root write to {}", open.display()))
}
