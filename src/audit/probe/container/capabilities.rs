//! Capabilities within reach of a container's processes.

use super::{Outcome, Seen};
use crate::catalog::{Capability, Severity};
use crate::facts::workload::Process;
use crate::facts::{Container, Known};

/// Names by number, as in the kernel's `capability.h`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What dockerd gives by default (`caps.DefaultCapabilities` in moby), 14 of them.
const DEFAULT: u64 = 0xa804_25fb;
const NET_RAW: u64 = 1 << 13;
/// More than these are not listed one by one.
const LISTED: usize = 6;

/// What the processes of a container can get.
struct Reach {
    bits: u64,
    source: String,
    /// Only over what belongs to a user namespace.
    remapped: bool,
}

pub(super) fn all(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("none beyond the default, and no NET_RAW");
    let reach = match reach(seen) {
        Ok(reach) => reach,
        Err(why) => return outcome.not_known(&why),
    };
    let outcome = outcome.source(reach.source);
    let more = names(reach.bits & !DEFAULT);
    if !more.is_empty() {
        let outcome = outcome.fails(format!("beyond the default: {}", listed(&more)));
        return if reach.remapped { outcome.severity(Severity::Low) } else { outcome };
    }
    if reach.bits & NET_RAW != 0 {
        // Part of the default: it forges packets on the networks that the container is on.
        return outcome.fails("the default ones, with NET_RAW").severity(Severity::Low);
    }
    let names = names(reach.bits);
    outcome.actual(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

pub(super) fn one(seen: &Seen<'_>, which: Capability, outcome: Outcome) -> Outcome {
    let name = which.name();
    let outcome = outcome.expected(format!("no {name}"));
    match reach(seen) {
        Ok(reach) if reach.bits & 1 << which.bit() == 0 => outcome.actual(format!("no {name}")).source(reach.source),
        Ok(Reach { source, remapped, .. }) => {
            let outcome = outcome.fails(format!("{name} within reach")).source(source);
            if remapped { outcome.severity(Severity::Low) } else { outcome }
        }
        Err(why) => outcome.not_known(&why),
    }
}

/// A process that is not root's has no effective capability, and a setuid program gives it its bounding set; under
/// `NoNewPrivs` nothing does.
fn reach(seen: &Seen<'_>) -> Known<Reach> {
    Ok(match seen.process()? {
        None => {
            Reach { bits: configured(seen.container), source: "HostConfig.CapAdd, CapDrop".into(), remapped: false }
        }
        Some(process) => {
            let (bits, field) =
                if process.no_new_privs { (process.capabilities, "CapEff") } else { (process.bounding, "CapBnd") };
            Reach { bits, source: format!("{field} in {}", seen.status()), remapped: remapped(process) }
        }
    })
}

/// Whether its root is another user of the host.
pub(super) fn remapped(process: &Process) -> bool {
    process.root.is_some_and(|root| root != 0)
}

/// What a start would give it (`caps.TweakCapabilities` in moby): `ALL` in one list leaves the other to decide.
fn configured(container: &Container) -> u64 {
    const ALL: u64 = (1 << NAMES.len()) - 1;
    let bits = |names: &[String]| {
        let known = names.iter().filter_map(|name| NAMES.iter().position(|known| known == name));
        known.fold(0_u64, |bits, at| bits | 1 << at)
    };
    let confinement = &container.confinement;
    let has_all = |names: &[String]| names.iter().any(|name| name == "ALL");
    let (add, drop) = (bits(&confinement.cap_add), bits(&confinement.cap_drop));
    if container.privileged {
        ALL
    } else if has_all(&confinement.cap_add) {
        ALL & !drop
    } else if has_all(&confinement.cap_drop) {
        add
    } else {
        DEFAULT & !drop | add
    }
}

/// Whether Docker gives a container this capability by itself and nothing speaks against it: not `NET_RAW`. Upper case,
/// without `CAP_`.
pub(in crate::audit) fn is_usual(name: &str) -> bool {
    NAMES.iter().position(|known| *known == name).is_some_and(|bit| (DEFAULT & !NET_RAW) >> bit & 1 == 1)
}

fn names(bits: u64) -> Vec<String> {
    let name = |bit: usize| NAMES.get(bit).map_or_else(|| format!("capability {bit}"), |name| (*name).to_owned());
    (0..64).filter(|bit| bits >> bit & 1 == 1).map(name).collect()
}

/// Those that matter first, so that many still name them.
fn listed(names: &[String]) -> String {
    if names.len() <= LISTED {
        return names.join(", ");
    }
    let known = ["SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "DAC_READ_SEARCH"];
    let worst: Vec<&str> = known.into_iter().filter(|known| names.iter().any(|name| name == known)).collect();
    match worst.as_slice() {
        [] => format!("{} and {} more", names[..LISTED].join(", "), names.len() - LISTED),
        worst => format!("{} and {} more", worst.join(", "), names.len() - worst.len()),
    }
}
