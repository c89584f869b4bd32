//! The bus inside one process: a bounded queue per topic, and a journal for what must survive the process.
//!
//! **Invariants.** Publish to `next` is one wake-up and no task in between. A message is in exactly one place: waiting in its
//! queue, in flight in a [`Delivery`], or committed. Durable messages enter their queue from the journal's writer thread, in
//! journal order, once the disk has them, so a cancelled publish leaves nothing half done.

mod entry;
mod journal;
mod queue;
mod topic;
#[cfg(feature = "kafka")]
pub(crate) use entry::Entry as Held;
#[cfg(feature = "kafka")]
pub(crate) use queue::{Queue, Seat};

use crate::delivery::{Published, Receipt, Subscription};
use crate::{Durability, Error, Message, MessageBus, Standing, TopicConfig, config, metrics};
use bytes::Bytes;
use entry::Entry;
pub(crate) use entry::{Delivery, Volatile};
use journal::{Item, Journal, Restored, Shared};
use queue::Reservation;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use topic::Named;
pub(crate) use topic::Topic;

/// The adapter.
pub(crate) struct Bus {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    journal: Option<Journal>,
}

impl Bus {
    /// Opens the bus and its journal, if it has one; what the journal kept is in its queues again.
    pub(crate) fn open(config: &config::InProcess) -> Result<Self, Error> {
        let mut topics: HashMap<Arc<str>, Arc<Topic>> = HashMap::new();
        let adopt = |Restored { seq, topic, message }: Restored, journal: &Arc<Shared>| {
            let entry = Arc::new(Entry::restored(message, seq, journal.clone()));
            // Its bounds come with the first `ensure_topic`; only queues are journalled.
            let fresh = || Topic::new(&TopicConfig::queue(&*topic));
            if let Topic::Queue(named) = &**topics.entry(topic.clone()).or_insert_with(fresh) {
                named.queue.restore(entry.clone());
            }
            entry
        };
        let journal = config
            .journal
            .as_ref()
            .map(|config| Journal::open(config, adopt))
            .transpose()?;
        let redelivered: u64 = topics.values().map(|topic| topic.depth()).sum();
        if redelivered > 0 {
            metrics::REDELIVERED.inc_by(redelivered);
            tracing::info!(
                messages = redelivered,
                "the journal redelivers what an earlier process did not finish"
            );
        }
        Ok(Self {
            topics: RwLock::new(topics),
            journal,
        })
    }

    fn topic(&self, name: &str) -> Result<Arc<Topic>, Error> {
        let topics = self.topics.read().expect("no panic under this lock");
        topics
            .get(name)
            .cloned()
            .ok_or_else(|| Error::UnknownTopic { topic: name.to_owned() })
    }

    fn shared(&self) -> Option<&Arc<Shared>> {
        self.journal.as_ref().map(|journal| &journal.shared)
    }

    /// Takes room in the queue for a message.
    fn place(&self, named: &Named, message: Message) -> Result<(Arc<Entry>, Reservation), Error> {
        let entry = Arc::new(Entry::new(message, self.shared().cloned()));
        let reservation = named.queue.reserve(entry.size)?;
        Ok((entry, reservation))
    }
}

fn item(named: &Named, entry: Arc<Entry>, reservation: Reservation) -> Item {
    Item {
        entry,
        topic: named.name.clone(),
        body: Bytes::new(),
        reservation: Some(reservation),
        seq: 0,
    }
}

#[async_trait::async_trait]
impl MessageBus for Bus {
    async fn ensure_topic(&self, config: &TopicConfig) -> Result<(), Error> {
        let mut topics = self.topics.write().expect("no panic under this lock");
        match topics.get(config.name.as_str()) {
            Some(topic) => topic.reconfigure(config),
            None => {
                topics.insert(config.name.as_str().into(), Topic::new(config));
                Ok(())
            }
        }
    }

    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, Error> {
        let topic = self.topic(topic)?;
        let named = match &*topic {
            Topic::Broadcast(broadcast) => {
                broadcast.publish(&message)?;
                return Ok(Receipt::settled());
            }
            Topic::Queue(named) => named,
        };
        let (entry, reservation) = self.place(named, message)?;
        match (durability, self.shared()) {
            (Durability::Durable, Some(journal)) => {
                journal.append(vec![item(named, entry, reservation)]).await?;
                Ok(Receipt::settled())
            }
            (Durability::Volatile, _) | (Durability::Durable, None) => {
                reservation.fulfil(entry.clone());
                Ok(Receipt {
                    inner: Published::Volatile(Volatile {
                        entry,
                        topic: named.name.clone(),
                    }),
                })
            }
        }
    }

    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        let (mut placed, mut broadcasts) = (Vec::with_capacity(batch.len()), Vec::new());
        // Most of a batch goes to one topic, which is looked up once for a row of messages.
        let mut last: Option<(Arc<str>, Arc<Topic>)> = None;
        for (name, message) in batch {
            let topic = match last {
                Some((of, topic)) if Arc::ptr_eq(&of, &name) => topic,
                Some(_) | None => self.topic(&name)?,
            };
            last = Some((name, topic.clone()));
            match &*topic {
                Topic::Broadcast(broadcast) => broadcasts.push((broadcast.clone(), message)),
                Topic::Queue(named) => {
                    let (entry, reservation) = self.place(named, message)?;
                    placed.push((topic, entry, reservation));
                }
            }
        }
        if let Some(journal) = self.shared() {
            let items = placed
                .into_iter()
                .filter_map(|(topic, entry, reservation)| match &*topic {
                    Topic::Queue(named) => Some(item(named, entry, reservation)),
                    Topic::Broadcast(_) => None,
                });
            journal.append(items.collect()).await?;
        } else {
            placed
                .into_iter()
                .for_each(|(_, entry, reservation)| reservation.fulfil(entry));
        }
        broadcasts
            .into_iter()
            .try_for_each(|(broadcast, message)| broadcast.publish(&message))
    }

    async fn subscribe(&self, topic: &str, group: &str, max_in_flight: usize) -> Result<Box<dyn Subscription>, Error> {
        Ok(Box::new(self.topic(topic)?.subscribe(group, max_in_flight)?))
    }

    async fn standings(&self) -> Result<Vec<Standing>, Error> {
        let topics = self.topics.read().expect("no panic under this lock");
        let mut standings: Vec<_> = topics.values().filter_map(|topic| topic.standing()).collect();
        standings.sort_unstable_by(|one, two| one.topic.cmp(&two.topic));
        Ok(standings)
    }

    async fn unfinished(&self, topic: &str) -> Result<u64, Error> {
        Ok(self.topic(topic)?.depth())
    }

    fn depth(&self, topic: &str) -> u64 {
        self.topic(topic).map_or(0, |topic| topic.depth())
    }

    async fn close(&self) -> Result<(), Error> {
        for topic in self.topics.read().expect("no panic under this lock").values() {
            topic.close();
        }
        match self.shared() {
            Some(journal) => journal.close().await,
            None => Ok(()),
        }
    }
}
