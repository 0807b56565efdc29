//! What is checked of every scenario: verdict, plan, apply, audit again, second plan, rollback.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use seaworthy::apply::{ApplyOptions, Deadlines, RollbackOptions, Silent, Store, Who, apply, rollback};
use seaworthy::audit::{Applicability, Finding, Verdict};
use seaworthy::catalog::words::hazard_name;
use seaworthy::catalog::{Catalog, Entry};
use seaworthy::error::Failure;
use seaworthy::host::{Host, HostMut, Query};
use seaworthy::plan::{Act, Choice, Plan};
use seaworthy::policy::Policy;
use serde_json::Value;
use similar::TextDiff;

use crate::Checked;
use crate::fixture::Scenario;
use crate::look::{Question, automatic, document};
use crate::support::fake_host::{FakeHost, FakeNode};
use crate::{coverage, lines, world};

/// Checks a scenario; answers with the plan as text, which is compared unless it is to be blessed.
pub(crate) fn check(catalog: &Catalog, file: &str, scenario: &Scenario, bless: bool) -> Checked<String> {
    let entry = coverage::entry(catalog, file).ok_or(format!("no remediation is called {file}"))?;
    let policy = match &scenario.over.config {
        Some(text) => Policy::parse(text, "config.toml".as_ref()).map_err(|failure| format!("{failure:?}"))?,
        None => Policy::default(),
    };
    let all: Vec<&Entry> = catalog.entries().collect();
    let question = Question { entries: &all, policy: &policy };
    let mut host = world::host(scenario)?;
    // What it would hurt alone: in the whole plan live-restore may go first.
    let alone = Question { entries: &[entry], ..question };
    let (by_itself, _) = alone.plan(&host, automatic())?;
    let own: Vec<&Finding> = by_itself.findings.iter().collect();
    verdict(scenario, &own)?;
    if entry.remediation.edits.is_empty() {
        return if by_itself.plan.is_empty() { Ok(String::new()) } else { Err("advice alone has a plan".into()) };
    }
    let held = own.iter().any(|f| f.applicability == Some(Applicability::Ask)) && !scenario.accept;
    let only = Choice::only(BTreeSet::from([entry.id.clone()]));
    let (question_of_plan, choice) = if held { (alone, automatic()) } else { (question, only) };
    let (planned, facts) = question_of_plan.plan(&host, choice)?;
    question.saved(&host, &planned.plan)?;
    let text = document(&planned.plan, &facts);
    if !bless && text != scenario.diff {
        let diff = TextDiff::from_lines(&scenario.diff, &text).unified_diff().to_string();
        return Err(format!("the plan is not the one in the fixture (-) but (+):\n{diff}"));
    }
    if held || planned.plan.is_empty() {
        return if planned.plan.is_empty() { Ok(text) } else { Err("a held check is in the plan".into()) };
    }
    lines::only_its_own(&planned.plan, catalog, &facts)?;
    lines::disruption(&planned.plan, &host)?;
    let (overall, _) = question.plan(&host, automatic())?;
    there_and_back(&mut host, scenario, entry, &question, &overall.findings, &planned.plan)?;
    Ok(text)
}

/// Applies a plan, looks, plans again, and takes it back.
fn there_and_back(
    host: &mut FakeHost,
    scenario: &Scenario,
    entry: &Entry,
    question: &Question<'_>,
    findings: &[Finding],
    plan: &Plan,
) -> Checked {
    let before = (host.state(), in_force(host));
    let run = carry_out(host, question, plan)?;
    // A reload takes a moment, and nobody waits for it.
    host.sleep(Duration::from_secs(5));
    after(scenario, entry, findings, &question.audit(host))?;
    let (second, facts) = question.plan(host, Choice::only(BTreeSet::from([entry.id.clone()])))?;
    if !second.plan.is_empty() {
        return Err(format!("a second plan is not empty:\n{}", document(&second.plan, &facts)));
    }
    take_back(host, &run, scenario)?;
    if scenario.rollback_fails {
        return Ok(());
    }
    host.sleep(Duration::from_secs(5));
    if host.state() != before.0 {
        return Err(format!("rollback is not exact:{}", differences(&before.0, host)));
    }
    if !plan.steps.iter().any(|step| matches!(step.act, Act::File(_) | Act::Update(_))) {
        // A restart or a start alone cannot be taken back.
        return Ok(());
    }
    let (now, before) = (in_force(host), before.1);
    let before = if host.installed.is_empty() { before } else { without_auditd(&before) };
    if now == before {
        return Ok(());
    }
    let diff = TextDiff::from_lines(&before, &now).unified_diff().to_string();
    Err(format!("rollback left something else in force:\n{diff}"))
}

