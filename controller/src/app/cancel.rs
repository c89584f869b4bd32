//! Ending activations before their time, on their owner's request; an opt-in of ours.
//!
//! A request that is accepted is a message on a topic of this controller's, on disk before anybody was told. One task works
//! on it: it tells the composition of that id, or every invoker, and says it again until the record is there and the
//! activation has left its slot. Should nobody end it in time, the record is written here: the store keeps the first record
//! of an id, so there is one whoever was faster, and what is redelivered is not run once it has one.
//!
//! Invariants: slots and permits are given back by the acknowledgement alone, as for every other activation. After a restart
//! what was cancelled has its record before any invoker of this process takes work. Left to others: killing (the invokers),
//! what runs next in a composition (its machine).

mod order;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashmap::{DashMap, DashSet};
use tokio::sync::Notify;
use tokio::time::Instant;
use wsk_bus::messages::{CANCELLED, CONTROL, Control, read};
use wsk_bus::{Delivery, Durability, Key, Message, Subscription};
use wsk_entities::{Activation, ActivationId, FullName, Json, Namespace, Response, StatusCode, Version};
use wsk_planted::{Bug, planted};

use super::composition::Progress;
use super::owed::next_left;
use super::{App, Caller, Error, now};
use crate::{Config, metrics};
pub(super) use order::Order;

/// Pause before the first repetition; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long an invoker may take to end an activation before its record is written here.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a record may take after its activation was acknowledged.
const SETTLING: Duration = Duration::from_secs(10);
/// How long a request waits for the end it asked for.
const WAIT: Duration = Duration::from_millis(2500);
/// How long a request waits for the end of what this controller does not know.
const ELSEWHERE: Duration = Duration::from_millis(500);
/// How long a composition waits for the component that it had cancelled.
const LAST_COMPONENT: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Debug)]
pub enum Cancelled {
    /// It has ended so.
    Ended(Box<Activation>),
    /// It is on disk that it shall, and it will.
    Accepted,
}

/// The compositions that can be told to end, and where orders are kept.
pub struct Cancels {
    topic: Arc<str>,
    runs: DashMap<ActivationId, Arc<Running>>,
    /// Compositions of a former life that were cancelled and have not begun again yet.
    asked: DashSet<ActivationId>,
}

/// A composition that can be told to end.
#[derive(Debug)]
struct Running {
    namespace: Namespace,
    action: FullName,
    version: Version,
    asked: AtomicBool,
    bell: Notify,
}

/// Through which a composition hears that it shall end.
pub struct Watch {
    app: Arc<App>,
    id: ActivationId,
    running: Arc<Running>,
}

impl Cancels {
    pub fn new(config: &Config) -> Cancels {
        Cancels {
            topic: format!("owed{}-cancels", config.id).into(),
            runs: DashMap::new(),
            asked: DashSet::new(),
        }
    }

    /// The topic of accepted requests.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The action of a composition of this namespace that runs here.
    pub fn action_of(&self, namespace: &Namespace, id: ActivationId) -> Option<FullName> {
        let running = self.runs.get(&id).filter(|running| running.namespace == *namespace)?;
        Some(running.action.clone())
    }

    fn tell(&self, id: ActivationId) -> bool {
        let Some(running) = self.runs.get(&id) else {
            return false;
        };
        running.asked.store(true, Ordering::Release);
        running.bell.notify_waiters();
        true
    }
}

impl Watch {
    /// Whether the composition shall end.
    pub fn is_asked(&self) -> bool {
        self.running.asked.load(Ordering::Acquire)
    }

    /// Resolves once it shall.
    pub async fn asked(&self) {
        loop {
            let bell = self.running.bell.notified();
            if self.is_asked() {
                return;
            }
            bell.await;
        }
    }

