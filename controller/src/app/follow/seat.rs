//! How many of a namespace may follow, or ask, at a time.

use std::sync::Arc;

use dashmap::DashMap;
use wsk_entities::Namespace;

use crate::app::{App, Error};
use crate::metrics;

/// Of one namespace at a time, for each purpose.
const MOST: usize = 64;

/// The seats that are taken.
pub(super) type Seats = DashMap<(Namespace, Purpose), usize>;

/// What a seat is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// To follow a log.
    Follow,
    /// To ask everybody how far an activation is.
    Ask,
}

/// A place among those of a namespace, until it is dropped.
pub(super) struct Seat {
    app: Arc<App>,
    key: (Namespace, Purpose),
}

impl Seat {
    /// # Errors
    /// [`Error::Throttled`] when all are taken.
    pub fn take(app: &Arc<App>, namespace: &Namespace, purpose: Purpose) -> Result<Seat, Error> {
        let key = (namespace.clone(), purpose);
        let mut count = app.work.feeds.seats.entry(key.clone()).or_default();
        if *count >= MOST {
            let doing = match purpose {
                Purpose::Follow => "followed",
                Purpose::Ask => "asked about",
            };
            return Err(Error::Throttled(format!(
                "Too many activations are being {doing} in the namespace (limit: {MOST})."
            )));
        }
        *count += 1;
        if purpose == Purpose::Follow {
            metrics::FOLLOWERS.inc();
        }
        Ok(Seat { app: app.clone(), key })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.key.1 == Purpose::Follow {
            metrics::FOLLOWERS.dec();
        }
        let seats = &self.app.work.feeds.seats;
        if let Some(mut count) = seats.get_mut(&self.key) {
            *count -= 1;
        }
        seats.remove_if(&self.key, |_, count| *count == 0);
    }
}
