//! Paths on any [`Host`]: symlinks are followed by looking at each component, so that it works the same on a live
//! host, under `--root` and in a recording.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::string::FromUtf8Error;

use super::seam::{FileKind, Host, Stat};

/// How many links are followed; the kernel's own limit (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// The path without symlinks, `.` and `..`.
///
/// # Errors
/// The host's for the component that cannot be looked at, [`io::ErrorKind::NotFound`] when something is missing on
/// the way or at the end of it; [`io::ErrorKind::InvalidInput`] for a relative path.
pub fn resolve(host: &dyn Host, path: &Path) -> io::Result<PathBuf> {
    walk(path, |at| host.stat(at).map(|stat| target(&stat)))
}

/// As [`resolve`], but what does not exist is taken as written: where a file will be that is still to be made.
///
/// # Errors
/// The host's for the component that cannot be looked at, and as [`resolve`].
pub fn resolve_new(host: &dyn Host, path: &Path) -> io::Result<PathBuf> {
    walk(path, |at| match host.stat(at) {
        Ok(stat) => Ok(target(&stat)),
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", at.display()))),
    })
}

/// Like `stat`, but of what the path leads to; the first part is where that is.
///
/// # Errors
/// As [`resolve`].
pub fn stat_follow(host: &dyn Host, path: &Path) -> io::Result<(PathBuf, Stat)> {
    let real = resolve(host, path)?;
    let stat = host.stat(&real)?;
    Ok((real, stat))
}

/// A whole file as text.
///
/// # Errors
/// The host's; [`io::ErrorKind::InvalidData`] when it is not UTF-8. Neither names the path.
pub fn read_text(host: &dyn Host, path: &Path) -> io::Result<String> {
    String::from_utf8(host.read(path)?)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("line {} is not UTF-8", not_utf8(&e))))
}

/// The first line that is not UTF-8, from 1.
pub fn not_utf8(error: &FromUtf8Error) -> usize {
    error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count()
}

/// A whole file as text, with replacement characters where it is not UTF-8: for files in which that spoils a line and
/// not the whole.
///
/// # Errors
/// The host's.
pub fn read_lossy(host: &dyn Host, path: &Path) -> io::Result<String> {
    host.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Where a symlink points; `None` for everything else.
pub(super) fn target(stat: &Stat) -> Option<PathBuf> {
    match &stat.kind {
        FileKind::Symlink(target) => Some(target.into()),
        _ => None,
    }
}

/// Follows `path` component by component; `link` says where a component points, if it is a link. `..` above the root
/// stays at the root, as in the kernel.
pub(super) fn walk(path: &Path, mut link: impl FnMut(&Path) -> io::Result<Option<PathBuf>>) -> io::Result<PathBuf> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}: not an absolute path", path.display())));
    }
    let mut todo: VecDeque<Part> = parts(path).collect();
    let mut real = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        match part {
            Part::Root => real = "/".into(),
            Part::Up => drop(real.pop()),
            Part::Name(name) => {
                real.push(name);
                let Some(target) = link(&real)? else { continue };
                if leads_elsewhere(&real) {
                    return Err(io::Error::other(format!("{}: a link of the kernel's, not followed", real.display())));
                }
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other(format!("{}: too many levels of symbolic links", path.display())));
                }
                real.pop();
                for part in parts(&target).rev() {
                    todo.push_front(part);
                }
            }
        }
    }
    Ok(real)
}

/// Whether this is `/proc/PID/root` or `cwd`: they lead into the process's own mount namespace, and their text, read
/// in ours, would name another file. The kernel refuses them under `RESOLVE_IN_ROOT` too.
fn leads_elsewhere(link: &Path) -> bool {
    let process = link.parent().filter(|process| process.parent() == Some(Path::new("/proc")));
    process.is_some() && (link.ends_with("root") || link.ends_with("cwd"))
}

