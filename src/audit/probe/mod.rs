//! One file a probe: each turns facts into outcomes for its check.

mod audit_service;
mod audit_watch;
mod builtin;
mod container;
mod daemon_setting;
mod environment;
mod file_access;
mod image;
mod operations;
mod registries;
mod swarm;
mod tls_listener;

pub(in crate::audit) use container::is_usual as is_usual_capability;

use crate::catalog::{Builtin, Check, Entry, Severity};
use crate::facts::{Container, Facts, Unknown};
use crate::policy::Policy;

use super::finding::{PendingOn, Verdict};

/// How a check came out for one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) subject: String,
    /// A stable id where the name can be reused; `None`: the subject itself.
    pub(super) subject_id: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) pending_on: Option<PendingOn>,
    /// Where it matters more or less on this subject than the check says.
    pub(super) severity: Option<Severity>,
    pub(super) expected: String,
    pub(super) actual: String,
    pub(super) source: String,
}

/// What is, where only a person can say it.
pub(super) const A_PERSON_LOOKS: &str = "a person has to look";
/// The daemon as a subject.
pub(super) const DAEMON: &str = "daemon:docker.service";

impl Outcome {
    pub(super) fn new(subject: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            subject: subject.into(),
            subject_id: None,
            verdict,
            pending_on: None,
            severity: None,
            expected: String::new(),
            actual: String::new(),
            source: String::new(),
        }
    }

    pub(super) fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = text.into();
        self
    }

    pub(super) fn actual(mut self, text: impl Into<String>) -> Self {
        self.actual = text.into();
        self
    }

    pub(super) fn id(mut self, id: impl Into<String>) -> Self {
        self.subject_id = Some(id.into());
        self
    }

    pub(super) fn source(mut self, text: impl Into<String>) -> Self {
        self.source = text.into();
        self
    }

    pub(super) fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// What was to be judged could not be read.
    pub(super) fn not_known(self, why: &Unknown) -> Self {
        self.verdict(Verdict::Unknown).actual(why.to_string())
    }

    /// There is nothing to judge on this subject.
    pub(super) fn does_not_apply(self, why: impl Into<String>) -> Self {
        self.verdict(Verdict::NotApplicable).actual(why)
    }

    pub(super) fn fails(self, actual: impl Into<String>) -> Self {
        self.verdict(Verdict::Fail).actual(actual)
    }

    pub(super) fn pending(subject: impl Into<String>, on: PendingOn) -> Self {
        Self { pending_on: Some(on), ..Self::new(subject, Verdict::Pending) }
    }

    pub(super) fn unknown(subject: impl Into<String>, why: &Unknown) -> Self {
        Self::new(subject, Verdict::Unknown).actual(why.to_string())
    }

    pub(super) fn not_applicable(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(subject, Verdict::NotApplicable).actual(why)
    }
}

/// Whether a check is about the host whatever Docker runs there.
fn is_about_the_host(check: &Check) -> bool {
    match check {
        Check::AuditWatch { .. } | Check::Environment { .. } => true,
        Check::Builtin(which) => {
            use Builtin::{AuditNeverTask, AuditRulesLoad, Auditd, DockerGroup};
            matches!(which, DockerGroup | Auditd | AuditNeverTask | AuditRulesLoad)
        }
        Check::DaemonSetting { .. }
        | Check::FileAccess { .. }
        | Check::Attest { .. }
        | Check::Container(_)
        | Check::Image(_)
        | Check::Swarm(_) => false,
    }
}

/// Whether a container that is not there yet would pass a check.
pub(super) fn holds(entry: &Entry, facts: &Facts, container: &Container) -> bool {
    matches!(&entry.check, Check::Container(rule) if container::holds(rule, facts, container))
}

/// Runs the probe of a check.
pub(super) fn run(entry: &Entry, facts: &Facts, policy: &Policy) -> Vec<Outcome> {
    if facts.rootless.is_some() && is_about_the_host(&entry.check) {
        return vec![Outcome::not_applicable("host:this", "is about the host, not about one user's Docker")];
    }
    match &entry.check {
        Check::DaemonSetting { key, expect } => vec![daemon_setting::run(facts, key, expect)],
        Check::AuditWatch { object, also, perm } => audit_watch::run(facts, object, also, perm),
        Check::FileAccess { object, owner, group, mode } => {
            let wanted = file_access::Wanted {
                owner: owner.as_deref(),
                group: group.as_deref(),
                mode: mode.as_deref().and_then(|m| u32::from_str_radix(m, 8).ok()),
            };
            file_access::run(facts, object, &wanted)
        }
        Check::Environment { name, value } => vec![environment::run(facts, name, value)],
        Check::Attest { look_at, images: false, .. } => {
            vec![Outcome::new("host:this", Verdict::Manual).expected(look_at.clone()).actual(A_PERSON_LOOKS)]
        }
        Check::Attest { look_at, images: true, registries: false } => vec![image::attest(look_at, facts)],
        Check::Attest { look_at, images: true, registries: true } => vec![image::origin(look_at, facts, policy)],
        Check::Container(rule) => container::run(rule, facts),
        Check::Image(rule) => image::run(*rule, facts),
        Check::Swarm(rule) => swarm::run(*rule, facts, policy),
        Check::Builtin(which) => builtin::run(*which, entry, facts, policy),
    }
}
