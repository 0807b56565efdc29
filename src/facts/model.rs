//! What was observed on a host. Nothing here judges.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::host::Stat;

/// A fact, or why it could not be read. What is not known never passes and is never fixed.
pub type Known<T> = Result<T, Unknown>;

/// Why a fact could not be read, in words for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of numeric owners.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// User names by id.
    pub users: BTreeMap<u32, String>,
    /// Group names by id.
    pub groups: BTreeMap<u32, String>,
    /// Group ids by the names that the catalogue asks for.
    pub group_ids: BTreeMap<String, u32>,
    /// User ids by the names that the catalogue asks for.
    pub user_ids: BTreeMap<String, u32>,
}

/// What kind of host this is.
#[derive(Clone, Debug)]
pub struct Scope {
    /// An image that is not running (`--root DIR`).
    pub offline: bool,
    /// We are root and can see everything.
    pub privileged: bool,
    /// systemd is PID 1.
    pub systemd: bool,
    /// We are in the initial PID namespace, where the kernel's audit lives.
    pub initial_pid_namespace: bool,
    /// The kernel enforces or logs by `SELinux`.
    pub selinux: bool,
    /// `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// `ID` of os-release.
    pub os_id: String,
    /// `PRETTY_NAME` of os-release.
    pub os_name: String,
    /// Name of the host, `/etc/hostname`.
    pub hostname: String,
}

/// A version number, for comparison: the leading numbers of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As printed.
    pub text: String,
    /// Major, minor, patch; what is missing is 0.
    pub numbers: [u64; 3],
}

/// How Docker is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// No dockerd.
    Missing,
    /// A system daemon.
    System,
    /// The snap: its files are replaced on refresh.
    Snap,
}

/// The daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// How Docker is here.
    pub install: Install,
    /// The running process that owns docker.service, if any.
    pub running: Known<Option<Running>>,
    /// The command line of the next start, each argument with its origin.
    pub next_argv: Known<Vec<Argument>>,
    /// daemon.json: the path in use (as configured) and where it really is.
    pub config_path: PathBuf,
    /// `config_path` with symlinks resolved; the same when there is none.
    pub config_real_path: PathBuf,
    /// What daemon.json holds.
    pub config: Config,
    /// When daemon.json was last written, seconds since the epoch.
    pub config_mtime: Option<i64>,
    /// `GET /info`.
    pub info: Known<Value>,
    /// `GET /version`.
    pub version_api: Known<Value>,
    /// `GET /networks/bridge`.
    pub bridge: Known<Value>,
    /// Version of the installed engine.
    pub version: Option<Version>,
    /// The Engine API socket in use.
    pub socket: PathBuf,
    /// It may be asked through its socket: it runs, and is not on its way down.
    pub listens: bool,
    /// Further engines on this host.
    pub others: Vec<Other>,
    /// Data root in use, without the `UID.GID` leaf of userns-remap.
    pub data_root: PathBuf,
}

/// An engine beside the daemon, by its socket: named as what it is, and neither looked at nor changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Where it listens.
    pub socket: PathBuf,
    /// What it is, such as `Podman`.
    pub what: &'static str,
}

impl Other {
    /// Whose Docker it is: the user's number.
    pub fn rootless_user(&self) -> Option<&str> {
        let user = self.socket.to_str()?.strip_prefix("/run/user/")?.strip_suffix("/docker.sock")?;
        user.bytes().all(|byte| byte.is_ascii_digit()).then_some(user)
    }
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.what, self.socket.display())
    }
}

/// The running daemon.
#[derive(Clone, Debug)]
pub struct Running {
    /// Process id.
    pub pid: u32,
    /// Command line.
    pub argv: Vec<String>,
    /// Resolved executable.
    pub exe: PathBuf,
    /// When it started, seconds since the epoch.
    pub started: i64,
}

/// One argument of the unit's command line, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The argument.
    pub text: String,
    /// Where it comes from.
    pub place: Place,
}

/// A place in a file of the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// The variable that holds it, for an environment file; `None` for an `ExecStart=` line.
    pub variable: Option<String>,
    /// Whether the file belongs to the package (`/lib/systemd`, `/usr/lib/systemd`) and is never edited.
    pub vendor: bool,
}

/// What daemon.json holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// No such file (or no such directory).
    Missing,
    /// A file that dockerd can read (empty counts as `{}`).
    Valid {
        /// Its bytes.
        text: String,
        /// Its object.
        value: serde_json::Map<String, Value>,
    },
    /// A file that dockerd would refuse, or that we do not dare to edit.
    Invalid {
        /// Line, from 1; 0 when it is about the whole file.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Could not be read.
    Unreadable(String),
}

/// A systemd unit.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`.
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`.
    pub active: String,
    /// `enabled`, `disabled`, `static`, …
    pub enabled: String,
    /// The unit's own file.
    pub fragment: Option<PathBuf>,
    /// Its drop-ins, in order.
    pub drop_ins: Vec<PathBuf>,
    /// Main process, 0 when none.
    pub main_pid: u32,
    /// Other properties that were asked for.
    pub properties: BTreeMap<String, String>,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The path, canonical.
    pub path: PathBuf,
    /// Other names of it that scanners look for, such as `/usr/bin/runc` on Debian: they exist, or their parent does.
    pub aliases: Vec<PathBuf>,
    /// What is there.
    pub stat: Stat,
}

/// The kernel's audit and its files.
#[derive(Clone, Debug)]
pub struct Audit {
    /// `auditctl` and its version; `None` when not installed.
    pub version: Known<Option<Version>>,
    /// `enabled` of `auditctl -s`: 0 off, 1 on, 2 immutable until the next boot.
    pub enabled: Known<u32>,
    /// Rules in the kernel, canonical.
    pub kernel: Known<Vec<AuditRule>>,
    /// Rules on disk, canonical, with file and line.
    pub files: Known<Vec<FiledRule>>,
    /// Rules in `/etc/audit/audit.rules` that are in no file of rules.d: augenrules, which generates that file, would
    /// lose them. Empty where there is no rules.d.
    pub strays: Known<Vec<FiledRule>>,
    /// Whether `/etc/audit/rules.d` is there.
    pub rules_d: bool,
    /// Text of our own rules file, if it is there.
    pub own_file: Known<Option<String>>,
    /// Text of our own tmpfiles.d file, if it is there.
    pub own_tmpfiles: Known<Option<String>>,
}

/// One audit rule in the form in which all spellings of the same rule are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditRule {
    /// A watch: `-w PATH -p PERM` or `-a always,exit -F path=|dir= -F perm=`.
    Watch {
        /// What is watched, without trailing slash.
        path: String,
        /// Whether it was written as `dir=` (recursive for certain).
        dir: bool,
        /// Permissions, in the order `rwxa`.
        perm: String,
    },
    /// Anything else, as written, white space folded; its key is kept.
    Other(String),
}

/// An audit rule and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledRule {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// The rule.
    pub rule: AuditRule,
    /// As written.
    pub text: String,
    /// What keeps it from loading, where that can be seen.
    pub trouble: Option<String>,
}
