//! Compose, in the two forms in which hosts have it: the plugin of docker's client, and the program of its own.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::seam::{Command, FileKind, Host};

/// Where docker's client looks for plugins, but in the home of whoever calls it (docker/cli, `manager_unix.go`).
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins/docker-compose",
    "/usr/local/libexec/docker/cli-plugins/docker-compose",
    "/usr/lib/docker/cli-plugins/docker-compose",
    "/usr/libexec/docker/cli-plugins/docker-compose",
];
/// The program of its own: version 1, or the plugin under its old name.
const PROGRAMS: [&str; 2] = ["/usr/bin/docker-compose", "/usr/local/bin/docker-compose"];
/// Docker's client, without which there is no plugin.
const CLIENTS: [&str; 2] = ["/usr/bin/docker", "/usr/local/bin/docker"];

/// The compose of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComposeTool {
    /// `docker compose`
    Plugin,
    /// `docker-compose`
    Program,
}

impl ComposeTool {
    /// The one that this host has: the plugin where there are both. `None`: neither, or nobody may look.
    pub fn of(host: &dyn Host) -> Option<Self> {
        let there = |path: &&str| {
            let kind = host.stat(Path::new(path)).map(|stat| stat.kind);
            matches!(kind, Ok(FileKind::File | FileKind::Symlink(_)))
        };
        if PLUGINS.iter().any(there) && CLIENTS.iter().any(there) {
            return Some(Self::Plugin);
        }
        PROGRAMS.iter().any(there).then_some(Self::Program)
    }

    /// As a person types it.
    pub(super) fn typed(self) -> [&'static str; 2] {
        match self {
            Self::Plugin => ["docker", "compose"],
            Self::Program => ["docker-compose", ""],
        }
    }

    /// The program on the host that we run on. The plugin runs without docker's client as well, and is one process then,
    /// which ends when it has to.
    pub(super) fn program(self) -> Option<&'static str> {
        let paths: &[&str] = if self == Self::Plugin { &PLUGINS } else { &PROGRAMS };
        paths.iter().copied().find(|path| Path::new(path).is_file())
    }
}

/// A project as compose is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeProject {
    /// Which compose.
    pub tool: ComposeTool,
    /// Name of the project.
    pub name: String,
    /// The project's directory: relative paths and `.env` are in it.
    pub directory: PathBuf,
    /// The compose files, in order: later ones are laid over earlier ones.
    pub files: Vec<PathBuf>,
    /// Files of variables, when they were named; empty: `.env`, if there is one.
    pub environment_files: Vec<PathBuf>,
    /// The Engine's socket; `None`: the one that compose takes by itself, as in a command that is only shown.
    pub socket: Option<PathBuf>,
}

impl ComposeProject {
    /// The arguments up to compose's own command.
    fn argv(&self) -> Vec<String> {
        let mut argv = Vec::new();
        let shown = |path: &Path| path.display().to_string();
        argv.extend(["-p".into(), self.name.clone(), "--project-directory".into(), shown(&self.directory)]);
        argv.extend(self.environment_files.iter().flat_map(|file| ["--env-file".into(), shown(file)]));
        argv.extend(self.files.iter().flat_map(|file| ["-f".into(), shown(file)]));
        argv
    }
}

impl Command {
    /// The arguments of a command of compose's; `None`: it is none.
    pub(super) fn compose_argv(&self) -> Option<(&ComposeProject, Vec<String>)> {
        let (project, rest): (_, Vec<&str>) = match self {
            Self::ComposeCheck(project) => (project, vec!["config", "--quiet"]),
            Self::ComposeHash { project, service } => (project, vec!["config", "--hash", service]),
            Self::ComposeUp { project, .. } => (project, vec!["up", "--detach", "--no-deps", "--no-build"]),
            _ => return None,
        };
        let mut argv = project.argv();
        argv.extend(rest.into_iter().map(str::to_owned));
        if let Self::ComposeUp { project, service, containers } = self {
            // Version 1 has no such option, and takes an image that is there.
            if project.tool == ComposeTool::Plugin {
                argv.extend(["--pull", "never"].map(str::to_owned));
            }
            // One that was scaled by hand would be brought to the number of its file.
            argv.extend(["--scale".into(), format!("{service}={containers}"), service.clone()]);
        }
        Some((project, argv))
    }
}
