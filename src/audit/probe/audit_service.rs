//! auditd itself, and whether other people's rules load.

use crate::audit::finding::{PendingOn, Verdict};
use crate::facts::{AuditRule, Facts};

use super::{Outcome, audit_watch};

const AUDITD: &str = "service:auditd.service";

/// auditd is installed, enabled, running, and the kernel takes rules.
pub(super) fn auditd(facts: &Facts) -> Outcome {
    if let Some(outcome) = audit_watch::elsewhere(facts, AUDITD) {
        return outcome;
    }
    let expected = "installed, enabled, running, kernel auditing on";
    let outcome = |verdict| Outcome::new(AUDITD, verdict).expected(expected);
    match &facts.audit.version {
        Ok(None) => return outcome(Verdict::Fail).actual("not installed").source("PATH"),
        Err(why) => return Outcome::unknown(AUDITD, why).expected(expected),
        Ok(Some(_)) => {}
    }
    let Some(unit) = facts.unit("auditd.service") else {
        return outcome(Verdict::Unknown).actual("no unit auditd.service is known").source("systemctl show");
    };
    let source = "systemctl show auditd.service, auditctl -s";
    if unit.enabled != "enabled" || (unit.active != "active" && !facts.scope.offline) {
        let actual = format!("{}, {}", unit.enabled, unit.active);
        return outcome(Verdict::Fail).actual(actual).source(source);
    }
    if facts.scope.offline {
        return outcome(Verdict::Pass).actual("installed and enabled").source("unit files");
    }
    match (&facts.audit.enabled, &facts.audit.kernel) {
        (Ok(0), _) => Outcome::pending(AUDITD, PendingOn::Reboot)
            .expected(expected)
            .actual("kernel auditing is off (enabled 0)")
            .source(source),
        (_, Ok(rules)) if rules.iter().any(AuditRule::is_never_task) => Outcome::pending(AUDITD, PendingOn::Reload)
            .expected(expected)
            .actual("the rule `-a never,task` stops all other rules")
            .source("kernel, auditctl -l"),
        (Ok(_), Ok(_)) => outcome(Verdict::Pass).actual("running").source(source),
        (Err(why), _) | (_, Err(why)) => Outcome::unknown(AUDITD, why).expected(expected),
    }
}

/// No rule on disk switches auditing off. Some distributions ship `-a never,task`: with it no other rule records.
pub(super) fn never_task(facts: &Facts) -> Outcome {
    let subject = "path:/etc/audit";
    if let Some(outcome) = audit_watch::elsewhere(facts, subject) {
        return outcome;
    }
    let outcome = |verdict| Outcome::new(subject, verdict).expected("no rule `-a never,task`");
    if matches!(facts.audit.version, Ok(None)) {
        return Outcome::not_applicable(subject, "no audit runs here");
    }
    match &facts.audit.files {
        Err(why) => Outcome::unknown(subject, why),
        Ok(files) => match files.iter().find(|f| f.rule.is_never_task()) {
            Some(f) => outcome(Verdict::Fail)
                .actual(format!("`{}`: no other rule records anything", f.text))
                .source(format!("{}:{}", f.file.display(), f.line)),
            None => outcome(Verdict::Pass).actual("none").source("/etc/audit"),
        },
    }
}

/// Every rule that others keep in rules.d is in the kernel. `auditctl -R` stops at the first rule that it cannot
/// load, and all behind it, ours too, are missing without a word.
pub(super) fn rules_load(facts: &Facts) -> Outcome {
    let subject = "path:/etc/audit/rules.d";
    if let Some(outcome) = audit_watch::elsewhere(facts, subject) {
        return outcome;
    }
    let expected = "every rule on disk is in the kernel";
    if facts.scope.offline || matches!(facts.audit.version, Ok(None)) {
        return Outcome::not_applicable(subject, "no audit runs here").expected(expected);
    }
    let missing = match facts.audit.not_loaded() {
        Ok(missing) => missing,
        Err(why) => return Outcome::unknown(subject, &why).expected(expected),
    };
    let outcome = |verdict| Outcome::new(subject, verdict).expected(expected);
    let Some(first) = missing.first() else {
        return outcome(Verdict::Pass).actual("all watches are in the kernel").source("auditctl -l");
    };
    let place = format!("{}:{}", first.file.display(), first.line);
    let why = first.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    let more = if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
    outcome(Verdict::Fail).actual(format!("not in the kernel: `{}` in {place}{why}{more}", first.text)).source(place)
}
