//! Waiting until docker.service is well again.
//!
//! systemctl is never waited for: `TimeoutStartSec` of docker.service is 0, so a start can hang for ever. Everything
//! here polls under a deadline of its own.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::progress::{Interrupt, Progress};
use super::service::{
    Container, DEFAULT_NETWORKS, DOCKER, Snapshot, Unit, command, get, live_restore, networks, running, unit,
};
use crate::error::{Failure, Result};
use crate::host::{Command, Host, HostMut};

const POLL: Duration = Duration::from_millis(500);

/// `ExecReload=` is a SIGHUP and returns at once; dockerd reads its file a moment later. Most keys show nowhere, so
/// there is nothing to poll.
pub(super) const AFTER_RELOAD: Duration = Duration::from_secs(2);

/// How long things may take, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Until a reload is in force.
    pub reload: u64,
    /// Until a restarted daemon is healthy.
    pub restart: u64,
    /// How long a healthy daemon, and a service that was made anew, has to stay as it is.
    pub window: u64,
    /// Until a service that was made anew is healthy. What its health check says by then is its last word: a slow one
    /// has its grace in `start_period`, and most look every 30 s.
    pub service: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { reload: 15, restart: 90, window: 5, service: 180 }
    }
}

/// Time that passes while something is polled. The host's clock may jump, so what was slept counts as well.
pub(super) struct Watch {
    last: i64,
    clock: u64,
    slept: u64,
}

impl Watch {
    pub(super) fn start(host: &dyn Host) -> Self {
        Self { last: host.now(), clock: 0, slept: 0 }
    }

    pub(super) fn tick(&mut self, host: &mut dyn HostMut) {
        host.sleep(POLL);
        let now = host.now();
        let passed = u64::try_from(now - self.last).unwrap_or(0);
        self.last = now;
        self.clock += if passed > 300 { 0 } else { passed * 1000 };
        self.slept += 500;
    }

    pub(super) fn seconds(&self) -> u64 {
        self.clock.max(self.slept) / 1000
    }
}

/// What a wait needs.
pub(super) struct Waiting<'a> {
    pub(super) socket: &'a Path,
    pub(super) deadlines: Deadlines,
    /// Given up when set; `None` during a rollback, which nothing stops.
    pub(super) interrupt: Option<&'a Interrupt>,
    pub(super) progress: &'a mut dyn Progress,
}

impl Waiting<'_> {
    pub(super) fn interrupted(&self) -> Result<()> {
        match self.interrupt {
            Some(flag) if flag.load(Ordering::SeqCst) => Err(Failure::new("interrupted")),
            _ => Ok(()),
        }
    }

    /// Reloads docker.service and waits until the API says that live-restore is as wanted. A reload that dockerd
    /// refuses does not fail the unit: only the API tells.
    pub(super) fn reload(&mut self, host: &mut dyn HostMut, wanted: bool) -> Result<()> {
        command(host, &Command::Reload(DOCKER.into()))?;
        let mut watch = Watch::start(host.as_host());
        while live_restore(host.as_host(), self.socket) != Some(wanted) {
            self.interrupted()?;
            if watch.seconds() >= self.deadlines.reload {
                return Err(Failure::new(format!(
                    "docker.service did not take live-restore={wanted} within {} s after the reload",
                    self.deadlines.reload
                ))
                .hint("run `journalctl -u docker.service -n 50`"));
            }
            self.progress.wait("docker.service reloads");
            watch.tick(host);
        }
        Ok(())
    }

    /// Waits until a unit that was started is active.
    pub(super) fn started(&mut self, host: &mut dyn HostMut, name: &str) -> Result<()> {
        let mut watch = Watch::start(host.as_host());
        loop {
            self.interrupted()?;
            let active = unit(host.as_host(), name)?.active;
            if active == "active" {
                return Ok(());
            }
            if active == "failed" || watch.seconds() >= self.deadlines.reload {
                return Err(Failure::new(format!("{name} is {active} after its start"))
                    .hint(format!("run `journalctl -u {name} -n 50`")));
            }
            self.progress.wait(&format!("{name} starts"));
            watch.tick(host);
        }
    }

    /// Asks systemd to restart docker.service and waits until the daemon is healthy and has another process.
    pub(super) fn restart(&mut self, host: &mut dyn HostMut, wanted: &Wanted) -> Result<Vec<String>> {
        let old = unit(host.as_host(), DOCKER)?.process;
        // Three starts within 60 s lock the unit even when they succeed; only a failed or locked unit is an error here.
        let _ = host.run(&Command::ResetFailed(vec![DOCKER.into(), "docker.socket".into()]));
        command(host, &Command::Restart(DOCKER.into()))?;
        self.healthy(host, &old, wanted)
    }

    /// Waits until the unit is active with another process than `old`, the API answers, and this stays so over the
    /// window. Answers with what is wrong with networks and containers.
    fn healthy(&mut self, host: &mut dyn HostMut, old: &(u32, String), wanted: &Wanted) -> Result<Vec<String>> {
        let mut watch = Watch::start(host.as_host());
        let mut since: Option<((u32, String), u64)> = None;
        let mut started = false;
        let mut failures = 0;
        loop {
            self.interrupted()?;
            let now = unit(host.as_host(), DOCKER)?;
            // For a moment a unit that did not stop in time is `failed` too, before its start begins.
            failures = if now.active == "failed" { failures + 1 } else { 0 };
            if failures > 4 {
                return Err(failed("docker.service failed after the restart"));
            }
            let wrong = unwell(host.as_host(), self.socket, &now, old);
            let missing = if wrong.is_none() {
                if !started {
                    wanted.start_stopped(host, self.socket);
                    started = true;
                }
                wanted.missing(host.as_host(), self.socket)
            } else {
                Vec::new()
            };
            match (&wrong, &since) {
                (Some(_), _) => since = None,
                (None, Some((process, _))) if *process == now.process => {}
                (None, _) => since = Some((now.process.clone(), watch.seconds())),
            }
            let stable = since.as_ref().is_some_and(|(_, at)| watch.seconds() >= at + self.deadlines.window);
            let late = watch.seconds() >= self.deadlines.restart + self.deadlines.window;
            if stable && (late || missing.iter().all(|(_, final_word)| *final_word)) {
                return Ok(missing.into_iter().map(|(text, _)| text).collect());
            }
            if late {
                let wrong = wrong.unwrap_or_else(|| "its process changes".into());
                let seconds = self.deadlines.restart;
                return Err(failed(&format!("docker.service is not healthy {seconds} s after the restart: {wrong}")));
            }
            self.progress.wait(wrong.as_deref().unwrap_or("docker.service is up, watching it"));
            watch.tick(host);
        }
    }
}

