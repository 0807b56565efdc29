//! A pseudo-terminal in a host, and what is on its screen.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::machine::Machine;

/// `seaworthy ARGS` on a terminal of the host.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    heard: Arc<Mutex<String>>,
    /// How much of it was expected already.
    read: usize,
}

impl Terminal {
    pub(crate) fn open(host: &Machine, args: &str) -> Self {
        Self::run(host, &format!("exec env TERM=xterm seaworthy {args}"))
    }

    /// Runs a line of shell, without single quotes, on a terminal of the host.
    pub(crate) fn run(host: &Machine, line: &str) -> Self {
        // The terminal is made inside: a Ctrl-C must not reach what leads into the host.
        let line = host.on_terminal(&format!("script --quiet --return --command '{line}' /dev/null"));
        let mut child = Command::new("bash")
            .args(["-c", &line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // where the shells between here and there would tell that a test hung up
            .stderr(Stdio::null())
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
    pub(crate) fn expect(&mut self, text: &str) {
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

    /// Whether the cursor was hidden last, and not shown again.
    pub(crate) fn cursor_is_hidden(&self) -> bool {
        let heard = self.heard.lock().expect("nobody panics with it");
        heard.rfind("\x1b[?25l") > heard.rfind("\x1b[?25h")
    }

    /// Everything heard so far, without colours and movements of the cursor.
    pub(crate) fn screen(&self) -> String {
        let heard = self.heard.lock().expect("nobody panics with it").replace('\r', "");
        let mut parts = heard.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            text + part.trim_start_matches(|c: char| !c.is_alphabetic()).get(1..).unwrap_or_default()
        })
    }

    pub(crate) fn keys(&mut self, keys: &str) {
        // Answered before it asks, a prompt may drop what was typed.
        std::thread::sleep(Duration::from_millis(300));
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("somebody reads");
    }

    /// Waits for the end, and gives the status with everything that was on the screen.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("a child").code();
        std::thread::sleep(Duration::from_millis(200));
        (status, self.screen())
    }
}
