//! *The* daemon: the one with docker.service's `MainPID` and its socket. `DOCKER_HOST`, contexts and daemons in other
//! mount namespaces are not looked at.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::model::{Argument, Config, Daemon, Install, Known, Other, Place, Running, Unit, Unknown, Version};
use super::{command_line, config_file, keys, settings};
use crate::host::{EngineError, FileKind, Host, Query, path};

/// Flags and daemon.json of the snap are files of its own, which its refresh replaces.
const SNAP: &str = "the snap keeps its own configuration, which seaworthy does not read";

/// Where a path leads; a file that is still to be made lies in the folder that its parent leads to.
fn real_path(host: &dyn Host, path: &Path) -> PathBuf {
    let beside = || Some(path::resolve(host, path.parent()?).ok()?.join(path.file_name()?));
    path::resolve(host, path).ok().or_else(beside).unwrap_or_else(|| path.to_owned())
}

/// Where a daemon has its files, as long as nobody says otherwise.
pub(super) struct Seat {
    /// The user that everything of it belongs to; `None`: root.
    pub(super) owner: Option<u32>,
    /// Names its process where no unit does.
    pub(super) pid_file: PathBuf,
    /// Its daemon.json.
    pub(super) config: PathBuf,
    /// The socket of its API.
    pub(super) socket: PathBuf,
    /// Its data root.
    pub(super) data_root: PathBuf,
}

impl Seat {
    /// The system's, with docker.socket where there is one.
    pub(super) fn system(socket: Option<&Unit>) -> Self {
        Self {
            owner: None,
            pid_file: "/run/docker.pid".into(),
            config: "/etc/docker/daemon.json".into(),
            socket: api_socket(socket),
            data_root: "/var/lib/docker".into(),
        }
    }

    /// Reads daemon.json. Of a user's own only what that user could read: the name may lead anywhere.
    fn load(&self, host: &dyn Host, file: &Path) -> Config {
        let open = |owner: u32| {
            let (_, stat) = path::stat_follow(host, file).ok()?;
            (stat.uid != owner && stat.mode & 0o004 == 0).then(|| format!("{} is another user's", file.display()))
        };
        self.owner.and_then(open).map_or_else(|| config_file::load(host, file), Config::Unreadable)
    }
}

/// Reads what the daemon's files and processes say; [`complete`] adds what its Engine does. `service`: its unit, where it
/// could be read.
pub(super) fn look(host: &dyn Host, service: &Known<Unit>, seat: Seat) -> Daemon {
    let running = running(host, service, &seat);
    let install = install(host, service, &running);
    let snap = install == Install::Snap;
    let next_argv = if snap { Err(Unknown(SNAP.into())) } else { next_argv(host, service, &running) };
    let config_path = config_path(&next_argv, &seat);
    let config_real_path = real_path(host, &config_path);
    let config_mtime = host.stat(&config_real_path).ok().map(|s| s.mtime);
    let listens = listens(service) && matches!(running, Ok(Some(_)));
    let mut daemon = Daemon {
        install,
        running,
        next_argv,
        config: if snap { Config::Unreadable(SNAP.into()) } else { seat.load(host, &config_path) },
        config_path,
        config_real_path,
        config_mtime,
        info: Err(Unknown("docker.service is not running".into())),
        version_api: Err(Unknown("docker.service is not running".into())),
        bridge: Err(Unknown("docker.service is not running".into())),
        version: None,
        others: if seat.owner.is_none() { others(host, install) } else { Vec::new() },
        socket: seat.socket,
        listens,
        data_root: seat.data_root,
    };
    if let Some(root) = text_setting(&daemon, "data-root") {
        daemon.data_root = root.into();
    }
    daemon
}

/// Asks the Engine, if it may be asked, and concludes from what it says.
pub(super) fn complete(host: &dyn Host, daemon: &mut Daemon) {
    ask_engine(host, daemon);
    daemon.version = version(host, daemon);
    refuse_byte_order_mark(daemon);
}

/// dockerd ignores a byte order mark since 23.0; before, it neither starts nor reloads with one.
fn refuse_byte_order_mark(daemon: &mut Daemon) {
    let old = daemon.version.as_ref().is_some_and(|version| version.numbers[0] < 23);
    if old && matches!(&daemon.config, Config::Valid { text, .. } if text.starts_with('\u{feff}')) {
        let message = "a byte order mark, which Docker before 23.0 cannot read".into();
        daemon.config = Config::Invalid { line: 1, message };
    }
}

fn text_setting(daemon: &Daemon, key: &str) -> Option<String> {
    let value = daemon.setting(key).next.ok()?;
    value.as_str().filter(|t| !t.is_empty()).map(str::to_owned)
}

fn install(host: &dyn Host, service: &Known<Unit>, running: &Known<Option<Running>>) -> Install {
    let snap = Path::new("/var/snap/docker/current");
    let present = |dir: &&str| path::stat_follow(host, &Path::new(dir).join("dockerd")).is_ok();
    let binary = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].iter().any(present);
    if binary || matches!(running, Ok(Some(_))) {
        Install::System
    } else if host.stat(snap).is_ok() {
        Install::Snap
    } else if service.as_ref().is_ok_and(Unit::exists) {
        Install::System
    } else {
        Install::Missing
    }
}

