//! `seaworthy facts`: records this host in one file, secrets masked, so that it can be audited elsewhere.

use std::path::Path;

use super::documents::save;
use super::session::{self, Look, Past, Session};
use crate::cli::Global;
use crate::error::Result;
use crate::host::Recorder;
use crate::plan::Choice;
use crate::report::mask;
use crate::ui::Ui;

/// Records everything that an audit and a plan of all checks read.
pub(super) fn run(output: Option<&Path>, global: &Global, ui: &mut Ui) -> Result<u8> {
    let host = session::open(global, None)?;
    let recorder = Recorder::whole(&*host);
    let session = Session::open(&recorder, global, Look::default(), ui)?;
    // A plan looks at more than an audit: parents of new files, hazards.
    session.plan(Choice::accepting(session.entries.iter().map(|e| e.id.clone()).collect()), false, &Past::default())?;
    let recording = mask::recording(recorder.recording());
    let text = serde_json::to_string_pretty(&recording).map_err(super::not_json)? + "\n";
    match output {
        Some(path) => {
            save(path, &text)?;
            ui.status(&format!("recorded to {}", path.display()));
        }
        None => ui.document(&text)?,
    }
    Ok(0)
}
