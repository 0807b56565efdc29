//! What the tests in virtual machines look at: rules in the kernel, files, findings, processes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::machine::Machine;

/// Our own rules file.
pub(crate) const OWN_RULES: &str = "/etc/audit/rules.d/50-seaworthy-docker.rules";

/// The kernel's rules, in order.
pub(crate) fn kernel_rules(vm: &Machine) -> Vec<String> {
    vm.ok("auditctl -l").lines().filter(|line| *line != "No rules").map(folded).collect()
}

/// A rule with its permissions in one order: the kernel lists `-p wax` as `-p wxa`.
fn folded(rule: &str) -> String {
    let mut words: Vec<String> = rule.split_whitespace().map(str::to_owned).collect();
    if let Some(at) = words.iter().position(|word| word == "-p") {
        let mut letters: Vec<char> = words[at + 1].chars().collect();
        letters.sort_unstable();
        words[at + 1] = letters.into_iter().collect();
    }
    words.join(" ")
}

/// The rules of our own file.
pub(crate) fn own_rules(vm: &Machine) -> Vec<String> {
    vm.ok(&format!("grep ^- {OWN_RULES}")).lines().map(folded).collect()
}

/// Everything in /etc and the sockets, with type, mode, owner and content; without what dockerd writes by itself for
/// user namespaces, and augenrules' own backup copy.
pub(crate) fn files(vm: &Machine) -> BTreeSet<String> {
    vm.ok(&listing("/etc", "/run/docker.sock /run/containerd/containerd.sock")).lines().map(str::to_owned).collect()
}

/// The line of shell that lists `etc` and its content, and `more`.
pub(crate) fn listing(etc: &str, more: &str) -> String {
    let skip = r"(^|  )/?etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|audit/audit\.rules\.prev)( |$)";
    format!(
        "{{ find {etc} {more} -printf '%p %y %m %U:%G %l\\n'; \
         find {etc} -type f -exec sha256sum {{}} +; }} | grep -Ev '{skip}'"
    )
}

/// The audit's findings, of the checks that `select` chooses (options of `audit`).
pub(crate) fn findings(vm: &Machine, select: &str) -> Vec<Value> {
    let out = vm.sh(&format!("seaworthy audit -q --format json {select}"));
    assert!(matches!(out.status, 0 | 2), "audit: {out:?}");
    let document: Value = serde_json::from_str(&out.stdout).expect("the audit's document");
    document["findings"].as_array().expect("findings").clone()
}

/// `CHECK VERDICT PENDING-ON` of the findings that are neither a pass nor not applicable.
pub(crate) fn open(findings: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let closed = |f: &&Value| f["verdict"] == "pass" || f["verdict"] == "not-applicable";
    let line = |f: &Value| format!("{} {} {}", text(&f["check"]), text(&f["verdict"]), text(&f["pending_on"]));
    findings.iter().filter(|f| !closed(f)).map(line).collect()
}

/// Main processes of docker and auditd, and the runs on record: an apply that has nothing to do leaves them alone.
pub(crate) fn untouched(vm: &Machine) -> String {
    vm.ok("systemctl show -p MainPID --value docker auditd; ls /var/lib/seaworthy/runs")
}

/// Runs seaworthy, which has to end with 0; gives what it printed, stdout and stderr.
pub(crate) fn seaworthy(vm: &Machine, args: &str) -> String {
    vm.ok(&format!("seaworthy {args} 2>&1"))
}

/// Asserts that two lists are equal, and says what differs only.
#[track_caller]
pub(crate) fn assert_same(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    let lost: Vec<_> = before.difference(after).collect();
    let new: Vec<_> = after.difference(before).collect();
    assert!(lost.is_empty() && new.is_empty(), "gone or changed: {lost:#?}\nnew or changed: {new:#?}");
}
