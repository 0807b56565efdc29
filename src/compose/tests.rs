use ServiceEdit as E;

use super::*;

mod forms;
mod refusals;

/// Compose files of every form that people write.
const CORPUS: &[(&str, &str)] = &[
    ("anchors", include_str!("../../fixtures/compose/anchors.yaml")),
    ("blocks", include_str!("../../fixtures/compose/blocks.yaml")),
    ("comments", include_str!("../../fixtures/compose/comments.yaml")),
    ("crlf", include_str!("../../fixtures/compose/crlf.yaml")),
    ("flow", include_str!("../../fixtures/compose/flow.yaml")),
    ("four-spaces", include_str!("../../fixtures/compose/four-spaces.yaml")),
    ("json", include_str!("../../fixtures/compose/compose.json")),
    ("limits", include_str!("../../fixtures/compose/limits.yaml")),
    ("mark", include_str!("../../fixtures/compose/mark.yaml")),
    ("mounts", include_str!("../../fixtures/compose/mounts.yaml")),
    ("opened", include_str!("../../fixtures/compose/opened.yaml")),
    ("plain", include_str!("../../fixtures/compose/plain.yaml")),
    ("ports", include_str!("../../fixtures/compose/ports.yaml")),
    ("tags", include_str!("../../fixtures/compose/tags.yaml")),
    ("unindented", include_str!("../../fixtures/compose/unindented.yaml")),
    ("variables", include_str!("../../fixtures/compose/variables.yaml")),
];

fn file(name: &str) -> &'static str {
    CORPUS.iter().find(|(other, _)| *other == name).expect("a file of the corpus").1
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn keep(names: &[&str]) -> E {
    E::DropCapabilities { keep: words(names) }
}

fn tmpfs(paths: &[&str]) -> E {
    E::ReadOnlyRoot { tmpfs: words(paths) }
}

fn here() -> E {
    E::BindPorts([127, 0, 0, 1].into())
}

fn asked(line: &str) -> Healthcheck {
    let test = words(&["CMD-SHELL", line]);
    Healthcheck { test, interval: Some("1m30s".into()), timeout: None, start_period: None, retries: Some(3) }
}

const KEYS: [HostKey; 8] = [
    HostKey::Privileged,
    HostKey::HostNetwork,
    HostKey::BridgeNetwork,
    HostKey::Pid,
    HostKey::Ipc,
    HostKey::Uts,
    HostKey::Userns,
    HostKey::CgroupParent,
];

/// Edits of every kind, for any file.
fn edits() -> Vec<ServiceEdit> {
    let mut all = vec![
        E::NoNewPrivileges,
        E::Confine(Confinement::Apparmor),
        E::Confine(Confinement::Seccomp),
        E::Confine(Confinement::Label),
        keep(&["CHOWN", "cap_net_admin"]),
        E::RemoveCapabilities(words(&["SYS_ADMIN", "CAP_SYS_TIME", "sys_ptrace"])),
        E::DropThese(words(&["NET_RAW", "cap_mknod"])),
        tmpfs(&["/tmp", "/run/"]),
        E::User("1000:1000".into()),
        E::PidsLimit(100),
        E::MemoryLimit(512 << 20),
        E::Cpus(0.5),
        E::CpuShares(512),
        E::RestartOnFailure(5),
        here(),
        E::Healthcheck(asked("test \"$HOME\" = '/' # \\ ok")),
    ];
    all.extend(KEYS.map(E::Remove));
    for path in ["/host/etc", "/host/lib", "/etc/conf", "/usr/share/nginx/html", "/mnt"] {
        all.extend([E::ReadOnlyMount(path.into()), E::PrivateMount(path.into())]);
    }
    all.extend(["/dev/fuse", "/dev/net/tun", "/dev/kmsg"].map(|path| E::RemoveDevice(path.into())));
    all
}

fn services(text: &str) -> Vec<String> {
    let tree = tree::read(body(text)).unwrap();
    let services = tree.root.entry("services").unwrap().1;
    services.entries().iter().filter_map(|(name, _)| name.text().map(ToOwned::to_owned)).collect()
}

/// Lines that are gone and lines that came, each with its mark and its end.
fn changed(old: &str, new: &str) -> String {
    let (a, b): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let diff = similar::TextDiff::configure().newline_terminated(true).diff_slices(&a, &b);
    let mark = |change: similar::Change<&str>| match change.tag() {
        similar::ChangeTag::Equal => String::new(),
        similar::ChangeTag::Delete => format!("-{}", change.value()),
        similar::ChangeTag::Insert => format!("+{}", change.value()),
    };
    diff.iter_all_changes().map(mark).collect()
}

/// Everything of a document but the services' keys that an edit is for.
fn rest(text: &str, service: &str, keys: &[&str]) -> Value {
    let mut all = json(&tree::read(body(text)).unwrap().root);
    let service = &mut all["services"][service];
    for key in keys {
        service.as_object_mut().unwrap().shift_remove(*key);
    }
    all
}

