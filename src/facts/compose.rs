//! What compose files say about the containers that come from them: what each would be if it were made anew now.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::workload::{ComposeOrigin, Container, Workload};
use super::{Known, Unknown};
use crate::compose::{Document, Service, ServiceEdit};
use crate::host::{FileKind, Host, path};

/// No compose file that someone wrote is larger, in bytes; what is edited is held whole in a plan.
const LARGEST: u64 = 1 << 20;

/// Compose files, and what comes of them.
#[derive(Clone, Debug, Default)]
pub struct ComposeFiles {
    /// Their texts by the names that containers have for them, or why they are not known.
    pub texts: BTreeMap<PathBuf, Known<String>>,
    /// By the id of a container: the same container as its files describe it now. Only where all of its files can be
    /// read in one way only.
    pub anew: BTreeMap<String, Container>,
}

impl ComposeOrigin {
    /// Whether `up` makes such a container anew from files that are known.
    pub fn can_be_followed(&self) -> bool {
        !self.oneoff && !self.config_files.is_empty() && !self.service.is_empty()
    }
}

/// Reads the files that the containers name, each once.
pub(super) fn gather(host: &dyn Host, workload: &Workload) -> ComposeFiles {
    let (containers, _) = workload.each().unwrap_or_default();
    let origins = || containers.iter().filter_map(|one| Some((one, one.compose.as_ref()?)));
    let mut files = ComposeFiles::default();
    for (_, origin) in origins().filter(|(_, origin)| origin.can_be_followed()) {
        for file in &origin.config_files {
            files.texts.entry(file.clone()).or_insert_with(|| read(host, file));
        }
    }
    let documents = files.texts.iter().filter_map(|(file, text)| {
        let text = text.as_ref().ok()?;
        Some((file.as_path(), Document::read(text).ok()?))
    });
    let documents: BTreeMap<&Path, Document> = documents.collect();
    let anew = origins().filter_map(|(one, origin)| Some((one.id.clone(), made_of(one, origin, &documents)?)));
    files.anew = anew.collect();
    files
}

fn read(host: &dyn Host, file: &Path) -> Known<String> {
    let why = |error: std::io::Error| Unknown(format!("{}: {error}", file.display()));
    let (real, stat) = path::stat_follow(host, file).map_err(why)?;
    if stat.kind != FileKind::File {
        return Err(Unknown(format!("{}: no plain file", file.display())));
    }
    if stat.size > LARGEST {
        return Err(Unknown(format!("{}: {} bytes, which is more than 1 MiB", file.display(), stat.size)));
    }
    path::read_text(host, &real).map_err(why)
}

/// A container as it would be if these texts were its files; others are taken from `files`. `None`: nobody can say.
pub fn anew(container: &Container, files: &ComposeFiles, texts: &BTreeMap<PathBuf, String>) -> Option<Container> {
    let origin = container.compose.as_ref()?;
    let text = |file: &'_ PathBuf| texts.get(file).or_else(|| files.texts.get(file)?.as_ref().ok()).cloned();
    let read = |file: &'_ PathBuf| Document::read(&text(file)?).ok();
    let documents: Option<BTreeMap<&Path, Document>> =
        origin.config_files.iter().map(|file| Some((file.as_path(), read(file)?))).collect();
    made_of(container, origin, &documents?)
}

fn made_of(one: &Container, origin: &ComposeOrigin, documents: &BTreeMap<&Path, Document>) -> Option<Container> {
    if !origin.can_be_followed() {
        return None;
    }
    let documents: Option<Vec<&Document>> =
        origin.config_files.iter().map(|file| documents.get(file.as_path())).collect();
    let having = documents?.into_iter().filter(|document| document.has(&origin.service));
    let services: Option<Vec<Service<'_>>> = having.map(|document| document.service(&origin.service).ok()).collect();
    let said = Said(services?);
    if said.0.is_empty() {
        return None;
    }
    let mut made = Container { running: false, pid: 0, ..one.clone() };
    said.confinement(&mut made);
    said.namespaces(&mut made, origin);
    said.rest(&mut made);
    Some(made)
}

/// A service in all files that have it, in compose's order.
struct Said<'d>(Vec<Service<'d>>);

