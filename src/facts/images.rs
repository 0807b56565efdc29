//! Images: what they are called, what they hold, and how they were built. Values of variables and arguments may be
//! secret: only names are kept.

mod step;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::model::{Known, Unknown};
use super::workload::{known, labels, short, texts};
use crate::host::Host;

pub use step::{Instruction, Step, masked};

/// Images that are asked about at a time: an answer can be some hundred kilobytes until what counts is taken out.
const AT_A_TIME: usize = 64;

/// An image of this host. Layers between two images are none of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Full id, with `sha256:`.
    pub id: String,
    /// Its tags, such as `redis:7`.
    pub tags: Vec<String>,
    /// Its digests, such as `redis@sha256:…`.
    pub digests: Vec<String>,
    /// Labels. Their values may be anything: they select, and are never shown.
    pub labels: BTreeMap<String, String>,
    /// What it holds.
    pub detail: Known<Detail>,
    /// How it was built, the oldest step first; with those of the image that it was built on.
    pub history: Known<Vec<Step>>,
}

/// What the inspection of an image says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Its health check.
    pub health: Health,
    /// Names of its environment variables that have a value.
    pub env: Vec<String>,
}

/// The health check of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// There is one.
    Set,
    /// None was ever given.
    Missing,
    /// `HEALTHCHECK NONE`: the one of the image below is switched off.
    Disabled,
}

/// Reads all images. `socket`: of the Engine, when it runs. `whole`: what each holds too.
pub(super) fn gather(host: &dyn Host, socket: Option<&Path>, whole: bool) -> Known<Vec<Image>> {
    let socket = socket.ok_or_else(|| Unknown("images are read only while docker runs".into()))?;
    let path = "/images/json".to_owned();
    let listed = known(&path, host.engine(socket, std::slice::from_ref(&path)).pop())?;
    let listed = listed.as_array().ok_or_else(|| Unknown("Engine API: /images/json is no list".into()))?;
    let mut images: Vec<Image> = listed.iter().filter_map(read).collect();
    if whole {
        for some in images.chunks_mut(AT_A_TIME) {
            fill(host, socket, some);
        }
    }
    images.sort_by_key(|image| image.name().to_owned());
    Ok(images)
}

fn read(listed: &Value) -> Option<Image> {
    let given = |key: &str| -> Vec<String> {
        texts(&listed[key]).into_iter().filter(|name| !name.contains("<none>")).collect()
    };
    let unread = || Unknown("was not asked for".into());
    Some(Image {
        id: listed["Id"].as_str()?.to_owned(),
        tags: given("RepoTags"),
        digests: given("RepoDigests"),
        labels: labels(&listed["Labels"]),
        detail: Err(unread()),
        history: Err(unread()),
    })
}

/// Asks what these images hold. One answer that does not come loses no other.
fn fill(host: &dyn Host, socket: &Path, images: &mut [Image]) {
    let paths: Vec<String> = images
        .iter()
        .flat_map(|image| ["json", "history"].map(|what| format!("/images/{}/{what}", image.id)))
        .collect();
    let mut replies = host.engine(socket, &paths).into_iter().zip(&paths).map(|(reply, path)| known(path, Some(reply)));
    let lost = || Err(Unknown("Engine API: gave no answer".into()));
    for image in images {
        image.detail = replies.next().unwrap_or_else(lost).and_then(|value| Detail::read(&value));
        image.history = replies.next().unwrap_or_else(lost).map(|value| steps(&value));
    }
}

impl Detail {
    /// An image that is here for other platforms only has no configuration here.
    fn read(value: &Value) -> Known<Self> {
        let config = &value["Config"];
        if !config.is_object() {
            return Err(Unknown("Engine API: the image's inspection has no Config".into()));
        }
        let test = texts(&config["Healthcheck"]["Test"]);
        let health = match test.first().map(String::as_str) {
            None | Some("") => Health::Missing,
            Some("NONE") => Health::Disabled,
            Some(_) => Health::Set,
        };
        let names = texts(&config["Env"]).into_iter().filter_map(|entry| {
            let (name, value) = entry.split_once('=')?;
            (!value.is_empty()).then(|| name.to_owned())
        });
        Ok(Self { health, env: names.collect() })
    }
}

/// The Engine gives the newest step first.
fn steps(value: &Value) -> Vec<Step> {
    let all = value.as_array().into_iter().flatten().rev();
    all.map(|layer| Step::read(layer["CreatedBy"].as_str().unwrap_or_default())).collect()
}

impl Image {
    /// A tag, else a digest, else the short id.
    pub fn name(&self) -> &str {
        self.tags.first().or(self.digests.first()).map_or_else(|| short(&self.id), String::as_str)
    }

    /// Neither tag nor digest: nobody can ask for it but by id. What a build leaves when its tag moves on.
    pub fn dangling(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::FakeHost;
    use super::*;

    fn host() -> FakeHost {
        FakeHost::default()
            .api("/version", json!({}))
            .api(
                "/images/json",
                json!([
                    {"Id": "sha256:aa", "RepoTags": ["web:1", "web:2"], "RepoDigests": null, "Labels": {"tier": "front"}},
                    {"Id": "sha256:bb", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "Labels": null},
                    {"Id": "sha256:cc", "RepoTags": [], "RepoDigests": ["db@sha256:1"]},
                ]),
            )
            .api(
                "/images/sha256:aa/json",
                json!({"Config": {"Healthcheck": {"Test": ["NONE"]}, "Env": ["A_TOKEN=hunter2", "EMPTY=", "odd"]}}),
            )
            .api("/images/sha256:aa/history", json!([{"CreatedBy": "COPY x /x # buildkit"}, {"CreatedBy": ""}]))
            .api("/images/sha256:cc/json", json!({"Config": null}))
            .api("/images/sha256:bb/json", json!({"Config": {"Healthcheck": {"Test": ["CMD", "true"]}}}))
    }

    #[test]
    fn what_images_hold_is_read_without_values() {
        let images = gather(&host(), Some("/run/docker.sock".as_ref()), true).unwrap();
        let names: Vec<(&str, bool)> = images.iter().map(|image| (image.name(), image.dangling())).collect();
        assert_eq!(names, [("bb", true), ("db@sha256:1", false), ("web:1", false)]);
        let detail = Detail { health: Health::Disabled, env: vec!["A_TOKEN".into()] };
        assert_eq!(images[2].detail, Ok(detail));
        let instructions = images[2].history.as_ref().unwrap().iter().map(|step| step.instruction);
        assert_eq!(instructions.collect::<Vec<_>>(), [Instruction::Other, Instruction::Copy]);
        assert_eq!(images[0].detail.as_ref().unwrap().health, Health::Set);
        assert!(!format!("{images:?}").contains("hunter2"));
    }

    #[test]
    fn one_answer_that_does_not_come_loses_no_other() {
        let images = gather(&host(), Some("/run/docker.sock".as_ref()), true).unwrap();
        assert!(images[0].detail.is_ok() && images[0].history.is_err());
        // It is there, and says nothing about a health check: not that there is none.
        assert!(images[1].detail.as_ref().is_err_and(|why| why.0.contains("no Config")));
        assert!(images[1].history.is_err() && images[2].history.is_ok());
    }

    #[test]
    fn what_is_not_needed_is_not_asked_for() {
        let images = gather(&host(), Some("/run/docker.sock".as_ref()), false).unwrap();
        assert!(images.len() == 3 && images.iter().all(|image| image.detail.is_err() && image.history.is_err()));
        assert!(gather(&host(), None, true).is_err());
    }
}
