//! The seam between seaworthy and a host. [`Host`] only reads; [`HostMut`] adds every way to change one.
//!
//! All stages before `apply` get a `&dyn Host` and so cannot write by type. Paths are absolute, as seen on the
//! audited host; under `--root DIR` they are resolved inside DIR, absolute symlinks too.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compose::ComposeProject;

/// The most that is read of one file, in bytes; nothing that seaworthy reads comes near it.
pub const MAX_FILE: u64 = 16 << 20;

/// What kind of thing a path names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link and where it points, as written in the link.
    Symlink(String),
    /// A unix socket.
    Socket,
    /// A device, a pipe, or anything else.
    Other,
}

/// One `lstat`: the last component is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// The kind of object.
    pub kind: FileKind,
    /// Permission bits, `0o7777` at the most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links; more than one refuses a replacing write.
    pub nlink: u64,
    /// The file system lets nobody change it, root neither: `chattr +i` or `+a` (in a directory: its entries).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub immutable: bool,
    /// Size in bytes.
    pub size: u64,
    /// Modification time, seconds since the epoch. A rename of a new file over it counts as a modification.
    pub mtime: i64,
    /// The device that holds it, as `major:minor`.
    pub dev: String,
}

/// A question that a child process answers. A closed set, so that nothing that writes can be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Query {
    /// `systemctl show UNIT`: all properties, one `KEY=VALUE` a line.
    UnitShow(String),
    /// `auditctl -s`: `enabled`, `pid`, `lost` and so on, one `KEY VALUE` a line.
    AuditStatus,
    /// `auditctl -l`: the rules in the kernel.
    AuditRules,
    /// `auditctl -v`: the version of the audit tools.
    AuditVersion,
    /// `dockerd --version`.
    DockerdVersion,
    /// `docker --version`: the client alone, without the daemon.
    DockerVersion,
}

impl Query {
    /// The command line, as it is recorded and shown: `systemctl show docker.service`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::UnitShow(unit) => format!("systemctl show {unit}"),
            Self::AuditStatus => "auditctl -s".into(),
            Self::AuditRules => "auditctl -l".into(),
            Self::AuditVersion => "auditctl -v".into(),
            Self::DockerdVersion => "dockerd --version".into(),
            Self::DockerVersion => "docker --version".into(),
        }
    }
}

/// What a child process said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Answer {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Whether the child exited with status 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == 0
    }
}

/// Why the Engine API gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineError {
    /// Nobody listens, or we may not connect; the text says which.
    Unreachable(String),
    /// The engine answered with an HTTP error: status and its `message`.
    Status(u16, String),
    /// The answer did not come in time, broke off, or is not JSON.
    Broken(String),
}

/// An account group with the members that it lists itself (not those whose primary group it is).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Group id.
    pub gid: u32,
    /// Names of the listed members.
    pub members: Vec<String>,
}

/// Takes an answer of the Engine API, with its place among the questions.
pub type Take<'a> = &'a mut dyn FnMut(usize, std::result::Result<Value, EngineError>);

/// A host that can only be read, by several threads at once.
pub trait Host: Sync {
    /// Reads a whole file, at most 16 MiB; symlinks are followed inside the root.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::NotFound`] when there is no such file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Looks at a path without following its last component.
    ///
    /// # Errors
    /// The operating system's.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// The names in a directory, sorted; symlinks to it are followed inside the root.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Extended attributes (ACLs and `SELinux` labels among them) of a path whose last component is not followed.
    ///
    /// # Errors
    /// The operating system's; a file system without attributes answers with an empty list.
    fn xattrs(&self, path: &Path) -> io::Result<Vec<(String, Vec<u8>)>>;

    /// Asks a child process that only reads.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the program is not installed, [`io::ErrorKind::TimedOut`] when it did not
    /// answer in time, [`io::ErrorKind::Unsupported`] on a host where no child may run (`--root`, recorded facts).
    fn ask(&self, query: &Query) -> io::Result<Answer>;

    /// Asks each of `queries` as [`Self::ask`] does, beside each other and with as few children as do; answers come in
    /// the order of `queries`.
    fn ask_all(&self, queries: &[Query]) -> Vec<io::Result<Answer>> {
        queries.iter().map(|query| self.ask(query)).collect()
    }

    /// These are going to be asked. A host that remembers its answers asks all of them now, which takes less time than
    /// one after the other; to every other host it is nothing.
    fn ahead(&self, _queries: &[Query]) {}

    /// Asks the Engine API at `socket` for each of `paths` (without version prefix), concurrently; answers come in
    /// the order of `paths`. `/_ping` answers with a text.
    ///
    /// Only for a daemon that runs already, so ask [`Query::UnitShow`] first: docker.socket listens while
    /// docker.service is stopped, and the connection alone would have systemd start it. An audit changes nothing.
    fn engine(&self, socket: &Path, paths: &[String]) -> Vec<std::result::Result<Value, EngineError>>;

    /// Asks as [`Self::engine`] does, for answers that are many and large: each is handed over as soon as it is there,
    /// in whatever order, with its place in `paths`, and is not kept by a host that remembers what it is asked.
    fn engine_each(&self, socket: &Path, paths: &[String], take: Take<'_>) {
        for (at, answer) in self.engine(socket, paths).into_iter().enumerate() {
            take(at, answer);
        }
    }

    /// The name of a user id.
    fn user_name(&self, uid: u32) -> Option<String>;

