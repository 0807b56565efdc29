//! A watch passes when the rule is in the kernel and in a file that loads it again at the next boot.

use crate::audit::finding::{PendingOn, Verdict};
use crate::catalog::Object;
use crate::facts::{Facts, Known, Located};

use super::Outcome;

/// Judges every path of the objects.
pub(super) fn run(facts: &Facts, object: &Object, also: &[Object], perm: &str) -> Vec<Outcome> {
    if let Some(outcome) = elsewhere(facts, &format!("object:{object}")) {
        return vec![outcome];
    }
    let mut outcomes = Vec::new();
    for object in std::iter::once(object).chain(also) {
        match facts.objects.get(object) {
            Some(Ok(located)) if located.is_empty() => {}
            Some(Ok(located)) => outcomes.extend(located.iter().map(|one| judge(facts, one, perm))),
            Some(Err(why)) => outcomes.push(Outcome::unknown(format!("object:{object}"), why)),
            None => {}
        }
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::not_applicable(format!("object:{object}"), "does not exist on this host"));
    }
    outcomes
}

/// The kernel's rules are not those of a container: it must not even try.
pub(super) fn elsewhere(facts: &Facts, subject: &str) -> Option<Outcome> {
    let inside = !facts.scope.offline && !facts.scope.initial_pid_namespace;
    let why = "not in the initial PID namespace: the kernel's audit belongs to the host around this one";
    inside.then(|| Outcome::not_applicable(subject, why).source("/proc/self/ns/pid"))
}

fn judge(facts: &Facts, located: &Located, perm: &str) -> Outcome {
    let names: Vec<String> =
        std::iter::once(&located.path).chain(&located.aliases).map(|p| p.display().to_string()).collect();
    let subject = format!("path:{}", located.path.display());
    let expected = format!("a watch with perm={perm} on {}", names.join(" and "));
    let audit = &facts.audit;
    let outcome = |verdict| Outcome::new(subject.clone(), verdict).expected(expected.clone());
    let filed = match &audit.files {
        Ok(rules) => names.iter().filter(|n| rules.iter().any(|r| r.rule.covers(n, perm))).count() == names.len(),
        Err(why) => return Outcome::unknown(subject, why).expected(expected),
    };
    if matches!(audit.version, Ok(None)) {
        return outcome(Verdict::Fail).actual("auditctl is not installed").source("PATH");
    }
    if facts.scope.offline {
        let verdict = if filed { Verdict::Pass } else { Verdict::Fail };
        let actual = if filed { "the rule is in a file" } else { "no rule" };
        return outcome(verdict).actual(actual).source("/etc/audit");
    }
    let loaded: Known<bool> = match &audit.kernel {
        Ok(rules) => Ok(names.iter().all(|n| rules.iter().any(|r| r.covers(n, perm)))),
        Err(why) => Err(why.clone()),
    };
    match (loaded, filed) {
        (Ok(true), true) => outcome(Verdict::Pass).actual("watched").source("kernel, auditctl -l"),
        (Ok(true), false) => {
            let actual = "the rule is in the kernel but in no file: lost at the next boot";
            outcome(Verdict::Fail).actual(actual).source("auditctl -l and /etc/audit")
        }
        (Ok(false), true) => {
            let on = if audit.enabled == Ok(2) { PendingOn::Reboot } else { PendingOn::Reload };
            let actual = "the rule is in a file, not in the kernel";
            Outcome::pending(subject, on).expected(expected).actual(actual).source("auditctl -l")
        }
        (Ok(false), false) => outcome(Verdict::Fail).actual("no rule").source("kernel, auditctl -l"),
        (Err(why), _) => Outcome::unknown(subject, &why).expected(expected),
    }
}
