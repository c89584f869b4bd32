//! Activation records on their way to the store: in groups, behind the reply.
//!
//! **Invariant (P1 of `docs/specification.md`).** A bus delivery is committed only after the record of its activation is
//! durable. While the store is away records are kept and offered again; the queue is bounded in number and bytes, so that the invoker then takes no more
//! work instead of losing any. A record that the store cannot take as it is, is replaced by one that says so.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Holding;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use wsk_bus::{Delivery, Key};
use wsk_entities::Activation;
use wsk_planted::{Bug, planted};
use wsk_service::clock;
use wsk_service::telemetry::trace;
use wsk_store::{ActivationStore, Error, stand_in};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::traces::Trace;

/// Accepted activations that are neither recorded nor handed back.
#[derive(Debug, Default)]
pub(crate) struct Open {
    count: AtomicUsize,
    none: Notify,
    /// Which they are, by the keys of their messages, and who wants to know how each ends: hardly ever anybody.
    held: Mutex<HashMap<u128, Vec<oneshot::Sender<End>>>>,
}

/// How an activation left the hands it was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// For good: it has its record, or needs none.
    Committed,
    /// For good, to another: a copy that says so is on the bus, perhaps on its way back to here.
    HandedOn,
    /// It goes back to the bus.
    HandedBack,
}

/// A delivery in this invoker's hands. Dropping it uncommitted hands it back.
#[derive(Debug)]
pub(crate) struct Ticket {
    delivery: Option<Delivery>,
    open: Arc<Open>,
    /// Whether no other ticket has the same activation.
    alone: bool,
    /// When it came, in milliseconds since the epoch, where that is traced.
    taken: Option<NonZeroU64>,
    trace: Trace,
}

/// Takes records for the writer.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    queue: mpsc::Sender<Entry>,
    room: Arc<Semaphore>,
    /// All the room there is, in KiB.
    total: u32,
}

struct Entry {
    record: Arc<Activation>,
    ticket: Ticket,
    _room: OwnedSemaphorePermit,
}

/// Writes records until the last [`Sender`] is gone.
pub(crate) struct Writer {
    queue: mpsc::Receiver<Entry>,
    store: Arc<dyn ActivationStore>,
    batch: usize,
    interval: Duration,
    metrics: &'static Metrics,
}

const KIB: usize = 1024;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);

