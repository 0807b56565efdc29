//! The steps of a run, each with its intent in the journal first.

use std::path::{Path, PathBuf};

use super::audit_rules::{self, Loaded};
use super::compose;
use super::hazards::plan_switches_userns;
use super::image::{Access, Image, ImageKind, look};
use super::io::At;
use super::journal::{Op, Record};
use super::live::{self, Standing};
use super::prepare::{about_content, changes, validate};
use super::replace::{self, Content, access_images, dir_images, replaceable};
use super::run::Engine;
use super::service::{self, Container, DOCKER, command, systemd};
use super::waiting::{AFTER_RELOAD, Waiting, Wanted};
use crate::error::{Failure, Result};
use crate::host::{Command, Host};
use crate::plan::{Act, FileChange, FileState, LiveChange, Recreation, Step};

impl Engine<'_, '_> {
    /// Does one step.
    pub(super) fn step(&mut self, step: &Step) -> Result<()> {
        match &step.act {
            Act::File(change) => self.file(change, &change.after),
            Act::LiveRestoreFirst(path) => self.live_restore_first(path),
            Act::Run(command) => self.run_command(command),
            Act::LoadAuditRules { expect } => self.load_audit_rules(expect),
            Act::Update(change) => self.update(change),
            Act::DaemonReload => self.daemon_reload(),
            Act::RestartDocker => self.restart(),
            Act::Recreate(recreation) => self.recreate(recreation),
        }
    }

    fn intend(&mut self, op: Op) -> Result<()> {
        self.journal.record(self.host, Record::Intent { op })
    }

    /// Without systemd, services are the person's: says the command.
    fn by_hand(&mut self, line: String) -> bool {
        let here = systemd(self.host.as_host());
        if !here {
            self.outcome.by_hand.push(line);
        }
        !here
    }

    /// Brings one path to `state`, if it still is what the plan was made on.
    fn file(&mut self, change: &FileChange, state: &FileState) -> Result<()> {
        let path = &change.path;
        let found = look(self.host.as_host(), path, about_content(change))?;
        if self.now.get(path).is_none_or(|expected| !expected.covers(&found)) {
            return Err(Failure::new(format!("{} was changed by someone else meanwhile", path.display())));
        }
        if about_content(change) {
            replaceable(self.host.as_host(), path)?;
        }
        let image = Image::planned(state, &found);
        if image != Image::Absent && image.covers(&found) {
            return Ok(());
        }
        self.progress.step(&format!("write {}", path.display()));
        self.write(path, state, &image, &found)?;
        self.composes(path, path)?;
        self.now.insert(path.clone(), image);
        if !self.outcome.changed.contains(path) {
            self.outcome.changed.push(path.clone());
        }
        Ok(())
    }

    fn write(&mut self, path: &Path, state: &FileState, image: &Image, found: &Image) -> Result<()> {
        let intent = |images: Vec<Image>| Op::Path { path: path.into(), images };
        let FileState::Present { content, .. } = state else {
            self.intend(intent(vec![Image::Absent]))?;
            return replace::remove(self.host, path);
        };
        let Image::Present { kind, mode, uid, gid, .. } = *image else { return Ok(()) };
        let access = Access { mode, uid, gid };
        match (kind, content, found.access()) {
            (ImageKind::Dir, _, None) => {
                let maker = self.host.euid();
                self.intend(intent(dir_images(maker, access)))?;
                replace::make_dir(self.host, path, access)
            }
            (_, Some(text), _) => {
                let xattrs = self.attributes(path);
                let content = Content { bytes: text.as_bytes(), access, xattrs: xattrs.as_deref() };
                let staged = replace::stage(self.host, path, &self.run.id, &content)?;
                if self.plan.target.config.as_deref() == Some(path) && systemd(self.host.as_host()) {
                    validate(self.host, &self.run, self.plan, text, &staged)?;
                }
                self.composes(path, &staged)?;
                self.intend(intent(vec![image.clone()]))?;
                replace::put(self.host, &staged, path, found)
            }
            (_, None, Some(from)) => {
                self.intend(intent(access_images(kind, from, access)))?;
                replace::set_access(self.host, path, access)?;
                // A socket cannot be opened to be synced; it does not outlive a boot anyway.
                if kind == ImageKind::Socket { Ok(()) } else { self.host.sync(path).at("synced", path) }
            }
            (_, None, None) => Err(Failure::new(format!("{} is gone", path.display()))),
        }
    }

    /// Extended attributes of a path as they were backed up; `None`: nothing was there.
    fn attributes(&self, path: &Path) -> Option<Vec<(String, Vec<u8>)>> {
        let saved = self.journal.backups().find(|saved| saved.path == path)?;
        (saved.image != Image::Absent).then(|| saved.attributes())
    }

