//! Findings and a plan for the tests of this folder and of `approve`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::{Applicability, Disruption, Finding, HazardFound, PendingOn, Verdict};
use crate::catalog::{Hazard, Severity};
use crate::host::Command;
use crate::plan::{Act, FileChange, FileState, Fingerprint, Held, PLAN_SCHEMA, Plan, Step};

/// A finding about the daemon: medium, level 1.
pub(crate) fn finding(check: &str, number: &str, verdict: Verdict) -> Finding {
    Finding {
        check: check.into(),
        title: format!("title of {check}").into(),
        level: 1,
        references: Arc::new(BTreeMap::from([("cis-1.8.0".into(), number.into())])),
        subject: "daemon:docker.service".into(),
        subject_id: "docker.service".into(),
        verdict,
        pending_on: None,
        severity: Severity::Medium,
        expected: "false".into(),
        actual: "true".into(),
        source: "default".into(),
        applicability: None,
        hazards: Vec::new(),
        disruption: Disruption::None,
        waived: false,
        waiver: None,
    }
}

/// A hazard and what it would hurt.
pub(crate) fn hazard(hazard: Hazard, evidence: &[&str]) -> HazardFound {
    HazardFound { hazard, evidence: evidence.iter().map(ToString::to_string).collect(), looked: true }
}

/// One of each kind.
pub(crate) fn findings() -> Vec<Finding> {
    let icc = Finding {
        applicability: Some(Applicability::Automatic),
        disruption: Disruption::RestartDaemon,
        ..finding("daemon.icc", "2.2", Verdict::Fail)
    };
    let userns = Finding {
        level: 2,
        severity: Severity::High,
        expected: "a user namespace".into(),
        actual: "not set".into(),
        applicability: Some(Applicability::Ask),
        hazards: vec![hazard(Hazard::HidesImages, &["redis:7", "3 volumes"])],
        ..finding("daemon.userns-remap", "2.9", Verdict::Fail)
    };
    let group = Finding {
        subject: "path:/etc/docker".into(),
        expected: "root:root 0755".into(),
        actual: "root:root 0777, which lets everybody put a new daemon.json there".into(),
        applicability: Some(Applicability::Manual),
        ..finding("file.etc-docker", "3.6", Verdict::Fail)
    };
    let waived = Finding { level: 2, waived: true, ..finding("daemon.content-trust", "4.5", Verdict::Fail) };
    let pending = Finding {
        pending_on: Some(PendingOn::ContainersStopped),
        ..finding("daemon.live-restore", "2.14", Verdict::Pending)
    };
    let unknown = Finding {
        actual: "permission denied\u{1b}[2J".into(),
        source: "/run/docker.sock".into(),
        ..finding("daemon.log-level", "2.3", Verdict::Unknown)
    };
    vec![
        icc,
        userns,
        group,
        waived,
        pending,
        unknown,
        finding("daemon.iptables", "2.4", Verdict::Pass),
        finding("daemon.rootless", "2.1", Verdict::NotApplicable),
    ]
}

/// daemon.json that comes into being.
pub(crate) fn daemon_json() -> FileChange {
    FileChange {
        path: PathBuf::from("/etc/docker/daemon.json"),
        before: FileState::Absent,
        after: FileState::Present {
            dir: false,
            mode: 0o644,
            uid: 0,
            gid: 0,
            content: Some("{\n  \"icc\": false\n}\n".into()),
        },
        interim: None,
        secret: false,
    }
}

/// A plan with a step of most kinds, and something held.
pub(crate) fn plan() -> Plan {
    let step = |act, checks: &[&str]| Step { act, checks: checks.iter().map(ToString::to_string).collect() };
    let install = Command::Install {
        argv: ["/usr/bin/apt-get", "install", "-o", "DPkg::Lock::Timeout=300", "--yes", "auditd"]
            .map(String::from)
            .to_vec(),
    };
    Plan {
        schema_version: PLAN_SCHEMA,
        tool_version: "0.1.0".into(),
        generated_at: "2023-11-14T22:13:20Z".into(),
        fingerprint: Fingerprint::default(),
        accepted: Vec::new(),
        steps: vec![
            step(Act::Run(install), &["audit.auditd"]),
            step(Act::File(daemon_json()), &["daemon.icc", "daemon.live-restore"]),
            step(Act::LiveRestoreFirst("/etc/docker/daemon.json".into()), &["daemon.live-restore"]),
            step(Act::LoadAuditRules { expect: vec!["/etc/docker wa".into()] }, &["audit.etc-docker"]),
            step(Act::RestartDocker, &["daemon.icc"]),
        ],
        held: vec![Held {
            check: "daemon.userns-remap".into(),
            hazards: vec![hazard(Hazard::HidesImages, &["redis:7", "3 volumes"])],
            flag: "--accept daemon.userns-remap".into(),
        }],
        disruption: Disruption::RestartDaemon,
        expected_containers: Vec::new(),
        stopped_containers: vec![("web".into(), "abc".into())],
        notes: vec!["the package auditd stays on rollback".into()],
        target: crate::plan::Target::default(),
        parts: Vec::new(),
        compose: Vec::new(),
        composed: Vec::new(),
        subjects: Vec::new(),
    }
}