    /// The name of a group id.
    fn group_name(&self, gid: u32) -> Option<String>;

    /// A group by name.
    fn group(&self, name: &str) -> Option<Group>;

    /// Seconds since the epoch.
    fn now(&self) -> i64;

    /// Our effective user id on this host; 0 is root.
    fn euid(&self) -> u32;

    /// Whether this is an offline image (`--root DIR`): nothing runs in it.
    fn offline(&self) -> bool;
}

/// One change of a service or of the kernel. A closed set: nothing else is ever started to change a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Installs a package: program and arguments, as shown in the plan.
    Install {
        /// Absolute path of the package manager, then its arguments.
        argv: Vec<String>,
    },
    /// `systemctl enable UNIT`
    Enable(String),
    /// `systemctl disable UNIT`
    Disable(String),
    /// `systemctl start --no-block UNIT`, after `reset-failed`.
    Start(String),
    /// `systemctl stop --no-block UNIT`
    Stop(String),
    /// `systemctl restart --no-block UNIT`, after `reset-failed`.
    Restart(String),
    /// `systemctl reload UNIT`
    Reload(String),
    /// `systemctl reset-failed UNIT…`
    ResetFailed(Vec<String>),
    /// `systemctl daemon-reload`
    DaemonReload,
    /// `augenrules --load`
    LoadAuditRules,
    /// `auditctl -d`-style removal of one rule, given as it is listed by `auditctl -l`.
    RemoveAuditRule(String),
    /// `auditctl` with one rule, given as it is listed by `auditctl -l` (`-w PATH -p wa -k KEY`).
    AddAuditRule(String),
    /// `dockerd --validate` with the unit's flags on a staged file. Never with `userns-remap`: it would create the
    /// user dockremap (measured with 26.1.5).
    ValidateDaemon {
        /// Absolute path of dockerd, then all arguments.
        argv: Vec<String>,
    },
    /// `docker compose config --quiet`: whether compose can read these files. Changes nothing.
    ComposeCheck(ComposeProject),
    /// `docker compose config --hash SERVICE`: the digest that compose would write on the service's containers, of all
    /// that it gives them. Changes nothing.
    ComposeHash {
        /// The project.
        project: ComposeProject,
        /// The service.
        service: String,
    },
    /// `docker compose up --detach` of one service: what differs from its file is made anew, nothing is built, and no
    /// service that it depends on is touched.
    ComposeUp {
        /// The project.
        project: ComposeProject,
        /// The service.
        service: String,
        /// How many containers it has.
        containers: usize,
    },
    /// `docker rm`: removes a container that does not run; its volumes stay.
    RemoveContainer {
        /// Its full id.
        id: String,
        /// The Engine's socket.
        socket: PathBuf,
    },
    /// `systemd-run` of a transient timer: unit name, seconds until it fires, argument array to run.
    ArmTimer {
        /// Name of the timer and of its service, without suffix.
        unit: String,
        /// Seconds from now.
        seconds: u64,
        /// What is run.
        argv: Vec<String>,
    },
    /// Stops the transient timer of that name.
    DisarmTimer(String),
}

/// A host that can be changed: the only door through which seaworthy writes. Each method is one operation of the
/// kernel or one child process, so that a fault can be placed before and after each.
pub trait HostMut: Host {
    /// This host, to read.
    fn as_host(&self) -> &dyn Host;

    /// Creates an empty file, mode 0600, that must not exist (`O_CREAT|O_EXCL|O_NOFOLLOW`).
    ///
    /// # Errors
    /// The operating system's, here and in all methods below.
    fn create(&mut self, path: &Path) -> io::Result<()>;
    /// Appends to an existing regular file.
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Changes owner and group; the last component is not followed.
    fn set_owner(&mut self, path: &Path, uid: u32, gid: u32) -> io::Result<()>;
    /// Changes the mode; refuses a symlink.
    fn set_mode(&mut self, path: &Path, mode: u32) -> io::Result<()>;
    /// Sets one extended attribute.
    fn set_xattr(&mut self, path: &Path, name: &str, value: &[u8]) -> io::Result<()>;
    /// Removes one extended attribute.
    fn remove_xattr(&mut self, path: &Path, name: &str) -> io::Result<()>;
    /// `fsync` of a file or directory.
    fn sync(&mut self, path: &Path) -> io::Result<()>;
    /// Renames within one directory, replacing what is there.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Makes a directory with exactly this mode.
    fn make_dir(&mut self, path: &Path, mode: u32) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&mut self, path: &Path) -> io::Result<()>;
    /// Copies the running seaworthy binary to a path (the dead-man timer runs it from there).
    fn copy_self(&mut self, path: &Path) -> io::Result<()>;
    /// Runs one command that changes something.
    fn run(&mut self, command: &Command) -> io::Result<Answer>;
    /// `POST` to the Engine API, with a JSON body or none.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn engine_post(
        &mut self,
        socket: &Path,
        path: &str,
        body: Option<&Value>,
    ) -> std::result::Result<Value, EngineError>;
    /// Waits; a fake host only advances its clock.
    fn sleep(&mut self, duration: std::time::Duration);
    /// Takes the one lock of all seaworthy runs, `/run/seaworthy/lock`, held until this process ends. Taking it
    /// again through the same host is no error.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another seaworthy holds it.
    fn lock(&mut self) -> io::Result<()>;
}
