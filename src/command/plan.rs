//! `seaworthy plan`: the exact diff and the actions. Changes nothing.

use super::audit::save;
use super::session::{self, Session};
use crate::cli::{Global, Plan as Args, PlanFormat};
use crate::error::{Failure, Result};
use crate::host::Recorder;
use crate::plan::{Choice, FileChange, Plan, diff};
use crate::report::plan_text::{self, Diff};
use crate::report::{json, plan_exit};
use crate::ui::Ui;

/// Plans and prints.
pub(super) fn run(args: &Args, global: &Global, ui: &mut Ui) -> Result<u8> {
    let host = session::open(global, args.facts.as_deref())?;
    let recorder = Recorder::new(&*host);
    let session = Session::open(&recorder, global, args.facts.is_some(), ui)?;
    if args.facts.is_none() {
        super::change::name_unfinished(&*host, ui);
    }
    let accept = session.accepted(&args.limits.accept, ui)?;
    let past = super::change::past(&*host);
    let planned = session.plan(Choice { only: None, accept }, args.limits.no_restart, &past)?;
    let exit = plan_exit(&planned.plan);
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&planned.plan).map_err(super::not_json)?;
        save(path, &text)?;
        let told = format!("saved to {}; apply it with `seaworthy apply {}`", path.display(), path.display());
        ui.status(&super::on_same_host(&told, global));
    }
    match args.format {
        PlanFormat::Diff => ui.diff(&document(&planned.plan, &session))?,
        PlanFormat::Json => {
            let render = |change: &FileChange| rendered(change, &session);
            let text = json::plan(&session.envelope(exit), &planned.plan, &render).map_err(super::not_json)?;
            ui.document(&text)?;
        }
    }
    Ok(exit)
}

/// The plan as text.
pub(super) fn document(plan: &Plan, session: &Session<'_>) -> String {
    plan_text::document(plan, &|slug| session.number(slug), &|change| rendered(change, session))
}

/// One file's diff.
pub(super) fn rendered(change: &FileChange, session: &Session<'_>) -> Diff {
    let rendered = diff::render(change, &|uid, gid| session.owner(uid, gid));
    Diff { text: rendered.text, patchable: rendered.patchable }
}

/// Reads a saved plan.
pub(super) fn load(path: &std::path::Path) -> Result<Plan> {
    let shown = path.display();
    if !crate::host::local::is_trusted(path, crate::cli::sudo_user().map(|(uid, _)| uid)) {
        return Err(Failure::refused(format!("{shown} can be written by others, or belongs to someone else"))
            .host("unchanged")
            .hint(format!("make it anew with `seaworthy plan --out {shown}`")));
    }
    let text = crate::host::local::read(path)
        .map_err(|e| Failure::new(format!("{shown} cannot be read")).because(e).host("unchanged"))?;
    let broken = |e: serde_json::Error| {
        Failure::new(format!("{shown}:{}: this is not a saved plan", e.line()))
            .because(e)
            .host("unchanged")
            .hint(format!("make it anew with `seaworthy plan --out {shown}`"))
    };
    let plan: Plan = serde_json::from_str(&text).map_err(broken)?;
    if plan.schema_version != crate::plan::PLAN_SCHEMA {
        let by = &plan.tool_version;
        return Err(Failure::refused(format!("{shown} was saved by another version of seaworthy ({by})"))
            .host("unchanged")
            .hint(format!("make it anew with `seaworthy plan --out {shown}`")));
    }
    Ok(plan)
}
