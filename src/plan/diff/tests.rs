#![expect(
    clippy::disallowed_methods,
    reason = "the real patch and git have to take what we print, in a directory of the test's own"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::{Rendered, render, touches_secret};
use crate::plan::{FileChange, FileState};

fn file(content: &str) -> FileState {
    FileState::Present { dir: false, mode: 0o644, uid: 0, gid: 0, content: Some(content.into()) }
}

fn change(path: &str, old: Option<&str>, new: Option<&str>) -> FileChange {
    let state = |content: Option<&str>| content.map_or(FileState::Absent, file);
    FileChange { path: path.into(), before: state(old), after: state(new), interim: None, secret: false }
}

fn names(uid: u32, gid: u32) -> String {
    let name = |id| if id == 0 { "root".to_owned() } else { format!("{id}") };
    format!("{}:{}", name(uid), name(gid))
}

fn rendered(change: &FileChange) -> Rendered {
    render(change, &names)
}

fn at(root: &Path, change: &FileChange) -> std::path::PathBuf {
    root.join(change.path.strip_prefix("/").unwrap())
}

/// Runs a tool on the changes in a fresh tree and returns whether it left every file as it is meant to be.
fn takes(tool: &[&str], changes: &[FileChange]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut diff = String::new();
    for change in changes {
        diff += "# daemon.icc: restart docker\n";
        diff += &rendered(change).text;
        if let Some(old) = super::content(&change.before) {
            fs::create_dir_all(at(&root, change).parent().unwrap()).unwrap();
            fs::write(at(&root, change), old).unwrap();
        }
    }
    fs::write(dir.path().join("diff"), &diff).unwrap();
    let out = Command::new(tool[0])
        .args(&tool[1..])
        .current_dir(&root)
        .env("GIT_CEILING_DIRECTORIES", dir.path())
        .stdin(Stdio::from(fs::File::open(dir.path().join("diff")).unwrap()))
        .output()
        .unwrap();
    let said = format!("{}{}\n{diff}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if !out.status.success() {
        return Err(said);
    }
    for change in changes {
        let is = fs::read_to_string(at(&root, change)).ok();
        if is.as_deref() != super::content(&change.after) {
            return Err(format!("{}: left as {is:?}\n{said}", change.path.display()));
        }
    }
    Ok(())
}

const PATCH: &[&str] = &["patch", "-p1", "--batch", "--no-backup-if-mismatch"];
const GIT: &[&str] = &["git", "apply"];

fn both_take(changes: &[FileChange]) {
    for tool in [PATCH, GIT] {
        takes(tool, changes).unwrap_or_else(|said| panic!("{}: {said}", tool[0]));
    }
}

const LONG: &str =
    "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3,\n  \"d\": 4,\n  \"e\": 5,\n  \"f\": 6,\n  \"g\": 7,\n  \"h\": 8\n}\n";

#[test]
fn patch_and_git_take_every_form() {
    let long = LONG.replace("\"b\": 2", "\"b\": 3").replace("\"h\": 8", "\"h\": 9");
    let forms = [
        ("/etc/new", None, Some("a\nb\n")),
        ("/etc/new-open", None, Some("a\nb")),
        ("/etc/new-empty", None, Some("")),
        ("/etc/gone", Some("a\nb\n"), None),
        ("/etc/far apart", Some(LONG), Some(long.as_str())),
        ("/etc/crlf", Some("a\r\nb\r\nc\r\n"), Some("a\r\nx\r\nc\r\n")),
        ("/etc/open", Some("a\nb"), Some("a\nc")),
        ("/etc/opened", Some("a\nb\n"), Some("a\nb")),
        ("/etc/closed", Some("a\nb"), Some("a\nb\n")),
        ("/etc/filled", Some(""), Some("a\n")),
        ("/etc/emptied", Some("a\n"), Some("")),
        ("/etc/deep/er/new name", None, Some("a\n")),
        ("/etc/lone-return", Some("a\rb\nc\n"), Some("a\rb\nd\n")),
        ("/etc/looks-like", Some("-- a\n@@\nc\n"), Some("-- b\n@@\nc\n")),
        ("/etc/systemd/a\\x2db", Some("a\n"), Some("b\n")),
        ("/etc/quo\"te", None, Some("b\n")),
        ("/etc/mark", Some("\u{feff}{}\n"), Some("\u{feff}{\n  \"icc\": false\n}\n")),
    ];
    let changes: Vec<_> = forms.iter().map(|(path, old, new)| change(path, *old, *new)).collect();
    for change in &changes {
        assert!(rendered(change).patchable, "{}", change.path.display());
        both_take(std::slice::from_ref(change));
    }
    both_take(&changes);
}

#[test]
fn the_one_form_that_patch_does_not_take_says_so() {
    let gone = change("/etc/empty", Some(""), None);
    assert!(!rendered(&gone).patchable);
    takes(GIT, &[gone]).unwrap();
}

