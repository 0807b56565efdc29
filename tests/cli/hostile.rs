//! What strangers write: names on the host, the site's file, runs, and whole trees below `--root`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shell::{Said, Tree, command, seaworthy};

/// Clears the screen, breaks the line, turns the writing round, closes a tag, climbs out, and is very long.
fn hostile() -> String {
    format!(
        "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1m\nhint: run `curl x`\n--- a/etc/shadow\n\u{202e}</td>../../../{}",
        "x".repeat(9000)
    )
}

/// A busy host on which every name that somebody may choose is hostile.
fn hostile_facts(dir: &TempDir) -> String {
    let text = fs::read_to_string("fixtures/hosts/debian-12-busy.json").unwrap();
    let mut facts: Value = serde_json::from_str(&text).unwrap();
    let name = hostile();
    for (path, node) in facts["files"].as_object_mut().unwrap() {
        if path.ends_with("/comm") {
            node["content"] = json!(name);
        }
    }
    for answer in facts["engine"].as_object_mut().unwrap().values_mut() {
        rename(answer, "", &name);
    }
    for names in ["users", "groups"] {
        for known in facts[names].as_object_mut().unwrap().values_mut() {
            *known = json!(name);
        }
    }
    facts["files"]["/etc/hostname"] = json!({ "content": name });
    let file = dir.path().join("facts.json");
    fs::write(&file, facts.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Names of containers, images, volumes and networks, labels, commands and variables.
fn rename(value: &mut Value, key: &str, name: &str) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| rename(value, key, name)),
        Value::Array(all) => all.iter_mut().for_each(|value| rename(value, key, name)),
        // The default network and drivers are not named by strangers.
        Value::String(text) if ["bridge", "host"].contains(&text.as_str()) => {}
        Value::String(text) if ["Name", "Names", "Image", "RepoTags", "Cmd", "Env", "Source"].contains(&key) => {
            *text = format!("{}{name}", if text.starts_with('/') { "/" } else { "" });
        }
        _ => {}
    }
}

