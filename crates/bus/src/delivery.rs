//! What publishers and subscribers hold in their hands.

use crate::in_process;
use crate::{Body, Error, Key, Message, Payload};
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A member of a group on a topic. Dropping it leaves the group; what it had not committed is redelivered.
pub trait Subscription: Send {
    /// Polls for the next message; see [`next`](trait.Subscription.html#method.next). Cancel-safe.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>>;

    /// Polls for the next message of the backlog; see
    /// [`next_of_backlog`](trait.Subscription.html#method.next_of_backlog). Cancel-safe.
    fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>>;
}

/// One delivered message. Commit it when its effect is safe; dropping it uncommitted hands it back.
#[derive(Debug)]
pub struct Delivery {
    pub(crate) inner: in_process::Delivery,
}

/// Proof that a message was published.
#[derive(Debug)]
pub struct Receipt {
    pub(crate) inner: Published,
}

/// How far a publish got.
#[derive(Debug)]
pub(crate) enum Published {
    /// As durable as it will get.
    Settled,
    /// In memory; may be journalled later.
    Volatile(in_process::Volatile),
    /// On its way to the broker.
    #[cfg(feature = "kafka")]
    Sent(crate::kafka::Sent),
    /// Decided on by a test.
    #[cfg(any(test, feature = "test-util"))]
    Undecided(Word),
}

/// What becomes of a message, once that is known.
#[cfg(any(test, feature = "test-util"))]
type Word = tokio::sync::watch::Receiver<Option<Result<(), Error>>>;

impl dyn Subscription {
    /// The next message, waiting for one to come and for the number in flight to fall below the bound.
    /// `None` once the bus is closed. Cancel-safe: a dropped future takes no message.
    pub async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next message of those that waited when this subscription began, however many are in flight; `None` once all of
    /// them were handed out, or the bus is closed. Cancel-safe.
    pub async fn next_of_backlog(&mut self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_backlog(cx)).await
    }
}

impl Delivery {
    /// What the message is about.
    pub fn key(&self) -> &Key {
        &self.message().key
    }

    /// The message itself.
    pub fn message(&self) -> &Message {
        self.inner.message()
    }

    /// The published value, when it was a `T` of this process; else decode [`Delivery::bytes`].
    pub fn local<T: Payload>(&self) -> Option<Arc<T>> {
        self.message().downcast()
    }

    /// The wire form.
    pub fn bytes(&self) -> Bytes {
        self.message().encode()
    }

    /// 1 for the first delivery, more for each further one; after a restart at least 2.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt()
    }

    /// Whether somebody may have seen this message before.
    pub fn redelivered(&self) -> bool {
        self.attempt() > 1
    }

    /// This message for another topic, where it counts as redelivered if it does here. Commit this one once it is published.
    pub fn pass_on(&self) -> Message {
        Message {
            seen: self.redelivered(),
            ..self.message().clone()
        }
    }

    /// As [`Delivery::pass_on`], with other content.
    pub fn pass_on_as(&self, body: Arc<dyn Payload>) -> Message {
        Message {
            body: Body::Local(body),
            ..self.pass_on()
        }
    }

    /// Messages lost before this one because the (broadcast) group was full.
    pub fn gap(&self) -> u64 {
        self.inner.gap()
    }

    /// Marks the message processed. Never waits: the mark reaches the disk in a group, and a mark lost in a crash is a
    /// redelivery.
    pub fn commit(self) {
        self.inner.commit();
    }
}

impl Receipt {
    /// A receipt of something that needs no more care.
    pub(crate) fn settled() -> Self {
        Self {
            inner: Published::Settled,
        }
    }

    /// The receipt of a bus that is a log of its own, which has its word from a test.
    #[cfg(any(test, feature = "test-util"))]
    pub fn undecided(word: Word) -> Self {
        Self {
            inner: Published::Undecided(word),
        }
    }

    /// Whether it is open yet if the message reaches a bus that is a log of its own.
    pub fn is_on_its_way(&self) -> bool {
        match &self.inner {
            Published::Settled | Published::Volatile(_) => false,
            #[cfg(feature = "kafka")]
            Published::Sent(sent) => !sent.is_decided(),
            #[cfg(any(test, feature = "test-util"))]
            Published::Undecided(word) => word.borrow().is_none(),
        }
    }

    /// Waits until it turns out that the message did not get there, and says why; for ever where it did. Cancel-safe.
    pub async fn lost(&self) -> Error {
        match self.arrived().await {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        }
    }

    /// Waits until the message has reached a bus that is a log of its own, where it outlives this process. The bus inside the
    /// process has it already, on disk or not.
    ///
    /// # Errors
    /// As for a durable publish. The message did not get there.
    pub async fn arrived(&self) -> Result<(), Error> {
        match &self.inner {
            Published::Settled | Published::Volatile(_) => Ok(()),
            #[cfg(feature = "kafka")]
            Published::Sent(sent) => sent.confirmed().await,
            #[cfg(any(test, feature = "test-util"))]
            Published::Undecided(word) => decided(word).await,
        }
    }

    /// Makes a volatile message durable after the fact, unless it is committed or durable already.
    ///
    /// # Errors
    /// As for a durable publish. The message stays published, volatile.
    pub async fn persist(&self) -> Result<(), Error> {
        match &self.inner {
            Published::Settled => Ok(()),
            Published::Volatile(message) => message.persist().await,
            #[cfg(feature = "kafka")]
            Published::Sent(sent) => sent.confirmed().await,
            #[cfg(any(test, feature = "test-util"))]
            Published::Undecided(word) => decided(word).await,
        }
    }
}

/// What a test decides; a test that does not any more has lost the message.
#[cfg(any(test, feature = "test-util"))]
async fn decided(word: &Word) -> Result<(), Error> {
    let mut word = word.clone();
    let decided = word.wait_for(Option::is_some).await.map_err(|_| Error::Closed)?;
    decided.clone().expect("it was waited for")
}
