//! One file a subcommand: wires the stages, nothing else.

mod apply;
mod audit;
mod carry_out;
mod change;
mod checks;
mod confirm;
mod documents;
mod explain;
mod facts;
mod guided;
mod history;
mod plan;
mod rollback;
mod session;
mod waive;

use std::path::Path;

use crate::cli::{self, Cli, Global, Sub};
use crate::error::{Failure, Kind, Result};
use crate::host::{Host, path};
use crate::ui::Ui;

/// Does what the command line asks for, and gives the exit code.
///
/// # Errors
/// See [`Kind`].
pub fn run(cli: Cli, ui: &mut Ui) -> Result<u8> {
    let Cli { command, global } = cli;
    dispatch(command, &global, ui).map_err(|failure| {
        let hint = failure.hint.as_ref().map(|hint| on_same_host(hint, &global));
        Failure { hint, ..failure }
    })
}

/// A hint for the host that was asked about: pasted without `--root`, its command would change the one it runs on.
fn on_same_host(hint: &str, global: &Global) -> String {
    let Some(root) = &global.root else { return hint.to_owned() };
    let part = |(at, part): (usize, &str)| {
        let command = at % 2 == 1 && part.trim_start_matches("sudo ").starts_with("seaworthy ");
        if command { format!("{part} --root {}", root.display()) } else { part.to_owned() }
    };
    hint.split('`').enumerate().map(part).collect::<Vec<_>>().join("`")
}

fn dispatch(command: Option<Sub>, global: &Global, ui: &mut Ui) -> Result<u8> {
    match command {
        None if !ui.can_prompt() => {
            ui.say(&cli::help());
            Ok(Kind::Usage.exit_code())
        }
        None => guided::run(global, ui),
        Some(Sub::Audit(args)) => audit::run(&args, global, ui),
        Some(Sub::Plan(args)) => plan::run(&args, global, ui),
        Some(Sub::Apply(args)) => apply::run(&args, global, ui),
        Some(Sub::Confirm { run }) => confirm::run(&run, global, ui),
        Some(Sub::Rollback(args)) => rollback::run(&args, global, ui),
        Some(Sub::History { run, format }) => history::run(run.as_deref(), format, global, ui),
        Some(Sub::Explain { name }) => explain::run(&name, global, ui),
        Some(Sub::Checks { format }) => checks::run(format, global, ui),
        Some(Sub::Waive(args)) => waive::run(&args, global, ui),
        Some(Sub::Facts { output }) => facts::run(output.as_deref(), global, ui),
    }
}

/// A value of ours that cannot be JSON: a bug.
fn not_json(error: serde_json::Error) -> Failure {
    Failure::new("a document could not be written as JSON").because(error)
}

/// `/etc/machine-id`, for documents about runs.
fn machine_id(host: &dyn Host) -> Option<String> {
    let text = path::read_text(host, Path::new("/etc/machine-id")).ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}
