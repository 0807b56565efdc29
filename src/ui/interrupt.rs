//! SIGINT, SIGTERM and SIGHUP become flags that are read between steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::host::local::is_ignored;

/// Whether we were asked to stop. Clones share the flags.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    hup: Arc<AtomicBool>,
    int: Arc<AtomicBool>,
    term: Arc<AtomicBool>,
    any: Arc<AtomicBool>,
}

impl Interrupt {
    /// Flags that no signal sets: signals keep their default effect. For commands that only read.
    pub fn none() -> Self {
        Self::default()
    }

    /// From now on signals only set flags. For commands that write; to be done before the first prompt. Those that
    /// we were started to ignore stay ignored: `nohup` is a wish to go on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn register() -> io::Result<Self> {
        Self::watching(is_ignored)
    }

    fn watching(ignored: impl Fn(i32) -> bool) -> io::Result<Self> {
        let this = Self::default();
        let all = [(SIGHUP, &this.hup), (SIGINT, &this.int), (SIGTERM, &this.term)];
        for (signal, flag) in all.into_iter().filter(|(signal, _)| !ignored(*signal)) {
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::flag::register(signal, Arc::clone(&this.any))?;
        }
        Ok(this)
    }

    /// The signal that came, if one did. SIGINT is asked last: `console` raises it itself when any signal ends a
    /// prompt.
    pub fn raised(&self) -> Option<&'static str> {
        [(&self.term, "SIGTERM"), (&self.hup, "SIGHUP"), (&self.int, "SIGINT")]
            .into_iter()
            .find_map(|(flag, name)| flag.load(Ordering::SeqCst).then_some(name))
    }

    /// One flag that any of the signals sets, for who does not ask which.
    pub fn any(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.any)
    }

    /// Whether a signal came.
    pub fn is_raised(&self) -> bool {
        self.raised().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_sets_its_flag_and_the_outer_one_is_named() {
        // Whoever runs the tests may ignore some.
        let interrupt = Interrupt::watching(|_| false).unwrap();
        assert_eq!(interrupt.raised(), None);
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert_eq!(interrupt.clone().raised(), Some("SIGINT"));
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(interrupt.raised(), Some("SIGTERM"));
        assert!(!Interrupt::none().is_raised());
    }

    #[test]
    fn what_we_were_started_to_ignore_is_known() {
        // Rust's own runtime ignores this one, and nobody the other.
        assert!(is_ignored(signal_hook::consts::SIGPIPE) && !is_ignored(signal_hook::consts::SIGUSR1));
    }
}
