//! A plan: the ordered changes that `apply` makes, and what it holds back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::live::LiveChange;
use super::recreation::Recreation;
use crate::audit::{Disruption, HazardFound};
use crate::host::{Command, ComposeProject};

/// Version of the plan's form; within it fields are only added.
pub const PLAN_SCHEMA: u32 = 1;

/// The state of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum FileState {
    /// Nothing is there.
    Absent,
    /// Something is there.
    Present {
        /// A directory, not a file.
        #[serde(default)]
        dir: bool,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Content, where the change is about it; `None`: only owner and mode.
        content: Option<String>,
    },
}

/// One path before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// The real path: symlinks are resolved, links stay.
    pub path: PathBuf,
    /// As the plan found it. `apply` refuses when it is different by then.
    pub before: FileState,
    /// As it will be.
    pub after: FileState,
    /// Content that is in force for a while before `after`: daemon.json with live-restore alone, so that it can be
    /// reloaded before the restart.
    #[serde(default)]
    pub interim: Option<String>,
    /// Content holds secrets: the diff is masked and cannot be patched.
    #[serde(default)]
    pub secret: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Changes a path (to `after`; to `interim` in a step marked so).
    File(FileChange),
    /// Installs, enables or starts what is missing.
    Run(Command),
    /// Writes the `interim` content of that path's change, reloads docker.service and waits until the API says
    /// `LiveRestoreEnabled`.
    LiveRestoreFirst(PathBuf),
    /// Loads the audit rules and compares the kernel's list with these watches, each `PATH PERM`.
    LoadAuditRules {
        /// What has to be in the kernel afterwards.
        expect: Vec<String>,
    },
    /// Changes a container while it runs, or the swarm.
    Update(LiveChange),
    /// `systemctl daemon-reload`.
    DaemonReload,
    /// Restarts docker.service and waits until it is healthy.
    RestartDocker,
    /// Makes the containers of a compose service anew from its file, and waits until they are well. Behind all files and
    /// behind a restart, so that they get what the new daemon gives.
    Recreate(Recreation),
}

/// One step, and the checks that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// Slugs of the checks.
    pub checks: Vec<String>,
}

/// A check that is not fixed unless it is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Slug of the check.
    pub check: String,
    /// What it would hurt.
    pub hazards: Vec<HazardFound>,
    /// What would include it: a flag, or what has to be done first.
    pub flag: String,
}

impl Held {
    /// Whether something has to be done first, so that no flag includes it.
    pub fn is_blocked(&self) -> bool {
        !self.flag.starts_with("--")
    }

    /// What would include it, as a request.
    pub fn include(&self) -> String {
        if self.is_blocked() { self.flag.clone() } else { format!("include with `{}`", self.flag) }
    }
}

/// What a plan was computed on; `apply` compares it under the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// Versions of engine, client and audit tools.
    pub versions: Vec<String>,
    /// Effective settings of the daemon that decide: the next start's flags, and what is in force.
    pub settings: Vec<String>,
    /// Hazard evidence by name: `CHECK HAZARD NAME`.
    pub evidence: Vec<String>,
}

/// What one check did to one path that several checks share, so that it can be undone alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Slug of the check.
    pub check: String,
    /// The path, as in its [`FileChange`].
    pub path: PathBuf,
    /// How this check's share is taken back.
    pub undo: Undo,
}

/// How one check's share of a path is taken back, without touching the shares of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// A key of daemon.json gets its earlier value; `None`: it was not there.
    DaemonKey {
        /// The key.
        key: String,
        /// Its value before.
        before: Option<Value>,
    },
    /// The one place in the file that holds exactly the lines `after` gets the lines `before`.
    Lines {
        /// Lines before the change, without their ends; empty: the lines were added.
        before: Vec<String>,
        /// Lines after the change.
        after: Vec<String>,
    },
    /// The owner and group before.
    Owner {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// The permission bits before.
    Mode {
        /// Permission bits.
        mode: u32,
    },
}

/// The daemon that a plan is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The socket of its API.
    pub socket: PathBuf,
    /// Where its daemon.json really is; `None`: it reads none.
    pub config: Option<PathBuf>,
    /// Absolute path of dockerd and the unit's flags, to validate candidates of `config` with; apply adds
    /// `--validate --config-file STAGED` and leaves `--config-file` and `--userns-remap` out. `None`: the engine
    /// cannot validate (before 23).
    pub validate_argv: Option<Vec<String>>,
    /// `--live-restore` is a flag of the unit before or after the plan: then it must never be a key as well.
    pub live_restore_is_flag: bool,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            socket: "/run/docker.sock".into(),
            config: Some("/etc/docker/daemon.json".into()),
            validate_argv: None,
            live_restore_is_flag: false,
        }
    }
}

/// Everything that `apply` will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_SCHEMA`].
    pub schema_version: u32,
    /// Version of seaworthy that made it.
    pub tool_version: String,
    /// When, RFC 3339.
    pub generated_at: String,
    /// What it was computed on.
    pub fingerprint: Fingerprint,
    /// Checks that were accepted by name.
    pub accepted: Vec<String>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What is held back.
    pub held: Vec<Held>,
    /// The most that it interrupts.
    pub disruption: Disruption,
    /// Containers (name and id) that have to run afterwards.
    pub expected_containers: Vec<(String, String)>,
    /// Running containers that a restart stops and that do not return by themselves; apply starts them again.
    #[serde(default)]
    pub stopped_containers: Vec<(String, String)>,
    /// Sentences said before approval: what stays on rollback, what is lost.
    pub notes: Vec<String>,
    /// The daemon that this is about.
    #[serde(default)]
    pub target: Target,
    /// For paths that several checks share: what each of them did there.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// The compose projects whose files it changes, by the names under which compose was given them: compose reads them
    /// before and after.
    #[serde(default)]
    pub compose: Vec<ComposeProject>,
    /// The check and the name of each container whose compose file is changed for it.
    #[serde(default)]
    pub composed: Vec<(String, String)>,
    /// Patterns of the subjects that it was made for; empty: all.
    #[serde(default)]
    pub subjects: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
