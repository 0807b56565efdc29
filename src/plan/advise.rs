//! Containers that only making anew would mend, and that no compose file and no swarm makes: the command that a person
//! would type. Nothing of it is done: what a container wrote beside its volumes is gone with it.

mod harden;
mod host_config;
mod image;
mod line;
mod quote;
mod reach;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

use harden::{Hardened, setting};
use line::{Line, joined};

use super::build::Inputs;
use super::proposal::proposals;
use crate::audit::{Finding, Verdict};
use crate::catalog::{Check, ContainerRule};
use crate::facts::workload::{self, Recipe};
use crate::facts::{Container, Known, Unknown};

/// How one container would be made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advised {
    /// `container:NAME`
    pub subject: String,
    /// Its full id.
    pub subject_id: String,
    /// Failing checks that pass then.
    pub checks: Vec<String>,
    /// Those that stay, since nobody but its owner can say what it can do without.
    pub left: Vec<String>,
    /// What comes first, one command line each: it keeps the old container under another name.
    pub before: Vec<String>,
    /// The command line; `None`: how the container was made is not known, and a note says why.
    pub command: Option<String>,
    /// What has to be filled in, where the command has `"${NAME:?}"`: it does not run before.
    pub choices: Vec<Choice>,
    /// What the command changes besides, and what no option says.
    pub notes: Vec<String>,
}

/// Something that only a person can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Its name in the command.
    pub name: String,
    /// What it is.
    pub what: String,
}

/// The commands for all such containers, by name. `findings`: those of [`super::plan()`]. Asks the Engine how each of
/// them was made.
pub fn advise(inputs: &Inputs<'_>, findings: &[Finding]) -> Vec<Advised> {
    let (containers, _) = inputs.facts.workload.each().unwrap_or_default();
    containers.iter().filter(|one| is_plain(one)).filter_map(|one| for_one(inputs, findings, containers, one)).collect()
}

/// Whoever else makes a container makes it as before.
fn is_plain(container: &Container) -> bool {
    let others = ["com.docker.compose.", "com.docker.swarm.", "io.kubernetes.", "com.docker.stack."];
    !container.labels.keys().any(|label| others.iter().any(|other| label.starts_with(other)))
}

fn for_one(
    inputs: &Inputs<'_>,
    findings: &[Finding],
    containers: &[Container],
    container: &Container,
) -> Option<Advised> {
    let open = |f: &&Finding| f.subject_id == container.id && f.verdict == Verdict::Fail && !f.waived;
    let rule = |finding: &Finding| -> Option<&ContainerRule> {
        let entry = inputs.entries.iter().find(|entry| entry.id == finding.check)?;
        if let Check::Container(rule) = &entry.check { Some(rule) } else { None }
    };
    let failing: Vec<(&Finding, &ContainerRule)> =
        findings.iter().filter(open).filter_map(|finding| Some((finding, rule(finding)?))).collect();
    // A limit alone can be given while it runs, and the plan does.
    let mut advised = Advised {
        subject: format!("container:{}", container.name),
        subject_id: container.id.clone(),
        checks: Vec::new(),
        left: Vec::new(),
        before: Vec::new(),
        command: None,
        choices: Vec::new(),
        notes: Vec::new(),
    };
    if failing.iter().all(|(_, rule)| setting(rule).is_some()) {
        return None;
    }
    let recipe = match asked(inputs, container) {
        Ok(recipe) => recipe,
        Err(why) => {
            advised.left = failing.iter().map(|(finding, _)| finding.check.clone()).collect();
            advised.notes = vec![format!("how it was made is not known: {why}")];
            return Some(advised);
        }
    };
    let mut line = Line::default();
    let mut value = recipe.container.clone();
    let mut reason = false;
    for (finding, rule) in failing {
        let limit = limit(inputs, finding, container);
        let mut hardened = Hardened { facts: inputs.facts, container, value: &mut value, line: &mut line };
        if hardened.take(rule, limit.as_ref()) {
            reason |= setting(rule).is_none();
            advised.checks.push(finding.check.clone());
        } else {
            advised.left.push(finding.check.clone());
        }
    }
    if !reason {
        return None;
    }
    let recipe = Recipe { container: value, ..recipe };
    let line = written(inputs, line, &recipe, container, containers);
    Some(finished(advised, line, container))
}

