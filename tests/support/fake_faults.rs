//! What goes wrong on the host in memory, and at which changing operation (from 1).

use std::io::{Error, Result};
use std::path::Path;

use super::fake_host::FakeHost;

/// A disk that answers with errors.
pub(crate) const EIO: i32 = 5;
/// A full one.
pub(crate) const ENOSPC: i32 = 28;
/// A file system that was remounted read-only, by a person or by the kernel.
pub(crate) const EROFS: i32 = 30;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The process dies there: that operation and all later ones do nothing. A write may be half done.
    Kill(usize),
    /// That one operation fails and does nothing; of a write, half.
    Once(usize, i32),
    /// That one operation is done, and fails all the same: a late error of the disk, a command that ended badly.
    Late(usize, i32),
    /// From there on a disk is ill, until it is mended by [`FakeHost::revive`].
    Ill(usize, Disk),
    /// The same, and the process dies at the second number.
    IllKill(usize, Disk, usize),
}

/// A disk that is ill: what it answers, for all that is below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) errno: i32,
    pub(crate) top: &'static str,
}

/// What an operation needs of its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    /// Room.
    Grow,
    /// That what is there can be changed.
    Alter,
    /// Nothing: a command, a request.
    Call,
}

impl Disk {
    /// Whether an operation below this path fails. /run is memory.
    fn refuses(self, touch: Touch, path: &Path) -> bool {
        let here = path.starts_with(self.top) && !path.starts_with("/run");
        here && (touch == Touch::Grow || (touch == Touch::Alter && self.errno != ENOSPC))
    }
}

impl FakeHost {
    /// Counts an operation and lets the fault happen before it; `what` is its name on the trail.
    pub(super) fn begin(&mut self, touch: Touch, what: &'static str, path: &Path) -> Result<()> {
        if self.dead {
            return Err(Error::other("killed"));
        }
        self.ops += 1;
        if let Some((_, path, text)) = self.meddler.take_if(|(at, _, _)| *at == self.ops) {
            self.write(&path, 0o644, &text);
        }
        match self.fault {
            Fault::Kill(at) | Fault::IllKill(_, _, at) if at == self.ops => {
                self.dead = true;
                Err(Error::other("killed"))
            }
            Fault::Once(at, errno) if at == self.ops => Err(Error::from_raw_os_error(errno)),
            _ if self.ill().is_some_and(|disk| disk.refuses(touch, path)) => {
                Err(Error::from_raw_os_error(self.ill().map_or(EIO, |disk| disk.errno)))
            }
            _ => {
                if touch != Touch::Call {
                    self.trail.push((what, path.into()));
                }
                Ok(())
            }
        }
    }

    /// Lets the fault happen after an operation.
    pub(super) fn end(&self) -> Result<()> {
        match self.fault {
            Fault::Late(at, errno) if at == self.ops && !self.dead => Err(Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    /// One operation with the faults around it.
    pub(super) fn operate<T>(
        &mut self,
        touch: Touch,
        what: &'static str,
        path: &Path,
        act: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.begin(touch, what, path)?;
        let done = act(self)?;
        self.end().map(|()| done)
    }

    /// Whether a command that writes below `/etc` can.
    pub(super) fn etc_is_ill(&self) -> bool {
        self.ill().is_some_and(|disk| disk.refuses(Touch::Grow, Path::new("/etc/x")))
    }

    /// The disk that is ill by now.
    fn ill(&self) -> Option<Disk> {
        match self.fault {
            Fault::Ill(from, disk) | Fault::IllKill(from, disk, _) if self.ops >= from => Some(disk),
            _ => None,
        }
    }
}
