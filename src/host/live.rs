//! The host that we run on, or an image of one below a directory.

mod accounts;
mod commands;
mod lock;
mod root;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, OFlag, readlinkat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, major, minor, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, fsync, geteuid, unlinkat};
use rustix::fs::{StatxAttributes, StatxFlags, statx};
use serde_json::Value;

use self::root::{Entry, Root, invalid, kind, proc_path, regular};
use super::engine;
use super::path::is_of_process;
use super::seam::{Answer, Command, EngineError, FileKind, Group, Host, HostMut, MAX_FILE, Query, Stat, Take};

/// Room for what is read of a file whose size is not known, in bytes: nearly all of `/proc` has less.
const READ_FIRST: u64 = 2048;
/// How long one Engine API answer to a question may take. Other children are at work beside it, and a small host that is
/// busy takes seconds for `/info`.
const ENGINE_DEADLINE: Duration = Duration::from_secs(12);
/// How long the Engine API may take over a change; starting a container pulls nothing but may wait for a volume.
const ENGINE_POST_DEADLINE: Duration = Duration::from_mins(1);

/// A host by way of this kernel.
pub struct LiveHost {
    root: Root,
    offline: bool,
    lock: Option<Flock<OwnedFd>>,
}

impl LiveHost {
    /// The host that we run on; with `root`, the image in that directory, in which nothing is run.
    ///
    /// # Errors
    /// The operating system's for the directory; [`io::ErrorKind::Unsupported`] on a kernel before 5.6.
    pub fn new(root: Option<PathBuf>) -> io::Result<Self> {
        let offline = root.is_some();
        Ok(Self { root: Root::open(&root.unwrap_or_else(|| "/".into()))?, offline, lock: None })
    }

    /// Holds what a path names, without opening it or following its last component.
    fn hold(&self, path: &Path) -> io::Result<OwnedFd> {
        self.root.at(path, OFlag::O_PATH | OFlag::O_NOFOLLOW)
    }

    /// No child runs in an image: its programs are not to be trusted, and ours would answer for the wrong host.
    fn online(&self) -> io::Result<()> {
        if self.offline {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "nothing is run in an offline image"));
        }
        Ok(())
    }

    fn engine_is_there(&self) -> Result<(), EngineError> {
        if self.offline {
            return Err(EngineError::Unreachable("an offline image runs no daemon".into()));
        }
        Ok(())
    }

    /// Gives the lock back, so that nobody waits while a person thinks.
    pub fn unlock(&mut self) {
        self.lock = None;
    }
}

