//! The one lock of all seaworthy runs. It lies in a directory of our own: in `/run/lock`, which everybody may write,
//! anybody could hold it, or put a link in its place.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::geteuid;

use super::LiveHost;
use crate::host::seam::HostMut;

/// Takes the lock in `dir`, which is made when it is missing.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when another seaworthy holds it, [`io::ErrorKind::PermissionDenied`] when the
/// directory is not safely ours, otherwise the operating system's.
pub(super) fn take(host: &mut LiveHost, dir: &Path) -> io::Result<Flock<OwnedFd>> {
    // A tree that was never booted may have no /var/lib yet.
    let mut missing: Vec<&Path> = dir.ancestors().skip(1).filter(|above| above.parent().is_some()).collect();
    missing.reverse();
    for (path, mode) in missing.into_iter().map(|above| (above, 0o755)).chain([(dir, 0o700)]) {
        match host.make_dir(path, mode) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    let held = host.root.parent(dir)?.open(OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()).map_err(|e| {
        let link = matches!(e.raw_os_error().map(Errno::from_raw), Some(Errno::ENOTDIR | Errno::ELOOP));
        if link { unsafe_dir(dir, "not a directory") } else { e }
    })?;
    let stat = fstat(&held)?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(unsafe_dir(dir, &format!("belongs to user id {}", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(unsafe_dir(dir, &format!("mode {:o}: others can write to it", stat.st_mode & 0o7777)));
    }
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = nix::fcntl::openat(&held, "lock", flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => io::Error::new(
            io::ErrorKind::WouldBlock,
            format!("{}: another seaworthy holds the lock", dir.join("lock").display()),
        ),
        errno => errno.into(),
    })
}

fn unsafe_dir(dir: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {what}, no lock is taken in it", dir.display()))
}
