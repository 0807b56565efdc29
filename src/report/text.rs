//! Reports for people: 80 columns, and no meaning by colour alone.

use std::fmt::Write;

use serde::Serialize;

use super::hazards::{of_finding, of_held};
use super::model::{AuditReport, HistoryRun, HostLine, Rest, RunReport, Summary, number, plural};
use crate::audit::{Applicability, Finding, PendingOn, Stale, Trouble, Verdict, is_attested};
use crate::catalog::Severity;
use crate::policy::Waiver;
use crate::text::clean;
use crate::ui::{Role, paint};

/// Where lines break.
const WIDTH: usize = 80;
/// The longest slug that the column makes room for; a longer one pushes its own line only.
const SLUG: usize = 32;
/// Where what belongs to the line above is put.
const BELOW: &str = "      ";

/// The audit's report. With `verbose` above 0 also titles, sources, and what passes or does not apply.
pub fn audit(report: &AuditReport, verbose: u8) -> String {
    let mut out = head(report);
    for (heading, role, findings) in groups(&report.findings, verbose) {
        if findings.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{}", paint(role, &format!("{heading}: {}", findings.len())));
        let slug = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0).min(SLUG);
        for alike in folded(&findings, verbose) {
            line(&mut out, &alike, &report.benchmark, slug, verbose);
        }
    }
    stale(&mut out, &report.stale_waivers);
    tail(&mut out, &report.summary);
    out
}

fn head(report: &AuditReport) -> String {
    let HostLine { hostname, os, docker, daemon, privileged, offline, recorded_at } = &report.host;
    let docker = docker.as_ref().map_or_else(|| "Docker of unknown version".into(), |v| format!("Docker {v}"));
    let mut out = format!(
        "{}: {}, {}, daemon {}\n{}, profile {}\n",
        paint(Role::Heading, &clean(hostname)),
        clean(os),
        clean(&docker),
        clean(daemon),
        report.benchmark.replace("cis-", "CIS Docker "),
        clean(&report.profile),
    );
    if *offline {
        out.push_str("not a running host but its files: what only a running one tells is unknown\n");
    }
    if let Some(time) = recorded_at {
        let _ = writeln!(out, "from facts recorded {}", clean(time));
    }
    if !privileged {
        out.push_str("not root: what could not be read is unknown\n");
    }
    out
}

type Group<'a> = (String, Role, Vec<&'a Finding>);

/// Worst first. Passes and what does not apply are only counted, unless asked for.
fn groups(findings: &[Finding], verbose: u8) -> Vec<Group<'_>> {
    let of = |wanted: &dyn Fn(&Finding) -> bool| findings.iter().filter(|finding| wanted(finding)).collect();
    let mut groups = Vec::new();
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low] {
        let open =
            |finding: &Finding| finding.verdict == Verdict::Fail && !finding.waived && finding.severity == severity;
        groups.push((format!("fail, {}", word(&severity)), Role::Error, of(&open)));
    }
    let rest = [
        ("pending", Role::Warning, Verdict::Pending, true),
        ("unknown", Role::Warning, Verdict::Unknown, true),
        ("manual", Role::Note, Verdict::Manual, true),
        ("fail, waived", Role::Faint, Verdict::Fail, true),
        ("pass", Role::Good, Verdict::Pass, verbose > 0),
        ("not applicable", Role::Faint, Verdict::NotApplicable, verbose > 0),
    ];
    for (heading, role, verdict, shown) in rest {
        if shown {
            let wanted = |finding: &Finding| finding.verdict == verdict && (verdict != Verdict::Fail || finding.waived);
            groups.push((heading.to_owned(), role, of(&wanted)));
        }
    }
    groups
}

/// Findings that a report says once, with the names of their subjects: same check, same words. Never empty.
type Alike<'a> = Vec<&'a Finding>;

/// Puts together what would be said again for many subjects; asked for more, each one is said.
fn folded<'a>(findings: &[&'a Finding], verbose: u8) -> Vec<Alike<'a>> {
    let mut all: Vec<(Alike<'a>, String)> = Vec::new();
    // Findings of one check stand together: with thousands of them only those few are looked through.
    let mut first = 0;
    for &finding in findings {
        let words = format!("{}\n{}", verdict(finding), of_finding(finding));
        if all.get(first).is_none_or(|(alike, _)| alike[0].check != finding.check) {
            first = all.len();
        }
        match all[first..].iter_mut().find(|(_, said)| verbose == 0 && *said == words) {
            Some((alike, _)) => alike.push(finding),
            None => all.push((vec![finding], words)),
        }
    }
    all.into_iter().map(|(alike, _)| alike).collect()
}

