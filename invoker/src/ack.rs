//! Acknowledgements to the controllers.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use wsk_bus::messages::{
    Acknowledgement, ActivationEvent, ActivationMessage, Completed, EVENTS, Event, EventBody, InvokerInstance,
    completed_topic,
};
use wsk_bus::{Durability, Error, Key, Message, MessageBus, TopicConfig};
use wsk_entities::{Activation, ActivationId, StatusCode};
use wsk_service::clock;

use crate::metrics::Metrics;

/// Tells controllers what became of their activations.
pub(crate) struct Acks {
    bus: Arc<dyn MessageBus>,
    instance: InvokerInstance,
    /// Topics of the controllers met so far: a handful.
    topics: RwLock<Vec<(Arc<str>, Arc<str>)>>,
    attempts: u32,
    metrics: &'static Metrics,
}

const PAUSE: Duration = Duration::from_millis(50);

impl Acks {
    pub fn new(bus: Arc<dyn MessageBus>, instance: InvokerInstance, attempts: u32, metrics: &'static Metrics) -> Acks {
        Acks {
            bus,
            instance,
            topics: RwLock::default(),
            attempts: attempts.max(1),
            metrics,
        }
    }

    /// The answer is ready, the slot still busy.
    pub async fn result(&self, message: &ActivationMessage, record: Arc<Activation>) {
        let response = Completed::Record(record);
        self.publish(
            message,
            Acknowledgement::Result {
                transid: message.transid.clone(),
                response,
            },
        )
        .await;
    }

    /// The slot is free.
    pub async fn completion(&self, message: &ActivationMessage, status: StatusCode) {
        let ack = Acknowledgement::Completion {
            transid: message.transid.clone(),
            activation_id: message.activation_id,
            is_system_error: status == StatusCode::WhiskError,
            instance: self.instance.clone(),
        };
        self.publish(message, ack).await;
    }

    /// Both at once.
    pub async fn combined(&self, message: &ActivationMessage, record: Arc<Activation>) {
        let is_system_error = record.response.status_code == StatusCode::WhiskError;
        self.both(message, Completed::Record(record), is_system_error).await;
    }

    /// Both at once for a record that is in the store already.
    pub async fn known(&self, message: &ActivationMessage, id: ActivationId) {
        self.both(message, Completed::Id(id), false).await;
    }

    /// Tells whoever counts for users that an activation ended. One that cannot be told is lost: nobody waits for it.
    pub async fn event(&self, message: &ActivationMessage, record: &Activation) {
        let source = format!("invoker{}", self.instance.instance).into();
        let body = EventBody::Activation(ActivationEvent::of(record));
        let event = Arc::new(Event::new(source, &message.user, body, clock::now()));
        let event = Message::local(Key::Id(message.activation_id.bits()), event);
        if let Err(error) = self.bus.publish(EVENTS, event, Durability::Volatile).await {
            self.metrics.event_failures.inc();
            tracing::debug!(%error, "an event cannot be published");
        }
    }

    async fn both(&self, message: &ActivationMessage, response: Completed, is_system_error: bool) {
        let (transid, instance) = (message.transid.clone(), self.instance.clone());
        self.publish(
            message,
            Acknowledgement::Combined {
                transid,
                response,
                is_system_error,
                instance,
            },
        )
        .await;
    }

    async fn publish(&self, message: &ActivationMessage, ack: Acknowledgement) {
        let topic = self.topic(&message.root_controller_index.as_string);
        let key = Key::Id(message.activation_id.bits());
        let mut ack = Arc::new(ack);
        let mut attempt = 1;
        loop {
            let sent = self
                .bus
                .publish(&topic, Message::local(key.clone(), ack.clone()), Durability::Volatile)
                .await;
            match sent {
                Ok(_) => return,
                Err(Error::TooLarge { .. }) if matches!(ack.response(), Some(Completed::Record(_))) => {
                    ack = Arc::new(shrunk(&ack));
                }
                // A controller that this process has not met; its topic is there, or will be when it comes back.
                Err(Error::UnknownTopic { .. }) if attempt < self.attempts => {
                    if let Err(error) = self.bus.ensure_topic(&TopicConfig::queue(&*topic)).await {
                        tracing::warn!(%topic, %error, "the topic of a controller cannot be used yet");
                        tokio::time::sleep(PAUSE).await;
                    }
                    attempt += 1;
                }
                Err(error) if error.retryable() && attempt < self.attempts => {
                    tokio::time::sleep(PAUSE * attempt.min(20)).await;
                    attempt += 1;
                }
                Err(error) => {
                    // The record still comes, and the controller frees the slot by itself in time.
                    self.metrics.ack_failures.inc();
                    tracing::warn!(%topic, activation_id = %message.activation_id, %error, "acknowledgement given up");
                    return;
                }
            }
        }
    }

    fn topic(&self, controller: &Arc<str>) -> Arc<str> {
        let find = |topics: &[(Arc<str>, Arc<str>)]| {
            topics
                .iter()
                .find(|(name, _)| name == controller)
                .map(|(_, topic)| topic.clone())
        };
        if let Some(topic) = find(&self.topics.read().expect("no panic under this lock")) {
            return topic;
        }
        let mut topics = self.topics.write().expect("no panic under this lock");
        if topics.len() >= 64 {
            topics.clear();
        }
        let topic: Arc<str> = completed_topic(controller).into();
        topics.push((controller.clone(), topic.clone()));
        topic
    }
}

/// The same without the record, which the controller then reads from the store.
fn shrunk(ack: &Acknowledgement) -> Acknowledgement {
    let response = Completed::Id(ack.activation_id());
    match ack.clone() {
        Acknowledgement::Combined {
            transid,
            is_system_error,
            instance,
            response: _,
        } => Acknowledgement::Combined {
            transid,
            response,
            is_system_error,
            instance,
        },
        Acknowledgement::Result { transid, response: _ } => Acknowledgement::Result { transid, response },
        completion @ Acknowledgement::Completion { .. } => completion,
    }
}