fn verdict(scenario: &Scenario, own: &[&Finding]) -> Checked {
    let told = || own.iter().map(|f| format!("{} {:?}: {} ({})", f.subject, f.verdict, f.actual, f.source));
    let worst = own.iter().min_by_key(|f| rank(f.verdict)).ok_or("it found nothing")?;
    if worst.verdict != scenario.expect {
        return Err(format!("expected {:?}, got {}", scenario.expect, told().collect::<Vec<_>>().join("; ")));
    }
    if scenario.pending_on.is_some() && worst.pending_on != scenario.pending_on {
        return Err(format!("waits for {:?}, not {:?}", worst.pending_on, scenario.pending_on));
    }
    if scenario.expect == Verdict::Pending && scenario.pending_on.is_none() {
        return Err(format!("say what it waits for: {:?}", worst.pending_on));
    }
    if scenario.severity.is_some_and(|severity| severity != worst.severity) {
        return Err(format!("matters {:?}: {}", worst.severity, worst.actual));
    }
    let applicability = own.iter().filter_map(|f| f.applicability).min();
    if scenario.applicability.is_some() && applicability != scenario.applicability {
        return Err(format!("applicability {applicability:?}, hazards {:?}", worst.hazards));
    }
    if let Some(wanted) = &scenario.hazards {
        let found: Vec<String> = worst.hazards.iter().map(|h| hazard_name(h.hazard)).collect();
        if found != *wanted {
            return Err(format!("hazards {:?}", worst.hazards));
        }
    }
    Ok(())
}

/// The worst first.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 0,
        Verdict::Unknown => 1,
        Verdict::Pending => 2,
        Verdict::Manual => 3,
        Verdict::Pass => 4,
        Verdict::NotApplicable => 5,
    }
}

fn carry_out(host: &mut FakeHost, question: &Question<'_>, plan: &Plan) -> Checked<String> {
    let chosen: Vec<&Entry> = question.entries.iter().copied().filter(|e| plan.accepted.contains(&e.id)).collect();
    let chosen = Question { entries: &chosen, ..*question };
    let mut options = ApplyOptions {
        no_restart: false,
        confirm_within: None,
        deadlines: Deadlines::default(),
        who: who(),
        args: vec!["apply".into()],
        detect: &mut |host: &dyn Host| {
            let now = question.evidence(host, plan);
            Ok(now.into_iter().filter(|e| !plan.fingerprint.evidence.contains(e)).collect())
        },
        verify: &mut |host: &dyn Host| {
            let findings = chosen.audit(host);
            let open = findings.iter().filter(|f| matches!(f.verdict, Verdict::Fail | Verdict::Unknown));
            Ok(open.map(|f| format!("{} {}: {}", f.check, f.subject, f.actual)).collect())
        },
    };
    let outcome = apply(host, &Store::default(), plan, &mut options, &mut Silent, &AtomicBool::new(false));
    Ok(outcome.map_err(|failure| told("apply", &failure))?.run)
}

fn after(scenario: &Scenario, entry: &Entry, before: &[Finding], now: &[Finding]) -> Checked {
    let own = now.iter().filter(|f| f.check == entry.id && f.verdict != Verdict::NotApplicable);
    for finding in own {
        let good = match scenario.after {
            Some(on) => finding.pending_on == Some(on),
            None => finding.verdict == Verdict::Pass,
        };
        if !good {
            let Finding { subject, verdict, pending_on, actual, .. } = finding;
            return Err(format!("after the fix {subject} is {verdict:?} {pending_on:?}: {actual}"));
        }
    }
    let failed = |f: &&Finding| f.verdict == Verdict::Fail;
    let known = |f: &Finding| before.iter().filter(failed).any(|b| b.check == f.check);
    match now.iter().filter(failed).find(|f| !known(f)) {
        Some(turned) => Err(format!("{} {} fails now: {}", turned.check, turned.subject, turned.actual)),
        None => Ok(()),
    }
}

