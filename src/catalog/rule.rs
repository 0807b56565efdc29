//! What is looked at in each container and in each image. One word a rule; what it means in words is in `words.rs`, how it
//! is decided in `audit/probe/container` and `audit/probe/image`.

use serde::{Deserialize, Serialize};

/// What is looked at in each container: what runs, not what a flag once said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ContainerRule {
    /// An `AppArmor` profile confines it.
    Apparmor,
    /// It can get no capability beyond the default ones, and not `NET_RAW`.
    Capabilities,
    /// It cannot get this capability.
    Capability(Capability),
    /// Its cgroup lies where the daemon puts all of them.
    CgroupParent,
    /// The processor time that it gets has a limit, or a share of its own.
    Cpu,
    /// It is not on the network that every container without another one shares.
    DefaultBridge,
    /// It was given no device of the host.
    Devices,
    /// No socket of a container engine is mounted into it.
    DockerSocket,
    /// Its health is checked.
    Healthcheck,
    /// No directory that the host lives by is mounted into it.
    HostMounts,
    /// It has a namespace of its own.
    HostNamespace(Namespace),
    /// Its image is not old: a person says what that means.
    ImageAge,
    /// Its memory has a limit.
    Memory,
    /// Its processes cannot gain privileges.
    NoNewPrivileges,
    /// The number of its processes has a limit.
    PidsLimit,
    /// It is not privileged.
    Privileged,
    /// Nobody runs a privileged command in it.
    PrivilegedExec,
    /// None of its ports is published on one below 1024.
    PrivilegedPorts,
    /// Its published ports are all needed: a person says whether.
    PublishedPorts,
    /// Its root file system is read-only.
    ReadOnly,
    /// A container that cannot start is not started again for ever.
    RestartPolicy,
    /// Nobody runs a command in it as root.
    RootExec,
    /// System calls are filtered.
    Seccomp,
    /// A label of `SELinux` confines it.
    Selinux,
    /// What is mounted in it does not show up elsewhere.
    SharedPropagation,
    /// It runs no SSH daemon.
    Sshd,
    /// It has limits of its own where the daemon's do not fit: a person says whether.
    Ulimits,
    /// Its first process is not root's.
    User,
    /// Its ports are published on addresses that were chosen.
    WildcardPorts,
}

/// Capabilities of which each alone leads to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Opens any file by its handle, those outside of the container too.
    DacReadSearch,
    /// Loads modules into the host's kernel.
    SysModule,
    /// Mounts, namespaces, and most of what has no capability of its own.
    SysAdmin,
    /// Reads and writes the memory of other processes.
    SysPtrace,
}

/// A namespace that a container can share with the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// Addresses, ports, sockets.
    Network,
    /// Processes.
    Pid,
    /// Shared memory, message queues.
    Ipc,
    /// Name of the host.
    Uts,
    /// Users: only with userns-remap is there another than the host's.
    User,
}

impl Capability {
    /// Its name, without `CAP_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DacReadSearch => "DAC_READ_SEARCH",
            Self::SysModule => "SYS_MODULE",
            Self::SysAdmin => "SYS_ADMIN",
            Self::SysPtrace => "SYS_PTRACE",
        }
    }

    /// Its number in the kernel's `capability.h`.
    #[must_use]
    pub fn bit(self) -> u32 {
        match self {
            Self::DacReadSearch => 2,
            Self::SysModule => 16,
            Self::SysPtrace => 19,
            Self::SysAdmin => 21,
        }
    }
}

/// What a rule says of a container that does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The same: its configuration is what is judged in any case.
    Same,
    /// What its configuration says instead of its processes.
    Configured,
    /// Nothing: there is no process to look at.
    Skipped,
}

impl ContainerRule {
    /// What becomes of containers that do not run.
    #[must_use]
    pub fn stopped(&self) -> Stopped {
        match self {
            Self::Capabilities
            | Self::Capability(_)
            | Self::NoNewPrivileges
            | Self::Seccomp
            | Self::User
            | Self::Apparmor => Stopped::Configured,
            Self::PrivilegedExec | Self::RootExec | Self::Sshd => Stopped::Skipped,
            Self::CgroupParent
            | Self::Cpu
            | Self::DefaultBridge
            | Self::Devices
            | Self::DockerSocket
            | Self::Healthcheck
            | Self::HostMounts
            | Self::HostNamespace(_)
            | Self::ImageAge
            | Self::Memory
            | Self::PidsLimit
            | Self::Privileged
            | Self::PrivilegedPorts
            | Self::PublishedPorts
            | Self::ReadOnly
            | Self::RestartPolicy
            | Self::Selinux
            | Self::SharedPropagation
            | Self::Ulimits
            | Self::WildcardPorts => Stopped::Same,
        }
    }
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
    /// Which networks it is on: one of its own in place of the default bridge.
    Network,
}

/// What a manager can change in its swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwarmSetting {
    /// Whether managers have to be unlocked after a restart.
    Autolock,
    /// For how long certificates of nodes are good.
    CertExpiry,
}

/// What is written for a container into the compose file that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ComposeEdit {
    /// No `apparmor=unconfined` in `security_opt`.
    Apparmor,
    /// `cap_drop` and `cap_add`: the capabilities that the config gives, else the default ones without `NET_RAW`.
    Capabilities,
    /// Not this capability in `cap_add`.
    Capability(Capability),
    /// No `cgroup_parent`.
    CgroupParent,
    /// `cpus`
    Cpus,
    /// No `network_mode: bridge`.
    DefaultBridge,
    /// Not the `devices` that lead to the host.
    Devices,
    /// `healthcheck`, as the config gives it.
    Healthcheck,
    /// Not the host's namespace.
    HostNamespace(Namespace),
    /// `mem_limit`
    Memory,
    /// `no-new-privileges:true` in `security_opt`.
    NoNewPrivileges,
    /// `pids_limit`
    PidsLimit,
    /// No `shared` propagation of `volumes`.
    PrivateMounts,
    /// No `privileged`, and the capabilities that the config gives instead.
    Privileged,
    /// `ports` on one address.
    Ports,
    /// `:ro` on `volumes` that lead to what the host lives by.
    ReadOnlyMounts,
    /// `read_only`, with `tmpfs`.
    ReadOnlyRoot,
    /// `restart: on-failure:5`
    RestartPolicy,
    /// No `seccomp=unconfined` in `security_opt`.
    Seccomp,
    /// No `label=disable` in `security_opt`.
    Selinux,
    /// `user`, as the config gives it.
    User,
}

impl ComposeEdit {
    /// Whether it writes down what a change of the running container does as well, so that nothing has to be made anew.
    #[must_use]
    pub fn is_kept_live(self) -> bool {
        matches!(self, Self::Cpus | Self::Memory | Self::PidsLimit | Self::RestartPolicy)
    }
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
