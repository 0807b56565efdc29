//! Services of compose: files that compose can read, containers that are what their file says, and whether a service is
//! well once it was made anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::io::At;
use super::service;
use super::store::Run;
use super::waiting::{Waiting, Watch};
use crate::error::{Failure, Result};
use crate::facts::workload::ComposeOrigin;
use crate::facts::{Container, short};
use crate::host::{Answer, Command, ComposeProject, ComposeTool, Host, HostMut, path};
use crate::plan::{Act, Plan, Recreation, diff};

/// Where compose writes the digest of all that it gave a container.
const DIGEST: &str = "com.docker.compose.config-hash";

/// The recreations of a plan, in order.
pub(super) fn recreations(plan: &Plan) -> impl Iterator<Item = &Recreation> {
    plan.steps.iter().filter_map(|step| match &step.act {
        Act::Recreate(recreation) => Some(recreation),
        _ => None,
    })
}

/// The projects that a plan is about, each once.
fn projects(plan: &Plan) -> Vec<ComposeProject> {
    let mut all = plan.compose.clone();
    all.extend(recreations(plan).map(|recreation| recreation.compose_project(None)));
    let mut each: Vec<ComposeProject> = Vec::new();
    for mut project in all {
        project.socket = Some(plan.target.socket.clone());
        if !each.contains(&project) {
            each.push(project);
        }
    }
    each
}

/// One container of a service.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) container: Container,
    /// Between two tries of its restart policy.
    restarting: bool,
    /// How often its restart policy started it.
    restarts: i64,
    /// Its published ports that are the same in every container made from its file: `8080->80/tcp`.
    ports: BTreeSet<String>,
}

/// The containers of a service, running or not, but those of `compose run`.
///
/// # Errors
/// When docker does not run, or does not answer.
pub(super) fn members(host: &dyn Host, socket: &Path, wanted: &Recreation) -> Result<Vec<Member>> {
    let unknown = |why: &str| {
        let Recreation { service, project, .. } = wanted;
        Failure::new(format!("service {service} of project {project} cannot be looked at")).because(why)
    };
    if !service::up(host) {
        return Err(unknown("docker.service does not run").hint("run `systemctl start docker.service`"));
    }
    let list = service::get(host, socket, "/containers/json?all=1").ok_or_else(|| unknown("docker does not answer"))?;
    let label =
        |one: &Value, name: &str| one["Labels"][format!("com.docker.compose.{name}")].as_str().map(str::to_owned);
    let ours = |one: &&Value| {
        label(one, "project").as_ref() == Some(&wanted.project)
            && label(one, "service").as_ref() == Some(&wanted.service)
    };
    let listed = list.as_array().into_iter().flatten().filter(ours);
    let questions: Vec<String> =
        listed.filter_map(|one| one["Id"].as_str()).map(|id| format!("/containers/{id}/json")).collect();
    let mut found = Vec::new();
    for answer in host.engine(socket, &questions) {
        // One that went away since the list is no container of it.
        let Ok(value) = answer else { continue };
        let container = Container::read(&value).ok_or_else(|| unknown("an inspection makes no sense"))?;
        if !container.compose.as_ref().is_some_and(|origin: &ComposeOrigin| origin.oneoff) {
            let restarting = value["State"]["Restarting"].as_bool().unwrap_or(false);
            let restarts = value["RestartCount"].as_i64().unwrap_or(0);
            found.push(Member { restarting, restarts, ports: ports(&value), container });
        }
    }
    found.sort_by(|a, b| a.container.name.cmp(&b.container.name));
    Ok(found)
}

/// Published ports that are in force. The address is not part of it: a fix may bind it to one, and a port that docker
/// chooses is another one each time.
fn ports(inspection: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let in_force =
        |inside: &str| inspection["NetworkSettings"]["Ports"][inside].as_array().is_some_and(|all| !all.is_empty());
    for (inside, bindings) in inspection["HostConfig"]["PortBindings"].as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten().filter(|_| in_force(inside)) {
            let outside = binding["HostPort"].as_str().filter(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
            found.insert(format!("{}->{inside}", outside.unwrap_or("any")));
        }
    }
    found
}