fn running(host: &dyn Host, service: &Known<Unit>, seat: &Seat) -> Known<Option<Running>> {
    if host.offline() {
        return Ok(None);
    }
    let pid = match service {
        Ok(unit) if unit.active == "active" || unit.main_pid != 0 => unit.main_pid,
        Ok(_) => return Ok(None),
        Err(_) => match pid_file(host, seat) {
            Some(pid) => pid,
            None => return Ok(None),
        },
    };
    if pid == 0 {
        return Ok(None);
    }
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let unknown = |what: &str, e: std::io::Error| Unknown(format!("/proc/{pid}/{what}: {e}"));
    let cmdline = host.read(&proc.join("cmdline")).map_err(|e| unknown("cmdline", e))?;
    let argv: Vec<String> =
        cmdline.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>();
    let argv = argv[..argv.len().saturating_sub(1)].to_vec();
    let exe = match host.stat(&proc.join("exe")).map(|s| s.kind) {
        // After a package upgrade the kernel marks the old binary; the path is what the next start runs.
        Ok(FileKind::Symlink(target)) => PathBuf::from(target.trim_end_matches(" (deleted)")),
        _ => argv.first().map(PathBuf::from).unwrap_or_default(),
    };
    let started = started(host, &proc).ok_or_else(|| Unknown(format!("/proc/{pid}/stat: no start time")))?;
    Ok(Some(Running { pid, argv, exe, started }))
}

/// Without systemd dockerd's own pid file names it; a user's may name any process, and only that user's counts.
fn pid_file(host: &dyn Host, seat: &Seat) -> Option<u32> {
    let pid = path::read_text(host, &seat.pid_file).ok()?.trim().parse().ok()?;
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let own = seat.owner.is_none_or(|owner| host.stat(&proc).is_ok_and(|stat| stat.uid == owner));
    let comm = path::read_text(host, &proc.join("comm")).ok()?;
    (own && comm.trim() == "dockerd").then_some(pid)
}

/// Start time: field 22 of `/proc/PID/stat`, in ticks (always 100 a second for user space) since boot.
fn started(host: &dyn Host, proc: &Path) -> Option<i64> {
    let stat = path::read_text(host, &proc.join("stat")).ok()?;
    let ticks: i64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let kernel = path::read_text(host, Path::new("/proc/stat")).ok()?;
    let boot: i64 = kernel.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / 100)
}

fn next_argv(host: &dyn Host, service: &Known<Unit>, running: &Known<Option<Running>>) -> Known<Vec<Argument>> {
    match service {
        Ok(unit) if unit.fragment.is_some() => command_line::read(host, unit),
        // No systemd: whoever starts dockerd will most likely do it again in the same way.
        _ => match running {
            Ok(Some(running)) => {
                let place = Place { file: "/proc".into(), line: 0, variable: None, vendor: true };
                let words = running.argv.iter();
                Ok(words.map(|text| Argument { text: text.clone(), place: place.clone() }).collect())
            }
            Ok(None) => Ok(Vec::new()),
            Err(why) => Err(why.clone()),
        },
    }
}

fn config_path(argv: &Known<Vec<Argument>>, seat: &Seat) -> PathBuf {
    let key = keys::find("config-file");
    let flag = argv.as_ref().ok().zip(key).and_then(|(argv, key)| settings::flag_value(argv, key));
    let text = flag.and_then(|(value, _)| value.as_str().map(PathBuf::from));
    text.unwrap_or_else(|| seat.config.clone())
}

fn api_socket(socket: Option<&Unit>) -> PathBuf {
    let listen = socket.and_then(|unit| unit.properties.get("Listen"));
    let path = listen.and_then(|l| l.split_whitespace().find(|w| w.starts_with('/')));
    path.map_or_else(|| "/run/docker.sock".into(), PathBuf::from)
}

/// Engines that listen beside the daemon. containerd is one only where no Docker is: else it is a part of that.
fn others(host: &dyn Host, install: Install) -> Vec<Other> {
    let mut known =
        vec![(PathBuf::from("/run/podman/podman.sock"), "Podman"), (PathBuf::from("/run/crio/crio.sock"), "CRI-O")];
    if install == Install::Missing {
        known.push(("/run/containerd/containerd.sock".into(), "containerd without Docker"));
    }
    let users = Path::new("/run/user");
    for user in host.list(users).unwrap_or_default() {
        known.push((users.join(&user).join("docker.sock"), "a rootless Docker"));
        known.push((users.join(&user).join("podman/podman.sock"), "a rootless Podman"));
    }
    let listens = |socket: &Path| host.stat(socket).is_ok_and(|stat| stat.kind == FileKind::Socket);
    known.into_iter().filter(|(path, _)| listens(path)).map(|(socket, what)| Other { socket, what }).collect()
}

