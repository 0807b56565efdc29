use std::sync::{Arc, Mutex};

use super::*;

/// A stream that a test can read, or that breaks.
#[derive(Clone, Default)]
struct Tape {
    bytes: Arc<Mutex<Vec<u8>>>,
    fault: Option<ErrorKind>,
}

impl Tape {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.fault {
            return Err(kind.into());
        }
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ui(out: &Tape, err: &Tape, color: bool, terminal: bool, quiet: bool) -> Ui {
    let sink = |tape: &Tape| Sink { to: Box::new(tape.clone()), color, terminal };
    Ui {
        out: sink(out),
        err: sink(err),
        stdin_terminal: terminal,
        dumb: true,
        quiet,
        verbose: 0,
        interrupt: Interrupt::none(),
        progress: None,
    }
}

#[test]
fn a_failure_is_printed_in_its_form() {
    let (out, err) = (Tape::default(), Tape::default());
    let failure = Failure::new("docker.service did not become active within 30s after the restart")
        .because("unit entered failed state (exit code 1)")
        .because("bad\u{1b}[2J flag")
        .host("rolled back 2 of 2 changes, docker.service active again (run 7f3a)")
        .hint("run `journalctl -u docker.service -n 50`");
    ui(&out, &err, false, false, true).error(&failure);
    assert_eq!(
        err.text(),
        "\
error: docker.service did not become active within 30s after the restart
  caused by: 1: unit entered failed state (exit code 1)
             2: bad\\u{1b}[2J flag
host: rolled back 2 of 2 changes, docker.service active again (run 7f3a)
hint: run `journalctl -u docker.service -n 50`
"
    );
    assert_eq!(out.text(), "");
}

#[test]
fn quiet_keeps_warnings_and_drops_talk() {
    let (out, err) = (Tape::default(), Tape::default());
    let mut ui = ui(&out, &err, false, false, true);
    ui.status("reading");
    ui.note("a");
    ui.hint("b");
    ui.step("restarting docker.service");
    ui.warning("c");
    assert_eq!(err.text(), "warning: c\n");
}

#[test]
fn colour_is_on_when_wanted_and_off_otherwise() {
    for (color, expected) in [(true, "\u{1b}[1mx\u{1b}[0m\n"), (false, "x\n")] {
        let (out, err) = (Tape::default(), Tape::default());
        ui(&out, &err, color, true, false).report(&format!("{}\n", paint(Role::Heading, "x"))).unwrap();
        assert_eq!(out.text(), expected);
    }
}

#[test]
fn a_piped_diff_is_exact_and_a_shown_one_is_clean() {
    let diff = "+a\u{1b}[8m\r\n";
    for (terminal, expected) in [(false, diff), (true, "+a\\u{1b}[8m\\r\n")] {
        let (out, err) = (Tape::default(), Tape::default());
        ui(&out, &err, false, terminal, false).diff(diff).unwrap();
        assert_eq!(out.text(), expected);
    }
}

#[test]
fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
    let err = Tape::default();
    let gone = Tape { fault: Some(ErrorKind::BrokenPipe), ..Tape::default() };
    let full = Tape { fault: Some(ErrorKind::StorageFull), ..Tape::default() };
    assert!(ui(&gone, &err, false, false, false).report("x").is_ok());
    let failure = ui(&full, &err, false, false, false).report("x").unwrap_err();
    assert_eq!(failure.message, "standard output cannot be written");
    ui(&err, &gone, false, false, false).warning("nobody hears this");
}

#[test]
fn off_a_terminal_nothing_is_asked() {
    let (out, err) = (Tape::default(), Tape::default());
    let mut ui = ui(&out, &err, false, false, false);
    assert!(!ui.can_prompt());
    assert_eq!(ui.ask("apply?").unwrap_err().kind.exit_code(), 3);
    assert_eq!(err.text(), "");
}

#[test]
fn steps_are_lines_where_no_spinner_can_be() {
    let (out, err) = (Tape::default(), Tape::default());
    let mut ui = ui(&out, &err, false, false, false);
    ui.step("reloading docker.service");
    ui.step("waiting for\nhealth");
    assert_eq!(err.text(), "reloading docker.service\nwaiting for\\nhealth\n");
}
