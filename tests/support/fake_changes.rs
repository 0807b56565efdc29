//! Every way to change the host in memory, with the fault before it.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

use seaworthy::host::{Answer, Command, EngineError, FileKind, Host, HostMut, Query, Stat};
use serde_json::Value;

use super::fake_docker::parse;
use super::fake_faults::{EIO, EROFS, Touch};
use super::fake_host::{FakeHost, FakeNode, Job, not_found, stat};

impl FakeHost {
    fn get(&mut self, path: &Path) -> Result<&mut FakeNode> {
        self.files.get_mut(path).ok_or_else(not_found)
    }

    fn has_parent(&self, path: &Path) -> Result<()> {
        let parent = path.parent().and_then(|parent| self.files.get(parent));
        if parent.is_some_and(|node| node.stat.kind == FileKind::Dir) { Ok(()) } else { Err(not_found()) }
    }

    /// The ACL that a new file gets from its directory.
    fn inherited(&self, path: &Path) -> Vec<(String, Vec<u8>)> {
        let parent = path.parent().and_then(|parent| self.files.get(parent));
        let default = parent.and_then(|node| node.xattrs.iter().find(|(name, _)| name == "system.posix_acl_default"));
        default.map(|(_, acl)| ("system.posix_acl_access".to_owned(), acl.clone())).into_iter().collect()
    }

    pub(super) fn load_rules(&mut self) -> i32 {
        let dir = PathBuf::from("/etc/audit/rules.d");
        let mut names = self.list(&dir).unwrap_or_default();
        names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "rules") && !name.starts_with('.'));
        let texts: Vec<_> = names.iter().filter_map(|name| self.text(dir.join(name).to_str()?)).collect();
        let all = texts.concat();
        // augenrules puts `-D` first wherever it is written.
        if all.lines().any(|line| line.trim() == "-D") {
            self.kernel_rules.clear();
        }
        for line in all.lines().map(str::trim) {
            if line.starts_with("-w") || line.starts_with("-a") {
                let fold = line.split_whitespace().collect::<Vec<_>>().join(" ");
                let parent = fold.split(' ').nth(1).map(PathBuf::from).filter(|_| line.starts_with("-w"));
                let missing = parent.is_some_and(|path| self.has_parent(&path).is_err());
                if missing || self.kernel_rules.contains(&fold) {
                    return 0;
                }
                self.kernel_rules.push(fold);
            }
        }
        0
    }

    /// The package of auditd: its files, its unit enabled and started, the kernel's audit on.
    fn install(&mut self, argv: &[String]) {
        if !argv.last().is_some_and(|package| package.starts_with("audit")) {
            return;
        }
        let known: Vec<PathBuf> = self.files.keys().cloned().collect();
        self.write("/usr/sbin/auditctl", 0o755, "elf");
        // The owner's file stays.
        if self.text("/etc/audit/rules.d/audit.rules").is_none() {
            self.write("/etc/audit/rules.d/audit.rules", 0o640, "-D\n-b 8192\n");
        }
        self.augenrules = true;
        self.installed = self.files.keys().filter(|path| !known.contains(path)).cloned().collect();
        let answer = |text: &str| Some(Answer { stdout: text.into(), ..Answer::default() });
        let unit = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nFragmentPath=/usr/lib/systemd/system/auditd.service\n";
        for (question, said) in [
            ("auditctl -v", "auditctl version 3.0.9\n"),
            ("auditctl -l", "No rules\n"),
            ("auditctl -s", "enabled 1\n"),
            ("systemctl show auditd.service", unit),
        ] {
            self.recording.answers.insert(question.into(), answer(said));
        }
    }

    fn done(status: i32) -> Answer {
        Answer { status, ..Answer::default() }
    }

    fn validate(&mut self, argv: &[String]) -> Result<Answer> {
        let file = argv.last().cloned().unwrap_or_default();
        let text = self.read(Path::new(&file))?;
        match parse(Some(&text), &self.docker.flags) {
            Ok(config) => {
                if config.contains_key("userns-remap") {
                    self.write("/etc/passwd", 0o644, "dockremap:x:999:999::/:/bin/false\n");
                }
                Ok(Self::done(0))
            }
            Err(stderr) => Ok(Answer { status: 1, stdout: String::new(), stderr }),
        }
    }
}

impl HostMut for FakeHost {
    fn as_host(&self) -> &dyn Host {
        self
    }

    fn create(&mut self, path: &Path) -> Result<()> {
        self.operate(Touch::Grow, "create", path, |host| host.make(path, FileKind::File, 0o600))
    }

