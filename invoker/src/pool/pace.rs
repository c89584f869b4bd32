//! Whether another container is worth starting for activations that wait for one of their action's: pure, time is an argument.
//!
//! A start costs what starts of this action were measured to cost, and waiting what its runs were. Where the wait is the
//! shorter of the two, waiting is better for the caller, and so is it for everybody else: a start keeps a processor busy.
//! Still, waits that go on add up; once they amount to a start, one is made (whoever decides so never pays more than twice
//! the least possible), and kept up as long as it shows in what gets done. Where another container ended no more
//! activations than before, what is short is processors and not containers.
//!
//! **Invariants**, held by the tests: runs as long as a start never wait for one another; where nothing ends for as long
//! as a start takes, another container comes; without any container there is always one to come.

use std::time::Duration;

use tokio::time::Instant;

/// How pressing another container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urge {
    /// Waiting is better.
    None,
    /// It pays off, or nobody knows yet: as far as there are processors to start it.
    Some,
    /// Waiting would take longer.
    Now,
}

/// The containers of one group that take its activations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Crew {
    /// Those on their way included.
    pub able: u32,
    /// Being made or initialised.
    pub arriving: u32,
}

impl Crew {
    fn working(self) -> u32 {
        self.able.saturating_sub(self.arriving)
    }
}

/// What was measured of one group's activations and containers.
#[derive(Debug)]
pub(crate) struct Pace {
    run: Option<Duration>,
    start: Option<Duration>,
    /// When something last showed that waiting gets one on: an end, the first start, or the first that began to wait.
    progress: Instant,
    /// The waits since the last start was decided, added up.
    waited: Duration,
    waited_until: Instant,
    window: Window,
    /// What got done with the present number of containers, and with the number before.
    now: Option<Level>,
    before: Option<Level>,
}

/// A stretch of time in which some always waited and the containers stayed as many.
#[derive(Debug)]
struct Window {
    since: Instant,
    containers: u32,
    ended: u32,
}

/// Activations ended per second by so many containers.
#[derive(Debug, Clone, Copy)]
struct Level {
    containers: u32,
    rate: f64,
}

/// Ends that a window needs of each container, so that chance averages out.
const ENDS: u32 = 4;

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace {
            run: None,
            start: None,
            progress: now,
            waited: Duration::ZERO,
            waited_until: now,
            window: Window {
                since: now,
                containers: 0,
                ended: 0,
            },
            now: None,
            before: None,
        }
    }

    /// A container of this crew is ready, so long after it was decided on.
    pub fn started(&mut self, now: Instant, took: Duration, crew: Crew) {
        self.start = Some(smoothed(self.start, took));
        if crew.working() == 0 {
            self.progress = now;
        }
    }

    /// One more begins to wait, behind so many.
    pub fn joins(&mut self, now: Instant, waiting: usize) {
        self.wait_goes_on(now, waiting);
        if waiting == 0 {
            if self.start.is_none_or(|start| now - self.progress > start) {
                // What was measured before a quiet time was another load.
                (self.now, self.before) = (None, None);
            }
            self.progress = now;
            self.open_window(now, 0);
        }
    }

    /// One of so many stops waiting.
    pub fn leaves(&mut self, now: Instant, waiting: usize) {
        self.wait_goes_on(now, waiting);
    }

    /// An activation ended after so long a run, while so many waited.
    pub fn ended(&mut self, now: Instant, took: Duration, waiting: usize, crew: Crew) {
        self.run = Some(smoothed(self.run, took));
        self.progress = now;
        if waiting == 0 || self.window.containers != crew.working() {
            self.open_window(now, crew.working());
            return;
        }
        self.window.ended += 1;
        let took = now - self.window.since;
        if self.window.ended >= ENDS * self.window.containers && self.start.is_some_and(|start| took >= start) {
            let level = Level {
                containers: self.window.containers,
                rate: f64::from(self.window.ended) / took.as_secs_f64().max(f64::MIN_POSITIVE),
            };
            if self.now.is_some_and(|now| now.containers != level.containers) {
                self.before = self.now.filter(|now| now.containers < level.containers);
            }
            self.now = Some(level);
            self.open_window(now, level.containers);
        }
    }

    /// Another container was decided on.
    pub fn staffed(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// Whether another container should come for those who wait.
    pub fn urge(&self, now: Instant, waiting: usize, crew: Crew, concurrency: u32) -> Urge {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        if waiting == 0 {
            return Urge::None;
        }
        if crew.able == 0 {
            return Urge::Now;
        }
        let working = crew.working();
        let Some(start) = self.start.filter(|_| working > 0) else {
            return Urge::Some;
        };
        if self.run.is_some_and(|run| run >= start) || now - self.progress >= start {
            return Urge::Now;
        }
        let Some(run) = self.run else {
            return Urge::None;
        };
        if crew.arriving > 0 || self.now.is_none_or(|now| now.containers != working) || self.saturated() {
            return Urge::None;
        }
        let wait = run.saturating_mul(waiting) / working.saturating_mul(concurrency).max(1);
        if wait >= start || self.waited >= start {
            Urge::Some
        } else {
            Urge::None
        }
    }

    /// When to look again whether things go on, from now.
    pub fn patience(&self) -> Duration {
        self.start.unwrap_or_default().max(Duration::from_millis(1))
    }

    /// Whether the containers that came last brought less than half of their share.
    fn saturated(&self) -> bool {
        let (Some(before), Some(now)) = (self.before, self.now) else {
            return false;
        };
        let more = f64::from(now.containers) / f64::from(before.containers.max(1)) - 1.0;
        now.rate < before.rate * (1.0 + more / 2.0)
    }

    fn open_window(&mut self, now: Instant, containers: u32) {
        self.window = Window {
            since: now,
            containers,
            ended: 0,
        };
    }

    fn wait_goes_on(&mut self, now: Instant, waiting: usize) {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let more = (now - self.waited_until).saturating_mul(waiting);
        self.waited = self.waited.saturating_add(more);
        self.waited_until = now;
    }
}

