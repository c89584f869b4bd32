//! The container's log: carries the output of the child to stdout and stderr and marks the end of each activation.
//!
//! The child writes into pipes of ours. While an activation is open their text is passed on as it comes; between
//! activations it is dropped. Closing an activation takes exactly what the pipes hold at that moment: the launcher has
//! written everything before its answer, so nothing of the activation is missing and nobody has to wait for more.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

use crate::lines::Lines;
use crate::settings::CLASSIC_SENTINEL;
use crate::sink::Sink;

const CHUNK: usize = 64 * 1024;

/// Both streams. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs {
    stdout: Arc<Mutex<Stream>>,
    stderr: Arc<Mutex<Stream>>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Stdout,
    Stderr,
}

type Source = Arc<AsyncFd<OwnedFd>>;

#[derive(Debug)]
struct Stream {
    sink: Sink,
    lines: Lines,
    end_mark: Arc<[u8]>,
    source: Option<Source>,
    /// Activations that are open; more than one only where a runtime serves several at a time.
    open: usize,
    buffer: Vec<u8>,
}

/// What one read from a pipe brought.
enum Transfer {
    Some(usize),
    Blocked,
    End,
}

impl Logs {
    /// Writes to this process' stdout and stderr. Must be called inside the runtime.
    pub fn to_standard(sentinel: &str) -> Self {
        let stream = |fd| {
            let forgeable = (sentinel == CLASSIC_SENTINEL).then_some(sentinel);
            Arc::new(Mutex::new(Stream {
                sink: Sink::standard(fd),
                lines: Lines::new(forgeable),
                end_mark: format!("{sentinel}\n").into_bytes().into(),
                source: None,
                open: 0,
                buffer: vec![0; CHUNK],
            }))
        };
        Logs {
            stdout: stream(1),
            stderr: stream(2),
        }
    }

    /// Takes over the reading ends of a new child's pipes. Those of an earlier child are closed.
    pub async fn attach(&self, stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) -> std::io::Result<()> {
        for (stream, fd) in [(&self.stdout, stdout), (&self.stderr, stderr)] {
            let Some(fd) = fd else { continue };
            let source = pollable(fd)?;
            stream.lock().await.source = Some(source.clone());
            tokio::spawn(pump(stream.clone(), source));
        }
        Ok(())
    }

    /// Begins an activation: what the child wrote since the last one belongs to nobody and is dropped.
    pub async fn open(&self) {
        for stream in [&self.stdout, &self.stderr] {
            let mut stream = stream.lock().await;
            if stream.open == 0 {
                stream.take_present().await;
                stream.lines.restart();
            }
            stream.open += 1;
        }
    }

    /// Ends an activation: everything written so far, then the end mark on a line of its own.
    pub async fn close(&self) {
        for stream in [&self.stdout, &self.stderr] {
            let mut stream = stream.lock().await;
            stream.take_present().await;
            stream.mark_end().await;
            stream.open = stream.open.saturating_sub(1);
        }
    }

    /// What the child has written so far is passed on (or dropped between activations).
    pub async fn settle(&self) {
        for stream in [&self.stdout, &self.stderr] {
            stream.lock().await.take_present().await;
        }
    }

    /// Text of the child that came another way, as part of the open activation.
    pub async fn write(&self, side: Side, text: &[u8]) {
        let mut stream = self.side(side).lock().await;
        let passed = stream.lines.pass(text).into_owned();
        stream.sink.write(&passed).await;
    }

    /// A line of the proxy's own, after what the child has written.
    pub async fn note(&self, side: Side, line: &str) {
        let mut stream = self.side(side).lock().await;
        stream.take_present().await;
        if stream.lines.finish() {
            stream.sink.write(b"\n").await;
        }
        let line = format!("{line}\n");
        stream.sink.write(line.as_bytes()).await;
    }

    fn side(&self, side: Side) -> &Arc<Mutex<Stream>> {
        match side {
            Side::Stdout => &self.stdout,
            Side::Stderr => &self.stderr,
        }
    }
}

impl Stream {
    /// Exactly what the pipe holds now: an endless writer cannot keep an activation from ending.
    async fn take_present(&mut self) {
        let Some(source) = self.source.clone() else { return };
        let mut left = present(&source);
        while left > 0 {
            match self.transfer(&source, left).await {
                Transfer::Some(count) => left -= count,
                Transfer::Blocked | Transfer::End => return,
            }
        }
    }

    async fn transfer(&mut self, source: &AsyncFd<OwnedFd>, limit: usize) -> Transfer {
        let limit = limit.min(self.buffer.len());
        match nix::unistd::read(source.get_ref(), &mut self.buffer[..limit]) {
            Ok(0) => Transfer::End,
            Ok(count) => {
                if self.open > 0 {
                    let text = self.lines.pass(&self.buffer[..count]);
                    self.sink.write(&text).await;
                }
                Transfer::Some(count)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Transfer::Blocked,
            Err(_) => Transfer::End,
        }
    }

    async fn mark_end(&mut self) {
        let mark = self.end_mark.clone();
        if self.lines.finish() {
            self.sink.write(&[b"\n", &mark[..]].concat()).await;
        } else {
            self.sink.write(&mark).await;
        }
    }
}

/// Passes on what the child writes until the pipe ends or another child's takes its place.
async fn pump(stream: Arc<Mutex<Stream>>, source: Source) {
    loop {
        let Ok(mut ready) = source.readable().await else { return };
        let mut stream = stream.lock().await;
        if !stream
            .source
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, &source))
        {
            return;
        }
        match stream.transfer(&source, usize::MAX).await {
            Transfer::Some(_) => {}
            Transfer::Blocked => ready.clear_ready(),
            Transfer::End => {
                stream.source = None;
                return;
            }
        }
    }
}

/// A pipe's reading end, not blocking, registered with the reactor.
pub fn pollable(fd: OwnedFd) -> std::io::Result<Source> {
    let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    // SAFETY: the descriptor is owned by the registration and is closed only after it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(Arc::new(registered?))
}

/// The number of bytes that can be read at once.
fn present(source: &AsyncFd<OwnedFd>) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD stores one int through the pointer, which is valid for the call.
    let result = unsafe { libc::ioctl(source.as_raw_fd(), libc::FIONREAD, &mut count) };
    if result == 0 {
        usize::try_from(count).unwrap_or(0)
    } else {
        0
    }
}
