//! How many containers of one action should work at a time, and whether another one is worth starting: pure, time is an
//! argument.
//!
//! A start costs what starts of this action were measured to cost, and waiting what its runs were. Where the wait is the
//! shorter of the two, waiting is better for the caller, and so is it for everybody else: a start keeps a processor busy.
//! Whether another container at work is worth it shows in what gets done: one that brings less than half of its share is
//! not used, for what is short then is processors, and sharing those costs more than taking turns. So the number at work
//! follows what is measured: now and then another one is tried, and compared with what got done before and after the
//! trial, because code that runs warms up and neighbours come and go.
//!
//! **Invariants**, held by the tests: runs as long as a start never wait for one another; where nothing ends for twice as
//! long as a start takes, one more works or comes, and so on; without any container there is always one to come.

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
    /// Those that could run an activation at once.
    fn there(self) -> u32 {
        self.able.saturating_sub(self.arriving)
    }
}

/// What was measured of one group's activations and containers.
#[derive(Debug)]
pub(crate) struct Pace {
    run: Option<Duration>,
    /// The last runs, the oldest overwritten next.
    recent: [Option<Duration>; RECENT],
    ends: usize,
    start: Option<Duration>,
    /// When something last showed that waiting gets one on: an end, the first start, or the first that began to wait.
    progress: Instant,
    window: Window,
    /// So many work at a time; none while that was not measured, or does not matter.
    limit: Option<u32>,
    /// Ends per second with so many at work.
    level: f64,
    /// The number to go back to after a trial.
    settled: u32,
    trial: Option<Trial>,
    /// Whether more is to be tried next, by how many, and windows since the last trial.
    upwards: bool,
    stride: u32,
    quiet: u32,
    /// Whether the last trial of more containers, if any, was worth it.
    climbs: bool,
    /// Whether another container is wanted for a trial.
    explores: bool,
}

/// Another number at work being tried: first that, then the old one again.
#[derive(Debug, Clone, Copy)]
struct Trial {
    of: u32,
    rate: Option<f64>,
}

/// A stretch of time in which some always waited and as many were at work.
#[derive(Debug)]
struct Window {
    since: Instant,
    at_work: u32,
    ended: u32,
}

