//! Files as they are in the wild: with links, mounts, attributes and bytes that nobody expects. What is changed keeps
//! all of that, what cannot be changed is held by name with what has to be done first, and rollback is exact.

use crate::hosts::{content, same, says, seaworthy, verdict};
use crate::machine::Machine;

const CONFIG: &str = "/etc/docker/daemon.json";
const OPTIONS: &str = "/etc/default/docker";
const ENVIRONMENT: &str = "/etc/environment";
const ICC: &str = "--check daemon.icc";
const TRUST: &str = "--check image.content-trust --accept image.content-trust";

/// What the image has no programs for: `wild ACTION PATH` sets attributes and flags, `wild show` lists all of a file.
const WILD: &str = r#"
import fcntl, os, stat, struct, sys
what, path = sys.argv[1:3]
def acl(*entries):
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)
NOBODY = 0xffffffff
if what == 'acl':
    os.setxattr(path, 'system.posix_acl_access',
                acl((1, 6, NOBODY), (2, 4, 1000), (4, 4, NOBODY), (16, 4, NOBODY), (32, 4, NOBODY)))
elif what == 'default-acl':
    os.setxattr(path, 'system.posix_acl_default',
                acl((1, 7, NOBODY), (2, 7, 1000), (4, 5, NOBODY), (16, 7, NOBODY), (32, 5, NOBODY)))
elif what == 'label':
    os.setxattr(path, 'security.selinux', b'system_u:object_r:container_config_t:s0\0')
elif what == 'note':
    os.setxattr(path, 'user.site', b'\0\xffkept')
elif what == 'large':
    labels = ',\n'.join('"k%d=%s"' % (i, 'v' * 60) for i in range(150000))
    open(path, 'w').write('{"labels": [%s]}\n' % labels)
elif what[1:] in ('immutable', 'append-only'):
    fd = os.open(path, os.O_RDONLY)
    flags = struct.unpack('l', fcntl.ioctl(fd, 0x80086601, struct.pack('l', 0)))[0]
    bit = 0x10 if what[1:] == 'immutable' else 0x20
    fcntl.ioctl(fd, 0x40086602, struct.pack('l', flags | bit if what[0] == '+' else flags & ~bit))
elif what == 'show':
    for path in sys.argv[2:]:
        s = os.stat(path)
        names = {name: os.getxattr(path, name) for name in sorted(os.listxattr(path))}
        print(path, oct(s.st_mode), s.st_uid, s.st_gid, '' if stat.S_ISDIR(s.st_mode) else s.st_nlink, names)
"#;

/// A host with `wild` on it.
fn host(suite: &str) -> Machine {
    let host = Machine::host(suite);
    host.write_file("/usr/local/lib/wild.py", WILD);
    host.write_file("/usr/local/bin/wild", "#!/bin/sh\nexec python3 /usr/local/lib/wild.py \"$@\"\n");
    host.ok("chmod 755 /usr/local/bin/wild");
    host
}

/// Everything in /etc with its attributes and content.
fn all(host: &Machine) -> String {
    host.ok("find /etc -type f -o -type d | sort | xargs -d '\\n' wild show") + &content(host)
}

/// Applies (`args` select), looks at the host in between with `look`, and takes it back, which has to be exact.
fn there_and_back(host: &Machine, args: &str, look: &str) -> String {
    let before = all(host);
    seaworthy(host, &format!("apply --yes --no-restart {args}"), 0);
    let between = host.ok(&format!("{look}; echo ."));
    says(&seaworthy(host, &format!("apply --yes --no-restart {args}"), 0).stdout, &["nothing to do"]);
    seaworthy(host, "rollback --yes", 0);
    same(&before, &all(host), &format!("the rollback is not exact: {args}"));
    between.strip_suffix('.').unwrap_or_default().to_owned()
}

/// Held, with its name and what comes first; no acceptance takes it, and nothing is touched.
fn held(host: &Machine, check: &str, why: &[&str]) {
    let before = all(host);
    let audit = host.ok(&format!("seaworthy audit --format json --check {check} --fail-on critical"));
    let plan = seaworthy(host, &format!("plan --check {check}"), 0).stdout;
    says(&plan, &["# note: no changes to make\n", &format!("# held: {check} foreign-owner: ")]);
    says(&plan, why);
    says(&audit, &["\"hazard\": \"foreign-owner\"", why[0]]);
    assert!(!plan.contains("--accept"), "nothing includes it:\n{plan}");
    let applied = seaworthy(host, &format!("apply --yes --check {check} --accept {check}"), 0).stdout;
    says(&applied, &["nothing to do"]);
    same(&before, &all(host), "held, and changed all the same");
}

