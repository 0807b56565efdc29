//! How a run tells what it is doing, without knowing of a terminal.

use std::sync::atomic::AtomicBool;

/// Set by a signal handler, read between steps and while waiting. A rollback does not read it.
pub type Interrupt = AtomicBool;

/// Hears what a run is doing.
pub trait Progress {
    /// A step begins.
    fn step(&mut self, text: &str);
    /// Something is being waited for; called again and again while it lasts.
    fn wait(&mut self, text: &str);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&mut self, _text: &str) {}
    fn wait(&mut self, _text: &str) {}
}
