//! Documents that more than one subcommand writes or reads: reports in files, plans as text, saved plans.

use std::path::Path;

use super::session::Session;
use crate::error::{Failure, Result};
use crate::host::local;
use crate::plan::{FileChange, PLAN_SCHEMA, Plan, diff};
use crate::report::plan_text::{self, Diff};

/// Writes a document where the person wants it.
pub(super) fn save(path: &Path, text: &str) -> Result<()> {
    let shown = path.display();
    local::write(path, text)
        .map_err(|e| Failure::new(format!("{shown} cannot be written")).because(e).host("unchanged"))
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
pub(super) fn load(path: &Path) -> Result<Plan> {
    let shown = path.display();
    let read = local::read_own(path, local::sudo_user().map(|(uid, _)| uid));
    let read = read.map_err(|e| Failure::new(format!("{shown} cannot be read")).because(e).host("unchanged"))?;
    let Some(text) = read else {
        return Err(Failure::refused(format!("{shown} {}", local::FOREIGN))
            .host("unchanged")
            .hint(format!("make it anew with `seaworthy plan --out {shown}`")));
    };
    let broken = |e: serde_json::Error| {
        Failure::new(format!("{shown}:{}: this is not a saved plan", e.line()))
            .because(e)
            .host("unchanged")
            .hint(format!("make it anew with `seaworthy plan --out {shown}`"))
    };
    let plan: Plan = serde_json::from_str(&text).map_err(broken)?;
    if plan.schema_version != PLAN_SCHEMA {
        let by = &plan.tool_version;
        return Err(Failure::refused(format!("{shown} was saved by another version of seaworthy ({by})"))
            .host("unchanged")
            .hint(format!("make it anew with `seaworthy plan --out {shown}`")));
    }
    Ok(plan)
}
