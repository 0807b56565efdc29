//! Hands off: signals, terminals that close and pipes that nobody reads, at every prompt and at every step.

use crate::hosts::{containers, content, runs, same, says, seaworthy, snapshot, verdict};
use crate::machine::Machine;
use crate::terminal::Terminal;

const ASKED: &str = "[q]uit";
const LAST: &str = "write this to the host?";

/// Runs seaworthy on a terminal, and tells afterwards how it ended and how it left the terminal. Not in `trap ''`: what
/// a shell ignores its children ignore.
const WATCHED: &str = r#"
trap : INT TERM HUP
rm -f /run/ended
export TERM=$1
shift
$PREFIX seaworthy "$@"
status=$?
stty -a | grep -qw -e -echo -e -icanon -e -isig && echo "the terminal is raw"
echo "ended"
echo $status >/run/ended.new
mv /run/ended.new /run/ended
"#;

/// The ways in which a person leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    CtrlC,
    Signal(&'static str),
    /// The terminal is gone: SIGHUP, and errors for all that is written to it.
    HangsUp,
}

use Leaves::{CtrlC, HangsUp, Signal};

/// A host with a container that nothing may touch.
struct Busy {
    host: Machine,
    before: String,
    running: String,
}

impl Busy {
    fn new(suite: &str) -> Self {
        let host = Machine::host(suite);
        host.write_file("/root/watched", WATCHED);
        host.ok("lab-image && docker run -d --name one --network none busybox:1 sleep 10000");
        let (before, running) = (content(&host), containers(&host));
        Self { host, before, running }
    }

    /// Everything is as before any run, nothing is left to do, and nothing will be done later.
    fn is_as_before(&self, what: &str) {
        same(&self.before, &content(&self.host), what);
        assert_eq!(containers(&self.host), self.running, "{what}");
        let state = "docker info -f '{{.LiveRestoreEnabled}}'; systemctl list-timers --all | grep -c seaworthy || true";
        assert_eq!(self.host.ok(state), "false\n0", "{what}");
        assert!(!seaworthy(&self.host, "audit -q", 2).stderr.contains("did not finish"), "{what}");
    }

    /// Runs seaworthy with signals from its `step`th line of progress on, five a second until it ends; gives the status
    /// and what it said.
    fn stormed(&self, args: &str, step: usize, first: &str) -> (i32, String) {
        // A shell's background ignores SIGINT, which we would too.
        let line = format!(
            "rm -f /run/said; env --default-signal=INT,TERM,HUP seaworthy {args} >/dev/null 2>/run/said & p=$!
             lines() {{ grep -cvE '^([-+@# ]|note:|hint:|warning:)' /run/said; }}
             until test $(lines) -ge {step}; do kill -0 $p || exit 99; sleep 0.01; done
             for signal in {first} INT TERM HUP $(yes INT TERM HUP | head -600); do kill -$signal $p || break; sleep 0.2; done 2>/dev/null
             wait $p"
        );
        let status = self.host.sh(&line).status;
        (status, self.host.ok("cat /run/said"))
    }
}

/// `seaworthy ARGS` on a terminal, watched. A hangup ends the shell in front, and with it everybody gets SIGHUP.
fn on_terminal(host: &Machine, term: &str, args: &str) -> Terminal {
    Terminal::run(host, &format!("trap : INT TERM; bash /root/watched {term} {args}; true"))
}

fn leave(host: &Machine, terminal: &mut Terminal, how: Leaves) {
    match how {
        CtrlC => terminal.keys("\x03"),
        Signal(name) => drop(host.ok(&format!("sleep 0.3; kill -{name} $(pidof seaworthy)"))),
        HangsUp => drop(host.ok("sleep 0.3; kill -9 $(pidof script)")),
    }
}

/// How the watched run ended.
fn ended(host: &Machine) -> String {
    host.ok("for i in $(seq 600); do test -s /run/ended && cat /run/ended && exit; sleep 0.1; done; exit 1")
}

/// Leaves at a prompt, which `reach` goes to; nothing is written and the terminal is as it was.
fn left_at(host: &Machine, term: &str, args: &str, reach: fn(&mut Terminal), ways: &[Leaves]) {
    for how in ways {
        let mut terminal = on_terminal(host, term, args);
        reach(&mut terminal);
        leave(host, &mut terminal, *how);
        assert_eq!(ended(host), "3", "{args}, {how:?}:\n{}", terminal.screen());
        if *how != HangsUp {
            terminal.expect("host: unchanged");
            terminal.expect("ended");
            assert!(!terminal.cursor_is_hidden(), "{args}, {how:?}: the cursor is hidden");
            let screen = terminal.screen();
            assert!(!screen.contains("the terminal is raw"), "{args}, {how:?}:\n{screen}");
        }
        terminal.end();
    }
}