    fn append(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let alive = !self.dead;
        if let Err(error) = self.begin(Touch::Grow, "append", path) {
            // What there is room for, or what was done before the end, is written.
            if alive && error.raw_os_error() != Some(EROFS) {
                self.get(path)?.bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
            }
            return Err(error);
        }
        self.get(path)?.bytes.extend_from_slice(bytes);
        self.end()
    }

    fn set_owner(&mut self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        self.operate(Touch::Alter, "owner", path, |host| {
            let node = host.get(path)?;
            (node.stat.uid, node.stat.gid) = (uid, gid);
            if node.stat.kind != FileKind::Dir {
                node.stat.mode &= 0o1777;
            }
            Ok(())
        })
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.operate(Touch::Alter, "mode", path, |host| {
            host.get(path)?.stat.mode = mode;
            Ok(())
        })
    }

    fn set_xattr(&mut self, path: &Path, name: &str, value: &[u8]) -> Result<()> {
        self.operate(Touch::Grow, "xattr", path, |host| {
            let node = host.get(path)?;
            node.xattrs.retain(|(have, _)| have != name);
            node.xattrs.push((name.into(), value.to_vec()));
            Ok(())
        })
    }

    fn remove_xattr(&mut self, path: &Path, name: &str) -> Result<()> {
        self.operate(Touch::Alter, "xattr", path, |host| {
            host.get(path)?.xattrs.retain(|(have, _)| have != name);
            Ok(())
        })
    }

    fn sync(&mut self, path: &Path) -> Result<()> {
        self.operate(Touch::Alter, "sync", path, |host| {
            let node = host.get(path)?.clone();
            host.disk.iter_mut().for_each(|disk| disk.synced(path, &node));
            Ok(())
        })
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.operate(Touch::Alter, "rename", to, |host| {
            let node = host.files.remove(from).ok_or_else(not_found)?;
            let replaced = host.files.insert(to.into(), node);
            host.disk.iter_mut().for_each(|disk| disk.moved(from, to, replaced.as_ref()));
            Ok(())
        })
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        self.operate(Touch::Alter, "remove", path, |host| {
            let node = host.files.remove(path).ok_or_else(not_found)?;
            host.disk.iter_mut().for_each(|disk| disk.gone(path, Some(&node)));
            Ok(())
        })
    }

    fn make_dir(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.operate(Touch::Grow, "make-dir", path, |host| host.make(path, FileKind::Dir, mode))
    }

    fn remove_dir(&mut self, path: &Path) -> Result<()> {
        self.operate(Touch::Alter, "remove-dir", path, |host| {
            if !host.list(path)?.is_empty() {
                return Err(Error::from(ErrorKind::DirectoryNotEmpty));
            }
            let node = host.files.remove(path);
            host.disk.iter_mut().for_each(|disk| disk.gone(path, node.as_ref()));
            Ok(())
        })
    }

    fn copy_self(&mut self, path: &Path) -> Result<()> {
        self.operate(Touch::Grow, "copy", path, |host| {
            host.make(path, FileKind::File, 0o700)?;
            host.get(path)?.bytes = b"binary".to_vec();
            Ok(())
        })
    }

    fn run(&mut self, command: &Command) -> Result<Answer> {
        if let Command::ComposeUp { project, service, .. } = command {
            if self.compose_is_gone {
                return Err(not_found());
            }
            return self.compose_up(project, service);
        }
        match self.operate(Touch::Call, "", Path::new(""), |host| host.execute(command)) {
            // A child that meets one of these says so and ends with an error; any other keeps it from starting.
            Err(error) if error.raw_os_error().is_some_and(|errno| errno != EIO) => {
                Ok(Answer { status: 1, stdout: String::new(), stderr: error.to_string() })
            }
            answer => answer,
        }
    }

    fn engine_post(
        &mut self,
        socket: &Path,
        path: &str,
        body: Option<&Value>,
    ) -> std::result::Result<Value, EngineError> {
        let id = |end: &str| path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix(end));
        let (started, updated) = (id("/start"), id("/update"));
        let done = self.operate(Touch::Call, "", Path::new(""), |host| {
            host.log.push(format!("POST {path}"));
            if host.docker.active != "active" {
                return Ok(Err((0, "connection refused".into())));
            }
            let renamed = path.strip_prefix("/containers/").and_then(|rest| rest.split_once("/rename?name="));
            if let Some((id, name)) = renamed {
                let done = host.docker.rename(id, name);
                return Ok(if done { Ok(Value::Null) } else { Err((409, "name is in use".into())) });
            }
            if let Some(id) = updated {
                let now = match host.engine(socket, &[format!("/containers/{id}/json")]).pop() {
                    Some(Ok(one)) => one["HostConfig"].clone(),
                    _ => Value::Null,
                };
                return Ok(host.docker.update(id, &now, body.unwrap_or(&Value::Null)));
            }
            let body = body.unwrap_or(&Value::Null);
            if let Some(call) = path.strip_prefix("/networks/") {
                return Ok(host.move_container(socket, call, body));
            }
            if let Some(version) = path.strip_prefix("/swarm/update?version=") {
                return Ok(host.docker.update_swarm(version, body));
            }
            let there = host.docker.start_container(started.unwrap_or_default());
            Ok(if there { Ok(Value::Null) } else { Err((404, "no such container".into())) })
        });
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err((0, why))) => Err(EngineError::Unreachable(why)),
            Ok(Err((status, why))) => Err(EngineError::Status(status, why)),
            Err(error) => Err(EngineError::Broken(error.to_string())),
        }
    }

    fn sleep(&mut self, duration: Duration) {
        self.pass(i64::try_from(duration.as_millis()).unwrap_or(0));
    }

    fn lock(&mut self) -> Result<()> {
        if self.locked_by_other { Err(Error::from(ErrorKind::WouldBlock)) } else { Ok(()) }
    }
}