    /// Once the composition shall end, has the component under way ended. Resolves when that takes too long.
    pub async fn end_component(&self, id: ActivationId) {
        self.asked().await;
        let deadline = Instant::now() + LAST_COMPONENT;
        while Instant::now() < deadline {
            self.app.order_end(&self.running.namespace, id).await;
            tokio::time::sleep(LONGEST_PAUSE / 10).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.app.work.cancels.runs.remove(&self.id);
    }
}

/// The answer of a composition that was cancelled.
pub fn response() -> Response {
    Response::failure(StatusCode::DeveloperError, &Json::from(order::TEXT), None)
}

/// Whether an activation ended because it was cancelled.
pub fn is_cancelled(record: &Activation) -> bool {
    record.annotations.is_true(CANCELLED)
}

impl App {
    /// Ends an activation of the caller's that is pending or running.
    ///
    /// # Errors
    /// 403 for a foreign namespace, 404 where nothing is known of it, 409 where it has ended otherwise,
    /// [`Error::Unavailable`] when the request cannot be put on disk: then nothing happens; or when the store does not say
    /// whether there is a record of what is unknown here.
    pub async fn cancel(
        self: &Arc<App>,
        caller: &Caller,
        namespace: &Namespace,
        id: ActivationId,
    ) -> Result<Cancelled, Error> {
        if !caller.owns(namespace) {
            return Err(Error::Forbidden(format!("{namespace}/{id}")));
        }
        let Some(order) = self.order(caller, id).await else {
            return judged(self.end_elsewhere(namespace, id).await?);
        };
        self.bus
            .publish(&self.work.cancels.topic, order.message(), Durability::Durable)
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        metrics::CANCELS.inc();
        if planted(Bug::AnswersOrders) {
            return Ok(Cancelled::Ended(Box::new(order.record())));
        }
        match self.record_within(namespace, id, WAIT).await {
            Ok(Some(record)) => judged(record),
            // That it shall end is on disk, whatever the store says now.
            Ok(None) | Err(_) => Ok(Cancelled::Accepted),
        }
    }

    /// Ends what this controller knows nothing of: a former life or another controller may have started it, and an invoker
    /// of theirs may have it. Nothing is promised before its record is there.
    async fn end_elsewhere(&self, namespace: &Namespace, id: ActivationId) -> Result<Activation, Error> {
        if let Some(record) = self.activations.get(namespace, id).await? {
            return Ok(record);
        }
        self.order_end(namespace, id).await;
        self.record_within(namespace, id, ELSEWHERE)
            .await?
            .ok_or(Error::Missing)
    }

