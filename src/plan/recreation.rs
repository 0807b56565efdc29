//! A service of a compose project that is made anew from its file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::{Command, ComposeProject, ComposeTool};

/// The containers of one service, replaced by new ones that its compose file describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recreation {
    /// Which compose does it: [`crate::facts::Workload::compose`].
    pub tool: ComposeTool,
    /// Name of the project.
    pub project: String,
    /// Name of the service.
    pub service: String,
    /// The project's directory.
    pub working_dir: PathBuf,
    /// The compose files in order, by the names under which compose was given them (links stay links).
    pub files: Vec<PathBuf>,
    /// Files of variables that were named.
    pub environment_files: Vec<PathBuf>,
    /// Its containers that run (name and id), as the plan found them: as many are made. At least one.
    pub containers: Vec<(String, String)>,
}

impl Recreation {
    /// The project as compose is told of it; with the Engine's socket where it is run.
    pub fn compose_project(&self, socket: Option<&Path>) -> ComposeProject {
        ComposeProject {
            tool: self.tool,
            name: self.project.clone(),
            directory: self.working_dir.clone(),
            files: self.files.clone(),
            environment_files: self.environment_files.clone(),
            socket: socket.map(Path::to_owned),
        }
    }

    /// What is run.
    pub fn up(&self, socket: Option<&Path>) -> Command {
        Command::ComposeUp {
            project: self.compose_project(socket),
            service: self.service.clone(),
            containers: self.containers.len(),
        }
    }

    /// The command that does the same, as a person would type it.
    pub fn command(&self) -> String {
        self.up(None).to_string()
    }

    /// `service web of project shop: container shop_web_1`
    pub fn told(&self) -> String {
        let names: Vec<&str> = self.containers.iter().map(|(name, _)| name.as_str()).collect();
        let kind = if names.len() == 1 { "container" } else { "containers" };
        format!("service {} of project {}: {kind} {}", self.service, self.project, names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_and_what_a_person_would_type() {
        let mut recreation = Recreation {
            tool: ComposeTool::Plugin,
            project: "shop".into(),
            service: "web".into(),
            working_dir: "/srv/my shop".into(),
            files: vec!["/srv/my shop/compose.yaml".into(), "/srv/over.yaml".into()],
            environment_files: vec!["/srv/prod.env".into()],
            containers: vec![("shop-web-1".into(), "ab".into())],
        };
        assert_eq!(
            recreation.command(),
            "docker compose -p shop --project-directory '/srv/my shop' --env-file /srv/prod.env \
             -f '/srv/my shop/compose.yaml' -f /srv/over.yaml up --detach --no-deps --no-build --pull never \
             --scale web=1 web"
        );
        assert_eq!(recreation.told(), "service web of project shop: container shop-web-1");
        recreation.tool = ComposeTool::Program;
        recreation.environment_files.clear();
        recreation.containers.push(("shop-web-2".into(), "cd".into()));
        assert_eq!(
            recreation.command(),
            "docker-compose -p shop --project-directory '/srv/my shop' -f '/srv/my shop/compose.yaml' \
             -f /srv/over.yaml up --detach --no-deps --no-build --scale web=2 web"
        );
        assert_eq!(recreation.told(), "service web of project shop: containers shop-web-1, shop-web-2");
    }
}
