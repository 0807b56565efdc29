//! A user's own Docker, which runs without root: its socket, pid file, configuration and data lie in places of that user
//! (<https://docs.docker.com/engine/security/rootless/>). All of it is that user's to write, so nothing of it is taken
//! that he could not read himself.

use std::path::{Path, PathBuf};

use super::daemon::Seat;
use super::model::{Known, Unknown};
use crate::host::{FileKind, Host, path};

/// The user whose Docker is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Home directory.
    pub home: PathBuf,
}

impl Account {
    /// Finds a user by name or number in `/etc/passwd`.
    ///
    /// # Errors
    /// When there is no such user, or the file cannot be read.
    pub fn find(host: &dyn Host, wanted: &str) -> Known<Self> {
        let text = path::read_text(host, Path::new("/etc/passwd")).map_err(|e| Unknown(format!("/etc/passwd: {e}")))?;
        let account = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, _, _, home, ..] = fields[..] else { return None };
            let account = Self { name: name.into(), uid: uid.parse().ok()?, home: home.into() };
            (name == wanted || uid == wanted).then_some(account)
        };
        text.lines().find_map(account).ok_or_else(|| Unknown(format!("/etc/passwd has no user `{wanted}`")))
    }

    /// Where logind keeps what lives as long as the user's session does (`XDG_RUNTIME_DIR`).
    fn runtime(&self) -> PathBuf {
        PathBuf::from(format!("/run/user/{}", self.uid))
    }

    /// Where that user's Docker listens; `None`: it does not.
    pub fn socket(&self, host: &dyn Host) -> Option<PathBuf> {
        let socket = self.runtime().join("docker.sock");
        let own = host.stat(&socket).is_ok_and(|stat| stat.kind == FileKind::Socket && stat.uid == self.uid);
        own.then_some(socket)
    }

    /// Where that user's Docker has its files.
    pub(super) fn seat(&self) -> Seat {
        Seat {
            owner: Some(self.uid),
            pid_file: self.runtime().join("docker.pid"),
            config: self.config("docker").join("daemon.json"),
            socket: self.runtime().join("docker.sock"),
            data_root: self.home.join(".local/share/docker"),
        }
    }

    fn config(&self, name: &str) -> PathBuf {
        self.home.join(".config").join(name)
    }

    /// Where an object of the catalogue is in that user's Docker; `None`: it has none, or one of its own place
    /// everywhere.
    pub(super) fn place(&self, object: &str) -> Option<Vec<PathBuf>> {
        let run = self.runtime().join("docker");
        let unit = self.config("systemd").join("user/docker.service");
        Some(match object {
            "etc-docker" => vec![self.config("docker")],
            // The second is where a package has it for all users.
            "docker-service" => vec![unit, "/usr/lib/systemd/user/docker.service".into()],
            "containerd-socket" => vec![run.join("containerd/containerd.sock")],
            "run-containerd" => vec![run.join("containerd")],
            "docker-socket-unit" | "default-docker" | "sysconfig-docker" | "containerd-config" => Vec::new(),
            _ => return None,
        })
    }

    /// Where certificates of registries are.
    pub(super) fn certs(&self) -> PathBuf {
        self.config("docker").join("certs.d")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeHost, stat};
    use super::*;
    use crate::host::Stat;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\nbroken\ndev:x:1000:1000:,,,:/home/dev:/bin/bash\n";

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let host = FakeHost::default().file("/etc/passwd", PASSWD);
        let dev = Account { name: "dev".into(), uid: 1000, home: "/home/dev".into() };
        assert_eq!(Account::find(&host, "dev"), Ok(dev.clone()));
        assert_eq!(Account::find(&host, "1000"), Ok(dev));
        assert_eq!(Account::find(&host, "eve"), Err(Unknown("/etc/passwd has no user `eve`".into())));
    }

    #[test]
    fn a_socket_that_is_not_the_users_is_none() {
        let of = |stat: Stat| {
            let host = FakeHost::default().file("/etc/passwd", PASSWD).node("/run/user/1000/docker.sock", stat);
            Account::find(&host, "dev").expect("dev").socket(&host)
        };
        let socket = || stat(FileKind::Socket);
        assert_eq!(of(Stat { uid: 1000, ..socket() }), Some("/run/user/1000/docker.sock".into()));
        assert_eq!(of(socket()), None);
        assert_eq!(of(Stat { uid: 1000, ..stat(FileKind::Symlink("/run/docker.sock".into())) }), None);
    }
}
