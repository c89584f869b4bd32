//! A bounded queue that one group of subscribers shares.

use super::entry::{Delivery, Entry};
use crate::{Error, TopicConfig, metrics};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use wsk_planted::{Bug, planted};

/// The queue. Locks are held for a few instructions and never while waking or dropping a message.
#[derive(Debug)]
pub(crate) struct Queue {
    topic: Arc<str>,
    state: Mutex<State>,
}

/// Room for one message, held between the check of the bound and the arrival of the message.
#[derive(Debug)]
pub(crate) struct Reservation {
    queue: Option<Arc<Queue>>,
    size: usize,
}

/// A subscriber's place at the queue; outlives the subscription while deliveries are in flight.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) queue: Arc<Queue>,
    in_flight: AtomicUsize,
    max_in_flight: usize,
    /// How many messages had arrived when it was taken; none where the backlog is fetched from elsewhere.
    since: Option<u64>,
}

#[derive(Debug)]
struct State {
    /// With each message its place in the order of arrival, from 1; what was given back has 0.
    ready: VecDeque<(u64, Arc<Entry>)>,
    /// Messages that ever arrived.
    arrived: u64,
    /// How many had arrived when the last of the backlog had; none while it is still being fetched.
    caught_up: Option<u64>,
    /// Subscribers, asleep or not.
    seats: usize,
    ready_bytes: usize,
    reserved: usize,
    reserved_bytes: usize,
    max_messages: usize,
    max_bytes: usize,
    /// Subscribers that would take a message now, longest waiting first.
    hungry: VecDeque<Sleeper>,
    /// Subscribers that wait for one of their own deliveries to end.
    sated: Vec<Sleeper>,
    /// Messages dropped since the last delivery; only a broadcast drops.
    lost: u64,
    closed: bool,
}

#[derive(Debug)]
struct Sleeper {
    seat: SeatId,
    waker: Waker,
}

/// Tells seats apart: the address of one that is alive.
type SeatId = usize;

impl Queue {
    pub(crate) fn new(config: &TopicConfig) -> Self {
        let state = State {
            ready: VecDeque::new(),
            arrived: 0,
            caught_up: None,
            seats: 0,
            ready_bytes: 0,
            reserved: 0,
            reserved_bytes: 0,
            max_messages: config.max_messages,
            max_bytes: config.max_bytes,
            hungry: VecDeque::new(),
            sated: Vec::new(),
            lost: 0,
            closed: false,
        };
        Self {
            topic: config.name.as_str().into(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn reconfigure(&self, config: &TopicConfig) {
        let mut state = self.lock();
        state.max_messages = config.max_messages;
        state.max_bytes = config.max_bytes;
    }

    /// Takes room for a message of `size` bytes, or says why there is none.
    pub(super) fn reserve(self: &Arc<Self>, size: usize) -> Result<Reservation, Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if size > state.max_bytes {
            return Err(Error::TooLarge {
                topic: self.topic.to_string(),
                size,
                limit: state.max_bytes,
            });
        }
        let (messages, bytes) = (
            state.ready.len() + state.reserved,
            state.ready_bytes + state.reserved_bytes,
        );
        if messages >= state.max_messages || bytes + size > state.max_bytes {
            metrics::REFUSED.inc();
            return Err(Error::TopicFull {
                topic: self.topic.to_string(),
                messages,
                bytes,
            });
        }
        state.reserved += 1;
        state.reserved_bytes += size;
        Ok(Reservation {
            queue: Some(self.clone()),
            size,
        })
    }

    /// Adds a message, dropping the oldest ones where it does not fit: the broadcast's way.
    pub(crate) fn push_dropping(&self, entry: Arc<Entry>) {
        let mut dropped = Vec::new();
        let mut state = self.lock();
        while state.ready.len() >= state.max_messages || state.ready_bytes + entry.size > state.max_bytes {
            let Some((_, oldest)) = state.ready.pop_front() else {
                break;
            };
            state.ready_bytes -= oldest.size;
            state.lost += 1;
            metrics::DROPPED.inc();
            dropped.push(oldest);
        }
        let waker = state.push_back(entry);
        drop(state);
        wake(waker);
    }

    /// Takes back a message that a consumer did not finish; it goes first and above any bound.
    pub(super) fn give_back(&self, entry: Arc<Entry>) {
        let mut state = self.lock();
        if state.closed || planted(Bug::LosesHandedBack) && state.seats == 0 {
            return;
        }
        metrics::REDELIVERED.inc();
        state.ready_bytes += entry.size;
        state.ready.push_front((0, entry));
        let waker = state.next_hungry();
        drop(state);
        wake(waker);
    }

    /// Adds a message that an earlier process accepted, above any bound.
    pub(crate) fn restore(&self, entry: Arc<Entry>) {
        let waker = self.lock().push_back(entry);
        wake(waker);
    }

    /// Forgets what waits: somebody else has it now.
    #[cfg(feature = "kafka")]
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.ready_bytes = 0;
        state.caught_up = None;
        let forgotten = std::mem::take(&mut state.ready);
        drop(state);
        drop(forgotten);
    }

    /// Messages were lost on their way here.
    #[cfg(feature = "kafka")]
    pub(crate) fn missed(&self, messages: u64) {
        self.lock().lost += messages;
    }

    /// All of the backlog has arrived.
    #[cfg(feature = "kafka")]
    pub(crate) fn caught_up(&self) {
        let mut state = self.lock();
        state.caught_up = Some(state.arrived);
        let hungry = std::mem::take(&mut state.hungry);
        drop(state);
        hungry.into_iter().for_each(|sleeper| sleeper.waker.wake());
    }

    pub(crate) fn seats(&self) -> usize {
        self.lock().seats
    }

    pub(crate) fn depth(&self) -> u64 {
        self.lock().ready.len() as u64
    }

    /// Ends every subscription and forgets what waits; the journal, if any, still has it.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let forgotten = std::mem::take(&mut state.ready);
        state.ready_bytes = 0;
        let hungry = std::mem::take(&mut state.hungry);
        let sated = std::mem::take(&mut state.sated);
        drop(state);
        drop(forgotten);
        hungry.into_iter().chain(sated).for_each(|sleeper| sleeper.waker.wake());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }
}

