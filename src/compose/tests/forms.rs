//! What is written, form by form.

use super::*;

/// File, service, edit, and the lines that change.
type Case = (&'static str, &'static str, ServiceEdit, &'static str);

fn values() -> Vec<Case> {
    vec![
        ("plain", "db", E::NoNewPrivileges, "+    security_opt: [\"no-new-privileges:true\"]\n"),
        (
            "unindented",
            "proxy",
            E::NoNewPrivileges,
            "-    - 'no-new-privileges:false'   # since the upgrade\n+    - 'no-new-privileges:true'   # since the upgrade\n",
        ),
        ("mark", "a", E::NoNewPrivileges, "-    security_opt: []\n+    security_opt: [\"no-new-privileges:true\"]\n"),
        ("variables", "web", E::NoNewPrivileges, ""),
        ("unindented", "proxy", E::Confine(Confinement::Apparmor), "-    - apparmor=unconfined\n"),
        ("unindented", "proxy", E::Confine(Confinement::Seccomp), "-    - \"seccomp:unconfined\"\n"),
        (
            "comments",
            "web",
            E::Confine(Confinement::Label),
            "-    security_opt:\n-      # SELinux\n-      - label:disable\n",
        ),
        ("unindented", "proxy", keep(&["net_admin", "CAP_CHOWN"]), "+    - \"CHOWN\"\n+    cap_drop: [\"ALL\"]\n"),
        ("plain", "db", keep(&["chown"]), "+    cap_drop: [\"ALL\"]\n+    cap_add: [\"CHOWN\"]\n"),
        ("anchors", "own", keep(&[]), ""),
        ("unindented", "proxy", E::RemoveCapabilities(words(&["SYS_ADMIN"])), "-    - cap_sys_admin\n"),
        (
            "comments",
            "web",
            E::RemoveCapabilities(words(&["CAP_SYS_ADMIN"])),
            "-      - SYS_ADMIN # root in disguise\n",
        ),
        (
            "crlf",
            "web",
            E::RemoveCapabilities(words(&["net_admin"])),
            "-    cap_add: [NET_ADMIN, SYS_ADMIN]\r\n+    cap_add: [SYS_ADMIN]\r\n",
        ),
        (
            "plain",
            "db",
            tmpfs(&["/tmp", "/run:size=1m"]),
            "+    read_only: true\n+    tmpfs: [\"/tmp\", \"/run:size=1m\"]\n",
        ),
        // what a volume is mounted on is writable already
        ("plain", "db", tmpfs(&["/var/lib/postgresql/data/"]), "+    read_only: true\n"),
        ("mounts", "agent", tmpfs(&["/run", "/tmp"]), "+      - \"/tmp\"\n+    read_only: true\n"),
        (
            "four-spaces",
            "app",
            tmpfs(&["/tmp"]),
            "-        tmpfs: /run\n+        tmpfs: [/run, \"/tmp\"]\n+        read_only: true\n",
        ),
        ("plain", "db", E::User("70".into()), "+    user: \"70\"\n"),
        ("tags", "db", E::User("1:1".into()), "-    'user': \"10:20\"\n+    'user': \"1:1\"\n"),
        ("limits", "own", E::PidsLimit(200), "-    pids_limit: -1\n+    pids_limit: 200\n"),
        ("limits", "deployed", E::PidsLimit(200), "-          pids: 100\n+          pids: 200\n"),
        ("limits", "some", E::PidsLimit(200), "+          pids: 200\n"),
        ("limits", "own", E::MemoryLimit(512 << 20), ""),
        ("limits", "own", E::MemoryLimit(1 << 30), "-    mem_limit: 536870912\n+    mem_limit: \"1g\"\n"),
        (
            "limits",
            "some",
            E::MemoryLimit(300 << 20),
            "-          memory: 256m   # more is never used\n+          memory: \"300m\"   # more is never used\n",
        ),
        ("limits", "free", E::MemoryLimit((6 << 20) + 1), "+    mem_limit: \"6291457\"\n"),
        ("limits", "own", E::Cpus(0.5), ""),
        ("limits", "free", E::Cpus(2.0), "+    cpus: 2\n"),
        ("limits", "deployed", E::Cpus(1.5), "-          cpus: '2'      # two\n+          cpus: '1.5'      # two\n"),
        ("limits", "own", E::CpuShares(256), "-    cpu_shares: 512\n+    cpu_shares: 256\n"),
    ]
}

fn mounts_and_keys() -> Vec<Case> {
    vec![
        ("plain", "web", E::RestartOnFailure(5), "-    restart: always\n+    restart: on-failure:5\n"),
        ("mark", "a", E::RestartOnFailure(5), ""),
        ("mark", "a", E::RestartOnFailure(2), "-    restart: on-failure:3\n+    restart: on-failure:2\n"),
        (
            "mounts",
            "agent",
            E::ReadOnlyMount("/host/etc".into()),
            "-      - /etc:/host/etc\n+      - /etc:/host/etc:ro\n",
        ),
        (
            "mounts",
            "agent",
            E::ReadOnlyMount("/host/proc/".into()),
            "-      - /proc:/host/proc:z\n+      - /proc:/host/proc:z,ro\n",
        ),
        (
            "mounts",
            "agent",
            E::ReadOnlyMount("/host/sys".into()),
            "-      - \"/sys:/host/sys:rw,rslave\"\n+      - \"/sys:/host/sys:ro,rslave\"\n",
        ),
        ("mounts", "agent", E::ReadOnlyMount("/conf".into()), ""),
        (
            "mounts",
            "agent",
            E::ReadOnlyMount("/x".into()),
            "-      - ${DATA:-/srv}/x:/x\n+      - \"${DATA:-/srv}/x:/x:ro\"\n",
        ),
        ("mounts", "agent", E::ReadOnlyMount("/host/boot".into()), "+        read_only: true\n"),
        (
            "mounts",
            "agent",
            E::ReadOnlyMount("/host/lib".into()),
            "-        read_only: false\n+        read_only: true\n",
        ),
        (
            "mounts",
            "agent",
            E::PrivateMount("/mnt".into()),
            "-      - '/mnt:/mnt:shared'   # for the driver\n+      - '/mnt:/mnt:rprivate'   # for the driver\n",
        ),
        ("mounts", "agent", E::PrivateMount("/host/sys".into()), ""),
        (
            "crlf",
            "last",
            E::PrivateMount("/etc/conf".into()),
            "-          propagation: rshared\r\n+          propagation: rprivate\r\n",
        ),
        (
            "plain",
            "db",
            E::Healthcheck(asked("pg_isready -U \"$USER\"")),
            "+    healthcheck:\n+      test: [\"CMD-SHELL\", \"pg_isready -U \\\"$$USER\\\"\"]\n+      interval: \"1m30s\"\n+      retries: 3\n",
        ),
        (
            "json",
            "db",
            E::Healthcheck(asked("x")),
            "-    \"db\": {\"image\": \"postgres\"}\n+    \"db\": {\"image\": \"postgres\", \"healthcheck\": {\"test\": [\"CMD-SHELL\", \"x\"], \"interval\": \"1m30s\", \"retries\": 3}}\n",
        ),
        ("opened", "agent", E::Remove(HostKey::Privileged), "-    privileged: true  # for perf\n"),
        ("opened", "agent", E::Remove(HostKey::HostNetwork), "-    network_mode: \"host\"\n"),
        ("opened", "agent", E::Remove(HostKey::BridgeNetwork), ""),
        ("json", "web", E::Remove(HostKey::BridgeNetwork), "-      \"network_mode\": \"bridge\",\n"),
        ("opened", "agent", E::Remove(HostKey::Pid), "-    pid: host\n"),
        ("opened", "agent", E::Remove(HostKey::Ipc), "-    ipc: 'host'\n"),
        ("opened", "agent", E::Remove(HostKey::Uts), "-    uts: host\n"),
        ("opened", "agent", E::Remove(HostKey::Userns), "-    userns_mode: host\n"),
        ("opened", "agent", E::Remove(HostKey::CgroupParent), "-    cgroup_parent: system.slice\n"),
        (
            "opened",
            "agent",
            E::RemoveDevice("/dev/kmsg".into()),
            "-    devices:\n-      - /dev/kmsg:/dev/kmsg   # log\n",
        ),
        ("opened", "sidecar", E::Remove(HostKey::HostNetwork), ""),
        ("opened", "sidecar", E::Remove(HostKey::Pid), ""),
        ("opened", "sidecar", E::Remove(HostKey::Privileged), ""),
        ("four-spaces", "app", E::Remove(HostKey::Privileged), "-        privileged: yes\n"),
        (
            "four-spaces",
            "app",
            E::RemoveDevice("/dev/net/tun".into()),
            "-            - \"/dev/net/tun:/dev/net/tun:rwm\"\n",
        ),
        ("four-spaces", "app", E::RemoveDevice("/dev/other".into()), ""),
        ("blocks", "first", E::Remove(HostKey::Privileged), "-    privileged: true\n"),
        ("blocks", "third", E::User("5".into()), "+    user: \"5\"\n"),
        ("blocks", "second", E::Remove(HostKey::Pid), "-    pid: host\n"),
    ]
}

#[test]
fn writes_what_is_meant_and_no_more() {
    for (name, service, one, lines) in values().into_iter().chain(mounts_and_keys()) {
        let old = file(name);
        let new = held(name, old, service, &one).unwrap_or_else(|| panic!("{:?}", edit(old, service, &one)));
        assert_eq!(changed(old, &new), lines, "{name}, {service}, {one:?}");
    }
}

#[test]
fn binds_every_form_of_port() {
    let old = file("ports");
    let new = held("ports", old, "all", &here()).unwrap();
    let wanted = [
        ("- 3000\n", "- \"127.0.0.1::3000\"\n"),
        ("- \"3001-3005\"", "- \"127.0.0.1::3001-3005\""),
        ("- \"8000:8000\"   # plain", "- \"127.0.0.1:8000:8000\"   # plain"),
        ("- '9090-9091:8080-8081'", "- '127.0.0.1:9090-9091:8080-8081'"),
        ("- \"6060:6060/udp\"", "- \"127.0.0.1:6060:6060/udp\""),
        ("- 0.0.0.0:49100:22", "- \"127.0.0.1:49100:22\""),
        ("- \"[::]:5000:5000\"", "- \"127.0.0.1:5000:5000\""),
        ("        mode: host\n", "        mode: host\n        host_ip: \"127.0.0.1\"\n"),
        ("host_ip: 0.0.0.0   # all", "host_ip: \"127.0.0.1\"   # all"),
    ];
    let by_hand = wanted.iter().fold(old.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    });
    assert_eq!(changed(&by_hand, &new), "");
    let six = edit(old, "all", &E::BindPorts("::1".parse().unwrap())).unwrap();
    assert!(six.contains("- \"[::1]:8000:8000\"") && six.contains("host_ip: \"::1\"   # all"), "{six}");
    assert_eq!(edit(old, "bound", &here()).unwrap(), old);
    assert_eq!(edit(old, "none", &here()).unwrap(), old);
}

