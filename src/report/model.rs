//! The documents. Field names are the JSON's; within a `schema_version` fields are only added.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::{Applicability, Finding, Stale, Verdict};
use crate::catalog::Severity;
use crate::cli::FailOn;
use crate::plan::{FileChange, FileState, Held, LiveChange, Plan, diff};

/// Version of the documents.
pub const SCHEMA: u32 = 1;

/// What every document begins with.
#[derive(Clone, Debug, Serialize)]
pub struct Envelope {
    /// [`SCHEMA`].
    pub schema_version: u32,
    /// Version of seaworthy.
    pub tool_version: String,
    /// When, RFC 3339.
    pub generated_at: String,
    /// `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// The exit code of this very call.
    pub exit: u8,
}

impl Envelope {
    /// For a document made `now` (seconds since the epoch).
    pub fn new(now: i64, machine_id: Option<String>, exit: u8) -> Self {
        let generated_at = jiff::Timestamp::from_second(now).map_or_else(|_| String::new(), |time| time.to_string());
        let tool_version = env!("CARGO_PKG_VERSION").to_owned();
        Self { schema_version: SCHEMA, tool_version, generated_at, machine_id, exit }
    }
}

/// The host that was looked at, for the head of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostLine {
    /// Its name.
    pub hostname: String,
    /// Its operating system, as it calls itself.
    pub os: String,
    /// Version of the engine; `None`: not installed, or not known.
    pub docker: Option<String>,
    /// How the daemon stands, in a few words: `running`, `stopped`, `not installed`, `unknown: WHY`.
    pub daemon: String,
    /// We saw everything.
    pub privileged: bool,
    /// The tree of a host that is not running (`--root`).
    pub offline: bool,
    /// Recorded facts (`--facts`), and when they were recorded, RFC 3339.
    pub recorded_at: Option<String>,
}

/// The audit's report.
#[derive(Clone, Debug, Serialize)]
pub struct AuditReport {
    /// What every document begins with.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// The host.
    pub host: HostLine,
    /// In which numbers are read: `cis-1.8.0`.
    pub benchmark: String,
    /// Which selection.
    pub profile: String,
    /// All findings, in the catalogue's order.
    pub findings: Vec<Finding>,
    /// Their counts.
    pub summary: Summary,
    /// Waivers that somebody has to look at.
    pub stale_waivers: Vec<Stale>,
}

impl AuditReport {
    /// Puts a report together; counts and exit code follow from the findings.
    pub fn new(
        mut envelope: Envelope,
        host: HostLine,
        benchmark: &str,
        profile: &str,
        findings: Vec<Finding>,
        fail_on: &[FailOn],
    ) -> Self {
        envelope.exit = audit_exit(&findings, fail_on);
        let benchmark = format!("cis-{}", benchmark.trim_start_matches("cis-"));
        let summary = Summary::of(&findings);
        let stale_waivers = Vec::new();
        Self { envelope, host, benchmark, profile: profile.to_owned(), findings, summary, stale_waivers }
    }
}

/// Findings by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// All of them.
    pub total: usize,
    /// As it should be.
    pub pass: usize,
    /// Not as it should be, waived ones too.
    pub fail: usize,
    /// Written, not in force yet.
    pub pending: usize,
    /// A person has to look.
    pub manual: usize,
    /// Do not apply here.
    pub not_applicable: usize,
    /// Could not be read.
    pub unknown: usize,
}

impl Count {
    fn add(&mut self, verdict: Verdict) {
        self.total += 1;
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Fail => &mut self.fail,
            Verdict::Pending => &mut self.pending,
            Verdict::Manual => &mut self.manual,
            Verdict::NotApplicable => &mut self.not_applicable,
            Verdict::Unknown => &mut self.unknown,
        } += 1;
    }
}

/// The counts of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All findings by verdict.
    #[serde(flatten)]
    pub all: Count,
    /// By level of the benchmark.
    pub levels: BTreeMap<u8, Count>,
    /// Unwaived fails.
    pub open: usize,
    /// Waived fails.
    pub waived: usize,
    /// Open, and fixed by `apply --yes`.
    pub automatic: usize,
    /// Open, and held back until accepted.
    pub ask: usize,
    /// Open, and fixed by a person.
    pub by_hand: usize,
}

