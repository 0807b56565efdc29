use super::{edit_file, remove_flag, set_flag};

const ICC: &[&str] = &["--icc"];
const DEBUG: &[&str] = &["-D", "--debug"];
const LEVEL: &[&str] = &["-l", "--log-level"];
const HOST: &[&str] = &["-H", "--host"];

#[test]
fn all_of_a_flag_goes_and_nothing_else() {
    const REGISTRY: &[&str] = &["--insecure-registry"];
    for (before, after) in [
        ("OPTIONS=\"--insecure-registry=a --insecure-registry b\"\nX=1\n", "OPTIONS=\"\"\nX=1\n"),
        ("OPTIONS=\"--insecure-registry=a --insecure-registry=b -H x\"\n", "OPTIONS=\"-H x\"\n"),
        ("OPTIONS=--insecure-registry=a --insecure-registry=b", "OPTIONS="),
        ("ExecStart=d --insecure-registry=a -H x --insecure-registry=b\n", "ExecStart=d -H x\n"),
        ("ExecStart=d --insecure-registry=a --insecure-registry=b\n", "ExecStart=d\n"),
    ] {
        assert_eq!(remove_flag(before, REGISTRY, false).as_deref(), Some(after), "{before}");
    }
}

/// What looks like a comment in a joined line of an environment file is text, and ends like any other line.
#[test]
fn an_environment_file_has_no_comments_between_joined_lines() {
    assert_eq!(edit_file("OPTIONS=-H x \\\n# c\n --debug\n", 1, DEBUG, true, None), None);
    let unit = "ExecStart=d -H x \\\n# c\n --debug\n";
    assert_eq!(edit_file(unit, 1, DEBUG, true, None).as_deref(), Some("ExecStart=d -H x \\\n# c\n\n"));
}

#[test]
fn quotes_that_are_not_around_the_value_go_with_it() {
    assert_eq!(set_flag("OPTIONS=-H\"\": -D\n", HOST, "fd://").as_deref(), Some("OPTIONS=-Hfd:// -D\n"));
    assert_eq!(set_flag("OPTIONS=--host=\"a\"b\n", HOST, "fd://").as_deref(), Some("OPTIONS=--host=fd://\n"));
}

#[test]
fn sets_boolean_flags() {
    for (before, after) in [
        ("DOCKER_OPTS=\"--icc=true -H x\"\n", "DOCKER_OPTS=\"--icc=false -H x\"\n"),
        ("OPTIONS='-H x --icc'\n", "OPTIONS='-H x --icc=false'\n"),
        ("export DOCKER_OPTS=--icc", "export DOCKER_OPTS=--icc=false"),
        ("DOCKER_OPTS=\"--icc=true\" # why\n", "DOCKER_OPTS=\"--icc=false\" # why\n"),
        ("OPTIONS=--icc --live-restore\n", "OPTIONS=--icc=false --live-restore\n"),
        ("ExecStart=/usr/bin/dockerd --icc --icc=true\n", "ExecStart=/usr/bin/dockerd --icc=false --icc=false\n"),
        ("ExecStart=/usr/bin/dockerd \"--icc=true\" -H x\n", "ExecStart=/usr/bin/dockerd \"--icc=false\" -H x\n"),
        ("ExecStart=/usr/bin/dockerd --icc=\"true\"\n", "ExecStart=/usr/bin/dockerd --icc=\"false\"\n"),
        ("Environment=\"DOCKER_OPTS=--icc=true -H x\" A=b\n", "Environment=\"DOCKER_OPTS=--icc=false -H x\" A=b\n"),
        ("Environment=A=b OPTIONS=\"-H x --icc\"\n", "Environment=A=b OPTIONS=\"-H x --icc=false\"\n"),
    ] {
        assert_eq!(set_flag(before, ICC, "false").as_deref(), Some(after), "{before}");
        assert_eq!(set_flag(after, ICC, "false").as_deref(), Some(after), "second time, {before}");
    }
    // A boolean flag does not take the next word: `true` here is another argument.
    assert_eq!(set_flag("OPTIONS=--icc true", ICC, "false").as_deref(), Some("OPTIONS=--icc=false true"));
    assert_eq!(set_flag("OPTIONS=\"-D -H x\"", DEBUG, "false").as_deref(), Some("OPTIONS=\"-D=false -H x\""));
    assert_eq!(set_flag("OPTIONS=-D=true", DEBUG, "false").as_deref(), Some("OPTIONS=-D=false"));
}

