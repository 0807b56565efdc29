//! A user's own Docker, which runs without root: audited as what it is, and never changed.

use serde_json::Value;

use crate::hosts::{says, seaworthy};
use crate::machine::Machine;

/// Starts it as its user would, and one container in it.
const START: &str = r#"
set -eu
useradd --create-home --uid 1000 dev
install -d -o dev -g dev -m 700 /run/user/1000
install -d -o dev -g dev /home/dev/.config/docker
cat >/usr/local/bin/own-docker <<'END'
#!/bin/sh
export XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/dev PATH=/usr/sbin:/sbin:/usr/bin:/bin
cd "$HOME"
exec setpriv --reuid=1000 --regid=1000 --init-groups /usr/share/docker.io/contrib/dockerd-rootless.sh --storage-driver=vfs
END
chmod 755 /usr/local/bin/own-docker
echo '{"icc": false, "live-restore": true}' >/home/dev/.config/docker/daemon.json
chown dev:dev /home/dev/.config/docker/daemon.json
systemd-run --quiet --unit=own-docker /usr/local/bin/own-docker
export DOCKER_HOST=unix:///run/user/1000/docker.sock
for _ in $(seq 300); do docker info >/dev/null 2>&1 && break; sleep 0.2; done
lab-image
docker run -d --name web --security-opt no-new-privileges busybox:1 sleep 1000000
"#;

fn audit(host: &Machine, args: &str) -> Vec<Value> {
    let out = host.sh(&format!("seaworthy audit --format json {args}"));
    let report: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|_| panic!("no report: {out:?}"));
    report["findings"].as_array().expect("findings").clone()
}

fn told(findings: &[Value], check: &str) -> String {
    let finding = findings.iter().find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no finding of {check}"));
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    format!("{}: {}: {}", text("verdict"), text("subject"), text("actual"))
}

#[test]
fn a_users_own_docker_is_audited_as_itself() {
    let host = Machine::host("trixie");
    host.ok(START);
    let said = seaworthy(&host, "audit --check daemon.icc", 2);
    says(&said.stderr, &["a rootless Docker at /run/user/1000/docker.sock", "`seaworthy audit --rootless 1000`"]);

    let before = host.ok("find /etc /home/dev/.config -type f | sort | xargs md5sum");
    let findings = audit(&host, "--rootless dev");
    let config = "path:/home/dev/.config/docker/daemon.json";
    for (check, expected) in [
        // Its own configuration, not the system's.
        ("daemon.icc", "pass: daemon:docker.service: icc: false"),
        ("daemon.live-restore", "pass: daemon:docker.service: live-restore: true"),
        ("daemon.rootless", "pass: daemon:docker.service: rootless"),
        ("daemon.userns-remap", "pass: daemon:docker.service: rootless"),
        // Its own files, which are its user's.
        ("file.daemon-json-owner", &format!("pass: {config}: dev:dev")),
        ("file.docker-socket-mode", "pass: path:/run/user/1000/docker.sock: mode 1660"),
        // Its own container, whose processes are that user's.
        ("container.no-new-privileges", "pass: container:web: NoNewPrivs: 1"),
        ("container.user", "fail: container:web: root in its user namespace, which is user 1000 of the host"),
        ("audit.auditd", "not-applicable: host:this: is about the host, not about one user's Docker"),
    ] {
        assert_eq!(told(&findings, check), expected);
    }
    let unknown: Vec<_> = findings.iter().filter(|finding| finding["verdict"] == "unknown").collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(!findings.iter().any(|finding| finding["applicability"] == "automatic"), "nothing is planned for it");
    let text = seaworthy(&host, "audit --rootless 1000 --check daemon.icc", 0).stdout;
    says(&text, &["daemon running without root, of user dev"]);
    assert_eq!(host.ok("find /etc /home/dev/.config -type f | sort | xargs md5sum"), before);

    // What he made lead elsewhere is not read for him: neither another's file nor another's process.
    host.ok("cd /home/dev/.config/docker; echo '{\"icc\": true, \"labels\": [\"s=xyzzy\"]}' >/root/other; chmod 600 /root/other
        mv daemon.json kept; ln -s /root/other daemon.json; pidof -s dockerd; cp /run/docker.pid /root/system.pid");
    let findings = audit(&host, "--rootless dev");
    assert!(told(&findings, "daemon.config").contains("is another user's"), "{}", told(&findings, "daemon.config"));
    assert!(!format!("{findings:?}").contains("xyzzy"));
    host.ok("cd /home/dev/.config/docker; mv kept daemon.json; cp /root/system.pid /run/user/1000/docker.pid");
    let text = seaworthy(&host, "audit --rootless dev --check daemon.icc", 0).stdout;
    says(&text, &["daemon stopped"]);

    // Who runs none is told so.
    host.ok("systemctl stop own-docker; rm -f /run/user/1000/docker.sock");
    let said = seaworthy(&host, "audit --rootless dev", 1).stderr;
    says(&said, &["no Docker of user dev runs", "/run/user/1000/docker.sock was looked for", "host: unchanged"]);
    says(&seaworthy(&host, "audit --rootless eve", 64).stderr, &["no such user"]);
}
