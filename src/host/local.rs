//! Files of the person who calls us: recordings, saved plans, reports. Not those of the audited host.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// More than any document of ours.
const LIMIT: u64 = 256 << 20;
/// What is wrong with a file that others had a hand in.
pub const FOREIGN: &str = "can be written by others, or belongs to someone else";

/// Reads a text file.
///
/// # Errors
/// The operating system's; [`io::ErrorKind::InvalidData`] for what is not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    text(open(path)?)
}

/// Reads a text file that decides what root does. `None`: somebody other than root, the caller and the person behind
/// `sudo` can have written it, or made the link to it.
///
/// # Errors
/// As [`read`].
pub fn read_own(path: &Path, behind_sudo: Option<u32>) -> io::Result<Option<String>> {
    let owned =
        |meta: &Metadata| [0, nix::unistd::geteuid().as_raw()].contains(&meta.uid()) || Some(meta.uid()) == behind_sudo;
    let own = |meta: &Metadata| owned(meta) && meta.mode() & 0o022 == 0;
    // Before it is opened, as a stranger's pipe would keep us waiting; and again, as it may be another one by then.
    if !owned(&std::fs::symlink_metadata(path)?) || !own(&std::fs::metadata(path)?) {
        return Ok(None);
    }
    let file = open(path)?;
    if own(&file.metadata()?) { text(file).map(Some) } else { Ok(None) }
}

fn open(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).open(path)
}

fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// The person behind sudo: user id and name; `None` when root came without it.
#[expect(clippy::disallowed_methods, reason = "sudo tells it in the environment alone, and only the history names it")]
pub fn sudo_user() -> Option<(u32, String)> {
    let uid = std::env::var("SUDO_UID").ok()?.parse().ok()?;
    Some((uid, std::env::var("SUDO_USER").ok()?))
}

/// Whether whoever started us wants this signal to be ignored, as `nohup` does for SIGHUP and a shell for SIGINT of what
/// runs in its background. To be asked before a handler is set.
pub fn is_ignored(signal: i32) -> bool {
    let status = read(Path::new("/proc/self/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.unwrap_or_default() >> (signal - 1) & 1 == 1
}

/// Writes a file whole or not at all, readable for its owner alone: documents can tell how to attack a host.
///
/// # Errors
/// The operating system's; the file is then as it was.
#[expect(clippy::disallowed_methods, reason = "a document for the caller, not the audited host")]
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let staged = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| std::fs::rename(&staged, path));
    if renamed.is_err() {
        // The first error is the one to tell.
        let _left_behind = std::fs::remove_file(&staged);
    }
    renamed
}
