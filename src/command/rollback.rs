//! `seaworthy rollback`: takes a run back, or one fix of it.

use super::change;
use std::fmt::Write as _;

use super::session::{self, catalog};
use crate::apply::{self, ChangedSince, RollbackPlan, State, Store};
use crate::approve::{Mode, confirm};
use crate::catalog::{Benchmark, find};
use crate::cli::{Format, Global, Rollback};
use crate::error::{Failure, Result};
use crate::host::{Host, LiveHost};
use crate::plan::{Recreation, diff};
use crate::report::{DiffPart, Envelope, Rest, RunReport, json, text};
use crate::text::clean;
use crate::ui::{Ui, paint_diff};

/// Plans the rollback, shows it, asks, does it.
pub(super) fn run(args: &Rollback, global: &Global, ui: &mut Ui) -> Result<u8> {
    let mut host = session::live(global)?;
    session::need_root(&host, "rollback")?;
    change::outside(&host)?;
    let store = Store::default();
    let check = match global.check.first() {
        Some(name) => Some(find(catalog(), name, benchmark(global)?)?.0.id.clone()),
        None => None,
    };
    let run = match &args.run {
        Some(run) => run.clone(),
        None => last(&host, &store, check.as_deref())?,
    };
    let draft = apply::plan_rollback(&host, &store, &run, check.as_deref())?;
    if !args.only_unfinished {
        show(&draft, &host, ui);
        if !args.force {
            draft.unforced()?;
        }
        let nothing = draft.is_empty();
        let question = "take this back?";
        let command = format!("seaworthy rollback {run} --yes");
        if !nothing && !confirm(Mode::of(args.yes, ui), question, &command)? {
            ui.status("host: unchanged");
            return Ok(0);
        }
        ui.check_interrupt()?;
    }
    let mut options = change::rollback_options(&host);
    options.force = args.force;
    options.only_check.clone_from(&check);
    options.only_unfinished = args.only_unfinished;
    if args.only_unfinished {
        // The timer may fire while the apply it belongs to still rolls back by itself.
        options.wait_lock = 600;
    }
    let outcome = apply::rollback(&mut host, &store, &run, &options, ui)?;
    ui.end_progress();
    let changed = !outcome.restored.is_empty() || !outcome.containers.is_empty() || !outcome.recreated.is_empty();
    let now = host.now();
    let machine = super::machine_id(&host);
    let report = RunReport {
        envelope: Envelope::new(now, machine, 0),
        changed,
        run: Some(outcome.run.clone()),
        applied: taken_back(&host, &store, &run, check),
        held: Vec::new(),
        pending: Vec::new(),
        restart_required: false,
        reboot_required: outcome.reboot_required,
        not_reverted: outcome.notes.iter().map(|n| Rest { check: outcome.run.clone(), reason: n.clone() }).collect(),
        diff: draft.changes.iter().map(DiffPart::of).collect(),
        containers: outcome.containers,
        recreated: outcome.recreated.iter().map(Recreation::told).collect(),
    };
    if let Err(failure) = print(&report, args.format, ui) {
        // It is taken back all the same: an error would say that the host is unchanged.
        ui.warning(&format!("run {run} is taken back, but this could not be reported: {failure}"));
    }
    Ok(0)
}

fn print(report: &RunReport, format: Format, ui: &mut Ui) -> Result<()> {
    match format {
        Format::Text => ui.report(&text::run(report, "taken back")),
        Format::Json => ui.document(&json::run(report).map_err(super::not_json)?),
    }
}

fn benchmark(global: &Global) -> Result<Benchmark> {
    session::benchmark(global, &crate::policy::Policy::default())
}

/// The last run that stands (and that was for this check).
fn last(host: &LiveHost, store: &Store, check: Option<&str>) -> Result<String> {
    let stands = |run: &apply::RunSummary| {
        let open =
            matches!(run.state, State::Committed | State::Unfinished | State::Unconfirmed { .. } | State::Incomplete);
        open && check.is_none_or(|c| run.checks.iter().any(|k| k == c) && !run.undone.iter().any(|u| u == c))
    };
    let run = apply::list(host, store)?.into_iter().rev().find(stands);
    run.map(|run| run.id).ok_or_else(|| {
        Failure::new("no run stands that could be taken back").host("unchanged").hint("run `seaworthy history`")
    })
}

fn taken_back(host: &dyn Host, store: &Store, run: &str, check: Option<String>) -> Vec<String> {
    match check {
        Some(check) => vec![check],
        None => apply::summary(host, store, run).ok().flatten().map(|run| run.checks).unwrap_or_default(),
    }
}

/// The diff of what a rollback does, and what it leaves.
fn show(draft: &RollbackPlan, host: &LiveHost, ui: &mut Ui) {
    let names = |uid: u32, gid: u32| {
        let user = host.user_name(uid).unwrap_or_else(|| uid.to_string());
        format!("{user}:{}", host.group_name(gid).unwrap_or_else(|| gid.to_string()))
    };
    let mut out = String::new();
    let comment = |out: &mut String, text: &str| {
        let _ = writeln!(out, "# {}", clean(text));
    };
    for ChangedSince { path, both: [by_run, since], now, .. } in &draft.changed_since {
        comment(&mut out, &format!("{} was changed since; what the run did:", path.display()));
        out.push_str(&diff::render(by_run, &names).text);
        comment(&mut out, "what was done since:");
        out.push_str(&diff::render(since, &names).text);
        if since.before == since.after {
            // A diff has no extended attributes.
            comment(&mut out, &format!("it is now {now}"));
        }
    }
    for since in &draft.containers_since {
        comment(&mut out, &format!("changed since: {since}"));
    }
    if !draft.changed_since.is_empty() {
        comment(&mut out, "what this rollback does:");
    }
    for change in &draft.changes {
        out.push_str(&diff::render(change, &names).text);
    }
    for action in &draft.actions {
        comment(&mut out, &format!("run: {action}"));
    }
    for note in draft.notes.iter().chain(&draft.held).chain(&draft.cuts) {
        comment(&mut out, &format!("note: {note}"));
    }
    ui.say(&paint_diff(&out));
}