/// Ends that a window needs of each container, so that chance averages out.
const ENDS: u32 = 8;
/// A machine that is shared may stand still for so long: where runs are short that is no reason to start anything.
const HICCUP: Duration = Duration::from_millis(100);
/// Runs by which it is judged whether they are long.
const RECENT: usize = 8;
/// Starts that a tenure lasts: of the time of memory that is short, one part in so many goes into starting.
const TENURE: u32 = 5;
/// Windows between two trials.
const QUIET: u32 = 8;

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace {
            run: None,
            recent: [None; RECENT],
            ends: 0,
            start: None,
            progress: now,
            window: Window::new(now, 0),
            limit: None,
            level: 0.0,
            settled: 1,
            trial: None,
            upwards: false,
            stride: 1,
            quiet: 0,
            climbs: true,
            explores: false,
        }
    }

    /// A container of this crew is ready, so long after it was decided on.
    pub fn started(&mut self, now: Instant, took: Duration, crew: Crew) {
        self.start = Some(smoothed(self.start, took));
        if crew.there() == 0 {
            self.progress = now;
        }
    }

    /// One more begins to wait, behind so many.
    pub fn joins(&mut self, now: Instant, waiting: usize) {
        if waiting == 0 {
            if self.start.is_none_or(|start| now - self.progress > start) {
                // What was measured before a quiet time was another load.
                self.forget(now);
            }
            self.progress = now;
            self.window = Window::new(now, 0);
        }
    }

    /// An activation ended after so long a run, while so many waited.
    pub fn ended(&mut self, now: Instant, took: Duration, waiting: usize, crew: Crew) {
        self.run = Some(smoothed(self.run, took));
        self.recent[self.ends % RECENT] = Some(took);
        self.ends = self.ends.wrapping_add(1);
        self.progress = now;
        if self.is_long() {
            self.forget(now);
        }
        let at_work = self.limit.map_or(crew.there(), |limit| limit.min(crew.there()));
        // A container that takes nothing more may end its last run when no other is there yet: that measures nothing.
        if waiting == 0 || at_work == 0 || self.window.at_work != at_work {
            self.window = Window::new(now, at_work);
            return;
        }
        self.window.ended += 1;
        let took = now - self.window.since;
        if self.window.ended >= ENDS * at_work && self.start.is_some_and(|start| took >= start) {
            let rate = f64::from(self.window.ended) / took.as_secs_f64().max(f64::MIN_POSITIVE);
            self.measured(at_work, rate, crew.there());
            self.window = Window::new(now, 0);
        }
    }

    /// Another container was decided on.
    pub fn staffed(&mut self) {
        self.explores = false;
    }

    /// Whether one more may go to work beside so many. Those who cannot wait long are not held up.
    pub fn admits(&self, at_work: usize) -> bool {
        self.limit
            .is_none_or(|limit| u32::try_from(at_work).is_ok_and(|at_work| at_work < limit))
    }

    /// The regular look while some wait: where nothing ends for long, one more than now may work, and so on. A machine that
    /// stands still for a moment costs one container, a run that is stuck holds nobody up.
    pub fn look(&mut self, now: Instant, crew: Crew) {
        if self.run.is_some() && self.stalls(now) {
            self.progress = now;
            self.trial = None;
            self.limit = self.limit.map(|limit| limit.min(crew.there()) + 1);
            self.explores = true;
        }
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
        let there = crew.there();
        let Some(start) = self.start.filter(|_| there > 0) else {
            return Urge::Some;
        };
        let Some(run) = self.run else {
            // The first run may be a long one: twice as many each time.
            let doubles = self.stalls(now) && crew.arriving < there;
            return if doubles { Urge::Now } else { Urge::None };
        };
        if self.is_long() {
            return Urge::Now;
        }
        if self.trial.is_some() || self.limit.is_some_and(|limit| limit < there) {
            return Urge::None;
        }
        let wait = run.saturating_mul(waiting) / there.saturating_mul(concurrency).max(1);
        let pays = self.climbs && self.limit.is_some() && wait >= start;
        if pays || (self.explores && crew.arriving == 0) {
            Urge::Some
        } else {
            Urge::None
        }
    }

    /// How long a container keeps its memory from others while some wait for it, from when it was decided on.
    pub fn tenure(&self) -> Duration {
        self.start.unwrap_or_default() * TENURE
    }

    /// When to look again whether things go on, from now.
    pub fn patience(&self) -> Duration {
        self.start.unwrap_or_default().max(Duration::from_millis(1))
    }

    /// Whether runs are as long as a start. The shortest of the last ones tells: a machine that stands still for a moment
    /// makes some long, never all.
    fn is_long(&self) -> bool {
        let shortest = self.recent.iter().flatten().min();
        matches!((shortest, self.start), (Some(shortest), Some(start)) if *shortest >= start)
    }

    /// Whether nothing ended for so long that it cannot be waited for. A hiccup of the machine is not enough.
    fn stalls(&self, now: Instant) -> bool {
        let patience = |start: Duration| match self.run {
            Some(_) => (start * 2).max(HICCUP),
            None => start,
        };
        self.start.is_some_and(|start| now - self.progress >= patience(start))
    }

    fn forget(&mut self, now: Instant) {
        self.limit = None;
        self.trial = None;
        (self.climbs, self.explores) = (true, false);
        self.window = Window::new(now, 0);
    }

    /// So much gets done with so many at work, of those that are there.
    fn measured(&mut self, at_work: u32, rate: f64, there: u32) {
        let Some(limit) = self.limit else {
            (self.limit, self.level, self.quiet) = (Some(at_work), rate, QUIET);
            self.stride = (at_work / 2).max(1);
            return self.try_next(at_work, there);
        };
        match self.trial.take() {
            None => {
                self.level = (self.level + rate) / 2.0;
                self.quiet += 1;
                self.try_next(limit, there);
            }
            Some(Trial { of, rate: None }) => {
                self.trial = Some(Trial { of, rate: Some(rate) });
                self.limit = Some(self.settled);
            }
            Some(Trial { of, rate: Some(tried) }) => self.judge(limit, of, tried, rate, there),
        }
    }

    /// Goes over to the number that was tried, or stays.
    fn judge(&mut self, limit: u32, of: u32, tried: f64, after: f64, there: u32) {
        let base = (self.level + after) / 2.0;
        let (low, high) = if of > limit { (base, tried) } else { (tried, base) };
        let (less, more) = (of.min(limit), of.max(limit));
        let share = f64::from(more) / f64::from(less) - 1.0;
        let chosen = if high >= low * (1.0 + share / 2.0) { more } else { less };
        (self.climbs, self.limit) = (chosen == more, Some(chosen));
        if chosen == of {
            // It was better: on in the same direction.
            (self.level, self.quiet, self.upwards) = (tried, QUIET, of > limit);
            self.stride = self.stride.saturating_mul(2);
            self.try_next(of, there);
        } else {
            (self.level, self.quiet) = (after, 0);
            self.stride = (self.stride / 2).max(1);
        }
    }

    /// Tries another number when it is time to, more and less in turn.
    fn try_next(&mut self, limit: u32, there: u32) {
        let arrived = self.climbs && limit < there;
        if self.quiet < QUIET && !arrived {
            return;
        }
        let next = if self.upwards || arrived {
            there.min(limit.saturating_add(self.stride))
        } else {
            limit - self.stride.min(limit / 2).max(1)
        };
        self.upwards = !self.upwards;
        self.quiet = 0;
        if next == limit {
            // More have to come first.
            self.explores = true;
        } else if next > 0 {
            (self.limit, self.settled) = (Some(next), limit);
            self.trial = Some(Trial { of: next, rate: None });
        }
    }
}

impl Window {
    fn new(since: Instant, at_work: u32) -> Window {
        Window {
            since,
            at_work,
            ended: 0,
        }
    }
}

/// An average in which the last eight or so count.
fn smoothed(before: Option<Duration>, value: Duration) -> Duration {
    before.map_or(value, |before| (before * 7 + value) / 8)
}

#[cfg(test)]
mod tests;