impl Summary {
    /// Counts findings.
    pub fn of(findings: &[Finding]) -> Self {
        let mut summary = Self::default();
        for finding in findings {
            summary.all.add(finding.verdict);
            summary.levels.entry(finding.level).or_default().add(finding.verdict);
            if finding.verdict != Verdict::Fail {
                continue;
            }
            if finding.waived {
                summary.waived += 1;
                continue;
            }
            summary.open += 1;
            *match finding.applicability {
                Some(Applicability::Automatic) => &mut summary.automatic,
                Some(Applicability::Ask) => &mut summary.ask,
                Some(Applicability::Manual) | None => &mut summary.by_hand,
            } += 1;
        }
        summary
    }
}

/// A part of the diff: one file or setting, before and after, secrets masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiffPart {
    /// What it was: path, owner and mode.
    pub before_header: String,
    /// What it is.
    pub after_header: String,
    /// Content before.
    pub before: String,
    /// Content after.
    pub after: String,
}

impl DiffPart {
    /// What a change makes of a path, with secrets masked.
    pub fn of(change: &FileChange) -> Self {
        let FileChange { path, before, after, interim: _, secret } = change;
        let header = |state: &FileState| match state {
            FileState::Absent => format!("{} (absent)", path.display()),
            FileState::Present { dir: _, mode, uid, gid, content: _ } => {
                format!("{} {mode:04o} {uid}:{gid}", path.display())
            }
        };
        let content = |state: &FileState| match state {
            FileState::Present { content: Some(_), .. } if *secret => "(holds secrets)\n".to_owned(),
            FileState::Present { content: Some(text), .. } => diff::masked(text),
            FileState::Present { content: None, .. } | FileState::Absent => String::new(),
        };
        Self {
            before_header: header(before),
            after_header: header(after),
            before: content(before),
            after: content(after),
        }
    }
}

/// A finding that is not in force yet, or something that was not undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rest {
    /// Slug of the check, or the object.
    pub check: String,
    /// What it waits for, or why it stays.
    pub reason: String,
}

/// What an apply or a rollback did.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// What every document begins with.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Whether anything on the host is different now.
    pub changed: bool,
    /// The run; `None`: there was nothing to do.
    pub run: Option<String>,
    /// Slugs of the checks that were fixed (apply) or taken back (rollback).
    pub applied: Vec<String>,
    /// What was held back.
    pub held: Vec<Held>,
    /// What is written and waits.
    pub pending: Vec<Rest>,
    /// docker.service has to be restarted for some of it.
    pub restart_required: bool,
    /// The host has to be booted for some of it.
    pub reboot_required: bool,
    /// What a rollback leaves as it is.
    pub not_reverted: Vec<Rest>,
    /// What is different now.
    pub diff: Vec<DiffPart>,
    /// Containers that are different now.
    pub containers: Vec<LiveChange>,
    /// Services of compose that were made anew, in words.
    pub recreated: Vec<String>,
}

/// One run of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryRun {
    /// The run.
    pub run: String,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// Who: name of the login that called it.
    pub user: String,
    /// `committed`, `rolled back`, `unfinished`, `at work (pid 4242)`, …: how it ended, in words.
    pub state: String,
    /// What still stands, in words: `stands`, `changed since`, `taken back`.
    pub stands: String,
    /// Slugs of the checks.
    pub checks: Vec<String>,
    /// Paths that were changed.
    pub paths: Vec<String>,
    /// Containers that were changed.
    pub containers: Vec<String>,
}

/// The number of a finding in a benchmark, `-` where it has none.
pub fn number<'a>(references: &'a BTreeMap<String, String>, benchmark: &str) -> &'a str {
    references.get(benchmark).map_or("-", String::as_str)
}

