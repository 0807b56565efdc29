use super::super::fixed::LARGEST_TEXT;
use super::*;
use crate::facts::{AuditRule, FiledRule, Install};
use crate::host::{FileKind, Stat};

const JSON: &str = "/etc/docker/daemon.json";
const DEFAULTS: &str = "/etc/default/docker";
const ROOT: &str = "22 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw\n25 22 0:22 / /run rw - tmpfs tmpfs rw\n";

fn writes(path: &str) -> Case {
    let mut case = Case::new();
    case.change.files = vec![path.into()];
    case.hosted(|host| host.file("/proc/self/mountinfo", ROOT));
    case
}

fn on(path: &str, build: impl FnOnce(FakeHost) -> FakeHost) -> Detection {
    let mut case = writes(path);
    case.hosted(build);
    case.detect(Hazard::ForeignOwner)
}

/// What is said when the change writes this file, and what has to be done first.
fn blocked(path: &str, build: impl FnOnce(FakeHost) -> FakeHost) -> (String, Option<String>) {
    let mut case = writes(path);
    case.hosted(build);
    let Detection::Found(names) = case.detect(Hazard::ForeignOwner) else { panic!("nothing found") };
    (names.join(", "), in_the_way(&case.situation()))
}

#[test]
fn what_nobody_can_change_says_what_comes_first() {
    let of = |stat: Stat| blocked(JSON, |host| host.node(JSON, stat));
    let plain = testing::stat(FileKind::File);
    let owned = |why: &str, first: &str| (format!("/etc/docker/daemon.json{why}"), Some(first.to_owned()));
    assert_eq!(
        of(Stat { nlink: 3, ..plain.clone() }),
        owned(
            ": has 3 names (hard links); a new file would take only one",
            "leave /etc/docker/daemon.json one name first, `find / -xdev -samefile /etc/docker/daemon.json` lists them"
        )
    );
    assert_eq!(
        of(Stat { immutable: true, ..plain.clone() }),
        owned(": immutable, for root too", "run `chattr -i -a /etc/docker/daemon.json` first")
    );
    assert_eq!(
        of(Stat { size: LARGEST_TEXT + 1, ..plain }),
        owned(": 1048577 bytes, and nothing over 1 MiB is edited", "change /etc/docker/daemon.json by hand")
    );
    let dir = Stat { immutable: true, ..testing::stat(FileKind::Dir) };
    assert_eq!(
        blocked(JSON, |host| host.node("/etc/docker", dir)),
        owned(": /etc/docker is immutable, for root too", "run `chattr -i -a /etc/docker` first")
    );
    let mount = "40 22 8:1 /srv/x /etc/docker/daemon.json rw - ext4 /dev/vda1 rw\n";
    let bound = |host: FakeHost| host.file("/proc/self/mountinfo", &format!("{ROOT}{mount}")).file(JSON, "{}");
    assert_eq!(blocked(JSON, bound).1.as_deref(), Some("unmount /etc/docker/daemon.json first"));
    let read_only = |host: FakeHost| host.file("/proc/self/mountinfo", "22 1 8:1 / / ro - ext4 /dev/vda1 ro\n");
    assert_eq!(blocked(JSON, read_only).1.as_deref(), Some("make / writable first"));
    let inside = "/nix/store/abc-daemon.json";
    assert_eq!(
        blocked(inside, |host| host.file(inside, "{}")),
        (format!("{inside}: lies in /nix/store"), Some("change what /nix/store is filled from".into()))
    );
    assert_eq!(in_the_way(&writes(JSON).situation()), None);
}

fn mounted(path: &str, line: &str) -> Detection {
    on(path, |host| host.file("/proc/self/mountinfo", &format!("{ROOT}{line}\n")).file(path, "{}"))
}

#[test]
fn a_plain_or_missing_file_is_ours() {
    assert_eq!(on(JSON, |host| host), Detection::Absent);
    assert_eq!(on(JSON, |host| host.file(JSON, "{}")), Detection::Absent);
    assert_eq!(
        on(DEFAULTS, |host| host.file(DEFAULTS, "# basalt\nA=1\n# by seaworthy, do not edit\n")),
        Detection::Absent
    );
    // What lives in /run is made anew at each boot anyway.
    assert_eq!(on("/run/docker.sock", |host| host), Detection::Absent);
}

#[test]
fn links_are_followed_unless_into_a_store() {
    let store = on(JSON, |host| {
        host.link(JSON, "../static/docker/daemon.json")
            .link("/etc/static", "/nix/store/abc-etc")
            .file("/nix/store/abc-etc/docker/daemon.json", "")
    });
    assert_eq!(store, found(&["/etc/docker/daemon.json: a link into /nix/store"]));
    assert_eq!(on(JSON, |host| host.link(JSON, "/srv/daemon.json").file("/srv/daemon.json", "{}")), Detection::Absent);
    let foreign = Stat { uid: 1000, ..testing::stat(FileKind::File) };
    assert_eq!(
        on(JSON, |host| host.link(JSON, "/srv/daemon.json").node("/srv/daemon.json", foreign)),
        found(&["/etc/docker/daemon.json: a link to /srv/daemon.json, which belongs to user 1000"])
    );
    assert!(matches!(on(JSON, |host| host.link(JSON, JSON)), Detection::CouldNotLook(why) if why.contains("too many")));
}

