//! Compose on the host in memory: its files are read line by line, and a container has the lines of its service as its
//! digest. Its steps are those of compose 2.26.1, and so is what it makes of a host on which it was killed.

use std::io::Result;
use std::path::Path;

use seaworthy::host::{Answer, ComposeProject, Host};
use serde_json::{Value, json};

use super::fake_docker::{FakeContainer, FakeDocker};
use super::fake_faults::Touch;
use super::fake_host::FakeHost;

/// What compose wrote on a container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Composed {
    pub(crate) project: String,
    pub(crate) service: String,
    pub(crate) digest: String,
    /// It was started once.
    pub(crate) ran: bool,
}

/// A service whose digest has this ends as soon as it starts.
pub(crate) const ENDS: &str = "command:ends";
/// A service whose digest has this gets unhealthy.
pub(crate) const ILL: &str = "command:ill";
/// A file that has this cannot be read.
pub(crate) const UNREADABLE: &str = "\t";

fn answer(status: i32, stdout: &str, stderr: &str) -> Answer {
    Answer { status, stdout: stdout.into(), stderr: stderr.into() }
}

/// The id of the container that compose made as the Nth.
pub(crate) fn made(number: usize) -> String {
    format!("{number:012x}{}", "e".repeat(52))
}

/// The lines of a service, as one word.
fn section(text: &str, service: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| *line != format!("  {service}:"));
    lines.next()?;
    // A digest is one word.
    Some(
        lines.take_while(|line| line.starts_with("    ")).map(str::trim).collect::<Vec<_>>().join(",").replace(' ', ""),
    )
}

impl FakeContainer {
    /// The labels that compose wrote.
    pub(super) fn labels(&self) -> Value {
        self.composed.as_ref().map_or(json!({}), |one| {
            json!({
                "com.docker.compose.project": one.project, "com.docker.compose.service": one.service,
                "com.docker.compose.oneoff": "False", "com.docker.compose.config-hash": one.digest,
            })
        })
    }

    /// Puts what compose gave it over an inspection.
    pub(super) fn composed_over(&self, base: &mut Value) {
        let Some(one) = &self.composed else { return };
        base["Config"]["Labels"] = self.labels();
        base["Config"]["Image"] = "shop:1".into();
        base["Image"] = "sha256:1".into();
        base["State"]["FinishedAt"] = if one.ran { "2026-01-01T00:00:00Z" } else { "0001-01-01T00:00:00Z" }.into();
        if one.digest.contains(ILL) {
            base["State"]["Health"]["Status"] = "unhealthy".into();
        }
    }
}

impl FakeDocker {
    fn of_service(&self, project: &str, service: &str) -> Vec<String> {
        let ours = |one: &&FakeContainer| {
            one.composed.as_ref().is_some_and(|made| made.project == project && made.service == service)
        };
        self.containers.iter().filter(ours).map(|one| one.id.clone()).collect()
    }

    fn at(&mut self, id: &str) -> Option<&mut FakeContainer> {
        self.containers.iter_mut().find(|one| one.id == id)
    }

    pub(super) fn rename(&mut self, id: &str, name: &str) -> bool {
        let taken = self.containers.iter().any(|one| one.name == name);
        self.at(id).filter(|_| !taken).map(|one| name.clone_into(&mut one.name)).is_some()
    }

    fn launch(&mut self, id: &str) {
        self.start_container(id);
        if let Some(FakeContainer { composed: Some(made), pid, .. }) = self.at(id) {
            made.ran = true;
            if made.digest.contains(ENDS) {
                *pid = 0;
            }
        }
    }
}

impl FakeHost {
    /// Adds a service whose file is this, with its one container. It runs.
    pub(crate) fn service(&mut self, file: &str, project: &str, service: &str) {
        self.write("/usr/bin/docker-compose", 0o755, "elf");
        self.made_anew += 1;
        let name = format!("{project}-{service}-1");
        self.container(&name, 0, false);
        let digest = section(&self.text(file).expect("its file"), service).expect("its section");
        let composed = Composed { project: project.into(), service: service.into(), digest, ran: true };
        let one = self.docker.containers.last_mut().expect("made above");
        one.composed = Some(composed);
        let id = made(self.made_anew);
        one.id.clone_from(&id);
        self.docker.launch(&id);
    }

