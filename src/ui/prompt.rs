//! Questions. All answers are lines: whoever types `y` and Enter must not answer the next question with the Enter.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use dialoguer::console::Term;
use dialoguer::{Input, theme::SimpleTheme};

use super::{Interrupt, Ui, clean, interrupted};
use crate::error::{Failure, Result};

/// How soon a signal is noticed while a line is waited for.
const NOTICE: Duration = Duration::from_millis(100);

/// Ctrl-D, as `console` hands it over: the end of the input.
const END: char = '\u{4}';

/// What `seaworthy` reads when the input ends.
pub const QUIT: &str = "q";

impl Ui {
    /// Asks for a line; Enter alone gives `""`, the end of the input [`QUIT`].
    ///
    /// # Errors
    /// A refusal off a terminal, or when a signal came; the host is unchanged in both.
    pub fn ask(&mut self, prompt: &str) -> Result<String> {
        self.end_progress();
        self.check_interrupt()?;
        if !self.can_prompt() {
            return Err(Failure::refused("no terminal to ask on").host("unchanged"));
        }
        let answer = if self.dumb {
            self.talk(&format!("{}: ", clean(prompt)));
            read_line(&self.interrupt)
        } else {
            let theme = SimpleTheme;
            Input::<String>::with_theme(&theme)
                .with_prompt(clean(prompt))
                .allow_empty(true)
                .interact()
                .map_err(|dialoguer::Error::IO(error)| error)
        };
        match answer {
            Ok(line) if line.contains(END) => Ok(QUIT.into()),
            Ok(line) => Ok(line.trim().to_owned()),
            Err(error) => Err(self.prompt_failed(&error)),
        }
    }

    /// console hides the cursor and leaves it hidden when a signal ends the prompt.
    fn prompt_failed(&mut self, error: &io::Error) -> Failure {
        if !self.dumb {
            let _gone = Term::stderr().show_cursor();
        }
        self.talk("\n");
        match self.interrupt.raised() {
            Some(signal) => interrupted(signal),
            None if error.kind() == io::ErrorKind::Interrupted => interrupted("SIGINT"),
            None => Failure::refused("the terminal cannot be read").because(error).host("unchanged"),
        }
    }
}

/// Reads a line from standard input, and gives up when a signal comes. The reading is a thread's, because the
/// standard library repeats a read that a signal broke off; the thread ends with the process.
fn read_line(interrupt: &Interrupt) -> io::Result<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        // Nobody waits any more when a signal came first.
        let _gone = send.send(read.map(|bytes| if bytes == 0 { QUIT.into() } else { line }));
    });
    loop {
        match receive.recv_timeout(NOTICE) {
            Ok(line) => return line,
            Err(RecvTimeoutError::Timeout) if !interrupt.is_raised() => {}
            Err(_) => return Err(io::ErrorKind::Interrupted.into()),
        }
    }
}