#[test]
fn sets_flags_with_a_value() {
    for (before, after) in [
        ("OPTIONS='--log-level debug -H x'", "OPTIONS='--log-level info -H x'"),
        ("OPTIONS='--log-level=debug'", "OPTIONS='--log-level=info'"),
        ("OPTIONS='-l debug'", "OPTIONS='-l info'"),
        ("OPTIONS='-ldebug'", "OPTIONS='-linfo'"),
        ("OPTIONS='-l=debug'", "OPTIONS='-l=info'"),
        (
            "ExecStart=/d -l \\\n  \"debug\" \\\n  --label \"a b\"\n",
            "ExecStart=/d -l \\\n  \"info\" \\\n  --label \"a b\"\n",
        ),
    ] {
        assert_eq!(set_flag(before, LEVEL, "info").as_deref(), Some(after), "{before}");
    }
    assert_eq!(set_flag("OPTIONS=-l", LEVEL, "info"), None);
    for value in ["a b", "", "$X", "%n", "a\"b", "a\nb"] {
        assert_eq!(set_flag("OPTIONS=-l x", LEVEL, value), None, "{value}");
    }
}

#[test]
fn leaves_what_only_looks_alike() {
    for text in [
        "OPTIONS=\"--icc-x --no-icc\"",
        "# --icc=true",
        "ExecStart=/d --label \"a --icc\"",
        "ExecStart=/d --label 'a --icc'",
        "[Service]",
        "",
    ] {
        assert_eq!(set_flag(text, ICC, "false"), None, "{text}");
    }
}

#[test]
fn removes_flags() {
    for (names, boolean, before, after) in [
        (ICC, true, "OPTIONS=\"--icc=true -H x\"", "OPTIONS=\"-H x\""),
        (ICC, true, "OPTIONS=\"-H x --icc\"", "OPTIONS=\"-H x\""),
        (ICC, true, "OPTIONS=\"--icc\"", "OPTIONS=\"\""),
        (HOST, false, "ExecStart=/d -H x --icc --host=y -Hz\n", "ExecStart=/d --icc\n"),
        (ICC, true, "ExecStart=/d \\\n  --icc=true \\\n  -H x\n", "ExecStart=/d \\\n  -H x\n"),
        (ICC, true, "ExecStart=/d \\\r\n  -H x \\\r\n  --icc\r\nA=b\r\n", "ExecStart=/d \\\r\n  -H x\r\nA=b\r\n"),
    ] {
        assert_eq!(remove_flag(before, names, boolean).as_deref(), Some(after), "{before}");
    }
    assert_eq!(remove_flag("OPTIONS=-D", ICC, true), None);
}

#[test]
fn finds_the_assignment_of_a_line() {
    let unit =
        "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd \\\n  -H fd:// \\\n# --icc=true\n  --icc=true\nUser=--icc\n";
    let fixed = unit.replace("  --icc=true", "  --icc=false");
    for line in [3, 4, 6] {
        assert_eq!(edit_file(unit, line, ICC, true, Some("false")).as_deref(), Some(fixed.as_str()), "line {line}");
    }
    assert_eq!(edit_file(unit, 2, ICC, true, Some("false")), None);
    assert_eq!(edit_file(unit, 0, ICC, true, Some("false")), None);
    assert_eq!(edit_file(unit, 99, ICC, true, Some("false")), None);
    let file = "# old: --icc=true\nX=1\nDOCKER_OPTS=\"-H x\n --icc=true\"\nY=--icc\n";
    let fixed = file.replace(" --icc=true\"", " --icc=false\"");
    assert_eq!(edit_file(file, 4, ICC, true, Some("false")).as_deref(), Some(fixed.as_str()));
    assert_eq!(edit_file(file, 3, ICC, true, Some("false")).as_deref(), Some(fixed.as_str()));
}

#[test]
fn an_equals_sign_before_a_value_would_not_be_part_of_it() {
    assert_eq!(edit_file("ExecStart=/d -H x\n", 1, &["-H", "--host"], false, Some("=unix:///run/x")), None);
}

#[test]
fn quotes_that_make_no_sense_are_left_alone() {
    let unit = "[Service]\n\";=\nEnvironment=\"OPTS=-debug\"n 'B=-D -D=--debug\"n 'B=-D -D=info'D=info'\n";
    assert_eq!(edit_file(unit, 3, &["-D", "--debug"], true, Some("--hosts-f")), None);
}

#[test]
fn removal_leaves_comments_between_joined_lines() {
    let unit = "ExecStart=/d \\\n# why\n  --icc \\\n  -H x\n";
    let new = remove_flag(unit, ICC, true).unwrap();
    assert!(new.contains("# why\n"), "{new}");
    assert!(new.ends_with("-H x\n"), "{new}");
}