    /// live-restore alone, by reload: a restart without it being in force already kills what it should keep.
    fn live_restore_first(&mut self, path: &PathBuf) -> Result<()> {
        let plan = self.plan;
        let change = changes(plan).find(|change| change.path == *path && change.interim.is_some());
        let Some(change) = change else {
            return Err(Failure::new(format!("plan: {} has no interim content", path.display())));
        };
        let of = if change.before == FileState::Absent { &change.after } else { &change.before };
        let mut state = of.clone();
        if let FileState::Present { content, .. } = &mut state {
            content.clone_from(&change.interim);
        }
        if self.by_hand(format!("systemctl reload {DOCKER}")) {
            return Ok(());
        }
        let active = service::unit(self.host.as_host(), DOCKER)?.active == "active";
        self.file(change, &state)?;
        if !active {
            return Ok(());
        }
        self.progress.step("reload docker.service with live-restore");
        self.intend(Op::Reload)?;
        self.waiting(|waiting, host| waiting.reload(host, true))
    }

    /// Calls something that waits.
    fn waiting<T>(&mut self, call: impl FnOnce(&mut Waiting, &mut dyn crate::host::HostMut) -> Result<T>) -> Result<T> {
        let mut waiting = Waiting {
            socket: &self.plan.target.socket,
            deadlines: self.options.deadlines,
            interrupt: Some(self.interrupt),
            progress: &mut *self.progress,
        };
        call(&mut waiting, &mut *self.host)
    }

