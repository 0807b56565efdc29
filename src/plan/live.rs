//! What is changed in a container that exists, or in the swarm, through the Engine's API: its state before and after, as
//! small values.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalog::{ContainerSetting, Edit, SwarmSetting};
use crate::compose::ServiceEdit;
use crate::facts::Container;
use crate::facts::workload::UNLIMITED_MEMORY;
use crate::policy::CPU_PERIOD;

/// One setting that the Engine changes while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveSetting {
    /// Of a container.
    Container(ContainerSetting),
    /// Of the swarm.
    Swarm(SwarmSetting),
}

impl LiveSetting {
    /// The one that an edit is about.
    pub fn of(edit: &Edit) -> Option<Self> {
        match edit {
            Edit::Container(setting) => Some(Self::Container(*setting)),
            Edit::Swarm(setting) => Some(Self::Swarm(*setting)),
            _ => None,
        }
    }
}

/// One setting of one container, or of the swarm, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveChange {
    /// Name of the container; `swarm`.
    pub name: String,
    /// Its full id: another container may have its name, and this node be in another swarm, by the time of the rollback.
    pub id: String,
    /// As the plan found it. `apply` refuses when it is different by then.
    pub before: LiveState,
    /// As it will be.
    pub after: LiveState,
}

/// How one setting of a container, or of the swarm, stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "setting")]
pub enum LiveState {
    /// Limits in bytes.
    Memory {
        /// Memory; 0: no limit.
        limit: i64,
        /// Memory and swap together; -1: no limit; 0: none was given.
        swap: i64,
    },
    /// Processor time.
    Cpus {
        /// Microseconds in each period; 0: no limit.
        quota: i64,
        /// Length of the period in microseconds.
        period: i64,
    },
    /// Processes and threads.
    PidsLimit {
        /// 0: no limit.
        limit: i64,
    },
    /// What happens when it ends.
    RestartPolicy {
        /// `no`, `always`, `unless-stopped`, `on-failure`.
        name: String,
        /// How often `on-failure` tries; 0: without end.
        retries: i64,
    },
    /// Where a container is.
    Networks {
        /// Names, sorted.
        names: Vec<String>,
    },
    /// Certificates of the swarm's nodes.
    CertExpiry {
        /// For how long they are good, in nanoseconds.
        nanoseconds: i64,
    },
    /// Whether the swarm's managers have to be unlocked after a restart.
    Autolock {
        /// They have to.
        on: bool,
        /// Where the unlock key is written when this is brought about; `None`: nowhere.
        key_file: Option<PathBuf>,
    },
}

/// An hour in nanoseconds.
const HOUR: i64 = 3_600_000_000_000;
/// The network of every container that was given no other.
pub(super) const DEFAULT_BRIDGE: &str = "bridge";

/// Memory and swap together without a limit, in bytes: the most that the kernel keeps, in whole pages.
const UNLIMITED_SWAP: i64 = i64::MAX - 4095;

impl LiveState {
    /// How a container stands.
    pub fn of(setting: ContainerSetting, container: &Container) -> Self {
        let has = &container.confinement;
        match setting {
            ContainerSetting::Memory => Self::Memory { limit: has.memory, swap: has.memory_swap },
            // dockerd makes a quota of `--cpus`, for the same period.
            ContainerSetting::Cpus if has.nano_cpus > 0 => {
                Self::Cpus { quota: has.nano_cpus / (1_000_000_000 / CPU_PERIOD), period: CPU_PERIOD }
            }
            ContainerSetting::Cpus if has.cpu_quota == 0 => Self::Cpus { quota: 0, period: CPU_PERIOD },
            ContainerSetting::Cpus => {
                let period = if has.cpu_period == 0 { CPU_PERIOD } else { has.cpu_period };
                Self::Cpus { quota: has.cpu_quota, period }
            }
            ContainerSetting::PidsLimit => Self::PidsLimit { limit: has.pids.max(0) },
            ContainerSetting::RestartPolicy => {
                let name = if container.restart.is_empty() { "no" } else { &container.restart };
                Self::RestartPolicy { name: name.to_owned(), retries: container.restart_count }
            }
            ContainerSetting::Network => {
                let mut names: Vec<String> = container.networks.iter().map(|(name, _)| name.clone()).collect();
                if names.is_empty() && container.on_default_bridge() {
                    names.push(DEFAULT_BRIDGE.into());
                }
                names.sort_unstable();
                Self::Networks { names }
            }
        }
    }

