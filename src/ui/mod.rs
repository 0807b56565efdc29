//! The only writer to the terminal. Standard output carries the report or the diff and nothing else; talk, progress
//! and prompts go to standard error.

mod interrupt;
mod prompt;
mod style;

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use dialoguer::console;
use indicatif::{ProgressBar, ProgressStyle};

pub use interrupt::Interrupt;
pub use prompt::QUIT;
pub use style::{Role, paint, paint_diff};

use crate::cli::When;
use crate::error::{Failure, Kind, Result};
use crate::text::{clean, clean_lines};

/// How often the spinner turns; often enough to be seen alive.
const TICK: Duration = Duration::from_millis(120);

/// One of the two streams.
struct Sink {
    to: Box<dyn Write>,
    color: bool,
    terminal: bool,
}

/// The terminal, or what stands in for it.
pub struct Ui {
    out: Sink,
    err: Sink,
    stdin_terminal: bool,
    /// `TERM=dumb` or unset: no cursor movement, prompts are lines.
    dumb: bool,
    quiet: bool,
    verbose: u8,
    interrupt: Interrupt,
    progress: Option<ProgressBar>,
}

impl Ui {
    /// Looks at the standard streams, and fixes the colour for all that write to them.
    pub fn new(color: When, verbose: u8, quiet: bool, interrupt: Interrupt) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let colored = |auto: ColorChoice| match color {
            When::Auto => auto != ColorChoice::Never,
            When::Always => true,
            When::Never => false,
        };
        let out =
            Sink { color: colored(AutoStream::choice(&stdout)), terminal: stdout.is_terminal(), to: Box::new(stdout) };
        let err =
            Sink { color: colored(AutoStream::choice(&stderr)), terminal: stderr.is_terminal(), to: Box::new(stderr) };
        // dialoguer and indicatif decide by themselves otherwise, and take an empty NO_COLOR for a set one.
        console::set_colors_enabled(out.color);
        console::set_colors_enabled_stderr(err.color);
        let choice = |color| if color { ColorChoice::Always } else { ColorChoice::Never };
        if color != When::Auto {
            choice(color == When::Always).write_global();
        }
        Self {
            out,
            err,
            stdin_terminal: io::stdin().is_terminal(),
            dumb: console::is_dumb(),
            quiet,
            verbose,
            interrupt,
            progress: None,
        }
    }

    /// Whether a person is there to answer.
    pub fn can_prompt(&self) -> bool {
        self.stdin_terminal && self.err.terminal
    }

    /// How often `-v` was given.
    pub fn verbose(&self) -> u8 {
        self.verbose
    }

    /// The flags that signals set.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Stops here when a signal came; to be called between steps that change nothing.
    ///
    /// # Errors
    /// A refusal that says the host is unchanged.
    pub fn check_interrupt(&self) -> Result<()> {
        match self.interrupt.raised() {
            Some(signal) => Err(interrupted(signal)),
            None => Ok(()),
        }
    }

    /// Writes a report to standard output. `text` may be styled by [`paint`]; what comes from the host in it has to
    /// be [`clean`].
    ///
    /// # Errors
    /// When standard output cannot be written (disk full); a reader that went away is no error.
    pub fn report(&mut self, text: &str) -> Result<()> {
        let plain;
        let text = if self.out.color {
            text
        } else {
            plain = anstream::adapter::strip_str(text).to_string();
            &plain
        };
        self.write_out(text)
    }

    /// Writes a document for programs to standard output: exact bytes, but for a terminal.
    ///
    /// # Errors
    /// As [`Ui::report`].
    pub fn document(&mut self, text: &str) -> Result<()> {
        if self.out.terminal { self.write_out(&clean_lines(text)) } else { self.write_out(text) }
    }

    /// Writes a document that may be long to standard output, as [`Ui::document`] does, while it is made.
    ///
    /// # Errors
    /// As [`Ui::report`], and what `make` says.
    pub fn stream(&mut self, make: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        if self.out.terminal {
            let mut bytes = Vec::new();
            written(make(&mut bytes))?;
            return self.document(&String::from_utf8_lossy(&bytes));
        }
        self.end_progress();
        let mut out = BufWriter::new(&mut self.out.to);
        written(make(&mut out).and_then(|()| out.flush()))
    }

    /// Writes a plain diff to standard output: exact bytes when piped, so that `patch` takes it; on a terminal in
    /// colour and without control characters.
    ///
    /// # Errors
    /// As [`Ui::report`].
    pub fn diff(&mut self, text: &str) -> Result<()> {
        match (self.out.color, self.out.terminal) {
            (true, _) => self.write_out(&paint_diff(text)),
            (false, true) => self.write_out(&clean_lines(text)),
            (false, false) => self.write_out(text),
        }
    }

    fn write_out(&mut self, text: &str) -> Result<()> {
        self.end_progress();
        written(self.out.to.write_all(text.as_bytes()).and_then(|()| self.out.to.flush()))
    }

    /// Says what is going on; silent with `--quiet`.
    pub fn status(&mut self, text: &str) {
        if !self.quiet {
            self.talk(&format!("{}\n", inside(text)));
        }
    }

    /// Says what `-v` asks for.
    pub fn detail(&mut self, text: &str) {
        if self.verbose > 0 {
            self.talk(&format!("{}\n", inside(text)));
        }
    }

    /// Shows styled text to the person who is asked something; not silenced, ends as it ends.
    pub fn say(&mut self, text: &str) {
        self.end_progress();
        self.talk(text);
    }

    /// Warns of something that the person should know before going on.
    pub fn warning(&mut self, text: &str) {
        self.heading(Role::Warning, "warning:", text);
    }

    /// Remarks; silent with `--quiet`.
    pub fn note(&mut self, text: &str) {
        if !self.quiet {
            self.heading(Role::Note, "note:", text);
        }
    }

    /// Names one thing to do next; silent with `--quiet`.
    pub fn hint(&mut self, text: &str) {
        if !self.quiet {
            self.heading(Role::Hint, "hint:", text);
        }
    }

    fn heading(&mut self, role: Role, heading: &str, text: &str) {
        self.talk(&format!("{} {}\n", paint(role, heading), inside(text)));
    }

    /// Prints a failure: what is wrong, why, how the host stands, and what to do next.
    pub fn error(&mut self, failure: &Failure) {
        self.end_progress();
        let message = match failure.kind {
            // A parser's page of help, about what was typed: its form is its own.
            Kind::Usage => clean_lines(&failure.message),
            _ => inside(&failure.message),
        };
        self.talk(&format!("{} {message}\n", paint(Role::Error, "error:")));
        for (at, cause) in failure.causes.iter().enumerate() {
            let lead = if at == 0 { "caused by:" } else { "          " };
            self.talk(&format!("  {lead} {}: {}\n", at + 1, inside(cause)));
        }
        if let Some(host) = &failure.host {
            self.heading(Role::Heading, "host:", host);
        }
        if let Some(hint) = &failure.hint {
            self.heading(Role::Hint, "hint:", hint);
        }
    }

    /// Begins something that changes nothing and can take a moment: a spinner on a terminal; elsewhere only with
    /// `-v`, so that a pipe is not told what nobody asked about.
    pub fn look(&mut self, text: &str) {
        if self.err.terminal && !self.dumb || self.verbose > 0 {
            self.step(text);
        }
    }

    /// Begins a step that can take long: a spinner on a terminal, else a line.
    pub fn step(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        let text = clean(text);
        if !self.err.terminal || self.dumb {
            self.talk(&format!("{text}\n"));
        } else if let Some(bar) = &self.progress {
            bar.set_message(text);
        } else {
            let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.set_message(text);
            bar.enable_steady_tick(TICK);
            self.progress = Some(bar);
        }
    }

    /// Says what is waited for: in the spinner's line; not at all where there is none.
    pub fn wait(&mut self, text: &str) {
        if let Some(bar) = &self.progress {
            bar.set_message(clean(text));
        }
    }

    /// Takes the spinner away. Everything that writes a report or asks does it first: the tick would draw over it.
    pub fn end_progress(&mut self) {
        if let Some(bar) = self.progress.take() {
            bar.finish_and_clear();
        }
    }

    /// Writes talk. A terminal that hung up is no error: whoever could read it is gone.
    fn talk(&mut self, text: &str) {
        let text = if self.err.color { text.to_owned() } else { anstream::adapter::strip_str(text).to_string() };
        let to = &mut self.err.to;
        let mut write = || {
            let _gone = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        };
        match &self.progress {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        self.end_progress();
    }
}

/// A reader that went away is no error.
fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new("standard output cannot be written").because(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Text behind a heading. Its further lines are set in: none can pass for a heading of ours.
fn inside(text: &str) -> String {
    clean_lines(text.trim_end()).replace('\n', "\n      ")
}

/// The failure of a run that a signal ended before anything was written.
fn interrupted(signal: &str) -> Failure {
    Failure::refused(format!("interrupted by {signal}")).host("unchanged")
}

#[cfg(test)]
mod tests;
