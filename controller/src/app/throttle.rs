//! How often and how many at a time a namespace may invoke and fire.
//!
//! Pure over explicit time. Rates are counted in fixed windows on the clock minute, per namespace id and kind, refused
//! requests included; what is in flight is counted per namespace id whether or not a limit applies, so that a limit that
//! is set later starts from the truth. Counters of namespaces that are idle are dropped when a minute turns, which bounds
//! the table by the namespaces active in one minute or in flight.
//!
//! Invariant: every [`Permit`] lowers the count it raised exactly once, when it is dropped. Upstream behaviour honoured:
//! windows, texts and who is charged; several controllers share a limit after raising it by a fifth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use dashmap::DashMap;
use wsk_entities::{Timestamp, UserLimits};

use super::Error;
use crate::{Config, metrics};

/// The throttles of one controller.
#[derive(Debug)]
pub struct Throttle {
    system: UserLimits,
    cluster_size: u32,
    namespaces: DashMap<Arc<str>, Arc<Counters>>,
    /// The minute whose idle namespaces were dropped last.
    swept: AtomicU64,
}

/// What a request is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Invocation,
    Fire,
}

/// A place among the activations in flight of a namespace; dropping it gives the place back.
#[derive(Debug)]
pub struct Permit(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    invocations: Window,
    fires: Window,
    in_flight: AtomicU32,
}

/// Requests of one clock minute: the minute in the upper half, the count in the lower.
#[derive(Debug, Default)]
struct Window(AtomicU64);

const MINUTE_MS: u64 = 60_000;

impl Window {
    /// Counts one request and gives the count of its minute, this one included.
    fn count(&self, minute: u32) -> u32 {
        let next = |packed: u64| {
            let (then, count) = ((packed >> 32) as u32, packed as u32);
            let count = if then == minute { count.saturating_add(1) } else { 1 };
            (u64::from(minute) << 32) | u64::from(count)
        };
        let before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |packed| Some(next(packed)));
        next(before.expect("the update always gives a value")) as u32
    }

    fn is_of(&self, minute: u32) -> bool {
        let packed = self.0.load(Ordering::Relaxed);
        packed != 0 && (packed >> 32) as u32 == minute
    }
}

impl Counters {
    fn window(&self, kind: Kind) -> &Window {
        match kind {
            Kind::Invocation => &self.invocations,
            Kind::Fire => &self.fires,
        }
    }

    fn is_idle(&self, minute: u32) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0 && !self.invocations.is_of(minute) && !self.fires.is_of(minute)
    }
}

impl Throttle {
    pub fn new(config: &Config) -> Throttle {
        Throttle {
            system: UserLimits {
                invocations_per_minute: config.invocations_per_minute,
                concurrent_invocations: config.concurrent_invocations,
                fires_per_minute: config.fires_per_minute,
                ..UserLimits::default()
            },
            cluster_size: config.cluster_size.max(1),
            namespaces: DashMap::new(),
            swept: AtomicU64::new(0),
        }
    }

    /// Counts a request and refuses it when its minute is used up.
    ///
    /// # Errors
    /// [`Error::Throttled`] with upstream's text.
    pub fn charge(&self, namespace: &Arc<str>, limits: &UserLimits, kind: Kind, now: Timestamp) -> Result<(), Error> {
        let limit = match kind {
            Kind::Invocation => limits.invocations_per_minute.or(self.system.invocations_per_minute),
            Kind::Fire => limits.fires_per_minute.or(self.system.fires_per_minute),
        };
        let Some(limit) = limit.map(|limit| self.share(limit)) else {
            return Ok(());
        };
        let minute = (now / MINUTE_MS) as u32;
        self.sweep(minute);
        let count = self.counters(namespace).window(kind).count(minute);
        if count <= limit {
            return Ok(());
        }
        Err(Error::Throttled(format!(
            "Too many requests in the last minute (count: {count}, allowed: {limit})."
        )))
    }

