//! The message bus: bytes and topics between controllers and invokers.
//!
//! **Responsible for** carrying messages, keeping the promised ones over a crash, and saying when it is full.
//! **Leaves to others** what a message means (typed publishers wrap [`MessageBus`] in the crates that own the meaning),
//! which topic a message belongs on, and running anything twice or not: consumers tell duplicates by activation id.
//!
//! # Contract of every adapter
//!
//! *Topics.* A topic is declared with [`MessageBus::ensure_topic`] by whoever uses it, before use, as often as they like.
//! There are two kinds. A [`TopicKind::Queue`] hands each message to **one** subscriber of its one group (`invoker0`,
//! `completed0`). A [`TopicKind::Broadcast`] hands each message to **every** group (`health`, `cacheInvalidation`).
//!
//! *Ordering.* Messages of one topic are first delivered in the order in which their publishes took effect: for
//! [`Durability::Volatile`] the order of the calls, for [`Durability::Durable`] the order in which they reached the disk.
//! Between the two kinds, between topics, and after a redelivery there is no order.
//!
//! *Groups.* Subscribers with the same topic and group share the messages. A queue has one group; a second group name is
//! refused with [`Error::GroupTaken`]. A broadcast group starts with what is published after it first subscribed and ends
//! with its last subscriber. A subscriber that no longer calls `next` must be dropped, so that others get its share.
//!
//! *Redelivery.* Delivery is at least once. A [`Delivery`] that is dropped without [`Delivery::commit`], or whose
//! subscription or process died, comes back with [`Delivery::redelivered`] true: at once in process, on the group's next
//! rebalance elsewhere. After a restart uncommitted durable messages come before anything new. A lost commit is only a
//! redelivery; a commit is never undone.
//!
//! *Backlog.* What waits on a topic when a subscription begins has an end that [`Subscription::poll_backlog`] finds: it gives
//! all messages that were there when `subscribe` was called, perhaps some that came right after, and then says that there are no
//! more of them. So a consumer can know the last word on something before it acts on it, wherever the messages are fetched from.
//!
//! *Standing in.* What an absent owner left on its queue can be worked off by another: [`MessageBus::standings`] tells which
//! queues nobody reads, [`MessageBus::unfinished`] whether anything is left there, and [`MessageBus::stand_in`] joins the
//! queue's group as a guest, who leaves at once when its subscription is dropped. What a guest passes on to another queue
//! ([`Delivery::pass_on`]) counts there as redelivered if somebody may have seen it. An owner that comes back waits for its
//! guests to leave ([`MessageBus::vacated`](trait.MessageBus.html#method.vacated)).
//!
//! *Durability.* `publish(.., Durable)` and [`Receipt::persist`] return only when the message would survive SIGKILL and
//! power loss. A durable message is delivered only once it is durable, so a publish that failed was not run,
//! except where it failed with [`Error::Broker`]: nobody knows what became of that.
//! A publish whose future is dropped may or may not take effect. An adapter opened without a disk (memory only, for tests
//! and simulations) keeps durable messages as long as the process lives. One that writes everything to disk may bring a
//! volatile message back after a restart, too.
//!
//! *Back-pressure.* Every topic is bounded in messages and bytes that wait (messages in flight are bounded by
//! `max_in_flight`). A full queue refuses **at once** with [`Error::TopicFull`]; the bus never makes a publisher wait for a
//! consumer. A full broadcast group loses its oldest message instead and the next delivery's [`Delivery::gap`] says how many,
//! so that a cache can be cleared. A full disk or journal refuses with [`Error::DiskFull`] or [`Error::JournalFull`] and
//! recovers by itself; nothing acknowledged is lost meanwhile. Messages to a queue without subscriber are kept, within the
//! bound.
//!
//! Upstream behaviour honoured: topic names and one partition per topic as in OpenWhisk, consumers commit by hand, each
//! controller has its own group on `health` and `cacheInvalidation`.

mod config;
#[cfg(any(test, feature = "test-util"))]
#[expect(clippy::unwrap_used, reason = "tests, in a place where other crates find them")]
pub mod contract;
mod delivery;
mod error;
mod in_process;
#[cfg(feature = "kafka")]
mod kafka;
mod message;
pub mod messages;
mod metrics;
mod name;

pub use config::{Config, InProcess, Journal, TopicConfig, TopicKind};
#[cfg(feature = "kafka")]
pub use config::{Kafka, Mechanism, Sasl, Secret, Tls, Topics};
pub use delivery::{Delivery, Receipt, Subscription};
pub use error::Error;
pub use message::{Body, Key, Message, Payload};
pub use name::Name;

use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a guest to leave: one that was killed is counted out by then.
const GUESTS: Duration = Duration::from_secs(30);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(200);

