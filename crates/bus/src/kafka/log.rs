//! One declared topic: its bounds, how much waits on it, and who reads it here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::{Shared, blocking, reader, tidy, topics};
use crate::in_process::Queue;
use crate::{Error, Message, TopicConfig, TopicKind, metrics};

/// How often the brokers are asked at most what another process has read.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// What Kafka needs at most around a message that counts towards the topic's limit: 61 bytes of a batch, lengths, key and header.
const FRAME: usize = 160;

/// The topic.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) name: Arc<str>,
    /// With the operator's prefix.
    pub(super) full: String,
    pub(super) kind: TopicKind,
    shared: Arc<Shared>,
    bounds: Mutex<TopicConfig>,
    /// Records without the brokers' word.
    sending: AtomicUsize,
    /// The offset after the newest record known.
    end: AtomicI64,
    /// The offset after the newest message that the group, wherever it is, has fetched or finished.
    consumed: AtomicI64,
    groups: Mutex<HashMap<String, Seated>>,
    /// One subscribe at a time.
    joining: tokio::sync::Mutex<()>,
    looking: AtomicBool,
    looked: Mutex<Instant>,
}

/// What the brokers have of a topic, as offsets.
#[derive(Debug)]
pub(super) struct Extent {
    /// Of the oldest message.
    pub(super) low: i64,
    /// Of the oldest message that the group has not finished.
    pub(super) finished: i64,
    /// After the newest message.
    high: i64,
}

/// Whose place a member takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// Its own: it gets it back at once when it restarts.
    Owner,
    /// That of one who is away: it is gone as soon as it leaves.
    Guest,
}

