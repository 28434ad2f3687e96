//! The locks and counters that requests share. The tests in `tests/interleavings/` build this crate with those of shuttle,
//! which decides at each use who goes on.

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError, atomic};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, atomic};
