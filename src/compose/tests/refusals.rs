//! What is refused, and where.

use super::*;

#[test]
fn files_that_can_be_read_in_two_ways_are_refused() {
    let good = "services:\n  a:\n    image: x\n";
    for (text, line, part) in [
        ("services:\n  a:\n    image: x\n---\nservices: {}\n", 4, "second document"),
        ("services:\n  a:\n    image: x\n    image: y\n", 4, "key `image` is there twice, first in line 3"),
        ("services:\n  a:\n    image: x\nx-y: [{b: 1, \"b\": 2}]\n", 4, "twice"),
        ("services:\n  a:\n    image: *x\n", 3, "anchor"),
        ("services:\n  a:\n    image: [x\n", 3, "bracket"),
        ("services:\n  a:\n\timage: x\n", 3, ""),
        ("%YAML 1.1\n---\nservices: {}\n", 1, ""),
        ("services:\n  a: # x\u{85}    privileged: true\n    image: x\n", 2, "line end"),
        ("services:\n  a: # x\u{2028}\n    image: x\n", 2, "line end"),
        ("services:\n  a:\n    image: \"x\u{0}\"\n", 3, "control"),
        ("services:\n  a:\n    ? [x]\n    : y\n", 3, "a key"),
        ("", 0, "no mapping"),
        ("- a\n", 0, "no mapping"),
        ("a:\n  image: x\n", 0, "no `services`"),
        ("services:\n", 0, "no `services`"),
        ("services:\n  b: {image: x}\n", 1, "no service `a`"),
        ("services:\n  a:\n", 2, "no service `a`"),
        ("services:\n  a: x\n", 2, "no mapping"),
        ("services:\n  a: [image]\n", 2, "no mapping"),
        ("include: [b.yaml]\nservices:\n  a: {image: x}\n", 1, "includes"),
        ("services:\n  a:\n    extends: b\n", 3, "extends"),
        ("x: &x {extends: b}\nservices:\n  a:\n    <<: *x\n", 4, "extends"),
        ("x: &x {image: b}\nservices:\n  a: *x\n", 3, "alias"),
        ("x: &x {a: {image: b}}\nservices: *x\n", 2, "alias"),
        ("x: &x {a: {image: b}}\nservices:\n  <<: *x\n", 3, "`<<`"),
        ("services: &s\n  a: {image: b}\nx: *s\n", 1, "anchor"),
        ("services: !x\n  a: {image: b}\n", 1, "tag"),
    ] {
        let error = edit(text, "a", &E::User("1".into())).unwrap_err();
        assert!(error.message.contains(part) && error.line == line, "{text:?}: {error}");
        assert!(!error.message.contains("not certain"), "{text:?}: {error}");
    }
    assert!(edit(good, "a", &E::User("1".into())).is_ok());
}

#[test]
fn aliases_that_grow_without_end_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        let last = format!("*a{}", i - 1);
        let line = format!("a{i}: &a{i} [{}]\n", [last.as_str(); 10].join(", "));
        text.push_str(&line);
    }
    text += "services: {a: {image: x}}\n";
    assert!(edit(&text, "a", &E::User("1".into())).unwrap_err().message.contains("too many values"));
    let deep = format!("services: {{a: {{image: x}}}}\nx: {}1{}\n", "[".repeat(200), "]".repeat(200));
    assert_eq!(edit(&deep, "a", &E::User("1".into())).unwrap_err().line, 2);
    let long = format!("services: {{a: {{image: x}}}}\n{}", "# x\n".repeat(300_000));
    assert!(edit(&long, "a", &E::User("1".into())).unwrap_err().message.contains("1 MiB"));
}