fn take_back(host: &mut FakeHost, run: &str, scenario: &Scenario) -> Checked {
    let options = |force| RollbackOptions {
        force,
        only_check: None,
        only_unfinished: false,
        wait_lock: 0,
        deadlines: Deadlines::default(),
        who: who(),
    };
    let store = Store::default();
    if scenario.rollback_force && rollback(host, &store, run, &options(false), &mut Silent).is_ok() {
        return Err("the way back did not have to be forced".into());
    }
    let done = rollback(host, &store, run, &options(scenario.rollback_force), &mut Silent);
    if scenario.rollback_fails {
        return done.map_or(Ok(()), |_| Err("the way back was not expected to work".into()));
    }
    done.map(|_| ()).map_err(|failure| told("rollback", &failure))
}

fn who() -> Who {
    Who { uid: 0, name: "root".into() }
}

fn told(what: &str, failure: &Failure) -> String {
    format!("{what}: {}; {}; host: {:?}", failure.message, failure.causes.join("; "), failure.host)
}

/// What runs with which settings: the daemon, the kernel's audit, the units.
fn in_force(host: &FakeHost) -> String {
    let mut lines = vec![format!("docker.service {}", host.docker.active)];
    if host.docker.active == "active" {
        let mut paths = vec!["/info".to_owned()];
        // With containers the bridge keeps its options through every restart.
        paths.extend((host.docker.running() == 0).then(|| "/networks/bridge".to_owned()));
        for answer in host.engine("/run/docker.sock".as_ref(), &paths) {
            lines.push(answer.map_or_else(|e| format!("{e:?}"), |value| format!("{:#}", settled(value))));
        }
        lines.extend(host.settings());
    }
    lines.extend(host.kernel_rules.clone());
    for one in &host.docker.containers {
        lines.push(format!("{} runs: {}", one.name, one.pid != 0));
    }
    // A package stays, and what it started.
    let units = if host.installed.is_empty() { vec!["docker.socket", "auditd.service"] } else { vec!["docker.socket"] };
    for unit in units {
        let shown = host.ask(&Query::UnitShow(unit.into())).map(|a| a.stdout).unwrap_or_default();
        let tells = ["UnitFileState=", "ActiveState=", "SocketMode=", "SocketUser=", "DropInPaths="];
        let mut told: Vec<String> =
            shown.lines().filter(|l| tells.iter().any(|t| l.starts_with(t))).map(|l| format!("{unit} {l}")).collect();
        told.sort();
        lines.extend(told);
    }
    lines.join("\n") + "\n"
}

/// A swarm counts its changes, those that take one back too.
fn settled(mut answer: Value) -> Value {
    if let Some(version) = answer.pointer_mut("/Swarm/Cluster/Version") {
        *version = Value::Null;
    }
    answer
}

fn without_auditd(text: &str) -> String {
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("auditd.service")).collect();
    kept.join("\n") + "\n"
}

fn differences(before: &[(PathBuf, FakeNode)], host: &FakeHost) -> String {
    let now = host.state();
    let told = |(path, node): &(PathBuf, FakeNode)| {
        let (path, text) = (path.display(), String::from_utf8_lossy(&node.bytes));
        format!("{path} {:?} {:04o} {}:{} {text:?}", node.stat.kind, node.stat.mode, node.stat.uid, node.stat.gid)
    };
    let gone = before.iter().filter(|one| !now.contains(one)).map(|one| format!("\n-{}", told(one)));
    let new = now.iter().filter(|one| !before.contains(one)).map(|one| format!("\n+{}", told(one)));
    gone.chain(new).collect()
}
