//! Findings to one ordered plan. Pure, but for hazards, which look at the host read-only.

mod change;
pub mod diff;
pub mod edit;

pub use change::{Act, FileChange, FileState, Fingerprint, Held, PLAN_SCHEMA, Plan, Step};