    /// How the swarm stands, by `Swarm.Cluster.Spec` of `GET /info`. `None`: it says nothing about that.
    pub fn of_swarm(setting: SwarmSetting, spec: &Value) -> Option<Self> {
        Some(match setting {
            SwarmSetting::Autolock => {
                Self::Autolock { on: spec["EncryptionConfig"]["AutoLockManagers"].as_bool()?, key_file: None }
            }
            SwarmSetting::CertExpiry => Self::CertExpiry { nanoseconds: spec["CAConfig"]["NodeCertExpiry"].as_i64()? },
        })
    }

    /// Which setting it is.
    pub fn setting(&self) -> LiveSetting {
        match self {
            Self::Memory { .. } => LiveSetting::Container(ContainerSetting::Memory),
            Self::Cpus { .. } => LiveSetting::Container(ContainerSetting::Cpus),
            Self::PidsLimit { .. } => LiveSetting::Container(ContainerSetting::PidsLimit),
            Self::RestartPolicy { .. } => LiveSetting::Container(ContainerSetting::RestartPolicy),
            Self::Networks { .. } => LiveSetting::Container(ContainerSetting::Network),
            Self::CertExpiry { .. } => LiveSetting::Swarm(SwarmSetting::CertExpiry),
            Self::Autolock { .. } => LiveSetting::Swarm(SwarmSetting::Autolock),
        }
    }

    /// Whether a container that was brought here and now stands at `now` is where it should be. Where the kernel does
    /// not count swap, dockerd says so and leaves swap without a limit.
    pub fn reached(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Memory { limit, .. }, Self::Memory { limit: now, swap: -1 }) => limit == now,
            (Self::Autolock { on, .. }, Self::Autolock { on: now, .. }) => on == now,
            _ => self == now,
        }
    }

    /// The same in a compose file; `None`: a file says it by not saying it.
    pub(super) fn service_edit(&self) -> Option<ServiceEdit> {
        let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
        match self {
            Self::Memory { limit, .. } => positive(*limit).map(ServiceEdit::MemoryLimit),
            Self::Cpus { quota, period } => {
                let hundredths = positive(*quota)?.checked_mul(100)? / positive(*period)?;
                u32::try_from(hundredths).ok().map(|hundredths| ServiceEdit::Cpus(f64::from(hundredths) / 100.0))
            }
            Self::PidsLimit { limit } => u32::try_from(positive(*limit)?).ok().map(ServiceEdit::PidsLimit),
            Self::RestartPolicy { name, retries } if name == "on-failure" => {
                u32::try_from(positive(*retries)?).ok().map(ServiceEdit::RestartOnFailure)
            }
            Self::RestartPolicy { .. } | Self::Networks { .. } | Self::CertExpiry { .. } | Self::Autolock { .. } => {
                None
            }
        }
    }

    /// Whether it is a limit that dockerd cannot take away again as if it had never been.
    pub fn is_unlimited_memory(&self) -> bool {
        matches!(self, Self::Memory { limit: 0, .. })
    }

    /// The body of `POST /containers/ID/update` that brings a container here. 0 stands for "as it is" there, so what
    /// has no limit is said otherwise: memory by [`UNLIMITED_MEMORY`], a quota and a number of processes by -1 (measured
    /// with 20.10.24 and 26.1.5, with restarts of the container).
    pub fn request(&self) -> Value {
        match self {
            // Memory alone is refused where there was no limit: dockerd takes the swap of before for one.
            Self::Memory { limit: 0, .. } => json!({"Memory": UNLIMITED_MEMORY, "MemorySwap": UNLIMITED_SWAP}),
            Self::Memory { limit, swap: 0 } => json!({"Memory": limit, "MemorySwap": -1}),
            Self::Memory { limit, swap } => json!({"Memory": limit, "MemorySwap": swap}),
            Self::Cpus { quota: 0, period } => json!({"CpuQuota": -1, "CpuPeriod": period}),
            Self::Cpus { quota, period } => json!({"CpuQuota": quota, "CpuPeriod": period}),
            Self::PidsLimit { limit: 0 } => json!({"PidsLimit": -1}),
            Self::PidsLimit { limit } => json!({"PidsLimit": limit}),
            Self::RestartPolicy { name, retries } => {
                json!({"RestartPolicy": {"Name": name, "MaximumRetryCount": retries}})
            }
            // These have calls of their own.
            Self::Networks { .. } | Self::CertExpiry { .. } | Self::Autolock { .. } => Value::Null,
        }
    }

    /// A swarm's specification with this setting in it.
    pub fn in_spec(&self, mut spec: Value) -> Value {
        match self {
            Self::CertExpiry { nanoseconds } => spec["CAConfig"]["NodeCertExpiry"] = (*nanoseconds).into(),
            Self::Autolock { on, .. } => spec["EncryptionConfig"]["AutoLockManagers"] = (*on).into(),
            _ => {}
        }
        spec
    }

    /// The same as arguments of `docker update`.
    fn arguments(&self) -> String {
        let request = self.request();
        let number = |key: &str| request[key].as_i64().unwrap_or_default();
        match self {
            Self::Memory { .. } => {
                format!("--memory {} --memory-swap {}", short(number("Memory")), short(number("MemorySwap")))
            }
            Self::Cpus { period, .. } => format!("--cpu-period {period} --cpu-quota {}", number("CpuQuota")),
            Self::PidsLimit { .. } => format!("--pids-limit {}", number("PidsLimit")),
            Self::RestartPolicy { .. } => format!("--restart {}", self.shown()),
            Self::CertExpiry { nanoseconds } if nanoseconds % HOUR == 0 => {
                format!("--cert-expiry {}h", nanoseconds / HOUR)
            }
            Self::CertExpiry { nanoseconds } => format!("--cert-expiry {nanoseconds}ns"),
            Self::Autolock { on, .. } => format!("--autolock={on}"),
            Self::Networks { .. } => String::new(),
        }
    }

    /// The value for a person, such as `256 MiB`.
    pub fn shown(&self) -> String {
        match self {
            Self::Memory { limit: 0, .. } | Self::Cpus { quota: 0, .. } | Self::PidsLimit { limit: 0 } => {
                "unlimited".into()
            }
            Self::Memory { limit, .. } => size(*limit),
            Self::Cpus { quota, period } => {
                let hundredths = i128::from(*quota) * 100 / i128::from((*period).max(1));
                let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Self::PidsLimit { limit } => limit.to_string(),
            Self::RestartPolicy { name, retries: 0 } => name.clone(),
            Self::RestartPolicy { name, retries } => format!("{name}:{retries}"),
            Self::Networks { names } if names.is_empty() => "none".into(),
            Self::Networks { names } => names.join(", "),
            Self::CertExpiry { nanoseconds } if nanoseconds % HOUR == 0 && *nanoseconds > 96 * HOUR => {
                format!("{} days", nanoseconds / (24 * HOUR))
            }
            Self::CertExpiry { nanoseconds } if nanoseconds % HOUR == 0 => format!("{} hours", nanoseconds / HOUR),
            Self::CertExpiry { nanoseconds } => format!("{} seconds", nanoseconds / 1_000_000_000),
            Self::Autolock { on: true, key_file: Some(path) } => format!("on, its unlock key in {}", path.display()),
            Self::Autolock { on, .. } => if *on { "on" } else { "off" }.into(),
        }
    }

    /// The setting for a person.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory",
            Self::Cpus { .. } => "processors",
            Self::PidsLimit { .. } => "processes",
            Self::RestartPolicy { .. } => "restart policy",
            Self::Networks { .. } => "network",
            Self::CertExpiry { .. } => "life of nodes' certificates",
            Self::Autolock { .. } => "autolock",
        }
    }
}

