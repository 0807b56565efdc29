//! The host: read through [`Host`], changed through [`HostMut`].

mod compose;
mod engine;
mod live;
pub mod local;
mod overlay;
pub mod path;
mod process;
mod recorded;
mod recorder;
mod recording;
mod seam;
mod shown;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use compose::{ComposeProject, ComposeTool};
pub use live::LiveHost;
pub use overlay::{Overlay, OverlayFile};

pub use recorded::RecordedHost;
pub use recorder::Recorder;
pub use recording::{Node, RECORDING_SCHEMA, Recording};
pub use seam::{Answer, Command, EngineError, FileKind, Group, Host, HostMut, MAX_FILE, Query, Stat, Take};
