//! The form of a catalogue entry: one TOML file in `remediations/`. Shared with `build.rs`, which validates all of them.
//!
//! Data only: closed enums, no templates, no shell. What a check needs beyond these is a new enum arm, not a script.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::{ComposeEdit, ContainerRule, ContainerSetting, ImageRule, SwarmRule, SwarmSetting};

/// One check of the catalogue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// Identity, `section.name`: reports, waivers and selection use it; never reused.
    pub id: String,
    /// Names the bad state, lower case, no full stop.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// Level of the CIS benchmark: 1 or 2. `level-1` selects level 1, `level-2` all.
    pub level: u8,
    /// Further profiles that select the check, such as `lab`.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Number in each published benchmark that has it: `"cis-1.8.0" = "2.2"`.
    #[serde(default)]
    pub references: BTreeMap<String, String>,
    /// Why the bad state matters.
    pub rationale: String,
    /// What the fix can disturb.
    pub impact: String,
    /// How the verdict is decided.
    pub check: Check,
    /// What seaworthy does about a fail.
    pub remediation: Remediation,
    /// The release table that [`Builtin::EngineVersion`] compares with; no other check has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases: Option<Releases>,
}

/// Which branches of the engine got fixes when this catalogue was made. The tool asks no server, so the date is part
/// of every statement about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Releases {
    /// When the table was written, `YYYY-MM-DD`.
    pub as_of: String,
    /// Branches, newest first. Every older branch is out of support.
    pub branches: Vec<Branch>,
}

/// One branch of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Branch {
    /// First number of its versions.
    pub major: u64,
    /// Its newest release when the table was written.
    pub latest: String,
    /// Whether it gets fixes.
    pub support: Support,
}

/// Whether a branch of the engine gets fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// The branch that new releases come from.
    Current,
    /// The one before it: security fixes, for a while.
    Previous,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Defence in depth.
    Low,
    /// Weakens the host.
    Medium,
    /// Opens a way in.
    High,
    /// The daemon will not start, or anyone is root.
    Critical,
}

/// A file, directory or socket of a Docker host, found on each host where it really is; or a literal path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Object {
    /// One of the names in [`OBJECTS`].
    Named(String),
    /// An absolute path.
    Path(String),
}

/// The named objects: each is resolved by `facts/objects.rs`.
pub const OBJECTS: &[&str] = &[
    "dockerd",
    "docker-client",
    "containerd",
    "containerd-shim",
    "containerd-shim-runc-v1",
    "containerd-shim-runc-v2",
    "runc",
    "run-containerd",
    "data-root",
    "etc-docker",
    "docker-service",
    "docker-socket-unit",
    "docker-socket",
    "containerd-socket",
    "default-docker",
    "daemon-json",
    "containerd-config",
    "sysconfig-docker",
    "registry-certs",
    "registry-keys",
    "tls-ca",
    "tls-cert",
    "tls-key",
];

impl TryFrom<String> for Object {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            Ok(Self::Path(text))
        } else if OBJECTS.contains(&text.as_str()) {
            Ok(Self::Named(text))
        } else {
            Err(format!("`{text}` is neither an absolute path nor one of: {}", OBJECTS.join(", ")))
        }
    }
}

impl From<Object> for String {
    fn from(object: Object) -> Self {
        match object {
            Object::Named(text) | Object::Path(text) => text,
        }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(text) | Self::Path(text) => f.write_str(text),
        }
    }
}

/// What the effective value of a setting has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expect {
    /// Exactly this value.
    Equals(Value),
    /// One of these values.
    OneOf(Vec<Value>),
    /// None of these values.
    NoneOf(Vec<Value>),
    /// Set to something: not absent, `""`, `[]` or `{}`.
    NonEmpty,
    /// Absent, `""`, `[]` or `{}`.
    Empty,
    /// A list without an element that starts with this text.
    NoPrefix(String),
}

/// How a verdict is decided: the probe and what it has to find.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Check {
    /// A setting of the daemon: flags, then daemon.json, then the default; and what the Engine API says is in force.
    #[serde(rename_all = "kebab-case")]
    DaemonSetting {
        /// Key of daemon.json.
        key: String,
        /// What it has to be.
        expect: Expect,
    },
    /// An audit rule that watches an object for these permissions (at least).
    #[serde(rename_all = "kebab-case")]
    AuditWatch {
        /// What is watched.
        object: Object,
        /// Further objects that need the same watch for the check to pass.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<Object>,
        /// `wa` or `wax`.
        perm: String,
    },
    /// Owner, group and mode of an object. Absent fields are not judged.
    #[serde(rename_all = "kebab-case")]
    FileAccess {
        /// What is looked at.
        object: Object,
        /// Name of the owner.
        owner: Option<String>,
        /// Name of the group; `root` always passes where another group is asked for, being stricter.
        group: Option<String>,
        /// Most permissive mode, octal text: `"0644"`.
        mode: Option<String>,
    },
    /// A variable in `/etc/environment`.
    #[serde(rename_all = "kebab-case")]
    Environment {
        /// Name.
        name: String,
        /// Value it has to have.
        value: String,
    },
    /// Something that only a person can say; the text is what to look at.
    #[serde(rename_all = "kebab-case")]
    Attest {
        /// What to look at.
        look_at: String,
        /// It is about images: those that containers use are named, and without an image it does not apply.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        images: bool,
        /// Besides, those of them are found that come from a registry that the site does not list.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        registries: bool,
    },
    /// Something that holds for each container.
    Container(ContainerRule),
    /// Something that holds for each image.
    Image(ImageRule),
    /// Something that holds for the swarm, if there is one.
    Swarm(SwarmRule),
    /// A probe that is its own, by name.
    Builtin(Builtin),
}