impl LiveChange {
    /// The command that does the same, as a person would type it.
    pub fn command(&self) -> String {
        let Self { name, before, after, .. } = self;
        match (before, after) {
            (LiveState::Networks { names: before }, LiveState::Networks { names: after }) => {
                let only = |these: &[String], those: &[String], what: &str| -> Vec<String> {
                    let some = these.iter().filter(|one| !those.contains(one));
                    some.map(|one| format!("docker network {what} {one} {name}")).collect()
                };
                [only(after, before, "connect"), only(before, after, "disconnect")].concat().join(" && ")
            }
            _ if self.of_swarm() => format!("docker swarm update {}", after.arguments()),
            _ => format!("docker update {} {name}", after.arguments()),
        }
    }

    /// Whether it is about the swarm, not about a container.
    pub fn of_swarm(&self) -> bool {
        matches!(self.after.setting(), LiveSetting::Swarm(_))
    }

    /// What is changed: `container web`, `swarm`.
    pub fn subject(&self) -> String {
        if self.of_swarm() { self.name.clone() } else { format!("container {}", self.name) }
    }

    /// `container web: memory 256 MiB (was unlimited)`
    pub fn told(&self) -> String {
        let Self { before, after, .. } = self;
        format!("{}: {} {} (was {})", self.subject(), after.what(), after.shown(), before.shown())
    }

