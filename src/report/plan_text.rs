//! The plan as one document that `patch -p1` and `git apply` take: diffs, and everything else as `#` lines.

use super::hazards::of_held;
use super::model::plural;
use crate::host::Command;
use crate::plan::{Act, Advised, FileChange, Plan, Step, ToChoose as Choice};
use crate::text::clean;

/// Where the list of a file's checks breaks; narrower than the diff's own lines needs no scrolling.
const WIDTH: usize = 100;
/// More checks than these are counted, not named, beside an action.
const MANY: usize = 3;

/// One file's diff, as `plan` renders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// Comment lines about owner and mode, then the unified diff.
    pub text: String,
    /// Whether `patch` takes it: nothing in it is masked.
    pub patchable: bool,
}

/// How a file's change becomes a diff.
pub type Render<'a> = &'a dyn Fn(&FileChange) -> Diff;

/// The whole document. `number` gives a check's number in the benchmark at hand.
pub fn document(plan: &Plan, number: &dyn Fn(&str) -> Option<String>, render: Render<'_>) -> String {
    let mut out = String::new();
    if plan.is_empty() {
        note(&mut out, "note", "no changes to make");
    }
    for step in &plan.steps {
        out.push_str(&step_text(step, number, render));
    }
    for (name, _) in &plan.stopped_containers {
        note(&mut out, "note", &format!("the restart stops container {name}; it is started again"));
    }
    for text in &plan.notes {
        note(&mut out, "note", text);
    }
    for held in &plan.held {
        note(&mut out, "held", &of_held(held));
    }
    out
}

/// Containers that a person would make anew, one command line each: comments, like all that nothing does.
pub fn advised(all: &[Advised], number: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let named = |checks: &[String]| {
        let all = checks.iter().map(|check| number(check).map_or_else(|| check.clone(), |n| format!("{check} {n}")));
        all.collect::<Vec<_>>().join(", ")
    };
    for one in all {
        let name = one.subject.replacen(':', " ", 1);
        if one.command.is_some() {
            wrapped(&mut out, &format!("by hand: {name} made anew passes {}", named(&one.checks)));
        } else {
            wrapped(&mut out, &format!("by hand: {name} has to be made anew for {}", named(&one.left)));
        }
        if one.command.is_some() && !one.left.is_empty() {
            wrapped(&mut out, &format!("still open then: {}", named(&one.left)));
        }
        for line in &one.before {
            note(&mut out, "first", line);
        }
        if let Some(line) = &one.command {
            note(&mut out, "then", line);
        }
        for Choice { name, what } in &one.choices {
            note(&mut out, "fill in", &format!("{name}: {what}"));
        }
        for text in &one.notes {
            note(&mut out, "note", text);
        }
    }
    out
}

/// One step: for whom it is, and the diff or the action.
pub fn step_text(step: &Step, number: &dyn Fn(&str) -> Option<String>, render: Render<'_>) -> String {
    let named = |check: &String| number(check).map_or_else(|| check.clone(), |number| format!("{check} {number}"));
    let checks = || step.checks.iter().map(named).collect::<Vec<_>>().join(", ");
    let mut out = String::new();
    match &step.act {
        Act::File(change) => {
            wrapped(&mut out, &checks());
            let diff = render(change);
            if !diff.patchable {
                comment(&mut out, "not patchable: secrets are masked");
            }
            out.push_str(&diff.text);
            if !diff.text.ends_with('\n') && !diff.text.is_empty() {
                out.push('\n');
            }
        }
        act => {
            // The files above name them one by one.
            let checks = if step.checks.len() > MANY { plural(step.checks.len(), "check") } else { checks() };
            comment(&mut out, &format!("{checks}: {}", action(act)));
            if let Some(line) = command(act) {
                note(&mut out, "run", &line);
            }
        }
    }
    out
}

/// What a step other than a file's change does, in words.
pub fn action(act: &Act) -> String {
    match act {
        Act::File(change) => format!("write {}", change.path.display()),
        Act::Run(command) => match command {
            Command::Install { .. } => "install a package".into(),
            Command::Enable(unit) => format!("enable {unit}"),
            Command::Start(unit) => format!("start {unit}"),
            Command::Reload(unit) => format!("reload {unit}"),
            _ => "run a command".into(),
        },
        Act::LiveRestoreFirst(path) => {
            format!("write live-restore alone to {}, reload docker, wait until it is in force", path.display())
        }
        Act::LoadAuditRules { .. } => "load the audit rules and compare the kernel's".into(),
        Act::Update(change) => format!("update {}", change.told()),
        Act::DaemonReload => "reload systemd's units".into(),
        Act::RestartDocker => "restart docker".into(),
        Act::Recreate(recreation) => format!("recreate {}", recreation.told()),
    }
}

