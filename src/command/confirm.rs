//! `seaworthy confirm`: keeps a run that `--confirm-within` would undo.

use super::session;
use crate::apply::{self, Store};
use crate::cli::Global;
use crate::error::Result;
use crate::ui::Ui;

/// Confirms a run.
pub(super) fn run(run: &str, global: &Global, ui: &mut Ui) -> Result<u8> {
    let mut host = session::live(global)?;
    session::need_root(&host, "confirm")?;
    apply::confirm(&mut host, &Store::default(), run, ui)?;
    ui.end_progress();
    ui.status(&format!("run {run} is kept"));
    Ok(0)
}
