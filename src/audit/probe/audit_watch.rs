//! A watch passes when the rule is in the kernel and in a file that loads it again at the next boot.

use crate::audit::finding::{PendingOn, Verdict};
use crate::catalog::Object;
use crate::facts::{AuditRule, Facts, Known, Located};

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
    let silenced = audit.kernel.as_ref().is_ok_and(|rules| rules.iter().any(AuditRule::is_never_task));
    match (loaded, filed) {
        (Ok(true), true) if audit.enabled == Ok(0) => Outcome::pending(subject, PendingOn::Reboot)
            .expected(expected)
            .actual("the rule is in the kernel, whose auditing is off (enabled 0)")
            .source("auditctl -s"),
        (Ok(true), true) if silenced => Outcome::pending(subject, PendingOn::Reload)
            .expected(expected)
            .actual("the rule is in the kernel beside `-a never,task`, which stops all others")
            .source("kernel, auditctl -l"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::FiledRule;
    use crate::facts::audit_rules::parse_list;
    use crate::facts::testing::{facts, stat, version};
    use crate::host::FileKind;

    fn watched(enabled: u32, listing: &str) -> Outcome {
        let object = Object::Named("dockerd".into());
        let mut facts = facts();
        let located = Located { path: "/usr/sbin/dockerd".into(), aliases: Vec::new(), stat: stat(FileKind::File) };
        facts.objects.insert(object.clone(), Ok(vec![located]));
        let text = "-w /usr/sbin/dockerd -p wa";
        let rule = parse_list(text).remove(0);
        let filed =
            FiledRule { file: "/etc/audit/rules.d/a.rules".into(), line: 1, rule, text: text.into(), trouble: None };
        facts.audit.version = Ok(Some(version("3.0.9")));
        facts.audit.enabled = Ok(enabled);
        facts.audit.files = Ok(vec![filed]);
        facts.audit.kernel = Ok(parse_list(&format!("{listing}{text}")));
        run(&facts, &object, &[], "wa").remove(0)
    }

    #[test]
    fn a_rule_that_records_nothing_is_pending() {
        assert_eq!(watched(1, "").verdict, Verdict::Pass);
        assert_eq!(watched(2, "").verdict, Verdict::Pass);
        assert_eq!(watched(0, "").pending_on, Some(PendingOn::Reboot));
        assert_eq!(watched(1, "-a never,task\n").pending_on, Some(PendingOn::Reload));
    }
}
