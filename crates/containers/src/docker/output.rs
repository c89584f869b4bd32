//! Follows a container's log as the engine tells it, as long as the container lives, into a [`Splitter`].
//!
//! The engine cuts long lines into frames of 16 KB, each with a time before it, the same for all of a line; the splitter
//! joins them. What was read before comes again when a stream that broke is taken up again, and, from engines seen in
//! practice, when the log file was rotated. Within a stream times only grow, which tells the old from the new; while a
//! clock that was set back catches up, lines are lost.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bollard::{container::LogOutput, query_parameters::LogsOptions};
use futures_util::StreamExt;
use tokio::{sync::Notify, time::Instant};

use super::{
    container::{Ended, end_of},
    engine::Engine,
};
use crate::{LogLine, LogRequest, Logs, Stream, Until, splitter::Splitter};

/// Both streams of one container.
pub(super) struct Output {
    inner: Mutex<Inner>,
    /// Told when something came and when nothing more will.
    progress: Notify,
    /// Collectors take turns, first come first served, so that logs go to activations in order.
    turn: tokio::sync::Mutex<()>,
    /// How long nothing must have come for a log without an end mark to be complete.
    quiet: Duration,
}

struct Inner {
    splitter: Splitter,
    /// When something came last.
    touched: Instant,
    marks: [Mark; 2],
    /// Where the present reading of each stream is.
    places: [Place; 2],
    /// Runs that ended and whose log was not collected.
    uncollected: usize,
    /// When the last run ended.
    ran: Instant,
    ended: bool,
}

/// A position in a stream as the engine tells it.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// The time of the line.
    time_ns: u64,
    /// Bytes of the line that were told before.
    offset: usize,
}

/// How far a stream was read.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// The engine's time of the last frame.
    time_ns: u64,
    /// Bytes of its line that were taken in.
    taken: usize,
    /// More frames of the same line are to come.
    within_line: bool,
}

impl Inner {
    /// The time of what came last.
    fn time_ns(&self) -> u64 {
        self.marks[0].time_ns.max(self.marks[1].time_ns)
    }
}

impl Mark {
    /// The part of a frame that was not taken in before: a line without an end may be told again, and further.
    fn fresh(self, place: Place, text: &[u8]) -> &[u8] {
        if place.time_ns > self.time_ns {
            return text;
        }
        if place.time_ns < self.time_ns || !self.within_line {
            return &[];
        }
        let known = self.taken.saturating_sub(place.offset).min(text.len());
        &text[known..]
    }
}

/// Time before a broken stream is taken up again. The news that the container ended comes sooner.
const AGAIN: Duration = Duration::from_millis(200);

/// How many times as long as counts as silence a container may go on talking before the next run.
const LONGEST_QUIETS: u32 = 10;

impl Output {
    pub(super) fn new(sentinel: &str, capacity: usize, quiet: Duration) -> Arc<Output> {
        Arc::new(Output {
            inner: Mutex::new(Inner {
                splitter: Splitter::new(sentinel, capacity),
                touched: Instant::now(),
                marks: [Mark::default(); 2],
                places: [Place::default(); 2],
                uncollected: 0,
                ran: Instant::now(),
                ended: false,
            }),
            progress: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            quiet,
        })
    }

    /// Reads until the container has ended and all it said was read.
    pub(super) async fn follow(&self, engine: &Engine, name: &str, mut ended: Ended) {
        loop {
            let was_over = ended.borrow().is_some();
            self.follow_once(engine, name).await;
            // A stream that began earlier may have missed what came last: the rest of a line, or what followed a break.
            if was_over {
                break;
            }
            let _ = tokio::time::timeout(AGAIN, end_of(&mut ended)).await;
        }
        self.end();
    }

