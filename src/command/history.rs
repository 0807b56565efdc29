//! `seaworthy history`: what was done, when, by whom, and what still stands.

use super::session;
use crate::apply::{self, RunSummary, Store};
use crate::cli::{Format, Global};
use crate::error::{Failure, Result};
use crate::host::Host;
use crate::report::{Envelope, HistoryRun, json, text};
use crate::time;
use crate::ui::Ui;

/// Lists the runs, newest first, or shows one.
pub(super) fn run(only: Option<&str>, format: Format, global: &Global, ui: &mut Ui) -> Result<u8> {
    let host = session::live(global)?;
    session::need_root(&host, "history")?;
    let store = Store::default();
    let runs =
        match only {
            Some(id) => vec![apply::summary(&host, &store, id)?.ok_or_else(|| {
                Failure::new(format!("run {id} ended before it began")).hint("run `seaworthy history`")
            })?],
            None => apply::list(&host, &store)?,
        };
    let lines: Vec<HistoryRun> = runs.into_iter().rev().map(line).collect();
    match format {
        Format::Text => ui.report(&text::history(&lines, ui.verbose()))?,
        Format::Json => {
            let envelope = Envelope::new(host.now(), super::machine_id(&host), 0);
            ui.document(&json::history(&envelope, &lines).map_err(super::not_json)?)?;
        }
    }
    Ok(0)
}

fn line(run: RunSummary) -> HistoryRun {
    let nows = || run.paths.iter().map(|p| &p.now).chain(run.containers.iter().map(|c| &c.now));
    let count = |what: &str| nows().filter(|now| now.starts_with(what)).count();
    let what = if run.containers.is_empty() { "paths" } else { "changes" };
    let stands = match (count("stands"), count("undone"), nows().count()) {
        (all, _, len) if all == len => "stands".to_owned(),
        (_, undone, len) if undone == len => "taken back".to_owned(),
        (stands, undone, len) => format!("{stands} of {len} {what} stand, {undone} are as before"),
    };
    HistoryRun {
        run: run.id,
        started_at: time::rfc3339(run.when),
        user: run.who.name,
        state: run.state.to_string(),
        stands,
        checks: run.checks,
        containers: run.containers.iter().map(|c| format!("{}: {}", c.change, c.now)).collect(),
        paths: run.paths.iter().map(|p| format!("{}: {}", p.path.display(), p.now)).collect(),
    }
}
