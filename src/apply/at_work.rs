//! Whether a run that is not finished is at work, to those who only read and so cannot try the lock.

use std::path::Path;

use crate::host::{FileKind, Host};

const LOCK: &str = "/run/seaworthy/lock";

/// Process id of the seaworthy that holds the lock of all runs. `None`: nobody does, or only root could tell.
///
/// Of a lock `/proc/locks` has the process that took it, and a number of its file that no path leads to; the process
/// has the path.
pub fn at_work(host: &dyn Host) -> Option<u32> {
    if host.offline() {
        return None;
    }
    let locks = host.read(Path::new("/proc/locks")).ok()?;
    String::from_utf8_lossy(&locks).lines().filter_map(holder).find(|pid| has_open(host, *pid))
}

/// The process of a line such as `1: FLOCK  ADVISORY  WRITE 4242 00:19:1234 0 EOF`; with `->` it only waits.
fn holder(line: &str) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    (words.next()? == "FLOCK").then(|| words.nth(2)?.parse().ok())?
}

fn has_open(host: &dyn Host, pid: u32) -> bool {
    let open = Path::new("/proc").join(pid.to_string()).join("fd");
    let leads = |name: &String| host.stat(&open.join(name)).is_ok_and(|s| s.kind == FileKind::Symlink(LOCK.into()));
    host.list(&open).unwrap_or_default().iter().any(leads)
}

#[cfg(test)]
mod tests {
    use super::holder;

    #[test]
    fn who_holds_a_lock_and_who_waits() {
        assert_eq!(holder("1: FLOCK  ADVISORY  WRITE 4242 00:19:1234 0 EOF"), Some(4242));
        for other in [
            "1: -> FLOCK  ADVISORY  WRITE 4243 00:19:1234 0 EOF",
            "2: POSIX  ADVISORY  WRITE 17 fe:01:99 0 EOF",
            "3: FLOCK  ADVISORY  WRITE",
            "",
        ] {
            assert_eq!(holder(other), None, "{other}");
        }
    }
}