#[test]
fn mounts_that_cannot_be_written_or_do_not_last() {
    assert_eq!(
        mounted(JSON, "40 22 8:1 /srv/x /etc/docker/daemon.json rw - ext4 /dev/vda1 rw"),
        found(&["/etc/docker/daemon.json: a bind mount, which cannot be replaced"])
    );
    assert_eq!(
        mounted(JSON, "40 22 8:1 / /etc ro,relatime - ext4 /dev/vda1 rw"),
        found(&["/etc/docker/daemon.json: its file system /etc is read-only"])
    );
    assert_eq!(
        mounted(JSON, "40 22 0:1 / /etc rw - overlay overlay rw,lowerdir=/a,upperdir=/b"),
        found(&["/etc/docker/daemon.json: /etc is overlay: gone at the next boot"])
    );
    assert_eq!(
        mounted(JSON, "40 22 0:1 / / rw - overlay overlay rw,lowerdir=/a,upperdir=/run/live/rw"),
        found(&["/etc/docker/daemon.json: / is overlay: gone at the next boot"])
    );
    assert_eq!(mounted(JSON, "40 22 0:1 / / rw - overlay overlay rw,upperdir=/var/lib/upper"), Detection::Absent);
}

#[test]
fn hard_links_matter_where_a_file_is_replaced() {
    let twice = Stat { nlink: 2, ..testing::stat(FileKind::File) };
    let mut case = writes(JSON);
    case.host = case.host.node(JSON, twice);
    assert!(matches!(case.detect(Hazard::ForeignOwner), Detection::Found(names) if names[0].contains("has 2 names")));
    case.change.edits.push(Edit::FileAccess {
        object: crate::catalog::Object::Named("daemon-json".into()),
        owner: None,
        group: None,
        mode: Some("0644".into()),
    });
    assert_eq!(case.detect(Hazard::ForeignOwner), Detection::Absent);
    // Nor does a mount; but it is a file of someone else's then.
    let mount = format!("{ROOT}40 22 8:1 /srv/x {JSON} rw - ext4 /dev/vda1 rw\n");
    case.hosted(|host| host.file("/proc/self/mountinfo", &mount));
    let kept = "/etc/docker/daemon.json: a bind mount of a file that is kept elsewhere";
    assert_eq!((case.detect(Hazard::ForeignOwner), in_the_way(&case.situation())), (found(&[kept]), None));
    // What is immutable keeps its mode as well.
    let fixed = Stat { immutable: true, ..testing::stat(FileKind::File) };
    case.host = case.host.node(JSON, fixed);
    assert!(in_the_way(&case.situation()).is_some());
}

#[test]
fn headers_claim_files_that_can_have_them() {
    assert_eq!(
        on(DEFAULTS, |host| host.file(DEFAULTS, "\n# Ansible managed\nA=1\n")),
        found(&["/etc/default/docker: line 2 says that something else keeps it"])
    );
    assert_eq!(on(DEFAULTS, |host| host.file(DEFAULTS, "A='managed by puppet'\n")), Detection::Absent);
    assert_eq!(on(JSON, |host| host.file(JSON, "# managed by x\n")), Detection::Absent);
}

#[test]
fn hosts_that_keep_all_their_files() {
    let mut case = writes(JSON);
    case.facts.scope.os_id = "nixos".into();
    case.facts.scope.os_name = "NixOS 25.05".into();
    case.facts.daemon.install = Install::Snap;
    case.workload.agents = Ok(vec!["puppet.service".into()]);
    case.host = case.host.file("/run/ostree-booted", "");
    assert_eq!(
        case.detect(Hazard::ForeignOwner),
        found(&[
            "NixOS 25.05: files come from its image or configuration",
            "the system is an ostree image: what is in it comes from its build",
            "docker is a snap: its files are replaced at each refresh",
            "puppet.service is active"
        ])
    );
    case.change.files.clear();
    assert_eq!(case.detect(Hazard::ForeignOwner), Detection::Absent);
}

#[test]
fn our_own_change_that_was_put_back() {
    let mut case = writes(JSON);
    case.change.own_history = vec![JSON.into()];
    assert_eq!(case.detect(Hazard::ForeignOwner), found(&["/etc/docker/daemon.json: our last change was put back"]));
    case.change.own_history = vec![DEFAULTS.into()];
    assert_eq!(case.detect(Hazard::ForeignOwner), Detection::Absent);
}

#[test]
fn foreign_owner_could_not_look() {
    let mut case = writes(JSON);
    case.workload.agents = unread();
    assert_eq!(case.detect(Hazard::ForeignOwner), blind());
    assert!(matches!(on(JSON, |host| host.deny("/etc/docker")), Detection::CouldNotLook(_)));
    assert!(matches!(on(JSON, |host| host.deny("/proc/self/mountinfo")), Detection::CouldNotLook(_)));
}

#[test]
fn audit_rules_that_augenrules_would_lose() {
    let mut case = writes("/etc/audit/rules.d/50-seaworthy-docker.rules");
    let object = crate::catalog::Object::Named("dockerd".into());
    let stray = |line| FiledRule {
        file: "/etc/audit/audit.rules".into(),
        line,
        rule: AuditRule::Other("-a always,exit -S mount".into()),
        text: "-a always,exit -S mount".into(),
        trouble: None,
    };
    case.facts.audit.strays = Ok(vec![stray(4), stray(7)]);
    assert_eq!(case.detect(Hazard::ForeignOwner), Detection::Absent, "nothing loads the rules");
    case.change.edits.push(Edit::AuditWatch { object, perm: "wa".into() });
    let lost = "/etc/audit/audit.rules: 2 rules that are in no file of rules.d would be lost, the first in line 4";
    assert_eq!(case.detect(Hazard::ForeignOwner), found(&[lost]));
    case.facts.audit.strays = unread();
    assert_eq!(case.detect(Hazard::ForeignOwner), blind());
}
