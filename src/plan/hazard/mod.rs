//! Hazards: what a fix would hurt on this host. One detector each, which answers *absent*, *found* with names, or
//! *could not look*; the last holds a fix like the second.
//!
//! Detectors judge what a change will hurt when it takes effect, which for a pending one is later.

mod access;
mod change;
mod client;
mod command;
mod fixed;
mod foreign;
mod ids;
mod remap;
mod restart;
mod settings;
mod startup;
mod storage;
#[cfg(test)]
mod tests;
mod traffic;

use crate::audit::HazardFound;
use crate::catalog::Hazard;
use crate::facts::workload::Workload;
use crate::facts::{Facts, Known};
use crate::host::Host;
use crate::text::clean;

pub use change::Change;
pub(super) use fixed::in_the_way;

/// What a detector says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detection {
    /// Nothing here is hurt.
    Absent,
    /// Names of what would be hurt, fit for a terminal.
    Found(Vec<String>),
    /// Why nobody can say.
    CouldNotLook(String),
}

/// One change on one host.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The host, for what only one detector asks.
    pub host: &'a dyn Host,
    /// Facts about the daemon and its files.
    pub facts: &'a Facts,
    /// What lives here.
    pub workload: &'a Workload,
    /// What is being done.
    pub change: &'a Change,
}

/// Looks for one hazard.
pub fn detect(hazard: Hazard, subject: &Situation) -> Detection {
    let mut evidence = Evidence::default();
    match hazard {
        Hazard::HidesImages => storage::hides_images(subject, &mut evidence),
        Hazard::BreaksStartup => startup::breaks_startup(subject, &mut evidence),
        Hazard::Swarm => startup::swarm(subject, &mut evidence),
        Hazard::StopsContainers => restart::stops_containers(subject, &mut evidence),
        Hazard::Interrupts => restart::interrupts(subject, &mut evidence),
        Hazard::LosesDevices => restart::loses_devices(subject, &mut evidence),
        Hazard::CutsTraffic => traffic::cuts_traffic(subject, &mut evidence),
        Hazard::DropsPrivilege => access::drops_privilege(subject, &mut evidence),
        Hazard::CutsAccess => access::cuts_access(subject, &mut evidence),
        Hazard::BreaksPulls => client::breaks_pulls(subject, &mut evidence),
        Hazard::Inert => client::inert(subject, &mut evidence),
        Hazard::ForeignOwner => foreign::foreign_owner(subject, &mut evidence),
        Hazard::VendorCommand => command::vendor_command(subject, &mut evidence),
        Hazard::NeedsValue => command::needs_value(subject, &mut evidence),
    }
    evidence.judge()
}

/// Looks for every hazard that follows from the change, and for those that the catalogue lists besides.
pub fn look(subject: &Situation, listed: &[Hazard]) -> Vec<HazardFound> {
    let mut hazards = subject.change.implied();
    hazards.extend(listed);
    hazards.into_iter().filter_map(|hazard| detect(hazard, subject).found(hazard)).collect()
}

impl Detection {
    /// The form in which findings and plans carry it; `None`: absent.
    pub fn found(self, hazard: Hazard) -> Option<HazardFound> {
        match self {
            Self::Absent => None,
            Self::Found(evidence) => Some(HazardFound { hazard, evidence, looked: true }),
            Self::CouldNotLook(why) => Some(HazardFound { hazard, evidence: vec![why], looked: false }),
        }
    }
}

/// What a detector gathers: names, and where it could not look.
#[derive(Default)]
struct Evidence {
    names: Vec<String>,
    blind: Vec<String>,
}

impl Evidence {
    fn name(&mut self, name: impl Into<String>) {
        self.names.push(clean(&name.into()));
    }

    fn blind(&mut self, why: impl Into<String>) {
        self.blind.push(clean(&why.into()));
    }

    /// The fact; what is unknown is noted.
    fn known<'a, T>(&mut self, fact: &'a Known<T>) -> Option<&'a T> {
        fact.as_ref().map_err(|unknown| self.blind(unknown.0.clone())).ok()
    }

    /// Like [`Self::known`], for a fact that was just computed.
    fn take<T>(&mut self, fact: Known<T>) -> Option<T> {
        fact.map_err(|unknown| self.blind(unknown.0)).ok()
    }

    /// Names outweigh blind spots, which are then told beside them.
    fn judge(mut self) -> Detection {
        unique(&mut self.names);
        unique(&mut self.blind);
        if self.names.is_empty() {
            return if self.blind.is_empty() {
                Detection::Absent
            } else {
                Detection::CouldNotLook(self.blind.join("; "))
            };
        }
        self.names.extend(self.blind.into_iter().map(|why| format!("could not look further: {why}")));
        Detection::Found(self.names)
    }
}

/// Drops repetitions; the order stays.
fn unique(list: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|item| seen.insert(item.clone()));
}
