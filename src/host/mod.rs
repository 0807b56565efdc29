//! The host: read through [`Host`], changed through [`HostMut`].

mod recording;
mod seam;

pub use recording::{Node, RECORDING_SCHEMA, Recording};
pub use seam::{Answer, Command, EngineError, FileKind, Group, Host, HostMut, Query, Stat};
