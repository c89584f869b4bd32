//! A value that tasks wait for. They wake in the order in which they began to wait, so that the same script makes the same
//! history every time; tokio's `watch` wakes them in any order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The value; a copy of this is the same value.
#[derive(Debug)]
pub struct Watched<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Watched<T> {
        Watched(self.0.clone())
    }
}

impl<T: Copy + PartialEq> Watched<T> {
    /// A value to begin with.
    pub fn new(value: T) -> Watched<T> {
        Watched(Arc::new(Inner {
            value: Mutex::new(value),
            changed: Notify::new(),
        }))
    }

    /// What it is.
    pub fn get(&self) -> T {
        *self.value()
    }

    /// Changes it; what it was.
    pub fn set(&self, value: T) -> T {
        let mut current = self.value();
        self.0.changed.notify_waiters();
        std::mem::replace(&mut *current, value)
    }

    /// Changes it from one value to another; whether it was the former.
    pub fn turn(&self, from: T, to: T) -> bool {
        let mut value = self.value();
        let turns = *value == from;
        if turns {
            *value = to;
            self.0.changed.notify_waiters();
        }
        turns
    }

    fn value(&self) -> MutexGuard<'_, T> {
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is as asked.
    pub async fn until(&self, asked: impl Fn(T) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if asked(self.get()) {
                return;
            }
            changed.await;
        }
    }
}
