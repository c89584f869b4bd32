//! One connection: its socket, its idle clock, and the two ways of ending it.

use super::Stream;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// What the server asks of a connection, where 0 is nothing; higher ones outrank lower ones.
const DRAIN: u8 = 1;
const KILL: u8 = 2;

/// All connections of a listener. Idle ones are found by a sweep, because a timer per request would cost more than the
/// request's own book-keeping.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Sweeps so far: the clock of the idle rule.
    ticks: AtomicU64,
    table: Mutex<Table>,
    /// Told when a connection has ended.
    pub(super) ended: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Connection>>,
    draining: bool,
}

/// The server's view of a connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    wish: AtomicU8,
    /// Whether a request was ever read.
    used: AtomicBool,
    /// Whether a request is being handled, its body included.
    busy: AtomicBool,
    /// The tick of the last sign of life: a request, or a write that the client took.
    seen: AtomicU64,
    /// Whether the last write found the client's window shut.
    stuck: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Registers a connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Registered {
    connections: Arc<Connections>,
    id: u64,
    pub(super) connection: Arc<Connection>,
}

/// Marks a connection busy for as long as it lives.
#[derive(Debug)]
pub(super) struct Busy(Arc<Registered>);

/// The socket, reporting writes as signs of life. Reads are none: a head that dribbles in is what the idle rule is for.
pub(super) struct Io {
    inner: TokioIo<Box<dyn Stream>>,
    registered: Arc<Registered>,
}

impl Connections {
    pub(super) fn register(self: &Arc<Self>) -> Registered {
        let connection = Arc::new(Connection::default());
        connection
            .seen
            .store(self.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut table = self.lock();
        if table.draining {
            connection.wish.store(DRAIN, Ordering::Relaxed);
        }
        table.next += 1;
        let id = table.next;
        table.open.insert(id, connection.clone());
        Registered {
            connections: self.clone(),
            id,
            connection,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// One tick: ends the connections that have shown no life for `idle_ticks`.
    pub(super) fn sweep(&self, idle_ticks: u64) {
        let now = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        for connection in self.lock().open.values() {
            let idle = now.saturating_sub(connection.seen.load(Ordering::Relaxed));
            // A busy one is let be, unless it is busy waiting for a client that does not read.
            let held = connection.busy.load(Ordering::Relaxed) && !connection.stuck.load(Ordering::Relaxed);
            if idle > idle_ticks && !held {
                connection.wish(KILL);
            }
        }
    }

    /// Lets each connection finish its request and no more. One that has had none may still have its first.
    pub(super) fn drain(&self) {
        let mut table = self.lock();
        table.draining = true;
        let used = |connection: &&Arc<Connection>| connection.used.load(Ordering::Relaxed);
        table
            .open
            .values()
            .filter(used)
            .for_each(|connection| connection.wish(DRAIN));
    }

    /// Waits no more for first requests.
    pub(super) fn drain_unused(&self) {
        self.lock().open.values().for_each(|connection| connection.wish(DRAIN));
    }

    /// Cuts every connection.
    pub(super) fn kill(&self) {
        self.lock().open.values().for_each(|connection| connection.wish(KILL));
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no panic under this lock")
    }
}

impl Connection {
    pub(super) fn should_drain(&self) -> bool {
        self.wish.load(Ordering::Acquire) == DRAIN
    }

    pub(super) fn should_end(&self) -> bool {
        self.wish.load(Ordering::Acquire) == KILL
    }

    /// Remembers the task to wake; a task keeps its waker for life, so once is enough.
    pub(super) fn run_by(&self, waker: &Waker) {
        *self.waker.lock().expect("no panic under this lock") = Some(waker.clone());
    }

    fn wish(&self, wish: u8) {
        if self.wish.fetch_max(wish, Ordering::AcqRel) < wish {
            let waker = self.waker.lock().expect("no panic under this lock").clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Registered {
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.connection.busy.store(true, Ordering::Relaxed);
        // Under the lock, so that a drain sees it used or is seen here.
        if !self.connection.used.load(Ordering::Relaxed) {
            let table = self.connections.lock();
            self.connection.used.store(true, Ordering::Relaxed);
            if table.draining {
                self.connection.wish(DRAIN);
            }
        }
        Busy(self.clone())
    }

    /// Notes a sign of life.
    pub(super) fn seen(&self) {
        self.connection
            .seen
            .store(self.connections.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.id);
        self.connections.ended.notify_waiters();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.seen();
        self.0.connection.busy.store(false, Ordering::Relaxed);
    }
}

impl Io {
    pub(super) fn new(stream: Box<dyn Stream>, registered: Arc<Registered>) -> Self {
        Self {
            inner: TokioIo::new(stream),
            registered,
        }
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let connection = &self.registered.connection;
        match written.is_ready() {
            true => self.registered.seen(),
            // From here on the client's time runs.
            false if !connection.stuck.load(Ordering::Relaxed) => self.registered.seen(),
            false => {}
        }
        connection.stuck.store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(written)
    }
}
