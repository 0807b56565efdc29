//! The guided review in a real pseudo-terminal.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::hosts::{containers, content, same, says, seaworthy, snapshot, starts, verdict};
use crate::machine::Machine;

/// `seaworthy ARGS` on a terminal of the host.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    heard: Arc<Mutex<String>>,
    /// How much of it was expected already.
    read: usize,
}

impl Terminal {
    fn open(host: &Machine, args: &str) -> Self {
        // The terminal is made inside: a Ctrl-C must not reach what leads into the host.
        let line = host.on_terminal(&format!(
            "script --quiet --return --command 'exec env TERM=xterm seaworthy {args}' /dev/null"
        ));
        let mut child = Command::new("bash")
            .args(["-c", &line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let (keys, mut screen) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let heard = Arc::new(Mutex::new(String::new()));
        let hears = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                hears.lock().expect("nobody panics with it").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keys, heard, read: 0 }
    }

    /// Waits until this is on the screen, below what was expected last.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let heard = self.screen();
            if let Some(at) = heard[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            assert!(Instant::now() < until, "no `{text}` in:\n{}", &heard[self.read..]);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything heard so far, without colours and movements of the cursor.
    fn screen(&self) -> String {
        let heard = self.heard.lock().expect("nobody panics with it").replace('\r', "");
        let mut parts = heard.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            text + part.trim_start_matches(|c: char| !c.is_alphabetic()).get(1..).unwrap_or_default()
        })
    }

    fn keys(&mut self, keys: &str) {
        // Answered before it asks, a prompt may drop what was typed.
        std::thread::sleep(Duration::from_millis(300));
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("somebody reads");
    }

    /// Waits for the end, and gives the status with everything that was on the screen.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("a child").code();
        std::thread::sleep(Duration::from_millis(200));
        (status, self.screen())
    }
}

const ASKED: &str = "[q]uit";
const LAST: &str = "write this to the host?";

#[test]
fn yes_no_and_explain_decide_what_is_written() {
    let host = Machine::host("bookworm");
    let before = content(&host);
    let mut terminal = Terminal::open(&host, "--check daemon.icc,daemon.userland-proxy,image.content-trust");
    terminal.expect("[1/3] daemon.icc");
    terminal.expect("+  \"icc\": false");
    terminal.expect("docker restarts (once for all fixes together)");
    terminal.expect(ASKED);
    terminal.keys("e\r");
    terminal.expect("WHAT IT CAN BREAK");
    terminal.expect(ASKED);
    terminal.keys("perhaps\r");
    terminal.expect("Enter is no");
    terminal.expect(ASKED);
    terminal.keys("y\r");
    for _ in 0..2 {
        terminal.expect(ASKED);
        terminal.keys("\r");
    }
    terminal.expect("/etc/docker/daemon.json (new)");
    terminal.expect(LAST);
    terminal.keys("y\r");
    let (status, heard) = terminal.end();
    assert_eq!(status, Some(0), "{heard}");
    says(&heard, &["1 check applied", "seaworthy rollback"]);
    assert_eq!(host.ok("jq -c . /etc/docker/daemon.json"), r#"{"icc":false}"#);
    assert_eq!(verdict(&host, "daemon.icc,daemon.live-restore"), "pass\nfail");

    let mut terminal = Terminal::open(&host, "rollback");
    terminal.expect("take this back?");
    terminal.keys("y\r");
    assert_eq!(terminal.end().0, Some(0));
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn all_takes_what_hurts_nothing_and_asks_for_the_rest() {
    let host = Machine::host("trixie");
    let mut terminal = Terminal::open(&host, "");
    terminal.expect(ASKED);
    terminal.keys("a\r");
    terminal.expect("image.content-trust");
    terminal.expect("would hurt here:");
    terminal.expect(ASKED);
    terminal.keys("a\r");
    terminal.expect("needs its own answer");
    terminal.expect(ASKED);
    terminal.keys("n\r");
    terminal.expect(LAST);
    terminal.keys("y\r");
    let (status, heard) = terminal.end();
    assert_eq!(status, Some(0), "{heard}");
    says(&heard, &["5 checks applied"]);
    assert_eq!(verdict(&host, "daemon.icc,daemon.userns-remap,image.content-trust"), "pass\npass\nfail");
    assert_eq!(starts(&host), 2, "one restart after the one at boot");
}

#[test]
fn no_quit_and_ctrl_c_at_a_prompt_leave_the_host() {
    let host = Machine::host("bookworm");
    let before = snapshot(&host);
    let mut terminal = Terminal::open(&host, "");
    terminal.expect(ASKED);
    terminal.keys("q\r");
    let (status, heard) = terminal.end();
    assert_eq!(status, Some(0), "{heard}");
    says(&heard, &["host: unchanged"]);

    let mut terminal = Terminal::open(&host, "");
    terminal.expect(ASKED);
    terminal.keys("a\r");
    terminal.expect(ASKED);
    terminal.keys("n\r");
    terminal.expect(LAST);
    terminal.keys("n\r");
    let (status, heard) = terminal.end();
    assert_eq!(status, Some(0), "{heard}");
    says(&heard, &["host: unchanged"]);

    for at_the_end in [false, true] {
        let mut terminal = Terminal::open(&host, "");
        terminal.expect(ASKED);
        if at_the_end {
            terminal.keys("a\r");
            terminal.expect(ASKED);
            terminal.keys("y\r");
            terminal.expect(LAST);
        }
        terminal.keys("\x03");
        let (status, heard) = terminal.end();
        assert_eq!(status, Some(3), "{heard}");
        says(&heard, &["host: unchanged"]);
    }
    same(&before, &snapshot(&host), "something was written");
    seaworthy(&host, "history", 0);
}

#[test]
fn ctrl_c_during_the_restart_is_rolled_back() {
    let host = Machine::host("trixie");
    host.ok("lab-image && docker run -d --name one --network none busybox:1 sleep 10000");
    let (before, running) = (content(&host), containers(&host));
    let mut terminal = Terminal::open(&host, "apply --yes");
    terminal.expect("restart docker.service");
    terminal.keys("\x03");
    let (status, heard) = terminal.end();
    assert_eq!(status, Some(4), "{heard}");
    says(&heard, &["interrupted", "host: rolled back"]);
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "the rollback is not exact");
    assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}}'"), "false");
}
