//! Threads that live no longer than the function that starts them.

use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

/// What a thread came to; where it panicked, the panic goes on here.
pub fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
