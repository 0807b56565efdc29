//! The journal of a run, however it was cut or bent: it tells as much as is whole, a rollback from it never does more
//! than it names, and a line that nobody can read is named.
//!
//! Input: the journal, the plan of the run, what its one backup holds.

use seaworthy::apply::{RunSummary, State, Store, list, plan_rollback, unfinished};
use seaworthy::error::Kind;
use seaworthy::host::{Host, Node, RecordedHost, Recording};
use serde_json::Value;

use super::support::fake_host::FakeHost;
use super::support::world;

const RUN: &str = "20261122T183000Z-3fa9";
const CUTS: usize = 24;

/// The property.
pub fn check(data: &[u8]) {
    let Some([journal, plan, backup]) = super::parts(data) else { return };
    let journal = &format!("{journal}\n");
    let whole = listed(journal, plan, backup);
    let first_bad = journal.lines().position(|line| serde_json::from_str::<Value>(line).is_err());
    match &whole {
        Err(failure) if failure.message.ends_with("cannot be read") && failure.kind == Kind::Incomplete => {
            let line =
                failure.message.rsplit_once("journal:").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
            assert!(line.is_some_and(|line: usize| first_bad.is_none_or(|bad| line <= bad + 1)), "{failure:?}");
        }
        Err(_) => {}
        Ok(_) => assert_eq!(first_bad, None, "a line that is no JSON was passed over"),
    }
    // Killed while a line was written: what is whole counts, the rest is as if it had not been begun.
    if whole.is_ok() {
        for cut in (0..journal.len()).step_by(journal.len() / CUTS + 1).filter(|cut| journal.is_char_boundary(*cut)) {
            let (torn, lines) = (&journal[..cut], &journal[..journal[..cut].rfind('\n').map_or(0, |at| at + 1)]);
            let (torn, lines) = (listed(torn, plan, backup), listed(lines, plan, backup));
            assert_eq!(torn.map_err(|e| e.message), lines.map_err(|e| e.message), "cut at byte {cut}");
        }
    }
    states(journal, &whole.unwrap_or_default());
    rolled_back(journal, plan, backup);
}

fn files<'a>(journal: &'a str, plan: &'a str, backup: &'a str) -> [(String, &'a str); 3] {
    let path = |name: &str| format!("/var/lib/seaworthy/runs/{RUN}/{name}");
    [(path("journal"), journal), (path("plan.json"), plan), (path("backups/000"), backup)]
}

fn recorded(journal: &str, plan: &str, backup: &str) -> RecordedHost {
    let mut recording = Recording { complete: true, recorded_at: 1_795_000_000, ..Recording::default() };
    for (path, text) in files(journal, plan, backup) {
        recording.files.insert(path, Node { content: Some(text.to_owned()), ..Node::default() });
    }
    RecordedHost::new(recording)
}

fn listed(journal: &str, plan: &str, backup: &str) -> seaworthy::error::Result<Vec<RunSummary>> {
    list(&recorded(journal, plan, backup), &Store::default())
}

/// The state of a run is what its lines say: nothing was changed before `prepared`, and nothing is settled without a
/// line that says so.
fn states(journal: &str, runs: &[RunSummary]) {
    let has = |name: &str| {
        let is = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|line| line["record"] == name);
        journal.lines().any(is)
    };
    for run in runs {
        match run.state {
            State::Unchanged => assert!(!has("prepared") && !has("commit") && !has("applied")),
            State::Committed => assert!(has("commit")),
            State::Unconfirmed { .. } => assert!(has("applied")),
            State::RolledBack | State::Incomplete => assert!(has("rollback-done")),
            State::Unfinished => assert!(has("prepared") || has("rollback-start")),
        }
    }
}

/// Rolls the run back on a host in memory: nothing changes but what the journal names.
fn rolled_back(journal: &str, plan: &str, backup: &str) {
    let recorded = recorded(journal, plan, backup);
    let store = Store::default();
    for check in [None, Some("daemon.icc"), Some("audit.dockerd")] {
        let Ok(rollback) = plan_rollback(&recorded, &store, RUN, check) else { continue };
        for change in &rollback.changes {
            let named = change.path.to_string_lossy();
            let name = serde_json::to_string(&named).expect("a text");
            assert!(journal.contains(&name) || journal.contains('\\'), "{named} is not in the journal");
        }
    }
    let mut host = world::busy();
    for (path, text) in files(journal, plan, backup) {
        host.write(&path, 0o600, text);
    }
    for dir in ["", "/runs", &format!("/runs/{RUN}"), &format!("/runs/{RUN}/backups")] {
        own(&mut host, &format!("/var/lib/seaworthy{dir}"));
    }
    let before = host.state();
    let done = world::undo(&mut host, RUN);
    let named = |path: &std::path::Path| {
        journal.contains(&*path.to_string_lossy()) || journal.contains('\\') || path.starts_with("/var/lib/seaworthy")
    };
    let after = host.state();
    for (path, node) in after.iter().filter(|one| !before.contains(one)) {
        assert!(named(path), "{} was changed to {node:?}", path.display());
    }
    for (path, _) in before.iter().filter(|one| !after.contains(one)) {
        assert!(named(path), "{} was changed", path.display());
    }
    if done.is_ok() {
        assert_eq!(unfinished(&host, &store).ok().flatten(), None, "what was rolled back is settled");
    }
}

/// A directory of root's.
fn own(host: &mut FakeHost, path: &str) {
    if host.stat(std::path::Path::new(path)).is_err() {
        host.write(&format!("{path}/x"), 0o600, "");
    }
}
