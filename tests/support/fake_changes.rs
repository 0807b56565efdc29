//! Every way to change the host in memory, with the fault before it.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

use seaworthy::host::{Answer, Command, EngineError, FileKind, Host, HostMut, Query, Stat};
use serde_json::Value;

use super::fake_docker::parse;
use super::fake_host::{FakeHost, FakeNode, Fault, Job, not_found, stat};

impl FakeHost {
    /// Counts an operation and lets the fault happen.
    fn op(&mut self) -> Result<()> {
        if self.dead {
            return Err(Error::other("killed"));
        }
        self.ops += 1;
        if let Some((_, path, text)) = self.meddler.take_if(|(at, _, _)| *at == self.ops) {
            self.write(&path, 0o644, &text);
        }
        match self.fault {
            Fault::Fail(at) if at == self.ops => Err(Error::other("input/output error")),
            Fault::Kill(at) | Fault::VarFullKill(_, at) if at == self.ops => {
                self.dead = true;
                Err(Error::other("killed"))
            }
            _ => Ok(()),
        }
    }

    /// An operation on a path.
    fn op_at(&mut self, what: &'static str, path: &Path) -> Result<()> {
        self.op()?;
        self.trail.push((what, path.into()));
        Ok(())
    }

    /// An operation that needs room on the disk of its path.
    fn op_on(&mut self, what: &'static str, path: &Path) -> Result<()> {
        self.op_at(what, path)?;
        let full = matches!(self.fault, Fault::VarFull(from) | Fault::VarFullKill(from, _) if self.ops >= from);
        if full && path.starts_with("/var") { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
    }

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

    fn load_rules(&mut self) -> i32 {
        let dir = PathBuf::from("/etc/audit/rules.d");
        let names = self.list(&dir).unwrap_or_default();
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
        self.write("/etc/audit/rules.d/audit.rules", 0o640, "-D\n-b 8192\n");
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
        self.op_on("create", path)?;
        self.has_parent(path)?;
        if self.files.contains_key(path) {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        let stat = Stat { mtime: self.clock / 1000, dev: self.device(path), ..stat(FileKind::File, 0o600) };
        let xattrs = self.inherited(path);
        self.files.insert(path.into(), FakeNode { stat, bytes: Vec::new(), xattrs });
        Ok(())
    }

    fn append(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let fault = self.op_on("append", path);
        let now = match self.fault {
            Fault::Kill(at) | Fault::Fail(at) => at == self.ops,
            Fault::VarFull(from) | Fault::VarFullKill(from, _) => from <= self.ops,
            Fault::None => false,
        };
        let half = if fault.is_err() && now {
            &bytes[..bytes.len() / 2]
        } else if fault.is_err() {
            return fault;
        } else {
            bytes
        };
        self.get(path)?.bytes.extend_from_slice(half);
        fault
    }

    fn set_owner(&mut self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        self.op_at("owner", path)?;
        let node = self.get(path)?;
        (node.stat.uid, node.stat.gid) = (uid, gid);
        if node.stat.kind != FileKind::Dir {
            node.stat.mode &= 0o1777;
        }
        Ok(())
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.op_at("mode", path)?;
        self.get(path)?.stat.mode = mode;
        Ok(())
    }

    fn set_xattr(&mut self, path: &Path, name: &str, value: &[u8]) -> Result<()> {
        self.op_at("xattr", path)?;
        let node = self.get(path)?;
        node.xattrs.retain(|(have, _)| have != name);
        node.xattrs.push((name.into(), value.to_vec()));
        Ok(())
    }

    fn remove_xattr(&mut self, path: &Path, name: &str) -> Result<()> {
        self.op()?;
        self.get(path)?.xattrs.retain(|(have, _)| have != name);
        Ok(())
    }

    fn sync(&mut self, path: &Path) -> Result<()> {
        self.op_at("sync", path)?;
        self.get(path).map(|_| ())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.op_at("rename", to)?;
        let node = self.files.remove(from).ok_or_else(not_found)?;
        self.files.insert(to.into(), node);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        self.op_at("remove", path)?;
        self.files.remove(path).map(|_| ()).ok_or_else(not_found)
    }

    fn make_dir(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.op_on("make-dir", path)?;
        self.has_parent(path)?;
        if self.files.contains_key(path) {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        let stat = Stat { dev: self.device(path), ..stat(FileKind::Dir, mode) };
        let node = FakeNode { stat, bytes: Vec::new(), xattrs: Vec::new() };
        self.files.insert(path.into(), node);
        Ok(())
    }

    fn remove_dir(&mut self, path: &Path) -> Result<()> {
        self.op_at("remove-dir", path)?;
        if !self.list(path)?.is_empty() {
            return Err(Error::from(ErrorKind::DirectoryNotEmpty));
        }
        self.files.remove(path);
        Ok(())
    }

    fn copy_self(&mut self, path: &Path) -> Result<()> {
        self.op_on("copy", path)?;
        self.write(path.to_str().unwrap_or_default(), 0o700, "binary");
        Ok(())
    }

    fn run(&mut self, command: &Command) -> Result<Answer> {
        self.op()?;
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
            Command::LoadAuditRules if !self.augenrules => return Err(not_found()),
            Command::LoadAuditRules if self.audit_enabled == 2 => return Ok(Self::done(0)),
            Command::LoadAuditRules => return Ok(Self::done(self.load_rules())),
            Command::AddAuditRule(rule) => self.kernel_rules.push(rule.clone()),
            Command::RemoveAuditRule(rule) => self.kernel_rules.retain(|have| have != rule),
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

    fn engine_post(&mut self, _socket: &Path, path: &str) -> std::result::Result<Value, EngineError> {
        self.op().map_err(|error| EngineError::Broken(error.to_string()))?;
        self.log.push(format!("POST {path}"));
        let id = path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix("/start")).unwrap_or_default();
        if self.docker.start_container(id) {
            return Ok(Value::Null);
        }
        Err(EngineError::Status(404, "no such container".into()))
    }

    fn sleep(&mut self, duration: Duration) {
        self.pass(i64::try_from(duration.as_millis()).unwrap_or(0));
    }

    fn lock(&mut self) -> Result<()> {
        if self.locked_by_other { Err(Error::from(ErrorKind::WouldBlock)) } else { Ok(()) }
    }
}