#[test]
fn attributes_are_kept_and_none_comes_in() {
    let host = host("trixie");
    host.write_file(CONFIG, "{}\n");
    let secrets = [CONFIG, ENVIRONMENT].map(|file| format!("wild acl {file}; wild label {file}; wild note {file}"));
    host.ok(&secrets.join(";"));
    let look = format!("wild show {CONFIG} {ENVIRONMENT}");
    let before = host.ok(&look);
    says(&before, &["system.posix_acl_access", "container_config_t", "kept"]);
    assert_eq!(
        there_and_back(&host, &format!("{ICC},image.content-trust --accept image.content-trust"), &look).trim(),
        before
    );

    // With a default ACL on its directory a new file lets bob in, whom the old one kept out.
    host.ok(&format!("rm {CONFIG}; install -m 640 /dev/null {CONFIG}; wild default-acl /etc/docker"));
    let before = host.ok(&format!("wild show {CONFIG}"));
    assert!(before.ends_with("{}"), "{before}");
    assert_eq!(there_and_back(&host, ICC, &format!("wild show {CONFIG}")).trim(), before);

    // Where there was none, the directory says what a new file has.
    host.ok(&format!("rm {CONFIG}"));
    says(&there_and_back(&host, ICC, &format!("wild show {CONFIG}")), &["0o100644 0 0", "system.posix_acl_access"]);
}

#[test]
fn what_cannot_be_replaced_is_held_and_says_what_comes_first() {
    let host = host("trixie");
    host.write_file(CONFIG, "{}\n");
    host.ok(&format!("ln {CONFIG} /etc/docker/other"));
    held(
        &host,
        "daemon.icc",
        &["daemon.json: has 2 names (hard links)", "`find / -xdev -samefile /etc/docker/daemon.json`"],
    );
    host.ok("rm /etc/docker/other");

    host.ok(&format!("echo '{{}}' >/etc/site.json; mount --bind /etc/site.json {CONFIG}"));
    held(&host, "daemon.icc", &["daemon.json: a bind mount", "; unmount /etc/docker/daemon.json first"]);
    host.ok(&format!("umount {CONFIG}"));

    for flag in ["immutable", "append-only"] {
        host.ok(&format!("wild +{flag} {CONFIG}"));
        held(&host, "daemon.icc", &["daemon.json: immutable", "; run `chattr -i -a /etc/docker/daemon.json` first"]);
        host.ok(&format!("wild -{flag} {CONFIG}; wild +{flag} /etc/docker"));
        held(&host, "daemon.icc", &["/etc/docker is immutable", "; run `chattr -i -a /etc/docker` first"]);
        host.ok(&format!("wild -{flag} /etc/docker"));
    }

    host.ok("mount -o remount,bind,ro /etc");
    held(&host, "daemon.icc", &["its file system /etc is read-only", "; make /etc writable first"]);
    host.ok("mount -o remount,bind,rw /etc");

    host.ok(&format!("wild large {CONFIG}"));
    held(&host, "daemon.icc", &["bytes, and nothing over 1 MiB is edited", "; change /etc/docker/daemon.json by hand"]);

    // Only the file is held: the others are changed, this one on all of its names.
    host.write_file(CONFIG, "{}\n");
    host.ok(&format!("wild +immutable {CONFIG}; chmod 666 {OPTIONS}; ln {OPTIONS} /etc/default/other"));
    let look = format!("stat -c %a {OPTIONS} /etc/default/other {CONFIG}");
    let between = there_and_back(&host, "--check 'file.*,daemon.*'", &look);
    // Nobody could throw the host away with it.
    host.ok(&format!("wild -immutable {CONFIG}"));
    assert_eq!(between, "644\n644\n644\n");
}

