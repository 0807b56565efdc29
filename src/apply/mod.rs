//! Carries a plan out on a host, and takes it back: the only stage that writes.
//!
//! A run is all or nothing. Backups of everything and the intent of each operation are durable before the operation;
//! whoever finds the run, this process or a later one, can bring the host back from them alone. No terminal here:
//! [`Progress`] hears what goes on.

mod at_work;
mod audit_rules;
mod backup;
mod compose;
mod compose_undo;
mod daemon_undo;
mod goal;
mod hazards;
mod history;
mod image;
mod io;
mod journal;
mod live;
mod partial;
mod prepare;
mod progress;
mod replace;
mod rollback;
mod rollback_plan;
mod run;
mod service;
mod site_file;
mod steps;
mod store;
mod swarm;
mod waiting;

pub use at_work::at_work;
pub use backup::Saved;
pub use history::{ContainerNow, PathNow, RunSummary, State, Unfinished, list, plan_of, summary, unfinished};
pub use image::{Image, ImageKind};
pub use journal::{JOURNAL_SCHEMA, Op, Record, Who};
pub use prepare::unmoved;
pub use progress::{Interrupt, Progress, Silent};
pub use rollback::{RollbackOptions, RollbackOutcome, rollback};
pub use rollback_plan::{ChangedSince, RollbackPlan, plan_rollback};
pub use run::{ApplyOptions, Look, Outcome, apply, confirm};
pub use service::{Container, Snapshot};
pub use site_file::write_site_file;
pub use store::{Run, Store};
pub use waiting::Deadlines;