#[test]
fn what_comes_from_elsewhere_is_refused_with_its_line() {
    for (name, service, one, line, part) in [
        ("anchors", "own", E::NoNewPrivileges, 14, "`security_opt` comes through `<<`"),
        ("anchors", "own", E::RestartOnFailure(5), 14, "`restart` comes through `<<`"),
        ("anchors", "own", E::PidsLimit(5), 14, "`deploy` comes through `<<`"),
        ("anchors", "opts", E::NoNewPrivileges, 20, "`security_opt` is an alias"),
        ("anchors", "shared", E::User("1".into()), 22, "anchor that other parts of the file use"),
        ("anchors", "alias", E::User("1".into()), 29, "`alias` is an alias"),
        ("anchors", "limited", E::Cpus(1.0), 33, "`resources` is an alias"),
        ("tags", "web", here(), 4, "`ports` carries the tag `!override`"),
        ("tags", "web", E::Healthcheck(asked("x")), 8, "switched off"),
        ("tags", "db", E::Healthcheck(asked("x")), 12, "a `healthcheck` already"),
        ("variables", "web", E::User("1".into()), 4, "`${UID}:${GID}` comes from a variable"),
        ("variables", "web", E::Remove(HostKey::Privileged), 5, "variable"),
        ("variables", "web", E::RestartOnFailure(5), 6, "variable"),
        ("variables", "web", E::MemoryLimit(1 << 30), 7, "variable"),
        ("variables", "web", E::Confine(Confinement::Seccomp), 9, "variable"),
        ("variables", "web", E::RemoveDevice("/dev/fuse".into()), 15, "variable"),
        ("variables", "other", E::NoNewPrivileges, 20, "variable"),
        ("variables", "other", here(), 22, "variable"),
        ("variables", "other", keep(&[]), 23, "variable"),
        ("mounts", "agent", E::ReadOnlyMount("/y".into()), 12, "variable"),
        ("mounts", "agent", E::ReadOnlyMount("/named".into()), 13, "no directory of the host"),
        ("mounts", "agent", E::ReadOnlyMount("/nowhere".into()), 2, "no mount on `/nowhere`"),
        ("limits", "deployed", E::RestartOnFailure(5), 6, "restart_policy"),
        ("limits", "quota", E::Cpus(1.0), 25, "quota"),
        ("limits", "both", E::MemoryLimit(2 << 30), 28, "one has to go first"),
        ("limits", "own", E::MemoryLimit(32 << 20), 18, "`64m` reserves more than the limit of 32m"),
        ("limits", "own", E::MemoryLimit(2 << 30), 19, "`1g` is below the limit of 2g"),
        ("limits", "deployed", E::MemoryLimit(64 << 20), 13, "reserves more"),
    ] {
        let error = edit(file(name), service, &one).unwrap_err();
        assert!(error.message.contains(part) && error.line == line, "{name}, {service}, {one:?}: {error}");
    }
}

/// The editor keeps aliases alive by moving what they name: that is more than the edit.
#[test]
fn an_anchor_inside_what_is_edited_is_not_moved() {
    let text = "services:\n  a:\n    image: x\n    devices: [&d /dev/fuse]\n  b:\n    image: x\n    devices: [*d]\n";
    let error = edit(text, "a", &E::RemoveDevice("/dev/fuse".into())).unwrap_err();
    assert!(error.message.contains("not certain"), "{error}");
    let text = text.replace("[*d]", "[/dev/fuse]");
    assert!(edit(&text, "a", &E::RemoveDevice("/dev/fuse".into())).is_ok());
}

#[test]
fn all_capabilities_are_for_a_human() {
    let text = "services:\n  a:\n    cap_add:\n      - ALL\n";
    for one in [keep(&["CHOWN"]), E::RemoveCapabilities(words(&["SYS_ADMIN"]))] {
        assert_eq!(edit(text, "a", &one).unwrap_err().line, 4, "{one:?}");
    }
    // The service would be empty then.
    assert!(edit(text, "a", &E::RemoveCapabilities(words(&["all"]))).is_err());
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let check = |test: &[&str], interval: &str| {
        E::Healthcheck(Healthcheck { test: words(test), interval: Some(interval.into()), ..asked("x") })
    };
    let bad = [
        E::User("root".into()),
        E::User("1:".into()),
        E::User("1:2:3".into()),
        E::PidsLimit(0),
        E::MemoryLimit(1 << 20),
        E::Cpus(0.0),
        E::Cpus(f64::NAN),
        E::CpuShares(1),
        E::RestartOnFailure(0),
        E::BindPorts([0, 0, 0, 0].into()),
        E::BindPorts("::".parse().unwrap()),
        tmpfs(&["tmp"]),
        tmpfs(&["/$X"]),
        keep(&["CHOWN]"]),
        E::RemoveCapabilities(words(&[""])),
        check(&[], "1s"),
        check(&["curl"], "1s"),
        check(&["CMD"], "1s"),
        check(&["CMD-SHELL", "a", "b"], "1s"),
        check(&["CMD", "a"], "1 s"),
        check(&["CMD", "a"], "s"),
        check(&["CMD", "a"], ""),
    ];
    for one in bad {
        let error = edit(file("plain"), "web", &one).unwrap_err();
        assert_eq!(error.line, 0, "{one:?}: {error}");
    }
}