/// The command line of a step that has one.
fn command(act: &Act) -> Option<String> {
    match act {
        Act::File(_) => None,
        Act::Run(command) => Some(command.to_string()),
        Act::LiveRestoreFirst(_) => Some("systemctl reload docker.service".into()),
        Act::LoadAuditRules { .. } => Some(Command::LoadAuditRules.to_string()),
        Act::Update(change) => Some(change.command()),
        Act::DaemonReload => Some(Command::DaemonReload.to_string()),
        Act::RestartDocker => Some("systemctl restart docker.service".into()),
        Act::Recreate(recreation) => Some(recreation.command()),
    }
}

/// A comment of as many lines as it needs.
fn wrapped(out: &mut String, text: &str) {
    // A slug is one word: textwrap would break it at its hyphens.
    let options =
        textwrap::Options::new(WIDTH).word_splitter(textwrap::WordSplitter::NoHyphenation).subsequent_indent("  ");
    for line in textwrap::wrap(&clean(text), options) {
        comment(out, &line);
    }
}

/// `# KIND: TEXT`.
fn note(out: &mut String, kind: &str, text: &str) {
    comment(out, &format!("{kind}: {text}"));
}

/// One comment line. Cleaned, so that no name from the host breaks out of it and becomes part of the patch.
fn comment(out: &mut String, text: &str) {
    out.push_str("# ");
    out.push_str(&clean(text));
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn number(check: &str) -> Option<String> {
        [("daemon.icc", "2.2"), ("daemon.live-restore", "2.14")]
            .iter()
            .find_map(|(slug, number)| (*slug == check).then(|| (*number).to_owned()))
    }

    fn render(change: &FileChange) -> Diff {
        assert_eq!(change.path.to_str(), Some("/etc/docker/daemon.json"));
        let text = "# create: 0644 root:root\n--- /dev/null\n+++ b/etc/docker/daemon.json\n@@ -0,0 +1,3 @@\n+{\n+  \"icc\": false\n+}\n";
        Diff { text: text.into(), patchable: !change.secret }
    }

    #[test]
    fn everything_but_the_diff_is_a_comment() {
        assert_eq!(
            document(&samples::plan(), &number, &render),
            "\
# audit.auditd: install a package
# run: /usr/bin/apt-get install -o DPkg::Lock::Timeout=300 --yes auditd
# daemon.icc 2.2, daemon.live-restore 2.14
# create: 0644 root:root
--- /dev/null
+++ b/etc/docker/daemon.json
@@ -0,0 +1,3 @@
+{
+  \"icc\": false
+}
# daemon.live-restore 2.14: write live-restore alone to /etc/docker/daemon.json, reload docker, wait until it is in force
# run: systemctl reload docker.service
# audit.etc-docker: load the audit rules and compare the kernel's
# run: augenrules --load
# daemon.icc 2.2: restart docker
# run: systemctl restart docker.service
# note: the restart stops container web; it is started again
# note: the package auditd stays on rollback
# held: daemon.userns-remap hides-images: redis:7, 3 volumes; include with `--accept daemon.userns-remap`
"
        );
    }

    #[test]
    fn a_masked_diff_says_that_it_cannot_be_patched() {
        let change = FileChange { secret: true, ..samples::daemon_json() };
        let step = Step { act: Act::File(change), checks: vec!["daemon.icc".into()] };
        let text = step_text(&step, &number, &render);
        assert!(text.starts_with("# daemon.icc 2.2\n# not patchable: secrets are masked\n"), "{text}");
    }

    #[test]
    fn a_name_cannot_break_out_of_its_comment() {
        let mut plan = samples::plan();
        plan.steps.clear();
        plan.stopped_containers.clear();
        plan.notes = vec!["x\n--- a/etc/shadow".into()];
        plan.held[0].hazards[0].evidence = vec!["redis\n+++ b/x".into()];
        let text = document(&plan, &number, &render);
        assert!(text.lines().all(|line| line.starts_with("# ")), "{text}");
        assert!(text.contains("# note: no changes to make\n"), "{text}");
    }
}
