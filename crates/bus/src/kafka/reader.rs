//! The thread that reads one topic for its members in this process, and commits what they have finished.

mod rejoin;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::log::{Joining, Log};
use super::membership::{self, Membership, Told};
use super::offsets::{Place, Progress};
use super::vigil::Vigil;
use super::way::Way;
use super::{Shared, settings};
use crate::in_process::{Held, Queue};
use crate::{Error, Key, Message, TopicKind, metrics};

/// How long one look for messages takes; a reader ends, and commits, this late at most.
const LOOK: Duration = Duration::from_millis(20);
/// How often what was finished is committed.
const COMMIT: Duration = Duration::from_millis(100);

/// What the messages of one assignment report to.
#[derive(Debug)]
pub(crate) struct Fetch {
    progress: Mutex<Progress>,
    changed: AtomicBool,
}

struct Reader {
    shared: Arc<Shared>,
    log: Arc<Log>,
    consumer: Membership,
    queue: Arc<Queue>,
    stop: Arc<AtomicBool>,
    joining: Joining,
    /// None while the topic is somebody else's.
    turn: Option<Turn>,
    paused: bool,
    committed: Instant,
    vigil: Vigil,
    way: Way,
    /// When the place was last taken back from whoever had taken it.
    joined_again: Option<Instant>,
}

/// The time from when the topic was given to this member until it is taken away.
struct Turn {
    /// What an earlier reader left.
    place: Place,
    /// Where ours reports to.
    fetch: Arc<Fetch>,
    /// Where the topic ended when the turn began.
    end: i64,
}

impl Fetch {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("no panic under this lock")
    }

    pub(crate) fn handed_out(&self, offset: i64) {
        self.progress().handed_out(offset);
        self.changed.store(true, Ordering::Release);
    }

    pub(crate) fn finish(&self, offset: i64) {
        self.progress().finish(offset);
        self.changed.store(true, Ordering::Release);
    }
}

