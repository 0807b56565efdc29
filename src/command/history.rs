//! `seaworthy history`: what was done, when, by whom, and what still stands.

use super::{change, session};
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
    let mut runs = read(&host, only)?;
    let mut at_work = None;
    if runs.iter().any(|run| run.state == State::Unfinished) {
        match change::open_run(&host)? {
            Some((run, pid)) => at_work = pid.map(|pid| (run, pid)),
            // It ended between the two looks.
            None => runs = read(&host, only)?,
        }
    }
    let at_work = |run: &RunSummary| at_work.as_ref().filter(|(id, _)| *id == run.id).map(|(_, pid)| *pid);
    let lines: Vec<HistoryRun> = runs.into_iter().rev().map(|run| (at_work(&run), run)).map(line).collect();
    match format {
        Format::Text => ui.report(&text::history(&lines, ui.verbose()))?,
        Format::Json => {
            let envelope = Envelope::new(host.now(), super::machine_id(&host), 0);
            ui.document(&json::history(&envelope, &lines).map_err(super::not_json)?)?;
        }
    }
    Ok(0)
}

/// One run, or all; oldest first.
fn read(host: &dyn Host, only: Option<&str>) -> Result<Vec<RunSummary>> {
    let store = Store::default();
    let Some(id) = only else { return apply::list(host, &store) };
    let none = || Failure::new(format!("run {id} ended before it began")).hint("run `seaworthy history`");
    Ok(vec![apply::summary(host, &store, id)?.ok_or_else(none)?])
}

/// A run, and the process that is at work on it: until that has ended, its journal reads as if it had been killed.
fn line((at_work, run): (Option<u32>, RunSummary)) -> HistoryRun {
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
        state: at_work.map_or_else(|| run.state.to_string(), |pid| format!("at work (pid {pid})")),
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

    fn summary(state: State, paths: &[&str]) -> RunSummary {
        let paths = paths.iter().map(|now| PathNow { path: "/etc/x".into(), now: (*now).into() }).collect();
        let who = Who { uid: 0, name: "root".into() };
        let (id, tool_version) = ("r".to_owned(), "0".to_owned());
        let (checks, undone, containers) = (Vec::new(), Vec::new(), Vec::new());
        let (when, args, services) = (0, Vec::new(), true);
        RunSummary { id, when, who, args, tool_version, state, checks, undone, paths, containers, services }
    }

    #[test]
    fn a_run_that_is_at_work_is_not_told_as_one_that_was_killed() {
        assert_eq!(line((Some(4242), summary(State::Unfinished, &[]))).state, "at work (pid 4242)");
        assert_eq!(line((None, summary(State::Unfinished, &[]))).state, "unfinished");
    }

    #[test]
    fn of_a_run_that_is_over_and_changed_no_file_nothing_stands() {
        let told = |state, paths: &[&str]| line((None, summary(state, paths))).stands;
        assert_eq!(told(State::RolledBack, &[]), "nothing stands");
        assert_eq!(told(State::Unchanged, &[]), "nothing stands");
        assert_eq!(told(State::Committed, &[]), "stands", "a unit was enabled");
        assert_eq!(told(State::Committed, &["stands"]), "stands");
        assert_eq!(told(State::RolledBack, &["undone"]), "taken back");
        assert_eq!(told(State::Committed, &["stands", "undone"]), "1 of 2 paths stand, 1 are as before");
    }
}