impl Said<'_> {
    /// What a key holds that the last file decides. `None`: nobody can say; what is not there is `false`.
    fn truth(&self, key: &str) -> Option<bool> {
        let all: Result<Vec<_>, _> = self.0.iter().map(|service| service.truth(key)).collect();
        Some(all.ok()?.into_iter().flatten().next_back().unwrap_or(false))
    }

    /// As [`Self::truth`]; what is not there is the empty text.
    fn literal(&self, key: &str) -> Option<String> {
        let all: Result<Vec<_>, _> = self.0.iter().map(|service| service.literal(key)).collect();
        Some(all.ok()?.into_iter().flatten().next_back().unwrap_or_default())
    }

    /// A list to which each file adds. `None`: nobody can say.
    fn list(&self, key: &str) -> Option<Vec<String>> {
        let all: Result<Vec<_>, _> = self.0.iter().map(|service| service.literals(key)).collect();
        Some(all.ok()?.concat())
    }

    /// Whether an edit is made in every file.
    fn is_so(&self, edit: &ServiceEdit) -> bool {
        self.0.iter().all(|service| service.is_so(edit).unwrap_or(false))
    }

    fn confinement(&self, made: &mut Container) {
        let capabilities = |key: &str| {
            let names = self.list(key)?.into_iter().map(|name| name.to_ascii_uppercase());
            Some(names.map(|name| name.strip_prefix("CAP_").map_or_else(|| name.clone(), str::to_owned)).collect())
        };
        made.privileged = self.truth("privileged").unwrap_or(made.privileged);
        made.security_opts = self.list("security_opt").unwrap_or_else(|| made.security_opts.clone());
        let own = &mut made.confinement;
        if let (Some(add), Some(drop)) = (capabilities("cap_add"), capabilities("cap_drop")) {
            (own.cap_add, own.cap_drop) = (add, drop);
        }
        own.read_only = self.truth("read_only").unwrap_or(own.read_only);
        if let Some(parent) = self.literal("cgroup_parent") {
            own.cgroup_parent = parent;
        }
        let unlabelled =
            made.security_opts.iter().any(|option| ["label=disable", "label:disable"].contains(&&**option));
        if !made.privileged && !unlabelled && !own.process_label.is_empty() {
            // What container-selinux gives a container that nothing is said about.
            own.process_label = "system_u:system_r:container_t:s0".into();
        }
        if let Some(user) = self.literal("user").filter(|user| !user.is_empty()) {
            made.user = user;
        }
    }

    fn namespaces(&self, made: &mut Container, origin: &ComposeOrigin) {
        let spaces = &mut made.namespaces;
        // That of another container or service is found by its id, which a file does not name.
        let set = |space: &mut String, key: &str, default: &str| match self.literal(key) {
            Some(mode) if mode.is_empty() => default.clone_into(space),
            Some(mode) if !mode.contains(':') => *space = mode,
            _ => {}
        };
        set(&mut spaces.pid, "pid", "");
        set(&mut spaces.ipc, "ipc", "private");
        set(&mut spaces.uts, "uts", "");
        set(&mut spaces.user, "userns_mode", "");
        let before = spaces.network.clone();
        set(&mut spaces.network, "network_mode", "");
        match spaces.network.as_str() {
            // Compose puts it on the networks of its project.
            "" if ["", "default", "bridge", "host"].contains(&before.as_str()) => {
                spaces.network = format!("{}_default", origin.project);
                made.networks = vec![(spaces.network.clone(), Vec::new())];
            }
            "" => spaces.network = before,
            "bridge" | "host" => made.networks = vec![(spaces.network.clone(), Vec::new())],
            _ => {}
        }
    }

    fn rest(&self, made: &mut Container) {
        let value = |key: &str| self.0.iter().rev().find_map(|service| service.value(key));
        if let Some(check) = value("healthcheck") {
            let none = check["disable"] == true || check["test"][0] == "NONE" || check["test"] == "NONE";
            made.healthcheck = if none { Vec::new() } else { vec!["healthcheck".into()] };
            if none {
                made.confinement.health = None;
            }
        }
        if value("ports").is_none() {
            made.ports.clear();
        } else if self.is_so(&ServiceEdit::BindPorts(IpAddr::V4(Ipv4Addr::LOCALHOST))) {
            // On addresses that were chosen; which ones does not matter here.
            for port in made.ports.iter_mut().filter(|port| ["", "0.0.0.0", "::"].contains(&port.host_ip.as_str())) {
                port.host_ip = Ipv4Addr::LOCALHOST.to_string();
            }
        }
        made.devices
            .retain(|device| !device.starts_with('/') || !self.is_so(&ServiceEdit::RemoveDevice(device.clone())));
        let mut with_volumes = self.0.iter().filter(|service| service.value("volumes").is_some());
        if let (Some(service), None) = (with_volumes.next(), with_volumes.next()) {
            for mount in made.confinement.mounts.iter_mut().filter(|mount| mount.kind == "bind") {
                let is_so = |edit: &ServiceEdit| service.is_so(edit).unwrap_or(false);
                mount.writable &= !is_so(&ServiceEdit::ReadOnlyMount(mount.destination.clone()));
                if is_so(&ServiceEdit::PrivateMount(mount.destination.clone())) {
                    mount.propagation = "rprivate".into();
                }
            }
        }
    }
}
