//! Whose the first process is.

use super::capabilities::remapped;
use super::{Outcome, Seen};
use crate::audit::finding::Verdict;
use crate::catalog::Severity;
use crate::facts::workload::Process;

pub(super) fn run(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("a user other than root");
    match seen.process() {
        Ok(None) => configured(seen, outcome.source("Config.User")),
        Ok(Some(process)) => runs(seen, process, outcome.source(seen.status())),
        Err(why) => outcome.not_known(&why),
    }
}

fn configured(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let user = seen.container.user.as_str();
    if is_root(user) { outcome.fails("would start as root") } else { outcome.actual(format!("would start as {user}")) }
}

/// The host's number says nothing in a user namespace: there root has another one.
fn runs(seen: &Seen<'_>, process: &Process, outcome: Outcome) -> Outcome {
    let user = process.euid;
    match process.root {
        _ if user == 0 => outcome.fails("root"),
        Some(root) if user == root => outcome
            .fails(format!("root in its user namespace, which is user {root} of the host"))
            .severity(Severity::Low),
        Some(_) if remapped(process) => outcome.actual(format!("user {user} of the host, in a user namespace")),
        Some(_) => outcome.actual(format!("user {user}")),
        None => match seen.in_user_namespaces() {
            Ok(false) => outcome.actual(format!("user {user}")),
            Ok(true) => {
                let map = format!("/proc/{}/uid_map", process.pid);
                outcome.verdict(Verdict::Unknown).actual(format!("{map} could not be read"))
            }
            Err(why) => outcome.not_known(&why),
        },
    }
}

/// `USER[:GROUP]` of a configuration: nothing, a name, or a number in any form.
pub(super) fn is_root(user: &str) -> bool {
    let user = user.split(':').next().unwrap_or_default();
    user.is_empty() || user == "root" || user.parse() == Ok(0_u32)
}
