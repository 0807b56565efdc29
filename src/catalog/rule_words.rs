//! The rules for containers in words: `Each container …`.

use super::rule::{Capability, ContainerRule, Namespace, Stopped};

/// What has to hold, as the end of a sentence that begins with the container; more sentences can follow.
pub(super) fn holds(rule: &ContainerRule) -> String {
    use ContainerRule as Rule;
    let words = match rule {
        Rule::Apparmor => "has an AppArmor profile in force, on engines that work with AppArmor",
        Rule::Capabilities => CAPABILITIES,
        Rule::Capability(which) => return capability(*which),
        Rule::CgroupParent => "has no cgroup parent of its own",
        Rule::Cpu => CPU,
        Rule::DefaultBridge => "is not attached to the network `bridge`",
        Rule::Devices => DEVICES,
        Rule::DockerSocket => DOCKER_SOCKET,
        Rule::Healthcheck => "has a health check, of its own or from its image",
        Rule::HostMounts => HOST_MOUNTS,
        Rule::HostNamespace(Namespace::Network) => OWN_NETWORK,
        Rule::HostNamespace(Namespace::Pid) => OWN_PID,
        Rule::HostNamespace(Namespace::Ipc) => OWN_IPC,
        Rule::HostNamespace(Namespace::Uts) => "has a host name of its own",
        Rule::HostNamespace(Namespace::User) => OWN_USER,
        Rule::ImageAge => IMAGE_AGE,
        Rule::Memory => "has a limit for its memory",
        Rule::NoNewPrivileges => "has a first process that cannot gain privileges (`NoNewPrivs` in its status)",
        Rule::PidsLimit => "has a limit for the number of its processes",
        Rule::Privileged => "is not privileged",
        Rule::PrivilegedExec => PRIVILEGED_EXEC,
        Rule::PrivilegedPorts => PRIVILEGED_PORTS,
        Rule::PublishedPorts => "publishes no port; whether one is needed that is published, a person says",
        Rule::ReadOnly => "has a root file system that is read-only",
        Rule::RestartPolicy => RESTART_POLICY,
        Rule::RootExec => ROOT_EXEC,
        Rule::Seccomp => SECCOMP,
        Rule::Selinux => "has a label of SELinux that confines it, on hosts that have SELinux",
        Rule::SharedPropagation => "has no mount that propagates to the host (`shared`, `rshared`)",
        Rule::Sshd => "has no process of sshd or dropbear in its cgroup",
        Rule::Ulimits => "has ulimits other than the daemon's; whether one without needs any, a person says",
        Rule::User => USER,
        Rule::WildcardPorts => WILDCARD_PORTS,
    };
    words.to_owned()
}

fn capability(which: Capability) -> String {
    let name = which.name();
    format!(
        "is without {name} and cannot get it: what its first process can still get decides, so a privileged one has it"
    )
}

/// What is said of containers that do not run.
pub(super) fn stopped(rule: &ContainerRule) -> &'static str {
    match rule.stopped() {
        Stopped::Same => "Those that do not run count too.",
        Stopped::Configured => "Those that do not run are judged by their configuration.",
        Stopped::Skipped => "Those that do not run are not judged.",
    }
}

const CAPABILITIES: &str = "is left with no capability beyond Docker's default, and without NET_RAW. What its \
    first process can still get decides: its bounding set, or its effective set once it cannot gain privileges; \
    so a privileged one has all. In a user namespace it matters less";
const CPU: &str = "has a limit of processor time, a share other than the default of 1024, or fewer processors \
    than the host";
const DEVICES: &str = "has no device of the host, GPUs included: disks, the host's memory and rules for any \
    device fail, any other one is for a person to judge";
const DOCKER_SOCKET: &str = "has no socket of Docker or containerd mounted, nor a directory above one; that the \
    mount is read-only does not help";
const HOST_MOUNTS: &str = "has no directory mounted that the host lives by: system directories and what is in \
    them, root's and other home directories, the data root, and whatever contains one of these. Read-only mounts \
    fail where reading is enough to harm, and matter less";
const OWN_NETWORK: &str = "has a network of its own. One that joins another container's is judged by that one";
const OWN_PID: &str = "has process ids of its own. One that joins another container's is judged by that one";
const OWN_IPC: &str = "has shared memory of its own. One that joins another container's is judged by that one";
const OWN_USER: &str = "is not taken out of user namespaces; while the daemon has none, it matters less";
const IMAGE_AGE: &str = "has an image that a person takes for fresh: its date is told, and the verdict is always \
    `manual`";
const PRIVILEGED_EXEC: &str = "runs no command that was started by `docker exec --privileged`. Those that have \
    ended are not seen";
const PRIVILEGED_PORTS: &str = "has no port published below 1024. Of one on the host's network it is not known \
    what it opens: a person looks";
const RESTART_POLICY: &str = "has no restart policy, or `on-failure` with at most 5 retries. For the task of a \
    swarm's service a person looks at the service";
const ROOT_EXEC: &str = "runs no command that was started as root by `docker exec`. Those that have ended are \
    not seen";
const SECCOMP: &str = "has a first process whose system calls are filtered (`Seccomp` in its status), and no option that says otherwise: \
    a filter can be inherited from around the daemon";
const USER: &str = "has a first process whose effective user is not root. Root of a user namespace matters less";
const WILDCARD_PORTS: &str = "publishes its ports on chosen addresses: not on 0.0.0.0, on [::], or on none. Of \
    one on the host's network it is not known what it opens: a person looks";
