//! Activations that are placed anew: those that an invoker could not run because of its machine, and those that one which
//! stays away has left on its topic (see [`super::takeover`]).
//!
//! All controllers share the topic, so that it does not matter whose activation it was, or whether that controller is there.
//! Where no other invoker's machine will do, the one that refused gets it again, marked as having nowhere else to go; it
//! answers. Where none may take it at the moment it waits here for a while; then any invoker is told why and answers that, as
//! it is of what has become too large for a message on its way. So every one of them ends in a record, and only invokers write
//! those. Invariants: a delivery is committed once its message is in an invoker's hands, durably; nothing is run where it may
//! not be.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use wsk_bus::messages::{ActivationMessage, Detour, invoker_topic, read};
use wsk_bus::{Delivery, Durability, Subscription};
use wsk_entities::Action;
use wsk_service::clock;

use super::balancer::{Demand, Placement, Refusal, Wants};
use super::cache::Value;
use super::{App, now};

/// The group of all controllers.
pub const GROUP: &str = "controllers";
/// Between two attempts to use a bus or store that is away.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for an invoker that may take it, while others are up.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the record of an activation says that nobody can be given.
const TOO_LARGE: &str = "The activation had to be run by another invoker, and has become larger than a message may be.";

/// Places what is refused or left, for as long as the bus is open. What has to wait holds nothing else up.
pub async fn place(app: Arc<App>, mut refused: Box<dyn Subscription>) {
    let mut waiting = JoinSet::new();
    while let Some(delivery) = refused.next().await {
        while waiting.try_join_next().is_some() {}
        let app = app.clone();
        let anew = async move {
            match read::<ActivationMessage>(&delivery) {
                Ok(message) if !app.place_anew(&message, &delivery).await => {
                    // It may have been taken all the same. Handed back, it counts as redelivered the next time.
                    tokio::time::sleep(PAUSE).await;
                    return;
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "an activation to be placed anew cannot be read; it is skipped"),
            }
            delivery.commit();
        };
        clock::spawn_into(&mut waiting, anew);
    }
}

impl App {
    /// Hands an activation to another invoker, or back, once there is one; whether the bus took it.
    async fn place_anew(&self, message: &ActivationMessage, delivery: &Delivery) -> bool {
        let mut detour = message.detour.as_deref().cloned().unwrap_or_default();
        let topic = self.other_place(message, &mut detour).await;
        let (id, last) = (message.activation_id, detour.last);
        let again = Arc::new(ActivationMessage {
            detour: Some(Box::new(detour)),
            ..message.clone()
        });
        tracing::info!(activation_id = %id, topic = &*topic, last, "an activation was placed anew");
        let send = |message| {
            self.bus
                .publish(&topic, delivery.pass_on_as(message), Durability::Durable)
        };
        let mut published = send(again.clone()).await;
        if let Err(error @ wsk_bus::Error::TooLarge { .. }) = &published {
            tracing::warn!(activation_id = %id, %error, "an activation has grown too large to be placed anew; it is answered with that");
            published = send(Arc::new(unplaceable(&again))).await;
        }
        published
            .inspect_err(|error| tracing::warn!(activation_id = %id, %error, "an activation waits to be placed anew"))
            .is_ok()
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

    /// The topic of an invoker that may run it, or that answers for it.
    async fn other_place(&self, message: &ActivationMessage, detour: &mut Detour) -> Arc<str> {
        let Some((action, revision)) = self.action_to_place(message).await else {
            // It was deleted: any invoker says so.
            return self.any_invoker().await;
        };
        let wants = Wants::of(&action, &revision, &self.manifest);
        match self.await_place(message, &action, &wants, &detour.refused).await {
            Ok(placement) => {
                self.work.flights.move_to(message.activation_id, placement.slot);
                detour.last = placement.last;
                match detour.refused.last() {
                    // Whoever found out why can say it best.
                    Some(back) if placement.last => invoker_topic(*back).into(),
                    Some(_) | None => placement.topic,
                }
            }
            Err(why) => {
                (detour.last, detour.why) = (true, Some(why));
                self.any_invoker().await
            }
        }
    }

    /// The action as it is now; none when it is gone. Waits for the store.
    async fn action_to_place(&self, message: &ActivationMessage) -> Option<(Arc<Action>, Arc<str>)> {
        let name = message.action.full_name();
        loop {
            match self.find(&name).await {
                Ok(entry) => {
                    return entry.and_then(|entry| match &entry.value {
                        Value::Action(action) => Some((action.clone(), entry.revision.0.clone())),
                        Value::Trigger(_) | Value::Rule(_) | Value::Package(_) => None,
                    });
                }
                Err(super::Error::Unavailable(error)) => {
                    tracing::warn!(action = %name, %error, "waiting for the store to place an activation anew");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => return None,
            }
        }
    }

    /// A place, as soon as there is one.
    ///
    /// # Errors
    /// Why there is none, when invokers were up all the time and none of them may take it.
    async fn await_place(
        &self,
        message: &ActivationMessage,
        action: &Action,
        wants: &Wants,
        refused: &[u32],
    ) -> Result<Placement, String> {
        let demand = Demand {
            namespace: &message.user.namespace.name,
            action: &message.action.full_name(),
            memory: action.limits.memory,
            concurrency: action.limits.concurrency,
            wants,
            refused,
        };
        let mut until = Instant::now() + PATIENCE;
        loop {
            match self.work.flights.place(&demand, now(), self.chance.draw() as u64) {
                Ok(placement) => return Ok(placement),
                Err(Refusal::NoneFits(why)) if Instant::now() >= until => return Err(why),
                Err(Refusal::NoneFits(_)) => {}
                Err(Refusal::NoneUp) => until = Instant::now() + PATIENCE,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Without what made it so large: whoever gets it answers why it does not run.
fn unplaceable(message: &ActivationMessage) -> ActivationMessage {
    ActivationMessage {
        content: None,
        detour: Some(Box::new(Detour {
            last: true,
            why: Some(TOO_LARGE.to_owned()),
            ..message.detour.as_deref().cloned().unwrap_or_default()
        })),
        ..message.clone()
    }
}
