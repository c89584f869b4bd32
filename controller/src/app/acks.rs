//! What is in flight, and the one task that hears how it ended.
//!
//! Every published activation has one entry here from before its publish until its slot is free: the capacity it holds on
//! an invoker, its place in the namespace's concurrency, and whoever waits for its answer. The acknowledgement alone ends
//! the entry, so a caller that hangs up changes nothing; when no acknowledgement comes, the sweep ends it by force.
//! Until the bus has taken its message an entry holds capacity and nothing else: the bus may refuse it, so nobody is told
//! that there is such an activation, and nothing is promised about it.
//!
//! Invariant: slot and permit live in the entry and leave with it, hence are given back exactly once. Upstream behaviour
//! honoured: what each kind of acknowledgement ends, and after how long a completion is forced.

use std::sync::{Arc, Mutex, MutexGuard};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::oneshot;
use wsk_bus::messages::{Acknowledgement, Completed, Ping};
use wsk_entities::{Activation, ActivationId, FullName, Namespace, Timestamp, Version};
use wsk_planted::{Bug, planted};

use super::balancer::{Balancer, Demand, Outcome, Placement, Refusal, Slot};
use super::throttle::Permit;
use crate::metrics;

/// The activations of this controller that are in flight, and the capacity they hold.
pub struct Flights {
    table: DashMap<ActivationId, Flight>,
    balancer: Mutex<Balancer>,
}

/// What a waiting caller is told.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The record, without logs.
    Record(Arc<Activation>),
    /// It ended, or nobody knows: the store has the record if anything has.
    Stored,
}

/// An activation about to be published.
pub struct Boarding {
    /// None for an activation that a former life of this controller published.
    pub slot: Option<Slot>,
    pub permit: Option<Permit>,
    pub waiter: Option<oneshot::Sender<Answer>>,
    pub action: FullName,
    /// The version that was accepted. None where a former life of this controller knew it.
    pub version: Option<Version>,
    /// Whose record it will be.
    pub namespace: Namespace,
    /// When it is taken for lost.
    pub force_at: Timestamp,
    /// Whether the bus has taken it.
    pub departed: bool,
}

type Flight = Boarding;

impl Flights {
    pub fn new(cluster_size: u32) -> Flights {
        Flights {
            table: DashMap::new(),
            balancer: Mutex::new(Balancer::new(cluster_size)),
        }
    }

    /// Takes capacity for an activation.
    ///
    /// # Errors
    /// [`Refusal`], when no invoker that may take it is usable.
    pub fn place(&self, demand: &Demand<'_>, now: Timestamp, chance: u64) -> Result<Placement, Refusal> {
        self.balancer().place(demand, now, chance)
    }

    /// Enters an activation before it is published.
    pub fn board(&self, id: ActivationId, boarding: Boarding) {
        metrics::INFLIGHT.inc();
        self.table.insert(id, boarding);
    }

    /// The bus has taken an activation: it will run, and have a record.
    pub fn depart(&self, id: ActivationId) {
        if let Some(mut flight) = self.table.get_mut(&id) {
            flight.departed = true;
        }
    }

