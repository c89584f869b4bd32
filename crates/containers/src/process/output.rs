//! Reads a sandbox's stdout and stderr as long as it lives, so that a flood never blocks it, into a [`Splitter`].

use std::{
    cell::RefCell,
    io,
    os::fd::{AsRawFd, OwnedFd},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::unix::pipe::Receiver,
    sync::Notify,
};

use crate::{LogLine, LogRequest, Logs, Stream, Until, splitter::Splitter};

/// Both streams of one sandbox.
pub(super) struct Output {
    inner: Mutex<Inner>,
    /// Told when a segment was closed or a stream ended.
    progress: Notify,
    /// Collectors take turns, first come first served, so that logs go to activations in order.
    turn: tokio::sync::Mutex<()>,
}

struct Inner {
    /// `None` once at its end.
    pipes: [Option<Receiver>; 2],
    splitter: Splitter,
}

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Reads in a row before others get their turn on the thread.
const READS: usize = 16;

thread_local! {
    /// One buffer a thread, not one a container.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

impl Output {
    /// Starts reading. The pipes must be non-blocking.
    pub(super) fn start(stdout: OwnedFd, stderr: OwnedFd, sentinel: &str, capacity: usize) -> io::Result<Arc<Output>> {
        let pipes = [
            Some(Receiver::from_owned_fd(stdout)?),
            Some(Receiver::from_owned_fd(stderr)?),
        ];
        let inner = Mutex::new(Inner {
            pipes,
            splitter: Splitter::new(sentinel, capacity),
        });
        let output = Arc::new(Output {
            inner,
            progress: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        });
        let reader = output.clone();
        tokio::spawn(std::future::poll_fn(move |cx| reader.poll_read(cx)));
        Ok(output)
    }

    /// The log of the next activation; see [`Container::logs`](crate::Container::logs).
    pub(super) async fn collect(&self, request: LogRequest) -> Logs {
        let _turn = self.turn.lock().await;
        if request.limit_bytes == 0 {
            // Nobody reads it: what the reading task found goes, and what it finds later goes next time.
            self.lock().splitter.discard();
            return Logs::default();
        }
        // What was written before this call is in the pipe, though the reactor may not know it yet.
        self.read_now();
        let complete = match request.until {
            Until::Sentinel => {
                let _ = tokio::time::timeout(request.wait, self.wait_for_sentinels()).await;
                self.lock().splitter.complete()
            }
            Until::Drained => true,
        };
        let mut logs = self.lock().splitter.take(request.limit_bytes, now_ns());
        logs.incomplete = !complete;
        logs
    }

    /// What the activation at work has printed; see [`Container::printed`](crate::Container::printed).
    pub(super) fn printed(&self, from: usize, limit_bytes: u64) -> Vec<LogLine> {
        // While a log is collected, what is there may be an earlier activation's.
        let Ok(_turn) = self.turn.try_lock() else {
            return Vec::new();
        };
        self.read_now();
        self.lock().splitter.peek(from, limit_bytes)
    }

    async fn wait_for_sentinels(&self) {
        loop {
            let mut progress = pin!(self.progress.notified());
            progress.as_mut().enable();
            {
                let inner = self.lock();
                if inner.splitter.complete() || inner.pipes.iter().all(Option::is_none) {
                    return;
                }
            }
            progress.await;
        }
    }

    /// Reads until nothing is left for now; ready when both streams have ended.
    fn poll_read(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        let before = inner.progress();
        let mut busy = false;
        for stream in STREAMS {
            busy |= inner.poll_stream(stream, cx);
        }
        let ended = inner.pipes.iter().all(Option::is_none);
        if inner.progress() != before {
            self.progress.notify_waiters();
        }
        drop(inner);
        match (ended, busy) {
            (true, _) => Poll::Ready(()),
            (false, true) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (false, false) => Poll::Pending,
        }
    }

    fn read_now(&self) {
        let mut inner = self.lock();
        for stream in STREAMS {
            inner.read_now(stream);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while locked")
    }
}

impl Inner {
    fn progress(&self) -> (bool, bool) {
        (self.splitter.complete(), self.pipes.iter().all(Option::is_none))
    }

    /// True when there may be more right now.
    fn poll_stream(&mut self, stream: Stream, cx: &mut Context<'_>) -> bool {
        let Inner { pipes, splitter } = self;
        let slot = &mut pipes[stream as usize];
        for _ in 0..READS {
            let Some(pipe) = slot else { return false };
            let ended = BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                let result = Pin::new(pipe).poll_read(cx, &mut buffer);
                if !buffer.filled().is_empty() {
                    splitter.feed(stream, buffer.filled(), now_ns());
                }
                result.map(|result| result.is_err() || buffer.filled().is_empty())
            });
            match ended {
                Poll::Pending => return false,
                Poll::Ready(true) => *slot = None,
                Poll::Ready(false) => {}
            }
        }
        true
    }

    /// Reads past the reactor, which learns of it at its next attempt.
    fn read_now(&mut self, stream: Stream) {
        let Inner { pipes, splitter } = self;
        let slot = &mut pipes[stream as usize];
        for _ in 0..READS {
            let Some(pipe) = slot else { return };
            let count = BUFFER.with_borrow_mut(|buffer| {
                // SAFETY: the buffer is valid for its length, the descriptor open and non-blocking.
                let count = unsafe { libc::read(pipe.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
                if count > 0 {
                    splitter.feed(stream, &buffer[..count as usize], now_ns());
                }
                count
            });
            match count {
                0 => *slot = None,
                // The end of what there is for now, or an error, which the reading task will meet too.
                ..0 => return,
                // A pipe fills the buffer unless it runs empty.
                1.. if (count as usize) < CHUNK => return,
                1.. => {}
            }
        }
    }
}

fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
