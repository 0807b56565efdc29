//! What is written into the compose files that failing containers come from: the site's values, else proposals, and only
//! what closes the finding once the container is made anew.

mod anew;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::proposal::{Basis, Obstacle, Proposal};
pub(super) use anew::{projects, recreations, wait};

use crate::audit::{self, Finding, HazardFound, Verdict};
use crate::catalog::{ComposeEdit, Edit, Entry, Namespace};
use crate::compose::{self, Confinement, Document, EditError, HostKey, ServiceEdit};
use crate::facts::workload::ComposeOrigin;
use crate::facts::{Container, Facts, compose as files};
use crate::host::{Host, path};
use crate::policy::{CONFIG, ComposeValues, Policy};
use crate::text::clean;

/// What stays writable where nobody says what has to.
const TMPFS: [&str; 2] = ["/tmp", "/run"];
/// What dockerd leaves a container by default, without `NET_RAW` (`caps.DefaultCapabilities` in moby).
const DEFAULT: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// What one failing container would get in its compose file.
#[derive(Clone, Debug, PartialEq)]
pub struct Writing {
    /// Name of the container.
    pub name: String,
    /// Its full id.
    pub id: String,
    /// `PROJECT/SERVICE`
    pub service: String,
    /// The edits by file, and where their values come from; or what keeps them from being made.
    pub edits: Result<(Vec<Placed>, Basis), Obstacle>,
    /// It is gone with all that it holds once it stops (`--rm`).
    pub is_lost: bool,
}

/// An edit and the file that it is made in.
pub(super) type Placed = (PathBuf, ServiceEdit);

/// What a check would write for the containers that fail it. Those that come from no compose file are not among them.
pub(super) fn writings(facts: &Facts, policy: &Policy, entry: &Entry, findings: &[&Finding]) -> Vec<Writing> {
    let edit = entry.remediation.edits.iter().find_map(|edit| match edit {
        Edit::Compose(edit) if !edit.is_kept_live() => Some(*edit),
        _ => None,
    });
    let Some(edit) = edit else { return Vec::new() };
    let failing: BTreeSet<&str> = findings
        .iter()
        .filter(|f| f.check == entry.id && f.verdict == Verdict::Fail)
        .map(|f| f.subject_id.as_str())
        .collect();
    let (read, _) = facts.workload.each().unwrap_or_default();
    let of = |container: &Container| {
        let origin = container.compose.as_ref().filter(|origin| origin.can_be_followed())?;
        let service = format!("{}/{}", origin.project, origin.service);
        let edits = chosen(policy, edit, container, &service)
            .and_then(|(edits, basis)| Ok((checked(facts, entry, container, origin, edits)?, basis)));
        let (name, id, is_lost) = (container.name.clone(), container.id.clone(), container.auto_remove);
        Some(Writing { name, id, service, edits, is_lost })
    };
    read.iter().filter(|one| failing.contains(one.id.as_str())).filter_map(of).collect()
}