/// The published ports of a service.
pub(super) fn published(members: &[Member]) -> Vec<String> {
    let all: BTreeSet<&String> = members.iter().flat_map(|one| &one.ports).collect();
    all.into_iter().cloned().collect()
}

/// What of a service is not as a plan found it, in words. Its containers run and are no others.
pub(super) fn moved(wanted: &Recreation, members: &[Member]) -> Vec<String> {
    let mut differs = Vec::new();
    for (name, id) in &wanted.containers {
        match members.iter().find(|one| one.container.id == *id) {
            None => differs.push(format!("container {name} ({}) is gone, or was made anew", short(id))),
            Some(one) if !one.container.running => differs.push(format!("container {name} does not run")),
            Some(_) => {}
        }
    }
    let new = members.iter().filter(|one| one.container.running);
    let new = new.filter(|one| wanted.containers.iter().all(|(_, id)| *id != one.container.id));
    differs.extend(new.map(|one| format!("container {} came since", one.container.name)));
    differs
}

/// Compares every service with the plan, and looks whether it can be made anew at all.
///
/// # Errors
/// Refuses, naming what differs or is missing.
pub(super) fn unmoved(host: &dyn Host, plan: &Plan) -> Result<()> {
    if recreations(plan).next().is_none() {
        return Ok(());
    }
    let refused = |what: String| Failure::refused(what).host("unchanged");
    if host.offline() {
        return Err(refused("plan makes containers anew, and none runs in an image".into()));
    }
    for wanted in recreations(plan) {
        let Recreation { service, project, .. } = wanted;
        if wanted.containers.is_empty() || service.is_empty() || service.starts_with('-') {
            return Err(refused(format!("plan: service {service} of project {project} has no container")));
        }
        if ComposeTool::of(host).is_none_or(|tool| tool != wanted.tool) {
            return Err(refused(format!(
                "service {service} of project {project} cannot be made anew: its compose is gone"
            ))
            .hint("install docker-compose, and run `seaworthy plan` again"));
        }
        let members = members(host, &plan.target.socket, wanted).map_err(|error| error.host("unchanged"))?;
        let mut differs = moved(wanted, &members);
        differs.extend(members.iter().filter_map(ill_before));
        differs.extend(other_images(host, &plan.target.socket, &members));
        if !differs.is_empty() {
            let failure = refused(format!("service {service} of project {project} is not as it has to be"));
            let failure = differs.into_iter().fold(failure, Failure::because);
            return Err(failure.hint("run `seaworthy plan` and review the new one"));
        }
    }
    Ok(())
}

/// Of a service that is ill already nobody could tell whether it came back well.
fn ill_before(member: &Member) -> Option<String> {
    let Member { container, restarting, .. } = member;
    let ill = container.running && (*restarting || container.confinement.health.as_deref() == Some("unhealthy"));
    ill.then(|| format!("container {} is not well as it is", container.name))
}

/// Containers whose image has another one under its name by now, or none: a new container would be another program.
fn other_images(host: &dyn Host, socket: &Path, members: &[Member]) -> Vec<String> {
    let running: Vec<&Container> = members.iter().map(|one| &one.container).filter(|one| one.running).collect();
    let questions: Vec<String> = running.iter().map(|one| format!("/images/{}/json", one.image)).collect();
    let differs = |(one, answer): (&&Container, std::result::Result<Value, _>)| match answer {
        Ok(image) if image["Id"].as_str() == Some(&one.image_id) => None,
        Ok(_) => Some(format!("container {}: another image is called {} by now", one.name, one.image)),
        Err(_) => Some(format!("container {}: its image {} is no longer here", one.name, one.image)),
    };
    running.iter().zip(host.engine(socket, &questions)).filter_map(differs).collect()
}

