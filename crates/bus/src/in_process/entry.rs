//! One message on its way, and the two handles on it: the publisher's and the consumer's.

use super::journal;
use super::queue::Seat;
use crate::{Error, Message};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A message from its publish until its commit.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) message: Message,
    /// Counted once, so that what is taken from a bound is what is given back.
    pub(super) size: usize,
    pub(super) deliveries: AtomicU32,
    fate: Mutex<Fate>,
    keeper: Keeper,
}

/// Who must know of a commit.
#[derive(Debug)]
enum Keeper {
    /// Nobody: the message is in memory only.
    None,
    /// The journal, once the message is in it.
    Journal(Arc<journal::Shared>),
    /// The reader of a Kafka topic.
    #[cfg(feature = "kafka")]
    Reader(Arc<crate::kafka::Fetch>, i64),
}

/// What has become of a message. Locked before the journal's inbox, so that a commit mark never overtakes its message.
#[derive(Debug, Default)]
pub(super) struct Fate {
    pub(super) committed: bool,
    /// Its number in the journal, from when it was submitted.
    pub(super) journalled: Option<u64>,
}

/// A message that the publisher may still want on disk.
#[derive(Debug)]
pub(crate) struct Volatile {
    pub(super) entry: Arc<Entry>,
    pub(super) topic: Arc<str>,
}

/// A message in a consumer's hands.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(super) entry: Arc<Entry>,
    pub(super) seat: Arc<Seat>,
    pub(super) attempt: u32,
    pub(super) gap: u64,
}

impl Entry {
    pub(super) fn new(message: Message, journal: Option<Arc<journal::Shared>>) -> Self {
        Self {
            size: message.size(),
            deliveries: AtomicU32::new(u32::from(message.seen)),
            message,
            fate: Mutex::default(),
            keeper: journal.map_or(Keeper::None, Keeper::Journal),
        }
    }

    /// A message read from Kafka. `maybe_seen`: an earlier reader may have handed it out.
    #[cfg(feature = "kafka")]
    pub(crate) fn fetched(message: Message, from: Arc<crate::kafka::Fetch>, offset: i64, maybe_seen: bool) -> Self {
        Self {
            deliveries: AtomicU32::new(u32::from(maybe_seen)),
            keeper: Keeper::Reader(from, offset),
            ..Self::new(message, None)
        }
    }

    /// A message that the journal kept over a restart; somebody may have seen it.
    pub(super) fn restored(message: Message, seq: u64, journal: Arc<journal::Shared>) -> Self {
        let fate = Mutex::new(Fate {
            committed: false,
            journalled: Some(seq),
        });
        Self {
            deliveries: AtomicU32::new(1),
            fate,
            ..Self::new(message, Some(journal))
        }
    }

    /// Counts a delivery and gives its number.
    pub(super) fn deliver(&self) -> u32 {
        match &self.keeper {
            Keeper::None | Keeper::Journal(_) => {}
            #[cfg(feature = "kafka")]
            Keeper::Reader(reader, offset) => reader.handed_out(*offset),
        }
        self.deliveries.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(super) fn fate(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().expect("no panic under this lock")
    }

    fn commit(&self) {
        let mut fate = self.fate();
        fate.committed = true;
        match (&self.keeper, fate.journalled) {
            (Keeper::Journal(journal), Some(seq)) => journal.mark(seq),
            (Keeper::None | Keeper::Journal(_), _) => {}
            #[cfg(feature = "kafka")]
            (Keeper::Reader(reader, offset), _) => reader.finish(*offset),
        }
    }
}

impl Volatile {
    pub(crate) async fn persist(&self) -> Result<(), Error> {
        match &self.entry.keeper {
            Keeper::Journal(journal) => journal.persist(&self.entry, &self.topic).await,
            Keeper::None => Ok(()),
            #[cfg(feature = "kafka")]
            Keeper::Reader(..) => Ok(()),
        }
    }
}

impl Delivery {
    pub(crate) fn message(&self) -> &Message {
        &self.entry.message
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn gap(&self) -> u64 {
        self.gap
    }

    pub(crate) fn commit(self) {
        self.entry.commit();
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.entry.fate().committed {
            self.seat.queue.give_back(self.entry.clone());
        }
        self.seat.release();
    }
}
