//! Damaged journals and backups, and someone else at work on the same files.

use std::sync::atomic::Ordering;

use std::path::Path;

use seaworthy::apply::{Store, unfinished};
use seaworthy::error::Kind;

use crate::support::fake_host::FakeHost;
use crate::support::world::{AFTER, CONFIG, RULES, assert_as_before, busy, pids, plan, run, undo};

fn operations(prepare: impl Fn() -> FakeHost, act: impl Fn(&mut FakeHost)) -> usize {
    let mut host = prepare();
    act(&mut host);
    host.ops
}

/// No answer about a unit is not the answer that it does not run: a start would be made that kills containers.
#[test]
fn systemd_may_leave_any_question_unanswered() {
    let mut well = busy();
    run(&mut well, &plan()).unwrap();
    assert!(well.asked.load(Ordering::SeqCst) > 20, "{}", well.asked.load(Ordering::SeqCst));
    let mut rolled_back = 0;
    for at in 1..=well.asked.load(Ordering::SeqCst) {
        let mut host = busy();
        host.unanswered = Some(at);
        match run(&mut host, &plan()) {
            Ok(_) => {
                assert_eq!(host.text(CONFIG).unwrap(), AFTER, "question {at}");
                assert_eq!(pids(&host), [901, 902], "question {at}");
            }
            Err(error) => {
                rolled_back += 1;
                assert_as_before(&mut host, &busy(), &format!("question {at}: {error:?}"));
            }
        }
    }
    assert!(rolled_back > 5, "{rolled_back}");

    let prepare = || {
        let mut host = busy();
        let run = run(&mut host, &plan()).unwrap().run;
        host.asked.store(0, Ordering::SeqCst);
        (host, run)
    };
    let (mut well, id) = prepare();
    undo(&mut well, &id).unwrap();
    assert!(well.asked.load(Ordering::SeqCst) > 10, "{}", well.asked.load(Ordering::SeqCst));
    for at in 1..=well.asked.load(Ordering::SeqCst) {
        let (mut host, id) = prepare();
        host.unanswered = Some(at);
        let first = undo(&mut host, &id);
        if first.is_err() {
            host.pass(5000);
            undo(&mut host, &id).unwrap_or_else(|error| panic!("rollback, question {at}: {first:?} {error:?}"));
        }
        assert_as_before(&mut host, &busy(), &format!("rollback, question {at}: {first:?}"));
    }
}

#[test]
fn a_torn_last_line_is_mended_and_a_broken_one_before_it_refused() {
    let mut host = busy();
    let before = host.state();
    let run = run(&mut host, &plan()).unwrap().run;
    let journal = format!("/var/lib/seaworthy/runs/{run}/journal");
    let whole = host.text(&journal).unwrap();
    let without_commit = whole.lines().count() - 1;
    let prefix: String = whole.split_inclusive('\n').take(without_commit).collect();
    host.write(&journal, 0o600, &whole.replacen("\"record\":\"backup\"", "\"record\":\"bac", 1));
    assert_eq!(undo(&mut host, &run).unwrap_err().kind, Kind::Incomplete);
    host.write(&journal, 0o600, &format!("{prefix}{{\"record\":\"com"));
    assert_eq!(unfinished(&host, &Store::default()).unwrap().unwrap().run, run);
    undo(&mut host, &run).unwrap();
    assert_eq!(host.state(), before);
    assert!(host.text(&journal).unwrap().starts_with(&prefix));
}

#[test]
fn what_someone_else_writes_meanwhile_is_not_overwritten() {
    let mine = "{\"debug\": true}";
    let last_op = operations(busy, |host| {
        run(host, &plan()).unwrap();
    });
    let (mut incomplete, mut overwritten, mut killed) = (0, 0, Vec::new());
    for at in 1..last_op {
        let mut host = busy();
        host.meddler = Some((at, CONFIG.into(), mine.into()));
        let result = run(&mut host, &plan());
        host.revive();
        if pids(&host) != [901, 902] {
            // Nor between the last look and systemd's own start.
            killed.push(at);
            continue;
        }
        if host.text(CONFIG).unwrap() != mine {
            // Nothing can be looked at between the last look and the rename itself.
            overwritten += 1;
            continue;
        }
        if let Err(error) = result {
            assert_eq!(host.text(RULES), None, "operation {at}: the rest is taken back");
            if error.kind == Kind::Incomplete {
                incomplete += 1;
                assert!(error.causes.iter().any(|cause| cause.contains(CONFIG)), "operation {at}: {error:?}");
            }
        }
    }
    assert!(incomplete > 50, "{incomplete}");
    assert!(overwritten <= 2, "{overwritten}");
    assert!(killed.len() <= 2, "{killed:?}");
}

#[test]
fn a_daemon_that_runs_is_left_alone_when_a_file_cannot_be_restored() {
    let mut host = busy();
    let run = run(&mut host, &plan()).unwrap().run;
    let node = host.files.get_mut(Path::new(RULES)).unwrap();
    node.stat.nlink = 2;
    let error = undo(&mut host, &run).unwrap_err();
    assert_eq!(error.kind, Kind::Incomplete);
    assert!(error.causes.iter().any(|cause| cause.starts_with("by hand: rm ")), "{error:?}");
    assert_eq!((host.docker.started, host.text(CONFIG).unwrap().as_str()), (2, AFTER));
    host.files.get_mut(Path::new(RULES)).unwrap().stat.nlink = 1;
    undo(&mut host, &run).unwrap();
    assert_as_before(&mut host, &busy(), "after the link is gone");
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let mut host = busy();
    let run = run(&mut host, &plan()).unwrap().run;
    let backups = host.files.keys().filter(|path| path.to_string_lossy().contains("/backups/"));
    let backup = backups.map(|path| path.display().to_string()).next().unwrap();
    host.write(&backup, 0o600, "{}");
    let before = host.state();
    let error = undo(&mut host, &run).unwrap_err();
    assert!(error.message.contains("is damaged"), "{error:?}");
    assert_eq!(error.host, Some(format!("as run {run} left it")));
    assert_eq!(error.hint, Some(format!("run `ls -lR /var/lib/seaworthy/runs/{run}`")));
    assert_eq!(host.state(), before);
}
