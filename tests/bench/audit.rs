//! How long seaworthy takes on a host with many containers, as ratios of one run: `cargo bench --bench audit`.
//!
//!   cargo bench --bench audit -- [COUNT...]     on a lab host with so many running containers: 1, 100 and 300 unless told
//!
//! The floor is a bare client that reads the same answers of the Engine one after another over one connection. Both run
//! in turn on the same host; what is told is the median of the pairs. With a checkout of docker-bench-security named in
//! `DOCKER_BENCH` that runs once on each host as well.
//!
//! Needs root and the lab's images, as the lab tests do: `tests/run` sets both up.

#![allow(clippy::disallowed_methods, reason = "files and programs of the project, not of a host")]
#![allow(clippy::print_stdout, reason = "its report")]

mod grown;
mod inside;
#[allow(dead_code, reason = "the lab tests use the rest")]
#[path = "../lab/machine.rs"]
mod machine;

use std::process::ExitCode;

use machine::Machine;

/// Containers started at a time.
const STARTED_TOGETHER: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, rest @ ..] = arguments.as_slice()
        && word == "inside"
    {
        return inside::run(rest);
    }
    let mut counts: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![1, 100, 300];
    }
    println!("containers  what                       seconds  MiB   ratio");
    for count in counts {
        measure(count);
    }
    ExitCode::SUCCESS
}

/// One host with so many containers.
fn measure(count: usize) {
    let host = Machine::host("trixie");
    host.ok("lab-image");
    let start = "docker run -d --network none --name c{} busybox:1 sleep 100000";
    host.ok(&format!("seq {count} | xargs -P {STARTED_TOGETHER} -I{{}} {start} >/dev/null"));
    let itself = std::env::current_exe().expect("this program has a path");
    host.push(&itself, "/usr/local/bin/bench");
    if let Ok(folder) = std::env::var("DOCKER_BENCH") {
        let tar = std::process::Command::new("tar").args(["-C", &folder, "-c", "."]).output().expect("tar runs");
        let out = host.sh_with("mkdir -p /opt/dbs && tar -C /opt/dbs -x", &tar.stdout);
        assert_eq!(out.status, 0, "{}", out.stderr);
    }
    for line in host.ok("bench inside").lines() {
        println!("{count:>10}  {line}");
    }
}
