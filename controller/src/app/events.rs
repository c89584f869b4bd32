//! Events for users' metrics: records of the controller's own making, throttles that refused, and what is in flight.
//!
//! Off unless configured. Whoever tells one never waits: events go through a bounded queue, and one that finds it full is
//! dropped and counted. Upstream behaviour honoured: the three figures, the last at every invocation that is let through.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use wsk_bus::messages::{ActivationEvent, EVENTS, Event, EventBody, Metric, MetricEvent};
use wsk_bus::{Durability, Key, Message};
use wsk_entities::{Activation, Identity};

use super::{App, Caller, now};
use crate::{Config, metrics};

/// Events that may wait to be published.
const WAITING: usize = 1024;

/// Where events are left.
pub struct Events {
    source: Arc<str>,
    /// None where events are off.
    queue: Option<mpsc::Sender<Event>>,
    waiting: Mutex<Option<mpsc::Receiver<Event>>>,
}

impl Events {
    pub fn new(config: &Config) -> Events {
        let (sender, receiver) = mpsc::channel(WAITING);
        Events {
            source: format!("controller{}", config.id).into(),
            queue: config.user_events.then_some(sender),
            waiting: Mutex::new(config.user_events.then_some(receiver)),
        }
    }

    pub fn are_on(&self) -> bool {
        self.queue.is_some()
    }

    /// A throttle of a namespace, or what it has in flight.
    pub fn figure(&self, user: &Identity, name: Metric, value: u64) {
        self.tell(user, || {
            EventBody::Metric(MetricEvent {
                metric_name: name,
                metric_value: value,
            })
        });
    }

    /// An activation that the controller itself ended.
    pub fn ended(&self, user: &Identity, record: &Activation) {
        // The runs of an action that is run again were told one by one.
        if record.annotations.get("retries").is_none() {
            self.tell(user, || EventBody::Activation(ActivationEvent::of(record)));
        }
    }

    fn tell(&self, user: &Identity, body: impl FnOnce() -> EventBody) {
        let Some(queue) = &self.queue else { return };
        let event = Event::new(self.source.clone(), user, body(), now());
        if queue.try_send(event).is_err() {
            metrics::EVENTS_DROPPED.inc();
        }
    }

    /// What waits, for the one task that publishes it; none where events are off.
    pub fn take(&self) -> Option<mpsc::Receiver<Event>> {
        self.waiting.lock().expect("no panic under this lock").take()
    }
}

impl App {
    /// A rate throttle refused a request.
    pub(super) fn refused_timed(&self, caller: &Caller) {
        metrics::timed_refusal(caller.namespace());
        self.work.events.figure(&caller.identity, Metric::TimedRateLimit, 1);
    }

    /// The concurrency throttle refused a request.
    pub(super) fn refused_concurrent(&self, caller: &Caller) {
        metrics::concurrent_refusal(caller.namespace());
        self.work
            .events
            .figure(&caller.identity, Metric::ConcurrentRateLimit, 1);
    }

    /// No throttle refused an invocation.
    pub(super) fn let_through(&self, caller: &Caller) {
        if self.work.events.are_on() {
            let count = self.work.throttle.in_flight(&caller.identity.namespace.uuid);
            self.work
                .events
                .figure(&caller.identity, Metric::ConcurrentInvocations, count.into());
        }
    }
}

/// Publishes what is told, for as long as anybody can tell.
pub async fn publish(app: Arc<App>, mut waiting: mpsc::Receiver<Event>) {
    while let Some(event) = waiting.recv().await {
        let message = Message::local(Key::None, Arc::new(event));
        if let Err(error) = app.bus.publish(EVENTS, message, Durability::Volatile).await {
            metrics::EVENTS_DROPPED.inc();
            tracing::debug!(%error, "an event cannot be published");
        }
    }
}