    /// Refuses when the namespace has as much in flight as it may.
    ///
    /// # Errors
    /// [`Error::Throttled`] with upstream's text.
    pub fn check_concurrency(&self, namespace: &Arc<str>, limits: &UserLimits) -> Result<(), Error> {
        let limit = limits.concurrent_invocations.or(self.system.concurrent_invocations);
        let Some(limit) = limit.map(|limit| self.share(limit)) else {
            return Ok(());
        };
        let count = self.in_flight(namespace);
        if count < limit {
            return Ok(());
        }
        Err(Error::Throttled(format!(
            "Too many concurrent requests in flight (count: {count}, allowed: {limit})."
        )))
    }

    /// Counts one more activation in flight until the permit is dropped.
    pub fn enter(&self, namespace: &Arc<str>) -> Permit {
        let counters = self.counters(namespace);
        counters.in_flight.fetch_add(1, Ordering::Relaxed);
        metrics::HELD.inc();
        Permit(counters)
    }

    /// Activations of a namespace that are published and not completed.
    pub fn in_flight(&self, namespace: &str) -> u32 {
        self.namespaces
            .get(namespace)
            .map_or(0, |counters| counters.in_flight.load(Ordering::Relaxed))
    }

    /// This controller's part of a limit of the whole cluster.
    fn share(&self, limit: u32) -> u32 {
        if self.cluster_size == 1 || limit == 0 {
            return limit;
        }
        let raised = u64::from(limit) * 6 / 5;
        u32::try_from(raised / u64::from(self.cluster_size))
            .unwrap_or(u32::MAX)
            .max(1)
    }

    fn counters(&self, namespace: &Arc<str>) -> Arc<Counters> {
        if let Some(counters) = self.namespaces.get(namespace) {
            return counters.clone();
        }
        self.namespaces.entry(namespace.clone()).or_default().clone()
    }

    /// Drops the counters of namespaces that are idle, at most once a minute.
    pub fn forget_idle(&self, now: Timestamp) {
        self.sweep((now / MINUTE_MS) as u32);
    }

