//! Taking a recreation back: the service is made anew from its old file, also where compose was killed half way.

use std::path::Path;

use super::compose::{self, Member, members};
use super::journal::{Journal, Op, Record};
use super::service::command;
use super::waiting::{Waiting, Watch};
use crate::error::{Failure, Result};
use crate::facts::workload;
use crate::host::{Command, Host, HostMut};
use crate::plan::{Act, Plan, Recreation};

/// How long a compose of a run that was killed may still be at work, in seconds: it is a process of its own.
const ORPHAN: u64 = 300;
/// How many of the paths that go are named.
const NAMED: usize = 3;

/// A service that a rollback makes anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceUndo {
    /// As the run did it.
    pub(super) recreation: Recreation,
    /// Its published ports before the run.
    ports: Vec<String>,
}

/// What a rollback does about the services of a run, and what it says of them.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) undo: Vec<ServiceUndo>,
    /// Whom it stops for a moment, and what of theirs is lost.
    pub(super) cuts: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// The recreations that the journal tells of, last one first; with a check those that were for it.
pub(super) fn begun<'a>(journal: &'a Journal, plan: &Plan, check: Option<&str>) -> Vec<(&'a Recreation, &'a [String])> {
    let concerned = |recreation: &Recreation| {
        let is_it = |act: &Act| matches!(act, Act::Recreate(one) if one == recreation);
        let mut steps = plan.steps.iter().filter(|step| is_it(&step.act));
        check.is_none_or(|check| steps.any(|step| step.checks.iter().any(|one| one == check)))
    };
    let mut found: Vec<(&Recreation, &[String])> = Vec::new();
    for op in journal.begun().rev() {
        if let Op::Recreate { recreation, ports } = op
            && found.iter().all(|(known, _)| *known != recreation)
            && concerned(recreation)
        {
            found.push((recreation, ports));
        }
    }
    found
}

/// What a rollback has to do about services. Of a run that was finished, what somebody stopped since stays as it is.
pub(super) fn services(
    host: &dyn Host,
    journal: &Journal,
    plan: &Plan,
    check: Option<&str>,
    finished: bool,
) -> Services {
    let mut all = Services::default();
    for (recreation, ports) in begun(journal, plan, check) {
        let Recreation { service, project, .. } = recreation;
        let undo = ServiceUndo { recreation: recreation.clone(), ports: ports.to_vec() };
        let found = members(host, &plan.target.socket, recreation);
        match &found {
            // Compose did not come to it, and is not about to: it outlives the run that started it.
            Ok(found) if untouched(recreation, found) && !at_work(host, recreation) => continue,
            Ok(found) if finished && !found.iter().any(|one| one.container.running) => {
                all.notes.push(format!(
                    "service {service} of project {project} does not run: it gets its old settings when it is made anew"
                ));
                continue;
            }
            // A daemon that is down may be brought back by this very rollback.
            _ => all.undo.push(undo),
        }
        let running = found.iter().flatten().filter(|one| one.container.running);
        let lines = running.map(|one| interrupted(host, &plan.target.socket, one));
        // A run that was killed is taken back whatever that costs.
        if finished { all.cuts.extend(lines) } else { all.notes.extend(lines) }
    }
    all
}

/// Whether a service has the containers of before the run, and no others.
fn untouched(recreation: &Recreation, members: &[Member]) -> bool {
    let known = |one: &Member| recreation.containers.iter().any(|(_, id)| *id == one.container.id);
    compose::moved(recreation, members).is_empty() && members.iter().filter(|one| !known(one)).all(ran)
}

/// Whether a container has run at all; its files say the year 1 as long as it did not.
fn ran(member: &Member) -> bool {
    member.container.running || !member.container.finished.starts_with("0001-")
}

/// What it means for a container that its service is made anew.
fn interrupted(host: &dyn Host, socket: &Path, member: &Member) -> String {
    let name = &member.container.name;
    let stops = format!("container {name} is stopped for a moment and made anew");
    match workload::written(host, socket, &member.container) {
        Ok(paths) if paths.is_empty() => stops,
        Ok(paths) => format!("{stops}; lost with it, since it is in no volume: {}", named(&paths)),
        Err(unknown) => format!("{stops}; {unknown}"),
    }
}