    /// Waits for an activation that a former life of this controller published. It holds no capacity here, unless it was this
    /// life after all, which had let go of the promise and got it back: then its entry stays, with what it holds.
    pub fn expect(
        &self,
        id: ActivationId,
        action: FullName,
        namespace: Namespace,
        force_at: Timestamp,
    ) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        match self.table.entry(id) {
            // Whoever waited so far waits for nothing any more.
            Entry::Occupied(mut flight) => flight.get_mut().waiter = Some(sender),
            Entry::Vacant(place) => {
                metrics::INFLIGHT.inc();
                place.insert(Boarding {
                    slot: None,
                    permit: None,
                    waiter: Some(sender),
                    action,
                    version: None,
                    namespace,
                    force_at,
                    departed: true,
                });
            }
        }
        receiver
    }

    /// Ends an entry made by [`Flights::expect`], when its answer was found elsewhere or is not waited for any longer.
    pub fn unexpect(&self, id: ActivationId) {
        if self.table.remove_if(&id, |_, flight| flight.slot.is_none()).is_some() {
            metrics::INFLIGHT.dec();
        }
    }

    /// Takes back an activation that could not be published.
    pub fn cancel(&self, id: ActivationId) {
        self.end(id, Outcome::Unpublished);
    }

    /// Acts on an acknowledgement. Those of a former life of this controller, or that came twice, change nothing.
    pub fn acknowledge(&self, ack: &Acknowledgement) {
        let id = ack.activation_id();
        if let Some(response) = ack.response() {
            let waiter = self.table.get_mut(&id).and_then(|mut flight| flight.waiter.take());
            if let Some(waiter) = waiter {
                // A caller that went away is no reason to keep anything.
                let _ = waiter.send(answer(response));
            }
        }
        if let Some(system_error) = ack.freed() {
            let outcome = if system_error {
                Outcome::SystemError
            } else {
                Outcome::Fine
            };
            if self.end(id, outcome) {
                metrics::completion_regular();
            } else {
                metrics::completion("regularAfterForced");
            }
        }
    }

    /// Tells whoever waits for an activation how it ended, without ending its entry: its slot is still busy.
    pub fn tell(&self, id: ActivationId, record: Arc<Activation>) {
        if let Some(waiter) = self.table.get_mut(&id).and_then(|mut flight| flight.waiter.take()) {
            let _ = waiter.send(Answer::Record(record));
        }
    }

    /// Ends what is overdue, as if its invoker had said so.
    pub fn force_overdue(&self, now: Timestamp) {
        let mut overdue: Vec<ActivationId> = self
            .table
            .iter()
            .filter(|flight| flight.force_at <= now)
            .map(|flight| *flight.key())
            .collect();
        // The oldest first, which ids begin with.
        overdue.sort_unstable();
        for id in overdue {
            tracing::warn!(activation_id = %id, "no completion came in time; its slot is freed by force");
            self.end(id, Outcome::Forced);
            metrics::completion("forced");
        }
    }

    pub fn ping(&self, ping: &Ping, now: Timestamp) {
        self.balancer().hear(ping, now);
    }

    /// An activation goes to another invoker than before: what it holds there is held here instead. Nothing is held for one
    /// that is not in flight from this controller.
    pub fn move_to(&self, id: ActivationId, slot: Slot) {
        let before = match self.table.get_mut(&id) {
            Some(mut flight) if flight.slot.is_some() => flight.slot.replace(slot),
            Some(_) | None => Some(slot),
        };
        if let Some(before) = before {
            self.balancer().release(before, Outcome::Unpublished);
        }
    }

    /// The action of an activation of this namespace that the bus has taken, while it is in flight.
    pub fn action_of(&self, namespace: &Namespace, id: ActivationId) -> Option<FullName> {
        let flight = self.table.get(&id)?;
        (flight.departed && flight.namespace == *namespace).then(|| flight.action.clone())
    }

    /// The version of an activation in flight, where it is known.
    pub fn version_of(&self, id: ActivationId) -> Option<Version> {
        self.table.get(&id)?.version
    }

    /// Id and action of everything in flight, for operators.
    pub fn list(&self) -> Vec<(ActivationId, FullName)> {
        self.table
            .iter()
            .map(|flight| (*flight.key(), flight.action.clone()))
            .collect()
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The balancer, for looking at its state.
    pub fn balancer(&self) -> MutexGuard<'_, Balancer> {
        self.balancer.lock().expect("no holder of the balancer panics")
    }

    fn end(&self, id: ActivationId, outcome: Outcome) -> bool {
        let Some((_, flight)) = self.table.remove(&id) else {
            return false;
        };
        metrics::INFLIGHT.dec();
        if let Some(slot) = flight.slot
            && !(outcome == Outcome::SystemError && planted(Bug::KeepsFailedSlot))
        {
            self.balancer().release(slot, outcome);
        }
        if outcome == Outcome::Unpublished && planted(Bug::CountsTheRefused) {
            std::mem::forget(flight.permit);
        } else {
            drop(flight.permit);
        }
        if let Some(waiter) = flight.waiter {
            let _ = waiter.send(Answer::Stored);
        }
        true
    }
}

fn answer(response: &Completed) -> Answer {
    match response {
        Completed::Record(record) => Answer::Record(record.clone()),
        Completed::Id(_) => Answer::Stored,
    }
}

#[cfg(test)]
mod tests {
    use wsk_bus::messages::InvokerInstance;

    use super::*;
    use crate::app::balancer::Wants;

    /// A promise that came back to the life that had published its component: what the component holds is given back all the
    /// same, and whoever waits now is told.
    #[test]
    fn an_activation_of_this_life_that_is_expected_again_keeps_what_it_holds() {
        let (flights, id) = (Flights::new(1), ActivationId::from_bits(7));
        let (namespace, action) = (
            Namespace::new("guest").unwrap(),
            "guest/echo".parse::<FullName>().unwrap(),
        );
        flights.balancer().ping(&InvokerInstance::new(0, 512), true, 0);
        let wants = Wants::default();
        let demand = Demand {
            namespace: &namespace,
            action: &action,
            memory: 128,
            concurrency: 1,
            wants: &wants,
            refused: &[],
        };
        let free = flights.balancer().memory(false);
        let placement = flights.place(&demand, 1, 0).unwrap();
        let (former, _gone) = oneshot::channel();
        flights.board(
            id,
            Boarding {
                slot: Some(placement.slot),
                permit: None,
                waiter: Some(former),
                action: action.clone(),
                version: None,
                namespace: namespace.clone(),
                force_at: 100,
                departed: true,
            },
        );
        let mut answer = flights.expect(id, action, namespace, 200);
        flights.unexpect(id);
        assert_eq!(flights.len(), 1, "its slot is still busy");
        flights.force_overdue(100);
        assert!(matches!(answer.try_recv(), Ok(Answer::Stored)));
        assert_eq!((flights.len(), flights.balancer().memory(false)), (0, free));
    }
}
