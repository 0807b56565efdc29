use super::*;
use crate::audit::Verdict;
use crate::catalog::Hazard;
use crate::report::samples::{self, finding, hazard};

const COMMAND: &str = "seaworthy apply --yes";

/// Answers from a list; remembers what was shown and asked.
#[derive(Default)]
struct Script {
    answers: Vec<&'static str>,
    log: String,
}

impl Script {
    fn new(answers: &[&'static str]) -> Self {
        Self { answers: answers.iter().rev().copied().collect(), log: String::new() }
    }

    fn asked(&self) -> usize {
        self.log.matches("? [y]es").count()
    }
}

impl Asker for Script {
    fn show(&mut self, text: &str) {
        self.log.push_str(&anstream::adapter::strip_str(text).to_string());
    }

    fn ask(&mut self, prompt: &str) -> Result<String> {
        self.log.extend([prompt, ": "]);
        let answer = self.answers.pop().ok_or_else(|| Failure::refused("interrupted by SIGINT").host("unchanged"))?;
        self.log.extend([answer, "\n"]);
        Ok(answer.into())
    }
}

fn item(check: &str, number: &str, automatic: bool) -> ReviewItem {
    let mut finding = finding(check, number, Verdict::Fail);
    finding.disruption = Disruption::RestartDaemon;
    if !automatic {
        finding.hazards = vec![hazard(Hazard::HidesImages, &["redis:7", "3 volumes"])];
    }
    ReviewItem {
        findings: vec![finding],
        number: Some(number.into()),
        diff: format!("--- a/x\n+++ b/x\n+{check}\n"),
        automatic,
        explain: format!("the page of {check}\n"),
    }
}

fn items() -> Vec<ReviewItem> {
    vec![
        item("daemon.icc", "2.2", true),
        item("daemon.log-level", "2.3", true),
        item("daemon.userns-remap", "2.9", false),
        item("daemon.live-restore", "2.14", true),
    ]
}

fn decided(answers: &[&'static str]) -> (Decision, Script) {
    let mut script = Script::new(answers);
    let Review::Decided(decision) = review(&items(), &mut script).unwrap() else { panic!("quit") };
    assert!(script.answers.is_empty(), "not all answers were asked for");
    (decision, script)
}

fn set(slugs: &[&str]) -> BTreeSet<String> {
    slugs.iter().map(ToString::to_string).collect()
}

#[test]
fn enter_is_no() {
    let (decision, _) = decided(&["", "y", "n", "yes"]);
    assert_eq!(decision.accepted, set(&["daemon.log-level", "daemon.live-restore"]));
    assert_eq!(decision.declined, set(&["daemon.icc", "daemon.userns-remap"]));
}

#[test]
fn all_takes_the_automatic_ones_and_still_asks_about_hazards() {
    let (decision, script) = decided(&["n", "a", "n"]);
    assert_eq!(decision.accepted, set(&["daemon.log-level", "daemon.live-restore"]));
    assert_eq!(decision.declined, set(&["daemon.icc", "daemon.userns-remap"]));
    assert_eq!(script.asked(), 3);
}

#[test]
fn all_is_no_answer_to_a_hazard() {
    let (decision, script) = decided(&["n", "n", "a", ""]);
    assert_eq!(decision.accepted, set(&["daemon.live-restore"]));
    assert!(script.log.contains("so it needs its own answer\napply this?"), "{}", script.log);
}

#[test]
fn explain_shows_the_page_and_asks_again() {
    let (decision, script) = decided(&["e", "y", "what", "n", "n", "n"]);
    assert_eq!(decision.accepted, set(&["daemon.icc"]));
    assert!(script.log.contains("[q]uit: e\n\nthe page of daemon.icc\napply this?"), "{}", script.log);
    assert!(script.log.contains("what\nanswer y, n, e, a or q; Enter is no\napply this?"), "{}", script.log);
}

#[test]
fn quit_applies_nothing_even_after_yes() {
    let mut script = Script::new(&["y", "q"]);
    assert_eq!(review(&items(), &mut script).unwrap(), Review::Quit);
}

#[test]
fn a_signal_ends_the_review_with_the_host_unchanged() {
    let failure = review(&items(), &mut Script::new(&["y"])).unwrap_err();
    assert_eq!((failure.kind.exit_code(), failure.host.as_deref()), (3, Some("unchanged")));
}

#[test]
fn a_check_is_shown_with_its_diff_and_what_it_hurts_here() {
    let mut script = Script::new(&["n"]);
    review(&[item("daemon.userns-remap", "2.9", false)], &mut script).unwrap();
    assert_eq!(
        script.log,
        "
[1/1] daemon.userns-remap 2.9, medium
title of daemon.userns-remap
  true (default); expected false

--- a/x
+++ b/x
+daemon.userns-remap

would hurt here: hides-images: redis:7, 3 volumes
interrupts: docker restarts (once for all fixes together)
apply this? [y]es [n]o (default) [e]xplain [a]ll remaining [q]uit: n
"
    );
}

#[test]
fn the_last_question_comes_after_what_will_happen() {
    let mut script = Script::new(&["y"]);
    let approved = approve(samples::plan(), Mode::Ask(&mut script), COMMAND).unwrap().unwrap();
    assert_eq!(approved.plan(), &samples::plan());
    assert_eq!(
        script.log,
        "
to be done: 1 file, 4 actions; interrupts: docker restarts (once for all fixes together)
  /etc/docker/daemon.json (new)
  install a package
  write live-restore alone to /etc/docker/daemon.json, reload docker, wait until it is in force
  load the audit rules and compare the kernel's
  restart docker
warning: container web stops, and is started again
note: the package auditd stays on rollback
held: daemon.userns-remap hides-images: redis:7, 3 volumes
write this to the host? [y]es [n]o (default): y
"
    );
}

#[test]
fn enter_at_the_last_question_writes_nothing() {
    for answer in ["", "n", "q"] {
        assert!(
            approve(samples::plan(), Mode::Ask(&mut Script::new(&[answer])), COMMAND).unwrap().is_none(),
            "{answer}"
        );
    }
}

#[test]
fn nobody_is_refused_and_told_the_flag() {
    let failure = approve(samples::plan(), Mode::Nobody, COMMAND).unwrap_err();
    assert_eq!(failure.kind.exit_code(), 3);
    assert_eq!(failure.hint.as_deref(), Some("run `seaworthy apply --yes`"));
    assert!(approve(samples::plan(), Mode::Yes, COMMAND).unwrap().is_some());
    let empty = Plan { steps: Vec::new(), ..samples::plan() };
    assert!(approve(empty, Mode::Nobody, COMMAND).unwrap().is_some(), "nothing to do needs nobody");
}
