//! Activations that are placed anew: those that an invoker could not run because of its machine, and those that one which
//! stays away has left on its topic (see [`super::takeover`]).
//!
//! All controllers share the topic, so that it does not matter whose activation it was, or whether that controller is there.
//! Where no other invoker will do, the one that refused gets it again, marked as having nowhere else to go; it answers. So
//! every one of them ends in a record, and only invokers write those. Invariant: a delivery is committed once its message
//! is in an invoker's hands, durably.

use std::sync::Arc;
use std::time::Duration;

use wsk_bus::messages::{ActivationMessage, Detour, invoker_topic, read};
use wsk_bus::{Delivery, Durability, Subscription};

use super::balancer::{Demand, Wants};
use super::cache::Value;
use super::{App, now};

/// The group of all controllers.
pub const GROUP: &str = "controllers";
/// Between two attempts to use a bus or store that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Places what is refused, for as long as the bus is open.
pub async fn place(app: Arc<App>, mut refused: Box<dyn Subscription>) {
    while let Some(delivery) = refused.next().await {
        match read::<ActivationMessage>(&delivery) {
            Ok(message) => app.place_anew(&message, &delivery).await,
            Err(error) => tracing::error!(%error, "an activation to be placed anew cannot be read; it is skipped"),
        }
        delivery.commit();
    }
}

impl App {
    /// Hands an activation to another invoker, or back; waits until that worked.
    async fn place_anew(&self, message: &ActivationMessage, delivery: &Delivery) {
        let (topic, last) = self.other_place(message).await;
        let detour = message.detour.as_deref().cloned().unwrap_or_default();
        let again = ActivationMessage {
            detour: Some(Box::new(Detour { last, ..detour })),
            ..message.clone()
        };
        let again = Arc::new(again);
        let id = message.activation_id;
        tracing::info!(activation_id = %id, topic = &*topic, last, "an activation that an invoker could not run was placed anew");
        loop {
            let copy = delivery.pass_on_as(again.clone());
            match self.bus.publish(&topic, copy, Durability::Durable).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(activation_id = %id, %error, "an activation waits to be placed anew");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The topic of an invoker that is up, once there is one.
    async fn any_invoker(&self) -> Arc<str> {
        loop {
            if let Some(topic) = self.work.flights.balancer().anyone_up(now()) {
                return topic;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The topic of an invoker that may run it; else of the one that refused last, and that there is no other.
    async fn other_place(&self, message: &ActivationMessage) -> (Arc<str>, bool) {
        let refused = message.detour.as_ref().map_or(&[][..], |detour| &detour.refused);
        let name = message.action.full_name();
        let entry = loop {
            match self.find(&name).await {
                Ok(entry) => break entry,
                Err(super::Error::Unavailable(error)) => {
                    tracing::warn!(action = %name, %error, "waiting for the store to place an activation anew");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => break None,
            }
        };
        let placement = entry.and_then(|entry| match &entry.value {
            Value::Action(action) => {
                let wants = Wants::of(action, &entry.revision.0, &self.manifest);
                let demand = Demand {
                    namespace: &message.user.namespace.name,
                    action: &name,
                    memory: action.limits.memory,
                    concurrency: action.limits.concurrency,
                    wants: &wants,
                    refused,
                };
                self.work.flights.place(&demand, now(), self.chance.draw() as u64).ok()
            }
            Value::Trigger(_) | Value::Rule(_) | Value::Package(_) => None,
        });
        match (placement, refused.last()) {
            (Some(placement), back) => {
                self.work.flights.move_to(message.activation_id, placement.slot);
                // Whoever found out why can say it best.
                let back = back
                    .filter(|_| placement.last)
                    .map(|number| invoker_topic(*number).into());
                (back.unwrap_or(placement.topic), placement.last)
            }
            (None, Some(back)) => (invoker_topic(*back).into(), true),
            // It was left by an invoker that is away, and its action is gone as well: any invoker says so.
            (None, None) => (self.any_invoker().await, true),
        }
    }
}