    fn run_command(&mut self, what: &Command) -> Result<()> {
        let package = matches!(what, Command::Install { .. });
        if self.host.offline() || (!package && self.by_hand(what.to_string())) {
            return Ok(());
        }
        self.progress.step(&what.to_string());
        self.intend(Op::Run { command: what.clone() })?;
        command(self.host, what)?;
        match what {
            Command::Start(unit) => self.waiting(|waiting, host| waiting.started(host, unit)),
            Command::Reload(_) => {
                self.host.sleep(AFTER_RELOAD);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Changes a container, or the swarm, if it still is what the plan was made on.
    fn update(&mut self, change: &LiveChange) -> Result<()> {
        let socket = &self.plan.target.socket;
        match live::look(self.host.as_host(), socket, change)? {
            Standing::Before => {}
            Standing::After => return Ok(()),
            Standing::Gone => return Err(Failure::new(format!("{} is gone", change.subject()))),
            Standing::Between | Standing::Foreign(_) => {
                return Err(Failure::new(format!("{} was changed by someone else meanwhile", change.subject())));
            }
        }
        self.progress.step(&format!("update {} of {}", change.after.what(), change.subject()));
        self.intend(Op::Update { change: change.clone() })?;
        live::set(self.host, socket, change)?;
        self.outcome.containers.push(change.clone());
        Ok(())
    }

    /// Lets compose read every project that a path is a file of, with `file` in its place.
    fn composes(&mut self, path: &Path, file: &Path) -> Result<()> {
        if self.host.offline() {
            return Ok(());
        }
        for project in compose::with_file(self.host.as_host(), self.plan, path, file) {
            compose::check(self.host, &project, &format!("compose cannot read the new content of {}", path.display()))?;
        }
        Ok(())
    }

    /// Makes a service anew, if it still is what the plan was made on, and waits until it is well.
    fn recreate(&mut self, wanted: &Recreation) -> Result<()> {
        let (socket, Recreation { service, project, .. }) = (&self.plan.target.socket, wanted);
        self.look_again()?;
        let members = compose::members(self.host.as_host(), socket, wanted)?;
        let moved = compose::moved(wanted, &members);
        if !moved.is_empty() {
            let failure = Failure::new(format!("service {service} of project {project} changed meanwhile"));
            return Err(moved.into_iter().fold(failure, Failure::because));
        }
        self.progress.step(&format!("recreate service {service} of project {project}"));
        let ports = compose::published(&members);
        self.intend(Op::Recreate { recreation: wanted.clone(), ports: ports.clone() })?;
        let message = format!("service {service} of project {project} cannot be made anew");
        compose::compose(self.host, &wanted.up(Some(socket)), message)?;
        self.waiting(|waiting, host| compose::well(waiting, host, wanted, &ports))?;
        self.outcome.recreated.push(wanted.clone());
        Ok(())
    }

    /// Looks for hazards that came since the plan was made, once, just before the first thing that interrupts.
    fn look_again(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.detected, true) {
            return Ok(());
        }
        let evidence = (self.options.detect)(self.host.as_host())?;
        if evidence.is_empty() {
            return Ok(());
        }
        let mut failure = Failure::refused("host has new hazards since the plan was made");
        failure.causes = evidence;
        Err(failure.hint("run `seaworthy plan` and review what it holds"))
    }

    fn daemon_reload(&mut self) -> Result<()> {
        if self.by_hand("systemctl daemon-reload".into()) {
            return Ok(());
        }
        self.progress.step("systemctl daemon-reload");
        self.intend(Op::DaemonReload)?;
        command(self.host, &Command::DaemonReload).map(|_| ())
    }

    fn load_audit_rules(&mut self, expect: &[String]) -> Result<()> {
        if self.host.offline() {
            self.outcome.by_hand.push("augenrules --load".into());
            return Ok(());
        }
        self.progress.step("load audit rules");
        self.intend(Op::LoadAuditRules)?;
        if let Loaded::NextBoot(why) = audit_rules::load(self.host, expect, &mut self.outcome.notes)? {
            self.outcome.pending.push(why);
            self.outcome.reboot_required = true;
        }
        Ok(())
    }

    /// Restarts the daemon and waits until it and the containers are well.
    fn restart(&mut self) -> Result<()> {
        if self.options.no_restart {
            self.outcome.restart_required = true;
            return Ok(());
        }
        if self.by_hand(format!("systemctl restart {DOCKER}")) {
            self.outcome.restart_required = true;
            return Ok(());
        }
        if service::unit(self.host.as_host(), DOCKER)?.active == "inactive" {
            self.outcome.pending.push("docker.service is stopped: in force at its next start".into());
            return Ok(());
        }
        self.look_again()?;
        self.nobody_restarted_it()?;
        let wanted = self.wanted();
        if wanted.same_process && !wanted.containers.is_empty() && plan_switches_userns(self.plan) {
            // Another data root: the new daemon would not find them, and they would run on as orphans.
            return Err(Failure::refused("containers run under live-restore while userns-remap changes")
                .hint("stop them, and run `seaworthy plan` again"));
        }
        self.starts()?;
        self.progress.step("restart docker.service");
        self.intend(Op::Restart { running: wanted.containers.clone() })?;
        self.still_ours()?;
        let missing = self.waiting(|waiting, host| waiting.restart(host, &wanted))?;
        if missing.is_empty() {
            return Ok(());
        }
        let mut failure = Failure::new("docker is not as before the restart");
        failure.causes = missing;
        Err(failure)
    }

    /// A restart by someone else, before live-restore was in force, may have cost containers that ran before.
    fn nobody_restarted_it(&self) -> Result<()> {
        let host = self.host.as_host();
        let Some(before) = self.journal.before().filter(|before| before.process.0 != 0) else { return Ok(()) };
        if service::unit(host, DOCKER)?.process == before.process {
            return Ok(());
        }
        let running = service::running(host, &self.plan.target.socket).unwrap_or_default();
        let gone = |one: &&Container| running.iter().all(|other| other.id != one.id);
        let lost: Vec<_> = before.containers.iter().flatten().filter(gone).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let failure = Failure::new("docker.service was restarted by someone else meanwhile");
        Err(lost.iter().fold(failure, |failure, one| failure.because(format!("container {} does not run", one.name))))
    }

    /// The next start reads daemon.json as it lies there, whoever wrote it and whenever.
    fn starts(&mut self) -> Result<()> {
        let Some(config) = &self.plan.target.config else { return Ok(()) };
        match self.host.read(config) {
            Ok(bytes) => validate(self.host, &self.run, self.plan, &String::from_utf8_lossy(&bytes), config),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).at("read", config),
        }
    }

    /// A start on a daemon.json that someone else wrote meanwhile, without live-restore, would kill containers.
    fn still_ours(&self) -> Result<()> {
        for path in &self.outcome.changed {
            let Some(image @ Image::Present { sha256: Some(_), .. }) = self.now.get(path) else { continue };
            if !image.covers(&look(self.host.as_host(), path, true)?) {
                return Err(Failure::new(format!("{} was changed by someone else meanwhile", path.display())));
            }
        }
        Ok(())
    }

    /// With live-restore in force every running container keeps its process; without, those that the plan names run.
    fn wanted(&self) -> Wanted {
        let (host, socket): (&dyn Host, _) = (self.host.as_host(), &self.plan.target.socket);
        let holds = service::live_restore(host, socket) == Some(true);
        let running = service::running(host, socket).unwrap_or_default();
        let expected = |one: &Container| holds || self.plan.expected_containers.iter().any(|(_, id)| *id == one.id);
        let containers = running.into_iter().filter(expected).collect();
        let mut wanted = Wanted::from(self.journal.before(), containers, holds);
        if !holds {
            wanted.start.clone_from(&self.plan.stopped_containers);
        }
        wanted
    }
}