/// A daemon that is on its way down still has a process, but the connection would have systemd start it again.
fn listens(service: &Known<Unit>) -> bool {
    service.as_ref().map_or(true, |unit| ["active", "reloading"].contains(&unit.active.as_str()))
}

/// Asks only a daemon that runs: connecting to the socket of a stopped one would start it.
fn ask_engine(host: &dyn Host, daemon: &mut Daemon) {
    if !daemon.listens {
        return;
    }
    let paths = ["/version", "/info", "/networks/bridge"].map(str::to_owned);
    let mut answers = host.engine(&daemon.socket, &paths).into_iter();
    let mut next = |path: &str| -> Known<Value> {
        match answers.next() {
            Some(Ok(value)) => Ok(value),
            Some(Err(EngineError::Unreachable(why) | EngineError::Broken(why))) => {
                Err(Unknown(format!("API {path}: {why}")))
            }
            Some(Err(EngineError::Status(status, why))) => Err(Unknown(format!("API {path}: {status} {why}"))),
            None => Err(Unknown(format!("API {path}: no answer"))),
        }
    };
    daemon.version_api = next("/version");
    daemon.info = next("/info");
    daemon.bridge = next("/networks/bridge");
    if let Some(root) = daemon.info.as_ref().ok().and_then(|i| i["DockerRootDir"].as_str()) {
        daemon.data_root = without_remap_leaf(Path::new(root));
    }
}

/// Under userns-remap the engine reports `ROOT/UID.GID`.
fn without_remap_leaf(root: &Path) -> PathBuf {
    let leaf = root.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let remapped = leaf.split_once('.').is_some_and(|(uid, gid)| {
        let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        number(uid) && number(gid)
    });
    match root.parent() {
        Some(parent) if remapped => parent.to_owned(),
        _ => root.to_owned(),
    }
}

fn version(host: &dyn Host, daemon: &Daemon) -> Option<Version> {
    let api = daemon.version_api.as_ref().ok().and_then(|v| v["Version"].as_str()).and_then(Version::find);
    api.or_else(|| Version::find(&host.ask(&Query::DockerdVersion).ok()?.stdout))
}

/// Whether daemon.json is missing but its directory is there, and so on: what an edit has to create.
impl Config {
    /// The text that an edit starts from; `None` when the file must not be edited.
    pub fn editable(&self) -> Option<&str> {
        match self {
            Self::Missing => Some(""),
            Self::Valid { text, .. } => Some(text),
            Self::Invalid { .. } | Self::Unreadable(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{FakeHost, stat};
    use super::*;

    /// A process 500 that a unit in this state calls its own.
    fn in_state(active: &str) -> Daemon {
        let host = FakeHost::default()
            .file("/usr/sbin/dockerd", "")
            .file("/proc/500/cmdline", "/usr/sbin/dockerd\0")
            .file("/proc/500/stat", "500 (dockerd) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 100 0")
            .file("/proc/stat", "btime 1000\n")
            .api("/info", json!({"Name": "box"}));
        let unit = Unit { load: "loaded".into(), active: active.into(), main_pid: 500, ..Unit::default() };
        gather(&host, &Ok(unit))
    }

    fn gather(host: &FakeHost, service: &Known<Unit>) -> Daemon {
        let mut daemon = look(host, service, Seat::system(None));
        complete(host, &mut daemon);
        daemon
    }

    #[test]
    fn a_daemon_on_its_way_down_is_not_asked() {
        assert!(in_state("active").info.is_ok());
        assert!(in_state("reloading").info.is_ok());
        let stopping = in_state("deactivating");
        assert!(matches!(stopping.running, Ok(Some(_))) && stopping.info.is_err());
    }

    #[test]
    fn of_a_snap_no_setting_is_known() {
        let host = FakeHost::default()
            .file("/var/snap/docker/current/config/daemon.json", "{}")
            .file("/etc/docker/daemon.json", r#"{"icc": false}"#);
        let daemon = gather(&host, &Ok(Unit::default()));
        assert_eq!(daemon.install, Install::Snap);
        assert_eq!(daemon.setting("icc").next, Err(Unknown(SNAP.into())));
        assert_eq!(daemon.config, Config::Unreadable(SNAP.into()));
    }

    #[test]
    fn the_leaf_of_a_remapped_data_root_is_dropped() {
        assert_eq!(without_remap_leaf(Path::new("/var/lib/docker/165536.165536")), Path::new("/var/lib/docker"));
        assert_eq!(without_remap_leaf(Path::new("/srv/docker.d")), Path::new("/srv/docker.d"));
    }

    #[test]
    fn other_engines_are_named_as_what_they_are() {
        let socket = |host: FakeHost, path: &str| host.node(path, stat(FileKind::Socket));
        let host = ["/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/user/1000/docker.sock"]
            .into_iter()
            .fold(FakeHost::default(), socket);
        let named = |install| others(&host, install).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let beside = "Podman at /run/podman/podman.sock; a rootless Docker at /run/user/1000/docker.sock";
        assert_eq!(named(Install::System), beside);
        assert!(named(Install::Missing).contains("containerd without Docker at /run/containerd/containerd.sock"));
    }
}
