//! A check's verdict on one subject.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Hazard, Severity};
use crate::policy::Waiver;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be, and in force.
    Pass,
    /// Not as it should be.
    Fail,
    /// Written, not in force yet.
    Pending,
    /// A person has to look.
    Manual,
    /// Does not apply to this host.
    NotApplicable,
    /// Could not be read: never a pass, never a fix.
    Unknown,
}

/// What a pending finding waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PendingOn {
    /// A reload of the daemon or of the audit rules.
    Reload,
    /// A restart of the daemon.
    Restart,
    /// A start of the daemon while no container runs.
    ContainersStopped,
    /// Containers created from now on have it; running ones need to be made anew.
    Recreate,
    /// The next login.
    Login,
    /// The next boot.
    Reboot,
}

/// Whether seaworthy fixes it by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applicability {
    /// Nothing to write: advice.
    Manual,
    /// A hazard was found, or could not be looked for.
    Ask,
    /// Nothing on this host is hurt.
    Automatic,
}

/// What a fix interrupts, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Disruption {
    /// Nothing.
    #[default]
    None,
    /// A service reloads.
    Reload,
    /// The daemon restarts.
    RestartDaemon,
    /// Containers are made anew.
    RecreateContainers,
    /// The host boots.
    Reboot,
}

/// A hazard and the names of what it would hurt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HazardFound {
    /// Which hazard.
    pub hazard: Hazard,
    /// Names of what would be hurt, or why it could not be looked for.
    pub evidence: Vec<String>,
    /// Whether the detector could look; if not it holds the fix all the same.
    #[serde(default = "yes")]
    pub looked: bool,
}

fn yes() -> bool {
    true
}

/// A check's verdict on one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Slug of the check.
    pub check: String,
    /// Title of the check; all its findings share it.
    pub title: Arc<str>,
    /// CIS level.
    pub level: u8,
    /// Numbers by benchmark; all findings of a check share them.
    pub references: Arc<BTreeMap<String, String>>,
    /// `KIND:NAME`, such as `daemon:docker.service` or `path:/etc/docker`.
    pub subject: String,
    /// A stable id of the subject where its name can be reused (a container's id); else the name.
    pub subject_id: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What it waits for, when pending.
    pub pending_on: Option<PendingOn>,
    /// How much it matters.
    pub severity: Severity,
    /// What should be.
    pub expected: String,
    /// What is.
    pub actual: String,
    /// Where that was read: file and line, flag, API field, kernel.
    pub source: String,
    /// Whether seaworthy fixes it by itself; computed by the plan, for fails.
    pub applicability: Option<Applicability>,
    /// What the fix would hurt here; computed by the plan, for fails.
    #[serde(default)]
    pub hazards: Vec<HazardFound>,
    /// What the fix interrupts.
    #[serde(default)]
    pub disruption: Disruption,
    /// Accepted by a waiver.
    #[serde(default)]
    pub waived: bool,
    /// That waiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Arc<Waiver>>,
}