/// The edits, and where their values come from.
fn chosen(
    policy: &Policy,
    edit: ComposeEdit,
    container: &Container,
    service: &str,
) -> Result<(Vec<ServiceEdit>, Basis), Obstacle> {
    let values = &policy.values.compose;
    let missing = |key: &str| Obstacle {
        why: format!("`{key}` has to be chosen"),
        first: format!("set `{key}` under [values.compose.\"{service}\"] in {CONFIG}"),
    };
    let benchmark = |edits: Vec<ServiceEdit>| Ok((edits, Basis::Benchmark));
    let proposed = |edits: Vec<ServiceEdit>, what: &str| Ok((edits, Basis::Computed(what.to_owned())));
    let unprivileged = || container.privileged.then_some(ServiceEdit::Remove(HostKey::Privileged));
    match edit {
        ComposeEdit::NoNewPrivileges => benchmark(vec![ServiceEdit::NoNewPrivileges]),
        ComposeEdit::CgroupParent => benchmark(vec![ServiceEdit::Remove(HostKey::CgroupParent)]),
        ComposeEdit::DefaultBridge => benchmark(vec![ServiceEdit::Remove(HostKey::BridgeNetwork)]),
        ComposeEdit::PrivateMounts => benchmark(mounts(container, |mount| {
            let shared = ["shared", "rshared"].contains(&mount.propagation.as_str());
            shared.then(|| ServiceEdit::PrivateMount(mount.destination.clone()))
        })),
        ComposeEdit::Apparmor | ComposeEdit::Seccomp | ComposeEdit::Selinux => {
            let confinement = match edit {
                ComposeEdit::Apparmor => Confinement::Apparmor,
                ComposeEdit::Seccomp => Confinement::Seccomp,
                _ => Confinement::Label,
            };
            let edits = vec![ServiceEdit::Confine(confinement)];
            match unprivileged() {
                Some(first) => proposed([vec![first], edits].concat(), "without `privileged`"),
                None => benchmark(edits),
            }
        }
        ComposeEdit::HostNamespace(which) => {
            let (key, what) = match which {
                Namespace::Network => (HostKey::HostNetwork, "on a network of its own, without ports of the host,"),
                Namespace::Pid => (HostKey::Pid, "without `pid: host`"),
                Namespace::Ipc => (HostKey::Ipc, "without `ipc: host`"),
                Namespace::Uts => (HostKey::Uts, "without `uts: host`"),
                Namespace::User => (HostKey::Userns, "without `userns_mode: host`"),
            };
            proposed(vec![ServiceEdit::Remove(key)], what)
        }
        ComposeEdit::Devices => {
            let paths = container.devices.iter().filter(|device| device.starts_with('/'));
            let edits = paths.map(|path| ServiceEdit::RemoveDevice(path.clone()));
            proposed(unprivileged().into_iter().chain(edits).collect(), "without devices of the host")
        }
        ComposeEdit::ReadOnlyMounts => {
            let edits = mounts(container, |mount| {
                mount.writable.then(|| ServiceEdit::ReadOnlyMount(mount.destination.clone()))
            });
            proposed(edits, "what is mounted from the host read-only")
        }
        ComposeEdit::ReadOnlyRoot => {
            if let Some(tmpfs) = values.value(service, |values| values.tmpfs.clone()) {
                return Ok((vec![ServiceEdit::ReadOnlyRoot { tmpfs }], Basis::Config));
            }
            let tmpfs = TMPFS.map(str::to_owned).to_vec();
            proposed(vec![ServiceEdit::ReadOnlyRoot { tmpfs }], "read-only but for /tmp and /run")
        }
        ComposeEdit::Ports => match values.value(service, |values| values.address) {
            Some(address) => Ok((vec![ServiceEdit::BindPorts(address)], Basis::Config)),
            None => proposed(
                vec![ServiceEdit::BindPorts(IpAddr::V4(Ipv4Addr::LOCALHOST))],
                "ports on 127.0.0.1, out of reach for other hosts,",
            ),
        },
        ComposeEdit::User => {
            let user = values.value(service, |values| values.user.clone()).ok_or_else(|| missing("user"))?;
            Ok((vec![ServiceEdit::User(user)], Basis::Config))
        }
        ComposeEdit::Healthcheck => {
            let of = |values: &ComposeValues| values.healthcheck.clone();
            let check = values.value(service, of).ok_or_else(|| missing("healthcheck"))?;
            Ok((vec![ServiceEdit::Healthcheck(check)], Basis::Config))
        }
        ComposeEdit::Privileged | ComposeEdit::Capabilities | ComposeEdit::Capability(_) => {
            Ok(capabilities(edit, container, values.value(service, |values| values.capabilities.clone())))
        }
        ComposeEdit::Cpus | ComposeEdit::Memory | ComposeEdit::PidsLimit | ComposeEdit::RestartPolicy => {
            benchmark(Vec::new())
        }
    }
}

fn mounts(
    container: &Container,
    edit: impl Fn(&crate::facts::workload::Mount) -> Option<ServiceEdit>,
) -> Vec<ServiceEdit> {
    let binds = container.confinement.mounts.iter().filter(|mount| mount.kind == "bind");
    binds.filter_map(edit).collect()
}