/// Whether compose can read the files of the plan's projects as they are, and would make of them the containers that
/// run: what was changed in a file since, or what a variable of somebody's shell decided, would come along unseen.
///
/// # Errors
/// When it cannot, or would not.
pub(super) fn as_written(host: &mut dyn HostMut, run: &Run, plan: &Plan) -> Result<()> {
    if host.offline() {
        return Ok(());
    }
    for project in projects(plan) {
        check(host, &project, "compose cannot read it as it is")?;
    }
    for wanted in recreations(plan) {
        let Recreation { service, project, .. } = wanted;
        let told = wanted.compose_project(Some(&plan.target.socket));
        let unknown = format!("service {service} of project {project} is not known to compose");
        let written = digest(host, &told, service, unknown)?;
        let members = members(host.as_host(), &plan.target.socket, wanted)?;
        let other =
            |one: &Member, digest: &String| one.container.running && one.container.labels.get(DIGEST) != Some(digest);
        let mut others: Vec<&Member> = members.iter().filter(|one| other(one, &written)).collect();
        if !others.is_empty() {
            let alone = alone(host, run, &told, service)?;
            others.retain(|one| alone.as_ref().is_none_or(|alone| other(one, alone)));
        }
        if let Some(one) = others.first() {
            return Err(Failure::refused(format!(
                "container {} is not what its compose file says: other changes would come with this one",
                one.container.name
            ))
            .host("unchanged")
            .hint(format!("run `{}` first, with the variables that the project needs", wanted.command())));
        }
    }
    Ok(())
}

/// The digest that compose gives a service of these files.
fn digest(host: &mut dyn HostMut, project: &ComposeProject, service: &str, message: String) -> Result<String> {
    let command = Command::ComposeHash { project: project.clone(), service: service.to_owned() };
    // `SERVICE DIGEST`
    Ok(compose(host, &command, message)?.stdout.split_whitespace().last().unwrap_or_default().to_owned())
}

/// The digest that a service has when it was made without those that it depends on, as we make them: compose 2 then
/// leaves `depends_on` out of it (measured with 2.26.1). `None`: this compose cannot be asked for it.
fn alone(host: &mut dyn HostMut, run: &Run, project: &ComposeProject, service: &str) -> Result<Option<String>> {
    if project.tool != ComposeTool::Plugin {
        return Ok(None);
    }
    let file = run.dir.join("alone.yaml");
    let text = format!("services:\n  {}:\n    depends_on: !reset null\n", serde_json::Value::from(service));
    if host.stat(&file).is_ok() {
        host.remove(&file).at("removed", &file)?;
    }
    host.create(&file).at("created", &file)?;
    host.append(&file, text.as_bytes()).at("written", &file)?;
    let mut project = project.clone();
    project.files.push(file);
    Ok(digest(host, &project, service, String::new()).ok())
}

/// The plan's projects that a path is a file of, with `staged` in its place.
pub(super) fn with_file(host: &dyn Host, plan: &Plan, file: &Path, staged: &Path) -> Vec<ComposeProject> {
    let mut found = Vec::new();
    for mut project in projects(plan) {
        let is_it = |one: &PathBuf| one == file || path::resolve(host, one).is_ok_and(|real| real == file);
        let places: Vec<usize> = (0..project.files.len()).filter(|at| is_it(&project.files[*at])).collect();
        for at in &places {
            staged.clone_into(&mut project.files[*at]);
        }
        if !places.is_empty() {
            found.push(project);
        }
    }
    found
}

/// Lets compose read a project's files.
pub(super) fn check(host: &mut dyn HostMut, project: &ComposeProject, what: &str) -> Result<()> {
    let named = project.files.last().map_or_else(|| project.name.clone(), |file| file.display().to_string());
    let message = format!("{named}: {what}");
    compose(host, &Command::ComposeCheck(project.clone()), message).map(|_| ())
}

/// Runs a command of compose's. Of what it says only one line is told, without what it quotes and what variables are
/// set to: it has read all the values of the project.
pub(super) fn compose(host: &mut dyn HostMut, command: &Command, message: String) -> Result<Answer> {
    let answer = host.run(command).map_err(|error| Failure::new(message.clone()).because(error))?;
    if answer.ok() {
        return Ok(answer);
    }
    let said = said(&answer).unwrap_or_else(|| format!("compose ended with status {}", answer.status));
    Err(Failure::new(message).because(said))
}

/// The line that tells the error.
fn said(answer: &Answer) -> Option<String> {
    let lines = || answer.stderr.lines().chain(answer.stdout.lines()).map(str::trim).filter(|line| !line.is_empty());
    let error = |line: &&str| {
        let line = line.to_lowercase();
        ["error", "invalid", "cannot", "unsupported", "no such"].iter().any(|word| line.contains(word))
    };
    lines().find(error).or_else(|| lines().next()).map(without_values)
}

