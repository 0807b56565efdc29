//! Files, flags and rights that belong to someone else, on real hosts.

use crate::hosts::{content, same, says, seaworthy, verdict};
use crate::hosts_hazards::{FORGET, held};
use crate::machine::Machine;

const CONFIG: &str = "/etc/docker/daemon.json";
const DEFAULTS: &str = "/etc/default/docker";
const MANAGED: &str = "# Ansible managed\nDOCKER_OPTS=--icc=true\n";

/// Accepted, it is held all the same: a rename would part the file from its other name or fail.
fn cannot_be_replaced(host: &Machine, evidence: &str, first: &str) {
    let before = content(host);
    says(&held(host, "icc"), &[&format!("foreign-owner: {CONFIG}: {evidence}"), first]);
    let accepted = seaworthy(host, "apply --yes --check icc --accept icc --format json", 0);
    let report: serde_json::Value = serde_json::from_str(&accepted.stdout).expect("a report");
    assert_eq!((&report["changed"], &report["held"][0]["check"]), (&false.into(), &"daemon.icc".into()));
    same(&before, &content(host), "it was changed");
}

#[test]
fn files_that_something_else_keeps() {
    let host = Machine::host("trixie");
    host.write_file("/nix/store/abc/daemon.json", "{}\n");
    host.ok(&format!("ln -s /nix/store/abc/daemon.json {CONFIG}"));
    says(&held(&host, "icc"), &[&format!("foreign-owner: {CONFIG}: a link into /nix/store")]);
    says(&seaworthy(&host, "apply --yes --check icc", 0).stdout, &["nothing to do"]);
    assert_eq!(host.ok("cat /nix/store/abc/daemon.json"), "{}");
    host.ok(&format!("rm {CONFIG}; echo {{}} >/root/other; echo {{}} >{CONFIG}; mount --bind /root/other {CONFIG}"));
    cannot_be_replaced(&host, "a bind mount, which cannot be replaced", "unmount /etc/docker/daemon.json first");
    host.ok(&format!("umount {CONFIG}; ln {CONFIG} /etc/docker/twin"));
    cannot_be_replaced(&host, "has 2 names (hard links)", "leave /etc/docker/daemon.json one name first");
    host.ok("rm /etc/docker/*; mount --bind /etc/docker /etc/docker && mount -o remount,bind,ro /etc/docker");
    says(&held(&host, "icc"), &["its file system /etc/docker is read-only"]);
    host.ok("umount /etc/docker");
    assert_eq!(held(&host, "icc"), "");

    // A header holds; words like those of one do not.
    host.write_file(DEFAULTS, &MANAGED.replace("Ansible managed", "basalt, by the chefs"));
    host.ok(&format!("{FORGET}; systemctl restart docker"));
    assert_eq!(held(&host, "icc"), "");
    host.write_file(DEFAULTS, MANAGED);
    says(&held(&host, "icc"), &[&format!("foreign-owner: {DEFAULTS}: line 1 says that something else keeps it")]);
    // It is right: accepted, the change stands until the owner comes by again, and then there is no tug of war.
    seaworthy(&host, "apply --yes --check icc --accept icc", 0);
    assert_eq!(verdict(&host, "daemon.icc"), "pass");
    host.write_file(DEFAULTS, MANAGED);
    host.ok(&format!("{FORGET}; systemctl restart docker"));
    says(&held(&host, "icc"), &[&format!("{DEFAULTS}: our last change was put back")]);
    says(&seaworthy(&host, "apply --yes --check icc", 0).stdout, &["nothing to do"]);
    assert_eq!(host.ok(&format!("cat {DEFAULTS}")), MANAGED.trim_end());
}

/// Without a header too: what was put back byte for byte is somebody's.
#[test]
fn our_own_change_put_back_is_not_made_again() {
    let host = Machine::host("bookworm");
    // Taken back by ourselves it is nobody's.
    seaworthy(&host, "apply --yes --check live-restore", 0);
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!(held(&host, "daemon.no-new-privileges"), "");
    seaworthy(&host, "apply --yes --check live-restore", 0);
    host.ok(&format!("rm {CONFIG}; systemctl reload docker"));
    says(&held(&host, "daemon.no-new-privileges"), &[&format!("{CONFIG}: our last change was put back")]);
    says(&seaworthy(&host, "apply --yes", 0).stdout, &["held: daemon.icc foreign-owner"]);
    assert_eq!(host.sh(&format!("test -e {CONFIG}")).status, 1);
}