fn failed(message: &str) -> Failure {
    Failure::new(message).hint("run `journalctl -u docker.service -n 50`")
}

/// What keeps the daemon from being up with another process than `old`.
fn unwell(host: &dyn Host, socket: &Path, now: &Unit, old: &(u32, String)) -> Option<String> {
    if now.active != "active" || now.process.0 == 0 {
        return Some(format!("docker.service is {}", now.active));
    }
    if now.process == *old {
        return Some("docker.service has not restarted yet".into());
    }
    get(host, socket, "/version").is_none().then(|| "its API does not answer".into())
}

/// What has to be so after a restart.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Default networks.
    pub(super) networks: Vec<String>,
    /// Containers that have to run.
    pub(super) containers: Vec<Container>,
    /// live-restore holds them: they have to keep their processes.
    pub(super) same_process: bool,
    /// Those that are started when they did not return: name and id.
    pub(super) start: Vec<(String, String)>,
}

impl Wanted {
    /// What is to be expected of a restart from here on.
    pub(super) fn from(before: Option<&Snapshot>, containers: Vec<Container>, same_process: bool) -> Self {
        let all = || DEFAULT_NETWORKS.iter().map(ToString::to_string).collect();
        let networks = before.and_then(|before| before.networks.clone()).unwrap_or_else(all);
        Self { networks, containers, same_process, start: Vec::new() }
    }

    fn start_stopped(&self, host: &mut dyn HostMut, socket: &Path) {
        let running = running(host.as_host(), socket).unwrap_or_default();
        for (_, id) in self.start.iter().filter(|(_, id)| running.iter().all(|one| one.id != *id)) {
            // Whether it worked shows in the list of running containers.
            let _ = host.engine_post(socket, &format!("/containers/{id}/start"), None);
        }
    }

    /// Networks and containers that are not as they should be; true: waiting cannot help.
    fn missing(&self, host: &dyn Host, socket: &Path) -> Vec<(String, bool)> {
        let (Some(there), Some(now)) = (networks(host, socket), running(host, socket)) else {
            return vec![("its API does not answer".into(), false)];
        };
        // dockerd makes its networks before it listens: one that is not there by now does not come.
        let gone = self.networks.iter().filter(|name| !there.contains(name));
        let mut missing: Vec<_> = gone.map(|name| (format!("network {name} is missing"), true)).collect();
        let wrong = |wanted: &Container| match now.iter().find(|one| one.id == wanted.id) {
            // Made anew under its name: whoever keeps it, such as a unit that stops with docker.service, has it again.
            None if now.iter().any(|one| one.name == wanted.name) => None,
            // With live-restore a container that is gone does not come back either, unless we start it.
            None => {
                Some((format!("container {} does not run", wanted.name), self.same_process && self.start.is_empty()))
            }
            Some(one) if self.same_process && !wanted.restarts && one.pid != wanted.pid => {
                Some((format!("container {} was restarted", wanted.name), true))
            }
            Some(_) => None,
        };
        missing.extend(self.containers.iter().filter_map(wrong));
        missing
    }
}