fn named(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let first = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

impl ServiceUndo {
    /// Makes the service anew from its file, which is the old one again, and waits until it is well.
    ///
    /// # Errors
    /// When it is not well afterwards.
    pub(super) fn reach(&self, host: &mut dyn HostMut, journal: &mut Journal, waiting: &mut Waiting<'_>) -> Result<()> {
        let Self { recreation, ports } = self;
        let socket = waiting.socket;
        orphaned(host, waiting, recreation)?;
        self.tidy(host, socket)?;
        // A journal that cannot be written does not stop a rollback.
        let op = Op::Recreate { recreation: recreation.clone(), ports: ports.clone() };
        let _ = journal.record(host, Record::Intent { op });
        let Recreation { service, project, .. } = recreation;
        let message = format!("service {service} of project {project} cannot be made anew");
        let made = compose::compose(host, &recreation.up(Some(socket)), message);
        self.tidy(host, socket)?;
        // What counts is whether it is well: an answer can be lost when all was done.
        match (compose::well(waiting, host, recreation, ports), made) {
            (Ok(()), Ok(_)) => Ok(()),
            (_, Err(error)) => Err(error.hint(format!("run `{}`", recreation.command()))),
            (Err(error), Ok(_)) => Err(error),
        }
    }

    /// Takes away what a compose that was killed left half made. While it makes a container anew there are two: one has
    /// the name, the other the name behind the first digits of an id. Compose 2 would remove the old one, which runs, and
    /// then not be able to name the new one (measured with 2.26.1).
    fn tidy(&self, host: &mut dyn HostMut, socket: &Path) -> Result<()> {
        let found = members(host.as_host(), socket, &self.recreation)?;
        for (name, id) in &self.recreation.containers {
            let mut passing: Vec<&Member> = found.iter().filter(|one| is_passing(&one.container.name, name)).collect();
            // The old one first: it is the one that is known to work.
            passing.sort_by_key(|one| one.container.id != *id);
            if found.iter().any(|one| one.container.name == *name) {
                for one in passing.into_iter().filter(|one| !ran(one)) {
                    command(
                        host,
                        &Command::RemoveContainer { id: one.container.id.clone(), socket: socket.to_owned() },
                    )?;
                }
            } else if let Some(one) = passing.first() {
                let path = format!("/containers/{}/rename?name={name}", one.container.id);
                let renamed = host.engine_post(socket, &path, None);
                renamed
                    .map_err(|_| Failure::new(format!("container {} cannot be called {name}", one.container.name)))?;
            }
        }
        Ok(())
    }
}

/// `0123456789ab_NAME`
fn is_passing(name: &str, of: &str) -> bool {
    let id = name.strip_suffix(of).and_then(|rest| rest.strip_suffix('_'));
    id.is_some_and(|id| id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Waits for a compose that outlived the run that started it: two at once would fall over each other.
fn orphaned(host: &mut dyn HostMut, waiting: &mut Waiting<'_>, recreation: &Recreation) -> Result<()> {
    let mut watch = Watch::start(host.as_host());
    while at_work(host.as_host(), recreation) {
        if watch.seconds() >= ORPHAN {
            let message = format!("compose is still at work on project {}", recreation.project);
            return Err(Failure::new(message).hint("run `ps -ef`, and wait for it"));
        }
        waiting.progress.wait("another compose ends");
        watch.tick(host);
    }
    Ok(())
}

/// Whether a compose makes something of this project anew.
fn at_work(host: &dyn Host, recreation: &Recreation) -> bool {
    let is_it = |pid: &String| {
        let line = host.read(&Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let has =
            |pair: [&str; 2]| words.windows(2).any(|two| two[0] == pair[0].as_bytes() && two[1] == pair[1].as_bytes());
        has(["-p", &recreation.project]) && has(["up", "--detach"])
    };
    let names = host.list(Path::new("/proc")).unwrap_or_default();
    names.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_name_is_told_from_a_name() {
        assert!(is_passing("c9111e740a53_shop-back-1", "shop-back-1"));
        for other in ["shop-back-1", "my_shop-back-1", "c9111e740a5_shop-back-1", "c9111e740a53_shop-back-12"] {
            assert!(!is_passing(other, "shop-back-1"), "{other}");
        }
    }

    #[test]
    fn paths_are_named_until_they_are_many() {
        let paths = ["/a", "/b", "/c", "/d", "/e"].map(str::to_owned);
        assert_eq!(named(&paths[..2]), "/a, /b");
        assert_eq!(named(&paths), "/a, /b, /c and 2 more");
    }
}