#[test]
fn whoever_leaves_at_a_prompt_leaves_the_host_as_it_is() {
    let busy = Busy::new("bookworm");
    let host = &busy.host;
    let asked: fn(&mut Terminal) = |terminal| terminal.expect(ASKED);
    let last: fn(&mut Terminal) = |terminal| terminal.expect(LAST);
    let reviewed: fn(&mut Terminal) = |terminal| {
        terminal.expect(ASKED);
        terminal.keys("y\r");
        terminal.expect(LAST);
    };
    seaworthy(host, "plan --check icc,live-restore --out /root/plan.json", 2);
    let before = snapshot(host);
    left_at(host, "xterm", "", asked, &[CtrlC, Signal("TERM"), Signal("HUP"), HangsUp]);
    left_at(host, "dumb", "apply --check live-restore", reviewed, &[CtrlC, Signal("TERM"), HangsUp]);
    left_at(host, "xterm", "--check live-restore", reviewed, &[CtrlC, Signal("TERM"), HangsUp]);
    left_at(host, "xterm", "apply /root/plan.json", last, &[CtrlC, Signal("HUP"), HangsUp]);
    assert_eq!(runs(host).len(), 0);
    same(&before, &snapshot(host), "something was written");

    // A run that stands, and one that was killed.
    host.ok("chmod 777 /etc/docker");
    seaworthy(host, "apply --yes --check file.etc-docker-mode", 0);
    let before = snapshot(host);
    let back: fn(&mut Terminal) = |terminal| terminal.expect("take this back?");
    left_at(host, "xterm", "rollback", back, &[CtrlC, Signal("TERM"), HangsUp]);
    same(&before, &snapshot(host), "something was written");
    seaworthy(host, "rollback --yes", 0);
    host.ok("chmod 755 /etc/docker");
    host.ok(
        "seaworthy apply --yes 2>/run/said & p=$!; until grep -q '^restart' /run/said; do sleep 0.01; done; kill -9 $p",
    );
    let before = content(host);
    let settle: fn(&mut Terminal) = |terminal| terminal.expect("take it back?");
    left_at(host, "xterm", "", settle, &[CtrlC, Signal("HUP"), HangsUp]);
    same(&before, &content(host), "something was written");
    seaworthy(host, "rollback --yes", 0);
    host.ok("rm /root/plan.json");
    busy.is_as_before("after the killed run");
}

#[test]
fn a_signal_at_any_step_takes_the_run_back_and_more_do_not_stop_that() {
    let busy = Busy::new("trixie");
    let host = &busy.host;
    seaworthy(host, "apply --yes 2>/run/said", 0);
    let said = host.ok("grep -vE '^(note|hint|warning):' /run/said");
    let steps: Vec<&str> = said.lines().collect();
    says(&said, &["run ", "back up", "write /etc/docker", "reload docker", "restart docker", "audit again"]);
    // The way back is not stopped either.
    let (status, said) = busy.stormed("rollback --yes", 1, "INT");
    assert_eq!(status, 0, "{said}");
    busy.is_as_before("after a rollback under signals");

    for (at, step) in steps.iter().enumerate() {
        let first = ["INT", "TERM", "HUP"][at % 3];
        let (status, said) = busy.stormed("apply --yes", at + 1, first);
        let what = format!("SIG{first} at `{step}`: {status}\n{said}");
        match status {
            4 => says(&said, &["error: interrupted", "host: rolled back (run "]),
            1 | 3 if at < 3 => says(&said, &["error: interrupted", "host: unchanged"]),
            // Too late: it was through.
            0 if at + 1 == steps.len() => drop(seaworthy(host, "rollback --yes", 0)),
            _ => panic!("{what}"),
        }
        busy.is_as_before(&what);
    }
    // One at a time, meanwhile: the first one is held, so that it does not get ready before the second is refused.
    let second = "env --default-signal=INT seaworthy apply --yes 2>/run/said & p=$!
        until grep -q '^restart' /run/said; do sleep 0.01; done; kill -STOP $p; seaworthy apply --yes; echo $?; \
        kill -INT $p; kill -CONT $p; wait $p";
    let out = host.sh(second);
    assert_eq!((out.stdout.as_str(), out.status), ("3\n", 4), "{out:?}");
    says(&out.stderr, &["another seaworthy is at work on this host", "host: unchanged"]);
    busy.is_as_before("after a second one came");
}

