//! The only door to `apply`: what is not [`Approved`] cannot be applied.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::audit::{Disruption, Finding};
use crate::error::{Failure, Result};
use crate::plan::{Act, FileState, Held, Plan};
use crate::report::hazards::hazards;
use crate::report::plan_text::action;
use crate::report::plural;
use crate::report::text::{subject, word};
use crate::text::{clean, clean_lines};
use crate::ui::{QUIT, Role, Ui, paint, paint_diff};

/// A plan that a person, or `--yes`, agreed to.
#[derive(Debug)]
pub struct Approved(Plan);

impl Approved {
    /// What was agreed to.
    pub fn plan(&self) -> &Plan {
        &self.0
    }

    /// What was agreed to, by value.
    pub fn into_plan(self) -> Plan {
        self.0
    }
}

/// Someone who answers: the terminal, or a test.
pub trait Asker {
    /// Shows text, which may be styled.
    fn show(&mut self, text: &str);

    /// Asks for one line. `""` is Enter alone.
    ///
    /// # Errors
    /// A refusal when there is nobody, or a signal came.
    fn ask(&mut self, prompt: &str) -> Result<String>;
}

impl Asker for Ui {
    fn show(&mut self, text: &str) {
        self.say(text);
    }

    fn ask(&mut self, prompt: &str) -> Result<String> {
        Ui::ask(self, prompt)
    }
}

/// Where the agreement comes from.
pub enum Mode<'a> {
    /// `--yes`.
    Yes,
    /// A person.
    Ask(&'a mut dyn Asker),
    /// Nobody: no terminal, and no `--yes`.
    Nobody,
}

impl<'a> Mode<'a> {
    /// `--yes`, else the terminal, if it is one.
    pub fn of(yes: bool, ui: &'a mut Ui) -> Self {
        if yes {
            Self::Yes
        } else if ui.can_prompt() {
            Self::Ask(ui)
        } else {
            Self::Nobody
        }
    }
}

/// One check of the review.
#[derive(Clone, Debug)]
pub struct ReviewItem {
    /// Its fails, one a subject; at least one.
    pub findings: Vec<Finding>,
    /// Its number in the benchmark at hand.
    pub number: Option<String>,
    /// Its part of the plan: diffs and actions, plain.
    pub diff: String,
    /// Whether nothing on this host is hurt: what "all" takes along.
    pub automatic: bool,
    /// Its page, as `explain` prints it.
    pub explain: String,
}

/// The slugs that were chosen and not chosen. The plan is made anew from them, because what one fix writes depends on
/// the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// To be done.
    pub accepted: BTreeSet<String>,
    /// Not to be done.
    pub declined: BTreeSet<String>,
}

/// How a review ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// Every check has its answer.
    Decided(Decision),
    /// Quit: nothing is to be done.
    Quit,
}

/// Where lines break.
const WIDTH: usize = 80;

const CHOICES: &str = "apply this? [y]es [n]o (default) [e]xplain [a]ll remaining [q]uit";

enum Key {
    Yes,
    No,
    Explain,
    All,
    Quit,
}

/// Goes through the checks one by one.
///
/// # Errors
/// When nobody can answer; nothing has been done then.
pub fn review(items: &[ReviewItem], asker: &mut dyn Asker) -> Result<Review> {
    let mut decision = Decision::default();
    let mut all = false;
    for (at, item) in items.iter().enumerate() {
        let Some(check) = item.findings.first().map(|finding| finding.check.clone()) else { continue };
        if all && item.automatic {
            decision.accepted.insert(check);
            continue;
        }
        asker.show(&presented(item, at + 1, items.len()));
        match answer(item, &mut all, asker)? {
            Answer::Quit => return Ok(Review::Quit),
            Answer::Yes => decision.accepted.insert(check),
            Answer::No => decision.declined.insert(check),
        };
    }
    Ok(Review::Decided(decision))
}

/// What a check's question came to.
enum Answer {
    Yes,
    No,
    Quit,
}

/// Asks until the answer is one that decides. "all" never decides about something that would be hurt here.
fn answer(item: &ReviewItem, all: &mut bool, asker: &mut dyn Asker) -> Result<Answer> {
    loop {
        match key(&asker.ask(CHOICES)?) {
            Some(Key::Yes) => return Ok(Answer::Yes),
            Some(Key::No) => return Ok(Answer::No),
            Some(Key::Quit) => return Ok(Answer::Quit),
            Some(Key::Explain) => asker.show(&format!("\n{}\n", clean_lines(item.explain.trim_end()))),
            Some(Key::All) => {
                *all = true;
                if item.automatic {
                    return Ok(Answer::Yes);
                }
                asker.show("all that hurt nothing here are taken; this one would, so it needs its own answer\n");
            }
            None => asker.show("answer y, n, e, a or q; Enter is no\n"),
        }
    }
}

fn key(answer: &str) -> Option<Key> {
    match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(Key::Yes),
        "" | "n" | "no" => Some(Key::No),
        "e" | "explain" => Some(Key::Explain),
        "a" | "all" => Some(Key::All),
        QUIT | "quit" => Some(Key::Quit),
        _ => None,
    }
}