impl State {
    fn push_back(&mut self, entry: Arc<Entry>) -> Option<Waker> {
        if self.closed {
            return None;
        }
        self.ready_bytes += entry.size;
        self.arrived += 1;
        self.ready.push_back((self.arrived, entry));
        self.next_hungry()
    }

    /// Takes one subscriber to wake if there is something for it.
    fn next_hungry(&mut self) -> Option<Waker> {
        if self.ready.is_empty() {
            None
        } else {
            self.hungry.pop_front().map(|sleeper| sleeper.waker)
        }
    }

    fn forget(&mut self, seat: SeatId) {
        self.hungry.retain(|sleeper| sleeper.seat != seat);
        self.sated.retain(|sleeper| sleeper.seat != seat);
    }
}

impl Reservation {
    /// Fills the room with the message it was made for.
    pub(super) fn fulfil(mut self, entry: Arc<Entry>) {
        let queue = self.queue.take().expect("a reservation is used once");
        let mut state = queue.lock();
        state.reserved -= 1;
        state.reserved_bytes -= self.size;
        let waker = state.push_back(entry);
        drop(state);
        wake(waker);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            let mut state = queue.lock();
            state.reserved -= 1;
            state.reserved_bytes -= self.size;
        }
    }
}

impl Seat {
    /// A seat whose backlog is what waits now.
    pub(crate) fn new(queue: Arc<Queue>, max_in_flight: usize) -> Self {
        let since = Some(queue.lock().arrived);
        Self::taken(queue, max_in_flight, since)
    }

    /// A seat whose backlog is still to be fetched.
    #[cfg(feature = "kafka")]
    pub(crate) fn ahead(queue: Arc<Queue>, max_in_flight: usize) -> Self {
        Self::taken(queue, max_in_flight, None)
    }

    fn taken(queue: Arc<Queue>, max_in_flight: usize, since: Option<u64>) -> Self {
        queue.lock().seats += 1;
        Self {
            queue,
            in_flight: AtomicUsize::new(0),
            max_in_flight: max_in_flight.max(1),
            since,
        }
    }

    fn id(&self) -> SeatId {
        std::ptr::from_ref(self).addr()
    }

    pub(crate) fn poll_next(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.queue.lock();
        state.forget(self.id());
        if state.closed {
            return Poll::Ready(None);
        }
        let sleeper = || Sleeper {
            seat: self.id(),
            waker: cx.waker().clone(),
        };
        if self.in_flight.load(Ordering::Acquire) >= self.max_in_flight {
            state.sated.push(sleeper());
            return Poll::Pending;
        }
        let Some((_, entry)) = state.ready.pop_front() else {
            state.hungry.push_back(sleeper());
            return Poll::Pending;
        };
        Poll::Ready(Some(self.hand_out(state, entry)))
    }

    pub(crate) fn poll_backlog(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.queue.lock();
        state.forget(self.id());
        if state.closed {
            return Poll::Ready(None);
        }
        let end = self.since.or(state.caught_up);
        let first = state.ready.front().map(|(place, _)| *place);
        match (first, end) {
            (Some(place), Some(end)) if place > end => Poll::Ready(None),
            (Some(_), _) => {
                let (_, entry) = state.ready.pop_front().expect("it was looked at just now");
                Poll::Ready(Some(self.hand_out(state, entry)))
            }
            (None, Some(_)) => Poll::Ready(None),
            (None, None) => {
                state.hungry.push_back(Sleeper {
                    seat: self.id(),
                    waker: cx.waker().clone(),
                });
                Poll::Pending
            }
        }
    }

    fn hand_out(self: &Arc<Self>, mut state: MutexGuard<'_, State>, entry: Arc<Entry>) -> Delivery {
        state.ready_bytes -= entry.size;
        let gap = std::mem::take(&mut state.lost);
        drop(state);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let attempt = entry.deliver();
        Delivery {
            entry,
            seat: self.clone(),
            attempt,
            gap,
        }
    }

    /// Ends one delivery.
    pub(super) fn release(&self) {
        let before = self.in_flight.fetch_sub(1, Ordering::AcqRel);
        if before < self.max_in_flight {
            return;
        }
        let mut state = self.queue.lock();
        let position = state.sated.iter().position(|sleeper| sleeper.seat == self.id());
        let sleeper = position.map(|at| state.sated.swap_remove(at));
        drop(state);
        wake(sleeper.map(|sleeper| sleeper.waker));
    }

    /// Leaves the queue; a wake-up meant for this seat goes to the next.
    pub(crate) fn leave(&self) {
        let mut state = self.queue.lock();
        state.forget(self.id());
        state.seats -= 1;
        let waker = state.next_hungry();
        drop(state);
        wake(waker);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