/// `1 file`, `2 files`.
pub fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// 2 when something counts as open: unwaived fails, and what `--fail-on` adds, from its severity on.
pub fn audit_exit(findings: &[Finding], fail_on: &[FailOn]) -> u8 {
    let severity = |on: &FailOn| match on {
        FailOn::Pending | FailOn::Unknown => None,
        FailOn::Low => Some(Severity::Low),
        FailOn::Medium => Some(Severity::Medium),
        FailOn::High => Some(Severity::High),
        FailOn::Critical => Some(Severity::Critical),
    };
    let least = fail_on.iter().filter_map(severity).min().unwrap_or(Severity::Low);
    let counts = |finding: &Finding| match finding.verdict {
        Verdict::Fail => true,
        Verdict::Pending => fail_on.contains(&FailOn::Pending),
        Verdict::Unknown => fail_on.contains(&FailOn::Unknown),
        Verdict::Pass | Verdict::Manual | Verdict::NotApplicable => false,
    };
    let open = |finding: &Finding| !finding.waived && finding.severity >= least && counts(finding);
    if findings.iter().any(open) { 2 } else { 0 }
}

/// 2 when there are changes to make; what is held does not count.
pub fn plan_exit(plan: &Plan) -> u8 {
    if plan.is_empty() { 0 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{daemon_json, finding, findings};
    use super::*;

    #[test]
    fn counts_are_by_verdict_level_and_what_can_be_done() {
        let summary = Summary::of(&findings());
        assert_eq!(
            summary.all,
            Count { total: 8, pass: 1, fail: 4, pending: 1, manual: 0, not_applicable: 1, unknown: 1 }
        );
        assert_eq!((summary.open, summary.waived), (3, 1));
        assert_eq!((summary.automatic, summary.ask, summary.by_hand), (1, 1, 1));
        assert_eq!(summary.levels[&2].fail, 2);
        assert_eq!(summary.levels.values().map(|count| count.total).sum::<usize>(), 8);
    }

    #[test]
    fn only_an_unwaived_fail_is_open() {
        let with = |verdict| vec![finding("daemon.icc", "2.2", verdict)];
        assert_eq!(audit_exit(&with(Verdict::Fail), &[]), 2);
        for verdict in [Verdict::Pass, Verdict::Pending, Verdict::Manual, Verdict::NotApplicable, Verdict::Unknown] {
            assert_eq!(audit_exit(&with(verdict), &[]), 0, "{verdict:?}");
        }
        let mut waived = with(Verdict::Fail);
        waived[0].waived = true;
        assert_eq!(audit_exit(&waived, &[]), 0);
    }

    #[test]
    fn fail_on_adds_verdicts_and_sets_a_severity() {
        let with = |verdict| vec![finding("daemon.icc", "2.2", verdict)]; // severity medium
        assert_eq!(audit_exit(&with(Verdict::Pending), &[FailOn::Pending]), 2);
        assert_eq!(audit_exit(&with(Verdict::Unknown), &[FailOn::Pending]), 0);
        assert_eq!(audit_exit(&with(Verdict::Unknown), &[FailOn::Unknown, FailOn::Medium]), 2);
        assert_eq!(audit_exit(&with(Verdict::Fail), &[FailOn::High]), 0);
        assert_eq!(audit_exit(&with(Verdict::Fail), &[FailOn::High, FailOn::Low]), 2);
    }

    #[test]
    fn the_envelope_tells_when_and_what() {
        let envelope = Envelope::new(1_700_000_000, Some("abc".into()), 2);
        assert_eq!(envelope.generated_at, "2023-11-14T22:13:20Z");
        assert_eq!(envelope.tool_version, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_diff_part_shows_metadata_and_hides_secrets() {
        let part = DiffPart::of(&daemon_json());
        assert_eq!(part.before_header, "/etc/docker/daemon.json (absent)");
        assert_eq!(part.after_header, "/etc/docker/daemon.json 0644 0:0");
        assert_eq!((part.before.as_str(), part.after.as_str()), ("", "{\n  \"icc\": false\n}\n"));
        let masked = DiffPart::of(&FileChange { secret: true, ..daemon_json() });
        assert_eq!((masked.before.as_str(), masked.after.as_str()), ("", "(holds secrets)\n"));
    }
}