/// What a container keeps of root's power: what the site says, else the default ones without `NET_RAW`.
fn capabilities(edit: ComposeEdit, container: &Container, kept: Option<Vec<String>>) -> (Vec<ServiceEdit>, Basis) {
    let mut edits = Vec::new();
    if container.privileged {
        edits.push(ServiceEdit::Remove(HostKey::Privileged));
    }
    let added = &container.confinement.cap_add;
    let without = |keep: &dyn Fn(&str) -> bool| added.iter().filter(|name| !keep(name)).cloned().collect::<Vec<_>>();
    if let Some(keep) = kept {
        edits.push(ServiceEdit::RemoveCapabilities(without(&|name| keep.iter().any(|kept| kept == name))));
        edits.push(ServiceEdit::DropCapabilities { keep });
        return (edits, Basis::Config);
    }
    let what = match edit {
        ComposeEdit::Capability(which) => {
            let all = added.iter().any(|name| name == "ALL");
            edits.push(ServiceEdit::RemoveCapabilities(vec![if all { "ALL" } else { which.name() }.to_owned()]));
            format!("without {}", which.name())
        }
        ComposeEdit::Privileged => "without `privileged`, with the default capabilities,".to_owned(),
        _ => {
            edits.push(ServiceEdit::RemoveCapabilities(without(&|name| DEFAULT.contains(&name))));
            edits.push(ServiceEdit::DropThese(vec!["NET_RAW".to_owned()]));
            "the default capabilities without NET_RAW".to_owned()
        }
    };
    (edits, Basis::Computed(what))
}

/// Where each edit is made, and that the container passes once it is made anew.
fn checked(
    facts: &Facts,
    entry: &Entry,
    container: &Container,
    origin: &ComposeOrigin,
    edits: Vec<ServiceEdit>,
) -> Result<Vec<Placed>, Obstacle> {
    let mut texts = BTreeMap::new();
    for file in &origin.config_files {
        match facts.compose.texts.get(file) {
            Some(Ok(text)) => texts.insert(file.clone(), text.clone()),
            Some(Err(why)) => return Err(by_hand(why.to_string(), file)),
            None => return Err(by_hand(format!("{} was not read", file.display()), file)),
        };
    }
    let mut placed = Vec::new();
    for edit in edits {
        let file = place(origin, &texts, &edit)?;
        let new = compose::edit(&texts[&file], &origin.service, &edit).map_err(|error| refused(&file, &error))?;
        if new != texts[&file] {
            texts.insert(file.clone(), new);
            placed.push((file, edit));
        }
    }
    let anew = files::anew(container, &facts.compose, &texts);
    if placed.is_empty() || !anew.is_some_and(|anew| audit::holds(entry, facts, &anew)) {
        let file = &origin.config_files[0];
        return Err(by_hand(format!("nothing that seaworthy writes into {} mends it", file.display()), file));
    }
    Ok(placed)
}

/// The file that has the edit's keys for this service, else the first that has the service.
fn place(origin: &ComposeOrigin, texts: &BTreeMap<PathBuf, String>, edit: &ServiceEdit) -> Result<PathBuf, Obstacle> {
    let (mut first, mut having): (Option<&Path>, Vec<&Path>) = (None, Vec::new());
    for file in &origin.config_files {
        let document = Document::read(&texts[file]).map_err(|error| refused(file, &error))?;
        if !document.has(&origin.service) {
            continue;
        }
        let service = document.service(&origin.service).map_err(|error| refused(file, &error))?;
        first.get_or_insert(file);
        if edit.keys().iter().any(|key| service.value(key).is_some()) {
            having.push(file);
        }
    }
    match having.as_slice() {
        [only] => Ok(only.to_path_buf()),
        [] => first.map(Path::to_owned).ok_or_else(|| {
            let file = &origin.config_files[0];
            by_hand(format!("{}: no service `{}`", file.display(), origin.service), file)
        }),
        [first, others @ ..] => {
            let other = others.last().unwrap_or(first).display();
            let keys = edit.keys().join("`, `");
            Err(by_hand(format!("{} and {other} both say `{keys}` for {}", first.display(), origin.service), first))
        }
    }
}

fn refused(file: &Path, error: &EditError) -> Obstacle {
    let place = if error.line == 0 { String::new() } else { format!(":{}", error.line) };
    by_hand(format!("{}{place}: {}", file.display(), error.message), file)
}

fn by_hand(why: String, file: &Path) -> Obstacle {
    Obstacle { why, first: format!("change {} by hand", file.display()) }
}

/// Edits the files; a container whose file cannot be edited any more keeps its finding.
pub(super) fn take_up(base: &dyn Host, facts: &Facts, draft: &mut Draft, check: &str, writings: Vec<Writing>) {
    let (read, _) = facts.workload.each().unwrap_or_default();
    for writing in writings {
        let Ok((edits, _)) = writing.edits else { continue };
        let Some(origin) = read.iter().find(|one| one.id == writing.id).and_then(|one| one.compose.as_ref()) else {
            continue;
        };
        let mut attempt = draft.clone();
        if edits.iter().all(|(file, edit)| write(base, &mut attempt, check, (file, origin), edit).is_some()) {
            *draft = attempt;
            draft.compose(check, &writing.name, origin);
        }
    }
}

