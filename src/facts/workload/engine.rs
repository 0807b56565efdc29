//! What the running Engine says about its containers, images and volumes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::container::{Container, short, text, texts};
use super::{Exec, Partial, Stock, Unread};
use crate::facts::{Known, Unknown};
use crate::host::{EngineError, Host};

type Reply = Result<Value, EngineError>;

/// Asks for everything; what fails is unknown, each for itself.
pub(super) fn stock(host: &dyn Host, socket: &Path) -> Stock {
    let paths = ["/containers/json?all=1", "/images/json", "/volumes"].map(str::to_owned);
    let mut replies = host.engine(socket, &paths).into_iter();
    let mut next = |path: &str| known(path, replies.next());
    let (listed, images, volumes) = (next(&paths[0]), next(&paths[1]), next(&paths[2]));
    let found = listed.and_then(|listed| containers(host, socket, &listed));
    let (containers, partial) = match found.map(|found| dated(found, &images)) {
        Ok(Partial { read, unread }) if unread.is_empty() => (Ok(read), None),
        Ok(partial) => (Err(partial.unread[0].why.clone()), Some(partial)),
        Err(unknown) => (Err(unknown), None),
    };
    Stock {
        containers,
        partial,
        images: images.map(|images| image_names(&images)),
        volumes: volumes.map(|volumes| {
            volumes["Volumes"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| Some(v["Name"].as_str()?.into()))
                .collect()
        }),
    }
}

/// Running execs that are not a health check.
pub(super) fn execs(host: &dyn Host, socket: &Path, containers: &[Container]) -> Known<Vec<Exec>> {
    let owned: Vec<(&Container, &String)> =
        containers.iter().filter(|c| c.running).flat_map(|c| c.execs.iter().map(move |id| (c, id))).collect();
    let paths: Vec<String> = owned.iter().map(|(_, id)| format!("/exec/{id}/json")).collect();
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let mut running = Vec::new();
    let mut replies = host.engine(socket, &paths).into_iter();
    for ((container, _), path) in owned.iter().zip(&paths) {
        let Some(exec) = present(path, replies.next())? else { continue };
        let process = &exec["ProcessConfig"];
        let mut argv = vec![process["entrypoint"].as_str().unwrap_or_default().to_owned()];
        argv.extend(texts(&process["arguments"]));
        if exec["Running"].as_bool().unwrap_or(true) && argv != container.healthcheck {
            // Arguments may be passwords: the program alone is named.
            running.push(Exec {
                container: container.name.clone(),
                program: argv.swap_remove(0),
                privileged: process["privileged"].as_bool().unwrap_or(false),
                user: text(&process["user"]),
            });
        }
    }
    Ok(running)
}

/// Inspects each container. One that does not answer loses no other.
fn containers(host: &dyn Host, socket: &Path, listed: &Value) -> Known<Partial> {
    let listed = listed.as_array().ok_or_else(|| Unknown("Engine API: /containers/json is no list".into()))?;
    let listed: Vec<(&str, &Value)> = listed.iter().filter_map(|one| Some((one["Id"].as_str()?, one))).collect();
    let paths: Vec<String> = listed.iter().map(|(id, _)| format!("/containers/{id}/json")).collect();
    let mut found = Partial::default();
    // Each answer is some ten kilobytes until what counts is taken out of it.
    host.engine_each(socket, &paths, &mut |at, reply| {
        let ((id, one), path) = (listed[at], &paths[at]);
        let read =
            |value: &Value| Container::read(value).ok_or_else(|| Unknown(format!("Engine API: {path} has no id")));
        match present(path, Some(reply)).and_then(|value| value.as_ref().map(read).transpose()) {
            Ok(container) => found.read.extend(container),
            Err(why) => found.unread.push(Unread { id: id.to_owned(), name: listed_name(one, id), why }),
        }
    });
    Ok(found)
}

/// Tells each container how old its image is.
fn dated(mut found: Partial, images: &Known<Value>) -> Partial {
    let images = images.as_ref().ok().and_then(Value::as_array).into_iter().flatten();
    let created: BTreeMap<&str, Option<i64>> =
        images.filter_map(|image| Some((image["Id"].as_str()?, image["Created"].as_i64()))).collect();
    for container in &mut found.read {
        container.image_created = created.get(container.image_id.as_str()).copied().flatten();
    }
    found
}

/// The name in the list: the one without a second slash, which a link would have.
fn listed_name(one: &Value, id: &str) -> String {
    let names = texts(&one["Names"]);
    let own = names.iter().filter_map(|name| name.strip_prefix('/')).find(|name| !name.contains('/'));
    own.unwrap_or(short(id)).to_owned()
}

/// Tags; an image without one goes by its digest, then by its id.
fn image_names(images: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for image in images.as_array().into_iter().flatten() {
        let given = |key: &str| -> Vec<String> {
            texts(&image[key]).into_iter().filter(|name| !name.contains("<none>")).collect()
        };
        let mut own = given("RepoTags");
        if own.is_empty() {
            own = given("RepoDigests");
        }
        if own.is_empty() {
            own.extend(image["Id"].as_str().map(|id| short(id).to_owned()));
        }
        names.append(&mut own);
    }
    names
}

/// An answer, or in words why there is none.
pub(in crate::facts) fn known(path: &str, reply: Option<Reply>) -> Known<Value> {
    let why = match reply {
        Some(Ok(value)) => return Ok(value),
        Some(Err(EngineError::Status(status, message))) => format!("answers {status}: {message}"),
        Some(Err(EngineError::Unreachable(message) | EngineError::Broken(message))) => message,
        None => "gave no answer".into(),
    };
    Err(Unknown(format!("Engine API: {path}: {why}")))
}

/// Like [`known`]; `None` for what is gone since it was listed.
fn present(path: &str, reply: Option<Reply>) -> Known<Option<Value>> {
    match reply {
        Some(Err(EngineError::Status(404, _))) => Ok(None),
        reply => known(path, reply).map(Some),
    }
}
