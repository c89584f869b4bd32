//! The wall clock, replaceable by a simulated one.
//!
//! Durations are measured on tokio's clock, which tests pause. What is written into records and compared with clock minutes
//! comes from here; after [`simulate`] it follows tokio's clock as well, so that a simulation of hours is exact.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

thread_local! {
    static SIMULATED: Cell<Option<(Duration, Instant)>> = const { Cell::new(None) };
}

/// Time since the Unix epoch.
pub fn since_epoch() -> Duration {
    match SIMULATED.get() {
        None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        Some((start, at)) => start + at.elapsed(),
    }
}

/// Milliseconds since the Unix epoch.
pub fn now() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// From now on the clock of this thread starts at `start` (since the epoch) and runs as tokio's clock does. For tests and
/// simulations on one thread.
pub fn simulate(start: Duration) {
    SIMULATED.set(Some((start, Instant::now())));
}
