//! Turns the bytes of a container's two streams into the logs of single activations. Pure: no clock, no I/O.
//!
//! Each stream is a row of segments, one per activation, each closed by a sentinel line. The log of an activation is the
//! oldest segment of both streams together.

use std::collections::VecDeque;

use crate::{LogLine, Logs, Stream};

/// What one line costs in memory beyond its text, so that a flood of empty lines is bounded too.
const LINE_OVERHEAD: usize = 64;

/// Longest piece of an unterminated line that is held; more is cut off.
const LONGEST_LINE: usize = 1 << 20;

/// Most closed segments of one stream that wait to be taken.
const MOST_WAITING: usize = 4096;

/// Both streams of a container.
pub(crate) struct Splitter {
    sentinel: Vec<u8>,
    /// Most memory held in all segments not yet taken.
    capacity: usize,
    held: usize,
    rows: [Row; 2],
}

#[derive(Default)]
struct Row {
    closed: VecDeque<Segment>,
    open: Segment,
    /// The beginning of a line whose newline has not come.
    partial: Vec<u8>,
    /// The unterminated line was longer than is held.
    cut: bool,
}

#[derive(Default)]
struct Segment {
    lines: Vec<LogLine>,
    truncated: bool,
}

impl Splitter {
    /// `capacity` bounds the memory of what is waiting to be taken.
    pub(crate) fn new(sentinel: impl Into<Vec<u8>>, capacity: usize) -> Self {
        Splitter {
            sentinel: sentinel.into(),
            capacity,
            held: 0,
            rows: Default::default(),
        }
    }

