//! Runs the binary in an environment of its own, and compares what it says with snapshots.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// What a command said.
#[must_use]
pub(crate) struct Said {
    pub(crate) line: String,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

/// The binary, away from the environment of whoever runs the tests.
pub(crate) fn command(args: &[&str]) -> Command {
    of(Command::new(env!("CARGO_BIN_EXE_seaworthy")), args)
}

fn of(mut command: Command, args: &[&str]) -> Command {
    command
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs `seaworthy` with these arguments, off a terminal.
pub(crate) fn seaworthy(args: &[&str]) -> Said {
    said(args, command(args).output().unwrap())
}

fn said(args: &[&str], output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        line: args.join(" "),
        out: text(output.stdout),
        err: text(output.stderr),
        code: output.status.code().expect("ended by a signal"),
    }
}

impl Said {
    /// The one JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Everything in one text: as a terminal would show it, but streams apart.
    pub(crate) fn all(&self) -> String {
        format!("$ seaworthy {}\n{}[stderr]\n{}[exit {}]\n", self.line, ended(&self.out), ended(&self.err), self.code)
    }

    /// Fails unless the exit code is this one.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.all());
        self
    }

    /// Fails unless everything is as in `tests/cli/snapshots/NAME.txt`.
    pub(crate) fn is(&self, name: &str) {
        snapshot(name, &self.all());
    }
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}(no line break)\n") }
}

/// Fails unless `text`, without what differs from run to run, is the snapshot of this name.
pub(crate) fn snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots").join(format!("{name}.txt"));
    let text = timeless(text);
    if std::env::var_os("SEAWORTHY_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
        return;
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(&before, &text).unified_diff().header(name, "now").to_string();
    assert!(before == text, "SEAWORTHY_BLESS=1 writes it anew\n{diff}");
}

/// Takes out run ids and times: `d` stands for a digit, `x` for a hexadecimal one.
fn timeless(text: &str) -> String {
    let patterns = [("ddddddddTddddddZ-xxxx", "RUN"), ("dddd-dd-ddTdd:dd:ddZ", "TIME")];
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let fits = |pattern: &str| {
            let matches = |(p, c): (char, char)| match p {
                'd' => c.is_ascii_digit(),
                'x' => c.is_ascii_hexdigit(),
                other => c == other,
            };
            rest.chars().count() >= pattern.len() && pattern.chars().zip(rest.chars()).all(matches)
        };
        if let Some((pattern, name)) = patterns.iter().find(|(pattern, _)| fits(pattern)) {
            out.push_str(name);
            rest = &rest[pattern.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The tree of a host that is not running: Debian with docker.io, without auditd, and a directory open to everybody.
pub(crate) struct Tree {
    dir: TempDir,
}

impl Tree {
    /// A tree whose root we are, so that it can be audited as one and changed; `None` where that cannot be.
    #[expect(clippy::print_stderr, reason = "a test that is left out has to say so")]
    pub(crate) fn owned() -> Option<Self> {
        if as_root().is_none() {
            eprintln!("neither root nor user namespaces: NOT tested");
            return None;
        }
        Some(Self::new())
    }

    pub(crate) fn new() -> Self {
        let tree = Self { dir: TempDir::new().unwrap() };
        tree.write("etc/hostname", "image\n");
        tree.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        tree.write("etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
        tree.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        tree.write("etc/group", "root:x:0:\ndocker:x:101:\n");
        tree.write("usr/sbin/dockerd", "");
        for file in ["usr/sbin/useradd", "etc/subuid", "etc/subgid"] {
            tree.write(file, "");
        }
        tree.write(
            "usr/lib/systemd/system/docker.service",
            "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n",
        );
        fs::create_dir_all(tree.path("var/lib")).unwrap();
        fs::create_dir_all(tree.path("etc/docker")).unwrap();
        tree.mode("etc/docker", 0o777);
        tree
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// A path inside, as an argument.
    pub(crate) fn arg(&self, inside: &str) -> String {
        self.path(inside).display().to_string()
    }

    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    pub(crate) fn mode(&self, inside: &str, mode: u32) {
        fs::set_permissions(self.path(inside), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn mode_of(&self, inside: &str) -> u32 {
        fs::metadata(self.path(inside)).unwrap().permissions().mode() & 0o7777
    }

    /// Runs a subcommand on the tree. Its path reads `ROOT` in what is said.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let root = self.dir.path().display().to_string();
        let mut all = args.to_vec();
        all.extend(["--root", &root]);
        let program = env!("CARGO_BIN_EXE_seaworthy");
        // A hang is a failure of its own: 124.
        let within = ["timeout", "--kill-after=5", "120"];
        let words: Vec<&str> = within.iter().chain(as_root().expect("root")).copied().chain([program]).collect();
        let mut base = Command::new(words[0]);
        base.args(&words[1..]);
        let mut said = said(&all, of(base, &all).output().unwrap());
        for text in [&mut said.out, &mut said.err, &mut said.line] {
            *text = text.replace(&root, "ROOT");
        }
        said
    }

    /// Every path of the tree outside seaworthy's own, with mode and content: what "unchanged" means.
    pub(crate) fn state(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = vec![self.dir.path().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("var/lib/seaworthy") {
                    continue;
                }
                let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
                let content = if path.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
                if path.is_dir() {
                    open.push(path.clone());
                }
                all.push(format!("{} {mode:o} {content:?}", path.display()));
            }
        }
        all.sort();
        all
    }
}

/// How the binary becomes root of its trees: it is already, or in a user namespace of its own. `None`: not at all, as
/// some distributions forbid those namespaces; such tests are left out then, and say so.
fn as_root() -> Option<&'static [&'static str]> {
    static HOW: OnceLock<Option<&[&str]>> = OnceLock::new();
    *HOW.get_or_init(|| {
        let unshare: &[&str] = &["unshare", "--map-root-user"];
        if nix::unistd::geteuid().is_root() {
            return Some(&[]);
        }
        let works = Command::new("unshare").args(["--map-root-user", "true"]).status().is_ok_and(|s| s.success());
        works.then_some(unshare)
    })
}
