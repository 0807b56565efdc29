//! What a stopped daemon left in its data root. Under userns-remap each remapped user has a data root of its own in
//! it, `UID.GID`; those count too.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::container::{Container, short};
use super::processes::container_ids;
use super::{Stock, Swarm};
use crate::facts::{Known, Unknown};
use crate::host::{FileKind, Host};

/// Where containerd keeps the layers of images, in its own root.
const SNAPSHOTS: &str = "io.containerd.snapshotter.v1.overlayfs/snapshots";

/// Reads containers, images and volumes.
pub(super) fn stock(host: &dyn Host, data_root: &Path) -> Stock {
    match roots(host, data_root) {
        Ok(roots) => Stock {
            containers: each(&roots, |root| containers(host, root)),
            partial: None,
            images: each(&roots, |root| images(host, root)).and_then(|names| containerd_images(host, data_root, names)),
            volumes: each(&roots, |root| volumes(host, root)),
        },
        Err(unknown) => Stock {
            containers: Err(unknown.clone()),
            partial: None,
            images: Err(unknown.clone()),
            volumes: Err(unknown),
        },
    }
}

/// Whether this node is in a swarm: dockerd writes `docker-state.json` when it joins, and empties the directory when
/// it leaves.
pub(super) fn swarm(host: &dyn Host, data_root: &Path) -> Known<Swarm> {
    for root in roots(host, data_root)? {
        let names = listing(host, &root.join("swarm"))?;
        if names.iter().any(|name| name == "docker-state.json" || name == "state.json") {
            return Ok(Swarm::Active("a member, by its data root".into()));
        }
    }
    Ok(Swarm::Inactive)
}

fn roots(host: &dyn Host, data_root: &Path) -> Known<Vec<PathBuf>> {
    let remapped = |name: &String| {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        name.split_once('.').is_some_and(|(uid, gid)| number(uid) && number(gid))
    };
    let inner = listing(host, data_root)?.into_iter().filter(remapped).map(|name| data_root.join(name));
    Ok(std::iter::once(data_root.to_path_buf()).chain(inner).collect())
}

fn each<T>(roots: &[PathBuf], read: impl Fn(&Path) -> Known<Vec<T>>) -> Known<Vec<T>> {
    let mut all = Vec::new();
    for root in roots {
        all.extend(read(root)?);
    }
    Ok(all)
}

fn containers(host: &dyn Host, root: &Path) -> Known<Vec<Container>> {
    let directory = root.join("containers");
    let mut containers = Vec::new();
    for id in listing(host, &directory)? {
        let path = directory.join(&id);
        // A directory without the file is a container that was half created or half removed: dockerd skips it too.
        let Some(mut value) = json(host, &path.join("config.v2.json"))? else { continue };
        value["HostConfig"] = json(host, &path.join("hostconfig.json"))?.unwrap_or_default();
        let mut container = Container::read(&value)
            .ok_or_else(|| Unknown(format!("{}: no id", path.join("config.v2.json").display())))?;
        container.running = container.running && lives(host, &container);
        if !container.running {
            container.pid = 0;
        }
        containers.push(container);
    }
    Ok(containers)
}

/// The file says that it runs; after a crash or reboot it still says so. With live-restore it may be true.
fn lives(host: &dyn Host, container: &Container) -> bool {
    if host.offline() {
        return false;
    }
    match host.read(Path::new(&format!("/proc/{}/cgroup", container.pid))) {
        Ok(cgroup) => container_ids(&String::from_utf8_lossy(&cgroup)).contains(&container.id),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn images(host: &dyn Host, root: &Path) -> Known<Vec<String>> {
    let mut names = Vec::new();
    for driver in listing(host, &root.join("image"))? {
        let driver = root.join("image").join(driver);
        let mut tagged = Vec::new();
        let repositories = json(host, &driver.join("repositories.json"))?.unwrap_or_default();
        for (_, references) in repositories["Repositories"].as_object().into_iter().flatten() {
            for (name, id) in references.as_object().into_iter().flatten() {
                let id = id.as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned();
                tagged.push((id, name.clone()));
            }
        }
        for id in listing(host, &driver.join("imagedb/content/sha256"))? {
            if !tagged.iter().any(|(known, _)| *known == id) {
                names.push(short(&id).to_owned());
            }
        }
        // A pulled image has a tag and a digest: the digest is named only where it is alone.
        let has_tag = |id: &String| tagged.iter().any(|(other, name)| other == id && !name.contains('@'));
        names.extend(
            tagged.iter().filter(|(id, name)| !name.contains('@') || !has_tag(id)).map(|(_, name)| name.clone()),
        );
    }
    Ok(names)
}

/// With containerd's image store the names lie in containerd's database, which only containerd reads. When it holds
/// layers at all, that no image is in the data root says nothing.
fn containerd_images(host: &dyn Host, data_root: &Path, names: Vec<String>) -> Known<Vec<String>> {
    if names.is_empty() {
        // The system's containerd, and the one that dockerd starts where there is none.
        for root in [PathBuf::from("/var/lib/containerd"), data_root.join("containerd/daemon")] {
            let path = root.join(SNAPSHOTS);
            if !listing(host, &path)?.is_empty() {
                let path = path.display();
                return Err(Unknown(format!("{path} holds layers; whose they are is known only while docker runs")));
            }
        }
    }
    Ok(names)
}

fn volumes(host: &dyn Host, root: &Path) -> Known<Vec<String>> {
    let directory = root.join("volumes");
    let mut names = Vec::new();
    for name in listing(host, &directory)? {
        // Beside the volumes lie dockerd's database and a device node that it makes for quotas.
        let stat = host.stat(&directory.join(&name)).map_err(|e| unknown(&directory.join(&name), &e))?;
        if stat.kind == FileKind::Dir {
            names.push(name);
        }
    }
    Ok(names)
}

/// Names in a directory; one that is not there is empty.
fn listing(host: &dyn Host, path: &Path) -> Known<Vec<String>> {
    match host.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| unknown(path, &error)),
    }
}

fn json(host: &dyn Host, path: &Path) -> Known<Option<Value>> {
    match host.read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|error| Unknown(format!("{}: {error}", path.display())))
        }
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
        Err(error) => Err(unknown(path, &error)),
    }
}

fn unknown(path: &Path, error: &io::Error) -> Unknown {
    Unknown(format!("{}: {error}", path.display()))
}