    /// Takes in what was read from a stream at this time.
    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], time_ns: u64) {
        loop {
            bytes = self.skim(stream, bytes);
            let Some(end) = memchr::memchr(b'\n', bytes) else { break };
            let (piece, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            let row = &mut self.rows[index(stream)];
            if row.partial.is_empty() {
                self.line(stream, piece, time_ns);
            } else {
                let mut line = std::mem::take(&mut row.partial);
                row.cut |= !append(&mut line, piece);
                self.line(stream, &line, time_ns);
                line.clear();
                self.rows[index(stream)].partial = if line.capacity() <= 4096 { line } else { Vec::new() };
            }
        }
        let row = &mut self.rows[index(stream)];
        row.cut |= !append(&mut row.partial, bytes);
    }

    /// What is left to look at. Once the bound struck, only the sentinel matters, and whole lines before the one that may hold it
    /// go at once: a flood of tiny lines, each cut off and thrown away, would take the thread from everybody else.
    fn skim<'a>(&self, stream: Stream, bytes: &'a [u8]) -> &'a [u8] {
        let row = &self.rows[index(stream)];
        if !row.open.truncated || !row.partial.is_empty() {
            return bytes;
        }
        let until = memchr::memmem::find(bytes, &self.sentinel).unwrap_or(bytes.len());
        let line = memchr::memrchr(b'\n', &bytes[..until]).map_or(0, |newline| newline + 1);
        &bytes[line..]
    }

    /// Whether both streams have a closed segment waiting.
    pub(crate) fn complete(&self) -> bool {
        self.rows.iter().all(|row| !row.closed.is_empty())
    }

    /// How many activations' logs are closed on both streams and wait to be taken.
    #[cfg(any(test, feature = "docker"))]
    pub(crate) fn waiting(&self) -> usize {
        self.rows.iter().map(|row| row.closed.len()).min().unwrap_or(0)
    }

    /// Closes what came so far, an unterminated line included, as a sentinel would, on each stream where fewer logs wait.
    #[cfg(any(test, feature = "docker"))]
    pub(crate) fn cut(&mut self, waiting: usize, time_ns: u64) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.rows[index(stream)].closed.len() < waiting {
                self.end_line(stream, time_ns);
            }
            // The sentinel may have been that line.
            while self.rows[index(stream)].closed.len() < waiting.min(MOST_WAITING) {
                self.close(stream);
            }
        }
    }

    /// The oldest activation's log, cut at this many bytes of text. A stream without a closed segment gives what it has,
    /// an unterminated line included; `incomplete` stays for the caller to say.
    pub(crate) fn take(&mut self, limit_bytes: u64, time_ns: u64) -> Logs {
        let [out, err] = [Stream::Stdout, Stream::Stderr].map(|stream| self.take_segment(stream, time_ns));
        let truncated = out.truncated || err.truncated;
        let mut lines = out.lines;
        lines.extend(err.lines);
        self.held -= lines.iter().map(cost).sum::<usize>();
        lines.sort_by_key(|line| line.time_ns);
        let mut logs = Logs {
            lines,
            truncated,
            incomplete: false,
        };
        logs.truncate(limit_bytes);
        logs
    }

    /// A copy of what the activation at work has printed so far, from this line on, as [`take`](Splitter::take) will give it;
    /// nothing while an earlier activation's log is still to be taken.
    pub(crate) fn peek(&self, from: usize, limit_bytes: u64) -> Vec<LogLine> {
        if self.rows.iter().any(|row| !row.closed.is_empty()) {
            return Vec::new();
        }
        let mut lines: Vec<&LogLine> = self.rows.iter().flat_map(|row| &row.open.lines).collect();
        lines.sort_by_key(|line| line.time_ns);
        let mut room = limit_bytes;
        let fits = |line: &&LogLine| match room.checked_sub(line.text.len() as u64) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        lines.into_iter().take_while(fits).skip(from).cloned().collect()
    }

    /// Throws away every line there is. The sentinels still to come keep their meaning, as all segments are equally empty.
    pub(crate) fn discard(&mut self) {
        for row in &mut self.rows {
            row.closed.clear();
            row.open = Segment::default();
        }
        self.held = 0;
    }

    fn take_segment(&mut self, stream: Stream, time_ns: u64) -> Segment {
        let row = &mut self.rows[index(stream)];
        if let Some(segment) = row.closed.pop_front() {
            return segment;
        }
        self.end_line(stream, time_ns);
        let row = &mut self.rows[index(stream)];
        // The sentinel may have been that line.
        row.closed.pop_front().unwrap_or_else(|| std::mem::take(&mut row.open))
    }

    /// Takes a line whose newline did not come for whole.
    fn end_line(&mut self, stream: Stream, time_ns: u64) {
        let partial = std::mem::take(&mut self.rows[index(stream)].partial);
        if !partial.is_empty() {
            self.line(stream, &partial, time_ns);
        }
    }

    fn line(&mut self, stream: Stream, line: &[u8], time_ns: u64) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.strip_suffix(self.sentinel.as_slice()) {
            Some([]) => self.close(stream),
            // A last line without its newline has the sentinel glued to it.
            Some(text) => {
                self.keep(stream, text, time_ns);
                self.close(stream);
            }
            None => self.keep(stream, line, time_ns),
        }
    }

    fn keep(&mut self, stream: Stream, text: &[u8], time_ns: u64) {
        let row = &mut self.rows[index(stream)];
        row.open.truncated |= std::mem::take(&mut row.cut);
        // Once a line was dropped the rest is too: a log with holes would mislead.
        if row.open.truncated || self.held + text.len() + LINE_OVERHEAD > self.capacity {
            row.open.truncated = true;
            return;
        }
        let line = LogLine {
            time_ns,
            stream,
            text: String::from_utf8_lossy(text).into_owned(),
        };
        self.held += cost(&line);
        row.open.lines.push(line);
    }

    fn close(&mut self, stream: Stream) {
        let row = &mut self.rows[index(stream)];
        let segment = std::mem::take(&mut row.open);
        // More than that are waiting only when nobody takes them and somebody prints sentinels for fun.
        if row.closed.len() < MOST_WAITING {
            row.closed.push_back(segment);
        } else {
            self.held -= segment.lines.iter().map(cost).sum::<usize>();
        }
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

fn cost(line: &LogLine) -> usize {
    line.text.len() + LINE_OVERHEAD
}

/// Appends as far as a line may grow; false when something was left off.
fn append(line: &mut Vec<u8>, piece: &[u8]) -> bool {
    let room = LONGEST_LINE.saturating_sub(line.len());
    line.extend_from_slice(&piece[..piece.len().min(room)]);
    piece.len() <= room
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = u64::MAX;

    fn texts(logs: &Logs) -> Vec<&str> {
        logs.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn activations_are_told_apart_however_the_bytes_are_cut() {
        let out = b"one\ntwo\n=END=\nthree\n=END=\n";
        for cut in 0..out.len() {
            let mut splitter = Splitter::new("=END=", 10_000);
            splitter.feed(Stream::Stdout, &out[..cut], 1);
            splitter.feed(Stream::Stdout, &out[cut..], 1);
            splitter.feed(Stream::Stderr, b"=END=\nerr\n=END=\n", 2);
            assert_eq!(texts(&splitter.take(ALL, 3)), ["one", "two"], "cut at {cut}");
            assert_eq!(texts(&splitter.take(ALL, 3)), ["three", "err"], "cut at {cut}");
            assert!(!splitter.complete());
        }
    }

    #[test]
    fn what_is_seen_early_is_what_is_taken_later() {
        let mut splitter = Splitter::new("=END=", 10_000);
        splitter.feed(Stream::Stderr, b"one\n", 1);
        splitter.feed(Stream::Stdout, b"two\nthr", 2);
        let seen = |splitter: &Splitter, from, limit| -> Vec<String> {
            splitter.peek(from, limit).into_iter().map(|line| line.text).collect()
        };
        assert_eq!(seen(&splitter, 0, ALL), ["one", "two"]);
        assert_eq!(seen(&splitter, 1, ALL), ["two"]);
        assert_eq!(seen(&splitter, 0, 5), ["one"]);
        splitter.feed(Stream::Stdout, b"ee\n=END=\nnext\n", 3);
        assert_eq!(
            seen(&splitter, 0, ALL),
            [""; 0],
            "the next activation's lines are not this one's"
        );
        splitter.feed(Stream::Stderr, b"=END=\n", 4);
        assert_eq!(texts(&splitter.take(ALL, 5)), ["one", "two", "three"]);
        assert_eq!(seen(&splitter, 0, ALL), ["next"]);
    }

    #[test]
    fn a_sentinel_glued_to_an_unterminated_line_ends_it() {
        let mut splitter = Splitter::new("=END=", 10_000);
        splitter.feed(Stream::Stdout, b"half=END=\nnext\n", 1);
        splitter.feed(Stream::Stderr, b"=END=\r\n", 1);
        assert!(splitter.complete());
        assert_eq!(texts(&splitter.take(ALL, 2)), ["half"]);
        assert_eq!(texts(&splitter.take(ALL, 2)), ["next"]);
    }

    #[test]
    fn a_cut_ends_what_has_no_sentinels() {
        let mut splitter = Splitter::new("=END=", 10_000);
        splitter.feed(Stream::Stdout, b"one\nhalf", 1);
        splitter.cut(1, 2);
        splitter.cut(1, 2);
        splitter.feed(Stream::Stdout, b"two\n", 3);
        splitter.feed(Stream::Stderr, b"err\n", 3);
        splitter.cut(2, 4);
        assert_eq!(splitter.waiting(), 2);
        assert_eq!(texts(&splitter.take(ALL, 5)), ["one", "half"]);
        assert_eq!(texts(&splitter.take(ALL, 5)), ["two", "err"]);
        assert_eq!(splitter.held, 0);
    }

    #[test]
    fn the_known_sentinel_is_text_where_a_secret_one_is_used() {
        let mut splitter = Splitter::new("secret", 10_000);
        splitter.feed(Stream::Stdout, format!("{}\nsecret\n", crate::SENTINEL).as_bytes(), 1);
        splitter.feed(Stream::Stderr, b"secret\n", 1);
        assert_eq!(texts(&splitter.take(ALL, 2)), [crate::SENTINEL]);
    }

    #[test]
    fn a_limit_keeps_whole_lines() {
        let mut splitter = Splitter::new("=END=", 10_000);
        splitter.feed(Stream::Stdout, b"12345\n67890\n=END=\n", 1);
        splitter.feed(Stream::Stderr, b"=END=\n", 1);
        let logs = splitter.take(9, 2);
        assert_eq!((texts(&logs), logs.truncated), (vec!["12345"], true));
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let mut splitter = Splitter::new("=END=", 1_000);
        for _ in 0..3 {
            for _ in 0..100_000 {
                splitter.feed(Stream::Stdout, b"\n", 1);
            }
            splitter.feed(Stream::Stdout, b"=END=\n", 1);
            splitter.feed(Stream::Stderr, b"=END=\n", 1);
            let logs = splitter.take(ALL, 2);
            assert_eq!(logs.lines.len(), 1_000 / LINE_OVERHEAD);
            assert!(logs.truncated);
            assert_eq!(splitter.held, 0);
        }
    }

    #[test]
    fn behind_the_bound_the_sentinel_is_found_however_the_bytes_are_cut() {
        let flood = b"dropped\n\n=END= not yet\n=EN\ndropped\nlast=END=\r\nnext\n=END=\n";
        for cut in 0..flood.len() {
            let mut splitter = Splitter::new("=END=", 2 * (LINE_OVERHEAD + 4));
            splitter.feed(Stream::Stderr, b"=END=\n=END=\n", 1);
            splitter.feed(Stream::Stdout, b"kept\nkept\ndropped\n", 1);
            splitter.feed(Stream::Stdout, &flood[..cut], 1);
            splitter.feed(Stream::Stdout, &flood[cut..], 1);
            let logs = splitter.take(ALL, 2);
            assert_eq!(
                (texts(&logs), logs.truncated),
                (vec!["kept", "kept"], true),
                "cut at {cut}"
            );
            // The bound was still full when this came, so its text is gone too; where it ends is not.
            assert!(splitter.complete(), "cut at {cut}");
            assert!(splitter.take(ALL, 2).truncated, "cut at {cut}");
            assert!(!splitter.complete(), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_discarded_holds_no_memory_and_is_nobody_elses() {
        let mut splitter = Splitter::new("=END=", 10_000);
        splitter.feed(Stream::Stdout, b"one\n=END=\ntwo\nthr", 1);
        splitter.discard();
        assert_eq!(splitter.held, 0);
        splitter.feed(Stream::Stdout, b"ee\n=END=\n", 2);
        splitter.feed(Stream::Stderr, b"=END=\n", 2);
        assert_eq!(texts(&splitter.take(ALL, 3)), ["three"]);
    }

    #[test]
    fn an_endless_line_is_cut_and_its_sentinel_still_found() {
        let mut splitter = Splitter::new("=END=", 4 << 20);
        for _ in 0..64 {
            splitter.feed(Stream::Stdout, &[b'x'; 65_536], 1);
        }
        assert!(splitter.rows[0].partial.len() <= LONGEST_LINE);
        splitter.feed(Stream::Stdout, b"\n=END=\n", 1);
        splitter.feed(Stream::Stderr, b"=END=\n", 1);
        assert!(splitter.complete());
        assert!(splitter.take(ALL, 2).truncated);
    }
}
