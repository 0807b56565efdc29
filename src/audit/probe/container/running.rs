//! What goes on in a container: its health, its commands, its image.

use super::user::is_root;
use super::{Outcome, Seen};
use crate::audit::finding::Verdict;
use crate::facts::workload::Exec;

/// Programs that serve SSH, by the name of their processes.
const SSH: [&str; 3] = ["sshd", "sshd-session", "dropbear"];

pub(super) fn healthcheck(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let container = seen.container;
    let outcome = outcome.expected("a health check").source("Config.Healthcheck");
    match &container.confinement.health {
        Some(health) => outcome.actual(health).source("State.Health"),
        None if container.healthcheck.is_empty() => outcome.fails("none"),
        None => outcome.actual("set"),
    }
}

/// The image's date alone is told: what is old, and whether there is a newer one, needs a registry.
pub(super) fn image_age(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let container = seen.container;
    let made = container.image_created.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let made =
        made.map_or_else(|| "at a time that is not known".to_owned(), |time| time.strftime("%Y-%m-%d").to_string());
    outcome.verdict(Verdict::Manual).actual(format!("image {}, made {made}", container.image)).source("Image")
}

/// By the processes in its cgroup, so that a host's own sshd, which a container can see, is not taken for its.
pub(super) fn sshd(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let container = seen.container;
    if !container.running {
        return outcome.does_not_apply(NOT_RUNNING);
    }
    let processes = match &seen.facts.workload.processes {
        Ok(processes) => processes,
        Err(why) => return outcome.not_known(why),
    };
    let outcome = outcome.expected("no SSH daemon").source("its processes");
    // by name first: few have it, and a thousand containers ask each for itself
    let mut named = processes.contained.iter().filter(|process| SSH.contains(&process.name.as_str()));
    match named.find(|process| process.containers.contains(&container.id)) {
        Some(process) => outcome.fails(&*process.name),
        None => outcome.actual("none"),
    }
}

pub(super) fn privileged_exec(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    execs(seen, outcome.expected("no privileged command"), |exec| exec.privileged)
}

pub(super) fn root_exec(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    execs(seen, outcome.expected("no command as root"), |exec| is_root(&exec.user))
}

const NOT_RUNNING: &str = "does not run";

fn execs(seen: &Seen<'_>, outcome: Outcome, bad: impl Fn(&Exec) -> bool) -> Outcome {
    let container = seen.container;
    if !container.running {
        return outcome.does_not_apply(NOT_RUNNING);
    }
    let execs = match &seen.facts.workload.execs {
        Ok(execs) => execs,
        Err(why) => return outcome.not_known(why),
    };
    let outcome = outcome.source("ExecIDs");
    let own = execs.iter().filter(|exec| exec.container == container.name);
    let found: Vec<&str> = own.filter(|exec| bad(exec)).map(|exec| exec.program.as_str()).collect();
    if found.is_empty() { outcome.actual("none runs now") } else { outcome.fails(found.join(", ")) }
}