fn line(out: &mut String, alike: &Alike<'_>, benchmark: &str, slug: usize, verbose: u8) {
    let finding = alike[0];
    let lead = format!("  {:<slug$}  {:<6} ", clean(&finding.check), number(&finding.references, benchmark));
    wrap(out, &lead, &format!("{}{}", subjects(alike), verdict(finding)));
    if verbose > 0 {
        // Titles name the bad state: beside a pass they would read as its opposite.
        if !matches!(finding.verdict, Verdict::Pass | Verdict::NotApplicable | Verdict::Unknown) {
            wrap(out, BELOW, &clean(&finding.title));
        }
        if finding.verdict != Verdict::Unknown && !finding.source.is_empty() {
            wrap(out, BELOW, &format!("read from {}", clean(&finding.source)));
        }
    }
    if finding.verdict == Verdict::Fail && finding.applicability == Some(Applicability::Ask) {
        wrap(out, BELOW, &format!("held, {}", of_finding(finding)));
    }
}

/// What is, and what should be.
fn verdict(finding: &Finding) -> String {
    let mut text = String::new();
    let (actual, expected) = (clean(&finding.actual), clean(&finding.expected));
    match finding.verdict {
        Verdict::Fail => {
            let _ = write!(text, "{actual}; expected {expected}");
            if let Some(Waiver { reason, owner, until, .. }) = finding.waiver.as_deref() {
                let _ = write!(text, "; taken on by {} until {until}: {}", clean(owner), clean(reason));
            }
            if !finding.waived && matches!(finding.applicability, Some(Applicability::Manual) | None) {
                text.push_str(" (by hand)");
            }
        }
        Verdict::Pending => {
            let waits = finding.pending_on.map_or("something", waits_for);
            let _ = write!(text, "{actual}; waits for {waits}");
        }
        Verdict::Unknown if !finding.source.is_empty() => {
            let _ = write!(text, "{actual} ({})", clean(&finding.source));
        }
        Verdict::Manual if is_attested(finding) => text.push_str(&expected),
        Verdict::Manual if !expected.is_empty() => {
            let _ = write!(text, "{expected}; here: {actual}");
        }
        Verdict::Unknown | Verdict::Manual | Verdict::Pass | Verdict::NotApplicable => text.push_str(&actual),
    }
    text
}

/// So many subjects are named; of more, two less are, and the others counted.
const NAMED: usize = 4;

/// `web: `, `web and db: `, `web, db and 97 more: `; nothing where the check tells it.
fn subjects(alike: &Alike<'_>) -> String {
    let names: Vec<String> = alike.iter().filter_map(|finding| name(finding)).collect();
    let more;
    let (last, others) = match names.as_slice() {
        [] => return String::new(),
        [only] => return format!("{only}: "),
        all if all.len() > NAMED => {
            let shown = NAMED - 2;
            more = format!("{} more", all.len() - shown);
            (&more, &all[..shown])
        }
        [others @ .., last] => (last, others),
    };
    format!("{} and {last}: ", others.join(", "))
}

/// The subject, where the check alone does not tell it: the host has one daemon and is itself one.
pub(crate) fn subject(finding: &Finding) -> String {
    name(finding).map_or_else(String::new, |name| format!("{name}: "))
}

fn name(finding: &Finding) -> Option<String> {
    match finding.subject.split_once(':') {
        Some(("daemon" | "host", _)) | None => None,
        Some((_, name)) => Some(clean(name)),
    }
}

/// What a pending finding waits for, in words.
pub fn waits_for(pending: PendingOn) -> &'static str {
    match pending {
        PendingOn::Reload => "a reload",
        PendingOn::Restart => "a restart of docker",
        PendingOn::ContainersStopped => "a start of docker while no container runs",
        PendingOn::Recreate => "containers to be created anew",
        PendingOn::Login => "the next login",
        PendingOn::Reboot => "the next boot",
    }
}

/// The name that serde gives to a unit variant: the word of the documents.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Waivers that somebody has to look at.
fn stale(out: &mut String, waivers: &[Stale]) {
    if waivers.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint(Role::Warning, &format!("waivers to look at: {}", waivers.len())));
    for Stale { waiver, file, trouble } in waivers {
        let why = match trouble {
            Trouble::Expired => format!("counted until {}", waiver.until),
            Trouble::Unused => "nothing that it names fails here".into(),
            Trouble::UnknownCheck => "there is no such check".into(),
        };
        let place = format!("{}:{}", file.display(), waiver.line);
        wrap(out, "  ", &format!("{}: {}, {}: {why}", clean(&place), clean(&waiver.check), clean(&waiver.subject)));
    }
}

