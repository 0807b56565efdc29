//! `seaworthy checks`: the catalogue.

use super::session::{benchmark, catalog};
use crate::catalog::{Selection, explain, select};
use crate::cli::{Format, Global};
use crate::error::Result;
use crate::policy::Policy;
use crate::ui::Ui;

/// Prints the selected checks.
pub(super) fn run(format: Format, global: &Global, ui: &mut Ui) -> Result<u8> {
    let benchmark = benchmark(global, &Policy::default())?;
    let selection = Selection {
        check: global.check.clone(),
        skip: global.skip.clone(),
        profile: global.profile.clone().unwrap_or_else(|| "level-2".into()),
        benchmark: benchmark.version().into(),
    };
    let selected = select(catalog(), &selection)?;
    for note in &selected.notes {
        ui.note(note);
    }
    match format {
        Format::Text => ui.report(&explain::table(&selected.entries, benchmark))?,
        Format::Json => ui.document(&format!("{:#}\n", explain::as_json(&selected.entries)))?,
    }
    Ok(0)
}
