//! What systemd and the kernel keep about the daemon: its unit with drop-ins, its command line, its `/proc`.

use std::path::{Path, PathBuf};

use seaworthy::host::{FileKind, Host, path};
use serde_json::{Map, Value, json};

use super::fake_host::{FakeHost, FakeNode, stat};

/// Flags that stand bare.
const BOOLEAN: &[&str] = &[
    "debug",
    "experimental",
    "icc",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
];
/// Flags that repeat, with their key of daemon.json.
const LISTS: &[(&str, &str)] = &[
    ("authorization-plugin", "authorization-plugins"),
    ("dns", "dns"),
    ("exec-opt", "exec-opts"),
    ("host", "hosts"),
    ("insecure-registry", "insecure-registries"),
    ("label", "labels"),
    ("registry-mirror", "registry-mirrors"),
    ("storage-opt", "storage-opts"),
];

/// A unit as systemd has read it: it keeps that until a daemon-reload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Read {
    /// Properties of `systemctl show` that the drop-ins decide.
    pub(super) properties: Vec<(String, String)>,
    exec_start: Option<String>,
    environment: Vec<String>,
    environment_files: Vec<PathBuf>,
}

impl FakeHost {
    /// What `systemctl show` said when the host was recorded.
    pub(super) fn recorded_show(&self, unit: &str) -> String {
        self.recording.answers.get(&format!("systemctl show {unit}")).cloned().flatten().unwrap_or_default().stdout
    }

    /// Reads the files of a unit, as a daemon-reload does.
    pub(super) fn read_unit(&self, unit: &str) -> Read {
        let shown = self.recorded_show(unit);
        let fragment = property(&shown, "FragmentPath").unwrap_or_default();
        let mut read = Read::default();
        let mut drop_ins: Vec<(String, PathBuf)> = Vec::new();
        for top in ["/usr/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system"] {
            let dir = Path::new(top).join(format!("{unit}.d"));
            for name in self.list(&dir).unwrap_or_default().into_iter().filter(|name| is_conf(name)) {
                drop_ins.retain(|(known, _)| *known != name);
                drop_ins.push((name.clone(), dir.join(name)));
            }
        }
        drop_ins.sort();
        let paths: Vec<PathBuf> = drop_ins.into_iter().map(|(_, path)| path).collect();
        if self.read(Path::new(&fragment)).is_err() {
            // Without the unit's own file what was shown is all that there is.
            let argv = property(&shown, "ExecStart").unwrap_or_default();
            read.exec_start = argv.split_once("argv[]=").map(|(_, rest)| rest.split(" ;").next().unwrap_or("").into());
            read.environment_files = ["/etc/default/docker", "/etc/sysconfig/docker"].map(PathBuf::from).to_vec();
        }
        for file in std::iter::once(PathBuf::from(fragment)).chain(paths.clone()) {
            let text = path::read_text(self, &file).unwrap_or_default().replace("\\\n", " ");
            for (key, value) in
                text.lines().filter(|line| !line.starts_with(['#', ';'])).filter_map(|l| l.split_once('='))
            {
                read.take(key.trim(), value.trim());
            }
        }
        let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        read.properties.push(("DropInPaths".into(), all.join(" ")));
        read
    }