/// A run that made its change, and a file that nobody can change any more: the way back says so, and works afterwards.
#[test]
fn a_file_made_immutable_since_is_rolled_back_when_it_can_be() {
    let host = host("bookworm");
    let before = all(&host);
    seaworthy(&host, &format!("apply --yes {ICC}"), 0);
    host.ok(&format!("wild +immutable {CONFIG}"));
    let said = seaworthy(&host, "rollback --yes", 5).stderr;
    says(&said, &[CONFIG, "rollback of run ", "is incomplete"]);
    host.ok(&format!("wild -immutable {CONFIG}"));
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &all(&host), "the rollback is not exact");
    assert_eq!(verdict(&host, "daemon.icc"), "fail");
}

#[test]
fn what_would_vanish_is_held_and_can_be_accepted() {
    let host = host("trixie");
    host.write_file(CONFIG, "{}\n");
    let overlay = "-t overlay overlay -o lowerdir=/etc,upperdir=/run/o/upper,workdir=/run/o/work /etc";
    host.ok(&format!("mkdir -p /run/o/upper /run/o/work && mount {overlay}"));
    let plan = seaworthy(&host, &format!("plan {ICC}"), 0).stdout;
    says(&plan, &["/etc is overlay: gone at the next boot; include with `--accept daemon.icc`"]);
    // Its files have the device of their layer, and are no mounts for that.
    let between = there_and_back(&host, &format!("{ICC} --accept daemon.icc"), &format!("cat {CONFIG}"));
    says(&between, &["\"icc\": false"]);
}

