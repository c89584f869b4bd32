//! Which messages of a log are finished: the pure half of committing by hand.
//!
//! Kafka remembers one number per group, the place to go on from. Activations end in any order, so the number alone would
//! run again whatever had ended above it. What is known beyond the number travels as the commit's metadata: the finished
//! messages above it, how far messages were handed out, and whether the reader left in order. It is text, for people who look
//! at a group with Kafka's own tools: `1 left seen=17 done=12-14,16`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// Most bytes of metadata; Kafka's default limit is 4096. What does not fit is delivered once more after a restart.
const METADATA: usize = 4000;

/// Progress of one reader on one log.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Messages that were fetched, from the oldest one that is not finished.
    open: VecDeque<Fetched>,
    /// The offset after the newest message fetched.
    next: i64,
    /// The offset after the newest message handed to a consumer.
    seen: i64,
}

#[derive(Debug)]
struct Fetched {
    offset: i64,
    finished: bool,
}

/// What a commit says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Everything below is finished.
    pub offset: i64,
    /// Finished messages at and above `offset`, in order.
    pub done: Vec<RangeInclusive<i64>>,
    /// Messages at and above this were never handed to a consumer.
    pub seen: i64,
    /// Whether the reader left in order, so that `seen` is exact.
    pub left: bool,
}

impl Progress {
    /// A reader that starts at `offset`.
    pub fn at(offset: i64, seen: i64) -> Self {
        Self {
            open: VecDeque::new(),
            next: offset,
            seen,
        }
    }

    /// Takes note of a message. `finished`: an earlier reader has ended it.
    pub fn fetched(&mut self, offset: i64, finished: bool) {
        self.next = offset + 1;
        self.open.push_back(Fetched { offset, finished });
        self.settle();
    }

    /// A consumer has a message in its hands.
    pub fn handed_out(&mut self, offset: i64) {
        self.seen = self.seen.max(offset + 1);
    }

    /// A consumer has finished a message. Noting it twice, or one that is not ours, changes nothing.
    pub fn finish(&mut self, offset: i64) {
        if let Ok(index) = self.open.binary_search_by_key(&offset, |fetched| fetched.offset) {
            self.open[index].finished = true;
            self.settle();
        }
    }

    /// The offset after the newest message fetched.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// What to commit now.
    pub fn place(&self, left: bool) -> Place {
        let mut done: Vec<RangeInclusive<i64>> = Vec::new();
        for fetched in self.open.iter().filter(|fetched| fetched.finished) {
            match done.last_mut() {
                Some(range) if range.end() + 1 == fetched.offset => *range = *range.start()..=fetched.offset,
                Some(_) | None => done.push(fetched.offset..=fetched.offset),
            }
        }
        Place {
            offset: self.open.front().map_or(self.next, |fetched| fetched.offset),
            done,
            seen: self.seen,
            left,
        }
    }

    fn settle(&mut self) {
        while self.open.front().is_some_and(|fetched| fetched.finished) {
            self.open.pop_front();
        }
    }
}

impl Place {
    /// Where nobody has read before.
    pub fn new(offset: i64) -> Place {
        Place {
            offset,
            seen: offset,
            ..Place::default()
        }
    }

    /// Whether an earlier reader has finished the message.
    pub fn finished(&self, offset: i64) -> bool {
        let index = self.done.partition_point(|range| *range.end() < offset);
        self.done.get(index).is_some_and(|range| range.contains(&offset))
    }

    /// How many messages from `start` to before `end` no earlier reader has finished.
    pub fn unfinished(&self, start: i64, end: i64) -> u64 {
        let within = |from: i64, to: i64| (end.min(to) - start.max(from)).max(0);
        let done: i64 = self.done.iter().map(|done| within(*done.start(), done.end() + 1)).sum();
        u64::try_from(within(i64::MIN, i64::MAX) - done).unwrap_or(0)
    }

    /// The commit's metadata.
    pub fn metadata(&self) -> String {
        let mut text = format!(
            "1 {} seen={} done=",
            if self.left { "left" } else { "reading" },
            self.seen
        );
        for (index, range) in self.done.iter().enumerate() {
            let length = text.len();
            let comma = if index == 0 { "" } else { "," };
            write!(text, "{comma}{}", range.start()).expect("text takes anything");
            if range.start() != range.end() {
                write!(text, "-{}", range.end()).expect("text takes anything");
            }
            if text.len() > METADATA {
                text.truncate(length);
                break;
            }
        }
        text
    }