impl Open {
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until nothing is open.
    pub async fn none(&self) {
        loop {
            let notified = self.none.notified();
            if self.count() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Takes an activation into one pair of hands, unless it is in others; whether it did.
    fn hold(&self, key: &Key) -> bool {
        let Key::Id(id) = key else {
            return true;
        };
        match self.held().entry(*id) {
            Holding::Vacant(place) => {
                place.insert(Vec::new());
                true
            }
            Holding::Occupied(_) => false,
        }
    }

    /// The same; where it is in others, how it will leave them.
    fn hold_or_wait(&self, key: &Key) -> Option<oneshot::Receiver<End>> {
        let Key::Id(id) = key else {
            return None;
        };
        match self.held().entry(*id) {
            Holding::Vacant(place) => {
                place.insert(Vec::new());
                None
            }
            Holding::Occupied(mut others) => {
                let (sender, receiver) = oneshot::channel();
                others.get_mut().push(sender);
                Some(receiver)
            }
        }
    }

    fn let_go(&self, key: &Key, end: End) {
        if let Key::Id(id) = key {
            let waiting = self.held().remove(id);
            for waits in waiting.into_iter().flatten() {
                // It may have been handed back meanwhile.
                let _ = waits.send(end);
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u128, Vec<oneshot::Sender<End>>>> {
        self.held.lock().expect("no panic under this lock")
    }
}

impl Ticket {
    pub fn new(delivery: Delivery, open: Arc<Open>) -> Ticket {
        open.count.fetch_add(1, Ordering::AcqRel);
        Ticket {
            alone: open.hold(delivery.key()),
            delivery: Some(delivery),
            open,
            taken: trace::is_on().then(clock::now).and_then(NonZeroU64::new),
            trace: Trace::default(),
        }
    }

    /// How often this activation was handed out so far.
    pub fn attempt(&self) -> u32 {
        self.delivery.as_ref().map_or(1, Delivery::attempt)
    }

    /// Whether the same activation was here already when this delivery came.
    pub fn is_second(&self) -> bool {
        !self.alone
    }

    /// Waits until the same activation is not in other hands here; how it left them, which is [`End::HandedBack`] where it never
    /// was. The bus gives a reader again what it has, when readers of the topic are agreed on anew.
    pub async fn alone(&mut self) -> End {
        while let (false, Some(delivery)) = (self.alone, &self.delivery) {
            match self.open.hold_or_wait(delivery.key()) {
                None => self.alone = true,
                Some(ended) => match ended.await {
                    Ok(end @ (End::Committed | End::HandedOn)) => return end,
                    Ok(End::HandedBack) | Err(_) => {}
                },
            }
        }
        End::HandedBack
    }

    /// The delivery, to be committed or handed back: the activation is in nobody's hands here any more.
    fn end(&mut self, end: End) -> Option<Delivery> {
        let delivery = self.delivery.take()?;
        if self.alone {
            self.open.let_go(delivery.key(), end);
        }
        Some(delivery)
    }

    /// When the activation came, where that is traced.
    pub fn taken(&self) -> Option<u64> {
        self.taken.map(NonZeroU64::get)
    }

    /// With spans that end when the activation does.
    pub fn with_trace(mut self, trace: Trace) -> Ticket {
        self.trace = trace;
        self
    }

    /// Ends the activation for good, and goes on with it.
    fn committed(mut self) -> Ticket {
        if let Some(delivery) = self.end(End::Committed) {
            delivery.commit();
        }
        self
    }

    /// Ends the activation for good.
    pub fn commit(self) {
        drop(self.committed());
    }

    /// Ends what is another's now: of the copy that says so, the bus has confirmed that it has it.
    pub fn hand_on(mut self) {
        if let Some(delivery) = self.end(End::HandedOn) {
            delivery.commit();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        drop(self.end(End::HandedBack));
        if self.open.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open.none.notify_waiters();
        }
    }
}

/// A sender and the writer it sends to.
pub(crate) fn channel(config: &Config, store: Arc<dyn ActivationStore>, metrics: &'static Metrics) -> (Sender, Writer) {
    let (sender, queue) = mpsc::channel(config.record_queue.max(1));
    let total = u32::try_from(config.record_queue_bytes / KIB)
        .unwrap_or(u32::MAX)
        .clamp(1, u32::MAX >> 4);
    let room = Arc::new(Semaphore::new(total as usize));
    let interval = Duration::from_millis(config.record_interval_ms);
    let writer = Writer {
        queue,
        store,
        batch: config.record_batch.max(1),
        interval,
        metrics,
    };
    (
        Sender {
            queue: sender,
            room,
            total,
        },
        writer,
    )
}

impl Sender {
    /// Hands a record over, waiting for room. What the ticket stands for is committed once the record is durable.
    pub async fn send(&self, record: Arc<Activation>, ticket: Ticket) {
        let ticket = if planted(Bug::CommitsEarly) {
            ticket.committed()
        } else {
            ticket
        };
        let logs: usize = record.logs.iter().map(String::len).sum();
        let kib = 1 + (record.response.result.as_str().len() + logs) / KIB;
        // A record larger than the whole bound waits for all of it.
        let kib = u32::try_from(kib).unwrap_or(u32::MAX).min(self.total);
        let Ok(room) = self.room.clone().acquire_many_owned(kib).await else {
            return;
        };
        // The queue is closed only when the writer is gone; then dropping the ticket hands the activation back.
        let _ = self
            .queue
            .send(Entry {
                record,
                ticket,
                _room: room,
            })
            .await;
    }
}

impl Writer {
    pub async fn run(mut self) {
        let mut entries = Vec::new();
        loop {
            if self.queue.recv_many(&mut entries, self.batch).await == 0 {
                return;
            }
            let (began, full) = (Instant::now(), entries.len() >= self.batch);
            self.write(&mut entries).await;
            if !full {
                // Under load this gathers a group; a lone record after a pause is written at once. A full one waits for
                // nothing: a batch per interval would be a bound on what this invoker can do.
                tokio::time::sleep_until(began + self.interval).await;
            }
        }
    }

    /// Stores a group, however long that takes, and commits what it stands for.
    async fn write(&self, entries: &mut Vec<Entry>) {
        let mut pause = FIRST_RETRY;
        loop {
            let records = entries.iter().map(|entry| entry.record.clone()).collect();
            match self.store.store(records).await {
                Ok(()) => {
                    self.metrics.records.inc_by(entries.len() as u64);
                    entries.drain(..).for_each(|entry| entry.ticket.commit());
                    return;
                }
                Err(error) => {
                    self.metrics.record_failures.inc();
                    if !error.retryable() {
                        return self.write_singly(entries).await;
                    }
                    tracing::warn!(%error, waiting = entries.len(), "records cannot be stored now; they are kept");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    /// One by one, so that a record that the store refuses does not hold up the others; what stands for it comes after them.
    /// When that is refused too there is none.
    async fn write_singly(&self, entries: &mut Vec<Entry>) {
        for replaced in [false, true] {
            let mut refused = Vec::new();
            for mut entry in entries.drain(..) {
                match self.write_one(&entry.record).await {
                    Ok(()) => {
                        self.metrics.records.inc();
                        entry.ticket.commit();
                    }
                    Err(error) => {
                        tracing::error!(activation_id = %entry.record.activation_id, replaced, %error, "a record was refused");
                        if replaced {
                            entry.ticket.commit();
                            continue;
                        }
                        entry.record = Arc::new(stand_in(&entry.record, &error));
                        refused.push(entry);
                    }
                }
            }
            entries.append(&mut refused);
        }
    }

    /// Stores a record, however long that takes. Errors: the store refuses it.
    async fn write_one(&self, record: &Arc<Activation>) -> Result<(), Error> {
        let mut pause = FIRST_RETRY;
        while let Err(error) = self.store.store(vec![record.clone()]).await {
            self.metrics.record_failures.inc();
            if !error.retryable() {
                return Err(error);
            }
            tracing::warn!(%error, waiting = 1, "records cannot be stored now; they are kept");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
        Ok(())
    }
}
