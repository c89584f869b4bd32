//! Whether a reader gets what is on its topic: the pure half of noticing that it does not.

use std::time::{Duration, Instant};

/// Time without a message before the end of the topic is looked at.
const QUIET: Duration = Duration::from_secs(10);
/// Time without the topic before somebody should look whether another has it.
const ALONE: Duration = Duration::from_secs(60);

/// Watches over one reader.
#[derive(Debug)]
pub(super) struct Vigil {
    /// When a message came last, or none was wanted, or the topic was given or taken, or it was found that another has it.
    heard: Instant,
    /// When somebody looked last.
    looked: Instant,
    /// Where the reader stood, with messages before it, when it was looked at last.
    waits_at: Option<i64>,
}

impl Vigil {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            looked: now,
            waits_at: None,
        }
    }

    /// A message came, or the reader wants none at the moment.
    pub(super) fn heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Whether it has been quiet for so long that somebody should look at where the topic ends.
    pub(super) fn is_long(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.looked) >= QUIET
    }

    /// Whether a reader has been without the topic for so long that somebody should look who has it.
    pub(super) fn is_left_out(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= ALONE
    }

    /// Somebody looks now; also where that fails, the next look is not before its time.
    pub(super) fn looks(&mut self, now: Instant) {
        self.looked = now;
    }

    /// The reader goes on at `next`, the topic ends before `end`. Whether messages were there at the last look, too, and none of them
    /// has come since.
    pub(super) fn looked(&mut self, next: i64, end: i64) -> bool {
        let stuck = next < end && self.waits_at == Some(next);
        self.waits_at = (next < end).then_some(next);
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_do_not_come_between_two_looks_are_noticed() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start);
        assert!(!vigil.is_long(start + QUIET / 2));
        assert!(vigil.is_long(start + QUIET));
        vigil.looks(start + QUIET);
        assert!(!vigil.is_long(start + QUIET));
        assert!(!vigil.looked(7, 7), "nothing is there");
        assert!(!vigil.looked(7, 9), "they may be on their way");
        assert!(vigil.looked(7, 9));
    }

    #[test]
    fn a_message_that_comes_ends_the_suspicion() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start);
        assert!(!vigil.looked(7, 9));
        vigil.heard(start + QUIET);
        assert!(!vigil.is_long(start + QUIET + QUIET / 2));
        assert!(!vigil.looked(8, 9));
    }

    #[test]
    fn who_is_without_the_topic_for_long_is_left_out() {
        let start = Instant::now();
        assert!(!Vigil::new(start).is_left_out(start + QUIET));
        let mut vigil = Vigil::new(start);
        vigil.looks(start + QUIET);
        assert!(vigil.is_left_out(start + ALONE), "looks alone do not put it off");
    }
}