#[test]
fn flags_in_units_and_values_that_nobody_gave() {
    let host = Machine::host("trixie");
    let unit = "/usr/lib/systemd/system/docker.service";
    let reread = format!("systemctl daemon-reload; {FORGET}; systemctl restart docker");
    let device = "docker run -d --name gpu --network none --device /dev/null:/dev/gpu busybox:1 sleep 10000";
    // A device is safe as long as systemd does not read its units again.
    host.ok(&format!("lab-image; {device}"));
    assert_eq!(held(&host, "icc,live-restore"), "");
    host.ok("docker rm -f gpu");
    host.write_file(
        "/etc/systemd/system/docker.service.d/ours.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --live-restore --icc=true\n",
    );
    host.ok(&reread);
    assert_eq!(held(&host, "icc"), "", "the admin's drop-in is edited");
    host.ok(device);
    says(&held(&host, "icc"), &["daemon.icc loses-devices: gpu (/dev/null); include"]);
    host.ok("docker rm -f gpu; rm -r /etc/systemd/system/docker.service.d");

    host.ok(&format!("sed -i '/^ExecStart=/s/$/ --icc=true/' {unit}; {reread}"));
    says(&held(&host, "icc"), &[&format!("daemon.icc vendor-command: --icc in {unit} line ")]);
    let shipped = host.ok(&format!("cat {unit}"));
    seaworthy(&host, "apply --yes --check icc --accept icc", 0);
    assert_eq!((verdict(&host, "daemon.icc"), host.ok(&format!("cat {unit}"))), ("pass".into(), shipped));
    // This is what it warns of: the package's next change does not arrive.
    host.ok(&format!("sed -i '/^ExecStart=/s/$/ --log-level=warn/' {unit}; {reread}"));
    let running = "tr '\\0' ' ' </proc/$(systemctl show -p MainPID --value docker)/cmdline";
    assert!(!host.ok(running).contains("--log-level=warn"));
    seaworthy(&host, "rollback --yes", 0);
    says(&host.ok(running), &["--icc=true --log-level=warn"]);

    // A value cannot be accepted, only given.
    let logging = "--check central-logging";
    says(
        &held(&host, "central-logging"),
        &["needs-value: log-driver has to be chosen; set `log-driver` under [values]"],
    );
    says(&seaworthy(&host, &format!("apply --yes --accept central-logging {logging}"), 0).stdout, &["nothing to do"]);
    let value = |text: &str| host.write_file("/etc/seaworthy/config.toml", &format!("[values]\n{text}\n"));
    value("log-driver = \"local\"");
    says(&held(&host, "central-logging"), &["log-driver local sends nothing to another machine"]);
    value("log-driver = \"syslog\"");
    says(&held(&host, "central-logging"), &["syslog-address in log-opts has to be chosen"]);
    value("log-driver = \"syslog\"\nlog-opts = { syslog-address = \"udp://10.0.0.5:514\" }");
    assert_eq!(held(&host, "central-logging"), "");
    says(&seaworthy(&host, &format!("plan {logging}"), 2).stdout, &["+  \"log-driver\": \"syslog\""]);
}

#[test]
fn rights_that_someone_uses() {
    let host = Machine::host("bookworm");
    let socket = "--check docker-socket-owner";
    host.ok("lab-image; useradd ann; groupadd ops; chgrp ops /run/docker.sock");
    assert_eq!(held(&host, "docker-socket-owner"), "", "nobody is in that group");
    host.ok("usermod -aG ops ann");
    host.ok("docker run -d --name runner --network none --user 1234 -v /var/run/docker.sock:/s busybox:1 sleep 10000");
    host.ok("docker run -d --name root --network none -v /var/run/docker.sock:/s busybox:1 sleep 10000");
    let found = held(&host, "docker-socket-owner");
    says(&found, &["cuts-access: user ann, by group ops, container runner has the socket and runs as 1234; include"]);
    let ann = "HOME=/ setpriv --reuid=ann --regid=ann --init-groups docker ps -q";
    host.ok(ann);
    seaworthy(&host, &format!("apply --yes --accept docker-socket-owner {socket}"), 0);
    assert_ne!(host.sh(ann).status, 0, "she is in still");
    seaworthy(&host, "rollback --yes", 0);
    host.ok(ann);
    // An open socket: who makes use of that leaves no trace, which holds as well.
    host.ok("docker rm -f runner && chmod 666 /run/docker.sock");
    says(&held(&host, "docker-socket-mode"), &["could not look: mode 0666 lets every user of this host in"]);

    // Content trust: what could be run cannot be any more.
    let run = "docker run --rm --network none busybox:1 true";
    host.ok(run);
    says(&held(&host, "content-trust"), &["breaks-pulls: docker 20.10.24"]);
    seaworthy(&host, "apply --yes --check content-trust --accept content-trust", 0);
    says(&host.sh(&format!("export $(cat /etc/environment); {run}")).stderr, &["notary"]);
    seaworthy(&host, "rollback --yes", 0);
    host.ok("mv /usr/bin/docker /usr/bin/docker.away");
    // No Debian has this one yet: only its version is made up.
    let newer = "#!/bin/sh\ncase $1 in\n--version|-v) echo 'Docker version 29.1.3, build f52814d' ;;\n\
        *) exec /usr/bin/docker.away \"$@\" ;;\nesac\n";
    host.write_file("/usr/bin/docker", newer);
    host.ok("chmod 755 /usr/bin/docker");
    let found = held(&host, "content-trust");
    says(&found, &["inert: docker 29.1.3 ignores DOCKER_CONTENT_TRUST"]);
    assert!(!found.contains("breaks-pulls"), "{found}");
    host.ok("rm /usr/bin/docker");
    let found = held(&host, "content-trust");
    says(&found, &["inert: no docker command line is installed that could read it"]);
    assert!(!found.contains("breaks-pulls"), "{found}");
}