    /// Waits for a record; none when it does not come in time. Errors: the store could not say so in the end.
    async fn record_within(
        &self,
        namespace: &Namespace,
        id: ActivationId,
        limit: Duration,
    ) -> Result<Option<Activation>, Error> {
        let (deadline, mut pause, mut found) = (Instant::now() + limit, FIRST_PAUSE / 20, Ok(None));
        while Instant::now() < deadline {
            found = self.activations.get(namespace, id).await;
            if let Ok(Some(_)) = found {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(FIRST_PAUSE);
        }
        found.map_err(|error| {
            tracing::warn!(activation_id = %id, %error, "cannot look for the record of a cancelled activation");
            error.into()
        })
    }

    /// The request as it is written down; none when nothing of that id is under way for the caller.
    async fn order(&self, caller: &Caller, id: ActivationId) -> Option<Order> {
        let own = caller.namespace();
        let single = self.work.flights.action_of(own, id).map(|action| (action, false));
        let composed = || {
            let running = self.work.cancels.action_of(own, id);
            Some((running.or_else(|| self.work.ledger.action_of(own, id))?, true))
        };
        let (action, composed) = single.or_else(composed)?;
        Some(Order {
            activation_id: id,
            namespace: own.clone(),
            subject: caller.identity.subject.clone(),
            version: self.version_of(id, &action).await,
            action,
            composed,
            kept: caller.identity.limits.store_activations != Some(false),
            at: now(),
        })
    }

    /// Lets a composition be told to end, until the watch is dropped.
    pub(super) fn watch(self: &Arc<App>, progress: &Progress) -> Watch {
        let (namespace, action) = progress.label();
        let id = progress.machine.id();
        let running = Arc::new(Running {
            namespace,
            action,
            version: progress.machine.version(),
            asked: AtomicBool::new(self.work.cancels.asked.remove(&id).is_some()),
            bell: Notify::new(),
        });
        self.work.cancels.runs.insert(id, running.clone());
        Watch {
            app: self.clone(),
            id,
            running,
        }
    }

    /// Asks whoever has it to end an activation.
    async fn order_end(&self, namespace: &Namespace, id: ActivationId) {
        if self.work.cancels.tell(id) {
            return;
        }
        let order = Control::Cancel {
            activation_id: id,
            namespace: namespace.clone(),
        };
        let order = Message::local(Key::Id(id.bits()), Arc::new(order));
        if let Err(error) = self.bus.publish(CONTROL, order, Durability::Volatile).await {
            tracing::warn!(activation_id = %id, %error, "invokers cannot be told of a cancellation; trying again");
        }
    }

    /// Settles what a former life accepted, before anything of it can run again.
    pub(super) async fn take_up_cancels(
        self: &Arc<App>,
        mut orders: Box<dyn Subscription>,
    ) -> impl Future<Output = ()> + Send + use<> {
        while let Some(delivery) = next_left(&mut orders, self.work.cancels.topic()).await {
            if let Some((order, delivery)) = readable(delivery) {
                self.take_up_cancel(order, delivery).await;
            }
        }
        let app = self.clone();
        async move {
            while let Some(delivery) = orders.next().await {
                let Some((order, delivery)) = readable(delivery) else {
                    continue;
                };
                if delivery.redelivered() {
                    app.take_up_cancel(order, delivery).await;
                } else {
                    app.work.spawn(app.clone().see_through_end(order, delivery));
                }
            }
        }
    }

    /// Settles what a former life accepted, or another controller that stays away.
    async fn take_up_cancel(self: &Arc<App>, order: Arc<Order>, delivery: Delivery) {
        if order.composed {
            self.work.cancels.asked.insert(order.activation_id);
        } else if order.kept {
            self.keep(Arc::new(order.record())).await;
        }
        self.work.spawn(self.clone().see_through_end(order, delivery));
    }

    /// Works on an accepted request until its activation has its record and has left its slot.
    async fn see_through_end(self: Arc<App>, order: Arc<Order>, delivery: Delivery) {
        let (id, began) = (order.activation_id, Instant::now());
        let (mut pause, mut gone_since) = (FIRST_PAUSE, None);
        loop {
            let recorded = match self.activations.exists(&order.namespace, id).await {
                Ok(recorded) => recorded,
                Err(error) => {
                    tracing::warn!(activation_id = %id, %error, "cannot look for the record of a cancelled activation");
                    false
                }
            };
            let here = self.has(&order.namespace, id);
            if recorded && !here {
                break;
            }
            if here {
                self.order_end(&order.namespace, id).await;
            }
            if here && !order.composed && !recorded && began.elapsed() >= PATIENCE {
                self.end_here(&order).await;
            }
            if !here && gone_since.get_or_insert_with(Instant::now).elapsed() >= SETTLING {
                // It ended, and where records are kept this has one; only a former life's may have been lost with it.
                if delivery.redelivered() && order.kept {
                    self.keep(Arc::new(order.record())).await;
                }
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.work.cancels.asked.remove(&id);
        delivery.commit();
    }

    /// Whether an activation of this namespace is under way here.
    pub(super) fn has(&self, namespace: &Namespace, id: ActivationId) -> bool {
        let work = &self.work;
        work.flights.action_of(namespace, id).is_some()
            || work.cancels.action_of(namespace, id).is_some()
            || work.ledger.action_of(namespace, id).is_some()
    }

    /// Ends an activation that no invoker has ended: it still waits on the bus, or its invoker is away.
    async fn end_here(&self, order: &Order) {
        let record = Arc::new(order.record());
        if order.kept {
            self.keep(record.clone()).await;
        }
        self.work.flights.tell(order.activation_id, record);
    }
}

/// The end of an activation that was to be cancelled: so, or as it came about before.
fn judged(record: Activation) -> Result<Cancelled, Error> {
    if is_cancelled(&record) {
        return Ok(Cancelled::Ended(Box::new(record)));
    }
    Err(Error::Conflict(format!(
        "The activation has already ended ({}) and cannot be cancelled.",
        record.response.status_code.text()
    )))
}

/// A request that cannot be read is given up, with a word in the log: it would come back for ever.
fn readable(delivery: Delivery) -> Option<(Arc<Order>, Delivery)> {
    match read::<Order>(&delivery) {
        Ok(order) => Some((order, delivery)),
        Err(error) => {
            tracing::error!(activation_id = %delivery.key(), %error, "a cancellation cannot be read and is given up");
            delivery.commit();
            None
        }
    }
}