    /// Whether what is now is neither its begin nor its end, but what it passes on the way: on the old network and on
    /// the new one.
    pub fn passes(&self, now: &LiveState) -> bool {
        match (&self.before, &self.after, now) {
            (
                LiveState::Networks { names: before },
                LiveState::Networks { names: after },
                LiveState::Networks { names: now },
            ) => {
                let from_both = before.iter().chain(after).all(|one| now.contains(one));
                from_both && now.iter().all(|one| before.contains(one) || after.contains(one))
            }
            _ => false,
        }
    }

    /// The way back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { before: self.after.clone(), after: self.before.clone(), ..self.clone() }
    }
}

/// Bytes in the largest unit in which they are whole.
pub(super) fn size(bytes: i64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes >= 1 << shift && bytes % (1 << shift) == 0);
    whole.map_or_else(|| format!("{bytes} bytes"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// Bytes as docker's options take them.
fn short(bytes: i64) -> String {
    if bytes > 0 && bytes % (1 << 20) == 0 { format!("{}m", bytes >> 20) } else { bytes.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: LiveState, after: LiveState) -> LiveChange {
        LiveChange { name: "web".into(), id: "ab".into(), before, after }
    }

    #[test]
    fn what_is_told_and_what_a_person_would_type() {
        let memory = |limit, swap| LiveState::Memory { limit, swap };
        let there = change(memory(0, 0), memory(256 << 20, 256 << 20));
        assert_eq!(there.told(), "container web: memory 256 MiB (was unlimited)");
        assert_eq!(there.command(), "docker update --memory 256m --memory-swap 256m web");
        let back = there.reversed();
        assert_eq!(back.told(), "container web: memory unlimited (was 256 MiB)");
        assert_eq!(back.command(), "docker update --memory 4398046511104m --memory-swap 9223372036854771712 web");
        let cpus = |quota| LiveState::Cpus { quota, period: 100_000 };
        let there = change(cpus(0), cpus(150_000));
        assert_eq!(there.told(), "container web: processors 1.5 (was unlimited)");
        assert_eq!(there.reversed().command(), "docker update --cpu-period 100000 --cpu-quota -1 web");
        let restart = |name: &str, retries| LiveState::RestartPolicy { name: name.into(), retries };
        let there = change(restart("always", 0), restart("on-failure", 5));
        assert_eq!(there.command(), "docker update --restart on-failure:5 web");
        assert_eq!(there.told(), "container web: restart policy on-failure:5 (was always)");
    }

    #[test]
    fn a_kernel_that_does_not_count_swap_has_the_limit_all_the_same() {
        let wanted = LiveState::Memory { limit: 7, swap: 7 };
        assert!(wanted.reached(&LiveState::Memory { limit: 7, swap: -1 }));
        assert!(!wanted.reached(&LiveState::Memory { limit: 7, swap: 8 }));
        assert!(!wanted.reached(&LiveState::Memory { limit: 8, swap: -1 }));
    }

    #[test]
    fn a_network_is_joined_before_the_bridge_is_left() {
        let on = |names: &[&str]| LiveState::Networks { names: names.iter().map(ToString::to_string).collect() };
        let there = change(on(&["apart", "bridge"]), on(&["apart", "shop"]));
        assert_eq!(there.told(), "container web: network apart, shop (was apart, bridge)");
        assert_eq!(there.command(), "docker network connect shop web && docker network disconnect bridge web");
        let back = "docker network connect bridge web && docker network disconnect shop web";
        assert_eq!(there.reversed().command(), back);
        assert!(there.passes(&on(&["apart", "bridge", "shop"])));
        for other in
            [&["apart", "bridge"][..], &["apart", "shop"], &["apart", "bridge", "shop", "x"], &["bridge", "shop"]]
        {
            assert!(!there.passes(&on(other)), "{other:?}");
        }
    }

    #[test]
    fn a_state_is_read_as_dockerd_means_it() {
        let mut container = Container::default();
        let of = |setting, container: &Container| LiveState::of(setting, container);
        assert_eq!(of(ContainerSetting::RestartPolicy, &container).shown(), "no");
        container.confinement.pids = -1;
        assert_eq!(of(ContainerSetting::PidsLimit, &container), LiveState::PidsLimit { limit: 0 });
        container.confinement.nano_cpus = 1_500_000_000;
        assert_eq!(of(ContainerSetting::Cpus, &container).shown(), "1.5");
        (container.confinement.nano_cpus, container.confinement.cpu_quota) = (0, 50_000);
        assert_eq!(of(ContainerSetting::Cpus, &container).shown(), "0.5");
    }
}
