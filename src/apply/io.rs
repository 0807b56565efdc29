//! Small helpers that every file of this stage uses.

use std::io::{self, ErrorKind};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::progress::Progress;
use crate::error::{Failure, Result};
use crate::host::{HostMut, path};

/// Turns an error of the operating system into a failure that names the path.
pub(super) trait At<T> {
    /// `what` is a participle: `PATH cannot be read`.
    fn at(self, what: &str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let failure = Failure::new(format!("{} cannot be {what}", path.display()));
            let folder = path.parent().unwrap_or(path).display();
            let failure = match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => failure.hint(format!("run `df -h {folder}`")),
                ErrorKind::ReadOnlyFilesystem => failure.hint(format!("run `findmnt --target {folder}`")),
                // Root is refused only where a file is immutable, or a security module says so.
                ErrorKind::PermissionDenied if what != "read" => {
                    failure.hint(format!("run `lsattr -da {folder} {folder}/*`"))
                }
                _ => failure,
            };
            failure.because(error)
        })
    }
}

/// Writes a new file that only root can read, durably. For files of the run; `path` must not exist.
pub(super) fn write_new(host: &mut dyn HostMut, path: &Path, bytes: &[u8]) -> Result<()> {
    host.create(path).at("created", path)?;
    host.append(path, bytes).at("written", path)?;
    host.sync(path).at("synced", path)
}

/// Makes the entries of the directory that holds `path` durable.
pub(super) fn sync_parent(host: &mut dyn HostMut, path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    // The parent may be a link to a directory, and a link itself cannot be synced.
    let real = path::resolve(host.as_host(), parent).unwrap_or_else(|_| parent.to_owned());
    host.sync(&real).at("synced", &real)
}

/// SHA-256 in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of lower-case hexadecimal; `None` when it is none.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Takes the lock of all runs; waits for it at most `seconds`.
pub(super) fn lock(host: &mut dyn HostMut, seconds: u64, progress: &mut dyn Progress) -> Result<()> {
    for second in 0..=seconds {
        match host.lock() {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                return Err(Failure::new("/run/seaworthy/lock cannot be taken").because(error).host("unchanged"));
            }
            Err(_) if second < seconds => {
                progress.wait("another seaworthy is at work");
                host.sleep(std::time::Duration::from_secs(1));
            }
            Err(_) => {}
        }
    }
    Err(Failure::refused("/run/seaworthy/lock is held: another seaworthy is at work")
        .host("unchanged")
        .hint("wait for it to end; `fuser -v /run/seaworthy/lock` names it"))
}
