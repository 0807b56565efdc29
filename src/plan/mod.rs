//! Findings to one ordered plan. Pure, but for hazards, which look at the host read-only.

mod change;

pub use change::{Act, FileChange, FileState, Fingerprint, Held, PLAN_SCHEMA, Part, Plan, Step, Target, Undo};