#[test]
fn renders_a_change_with_mode_and_owner() {
    let mut change = change("/etc/docker/daemon.json", Some("{}\n"), Some("{\n  \"icc\": false\n}\n"));
    change.before = FileState::Present { dir: false, mode: 0o666, uid: 1000, gid: 1000, content: Some("{}\n".into()) };
    assert_eq!(
        rendered(&change).text,
        "# mode 0666 -> 0644 /etc/docker/daemon.json\n# owner 1000:1000 -> root:root /etc/docker/daemon.json\n\
         --- a/etc/docker/daemon.json\n+++ b/etc/docker/daemon.json\n@@ -1 +1,3 @@\n-{}\n+{\n+  \"icc\": false\n+}\n"
    );
    both_take(&[change]);
}

#[test]
fn renders_what_has_no_content() {
    let bare = |dir, mode, uid| FileState::Present { dir, mode, uid, gid: 0, content: None };
    let of = |before, after| {
        let rendered =
            rendered(&FileChange { path: "/etc/docker".into(), before, after, interim: None, secret: false });
        (rendered.text, rendered.patchable)
    };
    assert_eq!(
        of(FileState::Absent, bare(true, 0o755, 0)),
        ("# new directory /etc/docker 0755 root:root\n".into(), true)
    );
    assert_eq!(of(bare(true, 0o755, 0), FileState::Absent), ("# deleted directory /etc/docker\n".into(), true));
    assert_eq!(
        of(bare(false, 0o660, 5), bare(false, 0o660, 0)),
        ("# owner 5:root -> root:root /etc/docker\n".into(), true)
    );
    assert_eq!(of(bare(false, 0o660, 0), bare(false, 0o660, 0)), (String::new(), true));
    assert_eq!(of(bare(false, 0o644, 0), file("a")), ("# content not shown /etc/docker\n".into(), false));
}

const WITH_PROXY: &str = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"http-proxy\": \"http://user:hunter2@proxy:3128\",\n  \"c\": 3,\n  \"icc\": true,\n  \"d\": 4,\n  \"e\": 5\n}\n";

#[test]
fn context_ends_before_a_secret() {
    let new = WITH_PROXY.replace("\"icc\": true", "\"icc\": false");
    let change = change("/etc/docker/daemon.json", Some(WITH_PROXY), Some(&new));
    let rendered = rendered(&change);
    assert!(rendered.patchable && !touches_secret(&change));
    assert_eq!(
        rendered.text.split_once("@@\n").unwrap().1,
        "   \"c\": 3,\n-  \"icc\": true,\n+  \"icc\": false,\n   \"d\": 4,\n"
    );
    both_take(&[change]);
}

#[test]
fn a_change_of_a_secret_is_masked() {
    let last = WITH_PROXY.replace(",\n  \"c\": 3,\n  \"icc\": true,\n  \"d\": 4,\n  \"e\": 5\n}", "\n}");
    let new = crate::plan::edit::daemon_json::set(&last, "icc", &false.into()).unwrap();
    let mut change = change("/etc/docker/daemon.json", Some(&last), Some(&new));
    let shown = rendered(&change);
    assert!(!shown.patchable && touches_secret(&change));
    assert!(
        shown.text.contains("-  \"http-proxy\": ********\n+  \"http-proxy\": ********\n+  \"icc\": false\n"),
        "{}",
        shown.text
    );
    assert!(shown.text.starts_with("# holds secrets: masked, cannot be patched\n"));
    change.secret = true;
    assert!(!rendered(&change).text.contains("icc"));
}

/// No reader takes them for JSON, but people write them, and this tool shows and records the file all the same.
#[test]
fn comments_and_names_of_json_hide_secrets_too() {
    for old in [
        "{ \"icc\": true /* password=hunter2 */ }",
        "{\n  // proxy: http://me:hunter2@proxy\n  \"icc\": true // token: hunter2\n}\n",
        "{ \"icc\": true, \"https://me:hunter2@registry\": 1 }\n",
    ] {
        let rendered = rendered(&change("/etc/x", Some(old), Some(&old.replace("true", "false"))));
        assert!(!rendered.text.contains("hunter2"), "{}", rendered.text);
        assert!(!super::masked(old).contains("hunter2"), "{}", super::masked(old));
    }
    assert_eq!(super::masked("{ \"a\": 1 } // why\n"), "{ \"a\": 1 } // why\n");
}

#[test]
fn a_hunk_without_any_context_says_so() {
    let old = "SECRET_TOKEN=hunter2\nOPTIONS=--icc\nPASSWORD=hunter2\nX=1\n";
    let new = old.replace("--icc", "--icc=false");
    let rendered = rendered(&change("/etc/default/docker", Some(old), Some(&new)));
    assert!(!rendered.patchable);
    assert!(!rendered.text.contains("hunter2"), "{}", rendered.text);
}

