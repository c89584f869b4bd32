//! One message on its way, and the two handles on it: the publisher's and the consumer's.

use super::queue::Seat;
use crate::{Error, Message};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A message from its publish until its commit.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) message: Message,
    /// Counted once, so that what is taken from a bound is what is given back.
    pub(super) size: usize,
    pub(super) deliveries: AtomicU32,
    fate: Mutex<Fate>,
}

/// What has become of a message.
#[derive(Debug, Default)]
struct Fate {
    committed: bool,
}

/// A message that the publisher may still want on disk.
#[derive(Debug)]
pub(crate) struct Volatile {
    pub(super) entry: Arc<Entry>,
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
    pub(super) fn new(message: Message) -> Self {
        Self {
            size: message.size(),
            message,
            deliveries: AtomicU32::new(0),
            fate: Mutex::default(),
        }
    }

    /// Counts a delivery and gives its number.
    pub(super) fn deliver(&self) -> u32 {
        self.deliveries.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    fn commit(&self) {
        self.fate.lock().expect("no panic under this lock").committed = true;
    }

    fn committed(&self) -> bool {
        self.fate.lock().expect("no panic under this lock").committed
    }
}

impl Volatile {
    pub(crate) async fn persist(&self) -> Result<(), Error> {
        let _ = self.entry.committed();
        Ok(())
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
        if !self.entry.committed() {
            self.seat.queue.give_back(self.entry.clone());
        }
        self.seat.release();
    }
}
