//! Finds each object of the catalogue where it really is on this host: by the running process, the unit, the socket
//! unit and the configuration, before any usual place.

use std::path::{Path, PathBuf};

use super::model::{Daemon, Known, Located, Unit, Unknown};
use super::rootless::Account;
use crate::catalog::Object;
use crate::host::{FileKind, Host, path};

const BIN_DIRS: &[&str] = &["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// What is known before objects are looked for.
pub(super) struct Context<'a> {
    /// The daemon.
    pub daemon: &'a Daemon,
    /// docker.service, docker.socket.
    pub service: Option<&'a Unit>,
    /// docker.socket.
    pub socket: Option<&'a Unit>,
    /// The user whose own Docker it is; `None`: the system's.
    pub rootless: Option<&'a Account>,
}

/// Where an object is; empty: it does not exist here.
pub(super) fn locate(host: &dyn Host, context: &Context<'_>, object: &Object) -> Known<Vec<Located>> {
    let mut found = Vec::new();
    for (path, aliases) in candidates(host, context, object)? {
        match path::stat_follow(host, &path) {
            Ok((real, stat)) => {
                let parent_exists = |p: &PathBuf| p.parent().is_some_and(|dir| path::stat_follow(host, dir).is_ok());
                let mut names: Vec<PathBuf> = aliases.into_iter().filter(|a| *a != real && parent_exists(a)).collect();
                names.retain(|name| canonical(host, name) != real);
                found.push(Located { path: real, aliases: names, stat });
            }
            Err(error) if absent(&error) => {}
            Err(error) => return Err(Unknown(format!("{}: {error}", path.display()))),
        }
    }
    found.sort_by(|a: &Located, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// The path with the symlinks of its parent resolved and the last component as it is: what a kernel watch means.
fn canonical(host: &dyn Host, path: &Path) -> PathBuf {
    let parent = path.parent().and_then(|dir| path::resolve(host, dir).ok());
    match (parent, path.file_name()) {
        (Some(dir), Some(name)) => dir.join(name),
        _ => path.to_owned(),
    }
}

type Candidates = Vec<(PathBuf, Vec<PathBuf>)>;

fn candidates(host: &dyn Host, context: &Context<'_>, object: &Object) -> Known<Candidates> {
    let one = |path: &str| Ok(vec![(PathBuf::from(path), Vec::new())]);
    let name = match object {
        Object::Path(path) => return one(path),
        Object::Named(name) => name.as_str(),
    };
    let daemon = context.daemon;
    if let Some(places) = context.rootless.and_then(|account| account.place(name)) {
        return Ok(places.into_iter().map(|place| (place, Vec::new())).collect());
    }
    match name {
        "dockerd" => Ok(dockerd(host, daemon)),
        "docker-client" => Ok(binary(host, &["docker"])),
        "containerd" => Ok(binary(host, &["containerd", "docker-containerd"])),
        "containerd-shim" => Ok(binary(host, &["containerd-shim", "docker-containerd-shim"])),
        "containerd-shim-runc-v1" | "containerd-shim-runc-v2" => Ok(binary(host, &[name])),
        "runc" => Ok(binary(host, &["runc", "docker-runc"])),
        "run-containerd" => one("/run/containerd"),
        "data-root" => Ok(vec![(daemon.data_root.clone(), Vec::new())]),
        "etc-docker" => one("/etc/docker"),
        "docker-service" => Ok(unit_files(context.service)),
        "docker-socket-unit" => Ok(unit_files(context.socket)),
        "docker-socket" => Ok(vec![(daemon.socket.clone(), Vec::new())]),
        "containerd-socket" => {
            let text = daemon.setting("containerd").next.ok().and_then(|v| v.as_str().map(PathBuf::from));
            let used = text.unwrap_or_else(|| "/run/containerd/containerd.sock".into());
            let own = PathBuf::from("/run/docker/containerd/containerd.sock");
            Ok(vec![(used, Vec::new()), (own, Vec::new())])
        }
        "default-docker" => one("/etc/default/docker"),
        "daemon-json" => Ok(vec![(daemon.config_path.clone(), Vec::new())]),
        "containerd-config" => one("/etc/containerd/config.toml"),
        "sysconfig-docker" => one("/etc/sysconfig/docker"),
        "registry-certs" => certs(host, context, &["crt", "cert"]),
        "registry-keys" => certs(host, context, &["key"]),
        "tls-ca" => tls(context, "tlscacert", "ca.pem"),
        "tls-cert" => tls(context, "tlscert", "cert.pem"),
        "tls-key" => tls(context, "tlskey", "key.pem"),
        other => Err(Unknown(format!("nothing is known of an object `{other}`"))),
    }
}

fn dockerd(host: &dyn Host, daemon: &Daemon) -> Candidates {
    // Scanners look for /usr/bin/dockerd; Debian's docker.io has it in /usr/sbin.
    let alias = vec![PathBuf::from("/usr/bin/dockerd")];
    if let Ok(Some(running)) = &daemon.running {
        return vec![(running.exe.clone(), alias)];
    }
    let unit = daemon.next_argv.as_ref().ok().and_then(|argv| argv.first()).map(|a| PathBuf::from(&a.text));
    match unit {
        Some(exe) if exe.is_absolute() => vec![(exe, alias)],
        _ => binary(host, &["dockerd"]).into_iter().map(|(path, _)| (path, alias.clone())).collect(),
    }
}

/// A program by name in the usual places; its names there are aliases of what it resolves to.
fn binary(host: &dyn Host, names: &[&str]) -> Candidates {
    for name in names {
        let places: Vec<PathBuf> = BIN_DIRS.iter().map(|dir| Path::new(dir).join(name)).collect();
        let present: Vec<PathBuf> = places.into_iter().filter(|p| host.stat(p).is_ok()).collect();
        if let Some(first) = present.first() {
            return vec![(first.clone(), present.clone())];
        }
    }
    Vec::new()
}

fn unit_files(unit: Option<&Unit>) -> Candidates {
    unit.map(Unit::files).unwrap_or_default().into_iter().map(|file| (file.clone(), Vec::new())).collect()
}

/// Regular files with these endings below `certs.d`; links are not followed.
fn certs(host: &dyn Host, context: &Context<'_>, endings: &[&str]) -> Known<Candidates> {
    let top = context.rootless.map_or_else(|| "/etc/docker/certs.d".into(), Account::certs);
    let mut found = Vec::new();
    let registries = match host.list(&top) {
        Ok(names) => names,
        Err(error) if absent(&error) => return Ok(found),
        Err(error) => return Err(Unknown(format!("{}: {error}", top.display()))),
    };
    for registry in registries {
        let dir = top.join(registry);
        for name in host.list(&dir).unwrap_or_default() {
            let file = dir.join(&name);
            let wanted = file.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending));
            if wanted && host.stat(&file).is_ok_and(|s| s.kind == FileKind::File) {
                found.push((file, Vec::new()));
            }
        }
    }
    Ok(found)
}

/// A TLS file: named by its setting, else dockerd's default below its user's `.docker` when TLS is on.
fn tls(context: &Context<'_>, key: &str, default: &str) -> Known<Candidates> {
    let daemon = context.daemon;
    let value = daemon.setting(key).next?;
    if let Some(path) = value.as_str().filter(|p| !p.is_empty()) {
        return Ok(vec![(PathBuf::from(path), Vec::new())]);
    }
    // dockerd turns TLS on for `tlsverify` whatever its value in the file, and for `tls: true`.
    let on = |key: &str| daemon.setting(key).next.is_ok_and(|v| v.as_bool() == Some(true));
    if on("tls") || on("tlsverify") {
        let home = context.rootless.map_or(Path::new("/root"), |account| &account.home);
        return Ok(vec![(home.join(".docker").join(default), Vec::new())]);
    }
    Ok(Vec::new())
}
