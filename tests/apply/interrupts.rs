//! A signal at everything that a run says of itself: each step, and each look while it waits.

use std::sync::atomic::{AtomicBool, Ordering};

use seaworthy::apply::{ApplyOptions, Deadlines, Outcome, Progress, Store, Who, apply, unfinished};
use seaworthy::error::{Kind, Result};
use seaworthy::host::Command;
use seaworthy::plan::{Act, FileState, Plan};

use crate::support::fake_host::FakeHost;
use crate::support::world::{
    AFTER, CONFIG, RULES, assert_as_before, busy, change, host, of, pids, plan, present, step, undo,
};

/// Hears a run, and asks it to stop when it says something for the `at`th time.
struct Signal<'a> {
    at: usize,
    heard: Vec<String>,
    interrupt: &'a AtomicBool,
}

impl Progress for Signal<'_> {
    fn step(&mut self, text: &str) {
        self.heard.push(text.into());
        self.interrupt.fetch_or(self.heard.len() == self.at, Ordering::SeqCst);
    }

    fn wait(&mut self, text: &str) {
        self.step(text);
    }
}

/// Runs a plan with a signal at the `at`th word; 0: with none. Gives what was heard as well.
fn run_until(host: &mut FakeHost, plan: &Plan, at: usize) -> (Result<Outcome>, Vec<String>) {
    let interrupt = AtomicBool::new(false);
    let mut options = ApplyOptions {
        no_restart: false,
        confirm_within: None,
        deadlines: Deadlines::default(),
        who: Who { uid: 0, name: "root".into() },
        args: Vec::new(),
        detect: &mut |_| Ok(Vec::new()),
        verify: &mut |_| Ok(Vec::new()),
    };
    let mut signal = Signal { at, heard: Vec::new(), interrupt: &interrupt };
    let outcome = apply(host, &Store::default(), plan, &mut options, &mut signal, &interrupt);
    (outcome, signal.heard)
}

#[test]
fn a_signal_at_any_word_takes_the_run_back() {
    let (outcome, words) = run_until(&mut busy(), &plan(), 0);
    outcome.unwrap();
    assert!(words.len() > 20, "{words:#?}");
    let mut ways = [0; 3];
    for (at, word) in (1..).zip(&words) {
        let mut host = busy();
        let (outcome, _) = run_until(&mut host, &plan(), at);
        match outcome {
            // Nothing could be heard any more, or it was heard when all was seen to be well.
            Ok(outcome) => {
                ways[0] += 1;
                assert_eq!((host.text(CONFIG).unwrap().as_str(), pids(&host)), (AFTER, pids(&busy())), "{word}");
                undo(&mut host, &outcome.run).unwrap();
            }
            Err(error) if error.kind == Kind::RolledBack => ways[1] += 1,
            Err(error) => {
                ways[2] += 1;
                assert_eq!((error.kind, error.host.as_deref()), (Kind::Failed, Some("unchanged")), "{word}: {error:?}");
            }
        }
        assert_as_before(&mut host, &busy(), word);
        assert_eq!(unfinished(&host, &Store::default()).unwrap(), None, "{word}");
        assert!(host.timers.is_empty(), "{word}");
    }
    let [through, back, unchanged] = ways;
    assert!(through <= 1 && back > 15 && unchanged >= 2, "{ways:?} of {words:#?}");
}

/// A package manager is let finish; then nothing else is begun.
#[test]
fn a_signal_during_an_install_lets_it_finish_and_changes_nothing_else() {
    let install = Command::Install { argv: vec!["/usr/bin/apt-get".into(), "install".into(), "auditd".into()] };
    let rules = present(0o640, Some("-w /etc/docker -p wa -k docker\n"));
    let plan = of(vec![
        step(Act::Run(install), &["audit.auditd"]),
        step(Act::File(change(RULES, FileState::Absent, rules)), &["audit.etc-docker"]),
    ]);
    let (outcome, words) = run_until(&mut host(), &plan, 0);
    outcome.unwrap();
    let at = words.iter().position(|word| word.starts_with("/usr/bin/apt-get")).expect("it is said") + 1;
    let mut host = host();
    let (outcome, _) = run_until(&mut host, &plan, at);
    let error = outcome.unwrap_err();
    assert_eq!((error.kind, error.host.as_deref()), (Kind::Failed, Some("unchanged, but for packages")), "{error:?}");
    assert!(!host.installed.is_empty(), "it was not let finish");
    assert_eq!((host.text(RULES), host.timers.len()), (None, 0));
    assert_eq!(unfinished(&host, &Store::default()).unwrap(), None);
}