    /// What an earlier reader committed. `end`: where the log ends now, the bound of what a reader that did not leave in
    /// order may have handed out. Metadata of another program says nothing beyond the offset.
    pub fn read(offset: i64, metadata: &str, end: i64) -> Self {
        let mut place = Self {
            offset,
            done: Vec::new(),
            seen: end,
            left: false,
        };
        let mut words = metadata.split(' ');
        if words.next() != Some("1") {
            return place;
        }
        place.left = words.next() == Some("left");
        for word in words {
            match word.split_once('=') {
                Some(("seen", seen)) if place.left => place.seen = seen.parse().unwrap_or(end),
                Some(("done", done)) => place.done = done.split(',').filter_map(range).collect(),
                Some(_) | None => {}
            }
        }
        place
    }
}

fn range(text: &str) -> Option<RangeInclusive<i64>> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    Some(start.parse().ok()?..=end.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(offsets: RangeInclusive<i64>) -> Progress {
        let mut progress = Progress::at(*offsets.start(), 0);
        offsets.for_each(|offset| progress.fetched(offset, false));
        progress
    }

    #[test]
    fn the_offset_follows_the_oldest_unfinished() {
        let mut progress = progress(10..=15);
        assert_eq!(progress.place(false).offset, 10);
        progress.finish(11);
        progress.finish(12);
        progress.finish(14);
        let place = progress.place(false);
        assert_eq!((place.offset, place.done), (10, vec![11..=12, 14..=14]));
        progress.finish(10);
        let place = progress.place(false);
        assert_eq!((place.offset, place.done), (13, vec![14..=14]));
        progress.finish(13);
        progress.finish(15);
        assert_eq!(progress.place(false).offset, 16);
    }

    #[test]
    fn offsets_that_the_log_leaves_out_do_not_hold_it_up() {
        let mut progress = Progress::at(3, 0);
        progress.fetched(7, false);
        progress.fetched(12, false);
        progress.finish(7);
        progress.finish(7);
        progress.finish(99);
        assert_eq!(progress.place(false).offset, 12);
        assert_eq!(progress.next(), 13);
    }

    #[test]
    fn metadata_says_what_was_done_and_seen() {
        let mut progress = progress(0..=20);
        for offset in [3, 4, 5, 9] {
            progress.handed_out(offset);
            progress.finish(offset);
        }
        let place = progress.place(true);
        assert_eq!(place.metadata(), "1 left seen=10 done=3-5,9");
        let read = Place::read(0, &place.metadata(), 21);
        assert_eq!(read, place);
        assert!(read.finished(4) && read.finished(9) && !read.finished(6) && !read.finished(10));
    }

    #[test]
    fn a_reader_that_did_not_leave_may_have_handed_out_everything() {
        let place = Place::read(5, "1 reading seen=7 done=6", 30);
        assert_eq!((place.seen, place.finished(6)), (30, true));
        let foreign = Place::read(5, "somebody else's", 30);
        assert_eq!((foreign.seen, foreign.done.len()), (30, 0));
    }

    #[test]
    fn what_is_gone_was_lost_where_nobody_had_finished_it() {
        let place = Place::read(5, "1 left seen=20 done=7-9,12,30-40", 50);
        assert_eq!(place.unfinished(5, 5), 0);
        assert_eq!(place.unfinished(5, 3), 0, "nothing is gone");
        assert_eq!(place.unfinished(5, 7), 2);
        assert_eq!(place.unfinished(5, 9), 2);
        assert_eq!(place.unfinished(8, 14), 3);
        assert_eq!(place.unfinished(7, 10), 0);
    }

    #[test]
    fn metadata_is_bounded_and_what_it_leaves_out_is_unfinished() {
        let mut progress = progress(0..=9999);
        (1..=9999).step_by(2).for_each(|offset| progress.finish(offset));
        let text = progress.place(false).metadata();
        assert!(text.len() <= METADATA, "{}", text.len());
        let read = Place::read(0, &text, 10_000);
        assert!(read.finished(1) && !read.finished(9999));
        assert!(
            read.done
                .iter()
                .all(|range| range.start() == range.end() && range.start() % 2 == 1)
        );
    }
}
