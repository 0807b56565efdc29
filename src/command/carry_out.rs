//! Carries an approved plan out and reports what came of it: the end of `apply` and of the guided review.

use super::change::{self, Wish};
use super::session::{Look, Session};
use crate::apply::Outcome;
use crate::approve::Approved;
use crate::audit::{Finding, Verdict};
use crate::cli::{Format, Global};
use crate::error::Result;
use crate::host::{LiveHost, Recorder};
use crate::plan::{Act, Choice, Plan, Recreation};
use crate::report::{DiffPart, Rest, RunReport, json, text};
use crate::ui::Ui;

/// Applies what was approved, and reports.
pub(super) fn carry_out(host: &mut LiveHost, approved: &Approved, wish: &Wish<'_>, ui: &mut Ui) -> Result<u8> {
    let plan = approved.plan();
    if wish.args.yes {
        // a person has read them in the plan's summary, before saying yes
        for note in &plan.notes {
            ui.note(note);
        }
    }
    ui.check_interrupt()?;
    let outcome = if plan.is_empty() { None } else { Some(change::apply(host, plan, wish, ui)?) };
    ui.end_progress();
    let exit = match report(host, plan, outcome.as_ref(), wish, ui) {
        Ok(exit) => exit,
        // The run stands, whatever keeps us from looking at it again or from saying so.
        Err(failure) if outcome.is_some() => {
            ui.warning(&format!("the run stands, but could not be reported: {failure}"));
            0
        }
        Err(failure) => return Err(failure),
    };
    if let Some(outcome) = outcome {
        after(&outcome, wish.global, ui);
    }
    Ok(exit)
}

/// Looks at the host again and says what was done, what waits and what stays.
fn report(host: &LiveHost, plan: &Plan, outcome: Option<&Outcome>, wish: &Wish<'_>, ui: &mut Ui) -> Result<u8> {
    let recorder = Recorder::new(host);
    // A saved plan carries its own selection, which the options do not tell.
    let everything = change::everything(wish.global);
    let selected = if wish.args.plan.is_some() { &everything } else { wish.global };
    let session = Session::open(&recorder, selected, Look::default(), ui)?;
    let planned = session.plan(Choice::automatic(), false, &change::past(host))?;
    let exit = exit(wish, &planned.findings);
    let mut report = RunReport {
        envelope: session.envelope(exit),
        changed: outcome.is_some(),
        run: outcome.map(|o| o.run.clone()),
        applied: outcome.map(|o| o.applied.clone()).unwrap_or_default(),
        held: plan.held.clone(),
        pending: pending(&planned.findings),
        restart_required: outcome.is_some_and(|o| o.restart_required),
        reboot_required: outcome.is_some_and(|o| o.reboot_required),
        not_reverted: Vec::new(),
        diff: diffs(plan),
        containers: outcome.map(|o| o.containers.clone()).unwrap_or_default(),
        recreated: outcome.map(|o| o.recreated.iter().map(Recreation::told).collect()).unwrap_or_default(),
    };
    let waits = |on: &str| report.pending.iter().any(|p| p.reason == on);
    report.reboot_required |= waits(text::waits_for(crate::audit::PendingOn::Reboot));
    match session.facts.daemon.next_start_fails() {
        None => report.restart_required |= waits(text::waits_for(crate::audit::PendingOn::Restart)),
        Some(why) => {
            report.restart_required = false;
            ui.warning(&format!("docker must not be restarted as it is, its start would fail: {why}"));
        }
    }
    match wish.args.format {
        Format::Text => ui.report(&text::run(&report, "applied"))?,
        Format::Json => ui.document(&json::run(&report).map_err(super::not_json)?)?,
    }
    stays_open(&planned.findings, ui);
    Ok(exit)
}

fn exit(wish: &Wish<'_>, findings: &[Finding]) -> u8 {
    let open = findings.iter().any(|f| f.verdict == Verdict::Fail && !f.waived);
    if wish.args.detailed_exitcode && open { 2 } else { 0 }
}

/// "nothing to do" is no clean bill: some fails take a person, and what could not be read was not judged.
fn stays_open(findings: &[Finding], ui: &mut Ui) {
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict && !f.waived).count();
    let stay = [(count(Verdict::Fail), "fail"), (count(Verdict::Unknown), "unknown")];
    let words: Vec<String> = stay.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !words.is_empty() {
        ui.note(&format!("findings that stay open: {}; `seaworthy audit` lists them", words.join(", ")));
    }
}

fn pending(findings: &[Finding]) -> Vec<Rest> {
    let waiting = findings.iter().filter(|f| f.verdict == Verdict::Pending);
    waiting
        .filter_map(|f| Some(Rest { check: f.check.clone(), reason: text::waits_for(f.pending_on?).into() }))
        .collect()
}

fn diffs(plan: &Plan) -> Vec<DiffPart> {
    let file = |act: &Act| match act {
        Act::File(change) => Some(DiffPart::of(change)),
        _ => None,
    };
    plan.steps.iter().filter_map(|step| file(&step.act)).collect()
}

/// What to do next.
fn after(outcome: &Outcome, global: &Global, ui: &mut Ui) {
    for note in &outcome.notes {
        ui.note(note);
    }
    for line in &outcome.by_hand {
        ui.note(&format!("run by hand: {line}"));
    }
    let hint = if outcome.confirm_by.is_some() {
        format!("run `seaworthy confirm {}`, or all of it is taken back", outcome.run)
    } else {
        format!("run `seaworthy rollback {}` to take it back", outcome.run)
    };
    ui.hint(&super::on_same_host(&hint, global));
}
