//! Services whose containers have to be made anew, so that what their files say holds.

use std::collections::BTreeSet;

use crate::audit::{Finding, PendingOn};
use crate::facts::workload::ComposeOrigin;
use crate::facts::{Container, Facts};
use crate::host::{ComposeProject, ComposeTool};
use crate::plan::draft::{Composed, Draft};
use crate::plan::recreation::Recreation;

/// The projects whose files are changed, as compose is told of them.
pub(in crate::plan) fn projects(facts: &Facts, draft: &Draft) -> Vec<ComposeProject> {
    let Some(tool) = facts.workload.compose else { return Vec::new() };
    draft.projects.iter().map(|origin| recreation(tool, origin, Vec::new()).compose_project(None)).collect()
}

fn recreation(tool: ComposeTool, origin: &ComposeOrigin, containers: Vec<(String, String)>) -> Recreation {
    Recreation {
        tool,
        project: origin.project.clone(),
        service: origin.service.clone(),
        working_dir: origin.working_dir.clone(),
        files: origin.config_files.clone(),
        environment_files: origin.environment_files.clone(),
        containers,
    }
}

/// The services whose containers are made anew, each once, with the checks that it is for.
pub(in crate::plan) fn recreations(facts: &Facts, draft: &Draft) -> Vec<(Recreation, Vec<String>)> {
    let Some(tool) = facts.workload.compose else { return Vec::new() };
    let (read, _) = facts.workload.each().unwrap_or_default();
    let one = |service: &Composed| {
        let origin = &service.origin;
        let own = |one: &&Container| {
            let other = one.compose.as_ref().filter(|other| !other.oneoff && one.running);
            other.is_some_and(|other| (&other.project, &other.service) == (&origin.project, &origin.service))
        };
        let containers: Vec<(String, String)> =
            read.iter().filter(own).map(|one| (one.name.clone(), one.id.clone())).collect();
        let checks = service.checks.iter().cloned().collect();
        let recreation = recreation(tool, origin, containers);
        (!recreation.containers.is_empty()).then_some((recreation, checks))
    };
    draft.composed.iter().filter_map(one).collect()
}

/// Takes up what the files say already and the containers of these checks do not have yet.
pub(in crate::plan) fn wait(facts: &Facts, draft: &mut Draft, check: &str, findings: &[Finding]) -> bool {
    let (read, _) = facts.workload.each().unwrap_or_default();
    let waits = |f: &&Finding| f.check == check && f.pending_on == Some(PendingOn::Recreate) && !f.waived;
    let ids: BTreeSet<&str> = findings.iter().filter(waits).map(|f| f.subject_id.as_str()).collect();
    let before = draft.composed.len();
    for container in read.iter().filter(|one| ids.contains(one.id.as_str())) {
        if let Some(origin) = container.compose.as_ref().filter(|_| facts.compose.anew.contains_key(&container.id)) {
            draft.compose(check, &container.name, origin);
        }
    }
    draft.composed.len() > before || !ids.is_empty() && draft.composed.iter().any(|one| one.checks.contains(check))
}
