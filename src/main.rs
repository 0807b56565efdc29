//! Parses the command line, dispatches, and maps the outcome to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use seaworthy::cli::{self, Cli, Parsed, When};
use seaworthy::command;
use seaworthy::error::{Failure, Result};
use seaworthy::report::json;
use seaworthy::ui::{Interrupt, Ui};

/// The exit code of a bug.
const BUG: i32 = 70;

fn main() -> ExitCode {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        // No unwinding through half-done work: the timer of a run takes it back.
        std::process::exit(BUG);
    }));
    let args: Vec<OsString> = std::env::args_os().collect();
    let json = cli::wants_json(&args);
    match cli::parse(args) {
        Ok(Parsed::Run(cli)) => run(*cli),
        Ok(Parsed::Text(text)) => {
            let mut ui = Ui::new(When::Auto, 0, false, Interrupt::none());
            let outcome = ui.report(&text).map(|()| 0);
            exit(outcome, json, &mut ui)
        }
        Err(failure) => exit(Err(failure), json, &mut Ui::new(When::Auto, 0, false, Interrupt::none())),
    }
}

fn run(cli: Cli) -> ExitCode {
    let json = cli.json();
    // Only where something is written: a command that reads may die by its signal.
    let (interrupt, registered) = match cli.writes().then(Interrupt::register) {
        Some(Ok(interrupt)) => (interrupt, Ok(())),
        Some(Err(error)) => (Interrupt::none(), Err(Failure::new("signals cannot be watched").because(error))),
        None => (Interrupt::none(), Ok(())),
    };
    let mut ui = Ui::new(cli.global.color, cli.global.verbose, cli.global.quiet, interrupt);
    let outcome = registered.and_then(|()| command::run(cli, &mut ui));
    exit(outcome, json, &mut ui)
}

fn exit(outcome: Result<u8>, json: bool, ui: &mut Ui) -> ExitCode {
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => {
            ui.error(&failure);
            if json {
                // Standard output may be what failed; the exit code tells it all the same.
                let _unwritable = ui.document(&json::failure(&failure));
            }
            failure.kind.exit_code().into()
        }
    }
}