fn tail(out: &mut String, summary: &Summary) {
    let all = &summary.all;
    let counts = [
        (summary.open, "fail"),
        (summary.waived, "waived"),
        (all.pending, "pending"),
        (all.unknown, "unknown"),
        (all.manual, "manual"),
        (all.pass, "pass"),
        (all.not_applicable, "not applicable"),
    ];
    let counts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    out.push('\n');
    wrap(out, "", &format!("{}: {}", plural(all.total, "finding"), counts.join(", ")));
    for (level, count) in &summary.levels {
        let _ = writeln!(out, "level {level}: {} fail of {}", count.fail, count.total);
    }
    let fixable = [
        (summary.automatic, "fixed by `seaworthy apply`"),
        (summary.ask, "held back for a decision"),
        (summary.by_hand, "to be fixed by hand"),
    ];
    let fixable: Vec<_> =
        fixable.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if fixable.is_empty() {
        return;
    }
    wrap(out, "", &format!("of the fails: {}", fixable.join(", ")));
    let next = if summary.automatic + summary.ask > 0 {
        "next: `seaworthy plan` shows the diff, `seaworthy explain CHECK` tells why"
    } else {
        "next: `seaworthy explain CHECK` tells what to do"
    };
    let _ = writeln!(out, "{next}");
}

/// What an apply (`done` = `fixed`) or a rollback (`done` = `taken back`) did.
pub fn run(report: &RunReport, done: &str) -> String {
    let RunReport {
        envelope: _,
        changed,
        run,
        applied,
        held,
        pending,
        restart_required,
        reboot_required,
        not_reverted,
        diff: _,
        containers,
        recreated,
    } = report;
    let mut out = match run {
        Some(run) if *changed => format!("run {}: {} {done}\n", clean(run), plural(applied.len(), "check")),
        _ => "nothing to do\n".to_owned(),
    };
    if !applied.is_empty() {
        let names: Vec<_> = applied.iter().map(|check| clean(check)).collect();
        wrap(&mut out, "  ", &names.join(", "));
    }
    for change in containers {
        wrap(&mut out, "updated ", &clean(&change.told()));
    }
    for service in recreated {
        wrap(&mut out, "recreated ", &clean(service));
    }
    for Rest { check, reason } in pending {
        wrap(&mut out, "pending: ", &format!("{} waits for {}", clean(check), clean(reason)));
    }
    for one in held {
        wrap(&mut out, "held: ", &of_held(one));
    }
    for Rest { check, reason } in not_reverted {
        // What is about the whole run names nothing of its own.
        let about = if run.as_ref() == Some(check) { String::new() } else { format!("{}: ", clean(check)) };
        wrap(&mut out, "note: ", &format!("{about}{}", clean(reason)));
    }
    if *restart_required {
        out.push_str("restart docker for the rest: `systemctl restart docker`\n");
    }
    if *reboot_required {
        out.push_str("boot the host for the rest\n");
    }
    out
}

/// The runs, newest first as given.
pub fn history(runs: &[HistoryRun], verbose: u8) -> String {
    if runs.is_empty() {
        return "no runs\n".into();
    }
    let mut out = String::new();
    for HistoryRun { run, started_at, user, state, stands, checks, paths, containers } in runs {
        let lead = format!("{}  {}  ", clean(run), clean(started_at));
        // A run that was rolled back is expected to stand nowhere: only the unexpected is worth a word.
        let stands =
            if state == "rolled back" && stands == "taken back" { String::new() } else { format!(", {stands}") };
        let text = format!("{}{}, by {}, {}", clean(state), clean(&stands), clean(user), plural(checks.len(), "check"));
        wrap(&mut out, &lead, &text);
        if verbose > 0 || runs.len() == 1 {
            wrap(&mut out, "  ", &checks.iter().map(|check| clean(check)).collect::<Vec<_>>().join(", "));
            for one in paths.iter().chain(containers) {
                let _ = writeln!(out, "  {}", clean(one));
            }
        }
    }
    out
}

/// Breaks `text` at blanks; lines after the first begin where the first one's text did, if that leaves room.
fn wrap(out: &mut String, lead: &str, text: &str) {
    let indent = if lead.chars().count() > WIDTH / 2 { BELOW.len() } else { lead.chars().count() };
    let mut line = lead.to_owned();
    let mut empty = true;
    for word in words(text) {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// The words of a text; what stands between backticks is one word, so that a command can be copied.
fn words(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let breaks = move |c: char| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    };
    text.split(breaks).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests;
