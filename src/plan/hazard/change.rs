//! The change that hazards are looked for in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::catalog::{ContainerSetting, Edit, Hazard, Object, SwarmSetting};
use crate::plan::compose::Writing;
use crate::plan::proposal::Proposal;

/// What is being done for one check.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Slug of the check.
    pub check: String,
    /// What the remediation writes.
    pub edits: Vec<Edit>,
    /// Paths that are written or whose owner or mode changes, as configured (links not yet followed).
    pub files: Vec<PathBuf>,
    /// docker.service restarts for it, now or later.
    pub restart: bool,
    /// systemd reads its units again for it.
    pub daemon_reload: bool,
    /// The same plan sets live-restore by reload before that restart.
    pub live_restore_first: bool,
    /// Keys of the daemon's settings that take effect with the same restart, its own among them or not.
    pub together: Vec<String>,
    /// Values that the config gives, by key.
    pub values: BTreeMap<String, Value>,
    /// What the containers get that fail the check, or the swarm.
    pub containers: Vec<Proposal>,
    /// What is written for them into the compose files that they come from.
    pub composed: Vec<Writing>,
    /// Paths that our last run wrote and that were put back since.
    pub own_history: Vec<PathBuf>,
}

impl Change {
    /// The value that a setting of the daemon gets; `Null` when it is taken away or still to be chosen; `None` when
    /// the change is not about it.
    pub fn sets(&self, key: &str) -> Option<Value> {
        self.edits.iter().find_map(|edit| match edit {
            Edit::DaemonSetting { key: own, value } if own == key => {
                Some(value.clone().or_else(|| self.values.get(key).cloned()).unwrap_or(Value::Null))
            }
            Edit::DaemonSettingRemove { key: own } if own == key => Some(Value::Null),
            _ => None,
        })
    }

    /// The keys of the daemon's settings that it touches.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.edits.iter().filter_map(|edit| match edit {
            Edit::DaemonSetting { key, .. } | Edit::DaemonSettingRemove { key } => Some(key.as_str()),
            _ => None,
        })
    }

    /// The hazards that such a change can have, whatever the catalogue lists.
    pub fn implied(&self) -> BTreeSet<Hazard> {
        let mut hazards = BTreeSet::new();
        if !self.files.is_empty() {
            hazards.insert(Hazard::ForeignOwner);
        }
        if self.restart {
            hazards.extend([Hazard::StopsContainers, Hazard::Interrupts, Hazard::BreaksStartup]);
        }
        if self.daemon_reload {
            hazards.insert(Hazard::LosesDevices);
        }
        for key in self.keys() {
            hazards.extend([Hazard::VendorCommand, Hazard::NeedsValue]);
            hazards.extend(match key {
                "userns-remap" => [Hazard::HidesImages, Hazard::BreaksStartup].as_slice(),
                "icc" => &[Hazard::CutsTraffic, Hazard::BreaksStartup],
                "live-restore" => &[Hazard::Swarm],
                "userland-proxy" | "insecure-registries" | "iptables" | "ip6tables" => &[Hazard::CutsTraffic],
                "no-new-privileges" => &[Hazard::DropsPrivilege],
                _ => &[],
            });
        }
        for edit in &self.edits {
            match edit {
                Edit::Environment { name, .. } if name == "DOCKER_CONTENT_TRUST" => {
                    hazards.extend([Hazard::BreaksPulls, Hazard::Inert]);
                }
                Edit::FileAccess { object: Object::Named(name), .. } if name == "docker-socket" => {
                    hazards.insert(Hazard::CutsAccess);
                }
                Edit::Container(ContainerSetting::RestartPolicy) => {
                    hazards.extend([Hazard::NeedsValue, Hazard::StopsContainers]);
                }
                Edit::Container(ContainerSetting::Network) => {
                    hazards.extend([Hazard::NeedsValue, Hazard::CutsTraffic]);
                }
                Edit::Swarm(SwarmSetting::Autolock) => {
                    hazards.extend([Hazard::NeedsValue, Hazard::BreaksStartup]);
                }
                Edit::Container(_) | Edit::Swarm(_) => {
                    hazards.insert(Hazard::NeedsValue);
                }
                Edit::Compose(_) => hazards.extend([Hazard::NeedsValue, Hazard::StopsContainers]),
                _ => {}
            }
        }
        hazards
    }
}