#[test]
fn bytes_that_nobody_expects_are_kept() {
    let host = host("bookworm");
    let write = |file: &str, bytes: &str| host.ok(&format!("printf '{bytes}' >{file}"));
    let dump = |file: &str| format!("od -An -c {file} | tr -s ' \\n' ' '");

    host.ok("mkdir -p /etc/docker");
    write(CONFIG, r#"{\r\n  "debug": false\r\n}"#);
    let between = there_and_back(&host, ICC, &dump(CONFIG));
    says(&between, &[r#"f a l s e , \r \n " i c c " : f a l s e \r \n } "#]);

    write(ENVIRONMENT, r"A=1\r\nB=2");
    let between = there_and_back(&host, TRUST, &dump(ENVIRONMENT));
    says(&between, &[r" A = 1 \r \n B = 2 \r \n D O C K E R _ C O N T E N T _ T R U S T = 1 \r \n "]);
    write(ENVIRONMENT, r"A=1\000B=2\nC=3");
    says(&there_and_back(&host, TRUST, &dump(ENVIRONMENT)), &[r" A = 1 \0 B = 2 \n C = 3 \n D O "]);
    host.ok(&format!("mv {ENVIRONMENT} /etc/site.env && ln -s site.env {ENVIRONMENT}"));
    says(&seaworthy(&host, &format!("plan {TRUST}"), 2).stdout, &["--- a/etc/site.env"]);
    says(
        &there_and_back(&host, TRUST, &format!("readlink {ENVIRONMENT}; tail -n 1 {ENVIRONMENT}")),
        &["site.env\nDOCKER"],
    );

    // What is not UTF-8 is named with its line, and not edited.
    write("/etc/site.env", r"A=1\n# caf\351\n");
    let audit = seaworthy(&host, "audit --check image.content-trust", 0).stdout;
    says(&audit, &["/etc/environment: line 2 is not UTF-8"]);
    says(&seaworthy(&host, &format!("plan {TRUST}"), 0).stdout, &["# note: no changes to make\n"]);
    write(CONFIG, r#"{"debug": false,\n "labels": ["caf\351=1"]}\n"#);
    says(&seaworthy(&host, "audit --check daemon.config", 2).stdout, &["/etc/docker/daemon.json:2: not UTF-8"]);
    write(CONFIG, r#"{"debug": false}\000\n"#);
    says(&seaworthy(&host, "audit --check daemon.config", 2).stdout, &["/etc/docker/daemon.json:1: something follows"]);
    says(&seaworthy(&host, &format!("plan {ICC}"), 0).stdout, &["# note: no changes to make\n"]);
}

/// A flag counts in whatever encoding the comments of its file are: a key beside it would keep dockerd from starting.
#[test]
fn flags_in_files_of_any_form_are_seen() {
    let host = host("trixie");
    let write = |bytes: &str| {
        host.ok(&format!("printf '{bytes}' >{OPTIONS} && systemctl reset-failed docker && systemctl restart docker"))
    };
    write(r#"A=1\r\nDOCKER_OPTS="--icc=true"\r\n"#);
    let edited = there_and_back(&host, ICC, &format!("od -An -c {OPTIONS} | tr -s ' \\n' ' '"));
    says(&edited, &[r#"\r \n D O C K E R _ O P T S = " - - i c c = f a l s e " \r \n "#]);

    write(r#"# caf\351\nDOCKER_OPTS="--icc=true""#);
    let plan = seaworthy(&host, &format!("plan {ICC}"), 0).stdout;
    says(
        &plan,
        &["daemon.icc foreign-owner", "/etc/default/docker cannot be read: line 1 is not UTF-8; change it by hand"],
    );
    // Another key is free to be set, and the daemon starts with it.
    seaworthy(&host, "apply --yes --check daemon.icc,daemon.no-new-privileges", 0);
    assert_eq!(verdict(&host, "daemon.icc,daemon.no-new-privileges"), "fail\npass");
    seaworthy(&host, "rollback --yes", 0);

    // Such a value has systemd leave out the whole file: what the next start will read nobody can say.
    host.ok(&format!("printf 'DOCKER_OPTS=\"--icc=true\"\\nA=caf\\351\\n' >{OPTIONS}"));
    let audit = seaworthy(&host, &format!("audit {ICC}"), 0).stdout;
    says(
        &audit.split_whitespace().collect::<Vec<_>>().join(" "),
        &["unknown", "/etc/default/docker: line 2 is not UTF-8"],
    );
    says(&seaworthy(&host, &format!("plan {ICC}"), 0).stdout, &["# note: no changes to make\n"]);
}

#[test]
fn hosts_whose_files_come_from_elsewhere_are_explained_and_not_touched() {
    let host = host("trixie");
    let of = |why: &str| {
        let before = all(&host);
        let plan = seaworthy(&host, "plan --check 'daemon.*'", 0).stdout;
        assert!(plan.lines().all(|line| line.starts_with("# note: no ") || line.starts_with("# held: ")), "{plan}");
        says(&plan, &[&format!("# held: daemon.icc foreign-owner: {why}")]);
        says(&seaworthy(&host, "apply --yes", 0).stdout, &["nothing to do", "held: daemon.icc foreign-owner: "]);
        same(&before, &all(&host), why);
        plan
    };
    host.ok("touch /run/ostree-booted");
    of("the system is an ostree image: what is in it comes from its build; include with `--accept daemon.icc`");
    host.ok("rm /run/ostree-booted; mv /etc/os-release /etc/release; printf \"ID='nixos'\\nPRETTY_NAME='NixOS 25.05'\\n\" >/etc/os-release");
    of("NixOS 25.05: files come from its image or configuration");
    host.ok("mv /etc/release /etc/os-release");

    let store = "/nix/store/abc-etc/docker";
    host.ok(&format!("mkdir -p {store} && echo '{{}}' >{store}/daemon.json && ln -s /nix/store/abc-etc /etc/static"));
    host.ok(&format!("ln -s /etc/static/docker/daemon.json {CONFIG}"));
    let plan = of("/etc/docker/daemon.json: a link into /nix/store; change what /nix/store is filled from");
    assert!(!plan.contains("--accept daemon.icc"), "nothing takes what is in a store:\n{plan}");
    host.ok(&format!("rm {CONFIG} /etc/static"));

    // A daemon that a user runs: named, and left alone.
    let socket = "/run/user/1000/docker.sock";
    host.ok(&format!(
        "mkdir -p /run/user/1000; python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('{socket}')\""
    ));
    let said = seaworthy(&host, &format!("audit {ICC}"), 2).stderr;
    says(&said, &[&format!("a rootless Docker at {socket}, which seaworthy does not change")]);
    host.ok(&format!("rm {socket}"));

    // The snap: no dockerd in the usual places, and a configuration of its own.
    host.ok("systemctl disable --now -q docker docker.socket; mv /usr/sbin/dockerd /root; mkdir -p /var/snap/docker/current");
    let before = all(&host);
    let audit = seaworthy(&host, "audit --check 'daemon.*'", 0).stdout;
    says(&audit, &["daemon the snap, which seaworthy does not change", "the snap keeps its own configuration"]);
    says(&seaworthy(&host, "apply --yes", 0).stdout, &["nothing to do"]);
    same(&before, &all(&host), "the snap's host was changed");
}