/// Whether a publish waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In memory only until somebody calls [`Receipt::persist`].
    Volatile,
    /// On disk before the publish returns.
    Durable,
}

/// How a queue stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub topic: String,
    /// Members of its group, those of this process's own name apart where processes have names.
    pub readers: usize,
}

/// The seam; the crate documentation is its contract.
#[async_trait::async_trait]
pub trait MessageBus: Send + Sync {
    /// Whether the bus answers, for who starts before it does. Takes seconds at most.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it does not answer, which may pass; [`Error::Configuration`] when it refuses this process.
    async fn reachable(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Declares a topic. A topic that exists keeps its messages; its bounds become the given ones.
    ///
    /// # Errors
    /// [`Error::KindMismatch`] when it exists as the other kind, [`Error::Closed`].
    async fn ensure_topic(&self, topic: &TopicConfig) -> Result<(), Error>;

    /// Publishes one message. On a broadcast topic, where nothing outlives its subscribers, `Durable` only waits until nothing
    /// keeps the message from those there are.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::TopicFull`], [`Error::TooLarge`], [`Error::Closed`]; with `Durable` also
    /// [`Error::JournalFull`], [`Error::DiskFull`], [`Error::Disk`], [`Error::Broker`]. After an error the message was not
    /// published; after [`Error::Broker`] it may have been.
    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, Error>;

    /// Publishes a whole batch durably with one group write, in the order given.
    ///
    /// # Errors
    /// As for a durable [`MessageBus::publish`]; [`Error::TornApart`]. Nothing of a batch for queues was published then, except
    /// after [`Error::TornApart`], which says what was, and [`Error::Broker`]: any of its messages may have been, and may yet be.
    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), Error>;

    /// Joins `group` on `topic`, to have at most `max_in_flight` deliveries uncommitted at a time.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::GroupTaken`], [`Error::Closed`].
    async fn subscribe(&self, topic: &str, group: &str, max_in_flight: usize) -> Result<Box<dyn Subscription>, Error>;

    /// Joins the group of a queue whose owner is away, as a guest: see the crate's documentation. `group` is the owner's.
    ///
    /// # Errors
    /// As for [`MessageBus::subscribe`].
    async fn stand_in(&self, topic: &str, group: &str, max_in_flight: usize) -> Result<Box<dyn Subscription>, Error> {
        self.subscribe(topic, group, max_in_flight).await
    }

    /// The queues that exist, whoever declared them, and how many read each. A wrapper that says none has nobody's work taken
    /// over.
    ///
    /// # Errors
    /// [`Error::Broker`] when the brokers do not say: then nothing is known of any queue.
    async fn standings(&self) -> Result<Vec<Standing>, Error> {
        Ok(Vec::new())
    }

    /// How many messages of a declared queue its group has not finished, at most.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Broker`].
    async fn unfinished(&self, topic: &str) -> Result<u64, Error> {
        Ok(self.depth(topic))
    }

    /// Messages waiting on a topic (not those in flight); of a broadcast, those of its slowest group. For metrics.
    fn depth(&self, topic: &str) -> u64;

    /// Ends all subscriptions (`next` gives `None`), refuses publishes, and returns when noted commits are on disk.
    ///
    /// # Errors
    /// [`Error::Disk`] or [`Error::DiskFull`] when the commits could not be noted: some messages will be redelivered.
    async fn close(&self) -> Result<(), Error>;
}

impl dyn MessageBus {
    /// Waits, but not for ever, until nobody stands in for the owner of this queue any more: what a guest has in its hands would
    /// be delivered to the owner as well.
    pub async fn vacated(&self, topic: &str) {
        let deadline = tokio::time::Instant::now() + GUESTS;
        loop {
            match self.standings().await {
                Ok(standings) if !standings.iter().any(|queue| queue.topic == topic && queue.readers > 0) => return,
                Ok(_) => {}
                // Nothing is known then, least of all that nobody is there.
                Err(error) => tracing::warn!(topic, %error, "who reads this topic is not known; asking again"),
            }
            if tokio::time::Instant::now() >= deadline {
                tracing::warn!(
                    topic,
                    "somebody else may still read this topic; it is joined all the same"
                );
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Opens the adapter that the configuration names.
///
/// # Errors
/// [`Error::InUse`] when another process holds the journal, [`Error::Disk`] when it cannot be read or created,
/// [`Error::Configuration`] when a setting is not one. Kafka need not be there yet: what needs it waits and then says so.
pub fn open(config: &Config) -> Result<Arc<dyn MessageBus>, Error> {
    match config {
        Config::InProcess(config) => Ok(Arc::new(in_process::Bus::open(config)?)),
        #[cfg(feature = "kafka")]
        Config::Kafka(config) => Ok(Arc::new(kafka::Bus::open(config)?)),
    }
}

#[cfg(test)]
mod tests;
