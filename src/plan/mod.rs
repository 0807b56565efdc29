//! Findings to one ordered plan. Pure, but for hazards, which look at the host read-only.

mod advise;
mod assess;
mod build;
mod change;
mod compose;
pub mod diff;
mod draft;
pub mod edit;
mod edits;
mod expected;
pub mod hazard;
mod live;
mod proposal;
mod recreation;
mod saved;
mod steps;
mod swarm;

pub use advise::{Advised, Choice as ToChoose, advise};
pub use assess::{evidence, fingerprint};
pub use build::{Accept, Choice, Inputs, Planned, plan};
pub use change::{Act, FileChange, FileState, Fingerprint, Held, PLAN_SCHEMA, Part, Plan, Step, Target, Undo};
pub use live::{LiveChange, LiveSetting, LiveState};
pub use recreation::Recreation;
pub use saved::vetted;