    async fn follow_once(&self, engine: &Engine, name: &str) {
        let Ok(api) = engine.api().await else { return };
        let since = {
            let mut inner = self.lock();
            inner.places = [Place::default(); 2];
            inner.marks.map(|mark| mark.time_ns / 1_000_000_000)
        };
        let options = LogsOptions {
            follow: true,
            stdout: true,
            stderr: true,
            timestamps: true,
            since: i32::try_from(since[0].min(since[1])).unwrap_or(0),
            tail: "all".to_owned(),
            ..Default::default()
        };
        let mut frames = api.logs(name, Some(options));
        while let Some(frame) = frames.next().await {
            match frame {
                Ok(LogOutput::StdOut { message }) => self.take_in(Stream::Stdout, &message),
                Ok(LogOutput::StdErr { message }) => self.take_in(Stream::Stderr, &message),
                // Only of containers with a terminal.
                Ok(LogOutput::StdIn { .. } | LogOutput::Console { .. }) => {}
                Err(error) => {
                    tracing::debug!(container = name, %error, "log stream broke");
                    return;
                }
            }
        }
    }

    fn take_in(&self, stream: Stream, frame: &[u8]) {
        let Some((time_ns, text)) = stamped(frame) else {
            tracing::warn!("a log frame of the engine has no time");
            return;
        };
        let mut inner = self.lock();
        let (mark, place) = (inner.marks[stream as usize], &mut inner.places[stream as usize]);
        if place.time_ns != time_ns {
            *place = Place { time_ns, offset: 0 };
        }
        let here = *place;
        place.offset += text.len();
        let fresh = mark.fresh(here, text);
        if fresh.is_empty() {
            return;
        }
        inner.splitter.feed(stream, fresh, time_ns);
        inner.marks[stream as usize] = Mark {
            time_ns,
            taken: here.offset + text.len(),
            within_line: !text.ends_with(b"\n"),
        };
        inner.touched = Instant::now();
        drop(inner);
        self.progress.notify_waiters();
    }

    /// Nothing more will come.
    fn end(&self) {
        self.lock().ended = true;
        self.progress.notify_waiters();
    }