impl Host for LiveHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // looked at before it is opened: opening alone can block (a pipe) or do something (a tape, a watchdog)
        if self.offline || !is_of_process(path) {
            regular(path, &fstat(&self.root.at(path, OFlag::O_PATH)?)?)?;
        }
        let fd = self.root.at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
        let stat = fstat(&fd)?;
        regular(path, &stat)?;
        // the size is no more than a hint: files of /proc have none, and most are read in one go then
        let hint = u64::try_from(stat.st_size).unwrap_or(0).clamp(READ_FIRST, MAX_FILE) + 1;
        let mut bytes = Vec::with_capacity(usize::try_from(hint).unwrap_or_default());
        File::from(fd).take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{}: over 16 MiB", path.display())));
        }
        bytes.shrink_to_fit();
        Ok(bytes)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let fd = self.hold(path)?;
        let raw = fstat(&fd)?;
        let kind = match kind(&raw) {
            SFlag::S_IFLNK => FileKind::Symlink(readlinkat(&fd, "")?.to_string_lossy().into_owned()),
            SFlag::S_IFREG => FileKind::File,
            SFlag::S_IFDIR => FileKind::Dir,
            SFlag::S_IFSOCK => FileKind::Socket,
            _ => FileKind::Other,
        };
        Ok(to_stat(&raw, kind, immutable(&fd)?))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let fd = self.root.at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::from_fd(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn xattrs(&self, path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        let held = self.hold(path)?;
        let at = proc_path(&held);
        let names = match xattr::list_deref(&at) {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(Vec::new()),
            names => names?,
        };
        let mut all = Vec::new();
        for name in names {
            // gone since it was listed: no longer there, not an error
            if let Some(value) = xattr::get_deref(&at, &name)? {
                all.push((name.to_string_lossy().into_owned(), value));
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    fn ask(&self, query: &Query) -> io::Result<Answer> {
        self.online()?;
        commands::ask(query)
    }

    fn ask_all(&self, queries: &[Query]) -> Vec<io::Result<Answer>> {
        match self.online() {
            Ok(()) => commands::ask_all(queries),
            Err(_) => queries.iter().map(|query| self.ask(query)).collect(),
        }
    }

    fn engine(&self, socket: &Path, paths: &[String]) -> Vec<Result<Value, EngineError>> {
        let mut answers = vec![Err(EngineError::Broken("the question was not asked".into())); paths.len()];
        self.engine_each(socket, paths, &mut |at, answer| answers[at] = answer);
        answers
    }

    fn engine_each(&self, socket: &Path, paths: &[String], take: Take<'_>) {
        match self.engine_is_there() {
            Ok(()) => engine::get_each(socket, paths, ENGINE_DEADLINE, take),
            Err(error) => (0..paths.len()).for_each(|at| take(at, Err(error.clone()))),
        }
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        if self.offline { accounts::name_in(self, "/etc/passwd", uid) } else { accounts::live_user_name(uid) }
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        if self.offline { accounts::name_in(self, "/etc/group", gid) } else { accounts::live_group_name(gid) }
    }

    fn group(&self, name: &str) -> Option<Group> {
        if self.offline { accounts::group_in(self, name) } else { accounts::live_group(name) }
    }

    fn now(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that the others are to ask")]
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
    }

    fn euid(&self) -> u32 {
        geteuid().as_raw()
    }

    fn offline(&self) -> bool {
        self.offline
    }
}

impl HostMut for LiveHost {
    fn as_host(&self) -> &dyn Host {
        self
    }

    fn create(&mut self, path: &Path) -> io::Result<()> {
        let private = Mode::S_IRUSR | Mode::S_IWUSR;
        let fd = self.root.parent(path)?.open(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL, private)?;
        Ok(fchmod(&fd, private)?) // the umask may have taken bits away
    }

    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let fd = self.root.parent(path)?.open_file(OFlag::O_WRONLY | OFlag::O_APPEND)?;
        File::from(fd).write_all(bytes)
    }

    fn set_owner(&mut self, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        let entry = self.root.parent(path)?;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        Ok(fchownat(&entry.dir, entry.name(), uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        // held first and changed by its descriptor: fchmodat has no way to refuse a link before Linux 6.6
        let held = self.root.parent(path)?.hold_object()?;
        let mode = exact_mode(path, mode)?;
        Ok(fchmodat(AT_FDCWD, &proc_path(&held), mode, FchmodatFlags::FollowSymlink)?)
    }

    fn set_xattr(&mut self, path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
        let held = self.root.parent(path)?.hold_object()?;
        xattr::set_deref(proc_path(&held), name, value)
    }

    fn remove_xattr(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let held = self.root.parent(path)?.hold_object()?;
        xattr::remove_deref(proc_path(&held), name)
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let stat = fstat(&self.hold(path)?)?;
        if !matches!(kind(&stat), SFlag::S_IFREG | SFlag::S_IFDIR) {
            return Err(invalid(path, "neither a file nor a directory"));
        }
        Ok(fsync(self.root.at(path, flags)?)?)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if from.parent() != to.parent() {
            return Err(invalid(to, "not in the directory of what is renamed"));
        }
        let entry = self.root.parent(from)?;
        let name = to.file_name().ok_or_else(|| invalid(to, "names no entry of a directory"))?;
        // one descriptor for both names: it is one directory, whatever happens to its path meanwhile
        Ok(renameat(&entry.dir, entry.name(), &entry.dir, name)?)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        unlink(&self.root.parent(path)?, UnlinkatFlags::NoRemoveDir)
    }

    fn make_dir(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let mode = exact_mode(path, mode)?;
        let entry = self.root.parent(path)?;
        // narrow first, so that nobody gets in before the mode is as asked for
        mkdirat(&entry.dir, entry.name(), Mode::S_IRWXU)?;
        let made = entry.open(OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok(fchmod(&made, mode)?)
    }

    fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        unlink(&self.root.parent(path)?, UnlinkatFlags::RemoveDir)
    }

    fn copy_self(&mut self, path: &Path) -> io::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "our own binary, also when its file was replaced meanwhile")]
        let mut from = File::open("/proc/self/exe")?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut to = File::from(self.root.parent(path)?.open(flags, Mode::S_IRWXU)?);
        io::copy(&mut from, &mut to)?;
        fchmod(&to, Mode::S_IRWXU)?;
        to.sync_all()
    }

    fn run(&mut self, command: &Command) -> io::Result<Answer> {
        self.online()?;
        commands::run(command)
    }

    fn engine_post(&mut self, socket: &Path, path: &str, body: Option<&Value>) -> Result<Value, EngineError> {
        self.engine_is_there()?;
        engine::post(socket, path, body, ENGINE_POST_DEADLINE)
    }

    fn sleep(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn lock(&mut self) -> io::Result<()> {
        if self.lock.is_none() {
            // an image has no /run of its own: what is below it is there for the time that a host runs
            let dir = if self.offline { "/var/lib/seaworthy" } else { "/run/seaworthy" };
            self.lock = Some(lock::take(self, Path::new(dir))?);
        }
        Ok(())
    }
}

fn unlink(entry: &Entry, what: UnlinkatFlags) -> io::Result<()> {
    Ok(unlinkat(&entry.dir, entry.name(), what)?)
}

fn exact_mode(path: &Path, mode: u32) -> io::Result<Mode> {
    Mode::from_bits(mode).ok_or_else(|| invalid(path, &format!("{mode:o} is not a mode")))
}

/// Whether `chattr +i` or `+a` is set. `stat` does not say, and a file system without such flags answers no; so does a
/// kernel before 4.11, which has no statx, and a filter of system calls that hides it. The write fails then, and is
/// taken back.
fn immutable(held: &OwnedFd) -> io::Result<bool> {
    match statx(held, "", rustix::fs::AtFlags::EMPTY_PATH, StatxFlags::empty()) {
        Ok(stat) => Ok(stat.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)),
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn to_stat(raw: &FileStat, kind: FileKind, immutable: bool) -> Stat {
    Stat {
        kind,
        mode: raw.st_mode & 0o7777,
        uid: raw.st_uid,
        gid: raw.st_gid,
        nlink: raw.st_nlink,
        immutable,
        size: u64::try_from(raw.st_size).unwrap_or(0),
        mtime: raw.st_mtime,
        dev: format!("{}:{}", major(raw.st_dev), minor(raw.st_dev)),
    }
}
