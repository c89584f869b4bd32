//! The wall clock, replaceable by a simulated one.
//!
//! Durations are measured on tokio's clock, which tests pause. What is written into records and compared with clock minutes
//! comes from here; after [`simulate`] it follows tokio's clock as well, so that a simulation of hours is exact. A simulation of
//! several machines gives each a [`Machine`] of its own, which the tasks of that machine hand on to those that they [`spawn`].

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::Boxed;

/// How far the wall clock of a simulated machine is off.
#[derive(Clone, Debug, Default)]
pub struct Machine(Arc<AtomicI64>);

thread_local! {
    static SIMULATED: Cell<Option<(Duration, Instant)>> = const { Cell::new(None) };
}

tokio::task_local! {
    static HERE: Machine;
}

/// Time since the Unix epoch.
pub fn since_epoch() -> Duration {
    match SIMULATED.get() {
        None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        Some((start, at)) => {
            let off = HERE.try_with(Machine::off).unwrap_or_default();
            let (right, by) = (start + at.elapsed(), Duration::from_millis(off.unsigned_abs()));
            if off < 0 { right.saturating_sub(by) } else { right + by }
        }
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

/// Spawns a task that goes by the same clock as the one that spawns it.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(here(Box::pin(task)))
}

/// As [`spawn`], into a set.
pub fn spawn_into(set: &mut JoinSet<()>, task: impl Future<Output = ()> + Send + 'static) {
    set.spawn(here(Box::pin(task)));
}

/// The task as one of this machine. Every task is of one type, for which alone tokio's part is compiled.
fn here(task: Boxed<'static, ()>) -> Boxed<'static, ()> {
    match HERE.try_with(Clone::clone) {
        Ok(machine) => Box::pin(machine.runs(task)),
        Err(_) => task,
    }
}

impl Machine {
    /// A clock that is so many milliseconds before the others, or behind them.
    pub fn off_by(millis: i64) -> Machine {
        Machine(Arc::new(millis.into()))
    }

    /// Sets it forward by so many milliseconds, or back.
    pub fn step(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }

    /// Runs what is on this machine; only a simulated clock is off.
    pub fn runs<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        HERE.scope(self.clone(), future)
    }

    fn off(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn machines_have_their_own_time_and_hand_it_on() {
        simulate(Duration::from_secs(1_000));
        let (late, early) = (Machine::off_by(-500), Machine::off_by(0));
        early.step(2_000);
        let spawned = || async {
            let (told, hears) = tokio::sync::oneshot::channel();
            spawn(async { told.send(now()).unwrap() }).await.unwrap();
            hears.await.unwrap()
        };
        assert_eq!(late.runs(spawned()).await, 999_500);
        let into_set = async {
            let (told, hears) = tokio::sync::oneshot::channel();
            let mut set = JoinSet::new();
            spawn_into(&mut set, async { told.send(now()).unwrap() });
            hears.await.unwrap()
        };
        assert_eq!(early.runs(into_set).await, 1_002_000);
        assert_eq!(spawned().await, 1_000_000);
    }
}
