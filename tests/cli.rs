//! End to end, a module a subcommand: what a person sees on standard output and error, and the exit code. Runs the
//! real binary on a recorded host and on trees in temporary directories, with an environment of its own.
//!
//! `SEAWORTHY_BLESS=1` writes the snapshots anew; they are read in review like code.
#![allow(clippy::disallowed_methods, reason = "tests start the binary and make trees for it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails there fails the test")]

#[path = "cli/apply.rs"]
mod apply;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/catalog.rs"]
mod catalog;
#[path = "cli/compose.rs"]
mod compose;
#[path = "cli/facts.rs"]
mod facts;
#[path = "cli/general.rs"]
mod general;
#[path = "cli/hostile.rs"]
mod hostile;
#[path = "cli/hostile_plans.rs"]
mod hostile_plans;
#[path = "cli/plan.rs"]
mod plan;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/shell.rs"]
mod shell;
#[path = "cli/waive.rs"]
mod waive;

/// A host that runs nothing: a fresh Debian 12 with docker.io.
const DEBIAN: &str = "fixtures/hosts/debian-12.json";