/// An average in which the last eight or so count.
fn smoothed(before: Option<Duration>, value: Duration) -> Duration {
    before.map_or(value, |before| (before * 7 + value) / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_millis(70);

    /// One container that has just ended a run, with `waiting` behind it.
    fn pace(run: Duration) -> (Pace, Instant) {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.started(now, START, Crew::default());
        pace.ended(now, run, 0, crew(1));
        (pace, now)
    }

    fn crew(able: u32) -> Crew {
        Crew { able, arriving: 0 }
    }

    /// A closed loop: always `waiting` wait, and each end comes after `gap`.
    fn go_on(pace: &mut Pace, mut now: Instant, gap: Duration, ends: u32, waiting: usize, containers: u32) -> Instant {
        for _ in 0..ends {
            now += gap;
            pace.leaves(now, waiting + 1);
            pace.ended(now, gap * containers, waiting, crew(containers));
            pace.joins(now, waiting);
        }
        now
    }

    proptest! {
        #[test]
        fn runs_as_long_as_a_start_never_wait_for_one_another(run in 70u64..100_000, waiting in 1usize..1000, able in 0u32..100) {
            let (pace, now) = pace(Duration::from_millis(run));
            prop_assert_eq!(pace.urge(now, waiting, crew(able), 1), Urge::Now);
        }

        #[test]
        fn without_a_container_one_comes(run in 0u64..1000, waiting in 1usize..1000) {
            let (pace, now) = pace(Duration::from_micros(run));
            prop_assert_eq!(pace.urge(now, waiting, crew(0), 1), Urge::Now);
        }

        #[test]
        fn nobody_waits_where_nothing_ends(run in 0u64..69, waiting in 1usize..1000, able in 1u32..100, arriving in 0u32..100) {
            let (pace, now) = pace(Duration::from_millis(run));
            let crew = Crew { able, arriving: arriving.min(able - 1) };
            prop_assert_eq!(pace.urge(now + START, waiting, crew, 1), Urge::Now);
        }

        #[test]
        fn nothing_is_started_for_nobody(run in 0u64..1000, able in 0u32..10, later in 0u64..1000) {
            let (pace, now) = pace(Duration::from_millis(run));
            prop_assert_eq!(pace.urge(now + Duration::from_millis(later), 0, crew(able), 1), Urge::None);
        }

        /// Whatever was measured, a single caller that finds the container busy for a moment does not cost a start.
        #[test]
        fn a_short_wait_is_waited(run in 1u64..30_000, concurrency in 1u32..10) {
            let (mut pace, now) = pace(Duration::from_micros(run));
            pace.joins(now, 0);
            let soon = now + Duration::from_micros(run);
            prop_assert_eq!(pace.urge(soon, 1, crew(1), concurrency), Urge::None);
        }
    }

    #[test]
    fn as_long_as_nothing_is_known_processors_are_used_and_then_the_first_run_is_awaited() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let arriving = Crew { able: 1, arriving: 1 };
        assert_eq!(pace.urge(now, 1, arriving, 1), Urge::Some);
        pace.started(now + START, START, arriving);
        assert_eq!(pace.urge(now + START, 1, crew(1), 1), Urge::None);
        assert_eq!(pace.urge(now + START * 2, 1, crew(1), 1), Urge::Now);
    }

    #[test]
    fn waits_that_add_up_to_a_start_pay_for_one() {
        let gap = Duration::from_micros(100);
        let (mut pace, now) = pace(gap);
        pace.joins(now, 30);
        let soon = go_on(&mut pace, now, gap, 100, 30, 1);
        assert_eq!(
            pace.urge(soon, 30, crew(1), 1),
            Urge::None,
            "one container was not measured yet"
        );
        let later = go_on(&mut pace, soon, gap, 700, 30, 1);
        assert_eq!(pace.urge(later, 30, crew(1), 1), Urge::Some);
        pace.staffed();
        assert_eq!(pace.urge(later, 30, crew(1), 1), Urge::None);
    }

    #[test]
    fn a_container_that_brought_nothing_is_the_last() {
        let gap = Duration::from_micros(100);
        let (mut pace, now) = pace(gap);
        pace.joins(now, 30);
        let one = go_on(&mut pace, now, gap, 1000, 30, 1);
        let two = go_on(&mut pace, one, gap * 9 / 10, 2000, 30, 2);
        assert_eq!(pace.urge(two, 30, crew(2), 1), Urge::None);
    }

    #[test]
    fn containers_that_bring_their_share_are_followed_by_more() {
        let run = Duration::from_millis(20);
        let (mut pace, mut now) = pace(run);
        pace.joins(now, 100);
        for containers in 1..20 {
            now = go_on(&mut pace, now, run / containers, 100, 100, containers);
            assert_eq!(pace.urge(now, 100, crew(containers), 1), Urge::Some, "{containers}");
            pace.staffed();
        }
    }

    #[test]
    fn a_quiet_time_ends_what_was_believed() {
        let gap = Duration::from_micros(100);
        let (mut pace, now) = pace(gap);
        pace.joins(now, 30);
        let one = go_on(&mut pace, now, gap, 1000, 30, 1);
        let two = go_on(&mut pace, one, gap, 2000, 30, 2);
        assert!(pace.saturated());
        pace.joins(two + START * 2, 0);
        assert!(!pace.saturated());
    }
}
