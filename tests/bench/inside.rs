//! What is measured, on the host itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use super::grown::grown;

/// Pairs that are measured; an odd number has a median.
const PAIRS: usize = 7;
const SOCKET: &str = "/run/docker.sock";
const FACTS: &str = "/tmp/bench-facts.json";
const GROWN: &str = "/tmp/bench-grown.json";
/// Containers of the recording that is made where not so many run.
const MANY: usize = 1000;

/// `inside`: measures and prints. `inside floor FILE` and `inside call PROGRAM ARGUMENTS…` are its children.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["floor", file] => floor(Path::new(file)),
        ["call", program, arguments @ ..] => call(program, arguments),
        _ => measure(),
    }
    ExitCode::SUCCESS
}

/// One run of a child: how long it took, and the most memory that it had.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    seconds: f64,
    mebibytes: f64,
}

fn measure() {
    seaworthy(&["facts", "--output", FACTS]);
    let recording: Value = serde_json::from_slice(&std::fs::read(FACTS).expect("facts")).expect("facts are JSON");
    let paths: Vec<&str> = recording["engine"].as_object().expect("answers").keys().map(String::as_str).collect();
    std::fs::write("/tmp/bench-paths", paths.join("\n")).expect("/tmp can be written");
    let audit = ["seaworthy", "audit", "--format", "json"];
    let floor = ["/proc/self/exe", "inside", "floor", "/tmp/bench-paths"];
    let base = pairs(&floor, &audit);
    told(&format!("floor, {} answers", paths.len()), base.0, 1.0);
    told("audit --format json", base.1, base.1.seconds / base.0.seconds);
    let recorded = once(&["seaworthy", "audit", "--format", "json", "--facts", FACTS]);
    told("the same from recorded facts", recorded, recorded.seconds / base.0.seconds);
    if counted(&recording) < MANY {
        let many = grown(&recording, MANY);
        std::fs::write(GROWN, many.to_string()).expect("/tmp can be written");
        let recorded = once(&["seaworthy", "audit", "--format", "json", "--facts", GROWN]);
        told(&format!("recorded facts of {MANY}"), recorded, recorded.seconds / base.0.seconds);
    }
    let (audit_again, plan) = pairs(&audit, &["seaworthy", "plan", "--format", "json"]);
    told("plan --format json", plan, plan.seconds / audit_again.seconds);
    // in force or held from here on: the next apply finds nothing to do
    seaworthy(&["apply", "--yes"]);
    let (audit_again, apply) = pairs(&audit, &["seaworthy", "apply", "--yes", "--format", "json"]);
    told("apply --yes, nothing to do", apply, apply.seconds / audit_again.seconds);
    let (_, version) = pairs(&["true"], &["seaworthy", "--version"]);
    told("--version", version, version.seconds / base.0.seconds);
    if Path::new("/opt/dbs/docker-bench-security.sh").is_file() {
        let bench = once(&["bash", "-c", "cd /opt/dbs && bash docker-bench-security.sh -b >/dev/null"]);
        told("docker-bench-security", bench, bench.seconds / base.0.seconds);
        println!("audit is {:.0} times as fast as docker-bench-security", bench.seconds / base.1.seconds);
    }
}

fn counted(recording: &Value) -> usize {
    recording["engine"]["/containers/json?all=1"]["Ok"].as_array().expect("a list of containers").len()
}

fn told(what: &str, cost: Cost, ratio: f64) {
    println!("{what:<26} {:>7.4} {:>4.1} {ratio:>7.3}", cost.seconds, cost.mebibytes);
}

fn seaworthy(arguments: &[&str]) {
    let status = Command::new("seaworthy").args(arguments).stdout(Stdio::null()).status().expect("seaworthy runs");
    assert!(status.code().is_some_and(|code| [0, 2].contains(&code)), "seaworthy {arguments:?}: {status}");
}

/// Both commands in turn; of each the run with the median time, and the most memory of all of its runs.
fn pairs(one: &[&str], other: &[&str]) -> (Cost, Cost) {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        ones.push(once(one));
        others.push(once(other));
    }
    (median(ones), median(others))
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let mebibytes = costs.iter().map(|cost| cost.mebibytes).fold(0.0, f64::max);
    Cost { mebibytes, ..costs[costs.len() / 2] }
}

/// A child of a child: the kernel tells the peak of all children together, so each gets a parent of its own.
fn once(command: &[&str]) -> Cost {
    let out = Command::new("/proc/self/exe").args(["inside", "call"]).args(command).output().expect("it runs");
    let text = String::from_utf8_lossy(&out.stdout);
    let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
    let mut next = || numbers.next().unwrap_or_else(|| panic!("{command:?}: {}", String::from_utf8_lossy(&out.stderr)));
    Cost { seconds: next(), mebibytes: next() }
}

fn call(program: &str, arguments: &[&str]) {
    let began = Instant::now();
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let took: Duration = began.elapsed();
    let status = status.expect("it runs");
    assert!(status.code().is_some_and(|code| [0, 2].contains(&code)), "{program} {arguments:?}: {status}");
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("its usage is known").max_rss();
    println!("{} {}", took.as_secs_f64(), f64::from(i32::try_from(peak).unwrap_or(i32::MAX)) / 1024.0);
}

/// Reads every answer, one after another over one connection, and throws it away.
fn floor(paths: &Path) {
    let paths = std::fs::read_to_string(paths).expect("the paths");
    let stream = UnixStream::connect(SOCKET).expect("the engine listens");
    let mut read = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut write = stream;
    for path in paths.lines() {
        write!(write, "GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n").expect("the question is sent");
        answer(&mut read);
    }
}

fn answer(read: &mut impl BufRead) {
    let (mut length, mut chunked) = (0_u64, false);
    loop {
        let line = line(read).to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().expect("a length"),
            Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    if !chunked {
        return skip(read, length);
    }
    loop {
        let size = u64::from_str_radix(&line(read), 16).expect("the size of a chunk");
        skip(read, size);
        line(read);
        if size == 0 {
            return;
        }
    }
}

fn line(read: &mut impl BufRead) -> String {
    let mut line = String::new();
    read.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

fn skip(read: &mut impl BufRead, bytes: u64) {
    std::io::copy(&mut read.take(bytes), &mut std::io::sink()).expect("the whole answer");
}