    fn sweep(&self, minute: u32) {
        if self.swept.swap(u64::from(minute), Ordering::Relaxed) != u64::from(minute) {
            // A holder of the counters elsewhere is about to use them.
            self.namespaces
                .retain(|_, counters| Arc::strong_count(counters) > 1 || !counters.is_idle(minute));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        metrics::HELD.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn throttle(config: Config) -> Throttle {
        Throttle::new(&config)
    }

    fn ns(name: &str) -> Arc<str> {
        name.into()
    }

    fn text(result: Result<(), Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn refused_requests_count_and_the_minute_clears() {
        let throttle = throttle(Config {
            invocations_per_minute: Some(2),
            ..Config::default()
        });
        let (guest, limits) = (ns("guest"), UserLimits::default());
        let charge = |now| throttle.charge(&guest, &limits, Kind::Invocation, now);
        assert!(charge(60_000).is_ok() && charge(119_998).is_ok());
        assert_eq!(
            text(charge(119_999)),
            "Too many requests in the last minute (count: 3, allowed: 2)."
        );
        assert_eq!(
            text(charge(119_999)),
            "Too many requests in the last minute (count: 4, allowed: 2)."
        );
        assert!(charge(120_000).is_ok());
        assert!(
            throttle
                .charge(&ns("other"), &limits, Kind::Invocation, 119_999)
                .is_ok()
        );
        assert!(throttle.charge(&guest, &limits, Kind::Fire, 119_999).is_ok());
    }

    #[test]
    fn a_namespaces_own_limit_wins_and_zero_means_never() {
        let throttle = throttle(Config {
            fires_per_minute: Some(5),
            ..Config::default()
        });
        let limits = UserLimits {
            fires_per_minute: Some(0),
            concurrent_invocations: Some(0),
            ..UserLimits::default()
        };
        assert!(throttle.charge(&ns("n"), &limits, Kind::Fire, 0).is_err());
        assert_eq!(
            text(throttle.check_concurrency(&ns("n"), &limits)),
            "Too many concurrent requests in flight (count: 0, allowed: 0)."
        );
    }

    #[test]
    fn a_place_comes_back_when_its_permit_goes() {
        let throttle = throttle(Config {
            concurrent_invocations: Some(1),
            ..Config::default()
        });
        let (guest, limits) = (ns("guest"), UserLimits::default());
        let permit = throttle.enter(&guest);
        assert_eq!(
            text(throttle.check_concurrency(&guest, &limits)),
            "Too many concurrent requests in flight (count: 1, allowed: 1)."
        );
        drop(permit);
        assert!(throttle.check_concurrency(&guest, &limits).is_ok());
    }

    #[test]
    fn idle_namespaces_are_forgotten_and_busy_ones_are_not() {
        let throttle = throttle(Config {
            invocations_per_minute: Some(9),
            ..Config::default()
        });
        let limits = UserLimits::default();
        for i in 0..1000 {
            throttle
                .charge(&ns(&format!("n{i}")), &limits, Kind::Invocation, 0)
                .unwrap();
        }
        let _busy = throttle.enter(&ns("busy"));
        throttle
            .charge(&ns("late"), &limits, Kind::Invocation, MINUTE_MS)
            .unwrap();
        assert_eq!(throttle.namespaces.len(), 2);
        assert_eq!(throttle.in_flight("busy"), 1);
    }

    #[test]
    fn controllers_share_a_limit_raised_by_a_fifth() {
        for (limit, size, share) in [(60, 1, 60), (60, 2, 36), (1, 3, 1), (0, 3, 0)] {
            let throttle = throttle(Config {
                cluster_size: size,
                ..Config::default()
            });
            assert_eq!(throttle.share(limit), share);
        }
    }

    proptest! {
        /// Whatever the order, a minute admits exactly its limit and the next minute starts afresh.
        #[test]
        fn a_minute_admits_its_limit(limit in 0u32..20, requests in 0u32..60, minutes in 1u64..5) {
            let throttle = throttle(Config { invocations_per_minute: Some(limit), ..Config::default() });
            let (guest, limits) = (ns("guest"), UserLimits::default());
            for minute in 1..=minutes {
                let admitted = (0..requests)
                    .filter(|i| {
                        let now = minute * MINUTE_MS + u64::from(*i);
                        throttle.charge(&guest, &limits, Kind::Invocation, now).is_ok()
                    })
                    .count();
                prop_assert_eq!(admitted as u32, limit.min(requests));
            }
        }

        /// Whatever comes and goes: as many are in flight as hold a permit, nobody is admitted beyond the limit, and
        /// forgetting the idle forgets no permit.
        #[test]
        fn those_in_flight_are_those_with_a_permit(limit in 0u32..6, steps in proptest::collection::vec((0u8..3, 0usize..8), 0..60)) {
            let throttle = throttle(Config { concurrent_invocations: Some(limit), ..Config::default() });
            let limits = UserLimits::default();
            let names = [ns("one"), ns("two")];
            let mut held: [Vec<Permit>; 2] = Default::default();
            for (minute, (step, at)) in steps.into_iter().enumerate() {
                let whose = at % 2;
                match step {
                    0 => {
                        let admitted = throttle.check_concurrency(&names[whose], &limits).is_ok();
                        prop_assert_eq!(admitted, (held[whose].len() as u32) < limit);
                        if admitted {
                            held[whose].push(throttle.enter(&names[whose]));
                        }
                    }
                    1 if !held[whose].is_empty() => {
                        let which = at % held[whose].len();
                        drop(held[whose].swap_remove(which));
                    }
                    _ => throttle.forget_idle(minute as u64 * MINUTE_MS),
                }
                for (name, held) in names.iter().zip(&held) {
                    prop_assert_eq!(throttle.in_flight(name), held.len() as u32);
                }
            }
        }

        /// Fires and invocations, and the namespaces, do not use up each other's minute.
        #[test]
        fn every_kind_and_namespace_has_a_minute_of_its_own(limit in 0u32..5, requests in proptest::collection::vec((any::<bool>(), 0usize..2), 0..40)) {
            let throttle = throttle(Config {
                invocations_per_minute: Some(limit),
                fires_per_minute: Some(limit),
                ..Config::default()
            });
            let limits = UserLimits::default();
            let names = [ns("one"), ns("two")];
            let mut counts = [[0u32; 2]; 2];
            for (fire, whose) in requests {
                let kind = if fire { Kind::Fire } else { Kind::Invocation };
                counts[usize::from(fire)][whose] += 1;
                let admitted = throttle.charge(&names[whose], &limits, kind, MINUTE_MS).is_ok();
                prop_assert_eq!(admitted, counts[usize::from(fire)][whose] <= limit);
            }
        }
    }
}
