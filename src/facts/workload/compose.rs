//! What compose wrote on a container about where it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a container of a compose project comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComposeOrigin {
    /// Name of the project.
    pub project: String,
    /// Name of the service.
    pub service: String,
    /// The project's directory. Empty: not told.
    pub working_dir: PathBuf,
    /// The compose files in order, absolute. Empty: not told, as where the file came from standard input.
    pub config_files: Vec<PathBuf>,
    /// Files of variables that were named with `--env-file`, or the `.env` that was found; absolute.
    pub environment_files: Vec<PathBuf>,
    /// Made by `compose run`: no container of the service itself, and `up` leaves it alone.
    pub oneoff: bool,
}

impl ComposeOrigin {
    /// Reads the labels of a container; `None`: it is not compose's.
    pub fn read(labels: &BTreeMap<String, String>) -> Option<Self> {
        let label = |name: &str| labels.get(&format!("com.docker.compose.{name}")).map(String::as_str);
        let working_dir = PathBuf::from(label("project.working_dir").unwrap_or_default());
        Some(Self {
            project: label("project")?.to_owned(),
            service: label("service").unwrap_or_default().to_owned(),
            config_files: paths(label("project.config_files"), &working_dir),
            environment_files: paths(label("project.environment_file"), &working_dir),
            // docker-compose 1.29 writes `True`, compose 2 `True` and, by its library, `true`.
            oneoff: label("oneoff").is_some_and(|word| word.eq_ignore_ascii_case("true")),
            working_dir,
        })
    }
}

/// A list of files. docker-compose 1.29 writes them as they were given, relative to the project's directory where they
/// were; compose 2 absolute. `-` is standard input: there is no file then, and none of the list can be relied on.
fn paths(list: Option<&str>, base: &Path) -> Vec<PathBuf> {
    let files: Vec<&str> = list.unwrap_or_default().split(',').map(str::trim).filter(|file| !file.is_empty()).collect();
    if files.contains(&"-") {
        return Vec::new();
    }
    let absolute: Vec<PathBuf> = files.iter().map(|file| base.join(file)).collect();
    if absolute.iter().all(|file| file.is_absolute()) { absolute } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (format!("com.docker.compose.{name}"), (*value).to_owned())).collect()
    }

    #[test]
    fn both_versions_labels_are_read() {
        let old = ComposeOrigin::read(&labels(&[
            ("project", "shop"),
            ("service", "web"),
            ("oneoff", "False"),
            ("project.working_dir", "/srv/shop"),
            ("project.config_files", "docker-compose.yml,prod.yml"),
        ]))
        .unwrap();
        let files = ["/srv/shop/docker-compose.yml", "/srv/shop/prod.yml"].map(PathBuf::from);
        assert_eq!((old.project.as_str(), old.service.as_str(), old.oneoff), ("shop", "web", false));
        assert_eq!((old.config_files.as_slice(), old.environment_files.len()), (files.as_slice(), 0));
        let new = ComposeOrigin::read(&labels(&[
            ("project", "shop"),
            ("service", "web"),
            ("oneoff", "True"),
            ("project.working_dir", "/srv/shop"),
            ("project.config_files", "/srv/shop/compose.yaml,/etc/over.yaml"),
            ("project.environment_file", "/srv/shop/prod.env"),
        ]))
        .unwrap();
        assert_eq!(new.config_files, ["/srv/shop/compose.yaml", "/etc/over.yaml"].map(PathBuf::from));
        assert_eq!((new.environment_files, new.oneoff), (vec![PathBuf::from("/srv/shop/prod.env")], true));
    }

    #[test]
    fn what_names_no_file_names_none() {
        let of = |files: &str, dir: &str| {
            let read = labels(&[("project", "p"), ("project.config_files", files), ("project.working_dir", dir)]);
            ComposeOrigin::read(&read).unwrap().config_files
        };
        assert!(of("-", "/srv").is_empty() && of("a.yml,-", "/srv").is_empty());
        assert!(of("a.yml", "").is_empty() && of("", "/srv").is_empty());
        assert_eq!(ComposeOrigin::read(&labels(&[("service", "web")])), None);
    }
}
