//! One file a subcommand: wires the stages, nothing else.

use crate::cli::{self, Cli};
use crate::error::{Failure, Kind, Result};
use crate::ui::Ui;

/// Does what the command line asks for, and gives the exit code.
pub fn run(cli: Cli, ui: &mut Ui) -> Result<u8> {
    let Cli { command, global: _ } = cli;
    match command {
        None if !ui.can_prompt() => {
            ui.say(&cli::help());
            Ok(Kind::Usage.exit_code())
        }
        None | Some(_) => Err(Failure::new("this build has no stages to run").host("unchanged")),
    }
}