fn asked(inputs: &Inputs<'_>, container: &Container) -> Known<Recipe> {
    if !matches!(inputs.facts.daemon.running, Ok(Some(_))) {
        return Err(Unknown("docker does not run".into()));
    }
    workload::recipe(inputs.host, &inputs.facts.daemon.socket, container)
}

/// The limit that the plan would give it while it runs.
fn limit(inputs: &Inputs<'_>, finding: &Finding, container: &Container) -> Option<super::LiveState> {
    let entry = inputs.entries.iter().find(|entry| entry.id == finding.check)?;
    let all = proposals(inputs.host, inputs.facts, inputs.policy, entry, &[finding]);
    let own = all.into_iter().find(|one| one.id == container.id)?;
    own.change.ok().map(|(change, _)| change.after)
}

fn written(
    inputs: &Inputs<'_>,
    hardened: Line,
    recipe: &Recipe,
    container: &Container,
    containers: &[Container],
) -> Line {
    let mut line = Line::default();
    line.word("docker");
    // One that does not run is made, and not started.
    line.word(if container.running { "run" } else { "create" });
    if container.running {
        line.flag("detach");
    }
    line.option("name", container.name.as_str());
    line.append(hardened);
    image::options(&mut line, recipe, container);
    host_config::options(&mut line, recipe, inputs.facts, containers);
    reach::mounts(&mut line, recipe);
    reach::network(&mut line, recipe, container, containers);
    unsaid(&mut line, &recipe.container["HostConfig"], host_config::KNOWN);
    unsaid(&mut line, &recipe.container["Config"], image::KNOWN);
    if recipe.image.is_err() {
        line.note("what its image says is not known: the command says it too");
    }
    let images = inputs.facts.images.as_deref().unwrap_or_default();
    image::command(&mut line, recipe, container, images);
    line
}

/// What there is and no option of ours says.
fn unsaid(line: &mut Line, all: &Value, known: &[&str]) {
    let new =
        all.as_object().into_iter().flatten().filter(|(key, value)| !known.contains(&&***key) && !reach::empty(value));
    let names: Vec<&str> = new.map(|(key, _)| key.as_str()).collect();
    if !names.is_empty() {
        line.note(&format!(
            "it has settings that are not known here and that the command leaves out: {}",
            names.join(", ")
        ));
    }
}

/// The old container is kept, stopped, until someone is content with the new one.
fn finished(mut advised: Advised, mut line: Line, container: &Container) -> Advised {
    let name = &container.name;
    advised.before = std::mem::take(&mut line.before);
    if container.auto_remove {
        line.note("it is removed as soon as it is stopped, and what it wrote beside its volumes with it");
        advised.before.push(joined(&["docker", "stop", name]));
    } else {
        let old = format!("{name}.old");
        let mut keep = vec![joined(&["docker", "stop", name]), joined(&["docker", "rename", name, &old])];
        let mut back = vec![format!("docker rm -f {name}"), format!("docker rename {old} {name}")];
        // Of the policies this one alone starts what a person stopped, with the daemon.
        if container.restart == "always" {
            keep.push(joined(&["docker", "update", "--restart", "no", &old]));
            back.push(format!("docker update --restart always {name}"));
        }
        if container.running {
            back.push(format!("docker start {name}"));
        }
        advised.before.push(keep.join(" && "));
        line.note(&format!("what it wrote beside its volumes stays in {old}; back: `{}`", back.join(" && ")));
    }
    let all = std::iter::once(line.text()).chain(std::mem::take(&mut line.after));
    advised.command = Some(all.collect::<Vec<_>>().join(" && "));
    advised.choices = line.choices.into_iter().map(|(name, what)| Choice { name, what }).collect();
    advised.notes = line.notes;
    advised
}
