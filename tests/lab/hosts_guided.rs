//! The guided review in a real pseudo-terminal.

use crate::hosts::{containers, content, same, says, seaworthy, snapshot, starts, verdict};
use crate::machine::Machine;
use crate::terminal::Terminal;

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
