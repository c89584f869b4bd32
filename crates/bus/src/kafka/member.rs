//! One subscriber.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::log::Group;
use crate::delivery::{Delivery, Subscription};
use crate::in_process::Seat;

/// A seat at what its group fetches.
pub(super) struct Member {
    pub(super) seat: Arc<Seat>,
    /// Keeps the reader going.
    pub(super) _group: Arc<Group>,
}

impl Subscription for Member {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.seat
            .poll_next(cx)
            .map(|delivery| delivery.map(|inner| Delivery { inner }))
    }

    fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.seat
            .poll_backlog(cx)
            .map(|delivery| delivery.map(|inner| Delivery { inner }))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.seat.leave();
    }
}