impl FakeHost {
    fn make(&mut self, path: &Path, kind: FileKind, mode: u32) -> Result<()> {
        self.has_parent(path)?;
        if self.files.contains_key(path) {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        let xattrs = if kind == FileKind::File { self.inherited(path) } else { Vec::new() };
        let stat = Stat { mtime: self.clock / 1000, dev: self.device(path), ..stat(kind, mode) };
        let node = FakeNode { stat, bytes: Vec::new(), xattrs };
        self.disk.iter_mut().for_each(|disk| disk.made(path, &node));
        self.files.insert(path.into(), node);
        Ok(())
    }

    /// What a command does.
    fn execute(&mut self, command: &Command) -> Result<Answer> {
        self.log.push(format!("{command:?}"));
        let now = self.clock;
        match command {
            Command::Restart(unit) if unit == "docker.service" => {
                self.docker.reset_failed();
                self.jobs.push((now + 600, Job::Stop));
                self.jobs.push((now + 1600, Job::Start));
            }
            Command::Stop(unit) if unit == "docker.service" => self.jobs.push((now + 600, Job::Stop)),
            Command::Start(unit) if unit == "docker.service" => self.jobs.push((now + 600, Job::Start)),
            Command::Restart(_) => {
                if let Some(node) = self.files.get_mut(Path::new("/run/docker.sock")) {
                    node.stat.mode = 0o660;
                }
            }
            Command::Reload(_) if self.docker.active == "active" => self.jobs.push((now + 700, Job::Reload)),
            Command::Reload(_) => return Ok(Self::done(1)),
            Command::ResetFailed(_) => self.docker.reset_failed(),
            Command::Enable(_) | Command::Disable(_) | Command::Install { .. } | Command::LoadAuditRules
                if self.etc_is_ill() =>
            {
                return Ok(Self::done(1));
            }
            Command::LoadAuditRules if !self.augenrules => return Err(not_found()),
            Command::LoadAuditRules if self.audit_enabled == 2 => return Ok(Self::done(0)),
            Command::LoadAuditRules => return Ok(Self::done(self.load_rules())),
            Command::AddAuditRule(rule) => self.kernel_rules.push(rule.clone()),
            Command::RemoveAuditRule(rule) => self.kernel_rules.retain(|have| have != rule),
            Command::ComposeCheck(project) => return Ok(self.compose_check(project)),
            Command::ComposeHash { project, service } => return Ok(self.compose_hash(project, service)),
            // Several operations: see [`FakeHost::compose_up`].
            Command::ComposeUp { .. } => {}
            Command::RemoveContainer { id, .. } => return Ok(self.remove_container(id)),
            Command::ValidateDaemon { argv } => return self.validate(argv),
            Command::ArmTimer { unit, argv, .. } => {
                self.timers.insert(unit.clone(), argv.clone());
            }
            Command::DisarmTimer(unit) => {
                self.timers.remove(unit);
            }
            Command::Enable(unit) | Command::Disable(unit) | Command::Start(unit) | Command::Stop(unit) => {
                let shown = self.ask(&Query::UnitShow(unit.clone()))?.stdout;
                let get =
                    |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
                let (mut enabled, mut active) = (get("UnitFileState="), get("ActiveState="));
                match command {
                    Command::Enable(_) => enabled = "enabled".into(),
                    Command::Disable(_) => enabled = "disabled".into(),
                    Command::Start(_) if self.hangs.as_ref() == Some(unit) => active = "activating".into(),
                    Command::Start(_) => active = "active".into(),
                    _ => active = "inactive".into(),
                }
                self.units.insert(unit.clone(), (enabled, active));
            }
            Command::DaemonReload => self.reload_units(),
            Command::Install { argv } => self.install(argv),
        }
        Ok(Self::done(0))
    }
}