/// Makes an edit and holds it to what every edit has to keep. `None`: it is refused.
fn held(name: &str, old: &str, service: &str, one: &ServiceEdit) -> Option<String> {
    let new = match edit(old, service, one) {
        Ok(new) => new,
        Err(error) => {
            assert!(error.line <= old.lines().count() && !error.message.contains("bug"), "{name}: {error}");
            return None;
        }
    };
    let what = format!("{name}, {service}, {one:?}:\n{}", changed(old, &new));
    assert_eq!(edit(&new, service, one).as_ref(), Ok(&new), "the second time changes nothing: {what}");
    assert_eq!(rest(old, service, one.keys()), rest(&new, service, one.keys()), "{what}");
    assert_eq!(old.starts_with('\u{feff}'), new.starts_with('\u{feff}'), "{what}");
    if old.matches('\n').count() == old.matches("\r\n").count() {
        assert_eq!(new.matches('\n').count(), new.matches("\r\n").count(), "{what}");
    }
    // Every comment that does not stand in what is taken away is still there, and every line that names an anchor.
    let removed: String = changed(old, &new).lines().filter(|line| line.starts_with('-')).collect();
    for line in old.lines().filter(|line| line.contains(['#', '&', '*'])) {
        assert!(new.contains(line) || removed.contains(line), "{line} is gone: {what}");
    }
    Some(new)
}

#[test]
fn every_edit_of_every_service_keeps_the_rest() {
    let (mut made, mut refused, mut same) = (0, 0, 0);
    for (name, text) in CORPUS {
        for service in services(text) {
            for one in edits() {
                match held(name, text, &service, &one) {
                    Some(new) if new == *text => same += 1,
                    Some(_) => made += 1,
                    None => refused += 1,
                }
            }
        }
    }
    assert!(made > 350 && refused > 80 && same > 400, "{made} made, {refused} refused, {same} were so");
}

/// All that can be done to a service, one after the other, and all again.
#[test]
fn edits_go_together() {
    for (name, service) in [("opened", "agent"), ("plain", "web"), ("crlf", "last"), ("flow", "web"), ("json", "web")] {
        let all = |text: &str| {
            edits().iter().fold(text.to_owned(), |text, one| held(name, &text, service, one).unwrap_or(text))
        };
        let once = all(file(name));
        assert_eq!(all(&once), once, "{name}");
        let value = |key| service_value(&once, service, key).unwrap();
        assert_eq!(value("read_only"), Some(Value::Bool(true)), "{once}");
        assert_eq!(value("user"), Some("1000:1000".into()), "{once}");
        assert_eq!(value("privileged"), None, "{once}");
        assert_eq!(value("security_opt"), Some(serde_json::json!(["no-new-privileges:true"])), "{once}");
    }
}

/// Files in other dress: the same edits come out, in that dress.
#[test]
fn line_ends_marks_and_missing_ends_stay() {
    for (name, text) in CORPUS.iter().filter(|(name, _)| !matches!(*name, "crlf" | "mark")) {
        let service = &services(text)[0];
        for one in edits().iter().step_by(2) {
            let Ok(new) = edit(text, service, one) else { continue };
            let windows = |text: &str| text.replace('\n', "\r\n");
            assert_eq!(edit(&windows(text), service, one), Ok(windows(&new)), "{name}, {one:?}");
            let marked = |text: &str| format!("\u{feff}{text}");
            assert_eq!(edit(&marked(text), service, one), Ok(marked(&new)), "{name}, {one:?}");
            if *name != "blocks" {
                let open = edit(text.trim_end(), service, one);
                assert_eq!(open.as_deref().map(str::trim_end), Ok(new.trim_end()), "{name}, {one:?}");
            }
        }
    }
}

#[test]
fn says_what_is_there() {
    let value = |name, service, key| service_value(file(name), service, key).unwrap();
    assert_eq!(value("plain", "web", "restart"), Some("always".into()));
    assert_eq!(value("plain", "web", "privileged"), None);
    assert_eq!(value("limits", "own", "pids_limit"), Some((-1).into()));
    assert_eq!(value("opened", "agent", "privileged"), Some(true.into()));
    // through a merge and an alias
    assert_eq!(value("anchors", "own", "restart"), Some("unless-stopped".into()));
    assert_eq!(value("anchors", "opts", "security_opt"), Some(serde_json::json!(["label=disable"])));
    assert_eq!(value("anchors", "copy", "image"), Some("shared".into()));
    assert_eq!(value("variables", "web", "restart"), Some("${RESTART}".into()));
    assert_eq!(service_value(file("plain"), "x", "image").unwrap_err().message, "the file has no service `x`");
}

#[test]
fn edits_are_data() {
    let all = edits();
    let text = serde_json::to_string(&all).unwrap();
    assert!(text.contains(r#""no-new-privileges",{"confine":"apparmor"}"#), "{text}");
    assert!(text.contains(r#"{"bind-ports":"127.0.0.1"}"#) && text.contains(r#"{"remove":"host-network"}"#), "{text}");
    assert_eq!(serde_json::from_str::<Vec<ServiceEdit>>(&text).unwrap(), all);
}
