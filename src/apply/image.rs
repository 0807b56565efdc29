//! What a path was, is, or will be: enough to tell whether it is still ours, without its content.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::io::{At, digest};
use crate::error::{Failure, Result};
use crate::host::{FileKind, Host};
use crate::plan::FileState;

/// The state of a path, content as its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Image {
    /// Nothing is there.
    Absent,
    /// Something is there.
    Present {
        /// What it is.
        kind: ImageKind,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Digest of the content; `None`: the content is not what this is about.
        sha256: Option<String>,
    },
}

/// What seaworthy ever changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A unix socket: only owner and mode are changed.
    Socket,
}

/// Mode, owner, group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Image {
    /// A regular file with this content.
    pub(super) fn file(access: Access, bytes: &[u8]) -> Self {
        Self::present(ImageKind::File, access, Some(digest(bytes)))
    }

    pub(super) fn present(kind: ImageKind, access: Access, sha256: Option<String>) -> Self {
        Self::Present { kind, mode: access.mode, uid: access.uid, gid: access.gid, sha256 }
    }

    /// The state that a plan speaks of. What a metadata-only change is about is read off the host: `found`.
    pub(super) fn planned(state: &FileState, found: &Self) -> Self {
        let FileState::Present { dir, mode, uid, gid, content } = state else { return Self::Absent };
        let kind = match (dir, found) {
            (true, _) => ImageKind::Dir,
            (false, Self::Present { kind: ImageKind::Socket, .. }) if content.is_none() => ImageKind::Socket,
            (false, _) => ImageKind::File,
        };
        let access = Access { mode: *mode, uid: *uid, gid: *gid };
        Self::present(kind, access, content.as_ref().map(|text| digest(text.as_bytes())))
    }

    /// Mode and owner, of something that is there.
    pub(super) fn access(&self) -> Option<Access> {
        match self {
            Self::Absent => None,
            Self::Present { mode, uid, gid, .. } => Some(Access { mode: *mode, uid: *uid, gid: *gid }),
        }
    }

    /// Whether `found` on the host is this state. Content counts only where this state speaks of it.
    pub(super) fn covers(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::Absent, Self::Absent) => true,
            (Self::Present { kind, sha256, .. }, Self::Present { kind: found_kind, sha256: found_sha, .. }) => {
                kind == found_kind
                    && self.access() == found.access()
                    && (sha256.is_none() || found_sha.is_none() || sha256 == found_sha)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Present { kind, mode, uid, gid, sha256 } = self else { return f.write_str("absent") };
        let kind = match kind {
            ImageKind::File => "file",
            ImageKind::Dir => "directory",
            ImageKind::Socket => "socket",
        };
        write!(f, "{kind} {mode:04o} {uid}:{gid}")?;
        match sha256 {
            Some(sha) => write!(f, " sha256:{}", sha.get(..12).unwrap_or(sha)),
            None => Ok(()),
        }
    }
}

/// Looks at a path; reads its content when asked to and it is a regular file.
///
/// # Errors
/// For anything but a file, a directory or a socket: seaworthy does not replace symlinks or devices.
pub(super) fn look(host: &dyn Host, path: &Path, content: bool) -> Result<Image> {
    let stat = match host.stat(path) {
        Ok(stat) => stat,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Image::Absent);
        }
        Err(error) => return Err(error).at("read", path),
    };
    let kind = match stat.kind {
        FileKind::File => ImageKind::File,
        FileKind::Dir => ImageKind::Dir,
        FileKind::Socket => ImageKind::Socket,
        FileKind::Symlink(_) => return Err(Failure::refused(format!("{} is a symlink", path.display()))),
        FileKind::Other => return Err(Failure::refused(format!("{} is not a regular file", path.display()))),
    };
    let sha256 = match kind {
        ImageKind::File if content => Some(digest(&host.read(path).at("read", path)?)),
        _ => None,
    };
    Ok(Image::present(kind, Access { mode: stat.mode, uid: stat.uid, gid: stat.gid }, sha256))
}
