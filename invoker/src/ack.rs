//! Acknowledgements to the controllers.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use wsk_bus::messages::{
    Acknowledgement, ActivationEvent, ActivationMessage, Completed, EVENTS, Event, EventBody, InvokerInstance,
    completed_topic,
};
use wsk_bus::{Durability, Error, Key, Message, MessageBus, Receipt, TopicConfig};
use wsk_entities::{Activation, ActivationId, StatusCode};
use wsk_service::clock;

use crate::metrics::{Metrics, own_status};

/// Tells controllers what became of their activations.
pub(crate) struct Acks {
    bus: Arc<dyn MessageBus>,
    instance: InvokerInstance,
    /// Topics of the controllers met so far: a handful.
    topics: RwLock<Vec<(Arc<str>, Arc<str>)>>,
    attempts: u32,
    metrics: &'static Metrics,
}

/// One acknowledgement on its way.
struct Post {
    bus: Arc<dyn MessageBus>,
    topic: Arc<str>,
    id: ActivationId,
    ack: Arc<Acknowledgement>,
    /// How many were begun, and how many there may be.
    attempt: u32,
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
        let told = ActivationEvent::of(record);
        if let (Some(status), Some((namespace, action))) = (told.user_defined_status_code, told.name.split_once('/')) {
            own_status(namespace, message.user.namespace.name.as_str(), action, status);
        }
        let body = EventBody::Activation(told);
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
        let mut post = Post {
            bus: self.bus.clone(),
            topic: self.topic(&message.root_controller_index.as_string),
            id: message.activation_id,
            ack: Arc::new(ack),
            attempt: 1,
            attempts: self.attempts,
            metrics: self.metrics,
        };
        let receipt = post.send().await.filter(Receipt::is_on_its_way);
        if let Some(receipt) = receipt {
            // Nothing waits for this: whether the controller hears of it does not bear on what is recorded.
            clock::spawn(post.see_off(receipt));
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

impl Post {
    /// Publishes it; none when that was given up.
    async fn send(&mut self) -> Option<Receipt> {
        loop {
            let message = Message::local(Key::Id(self.id.bits()), self.ack.clone());
            match self.bus.publish(&self.topic, message, Durability::Volatile).await {
                Ok(receipt) => return Some(receipt),
                Err(error) if Box::pin(self.may_try_again(&error)).await => {}
                Err(error) => return self.give_up(&error),
            }
        }
    }

    /// Publishes it again when the bus says later that it did not get there.
    async fn see_off(mut self, mut receipt: Receipt) {
        while let Err(error) = receipt.arrived().await {
            let again = match self.may_try_again(&error).await {
                true => self.send().await,
                false => self.give_up(&error),
            };
            match again {
                Some(again) => receipt = again,
                None => return,
            }
        }
    }

    /// Does what there is to do about a failure, and waits where only that helps.
    async fn may_try_again(&mut self, error: &Error) -> bool {
        if matches!(error, Error::TooLarge { .. }) {
            let whole = matches!(self.ack.response(), Some(Completed::Record(_)));
            if whole {
                self.ack = Arc::new(shrunk(&self.ack));
            }
            return whole;
        }
        let unmet = matches!(error, Error::UnknownTopic { .. });
        if self.attempt >= self.attempts || !(unmet || error.retryable()) {
            return false;
        }
        self.attempt += 1;
        if !unmet {
            tokio::time::sleep(PAUSE * (self.attempt - 1).min(20)).await;
            return true;
        }
        // A controller that this process has not met; its topic is there, or will be when it comes back.
        if let Err(error) = self.bus.ensure_topic(&TopicConfig::queue(&*self.topic)).await {
            tracing::warn!(topic = %self.topic, %error, "the topic of a controller cannot be used yet");
            tokio::time::sleep(PAUSE).await;
        }
        true
    }

    fn give_up(&self, error: &Error) -> Option<Receipt> {
        // The record still comes, and the controller frees the slot by itself in time.
        self.metrics.ack_failures.inc();
        tracing::warn!(topic = %self.topic, activation_id = %self.id, %error, "acknowledgement given up");
        None
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
