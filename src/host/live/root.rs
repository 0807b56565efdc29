//! Paths of the audited host as file descriptors. Everything is resolved by the kernel inside one directory, so that
//! an image's own symlinks, absolute or full of `..`, never lead to the host that we run on.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// How often a lookup is repeated that a concurrent rename disturbed (the kernel answers EAGAIN for `..` then).
const TRIES: usize = 32;

/// The directory that is `/` of the audited host.
pub(super) struct Root {
    fd: OwnedFd,
}

impl Root {
    /// Opens `dir` and makes sure that the kernel can confine lookups to it.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let fd = open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let root = Self { fd };
        match root.lookup(Path::new("/"), OFlag::O_PATH) {
            Ok(_) => Ok(root),
            // older container runtimes' seccomp filters answer EPERM for system calls that they do not know
            Err(Errno::ENOSYS | Errno::EPERM) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{}: this kernel cannot confine a lookup (openat2, Linux 5.6)", dir.display()),
            )),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens a path; its links are followed inside the root.
    pub(super) fn at(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        if !path.is_absolute() {
            return Err(invalid(path, "not an absolute path"));
        }
        Ok(self.lookup(path, flags)?)
    }

    /// The directory that holds a path's last component, and that component's name.
    pub(super) fn parent(&self, path: &Path) -> io::Result<Entry> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(invalid(path, "names no entry of a directory"));
        };
        let dir = self.at(parent, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        Ok(Entry { dir, name: name.to_owned(), path: path.to_owned() })
    }

    fn lookup(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let mut last = Errno::EAGAIN;
        for _ in 0..TRIES {
            match openat2(&self.fd, path, how) {
                Err(errno @ (Errno::EAGAIN | Errno::EINTR)) => last = errno,
                answer => return answer,
            }
        }
        Err(last)
    }
}

/// One entry of a directory that is held open: what changes it cannot be led elsewhere.
pub(super) struct Entry {
    /// The directory.
    pub(super) dir: OwnedFd,
    /// The entry's name in it.
    pub(super) name: OsString,
    path: PathBuf,
}

impl Entry {
    /// Opens the entry itself; never a symlink's target.
    pub(super) fn open(&self, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.dir, self.name.as_os_str(), flags, mode)?)
    }

    /// Holds the entry, whatever it is, without opening it (a socket cannot be opened, a pipe would block).
    pub(super) fn hold(&self) -> io::Result<OwnedFd> {
        self.open(OFlag::O_PATH, Mode::empty())
    }

    /// As [`Self::hold`], but refuses a symlink.
    pub(super) fn hold_object(&self) -> io::Result<OwnedFd> {
        let fd = self.hold()?;
        if kind(&fstat(&fd)?) == SFlag::S_IFLNK {
            return Err(invalid(&self.path, "a symlink, not changed"));
        }
        Ok(fd)
    }

    /// Opens the entry if it is a regular file. Looked at before it is opened: opening alone can block (a pipe) or do
    /// something (a tape, a watchdog).
    pub(super) fn open_file(&self, flags: OFlag) -> io::Result<OwnedFd> {
        let held = self.hold()?;
        regular(&self.path, &fstat(&held)?)?;
        let fd = self.open(flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY, Mode::empty())?;
        regular(&self.path, &fstat(&fd)?)?;
        Ok(fd)
    }

    /// The entry's name.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }
}

/// Fails unless this is a regular file (those of /proc are).
pub(super) fn regular(path: &Path, stat: &FileStat) -> io::Result<()> {
    match kind(stat) {
        SFlag::S_IFREG => Ok(()),
        SFlag::S_IFDIR => Err(io::Error::new(io::ErrorKind::IsADirectory, format!("{}: a directory", path.display()))),
        _ => Err(invalid(path, "not a regular file")),
    }
}

/// The type bits of a mode.
pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// The name under which the kernel takes a held descriptor where it takes only paths. It leads to the object itself,
/// also when that is a symlink.
pub(super) fn proc_path(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

pub(super) fn invalid(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {what}", path.display()))
}
