//! `seaworthy explain CHECK`: the catalogue's page about a check.

use super::session::{benchmark, catalog};
use crate::catalog::{explain, find};
use crate::cli::Global;
use crate::error::Result;
use crate::policy::Policy;
use crate::ui::Ui;

/// Prints the page.
pub(super) fn run(name: &str, global: &Global, ui: &mut Ui) -> Result<u8> {
    let (entry, note) = find(catalog(), name, benchmark(global, &Policy::default())?)?;
    if let Some(note) = note {
        ui.note(&note);
    }
    ui.report(&explain::explain(entry))?;
    Ok(0)
}
