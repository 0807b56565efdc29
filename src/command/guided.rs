//! `seaworthy` on a terminal: audits, then walks through the fixes one by one.

use super::carry_out::carry_out;
use super::change::Wish;
use super::session::{self, Look, Past, Session, catalog};
use super::{change, documents};
use crate::approve::{Decision, Mode, Review, ReviewItem, approve};
use crate::audit::{Applicability, Finding, Verdict};
use crate::catalog::{Entry, explain};
use crate::cli::{Apply, Global};
use crate::error::Result;
use crate::host::{LiveHost, Recorder};
use crate::plan::{Accept, Choice, Plan, Planned};
use crate::report::plan_text::{self};
use crate::report::{AuditReport, hazards, text};
use crate::ui::Ui;

/// The guided way, from nothing.
pub(super) fn run(global: &Global, ui: &mut Ui) -> Result<u8> {
    let mut host = session::live(global)?;
    session::need_root(&host, "")?;
    change::outside(&host)?;
    change::settle(&mut host, false, ui)?;
    review(&mut host, &Wish { args: &Apply::default(), global }, ui)
}

/// Audits, reviews, and applies what was chosen.
pub(super) fn review(host: &mut LiveHost, wish: &Wish<'_>, ui: &mut Ui) -> Result<u8> {
    let Some(plan) = chosen(host, wish, ui)? else {
        ui.status("host: unchanged");
        return Ok(0);
    };
    if let Some(approved) = approve(plan, Mode::of(false, ui), "seaworthy apply --yes")? {
        carry_out(host, &approved, wish, ui)
    } else {
        ui.status("host: unchanged");
        Ok(0)
    }
}

/// What the person chose, as a plan; `None`: nothing.
fn chosen(host: &LiveHost, wish: &Wish<'_>, ui: &mut Ui) -> Result<Option<Plan>> {
    let recorder = Recorder::new(host);
    let session = Session::open(&recorder, wish.global, Look::default(), ui)?;
    let past = change::past(host);
    let accept = session.accepted(&wish.args.limits.accept, ui)?;
    let (no_restart, recreate) = (wish.args.limits.no_restart, wish.args.limits.recreate);
    let planned = session.plan(Choice { only: None, accept, recreate }, no_restart, &past)?;
    show(&session, &planned, ui);
    for held in planned.plan.held.iter().filter(|held| held.is_blocked()) {
        ui.note(&format!("{} is not asked about: {}", held.check, held.include()));
    }
    let items = items(&session, &planned, no_restart, &past)?;
    if items.is_empty() {
        ui.status("nothing here that seaworthy can fix");
        return Ok(None);
    }
    match crate::approve::review(&items, ui)? {
        Review::Quit => Ok(None),
        Review::Decided(Decision { accepted, .. }) if accepted.is_empty() => Ok(None),
        Review::Decided(Decision { accepted: chosen, .. }) => {
            // Only the hazards that were shown are accepted: leaving live-restore out can make another fix stop
            // containers, and that one is then held.
            let shown = |item: &ReviewItem| {
                let first = item.findings.first()?;
                let hazards = item.findings.iter().flat_map(|f| &f.hazards).map(|h| h.hazard).collect();
                chosen.contains(&first.check).then(|| (first.check.clone(), Accept::Shown(hazards)))
            };
            let accept = items.iter().filter_map(shown).collect();
            let choice = Choice { only: Some(chosen), accept, recreate };
            let plan = session.plan(choice, no_restart, &past)?.plan;
            for held in &plan.held {
                ui.warning(&format!("{} {}: left out", held.check, hazards::hazards(&held.hazards)));
            }
            Ok(Some(plan))
        }
    }
}

fn show(session: &Session<'_>, planned: &Planned, ui: &mut Ui) {
    let line = session.host_line();
    let version = session.benchmark.version();
    let report = AuditReport::new(session.envelope(0), line, version, &session.profile, planned.findings.clone(), &[]);
    ui.say(&text::audit(&report, ui.verbose()));
}

/// One item a check that can be fixed.
fn items(session: &Session<'_>, planned: &Planned, no_restart: bool, past: &Past) -> Result<Vec<ReviewItem>> {
    let mut items = Vec::new();
    // live-restore first, as in the plan: what the others would hurt hangs on it.
    let (first, rest): (Vec<&Entry>, Vec<&Entry>) =
        session.entries.iter().partition(|entry| entry.id == "daemon.live-restore");
    for entry in first.into_iter().chain(rest) {
        let open = |f: &&Finding| f.check == entry.id && f.verdict == Verdict::Fail && !f.waived;
        let findings: Vec<Finding> = planned.findings.iter().filter(open).cloned().collect();
        // What has to be done first cannot be answered with yes.
        let blocked = planned.plan.held.iter().any(|held| held.check == entry.id && held.is_blocked());
        let fixable = findings.iter().any(|f| f.applicability.is_some_and(|a| a > Applicability::Manual));
        if !fixable || blocked {
            continue;
        }
        let alone = session.choose(std::slice::from_ref(&entry.id), no_restart, past)?;
        items.push(ReviewItem {
            number: session.number(&entry.id),
            automatic: findings.iter().all(|f| f.applicability == Some(Applicability::Automatic)),
            diff: part(&alone, session),
            explain: explain::explain(catalog().get(&entry.id).unwrap_or(entry)),
            findings,
        });
    }
    Ok(items)
}

fn part(plan: &Plan, session: &Session<'_>) -> String {
    let number = |slug: &str| session.number(slug);
    let render = |change: &crate::plan::FileChange| documents::rendered(change, session);
    plan.steps.iter().map(|step| plan_text::step_text(step, &number, &render)).collect()
}