/// Probes that serve one check each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Builtin {
    /// The data root lies on a device of its own.
    DataRootMount,
    /// Who is in the group docker.
    DockerGroup,
    /// The engine's version against the release table.
    EngineVersion,
    /// The daemon runs rootless.
    Rootless,
    /// A registry that is trusted without TLS.
    InsecureRegistries,
    /// The storage driver is not aufs.
    StorageAufs,
    /// The storage driver is not devicemapper.
    StorageDevicemapper,
    /// TCP listeners of the daemon demand client certificates.
    TlsListener,
    /// Images that no container uses.
    ImageSprawl,
    /// Containers that do not run.
    ContainerSprawl,
    /// Containers run in a user namespace.
    UserNamespaces,
    /// Container logs leave the host.
    CentralLogging,
    /// daemon.json can be read by dockerd, and no key is also a flag.
    DaemonConfig,
    /// auditd is installed, enabled, running, and the kernel takes rules.
    Auditd,
    /// No rule on disk switches auditing off (`-a never,task`).
    AuditNeverTask,
    /// What is in rules.d is in the kernel: no rule stops the ones behind it.
    AuditRulesLoad,
}

/// What seaworthy does about a failing check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Remediation {
    /// Names the action, imperative, no full stop.
    pub title: String,
    /// What is written. Empty: advice only, the finding is `manual`.
    #[serde(default)]
    pub edits: Vec<Edit>,
    /// What a person does where nothing is written, or besides: one line a step, commands in backticks.
    #[serde(default)]
    pub advice: Vec<String>,
    /// Hazards to look for on the host beyond those that follow from the edits.
    #[serde(default)]
    pub hazards: Vec<Hazard>,
    /// How it is undone, when `rollback` alone does not do it.
    #[serde(default)]
    pub undo: Option<String>,
}

/// One thing a remediation writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Edit {
    /// Gives a setting of the daemon a value, where it is set now: daemon.json, or the flag's own file.
    #[serde(rename_all = "kebab-case")]
    DaemonSetting {
        /// Key of daemon.json.
        key: String,
        /// The value; absent: it comes from `[values]` of the config (hazard `needs-value`).
        value: Option<Value>,
    },
    /// Takes a setting of the daemon away, so that the default holds.
    #[serde(rename_all = "kebab-case")]
    DaemonSettingRemove {
        /// Key of daemon.json.
        key: String,
    },
    /// Adds a watch to our rules file.
    #[serde(rename_all = "kebab-case")]
    AuditWatch {
        /// What is watched.
        object: Object,
        /// `wa` or `wax`.
        perm: String,
    },
    /// Changes owner and group, and takes permission bits away.
    #[serde(rename_all = "kebab-case")]
    FileAccess {
        /// What is changed.
        object: Object,
        /// Name of the owner.
        owner: Option<String>,
        /// Name of the group.
        group: Option<String>,
        /// New mode = old AND this, octal text.
        mode: Option<String>,
    },
    /// Sets a variable in `/etc/environment`.
    #[serde(rename_all = "kebab-case")]
    Environment {
        /// Name.
        name: String,
        /// Value.
        value: String,
    },
    /// Installs, enables and starts auditd, whichever is missing.
    Auditd,
    /// Takes the rule `-a never,task` out of the files that have it.
    AuditNeverTask,
    /// Changes each failing container while it runs.
    Container(ContainerSetting),
    /// Changes the compose file that a failing container comes from. It holds once the container is made anew.
    Compose(ComposeEdit),
    /// Changes the swarm, on one of its managers.
    Swarm(SwarmSetting),
}

/// Something that a remediation would hurt, found by looking at this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hazard {
    /// userns-remap with images, containers or volumes: they vanish from view.
    HidesImages,
    /// The daemon or a container would not start.
    BreaksStartup,
    /// live-restore on a swarm node: the next start fails.
    Swarm,
    /// A restart would stop running containers.
    StopsContainers,
    /// Connections, execs, builds or services that a restart cuts.
    Interrupts,
    /// A daemon-reload takes devices from running containers.
    LosesDevices,
    /// Traffic that flows today would stop.
    CutsTraffic,
    /// Processes in containers that gained privileges would not any more.
    DropsPrivilege,
    /// Someone who uses the socket today would be locked out.
    CutsAccess,
    /// Pulls of images would fail.
    BreaksPulls,
    /// The fix has no effect on this host.
    Inert,
    /// Something else keeps this file and would overwrite it.
    ForeignOwner,
    /// A vendor unit's command line would have to be copied.
    VendorCommand,
    /// A value has to be chosen.
    NeedsValue,
}