/// Starts a reader: of a queue as a member of its group, of a broadcast from where it ends now. Blocks until the brokers have
/// said where that is.
pub(super) fn start(
    shared: &Arc<Shared>,
    log: &Arc<Log>,
    joining: Joining,
    queue: Arc<Queue>,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, Error> {
    let failed = |error: KafkaError| shared.error("take a subscription to", &log.name, &error);
    let consumer: Membership = settings::consumer(shared, log, joining)
        .create_with_context(Told::default())
        .map_err(failed)?;
    let mut reader = Reader {
        shared: shared.clone(),
        log: log.clone(),
        consumer,
        queue,
        stop,
        joining,
        turn: None,
        paused: false,
        committed: Instant::now(),
        vigil: Vigil::new(Instant::now()),
        way: Way::default(),
        joined_again: None,
    };
    match log.kind {
        TopicKind::Queue => reader.consumer.subscribe(&[&log.full]).map_err(failed)?,
        TopicKind::Broadcast => reader.follow().map_err(failed)?,
    }
    let thread = std::thread::Builder::new().name(format!("bus-{}", log.name));
    let started = thread.spawn(move || reader.run());
    started.map_err(|error| Error::Configuration(format!("no thread for topic `{}`: {error}", log.name)))
}

impl Reader {
    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if let Err(error) = self.look() {
                if let Some((_, reason)) = self.consumer.client().fatal_error() {
                    match self.join_again() {
                        Ok(()) => {
                            tracing::warn!(topic = %self.log.name, reason, "a subscription was lost and taken again")
                        }
                        Err(error) => {
                            tracing::error!(topic = %self.log.name, reason, %error, "a subscription is lost for good");
                            self.queue.close();
                            return;
                        }
                    }
                    continue;
                }
                tracing::warn!(topic = %self.log.name, %error, "Kafka does not give messages; trying again");
                self.way.show(self.consumer.client(), &self.shared.config.brokers);
            }
        }
        self.leave();
        membership::part(self.consumer, &self.log.name, self.shared.timeout());
    }

    fn look(&mut self) -> Result<(), KafkaError> {
        let polled = self.consumer.poll(LOOK);
        if self.consumer.context().changed.swap(false, Ordering::AcqRel) {
            // The message at hand is of the new turn; it is fetched again from where the turn begins.
            drop(polled);
            let taken = self.take_turn();
            if taken.is_err() {
                // What is fetched without a turn would be passed over; it is tried again before anything is taken.
                self.turn = None;
                self.consumer.context().changed.store(true, Ordering::Release);
            }
            return taken;
        }
        if let Some(message) = polled {
            self.fetched(&message?);
            self.vigil.heard(Instant::now());
        }
        if self.committed.elapsed() >= COMMIT {
            self.commit();
            self.hold_back()?;
            self.watch()?;
        }
        Ok(())
    }

    /// The partition was given to this member, or taken from it.
    fn take_turn(&mut self) -> Result<(), KafkaError> {
        self.turn = None;
        self.queue.clear();
        self.vigil.heard(Instant::now());
        if self.consumer.assignment()?.count() == 0 {
            return Ok(());
        }
        let timeout = self.shared.timeout();
        let (low, end) = self.consumer.fetch_watermarks(&self.log.full, 0, timeout)?;
        let (place, missing) = self.left(low, end)?;
        // From here on a reader that is killed may have handed out messages; the next one must know. What an earlier one
        // finished stays in the commit until it was fetched again.
        let reading = Place {
            left: false,
            ..place.clone()
        };
        membership::commit_surely(&self.consumer, &self.log.full, &reading, timeout)?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&self.log.full, 0, Offset::Offset(place.offset))?;
        self.consumer.seek_partitions(from, timeout)?;
        self.miss(missing);
        self.begin(place, end);
        Ok(())
    }

    /// Where an earlier reader came to on the topic, which has the messages from `low` to `end`, and how many it has not any more
    /// that were not done.
    fn left(&self, low: i64, end: i64) -> Result<(Place, u64), KafkaError> {
        let committed = self.consumer.committed(self.shared.timeout())?;
        let elements = committed.elements();
        match elements.first().map(|place| (place.offset(), place.metadata())) {
            Some((Offset::Offset(offset), metadata)) => {
                let place = Place::read(offset, metadata, end);
                let missing = place.unfinished(offset, low);
                let place = Place {
                    offset: offset.max(low),
                    ..place
                };
                Ok((place, missing))
            }
            // Nobody has read this topic yet.
            Some(_) | None => Ok((Place::new(low), 0)),
        }
    }

    /// Says what Kafka has deleted before it was read or done, which nothing brings back.
    fn miss(&self, messages: u64) {
        if messages == 0 {
            return;
        }
        metrics::LOST.inc_by(messages);
        let topic = &self.log.full;
        tracing::error!(%topic, messages, "Kafka has deleted messages that were not read or not done; let the topic keep them longer");
        if self.log.kind == TopicKind::Broadcast {
            self.queue.missed(messages);
        }
    }

    fn begin(&mut self, place: Place, end: i64) {
        let fetch = Fetch {
            progress: Mutex::new(Progress::at(place.offset, place.seen)),
            changed: AtomicBool::new(true),
        };
        self.log.consumed(place.offset);
        if place.offset >= end {
            self.queue.caught_up();
        }
        self.turn = Some(Turn {
            place,
            fetch: Arc::new(fetch),
            end,
        });
    }

    /// Reads a broadcast from its present end.
    fn follow(&mut self) -> Result<(), KafkaError> {
        let (_, end) = self
            .consumer
            .fetch_watermarks(&self.log.full, 0, self.shared.timeout())?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&self.log.full, 0, Offset::Offset(end))?;
        self.consumer.assign(&from)?;
        self.begin(Place::new(end), end);
        Ok(())
    }

    fn fetched(&self, message: &BorrowedMessage<'_>) {
        let Some(Turn { place, fetch, end }) = &self.turn else {
            return;
        };
        let (offset, next) = (message.offset(), fetch.progress().next());
        if offset < next {
            return;
        }
        self.miss(place.unfinished(next, offset));
        let finished = place.finished(offset);
        fetch.progress().fetched(offset, finished);
        // Before it can be seen to wait, so that nothing is counted twice.
        self.log.consumed(offset + 1);
        if !finished {
            let body = message.payload().unwrap_or_default().to_vec();
            let maybe_seen = self.log.kind == TopicKind::Queue && (offset < place.seen || super::was_seen(message));
            let held = Held::fetched(
                Message::bytes(key(message.key()), body),
                fetch.clone(),
                offset,
                maybe_seen,
            );
            match self.log.kind {
                TopicKind::Queue => self.queue.restore(Arc::new(held)),
                TopicKind::Broadcast => self.queue.push_dropping(Arc::new(held)),
            }
            if maybe_seen {
                metrics::REDELIVERED.inc();
            }
        }
        if next < *end && offset + 1 >= *end {
            self.queue.caught_up();
        }
    }

    /// Says how far the group is, if that changed.
    fn commit(&mut self) {
        self.committed = Instant::now();
        let (TopicKind::Queue, Some(Turn { fetch, .. })) = (self.log.kind, &self.turn) else {
            return;
        };
        if !fetch.changed.swap(false, Ordering::AcqRel) {
            return;
        }
        let place = fetch.progress().place(false);
        if let Err(error) = membership::commit(&self.consumer, &self.log.full, &place) {
            fetch.changed.store(true, Ordering::Release);
            self.not_committed(&error);
        }
    }

    /// Says how far the group is, and that nothing was handed out beyond that.
    fn leave(&self) {
        let (TopicKind::Queue, Some(Turn { fetch, .. })) = (self.log.kind, &self.turn) else {
            return;
        };
        let (place, patience) = (fetch.progress().place(true), self.shared.timeout());
        if let Err(error) = membership::commit_surely(&self.consumer, &self.log.full, &place, patience) {
            self.not_committed(&error);
        }
    }

    fn not_committed(&self, error: &KafkaError) {
        tracing::warn!(topic = %self.log.name, %error, "what was finished is not committed; it may be delivered again");
    }

    /// Stops fetching while the consumers here have enough before them.
    fn hold_back(&mut self) -> Result<(), KafkaError> {
        let (waiting, ahead) = (self.queue.depth(), self.shared.config.fetch_ahead as u64);
        let full = if self.paused {
            waiting > ahead / 2
        } else {
            waiting >= ahead
        };
        if self.log.kind == TopicKind::Broadcast || full == self.paused {
            return Ok(());
        }
        let ours = self.consumer.assignment()?;
        if full {
            self.consumer.pause(&ours)?;
        } else {
            self.consumer.resume(&ours)?;
        }
        self.paused = full;
        Ok(())
    }
}

/// What a record's key says; see `key_bytes` for the way there.
fn key(bytes: Option<&[u8]>) -> Key {
    let Some(text) = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
        return Key::None;
    };
    match u128::from_str_radix(text, 16) {
        Ok(id) if text.len() == 32 => Key::Id(id),
        Ok(_) | Err(_) => Key::Text(text.into()),
    }
}
