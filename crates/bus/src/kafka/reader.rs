//! The thread that reads one topic for its members in this process, and commits what they have finished.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::log::{Joining, Log};
use super::offsets::{Place, Progress};
use super::{Shared, settings};
use crate::in_process::{Held, Queue};
use crate::{Error, Key, Message, TopicKind, metrics};

/// How long one look for messages takes; a reader ends, and commits, this late at most.
const LOOK: Duration = Duration::from_millis(20);
/// How long after the end of a session the brokers may still count its member.
const MARGIN: Duration = Duration::from_secs(2);
/// How often what was finished is committed.
const COMMIT: Duration = Duration::from_millis(100);

/// What the messages of one assignment report to.
#[derive(Debug)]
pub(crate) struct Fetch {
    progress: Mutex<Progress>,
    changed: AtomicBool,
}

/// What the group told this member.
#[derive(Default)]
struct Assignment {
    changed: AtomicBool,
}

struct Reader {
    shared: Arc<Shared>,
    log: Arc<Log>,
    consumer: BaseConsumer<Assignment>,
    queue: Arc<Queue>,
    stop: Arc<AtomicBool>,
    joining: Joining,
    /// None while the topic is somebody else's.
    turn: Option<Turn>,
    paused: bool,
    committed: Instant,
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

impl ClientContext for Assignment {}

impl ConsumerContext for Assignment {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Error(error) = rebalance {
            tracing::error!(%error, "the members of a topic cannot be agreed on");
        }
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
    let consumer: BaseConsumer<Assignment> = settings::consumer(shared, log, joining)
        .create_with_context(Assignment::default())
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
            }
        }
        self.commit(CommitMode::Sync, true);
    }

    /// Begins anew after the group has turned this member out. Kafka says "fenced" when another process of our name has come,
    /// and also to a member whose own request to join was answered twice, after a silence of the brokers. So the first time our
    /// place is taken back at once; one that takes it away again soon is alive, and has it when our session would be over.
    fn join_again(&mut self) -> Result<(), Error> {
        self.turn = None;
        self.queue.clear();
        let failed = |error: KafkaError| self.shared.error("take a subscription to", &self.log.name, &error);
        self.consumer = settings::consumer(&self.shared, &self.log, self.joining)
            .create_with_context(Assignment::default())
            .map_err(failed)?;
        let session = Duration::from_millis(self.shared.config.session_timeout_ms) + MARGIN;
        let again = self.joined_again.is_some_and(|before| before.elapsed() < session);
        if again && self.is_usurped(session) {
            return Err(Error::Configuration(format!(
                "another process is called {} as well, or has taken its place; give each its own name",
                self.shared.config.instance
            )));
        }
        self.joined_again = Some(Instant::now());
        self.consumer.subscribe(&[&self.log.full]).map_err(failed)
    }

    /// Whether another process of our name is still in the group after `session`, in which we did nothing.
    fn is_usurped(&self, session: Duration) -> bool {
        let over = Instant::now() + session;
        while !self.stop.load(Ordering::Acquire) {
            self.consumer.poll(LOOK);
            if Instant::now() < over {
                continue;
            }
            let timeout = self.shared.timeout();
            match self.consumer.fetch_group_list(Some(&self.log.full), timeout) {
                Ok(list) => {
                    let mut members = list.groups().iter().flat_map(|group| group.members());
                    return members.any(|member| member.client_id() == self.shared.config.instance);
                }
                Err(error) => {
                    tracing::warn!(topic = %self.log.name, %error, "who reads a topic is not known; asking again");
                }
            }
        }
        false
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
        }
        if self.committed.elapsed() >= COMMIT {
            self.commit(CommitMode::Async, false);
            self.hold_back()?;
        }
        Ok(())
    }

    /// The partition was given to this member, or taken from it.
    fn take_turn(&mut self) -> Result<(), KafkaError> {
        self.turn = None;
        self.queue.clear();
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
        self.note(&reading, CommitMode::Sync)?;
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
    fn commit(&mut self, mode: CommitMode, left: bool) {
        self.committed = Instant::now();
        let (TopicKind::Queue, Some(Turn { fetch, .. })) = (self.log.kind, &self.turn) else {
            return;
        };
        if !fetch.changed.swap(false, Ordering::AcqRel) && !left {
            return;
        }
        let place = fetch.progress().place(left);
        if let Err(error) = self.note(&place, mode) {
            fetch.changed.store(true, Ordering::Release);
            tracing::warn!(topic = %self.log.name, %error, "what was finished is not committed; it may be delivered again");
        }
    }

    fn note(&self, place: &Place, mode: CommitMode) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&self.log.full, 0);
        element.set_offset(Offset::Offset(place.offset))?;
        element.set_metadata(place.metadata());
        self.consumer.commit(&list, mode)
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
