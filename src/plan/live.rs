//! What is changed in a container that exists, through the Engine's API: its state before and after, as small values.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalog::ContainerSetting;
use crate::compose::ServiceEdit;
use crate::facts::Container;
use crate::facts::workload::UNLIMITED_MEMORY;
use crate::policy::CPU_PERIOD;

/// One setting of one container before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveChange {
    /// Name of the container.
    pub name: String,
    /// Its full id: another container may have its name by the time of the rollback.
    pub id: String,
    /// As the plan found it. `apply` refuses when it is different by then.
    pub before: ContainerState,
    /// As it will be.
    pub after: ContainerState,
}

/// How one setting of a container stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "setting")]
pub enum ContainerState {
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
}

/// Memory and swap together without a limit, in bytes: the most that the kernel keeps, in whole pages.
const UNLIMITED_SWAP: i64 = i64::MAX - 4095;

impl ContainerState {
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
        }
    }

    /// Which setting it is.
    pub fn setting(&self) -> ContainerSetting {
        match self {
            Self::Memory { .. } => ContainerSetting::Memory,
            Self::Cpus { .. } => ContainerSetting::Cpus,
            Self::PidsLimit { .. } => ContainerSetting::PidsLimit,
            Self::RestartPolicy { .. } => ContainerSetting::RestartPolicy,
        }
    }

    /// Whether a container that was brought here and now stands at `now` is where it should be. Where the kernel does
    /// not count swap, dockerd says so and leaves swap without a limit.
    pub fn reached(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Memory { limit, .. }, Self::Memory { limit: now, swap: -1 }) => limit == now,
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
            Self::RestartPolicy { .. } => None,
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
        }
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
        }
    }

    /// The setting for a person.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory",
            Self::Cpus { .. } => "processors",
            Self::PidsLimit { .. } => "processes",
            Self::RestartPolicy { .. } => "restart policy",
        }
    }
}

impl LiveChange {
    /// The command that does the same, as a person would type it.
    pub fn command(&self) -> String {
        format!("docker update {} {}", self.after.arguments(), self.name)
    }

    /// `container web: memory 256 MiB (was unlimited)`
    pub fn told(&self) -> String {
        let Self { name, id: _, before, after } = self;
        format!("container {name}: {} {} (was {})", after.what(), after.shown(), before.shown())
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

    fn change(before: ContainerState, after: ContainerState) -> LiveChange {
        LiveChange { name: "web".into(), id: "ab".into(), before, after }
    }

    #[test]
    fn what_is_told_and_what_a_person_would_type() {
        let memory = |limit, swap| ContainerState::Memory { limit, swap };
        let there = change(memory(0, 0), memory(256 << 20, 256 << 20));
        assert_eq!(there.told(), "container web: memory 256 MiB (was unlimited)");
        assert_eq!(there.command(), "docker update --memory 256m --memory-swap 256m web");
        let back = there.reversed();
        assert_eq!(back.told(), "container web: memory unlimited (was 256 MiB)");
        assert_eq!(back.command(), "docker update --memory 4398046511104m --memory-swap 9223372036854771712 web");
        let cpus = |quota| ContainerState::Cpus { quota, period: 100_000 };
        let there = change(cpus(0), cpus(150_000));
        assert_eq!(there.told(), "container web: processors 1.5 (was unlimited)");
        assert_eq!(there.reversed().command(), "docker update --cpu-period 100000 --cpu-quota -1 web");
        let restart = |name: &str, retries| ContainerState::RestartPolicy { name: name.into(), retries };
        let there = change(restart("always", 0), restart("on-failure", 5));
        assert_eq!(there.command(), "docker update --restart on-failure:5 web");
        assert_eq!(there.told(), "container web: restart policy on-failure:5 (was always)");
    }

    #[test]
    fn a_kernel_that_does_not_count_swap_has_the_limit_all_the_same() {
        let wanted = ContainerState::Memory { limit: 7, swap: 7 };
        assert!(wanted.reached(&ContainerState::Memory { limit: 7, swap: -1 }));
        assert!(!wanted.reached(&ContainerState::Memory { limit: 7, swap: 8 }));
        assert!(!wanted.reached(&ContainerState::Memory { limit: 8, swap: -1 }));
    }

    #[test]
    fn a_state_is_read_as_dockerd_means_it() {
        let mut container = Container::default();
        let of = |setting, container: &Container| ContainerState::of(setting, container);
        assert_eq!(of(ContainerSetting::RestartPolicy, &container).shown(), "no");
        container.confinement.pids = -1;
        assert_eq!(of(ContainerSetting::PidsLimit, &container), ContainerState::PidsLimit { limit: 0 });
        container.confinement.nano_cpus = 1_500_000_000;
        assert_eq!(of(ContainerSetting::Cpus, &container).shown(), "1.5");
        (container.confinement.nano_cpus, container.confinement.cpu_quota) = (0, 50_000);
        assert_eq!(of(ContainerSetting::Cpus, &container).shown(), "0.5");
    }
}