fn without_values(line: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for c in diff::masked(line).chars() {
        match quote {
            None if matches!(c, '"' | '\'' | '`') => {
                quote = Some(c);
                out.extend([c, '…', c]);
            }
            None => out.push(c),
            Some(open) if open == c => quote = None,
            Some(_) => {}
        }
    }
    let word = |word: &str| word.split_once('=').map_or_else(|| word.to_owned(), |(name, _)| format!("{name}=…"));
    out.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// How a service stands.
enum Standing {
    /// All its containers run; these are their processes.
    Well(Vec<(String, u32)>),
    /// It may come to that.
    Waits(String),
    /// It will not.
    Ill(String),
}

fn standing(wanted: &Recreation, ports: &[String], members: &[Member]) -> Standing {
    let running: Vec<&Member> = members.iter().filter(|one| one.container.running).collect();
    for Member { container, restarts, .. } in &running {
        let health = container.confinement.health.as_deref();
        if *restarts > 1 || health == Some("unhealthy") {
            let what = if *restarts > 1 { "ends again and again" } else { "is unhealthy" };
            return Standing::Ill(format!("container {} {what}", container.name));
        }
    }
    if running.len() != wanted.containers.len() || running.iter().any(|one| one.restarting) {
        return Standing::Waits(format!("{} of {} containers run", running.len(), wanted.containers.len()));
    }
    let now = published(members);
    if let Some(port) = ports.iter().find(|port| !now.contains(port)) {
        return Standing::Waits(format!("port {port} is not published any more"));
    }
    let starting = running.iter().find(|one| one.container.confinement.health.as_deref() == Some("starting"));
    match starting {
        Some(one) => Standing::Waits(format!("container {} is not healthy yet", one.container.name)),
        None => Standing::Well(running.iter().map(|one| (one.container.id.clone(), one.container.pid)).collect()),
    }
}

/// Waits until a service is well, and stays so over the window.
///
/// # Errors
/// When it is not by its deadline, or will not be.
pub(super) fn well(
    waiting: &mut Waiting<'_>,
    host: &mut dyn HostMut,
    wanted: &Recreation,
    ports: &[String],
) -> Result<()> {
    let Recreation { service, project, .. } = wanted;
    let failed = |why: &str| {
        let failure = Failure::new(format!("service {service} of project {project} is not well")).because(why);
        failure.hint(format!("run `docker logs {}`", wanted.containers.first().map_or("", |(name, _)| name.as_str())))
    };
    let (deadlines, socket) = (waiting.deadlines, waiting.socket);
    let mut watch = Watch::start(host.as_host());
    let mut since: Option<(Vec<(String, u32)>, u64)> = None;
    // A container without a restart policy that ended does not come back, and nothing says so.
    let mut down: Option<u64> = None;
    loop {
        waiting.interrupted()?;
        let now = members(host.as_host(), socket, wanted);
        let standing = match &now {
            Ok(members) => standing(wanted, ports, members),
            Err(error) => Standing::Waits(
                std::iter::once(&error.message).chain(&error.causes).cloned().collect::<Vec<_>>().join(": "),
            ),
        };
        let seconds = watch.seconds();
        let dead = |one: &Member| !one.container.running && !one.restarting;
        let ended = now.iter().flatten().any(dead) || now.as_ref().is_ok_and(Vec::is_empty);
        let why = match standing {
            Standing::Ill(why) => return Err(failed(&why)),
            Standing::Well(processes) => {
                match &since {
                    Some((same, at)) if *same == processes && seconds >= at + deadlines.window => return Ok(()),
                    Some((same, _)) if *same == processes => {}
                    _ => since = Some((processes, seconds)),
                }
                down = None;
                format!("service {service} is up, watching it")
            }
            Standing::Waits(why) => {
                since = None;
                down = if ended { down.or(Some(seconds)) } else { None };
                if down.is_some_and(|at| seconds >= at + 2 * deadlines.window) {
                    return Err(failed(&why));
                }
                why
            }
        };
        if seconds >= deadlines.service + deadlines.window {
            return Err(failed(&why));
        }
        waiting.progress.wait(&why);
        watch.tick(host);
    }
}

#[cfg(test)]
mod tests;
