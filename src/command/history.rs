//! `seaworthy history`: what was done, when, by whom, and what still stands.

use super::session;
use crate::apply::{self, RunSummary, State, Store};
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
    let over = matches!(run.state, State::Unchanged | State::RolledBack);
    let stands = match (count("stands"), count("undone"), nows().count()) {
        // One that was taken back before it came to a file.
        (_, _, 0) if over => "nothing stands".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::{PathNow, Who};

    #[test]
    fn of_a_run_that_is_over_and_changed_no_file_nothing_stands() {
        let told = |state: State, paths: &[&str]| {
            let paths = paths.iter().map(|now| PathNow { path: "/etc/x".into(), now: (*now).into() }).collect();
            let who = Who { uid: 0, name: "root".into() };
            let (id, tool_version) = ("r".to_owned(), "0".to_owned());
            let (checks, undone, containers) = (Vec::new(), Vec::new(), Vec::new());
            let (when, args, services) = (0, Vec::new(), true);
            line(RunSummary { id, when, who, args, tool_version, state, checks, undone, paths, containers, services })
                .stands
        };
        assert_eq!(told(State::RolledBack, &[]), "nothing stands");
        assert_eq!(told(State::Unchanged, &[]), "nothing stands");
        assert_eq!(told(State::Committed, &[]), "stands", "a unit was enabled");
        assert_eq!(told(State::Committed, &["stands"]), "stands");
        assert_eq!(told(State::RolledBack, &["undone"]), "taken back");
        assert_eq!(told(State::Committed, &["stands", "undone"]), "1 of 2 paths stand, 1 are as before");
    }
}