/// Whether this is one of the plain files that the kernel shows about each process: nothing on the way is a link, and
/// opening it neither waits nor does anything. `/proc/self` is a link.
pub(super) fn is_of_process(path: &Path) -> bool {
    const PLAIN: [&str; 6] = ["cgroup", "cmdline", "comm", "stat", "status", "uid_map"];
    let mut parts = path.to_str().and_then(|path| path.strip_prefix("/proc/")).unwrap_or_default().split('/');
    let (pid, name) = (parts.next().unwrap_or_default(), parts.next());
    let numbered = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    numbered && name.is_some_and(|name| PLAIN.contains(&name)) && parts.next().is_none()
}

/// As [`walk`], but the last component is not followed.
pub(super) fn walk_parent(path: &Path, link: impl FnMut(&Path) -> io::Result<Option<PathBuf>>) -> io::Result<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(walk(parent, link)?.join(name)),
        _ => walk(path, link), // `/`, or a path that ends in `..`
    }
}

enum Part {
    Root,
    Up,
    Name(OsString),
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = Part> {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(Part::Root),
        Component::ParentDir => Some(Part::Up),
        Component::Normal(name) => Some(Part::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(links: &[(&str, &str)], path: &str) -> io::Result<PathBuf> {
        walk(Path::new(path), |at| {
            Ok(links.iter().find(|(from, _)| Path::new(from) == at).map(|(_, to)| PathBuf::from(to)))
        })
    }

    #[test]
    fn links_are_followed_and_dots_folded() {
        let links = [("/var/run", "/run"), ("/run/a", "../etc/./a"), ("/etc/a", "b"), ("/up", "../../../etc")];
        for (path, want) in [
            ("/", "/"),
            ("/etc/x", "/etc/x"),
            ("/var/run/docker.sock", "/run/docker.sock"),
            ("/var/run/a", "/etc/b"),
            ("/up/../x/./y", "/x/y"),
            ("/../../up/a", "/etc/b"),
        ] {
            assert_eq!(real(&links, path).unwrap(), Path::new(want), "{path}");
        }
    }

    #[test]
    fn a_circle_of_links_ends() {
        assert!(real(&[("/a", "b"), ("/b", "/a")], "/a/x").unwrap_err().to_string().contains("too many levels"));
        assert_eq!(real(&[], "etc/x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_process_root_is_not_ours() {
        let links = [("/proc/self", "17"), ("/proc/17/root", "/"), ("/proc/17/cwd", "/"), ("/proc/17/exe", "/bin/x")];
        for path in ["/proc/17/root/etc/passwd", "/proc/self/cwd"] {
            assert!(real(&links, path).unwrap_err().to_string().ends_with("not followed"), "{path}");
        }
        assert_eq!(real(&links, "/proc/self/exe").unwrap(), Path::new("/bin/x"));
        assert_eq!(real(&[("/root", "/x")], "/root/a").unwrap(), Path::new("/x/a"));
    }

    #[test]
    fn plain_files_of_processes_are_known() {
        for path in ["/proc/17/comm", "/proc/1/uid_map", "/proc/4194304/status"] {
            assert!(is_of_process(Path::new(path)), "{path}");
        }
        let others = ["/proc/self/comm", "/proc/17/exe", "/proc/17/root/comm", "/proc/17", "/proc/stat", "/x/17/comm"];
        for path in others.iter().chain(&["/proc//comm", "/proc/17/net/../comm", "proc/17/comm", "/proc/17/comm/"]) {
            assert!(!is_of_process(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn the_last_component_can_stay_a_link() {
        let links = |at: &Path| Ok((at == Path::new("/l")).then(|| PathBuf::from("/dir")));
        assert_eq!(walk_parent(Path::new("/l/l"), links).unwrap(), Path::new("/dir/l"));
        assert_eq!(walk_parent(Path::new("/l"), links).unwrap(), Path::new("/l"));
        assert_eq!(walk_parent(Path::new("/"), links).unwrap(), Path::new("/"));
    }
}
