//! `seaworthy plan`: the exact diff and the actions. Changes nothing.

use super::documents::{document, rendered, save};
use super::session::{self, Look, Session};
use crate::cli::{Global, Plan as Args, PlanFormat};
use crate::error::Result;
use crate::host::Recorder;
use crate::plan::{Choice, FileChange};
use crate::report::{json, plan_exit, plan_text};
use crate::ui::Ui;

/// Plans and prints.
pub(super) fn run(args: &Args, global: &Global, ui: &mut Ui) -> Result<u8> {
    let host = session::open(global, args.facts.as_deref())?;
    let recorder = Recorder::new(&*host);
    let look = Look { recorded: args.facts.is_some(), rootless: None };
    let session = Session::open(&recorder, global, look, ui)?;
    if args.facts.is_none() {
        super::change::name_unfinished(&*host, ui);
    }
    let accept = session.accepted(&args.limits.accept, ui)?;
    let past = super::change::past(&*host);
    let choice = Choice { only: None, accept, recreate: args.limits.recreate };
    let planned = session.plan(choice.clone(), args.limits.no_restart, &past)?;
    let advised = session.advise(choice, &past, &planned.findings);
    let exit = plan_exit(&planned.plan);
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&planned.plan).map_err(super::not_json)?;
        save(path, &text)?;
        let told = format!("saved to {}; apply it with `seaworthy apply {}`", path.display(), path.display());
        ui.status(&super::on_same_host(&told, global));
    }
    match args.format {
        PlanFormat::Diff => {
            let number = |slug: &str| session.number(slug);
            ui.diff(&(document(&planned.plan, &session) + &plan_text::advised(&advised, &number)))?;
        }
        PlanFormat::Json => {
            let render = |change: &FileChange| rendered(change, &session);
            let text =
                json::plan(&session.envelope(exit), &planned.plan, &advised, &render).map_err(super::not_json)?;
            ui.document(&text)?;
        }
    }
    Ok(exit)
}