/// Makes one edit in the draft. `None`: it cannot be made there.
fn write(
    base: &dyn Host,
    draft: &mut Draft,
    check: &str,
    (file, origin): (&Path, &ComposeOrigin),
    edit: &ServiceEdit,
) -> Option<()> {
    let real = path::resolve(base, file).ok()?;
    let old = draft.text(base, &real).ok()??;
    let new = compose::edit(&old, &origin.service, edit).ok()?;
    draft.lines(check, &real, &old, &new);
    draft.project(origin);
    draft.write(base, check, &real, 0o644, new).ok()
}

/// The files that hold what is written.
pub(super) fn targets(writings: &[Writing]) -> BTreeSet<PathBuf> {
    let placed = writings.iter().filter_map(|one| one.edits.as_ref().ok()).flat_map(|(placed, _)| placed);
    placed.map(|(file, _)| file.clone()).collect()
}

/// Where not one of the files can be changed, what has to be done first.
pub(super) fn nothing_possible(writings: &[Writing]) -> Option<String> {
    let obstacles: Option<Vec<&Obstacle>> = writings.iter().map(|one| one.edits.as_ref().err()).collect();
    obstacles?.first().map(|obstacle| obstacle.first.clone())
}

impl Writing {
    /// What a person has to agree to, in words that stay the same as long as the proposal does.
    pub(super) fn to_choose(&self) -> Option<String> {
        match &self.edits {
            Ok((_, Basis::Computed(what))) => Some(format!("{}: {what} proposed", self.name)),
            Ok((_, Basis::Config | Basis::Benchmark)) => None,
            Err(Obstacle { why, .. }) => Some(format!("{}: {why}", self.name)),
        }
    }

    /// What it costs that the container is made anew.
    pub(super) fn stops(&self) -> Option<String> {
        let lost = if self.is_lost { ", and it has `--rm`" } else { "" };
        let name = &self.name;
        self.edits.is_ok().then(|| format!("{name} (made anew: what it wrote outside of volumes is lost{lost})"))
    }

    /// Of what a check would hurt, what is about this container, as [`Proposal::own`], and about its files.
    pub(super) fn own(&self, hazards: &[HazardFound]) -> Vec<HazardFound> {
        let words: Vec<String> = self.to_choose().into_iter().chain(self.stops()).collect();
        let placed = self.edits.iter().flat_map(|(placed, _)| placed);
        let files: Vec<String> = placed.map(|(file, _)| clean(&format!("{}: ", file.display()))).collect();
        let own = |text: &&String| words.contains(text) || files.iter().any(|file| text.starts_with(file));
        let of = |found: &HazardFound| {
            let evidence: Vec<String> = found.evidence.iter().filter(own).cloned().collect();
            (!evidence.is_empty()).then_some(HazardFound { evidence, hazard: found.hazard, looked: found.looked })
        };
        hazards.iter().filter_map(of).collect()
    }
}

/// The git work tree that a file lies in.
///
/// # Errors
/// When a folder above it cannot be looked at.
pub(super) fn work_tree(host: &dyn Host, file: &Path) -> io::Result<Option<PathBuf>> {
    for dir in file.ancestors().skip(1) {
        match host.stat(&dir.join(".git")) {
            Ok(_) => return Ok(Some(dir.to_owned())),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Writes what a running container gets into its compose file too, so that it still holds when it is made anew. What
/// cannot be written, or belongs to a work tree, is for a person: `false`.
pub(super) fn keep(base: &dyn Host, facts: &Facts, draft: &mut Draft, check: &str, one: &Proposal) -> bool {
    let (read, _) = facts.workload.each().unwrap_or_default();
    let Some(container) = read.iter().find(|other| other.id == one.id) else { return false };
    let Some(origin) = container.compose.as_ref().filter(|origin| origin.can_be_followed()) else { return false };
    let Ok((change, _)) = &one.change else { return false };
    let Some(edit) = change.after.service_edit() else { return false };
    let mut texts = BTreeMap::new();
    for file in &origin.config_files {
        let Ok(real) = path::resolve(base, file) else { return false };
        if !matches!(work_tree(base, &real), Ok(None)) {
            return false;
        }
        let Ok(Some(text)) = draft.text(base, &real) else { return false };
        texts.insert(file.clone(), text);
    }
    let Ok(file) = place(origin, &texts, &edit) else { return false };
    write(base, draft, check, (&file, origin), &edit).is_some()
}