    /// The command line of the next start.
    pub(super) fn argv(&self) -> Vec<String> {
        let read = &self.unit_read;
        let mut variables: Vec<String> = read.environment.clone();
        for file in &read.environment_files {
            let text = path::read_text(self, file).unwrap_or_default();
            variables.extend(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned));
        }
        let value = |name: &str| {
            let mut all =
                variables.iter().filter_map(|line| line.split_once('=')).filter(|(key, _)| key.trim() == name);
            all.next_back().map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
        };
        let mut words: Vec<String> = Vec::new();
        for word in read.exec_start.as_deref().unwrap_or_default().split_whitespace() {
            match word.strip_prefix('$') {
                None => words.push(word.into()),
                Some(name) => words.extend(value(name.trim_matches(['{', '}'])).split_whitespace().map(str::to_owned)),
            }
        }
        words
    }

    /// The daemon's process appears in `/proc`; `gone` is the one before.
    pub(super) fn show_process(&mut self, gone: u32) {
        self.files.retain(|path, _| gone == 0 || !path.starts_with(format!("/proc/{gone}")));
        let pid = self.docker.pid;
        let boot = self.read(Path::new("/proc/stat")).unwrap_or_default();
        let boot = String::from_utf8_lossy(&boot);
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok());
        let (true, Some(boot)) = (pid != 0, boot) else { return };
        let top = PathBuf::from(format!("/proc/{pid}"));
        for (name, node) in self.process.clone() {
            self.files.insert(top.join(name), node);
        }
        self.files.entry(top.clone()).or_insert(plain(FileKind::Dir, Vec::new()));
        let argv = self.argv();
        let exe = argv.first().cloned().unwrap_or_default();
        self.files.insert(top.join("exe"), plain(FileKind::Symlink(exe), Vec::new()));
        let line: String = argv.iter().flat_map(|word| [word.as_str(), "\0"]).collect();
        self.files.insert(top.join("cmdline"), plain(FileKind::File, line.into_bytes()));
        // Field 22: when it started, in hundredths of a second since boot.
        let ticks = (self.clock / 1000 - boot) * 100;
        let fields = format!("{pid} (dockerd) S 1 {}{ticks} 0\n", "0 ".repeat(17));
        self.files.insert(top.join("stat"), plain(FileKind::File, fields.into_bytes()));
    }

    /// Containers that ended or began: their processes go and come.
    pub(super) fn show_containers(&mut self, before: &[(String, i64)]) {
        for (id, old) in before {
            let new = self.docker.containers.iter().find(|one| one.id == *id).map_or(0, |one| one.pid);
            if new == *old || *old == 0 {
                continue;
            }
            let top = PathBuf::from(format!("/proc/{old}"));
            let paths: Vec<PathBuf> = self.files.keys().filter(|path| path.starts_with(&top)).cloned().collect();
            for path in paths {
                let node = self.files.remove(&path);
                let rest = path.strip_prefix(&top).map(Path::to_path_buf).unwrap_or_default();
                if let (Some(node), true) = (node, new != 0) {
                    self.files.insert(Path::new(&format!("/proc/{new}")).join(rest), node);
                }
            }
        }
    }
}

impl Read {
    fn take(&mut self, key: &str, value: &str) {
        match key {
            "ExecStart" => self.exec_start = Some(value.to_owned()).filter(|value| !value.is_empty()),
            "Environment" => self.environment.push(value.trim_matches('"').to_owned()),
            "EnvironmentFile" => self.environment_files.push(value.trim_start_matches('-').into()),
            "SocketMode" | "SocketUser" | "SocketGroup" => {
                self.properties.retain(|(known, _)| known != key);
                self.properties.push((key.to_owned(), value.to_owned()));
            }
            _ => {}
        }
    }
}

/// One property of `systemctl show`.
pub(super) fn property(shown: &str, key: &str) -> Option<String> {
    shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
}

fn is_conf(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "conf")
}

fn plain(kind: FileKind, bytes: Vec<u8>) -> FakeNode {
    FakeNode { stat: stat(kind, 0o444), bytes, xattrs: Vec::new() }
}

/// The flags of a command line by key of daemon.json.
pub(super) fn flags(argv: &[String]) -> Map<String, Value> {
    let mut flags = Map::new();
    let mut words = argv.iter().skip(1).peekable();
    while let Some(word) = words.next() {
        let short = [("-H", "host"), ("-D", "debug"), ("-l", "log-level"), ("-G", "group")];
        let long = short.iter().find(|(short, _)| short == word).map(|(_, long)| *long);
        let Some(name) = long.or_else(|| word.strip_prefix("--")) else { continue };
        let (name, mut value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        if value.is_none() && !BOOLEAN.contains(&name) {
            value = words.next().cloned();
        }
        let value = value.unwrap_or_else(|| "true".into());
        if let Some((_, key)) = LISTS.iter().find(|(flag, _)| *flag == name) {
            let all = flags.entry(*key).or_insert_with(|| json!([]));
            if let Some(all) = all.as_array_mut() {
                all.push(json!(value));
            }
        } else if BOOLEAN.contains(&name) {
            flags.insert(name.into(), json!(value == "true"));
        } else {
            flags.insert(name.into(), json!(value));
        }
    }
    flags
}