/// The members of a group in this process, and their reader.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) queue: Arc<Queue>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Seated {
    group: Weak<Group>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    pub(super) fn new(shared: Arc<Shared>, config: &TopicConfig) -> Self {
        Self {
            name: config.name.as_str().into(),
            full: format!("{}{}", shared.config.topic_prefix, config.name),
            kind: config.kind,
            shared,
            bounds: Mutex::new(config.clone()),
            sending: AtomicUsize::new(0),
            end: AtomicI64::new(0),
            consumed: AtomicI64::new(0),
            groups: Mutex::default(),
            joining: tokio::sync::Mutex::default(),
            looking: AtomicBool::new(false),
            looked: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn reconfigure(&self, config: &TopicConfig) -> Result<(), Error> {
        if config.kind != self.kind {
            return Err(Error::KindMismatch {
                topic: config.name.clone(),
            });
        }
        self.bounds().clone_from(config);
        for group in self.here() {
            group.queue.reconfigure(config);
        }
        Ok(())
    }

    /// Whether `count` more messages, one of them of `size` bytes, may be published.
    pub(super) fn admit(self: &Arc<Self>, count: usize, size: usize) -> Result<(), Error> {
        let (limit, max_messages) = {
            let bounds = self.bounds();
            (bounds.max_bytes, bounds.max_messages)
        };
        let topic = || self.name.to_string();
        if size > limit {
            return Err(Error::TooLarge {
                topic: topic(),
                size,
                limit,
            });
        }
        if self.kind == TopicKind::Broadcast {
            return Ok(());
        }
        let messages = usize::try_from(self.depth()).unwrap_or(usize::MAX);
        if messages * 2 >= max_messages {
            self.look_soon();
        }
        if messages.saturating_add(count) <= max_messages {
            return Ok(());
        }
        metrics::REFUSED.inc();
        Err(Error::TopicFull {
            topic: topic(),
            messages,
            bytes: 0,
        })
    }

    /// The wire form of a message that the topic takes.
    pub(super) fn encoded(&self, message: &Message) -> Result<Bytes, Error> {
        let body = message.encode();
        let size = body.len().saturating_add(FRAME);
        let limit = usize::try_from(topics::largest(&self.name, &self.shared.config)).unwrap_or(usize::MAX);
        if size > limit {
            return Err(Error::TooLarge {
                topic: self.name.to_string(),
                size,
                limit,
            });
        }
        Ok(body)
    }

    pub(super) fn sending(&self) {
        self.sending.fetch_add(1, Ordering::AcqRel);
    }

    /// The brokers have spoken about one record; `offset` is where it is.
    pub(super) fn sent(&self, offset: Option<i64>) {
        if let Some(offset) = offset {
            self.end.fetch_max(offset + 1, Ordering::AcqRel);
        }
        self.sending.fetch_sub(1, Ordering::AcqRel);
    }

    /// A reader here, or the group elsewhere, has come as far as `offset`.
    pub(super) fn consumed(&self, offset: i64) {
        self.consumed.fetch_max(offset, Ordering::AcqRel);
        self.end.fetch_max(offset, Ordering::AcqRel);
    }

    pub(super) fn depth(&self) -> u64 {
        let here = self.here().map(|group| group.queue.depth());
        if self.kind == TopicKind::Broadcast {
            return here.max().unwrap_or(0);
        }
        let unread = self.end.load(Ordering::Acquire) - self.consumed.load(Ordering::Acquire);
        here.sum::<u64>() + u64::try_from(unread).unwrap_or(0) + self.sending.load(Ordering::Acquire) as u64
    }

    /// Asks the brokers where the topic ends and what its group has finished; how many messages are between. Blocks.
    pub(super) fn look(&self) -> Result<u64, Error> {
        if self.kind == TopicKind::Broadcast {
            return Ok(0);
        }
        let Extent { low, finished, high } = self.extent()?;
        self.end.fetch_max(high, Ordering::AcqRel);
        self.consumed(finished);
        Ok(u64::try_from(high - finished.max(low)).unwrap_or(0))
    }

    /// Asks the brokers how much there is of the topic. Blocks.
    pub(super) fn extent(&self) -> Result<Extent, Error> {
        let failed = |error| self.shared.error("tell the state of", &self.name, &error);
        let mut client = self.shared.client.clone();
        let group: BaseConsumer = client.set("group.id", &self.full).create().map_err(failed)?;
        let timeout = self.shared.timeout();
        let (low, high) = group.fetch_watermarks(&self.full, 0, timeout).map_err(failed)?;
        let mut place = TopicPartitionList::new();
        place.add_partition(&self.full, 0);
        let committed = group.committed_offsets(place, timeout).map_err(failed)?;
        let finished = match committed.elements().first().map(|place| place.offset()) {
            Some(Offset::Offset(offset)) => offset,
            Some(_) | None => low,
        };
        Ok(Extent { low, finished, high })
    }

    /// Has the brokers asked in the background, when nobody here reads the topic and they were not asked just now.
    fn look_soon(self: &Arc<Self>) {
        if self.here().next().is_some() || self.looked().elapsed() < LOOK_AGAIN {
            return;
        }
        if self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let log = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = log.look() {
                tracing::warn!(%error, "how much waits on a topic is not known");
            }
            *log.looked() = Instant::now();
            log.looking.store(false, Ordering::Release);
        });
    }

    /// Joins a group; its first member in this process starts a reader.
    pub(super) async fn join(self: &Arc<Self>, name: &str, joining: Joining) -> Result<Arc<Group>, Error> {
        let _one_at_a_time = self.joining.lock().await;
        let leaving = {
            let mut groups = self.groups();
            let owner = groups.keys().next();
            if let (TopicKind::Queue, Some(owner)) = (self.kind, owner.filter(|owner| *owner != name)) {
                return Err(Error::GroupTaken {
                    topic: self.name.to_string(),
                    group: name.to_owned(),
                    owner: owner.clone(),
                });
            }
            if let Some(group) = groups.get(name).and_then(|seated| seated.group.upgrade()) {
                return Ok(group);
            }
            groups.get_mut(name).and_then(|seated| seated.reader.take())
        };
        if let Some(leaving) = leaving {
            blocking(move || leaving.join()).await.expect("a reader does not panic");
        }
        let queue = Arc::new(Queue::new(&self.bounds()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, log) = (self.shared.clone(), self.clone());
        let (ours, until) = (queue.clone(), stop.clone());
        let reader = blocking(move || reader::start(&shared, &log, joining, ours, until)).await?;
        let group = Arc::new(Group { queue, stop });
        if joining == Joining::Owner && topics::keeps_all(&self.name) {
            tokio::spawn(tidy::tidy(self.shared.clone(), self.clone(), Arc::downgrade(&group)));
        }
        let seated = Seated {
            group: Arc::downgrade(&group),
            reader: Some(reader),
        };
        self.groups().insert(name.to_owned(), seated);
        Ok(group)
    }

    /// Tells every subscription here to end.
    pub(super) fn stop(&self) {
        for group in self.here() {
            group.queue.close();
            group.stop.store(true, Ordering::Release);
        }
    }

    /// Waits until every subscription, which was told to end, has committed what was finished. Blocks.
    pub(super) fn close(&self) {
        let readers: Vec<_> = self
            .groups()
            .values_mut()
            .filter_map(|seated| seated.reader.take())
            .collect();
        for reader in readers {
            reader.join().expect("a reader does not panic");
        }
    }

    fn here(&self) -> impl Iterator<Item = Arc<Group>> + use<> {
        let groups: Vec<_> = self
            .groups()
            .values()
            .filter_map(|seated| seated.group.upgrade())
            .collect();
        groups.into_iter()
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<String, Seated>> {
        self.groups.lock().expect("no panic under this lock")
    }

    fn bounds(&self) -> MutexGuard<'_, TopicConfig> {
        self.bounds.lock().expect("no panic under this lock")
    }

    fn looked(&self) -> MutexGuard<'_, Instant> {
        self.looked.lock().expect("no panic under this lock")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
