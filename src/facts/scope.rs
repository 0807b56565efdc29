//! What kind of host this is, and how much of it we may see.

use std::path::Path;

use super::model::{Scope, Version};
use crate::host::{FileKind, Host, path};

/// The inode of the initial PID namespace, `PROC_PID_INIT_INO` in the kernel's `proc_ns.h`.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Looks at the host itself.
pub(super) fn gather(host: &dyn Host) -> Scope {
    let text = |file: &str| path::read_text(host, Path::new(file)).unwrap_or_default();
    // The second is the vendor's, which the first, where it is there, is mostly a link to (os-release(5)).
    let os = ["/etc/os-release", "/usr/lib/os-release"].into_iter().map(text).find(|os| !os.is_empty());
    let os = os.unwrap_or_default();
    let field = |name: &str| {
        let line = os.lines().find_map(|l| l.trim().strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let namespace = host.stat(Path::new("/proc/self/ns/pid")).ok().map(|s| s.kind);
    let machine_id = text("/etc/machine-id").trim().to_owned();
    Scope {
        offline: host.offline(),
        privileged: host.euid() == 0,
        systemd: !host.offline() && host.stat(Path::new("/run/systemd/system")).is_ok(),
        initial_pid_namespace: namespace == Some(FileKind::Symlink(INITIAL_PID_NAMESPACE.into())),
        // Mounted only where the kernel has it and it is not switched off (`is_selinux_enabled(3)`).
        selinux: host.stat(Path::new("/sys/fs/selinux/enforce")).is_ok(),
        machine_id: Some(machine_id).filter(|id| !id.is_empty()),
        os_id: field("ID"),
        os_name: field("PRETTY_NAME"),
        hostname: text("/etc/hostname").trim().to_owned(),
    }
}

impl Version {
    /// The first version number in a text such as `Docker version 20.10.24+dfsg1, build 297e128`.
    pub fn find(text: &str) -> Option<Self> {
        let start = |w: &&str| w.starts_with(|c: char| c.is_ascii_digit()) && w.contains('.');
        let word = text.split_whitespace().find(start)?.trim_end_matches(',');
        let mut numbers = [0; 3];
        let parts = word.split(|c: char| !c.is_ascii_digit()).filter(|p| !p.is_empty());
        for (slot, part) in numbers.iter_mut().zip(parts) {
            *slot = part.parse().unwrap_or(0);
        }
        Some(Self { text: word.to_owned(), numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn the_system_is_known_however_it_is_written() {
        let of = |host: FakeHost| gather(&host).os_id;
        assert_eq!(of(FakeHost::default().file("/etc/os-release", "NAME=x\n ID='nixos'\n")), "nixos");
        assert_eq!(of(FakeHost::default().file("/usr/lib/os-release", "ID=\"flatcar\"\n")), "flatcar");
    }

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let version = Version::find("Docker version 20.10.24+dfsg1, build 297e128").expect("version");
        assert_eq!((version.text.as_str(), version.numbers), ("20.10.24+dfsg1", [20, 10, 24]));
        assert_eq!(Version::find("auditctl version 3.0.9").map(|v| v.numbers), Some([3, 0, 9]));
        assert_eq!(Version::find("nothing"), None);
    }
}
