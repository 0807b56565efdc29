//! One file a subcommand: wires the stages, nothing else.

mod audit;
mod checks;
mod explain;
mod facts;
mod plan;
mod session;

use std::path::PathBuf;

use crate::cli::{self, Cli, Sub};
use crate::error::{Failure, Kind, Result};
use crate::host::Host;
use crate::ui::Ui;

/// Does what the command line asks for, and gives the exit code.
///
/// # Errors
/// See [`Kind`].
pub fn run(cli: Cli, ui: &mut Ui) -> Result<u8> {
    let Cli { command, global } = cli;
    match command {
        None if !ui.can_prompt() => {
            ui.say(&cli::help());
            Ok(Kind::Usage.exit_code())
        }
        Some(Sub::Audit(args)) => audit::run(&args, &global, ui),
        Some(Sub::Plan(args)) => plan::run(&args, &global, ui),
        Some(Sub::Explain { name }) => explain::run(&name, &global, ui),
        Some(Sub::Checks { format }) => checks::run(format, &global, ui),
        Some(Sub::Facts { output }) => facts::run(output.as_deref(), &global, ui),
        _ => Err(Failure::new("wip")),
    }
}

/// A value of ours that cannot be JSON: a bug.
fn not_json(error: serde_json::Error) -> Failure {
    Failure::new("a document could not be written as JSON").because(error)
}

fn name_unfinished(_host: &dyn Host, _ui: &mut Ui) {}

fn put_back(_host: &dyn Host) -> Vec<PathBuf> {
    Vec::new()
}
