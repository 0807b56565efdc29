//! Documents for programs. One JSON object each, ended by a line break.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::model::{AuditReport, Envelope, HistoryRun, RunReport};
use super::plan_text::Render;
use super::text::word;
use crate::audit::Disruption;
use crate::error::Failure;
use crate::plan::{Act, Advised, Held, Plan, Step};

/// How much of a document is written at a time, in bytes.
const AT_A_TIME: usize = 64 << 10;

/// The audit's document, written while it is made: a thousand containers have some forty thousand findings.
///
/// # Errors
/// When `out` cannot be written.
pub fn audit(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    // a finding is some hundred little writes: they are gathered here, before they go through a `dyn`
    let mut out = BufWriter::with_capacity(AT_A_TIME, out);
    serde_json::to_writer_pretty(&mut out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// What an apply or a rollback did.
///
/// # Errors
/// Only when a value cannot be JSON, which none of ours is; so in all functions below.
pub fn run(report: &RunReport) -> serde_json::Result<String> {
    document(report)
}

/// The runs of the history.
pub fn history(envelope: &Envelope, runs: &[HistoryRun]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct History<'a> {
        #[serde(flatten)]
        envelope: &'a Envelope,
        runs: &'a [HistoryRun],
    }
    document(&History { envelope, runs })
}

/// The plan: its changes in order with their diffs, what is held, and the containers that a person would make anew.
pub fn plan(envelope: &Envelope, plan: &Plan, advised: &[Advised], render: Render<'_>) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Document<'a> {
        #[serde(flatten)]
        envelope: &'a Envelope,
        changes: Vec<Value>,
        held: &'a [Held],
        accepted: &'a [String],
        disruption: Disruption,
        stopped_containers: Vec<&'a str>,
        notes: &'a [String],
        advised: &'a [Advised],
    }
    document(&Document {
        envelope,
        changes: plan.steps.iter().map(|step| change(step, render)).collect(),
        held: &plan.held,
        accepted: &plan.accepted,
        disruption: plan.disruption,
        stopped_containers: plan.stopped_containers.iter().map(|(name, _)| name.as_str()).collect(),
        notes: &plan.notes,
        advised,
    })
}

/// One change: a file with its diff, or an action with its command.
fn change(step: &Step, render: Render<'_>) -> Value {
    let checks = &step.checks;
    match &step.act {
        Act::File(file) => {
            let diff = render(file);
            json!({
                "kind": "file", "checks": checks, "path": file.path, "diff": diff.text, "patchable": diff.patchable,
            })
        }
        Act::Run(command) => json!({ "kind": "run", "checks": checks, "command": command.to_string() }),
        Act::LiveRestoreFirst(path) => json!({ "kind": "live-restore-first", "checks": checks, "path": path }),
        Act::LoadAuditRules { expect } => json!({ "kind": "load-audit-rules", "checks": checks, "expect": expect }),
        Act::Update(change) if change.of_swarm() => json!({
            "kind": "update-swarm", "checks": checks, "id": change.id,
            "before": change.before, "after": change.after, "command": change.command(),
        }),
        Act::Update(change) => json!({
            "kind": "update-container", "checks": checks, "container": change.name, "id": change.id,
            "before": change.before, "after": change.after, "command": change.command(),
        }),
        Act::Recreate(recreation) => json!({
            "kind": "recreate-service", "checks": checks, "project": recreation.project, "service": recreation.service,
            "files": recreation.files, "containers": recreation.containers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "command": recreation.command(),
        }),
        act @ (Act::DaemonReload | Act::RestartDocker) => {
            json!({ "kind": word(act), "checks": checks })
        }
    }
}

/// The one object that stands for a failure under `--format json`.
pub fn failure(failure: &Failure) -> String {
    let Failure { kind, message, causes, host, hint } = failure;
    let object = json!({ "error": {
        "kind": kind.word(), "message": message, "causes": causes, "hint": hint, "host": host,
    }});
    format!("{object:#}\n")
}

fn document(value: &impl Serialize) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::model::{DiffPart, HostLine, Rest, Summary};
    use super::super::plan_text::Diff;
    use super::super::samples;
    use super::*;
    use crate::error::Kind;

    fn envelope() -> Envelope {
        Envelope::new(1_700_000_000, Some("4f3c".into()), 0)
    }

    fn keys(text: &str) -> (Value, Vec<String>) {
        let value: Value = serde_json::from_str(text).unwrap();
        let keys = value.as_object().unwrap().keys().cloned().collect();
        (value, keys)
    }

    const HEAD: [&str; 5] = ["schema_version", "tool_version", "generated_at", "machine_id", "exit"];

    #[test]
    fn the_audit_has_the_published_fields() {
        let host = HostLine { hostname: "web1".into(), ..HostLine::default() };
        let report = AuditReport::new(envelope(), host, "1.8.0", "level-2", samples::findings(), &[]);
        let mut document = Vec::new();
        audit(&report, &mut document).unwrap();
        let (value, keys) = keys(std::str::from_utf8(&document).unwrap());
        assert_eq!(keys[..5], HEAD);
        assert_eq!(keys[5..], ["host", "benchmark", "profile", "findings", "summary", "stale_waivers"]);
        assert_eq!((&value["schema_version"], &value["exit"]), (&json!(1), &json!(2)));
        assert_eq!(value["benchmark"], "cis-1.8.0");
        let userns = &value["findings"][1];
        assert_eq!(userns["hazards"][0]["hazard"], "hides-images");
        assert_eq!(userns["hazards"][0]["evidence"], json!(["redis:7", "3 volumes"]));
        assert_eq!((&userns["verdict"], &userns["applicability"]), (&json!("fail"), &json!("ask")));
        assert_eq!(value["findings"][4]["pending_on"], "containers-stopped");
        assert_eq!(value["summary"]["not_applicable"], 1);
        assert_eq!(value["summary"]["levels"]["2"]["fail"], 2);
        assert_eq!(report.summary, Summary::of(&report.findings));
    }

    #[test]
    fn the_plan_has_changes_in_order_and_what_is_held() {
        let render = |_: &crate::plan::FileChange| Diff { text: "--- /dev/null\n".into(), patchable: true };
        let (value, keys) = keys(&plan(&envelope(), &samples::plan(), &[], &render).unwrap());
        assert_eq!(keys[..5], HEAD);
        let kinds: Vec<_> = value["changes"].as_array().unwrap().iter().map(|c| c["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["run", "file", "live-restore-first", "load-audit-rules", "restart-docker"]);
        assert_eq!(value["changes"][1]["diff"], "--- /dev/null\n");
        assert_eq!(value["changes"][1]["path"], "/etc/docker/daemon.json");
        assert_eq!(value["held"][0]["flag"], "--accept daemon.userns-remap");
        assert_eq!(value["disruption"], "restart-daemon");
        assert_eq!(value["stopped_containers"], json!(["web"]));
    }

    #[test]
    fn a_run_and_the_history_have_their_fields() {
        let report = RunReport {
            envelope: envelope(),
            changed: true,
            run: Some("r1".into()),
            applied: vec!["daemon.icc".into()],
            held: Vec::new(),
            pending: vec![Rest { check: "daemon.icc".into(), reason: "a restart".into() }],
            restart_required: true,
            reboot_required: false,
            not_reverted: Vec::new(),
            diff: vec![DiffPart::default()],
            containers: Vec::new(),
            recreated: Vec::new(),
        };
        let (value, run_keys) = keys(&run(&report).unwrap());
        assert_eq!(
            run_keys[5..],
            [
                "changed",
                "run",
                "applied",
                "held",
                "pending",
                "restart_required",
                "reboot_required",
                "not_reverted",
                "diff",
                "containers",
                "recreated"
            ]
        );
        let parts: Vec<_> = value["diff"][0].as_object().unwrap().keys().collect();
        assert_eq!(parts, ["before_header", "after_header", "before", "after"]);
        let (value, history_keys) = keys(&history(&envelope(), &[]).unwrap());
        assert_eq!((history_keys[..5].to_vec(), &value["runs"]), (HEAD.map(String::from).to_vec(), &json!([])));
    }

    #[test]
    fn a_failure_is_one_object() {
        let text = failure(&Failure::of(Kind::Refused, "needs root").host("unchanged").hint("sudo seaworthy apply"));
        assert_eq!(
            text,
            "{\n  \"error\": {\n    \"kind\": \"refused\",\n    \"message\": \"needs root\",\n    \"causes\": [],\n    \
             \"hint\": \"sudo seaworthy apply\",\n    \"host\": \"unchanged\"\n  }\n}\n"
        );
    }
}