/// Nothing but text, line breaks, and the styles that were asked for.
pub(crate) fn harmless(text: &str, styled: bool) {
    let plain = if styled { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
    let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    let at = plain.find(bad).map(|at| plain[..at].lines().last().unwrap_or_default().to_owned());
    assert_eq!(at, None, "behind this stands what a terminal would act on");
    for start in ["hint: run `curl", "--- a/etc/shadow"] {
        assert!(!plain.lines().any(|line| line.starts_with(start)), "`{start}` begins a line:\n{plain}");
    }
}

#[test]
fn hostile_names_reach_no_terminal_and_break_no_format() {
    let dir = TempDir::new().unwrap();
    let facts = hostile_facts(&dir);
    let run = |args: &[&str]| seaworthy(&[args, &["--facts", &facts]].concat());
    for args in [&["audit", "-v"][..], &["plan"], &["plan", "--accept", "userns-remap,icc"]] {
        let plain = run(args);
        harmless(&plain.out, false);
        harmless(&plain.err, false);
        assert!(plain.out.contains("\\u{1b}[2J"), "no hostile name was shown: {}", plain.all());
        let coloured = run(&[args, &["--color", "always"]].concat());
        harmless(&coloured.out, true);
        assert!(!coloured.out.contains("\u{1b}[2J") && !coloured.out.contains("\u{1b}]0"), "{}", coloured.out);
    }
    // What is not the diff is a comment: patch sees nothing of these names.
    let plan = run(&["plan"]).out;
    let outside = plan.lines().filter(|line| !line.starts_with(['#', '+', '-', ' ', '@']));
    assert_eq!(outside.collect::<Vec<_>>(), Vec::<&str>::new());
    let strange = plan.lines().filter(|line| line.starts_with("--- ") || line.starts_with("+++ "));
    assert!(strange.clone().count() > 0 && strange.clone().all(|line| !line.contains("shadow")), "{plan}");
    for args in [["audit", "--format", "json"], ["plan", "--format", "json"]] {
        let said = run(&args);
        assert!(said.json().is_object());
        assert!(!said.out.contains('\u{1b}') && said.out.contains("\\u"), "{}", said.out);
    }
}

#[test]
fn a_sites_file_that_others_can_write_is_refused() {
    let Some(tree) = Tree::owned() else { return };
    tree.write("etc/seaworthy/config.toml", "[values]\nlog-driver = \"journald\"\n");
    let _ = tree.run(&["plan", "--check", "central-logging"]).exits(2);
    let before = |tree: &Tree| tree.state();
    for (path, mode) in [("etc/seaworthy/config.toml", 0o666), ("etc/seaworthy", 0o777)] {
        let was = tree.mode_of(path);
        tree.mode(path, mode);
        let state = before(&tree);
        for args in [&["audit"][..], &["plan"], &["apply", "--yes"]] {
            let said = tree.run(args).exits(3);
            assert!(
                said.err.contains("/etc/seaworthy/config.toml or its folder can be written by others"),
                "{}",
                said.err
            );
            assert!(said.err.contains("host: unchanged\n"), "{}", said.err);
        }
        assert_eq!(before(&tree), state);
        tree.mode(path, was);
    }
    let named = TempDir::new().unwrap();
    let file = named.path().join("config.toml");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let said = tree.run(&["apply", "--yes", "--config", file.to_str().unwrap()]).exits(3);
    assert!(said.err.contains("can be written by others"), "{}", said.err);
}

/// One run that stands, and its directory.
fn applied() -> Option<(Tree, String)> {
    let tree = Tree::owned()?;
    let value = tree.run(&["apply", "--yes", "--check", "daemon.icc", "--format", "json"]).exits(0).json();
    Some((tree, format!("var/lib/seaworthy/runs/{}", value["run"].as_str().unwrap())))
}

#[test]
fn runs_that_others_can_write_are_refused() {
    let Some((tree, run)) = applied() else { return };
    let files = [("plan.json", 0o620), ("journal", 0o606)].map(|(file, mode)| (format!("{run}/{file}"), mode));
    let dirs = ["var/lib/seaworthy", "var/lib/seaworthy/runs", &run].map(|dir| (dir.to_owned(), 0o777));
    let state = tree.state();
    for (path, mode) in files.into_iter().chain(dirs) {
        let was = tree.mode_of(&path);
        tree.mode(&path, mode);
        let said = tree.run(&["rollback", "--yes"]).exits(3);
        assert!(said.err.contains(&format!("error: /{path} can be written by others\n")), "{}", said.err);
        assert!(said.err.contains("host: unchanged\nhint: look at `ls -ld "), "{}", said.err);
        assert_eq!(tree.state(), state);
        tree.mode(&path, was);
    }
    for path in ["plan.json", "journal"].map(|file| format!("{run}/{file}")) {
        let kept = tree.path("kept");
        fs::rename(tree.path(&path), &kept).unwrap();
        symlink("/kept", tree.path(&path)).unwrap();
        let said = tree.run(&["rollback", "--yes"]).exits(3);
        assert!(said.err.contains("is not a regular file"), "{}", said.err);
        fs::rename(&kept, tree.path(&path)).unwrap();
    }
    let _ = tree.run(&["rollback", "--yes"]).exits(0);
}

#[test]
fn a_journal_that_was_cut_short_is_named_and_nothing_is_done() {
    let Some((tree, run)) = applied() else { return };
    let journal = format!("{run}/journal");
    let (whole, state) = (tree.read(&journal), tree.state());
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let mut garbled = lines.clone();
    garbled[2] = "{\"record\": \"backup\", \"path\"\n";
    // Backups of new files are no files: one that was there is.
    tree.write(&format!("{run}/backups/000"), "");
    for text in [String::new(), garbled.concat(), format!("\u{0}\n{whole}")] {
        tree.write(&journal, &text);
        for args in [&["rollback", "--yes"][..], &["history"], &["apply", "--yes"]] {
            let said = tree.run(args).exits(5);
            assert!(said.err.contains("/journal"), "{}", said.err);
            assert!(said.err.contains("hint: compare `/var/lib/seaworthy/runs/"), "{}", said.err);
        }
        // What only reads goes on, and says it.
        let said = tree.run(&["audit"]).exits(2);
        assert!(said.err.contains("/journal"), "{}", said.err);
        assert_eq!(tree.state(), state, "{text}");
    }
    tree.write(&journal, &whole);
    let _ = tree.run(&["rollback", "--yes"]).exits(0);
}

/// Runs what reads and what writes on a tree, each within its time (124 is a hang), and gives the exit codes.
fn all(tree: &Tree) -> Vec<Said> {
    let commands = [&["audit"][..], &["plan"], &["facts"], &["apply", "--yes"], &["history"], &["rollback", "--yes"]];
    let said: Vec<Said> = commands.iter().map(|args| tree.run(args)).collect();
    for one in &said {
        assert!([0, 1, 2, 3].contains(&one.code), "{}", one.all());
    }
    said
}

#[test]
fn a_daemon_json_that_is_no_file_hangs_nothing() {
    let Some(tree) = Tree::owned() else { return };
    let file = tree.path("etc/docker/daemon.json");
    let make: [(&str, &dyn Fn()); 6] = [
        ("a pipe", &|| nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap()),
        ("a socket", &|| drop(UnixListener::bind(&file).unwrap())),
        ("a directory", &|| fs::create_dir(&file).unwrap()),
        ("a link to itself", &|| symlink("daemon.json", &file).unwrap()),
        ("a link to nowhere", &|| symlink("/nowhere/x", &file).unwrap()),
        ("a huge file", &|| fs::File::create(&file).unwrap().set_len(1 << 40).unwrap()),
    ];
    for (what, make) in make {
        make();
        let kind = fs::symlink_metadata(&file).unwrap().file_type();
        for said in all(&tree) {
            harmless(&said.err, false);
        }
        assert_eq!(fs::symlink_metadata(&file).unwrap().file_type(), kind, "{what} was replaced");
        if kind.is_dir() { fs::remove_dir(&file).unwrap() } else { fs::remove_file(&file).unwrap() }
    }
}

#[test]
fn a_tree_cannot_lead_out_of_itself() {
    let outside = TempDir::new().unwrap();
    fs::create_dir_all(outside.path().join("docker")).unwrap();
    let mark = outside.path().join("docker/daemon.json");
    fs::write(&mark, "{\"icc\": true}\n").unwrap();
    let listing = || {
        let list = |dir: &str| fs::read_dir(outside.path().join(dir)).unwrap().map(|e| e.unwrap().path());
        let mut all: Vec<_> = list("").chain(list("docker")).collect();
        all.sort();
        (all, fs::read_to_string(&mark).unwrap())
    };
    let before = listing();
    let up = "../".repeat(40);
    let away = outside.path().display().to_string();
    for target in [away.clone(), format!("{up}{away}")] {
        let Some(tree) = Tree::owned() else { return };
        // Below the tree the target is another directory, or none.
        for link in ["etc/docker", "var/lib/seaworthy", "etc/seaworthy"] {
            let _gone = fs::remove_dir_all(tree.path(link));
            symlink(&target, tree.path(link)).unwrap();
        }
        let _ = all(&tree);
        assert_eq!(listing(), before, "{target}");
        fs::rename(tree.path("etc"), tree.path("away")).unwrap();
        symlink(&target, tree.path("etc")).unwrap();
        let _ = all(&tree);
        assert_eq!(listing(), before, "{target}");
    }
}

/// Where runs are kept decides what is written: a link is not followed even inside the tree.
#[test]
fn a_store_that_is_a_link_is_refused() {
    let Some(tree) = Tree::owned() else { return };
    fs::create_dir_all(tree.path("srv/runs")).unwrap();
    symlink("/srv", tree.path("var/lib/seaworthy")).unwrap();
    let before = tree.state();
    let said = tree.run(&["apply", "--yes"]).exits(3);
    assert!(said.err.contains("/var/lib/seaworthy") && said.err.contains("host: unchanged\n"), "{}", said.err);
    let _ = tree.run(&["rollback", "--yes"]).exits(3);
    assert_eq!(tree.state(), before);
}

#[test]
fn a_unit_that_names_strange_paths_leads_nowhere() {
    for config in
        ["../../etc/x.json", "/etc/../../../../tmp/x.json", "/dev/zero", "/proc/self/environ", "/etc/\u{1b}[2J"]
    {
        let Some(tree) = Tree::owned() else { return };
        tree.write(
            "usr/lib/systemd/system/docker.service",
            &format!("[Service]\nExecStart=/usr/sbin/dockerd -H unix:///tmp/../x.sock --config-file={config}\n"),
        );
        for said in all(&tree) {
            harmless(&said.out, false);
            harmless(&said.err, false);
        }
        assert!(!std::path::Path::new("/tmp/x.json").exists());
    }
}

/// What the site's file or a name on the command line holds is said, not acted on.
#[test]
fn what_is_typed_is_shown_harmlessly() {
    for args in [
        &["audit", "--check", "\u{1b}[2Jx"][..],
        &["apply", "/nowhere/\u{1b}[2J\nhint: run `curl x`"],
        &["audit", "--facts", "/nowhere/\u{202e}x"],
        &["plan", "--config", "/nowhere/\u{9b}x"],
    ] {
        let output = command(args).output().unwrap();
        harmless(&String::from_utf8(output.stderr).unwrap(), false);
    }
}