    /// The containers that compose made: name, whether it runs, digest.
    pub(crate) fn composed(&self) -> Vec<(String, bool, String)> {
        let of = |one: &FakeContainer| {
            let made = one.composed.as_ref()?;
            Some((one.name.clone(), one.pid != 0, made.digest.clone()))
        };
        let mut all: Vec<_> = self.docker.containers.iter().filter_map(of).collect();
        all.sort();
        all
    }

    fn compose_text(&self, project: &ComposeProject) -> std::result::Result<String, Answer> {
        let mut all = String::new();
        for file in &project.files {
            let bytes =
                self.read(file).map_err(|error| answer(14, "", &format!("open {}: {error}", file.display())))?;
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
        if all.contains(UNREADABLE) {
            return Err(answer(15, "", "yaml: line 3: found character that cannot start any token: \"hunter2\""));
        }
        Ok(all)
    }

    pub(super) fn compose_check(&self, project: &ComposeProject) -> Answer {
        self.compose_text(project).map_or_else(|error| error, |_| answer(0, "", ""))
    }

    pub(super) fn compose_hash(&self, project: &ComposeProject, service: &str) -> Answer {
        let digest = self.compose_text(project).map(|text| section(&text, service));
        match digest {
            Ok(Some(digest)) => answer(0, &format!("{service} {digest}\n"), ""),
            Ok(None) => answer(1, "", "no such service"),
            Err(error) => error,
        }
    }

    /// `up`, one operation after another: killed in between, it leaves what compose leaves.
    pub(super) fn compose_up(&mut self, project: &ComposeProject, service: &str) -> Result<Answer> {
        let call = |host: &mut Self, act: &dyn Fn(&mut Self)| {
            host.operate(Touch::Call, "", Path::new(""), |host| {
                act(host);
                Ok(())
            })
        };
        call(self, &|host| host.log.push(format!("compose up {service}")))?;
        let digest = match self.compose_text(project).map(|text| section(&text, service)) {
            Ok(Some(digest)) if self.docker.active == "active" => digest,
            Ok(_) => return Ok(answer(1, "", "Cannot connect to the Docker daemon")),
            Err(error) => return Ok(error),
        };
        let name = format!("{}-{service}-1", project.name);
        let there = self.docker.of_service(&project.name, service);
        let proper =
            |host: &Self, id: &String| host.docker.containers.iter().any(|one| one.id == *id && one.name == name);
        let Some(first) = there.iter().find(|id| !proper(self, id)).or(there.first()).cloned() else {
            return Ok(answer(1, "", "the model makes no first container"));
        };
        for extra in there.iter().filter(|id| **id != first) {
            call(self, &|host| host.docker.containers.retain(|one| one.id != *extra))?;
        }
        let same =
            self.docker.at(&first).and_then(|one| one.composed.clone()).is_some_and(|made| made.digest == digest);
        if same {
            call(self, &|host| host.docker.launch(&first))?;
            return Ok(answer(0, "", ""));
        }
        if there.len() > 1 {
            return Ok(answer(1, "", "Error when allocating new name: Conflict. The container name is already in use"));
        }
        self.made_anew += 1;
        let id = made(self.made_anew);
        let passing = format!("{}_{name}", &first[..12]);
        let composed = Composed { project: project.name.clone(), service: service.into(), digest, ran: false };
        call(self, &|host| {
            host.container(&passing, 0, false);
            let one = host.docker.containers.last_mut().expect("made above");
            (one.id, one.composed) = (id.clone(), Some(composed.clone()));
        })?;
        call(self, &|host| host.docker.at(&first).into_iter().for_each(|one| one.pid = 0))?;
        call(self, &|host| host.docker.containers.retain(|one| one.id != first))?;
        call(self, &|host| {
            host.docker.rename(&id, &name);
        })?;
        call(self, &|host| host.docker.launch(&id))?;
        Ok(answer(0, "", ""))
    }

    pub(super) fn remove_container(&mut self, id: &str) -> Answer {
        if self.docker.at(id).is_none_or(|one| one.pid != 0) {
            return answer(1, "", "You cannot remove a running container");
        }
        self.docker.containers.retain(|one| one.id != id);
        answer(0, "", "")
    }
}
