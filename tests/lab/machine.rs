//! A lab host in a test's hands.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// What a command in a machine answered.
#[derive(Debug)]
pub(crate) struct Out {
    /// Exit status; 128 and the signal's number where a signal ended it.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A machine that runs until it is dropped; then all of it is thrown away.
pub(crate) struct Machine {
    script: &'static str,
    state: String,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// Emulation takes every core it gets: two machines at once are slower than one after the other, and miss deadlines.
static ONE_VM: Mutex<()> = Mutex::new(());

impl Machine {
    /// Boots a host as a container, about 3 s: everything but the kernel's audit.
    pub(crate) fn host(suite: &str) -> Self {
        Self::start("host", &[suite], None)
    }

    /// Boots a host as a virtual machine: with audit, reboots and power cuts.
    pub(crate) fn vm(suite: &str) -> Self {
        Self::start("vm", &[suite], Some(turn()))
    }

    /// The same, where time passes by what it computes until it boots anew: busy neighbours make nothing late.
    pub(crate) fn steady_vm(suite: &str) -> Self {
        Self::start("vm", &["-s", suite], Some(turn()))
    }

    fn start(script: &'static str, suite: &[&str], turn: Option<MutexGuard<'static, ()>>) -> Self {
        assert!(
            std::env::var_os("SEAWORTHY_LAB").is_some(),
            "the lab is not set up; run these tests with `tests/run`, or some of them with `tests/run FILTER`"
        );
        // it ends with this process, also when that is killed
        let owner = std::process::id().to_string();
        let out = call(script, &[&["start", "-p", &owner], suite].concat(), b"");
        assert_eq!(out.status, 0, "{suite:?} did not boot: {}", out.stderr);
        let machine = Self { script, state: out.stdout.trim().to_owned(), _turn: turn };
        machine.push(stripped_binary(), "/usr/local/bin/seaworthy");
        machine
    }

    /// Runs a line of shell as root.
    pub(crate) fn sh(&self, line: &str) -> Out {
        self.sh_with(line, b"")
    }

    /// Runs a line of shell as root, with something on its stdin.
    pub(crate) fn sh_with(&self, line: &str, stdin: &[u8]) -> Out {
        call(self.script, &["exec", &self.state, "bash", "-c", line], stdin)
    }

    /// Runs a line of shell that has to succeed, and gives its stdout without the last newline.
    pub(crate) fn ok(&self, line: &str) -> String {
        let out = self.sh(line);
        assert_eq!(out.status, 0, "`{line}` failed:\n{}{}", out.stdout, out.stderr);
        out.stdout.trim_end().to_owned()
    }

    /// Writes a file, making its folder when that is missing.
    pub(crate) fn write_file(&self, path: &str, content: &str) {
        let line = format!("mkdir -p \"$(dirname '{path}')\" && cat >'{path}'");
        let out = self.sh_with(&line, content.as_bytes());
        assert_eq!(out.status, 0, "{path} not written: {}", out.stderr);
    }

    /// Copies an executable of the machine that runs the tests to `path`.
    pub(crate) fn push(&self, local: &Path, path: &str) {
        let content = std::fs::read(local).unwrap_or_else(|e| panic!("{}: {e}", local.display()));
        let out = self.sh_with(&format!("cat >'{path}' && chmod 755 '{path}'"), &content);
        assert_eq!(out.status, 0, "{path} not written: {}", out.stderr);
    }

    /// Boots in order; the disk stays. Virtual machines only.
    pub(crate) fn reboot(&self) {
        self.own("reboot");
    }

    /// Cuts the power. Virtual machines only.
    pub(crate) fn off(&self) {
        self.own("cut");
    }

    /// Powers on again, same disk. Virtual machines only.
    pub(crate) fn boot(&self) {
        self.own("boot");
    }

    /// A second machine, off, with the disk that a power cut at this instant would leave. Virtual machines only, and no
    /// two at once: this one goes off before that one boots.
    pub(crate) fn fork(&self) -> Self {
        let out = call(self.script, &["fork", "-p", &std::process::id().to_string(), &self.state], b"");
        assert_eq!(out.status, 0, "disk not copied: {}", out.stderr);
        Self { script: self.script, state: out.stdout.trim().to_owned(), _turn: None }
    }

    /// Copies the disk. Virtual machines only.
    pub(crate) fn keep_disk(&self, to: &Path) {
        let disk = Path::new(&self.state).join("disk.qcow2");
        std::fs::copy(&disk, to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
    }

    /// Runs a line of shell of the machine that runs the tests, `$seaworthy` in it, in the root of a disk whose machine is
    /// off. What it writes is thrown away. Virtual machines only.
    pub(crate) fn offline(&self, line: &str) -> Out {
        let line = format!("seaworthy='{}'; {line}", stripped_binary().display());
        call(self.script, &["offline", &self.state, "bash", "-c", &line], b"")
    }

    /// The command that runs `args` in a host with the caller's terminal, for pseudo-terminals. Hosts only.
    pub(crate) fn on_terminal(&self, args: &str) -> String {
        format!("{} exec {} {args}", script_path(self.script).display(), self.state)
    }

    fn own(&self, what: &str) {
        let out = call(self.script, &[what, &self.state], b"");
        assert_eq!(out.status, 0, "{what} failed: {}", out.stderr);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let out = call(self.script, &["stop", &self.state], b"");
        // a panic during a panic would hide the first one
        assert!(out.status == 0 || std::thread::panicking(), "{} not thrown away: {}", self.state, out.stderr);
    }
}

fn turn() -> MutexGuard<'static, ()> {
    ONE_VM.lock().unwrap_or_else(PoisonError::into_inner)
}

fn script_path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(script)
}

fn call(script: &str, args: &[&str], stdin: &[u8]) -> Out {
    let mut child = Command::new(script_path(script))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("tests/lab/{script}: {e}"));
    let mut pipe = child.stdin.take().expect("stdin is piped");
    let out = std::thread::scope(|scope| {
        scope.spawn(move || {
            // a command need not read what it is sent
            let _ = pipe.write_all(stdin);
        });
        child.wait_with_output().unwrap_or_else(|e| panic!("tests/lab/{script}: {e}"))
    });
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Out { status: out.status.code().unwrap_or(-1), stdout: text(out.stdout), stderr: text(out.stderr) }
}

/// The binary under test without its debug information, a fraction of the size: it goes to every machine.
fn stripped_binary() -> &'static Path {
    static STRIPPED: OnceLock<PathBuf> = OnceLock::new();
    STRIPPED.get_or_init(|| {
        let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join("seaworthy");
        // another process of these tests may be at work with it
        let new = stripped.with_extension(std::process::id().to_string());
        let status = Command::new("strip").arg("-o").arg(&new).arg(env!("CARGO_BIN_EXE_seaworthy")).status();
        assert!(status.is_ok_and(|s| s.success()), "strip failed");
        std::fs::rename(&new, &stripped).unwrap_or_else(|e| panic!("{}: {e}", stripped.display()));
        stripped
    })
}