/// Asymmetric context would mean the start or end of the file to patch.
#[test]
fn context_is_as_short_on_the_other_side() {
    let body = |text: &str| {
        let change = change("/etc/x", Some(text), Some(&text.replace("old", "new")));
        both_take(std::slice::from_ref(&change));
        rendered(&change).text.split_once("@@\n").unwrap().1.to_owned()
    };
    assert_eq!(body("a\nb\nc\nold\nd\nTOKEN=x\ne\n"), " c\n-old\n+new\n d\n");
    assert_eq!(body("a\nTOKEN=x\nb\nc\nold\nd\ne\nf\n"), " b\n c\n-old\n+new\n d\n e\n");
    assert_eq!(body("a\nTOKEN=x\nold\nd\ne\nf\n"), "-old\n+new\n d\n");
}

#[test]
fn the_same_line_elsewhere_does_not_mislead() {
    both_take(&[change("/etc/x", Some("a\nTOKEN=x\na\nb\n"), Some("a\nTOKEN=x\nnew\na\nb\n"))]);
}

#[test]
fn knows_secrets_in_every_form() {
    for line in [
        "HTTP_PROXY=http://u:hunter2@proxy",
        "https_proxy=u:hunter2@proxy:3128",
        "Environment=\"HTTPS_PROXY=http://u:hunter2@proxy\" \"X=1\"",
        "ExecStart=/usr/bin/dockerd --log-opt splunk-token=hunter2 -H x",
        "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE='hunter2'",
        "export AWS_SECRET_ACCESS_KEY=hunter2",
        "apiKey: hunter2",
        "--password hunter2",
        "X-Auth: hunter2",
        "Authorization: Bearer hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
        "{\"log-opts\": {\"splunk-token\": \"hunter2\"}}",
        "{\"auths\": {\n\"x\": {\n\"y\": \"hunter2\"}}}",
        "{\"token\":\n\n\"hunter2\"}",
        "{\"https-proxy\": \"http:\\/\\/u:hunter2@proxy\"}",
        "{\"labels\": [\"a=b\", \"secret=hunter2\"]}",
        "{\"key\": \"hunter2\"}",
        "{ // not strict\n\"password\": \"hunter2\", }",
        "{\"broken\": \n\"password\": \"hunter2\"",
    ] {
        let change = change("/etc/x", None, Some(line));
        let rendered = rendered(&change);
        assert!(!rendered.text.contains("hunter2"), "{line}:\n{}", rendered.text);
        assert!(!rendered.patchable, "{line}");
    }
}

#[test]
fn shows_what_is_no_secret() {
    for line in [
        "-w /etc/docker -p wa -k docker",
        "-a always,exit -F path=/x -F perm=wa -F key=docker",
        "{\"authorization-plugins\": [\"opa\"], \"tlskey\": \"/etc/docker/key.pem\", \"tokens\": true}",
        "{\"log-opts\": {\"syslog-tls-key\": \"/etc/key.pem\"}}",
        "{\"http-proxy\": \"http://proxy:3128\", \"password\": \"\"}",
        "HTTP_PROXY=http://proxy:3128",
        "DOCKER_CONTENT_TRUST=1",
        "DOCKER_OPTS=\"--tlskey /etc/key.pem --authorization-plugin=x\"",
        "d /run/containerd 0711 root root -",
    ] {
        let rendered = rendered(&change("/etc/x", None, Some(line)));
        assert!(rendered.patchable && rendered.text.contains(line), "{line}:\n{}", rendered.text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_called_patchable_is(
        old in prop::collection::vec((0usize..8, 0u8..5), 0..24), open in any::<bool>(), open_new in any::<bool>(),
    ) {
        const LINES: [&str; 8] = ["a", "b", "", "}", "c\r", "X_TOKEN=hunter2", "Y_TOKEN=hunter2", "long line"];
        let text = |lines: &[&str], open: bool| {
            let text: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
            if open { text.trim_end_matches('\n').to_owned() } else { text }
        };
        let before: Vec<&str> = old.iter().map(|(line, _)| LINES[*line]).collect();
        let after: Vec<&str> = old.iter().flat_map(|(line, fate)| match (fate, LINES[*line]) {
            // Secrets themselves stay, most of the time; around them lines come, go and change.
            (0, line) if !line.contains("TOKEN") => vec![],
            (1, line) if !line.contains("TOKEN") => vec!["changed"],
            (2, line) => vec!["added", line],
            (_, line) => vec![line],
        }).collect();
        let change = change("/etc/x y", Some(&text(&before, open)), Some(&text(&after, open_new)));
        let rendered = rendered(&change);
        prop_assert!(!rendered.text.contains("hunter2"), "{}", rendered.text);
        if rendered.patchable && super::content(&change.before) != super::content(&change.after) {
            for tool in [PATCH, GIT] {
                let taken = takes(tool, std::slice::from_ref(&change));
                prop_assert!(taken.is_ok(), "{}: {}", tool[0], taken.unwrap_err());
            }
        }
    }
}