#[test]
fn nobody_has_to_watch_to_the_end() {
    let busy = Busy::new("bookworm");
    let host = &busy.host;
    // The terminal is gone in the middle: back it goes.
    let mut terminal = on_terminal(host, "xterm", "apply --yes");
    terminal.expect("restart docker.service");
    leave(host, &mut terminal, HangsUp);
    assert_eq!(ended(host), "4", "{}", terminal.screen());
    terminal.end();
    busy.is_as_before("the terminal closed during an apply");

    // Whoever says nohup wants it to go on; nothing can be written to that terminal any more.
    let mut terminal =
        Terminal::run(host, "PREFIX=\"env --ignore-signal=HUP\" bash /root/watched xterm apply --yes; true");
    terminal.expect("restart docker.service");
    leave(host, &mut terminal, HangsUp);
    assert_eq!(ended(host), "0", "{}", terminal.screen());
    terminal.end();
    assert_eq!(verdict(host, "daemon.live-restore"), "pass");
    let mut terminal = on_terminal(host, "xterm", "rollback --yes");
    terminal.expect("bring docker.service back");
    leave(host, &mut terminal, HangsUp);
    assert_eq!(ended(host), "0", "{}", terminal.screen());
    terminal.end();
    busy.is_as_before("the terminal closed during a rollback");

    // Pipes that nobody reads, streams that are closed, and a full disk behind them.
    assert_eq!(host.ok("seaworthy audit | head -1 >/dev/null; echo ${PIPESTATUS[0]}"), "2");
    assert_eq!(host.ok("seaworthy apply --yes 2>&1 | head -1 >/dev/null; echo ${PIPESTATUS[0]}"), "0");
    assert_eq!(verdict(host, "daemon.live-restore"), "pass");
    host.ok("seaworthy rollback --yes <&- >&- 2>&-");
    busy.is_as_before("nobody listened");
    host.ok("chmod 777 /etc/docker");
    for (apply, rollback) in
        [("<&- >&- 2>&-", "2>&1 | head -1; exit ${PIPESTATUS[0]}"), (">/dev/full 2>/dev/full", ">/dev/full")]
    {
        host.ok(&format!("seaworthy apply --yes --check file.etc-docker-mode {apply}"));
        assert_eq!(host.ok("stat -c %a /etc/docker"), "755", "{apply}");
        host.ok(&format!("seaworthy rollback --yes {rollback}"));
        assert_eq!(host.ok("stat -c %a /etc/docker"), "777", "{rollback}");
    }
    host.ok("chmod 755 /etc/docker");
    busy.is_as_before("nobody listened");
}

#[test]
fn a_run_to_be_confirmed_outlives_its_killers() {
    let busy = Busy::new("trixie");
    let host = &busy.host;
    let wait = |what: &str| host.ok(&format!("for i in $(seq 300); do {what} && exit; sleep 0.1; done; exit 1"));
    // Its timer fires, and what it starts is not stopped by signals.
    seaworthy(host, "apply --yes --confirm-within 1", 0);
    let run = runs(host).pop().expect("a run");
    let unit = format!("seaworthy-confirm-{run}.service");
    wait(&format!("systemctl is-active -q {unit}"));
    host.ok(&format!(
        "for s in TERM INT HUP TERM; do systemctl kill --kill-whom=main -s $s {unit}; sleep 0.2; done; systemctl stop {unit}"
    ));
    wait(&format!("seaworthy history {run} | grep -q 'rolled back'"));
    wait("! systemctl list-units --all | grep -q seaworthy");
    busy.is_as_before("unconfirmed");
    says(&seaworthy(host, &format!("confirm {run}"), 3).stderr, &["there is nothing to confirm"]);

    // Killed before it came so far, it cannot be confirmed, and its other timer undoes it; killed in that as well, it
    // is still named.
    host.ok("rm -f /run/said; seaworthy apply --yes --confirm-within 60 2>/run/said & p=$!
        until grep -q '^restart' /run/said; do sleep 0.01; done; sleep 0.5; kill -9 $p");
    let run = runs(host).pop().expect("a run");
    seaworthy(host, &format!("confirm {run}"), 3);
    host.ok(&format!("systemctl start --no-block seaworthy-{run}.service"));
    wait(&format!("journalctl -u seaworthy-{run}.service -o cat | grep -q 'bring docker.service back'"));
    host.ok(&format!("systemctl kill -s KILL seaworthy-{run}.service"));
    says(&seaworthy(host, "audit -q", 2).stderr, &[&format!("run {run} did not finish")]);
    let (status, said) = busy.stormed("rollback --yes", 1, "HUP");
    assert_eq!(status, 0, "{said}");
    busy.is_as_before("killed twice");
}
