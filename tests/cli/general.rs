//! What all subcommands share: help, usage errors, colour, pipes, the site's file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use tempfile::TempDir;

use crate::DEBIAN;
use crate::shell::{command, seaworthy, snapshot};

#[test]
fn the_whole_help() {
    let mut all = seaworthy(&["--help"]).exits(0).all();
    for name in ["audit", "plan", "apply", "confirm", "rollback", "history", "explain", "checks", "facts"] {
        all.push('\n');
        all.push_str(&seaworthy(&[name, "--help"]).exits(0).all());
    }
    snapshot("help", &all);
}

#[test]
fn alone_off_a_terminal_it_prints_help_and_fails() {
    let said = seaworthy(&[]).exits(64);
    assert_eq!(said.out, "", "stdout is for reports");
    assert!(said.err.contains("Usage: seaworthy [OPTIONS] [COMMAND]"), "{}", said.err);
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(seaworthy(&["--version"]).exits(0).out, format!("seaworthy {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn usage_errors_are_64_and_leave_stdout_empty() {
    let wrong: &[&[&str]] = &[
        &["bogus"],
        &["audit", "--bogus"],
        &["audit", "--format", "xml"],
        &["audit", "--benchmark", "1.5.0"],
        &["audit", "--facts", DEBIAN, "--profile", "none"],
        &["audit", "--facts", DEBIAN, "--root", "/"],
        &["plan", "--check", "daemon.nothing"],
        &["explain"],
        &["confirm"],
        &["history", "--check", "icc"],
        &["rollback", "--check", "icc,live-restore"],
        &["apply", "--yes", "--confirm-within", "0"],
        &["--skip", "daemon.icc", "audit", "--skip", "daemon.tls"],
        &["-q", "-v", "audit"],
    ];
    let mut all = String::new();
    for args in wrong {
        let said = seaworthy(args).exits(64);
        assert_eq!(said.out, "", "{args:?}");
        all.push_str(&said.all());
    }
    snapshot("usage", &all);
}

#[test]
fn an_error_under_json_is_one_object_on_stdout() {
    let said = seaworthy(&["audit", "--format", "json", "--bogus"]).exits(64);
    assert_eq!(said.json()["error"]["kind"], "usage");
    assert!(said.err.starts_with("error: "), "{}", said.err);
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let run = |color: &str, env: &[(&str, &str)]| {
        let args = ["audit", "--facts", DEBIAN, "--check", "daemon.icc", "--color", color];
        let output = command(&args).envs(env.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(!run("auto", &[]) && !run("never", &[]));
    assert!(run("always", &[]));
    assert!(run("always", &[("NO_COLOR", "1")]), "what is asked for wins");
    assert!(!run("auto", &[("NO_COLOR", "1")]));
    assert!(run("auto", &[("CLICOLOR_FORCE", "1")]));
    assert!(!run("never", &[("CLICOLOR_FORCE", "1")]));
    let _ = seaworthy(&["audit", "--color", "sometimes"]).exits(64);
}

#[test]
fn json_is_never_coloured() {
    let said = seaworthy(&["audit", "--facts", DEBIAN, "--format", "json", "--color", "always"]);
    assert!(!said.out.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in [["audit", "--facts", DEBIAN, "-v"], ["plan", "--facts", DEBIAN, "--verbose"]] {
        let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!first.is_empty());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("error"), "{args:?}: {output:?}");
    }
}

#[test]
fn quiet_leaves_the_report_alone() {
    let loud = seaworthy(&["audit", "--facts", DEBIAN, "--check", "2.15"]);
    let quiet = seaworthy(&["audit", "--facts", DEBIAN, "--check", "2.15", "--quiet"]);
    assert_eq!(quiet.out, loud.out);
    assert!(!loud.err.is_empty());
    assert_eq!(quiet.err, "");
}

#[test]
fn a_mistake_in_the_sites_file_is_named_with_its_line() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("config.toml");
    let path = file.display().to_string();
    let mut all = String::new();
    for text in [
        "profile = \"lab\"\n[values]\nlog-drvier = \"journald\"\n",
        "profile = \"lab\"\nbenchmark = \"1.5.0\"\n",
        "profile = [\n",
        "profile = \"nowhere\"\n",
    ] {
        fs::write(&file, text).unwrap();
        let said = seaworthy(&["audit", "--facts", DEBIAN, "--config", &path]);
        assert!(said.code == 1 || said.code == 64, "{}", said.all());
        all += &[text, &said.all().replace(&path, "config.toml"), "\n"].concat();
    }
    all.push_str(&seaworthy(&["audit", "--facts", DEBIAN, "--config", "/nowhere/config.toml"]).exits(1).all());
    snapshot("config", &all);
}

#[test]
fn the_sites_file_selects_and_the_command_line_wins() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("config.toml");
    fs::write(&file, "profile = \"lab\"\nbenchmark = \"1.6.0\"\n").unwrap();
    let path = file.to_str().unwrap();
    let value = seaworthy(&["audit", "--facts", DEBIAN, "--config", path, "--format", "json"]).json();
    assert_eq!((&value["profile"], &value["benchmark"]), (&"lab".into(), &"cis-1.6.0".into()));
    let more = ["audit", "--facts", DEBIAN, "--config", path, "--format", "json", "--profile", "level-1"];
    assert_eq!(seaworthy(&more).json()["profile"], "level-1");
}