#[test]
fn ports_as_texts() {
    let bound = |port: &str| {
        let text = format!("services:\n  a:\n    ports: ['{port}']\n");
        let new = edit(&text, "a", &here())?;
        Ok::<_, EditError>(new.split('\'').nth(1).unwrap().to_owned())
    };
    for (old, new) in [
        (":80:80", "127.0.0.1:80:80"),
        ("0.0.0.0::80", "127.0.0.1::80"),
        (":::80:80", "127.0.0.1:80:80"),
        ("[::ffff:0.0.0.0]:80:80", "127.0.0.1:80:80"),
        ("${P:-80}:80", "127.0.0.1:${P:-80}:80"),
        ("${P-80-81}:80-81/tcp", "127.0.0.1:${P-80-81}:80-81/tcp"),
        ("80:${P}", "127.0.0.1:80:${P}"),
        ("0.0.0.0:${P}:80", "127.0.0.1:${P}:80"),
        ("10.0.0.1:${P}:80", "10.0.0.1:${P}:80"),
        ("[fe80::1]:80:80", "[fe80::1]:80:80"),
    ] {
        assert_eq!(bound(old).unwrap(), new, "{old}");
    }
    for old in
        ["${P}:80", "${A}", "${A}:80:80", "${P:-127.0.0.1:80}:80", "x:80", "80:x", "localhost:80:80", "", "80:80:"]
    {
        assert_eq!(bound(old).unwrap_err().line, 3, "{old}");
    }
}
