//! The catalogue harness: every scenario of every fixture, one test each, with no code for any single check.
//!
//! `SEAWORTHY_BLESS=1` writes the plans that were computed into the fixtures; they are reviewed like code.

#![allow(clippy::disallowed_methods, reason = "these are files of the project, not of a host")]

#[path = "catalog/coverage.rs"]
mod coverage;
#[path = "catalog/covered.rs"]
mod covered;
#[path = "catalog/fixture.rs"]
mod fixture;
#[path = "catalog/lines.rs"]
mod lines;
#[path = "catalog/look.rs"]
mod look;
#[path = "catalog/scenario.rs"]
mod scenario;
#[allow(dead_code, reason = "tests/apply.rs uses the rest")]
#[path = "support"]
mod support {
    pub(crate) mod fake_answers;
    pub(crate) mod fake_changes;
    pub(crate) mod fake_compose;
    pub(crate) mod fake_disk;
    pub(crate) mod fake_docker;
    pub(crate) mod fake_faults;
    pub(crate) mod fake_host;
    pub(crate) mod fake_systemd;
    pub(crate) mod fake_updates;
}
#[path = "catalog/world.rs"]
mod world;

use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial, run};
use seaworthy::catalog::Catalog;

use crate::fixture::Fixture;

/// The tests' own result: a sentence says what is wrong.
type Checked<T = ()> = Result<T, String>;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let catalog: &'static Catalog = Box::leak(Box::new(Catalog::built_in()));
    let fixtures: Vec<Arc<Fixture>> = match fixture::read_all() {
        Ok(fixtures) => fixtures.into_iter().map(Arc::new).collect(),
        Err(problem) => panic!("{problem}"),
    };
    let blessed: Arc<Mutex<Vec<(usize, usize, String)>>> = Arc::default();
    let bless = std::env::var_os("SEAWORTHY_BLESS").is_some();
    let mut trials = coverage::trials(catalog, &fixtures);
    for (file, fixture) in fixtures.iter().enumerate() {
        for at in 0..fixture.scenarios.len() {
            let (fixture, blessed) = (fixture.clone(), blessed.clone());
            let name = format!("{}::{}", fixture.name, fixture.scenarios[at].name);
            trials.push(Trial::test(name, move || {
                let one = &fixture.scenarios[at];
                let document = scenario::check(catalog, &fixture.name, one, bless).map_err(Failed::from)?;
                if bless && document != one.diff {
                    blessed.lock().map_err(|e| e.to_string())?.push((file, at, document));
                }
                Ok(())
            }));
        }
    }
    let conclusion = run(&arguments, trials);
    let blessed = blessed.lock().map(|all| all.clone()).unwrap_or_default();
    for (file, at, document) in blessed {
        fixture::write_diff(&fixtures[file], at, &document);
    }
    conclusion.exit_code()
}