/// What is wrong, what will be written, and what it can disturb here.
fn presented(item: &ReviewItem, at: usize, of: usize) -> String {
    let mut out = String::new();
    let Some(first) = item.findings.first() else { return out };
    let number = item.number.as_ref().map(|number| format!(" {number}")).unwrap_or_default();
    let heading = format!("[{at}/{of}] {}{number}, {}", clean(&first.check), word(&first.severity));
    let _ = writeln!(out, "\n{}\n{}", paint(Role::Heading, &heading), clean(&first.title));
    for finding in &item.findings {
        let source = if finding.source.is_empty() { String::new() } else { format!(" ({})", clean(&finding.source)) };
        let (actual, expected) = (clean(&finding.actual), clean(&finding.expected));
        let _ = writeln!(out, "{}", folded(" ", &format!("{}{actual}{source}; expected {expected}", subject(finding))));
    }
    out.push('\n');
    out.push_str(&paint_diff(item.diff.trim_end()));
    out.push_str("\n\n");
    let found: Vec<_> = item.findings.iter().flat_map(|finding| finding.hazards.clone()).collect();
    if !found.is_empty() {
        let _ = writeln!(out, "{}", folded(&paint(Role::Warning, "would hurt here:"), &hazards(&found)));
    }
    let disruption = item.findings.iter().map(|finding| finding.disruption).max().unwrap_or_default();
    let _ = writeln!(out, "interrupts: {}", interruption(disruption));
    out
}

/// Text behind a heading, broken at blanks for 80 columns.
fn folded(heading: &str, text: &str) -> String {
    let options = textwrap::Options::new(WIDTH).subsequent_indent("  ").break_words(false);
    textwrap::fill(&format!("{heading} {text}"), options)
}

fn interruption(disruption: Disruption) -> &'static str {
    match disruption {
        Disruption::None => "nothing",
        Disruption::Reload => "nothing (a service reloads)",
        Disruption::RestartDaemon => "docker restarts (once for all fixes together)",
        Disruption::RecreateContainers => "containers are made anew",
        Disruption::Reboot => "the host boots",
    }
}

/// Lets a plan through: with `--yes` as it is, on a terminal after one last look, else not at all. `None`: no was
/// said. An empty plan asks nothing. `command` is what says yes by itself.
///
/// # Errors
/// A refusal (exit 3) when nobody can answer.
pub fn approve(plan: Plan, mode: Mode<'_>, command: &str) -> Result<Option<Approved>> {
    if plan.is_empty() {
        return Ok(Some(Approved(plan)));
    }
    let yes = match mode {
        Mode::Ask(asker) => {
            asker.show(&summary(&plan));
            agreed("write this to the host?", asker)?
        }
        mode => confirm(mode, "write this to the host?", command)?,
    };
    Ok(yes.then_some(Approved(plan)))
}

/// One yes or no about something other than a plan, such as a rollback. `command` is what says yes by itself.
///
/// # Errors
/// A refusal (exit 3) when nobody can answer.
pub fn confirm(mode: Mode<'_>, question: &str, command: &str) -> Result<bool> {
    match mode {
        Mode::Yes => Ok(true),
        Mode::Ask(asker) => agreed(question, asker),
        Mode::Nobody => Err(Failure::refused("no terminal to ask on, and no `--yes`")
            .host("unchanged")
            .hint(format!("run `{command}`"))),
    }
}

fn agreed(question: &str, asker: &mut dyn Asker) -> Result<bool> {
    loop {
        match key(&asker.ask(&format!("{question} [y]es [n]o (default)"))?) {
            Some(Key::Yes) => return Ok(true),
            Some(Key::No | Key::Quit) => return Ok(false),
            Some(Key::Explain | Key::All) | None => asker.show("answer y or n; Enter is no\n"),
        }
    }
}

/// What is about to happen, before the last question.
fn summary(plan: &Plan) -> String {
    let files: Vec<_> =
        plan.steps.iter().filter_map(|step| if let Act::File(file) = &step.act { Some(file) } else { None }).collect();
    let actions = plan.steps.len() - files.len();
    let mut out = format!(
        "\n{} {}, {}; interrupts: {}\n",
        paint(Role::Heading, "to be done:"),
        plural(files.len(), "file"),
        plural(actions, "action"),
        interruption(plan.disruption),
    );
    for file in files {
        let kind = match (&file.before, &file.after) {
            (FileState::Absent, _) => "new",
            (_, FileState::Absent) => "removed",
            (_, FileState::Present { content: None, .. }) => "owner and mode",
            _ => "changed",
        };
        let _ = writeln!(out, "  {} ({kind})", clean(&file.path.display().to_string()));
    }
    for step in &plan.steps {
        if !matches!(step.act, Act::File(_)) {
            let _ = writeln!(out, "  {}", clean(&action(&step.act)));
        }
    }
    for (name, _) in &plan.stopped_containers {
        let _ =
            writeln!(out, "{} container {} stops, and is started again", paint(Role::Warning, "warning:"), clean(name));
    }
    for text in &plan.notes {
        let _ = writeln!(out, "{}", folded(&paint(Role::Note, "note:"), &clean(text)));
    }
    for Held { check, hazards: found, flag: _ } in &plan.held {
        let _ = writeln!(out, "{}", folded("held:", &format!("{} {}", clean(check), hazards(found))));
    }
    out
}

#[cfg(test)]
mod tests;