    /// Waits until everything was read, at most so long.
    pub(super) async fn wait_for_end(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.wait_until(|inner| inner.ended)).await;
    }

    /// A run has ended, and left a log.
    pub(super) fn ran(&self) {
        let mut inner = self.lock();
        inner.uncollected += 1;
        inner.ran = Instant::now();
    }

    /// Draws a line under the log of the last run, for a container that does not: once nothing came for a while since its end,
    /// or its log was collected. A container that never falls silent has its line all the same, in the midst of what it says.
    pub(super) async fn settle(&self) {
        let settled = |inner: &Inner| inner.ended || inner.splitter.waiting() >= inner.uncollected;
        let began = self.lock().ran;
        let longest = self.quiet.saturating_mul(LONGEST_QUIETS);
        let _ = tokio::time::timeout(longest, self.wait_for_quiet(began, settled)).await;
        let mut inner = self.lock();
        let (uncollected, time_ns) = (inner.uncollected, inner.time_ns());
        inner.splitter.cut(uncollected, time_ns);
        drop(inner);
        self.progress.notify_waiters();
    }

    /// The log of the next activation; see [`Container::logs`](crate::Container::logs).
    pub(super) async fn collect(&self, request: LogRequest) -> Logs {
        let _turn = self.turn.lock().await;
        let complete = match request.until {
            Until::Sentinel => {
                let told = self.wait_until(|inner| inner.ended || inner.splitter.complete());
                let _ = tokio::time::timeout(request.wait, told).await;
                self.lock().splitter.complete()
            }
            Until::Drained => {
                let over = |inner: &Inner| inner.ended || inner.splitter.complete();
                let quiet = self.wait_for_quiet(Instant::now(), over);
                let _ = tokio::time::timeout(request.wait.max(self.quiet), quiet).await;
                true
            }
        };
        let mut inner = self.lock();
        inner.uncollected = inner.uncollected.saturating_sub(1);
        let time_ns = inner.time_ns();
        let mut logs = inner.splitter.take(request.limit_bytes, time_ns);
        logs.incomplete = !complete;
        drop(inner);
        self.progress.notify_waiters();
        logs
    }

    /// What the activation at work has printed; see [`Container::printed`](crate::Container::printed).
    pub(super) fn printed(&self, from: usize, limit_bytes: u64) -> Vec<LogLine> {
        // While a log is collected, or waits for that, what is there is an earlier activation's.
        let Ok(_turn) = self.turn.try_lock() else {
            return Vec::new();
        };
        let inner = self.lock();
        match inner.uncollected {
            0 => inner.splitter.peek(from, limit_bytes),
            _ => Vec::new(),
        }
    }

    async fn wait_until(&self, reached: impl Fn(&Inner) -> bool) {
        loop {
            let mut progress = pin!(self.progress.notified());
            progress.as_mut().enable();
            if reached(&self.lock()) {
                return;
            }
            progress.await;
        }
    }

    /// Waits until nothing came for as long as counts as silence, since then or later, or until it is over.
    async fn wait_for_quiet(&self, since: Instant, over: impl Fn(&Inner) -> bool) {
        loop {
            let (is_over, touched) = {
                let inner = self.lock();
                (over(&inner), inner.touched.max(since))
            };
            let until = touched + self.quiet;
            if is_over || Instant::now() >= until {
                return;
            }
            let _ = tokio::time::timeout_at(until, self.wait_until(&over)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while locked")
    }
}

/// Takes the time off the beginning of a frame.
fn stamped(frame: &[u8]) -> Option<(u64, &[u8])> {
    let space = memchr::memchr(b' ', frame)?;
    let time: jiff::Timestamp = std::str::from_utf8(&frame[..space]).ok()?.parse().ok()?;
    Some((u64::try_from(time.as_nanosecond()).ok()?, &frame[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Arc<Output> {
        Output::new("=END=", 10_000, Duration::from_millis(100))
    }

    fn feed(output: &Output, stream: Stream, nanoseconds: u32, text: &str) {
        let frame = format!("2026-01-02T03:04:05.{nanoseconds:09}Z {text}");
        output.take_in(stream, frame.as_bytes());
    }

    fn request(until: Until, wait_ms: u64) -> LogRequest {
        LogRequest {
            limit_bytes: 1_000,
            until,
            wait: Duration::from_millis(wait_ms),
        }
    }

    #[test]
    fn times_are_the_engines() {
        let (time_ns, text) = stamped(b"1970-01-01T00:00:01.000000002Z a b\n").unwrap();
        assert_eq!((time_ns, text), (1_000_000_002, &b"a b\n"[..]));
        assert_eq!(stamped(b"no time here"), None);
        assert_eq!(stamped(b""), None);
    }

    #[tokio::test]
    async fn frames_of_one_line_are_joined_and_told_only_once() {
        let output = output();
        feed(&output, Stream::Stdout, 1, "half ");
        feed(&output, Stream::Stdout, 1, "a line\n");
        feed(&output, Stream::Stdout, 3, "=END=\n");
        feed(&output, Stream::Stderr, 4, "=END=\n");
        // All of it comes again.
        feed(&output, Stream::Stdout, 1, "half ");
        feed(&output, Stream::Stdout, 1, "a line\n");
        feed(&output, Stream::Stdout, 3, "=END=\n");
        feed(&output, Stream::Stderr, 4, "=END=\n");
        let logs = output.collect(request(Until::Sentinel, 1_000)).await;
        assert_eq!(logs.lines.len(), 1);
        assert_eq!(logs.lines[0].text, "half a line");
        assert_eq!(logs.lines[0].time_ns % 1_000_000_000, 1);
        assert!(!logs.incomplete);
        assert!(output.collect(request(Until::Sentinel, 1)).await.incomplete);
    }

    #[tokio::test]
    async fn what_the_run_at_work_has_printed_can_be_seen() {
        let output = output();
        let texts = |from| {
            output
                .printed(from, 1_000)
                .into_iter()
                .map(|line| line.text)
                .collect::<Vec<_>>()
        };
        feed(&output, Stream::Stdout, 1, "one\n");
        feed(&output, Stream::Stdout, 2, "two\n");
        feed(&output, Stream::Stdout, 3, "half");
        assert_eq!(
            (texts(0), texts(1)),
            (vec!["one".to_owned(), "two".to_owned()], vec!["two".to_owned()])
        );
        output.ran();
        assert_eq!(texts(0), Vec::<String>::new(), "it has ended");
        output.collect(request(Until::Drained, 1_000)).await;
        feed(&output, Stream::Stdout, 4, "three\n");
        assert_eq!(texts(0), ["three"]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_told_once_and_goes_on() {
        let output = output();
        feed(&output, Stream::Stderr, 1, "half ");
        // The stream is read again from its beginning, now with more of the line.
        output.lock().places = [Place::default(); 2];
        feed(&output, Stream::Stderr, 1, "half ");
        feed(&output, Stream::Stderr, 1, "a line");
        output.lock().places = [Place::default(); 2];
        feed(&output, Stream::Stderr, 1, "half ");
        feed(&output, Stream::Stderr, 1, "a line");
        output.end();
        let logs = output.collect(request(Until::Drained, 1_000)).await;
        let texts: Vec<_> = logs.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["half a line"]);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_without_end_marks_do_not_share_a_log() {
        let output = output();
        output.settle().await;
        feed(&output, Stream::Stdout, 1, "one\n");
        output.ran();
        let late = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            feed(&output, Stream::Stderr, 2, "late one\n");
        };
        let first = output.collect(request(Until::Drained, 5_000));
        let second = async {
            let began = Instant::now();
            output.settle().await;
            assert_eq!(began.elapsed().as_millis(), 160, "it was quiet before");
            feed(&output, Stream::Stdout, 3, "two\n");
            output.ran();
            output.settle().await;
            feed(&output, Stream::Stdout, 4, "three\n");
            output.ran();
        };
        let (first, (), ()) = tokio::join!(first, late, second);
        let texts = |logs: Logs| logs.lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(first), ["one", "late one"]);
        // Nobody collected it before the next one ran.
        let second = output.collect(request(Until::Drained, 5_000)).await;
        assert_eq!(texts(second), ["two"]);
        let third = output.collect(request(Until::Drained, 5_000)).await;
        assert_eq!(texts(third), ["three"]);
        let began = Instant::now();
        output.settle().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "there is nothing to tell apart");
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_falls_silent_runs_again_all_the_same() {
        let output = output();
        output.ran();
        let talk = async {
            for nanoseconds in 1.. {
                feed(&output, Stream::Stdout, nanoseconds, "still here\n");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let began = Instant::now();
        tokio::select! {
            () = talk => {}
            () = output.settle() => {}
        }
        assert_eq!(began.elapsed().as_millis(), 1_000);
        assert_eq!(output.lock().splitter.waiting(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_without_an_end_mark_is_complete_once_nothing_comes() {
        let output = output();
        let began = Instant::now();
        let late = async {
            tokio::time::sleep(Duration::from_millis(90)).await;
            feed(&output, Stream::Stdout, 1, "late\n");
        };
        let (logs, ()) = tokio::join!(output.collect(request(Until::Drained, 5_000)), late);
        assert_eq!(logs.lines.len(), 1);
        assert_eq!(began.elapsed().as_millis(), 190);
        output.end();
        let began = Instant::now();
        assert!(!output.collect(request(Until::Drained, 5_000)).await.incomplete);
        assert!(output.collect(request(Until::Sentinel, 5_000)).await.incomplete);
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing can come any more");
    }
}
