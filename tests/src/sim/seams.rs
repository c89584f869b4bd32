//! The bus and the stores as one node sees them: with delays and outages, and for as long as the node lives.
//!
//! A node's death cannot be asked of its tasks. Instead every call of a dead node unwinds the task that made it, as if the
//! process had gone in the middle of it; what the task held, deliveries above all, goes back where it came from. A frozen
//! node's calls do not return, and nothing is delivered to it, until it is thawed.
//!
//! **What the bus does is what Kafka can do**, no more. A publish can be late, so that others overtake it; refused; or take
//! effect and be reported as failed, a batch also in part. What is published without waiting for the broker can be lost
//! where nobody relies on it: acknowledgements, heartbeats, orders. A message comes again, counted as redelivered, when its
//! reader died or was silent for longer than a session, or when the group was agreed on anew; also when the reader had finished
//! it and the broker had not heard. A topic's messages come in the order in which publishes took effect, but each topic at its own
//! pace. Of a broadcast the oldest are lost when too many wait, and the next one says so. Not simulated, because Kafka with
//! `acks=all` and an idempotent producer does not do it: a message that was confirmed and is lost, one that comes twice
//! without its topic having been given anew, two messages of one publisher that change places. Not simulated either, though Kafka
//! does it: what a producer had in hand when it died, confirmed to nobody, is lost.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use wsk_bus::messages::{CACHE_INVALIDATION, CONTROL, HEALTH};
use wsk_bus::{
    Delivery, Durability, Error as BusError, Message, MessageBus, Receipt, Standing, Subscription, TopicConfig,
};
use wsk_containers::scripted::watched::Watched;
use wsk_entities::{
    Activation, ActivationId, ActivationSummary, Attachment, Binding, Collection, Entity, EntityPath, FullName,
    Namespace,
};
use wsk_store::{
    ActivationFilter, ActivationStore, EntityStore, Error as StoreError, Expected, Page, Revision, Stored, Stores,
    Visibility,
};

use super::sky::Sky;

/// A topic that nobody reads.
pub const NOWHERE: &str = "nowhere";

/// What a task of a dead node unwinds with.
struct Dead;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Frozen,
    Dead,
}

/// Whether a node lives.
#[derive(Clone)]
pub struct Life(Watched<State>);

/// A seam as a node sees it.
pub struct Seen<T: ?Sized> {
    inner: Arc<T>,
    life: Life,
    sky: Arc<Sky>,
}

/// A subscription as a node sees it.
struct Heard {
    inner: Box<dyn Subscription>,
    /// Where it is noted what was handed out; a guest's is not.
    topic: Option<String>,
    /// How often the next delivery takes its time, in thousands of the weather's share.
    stalls: u32,
    life: Life,
    sky: Arc<Sky>,
    /// Until the node is thawed and the bus is back, or the next delivery is fetched.
    gate: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Life {
    pub fn new() -> Life {
        Life(Watched::new(State::Alive))
    }

    pub fn end(&self) {
        self.0.set(State::Dead);
    }

    pub fn freeze(&self) {
        self.0.turn(State::Alive, State::Frozen);
    }

    pub fn thaw(&self) {
        self.0.turn(State::Frozen, State::Alive);
    }

    pub fn is_frozen(&self) -> bool {
        self.0.get() == State::Frozen
    }

    async fn thawed(&self) {
        self.0.until(|state| state != State::Frozen).await;
    }

    /// Makes a call, unless the node is dead or dies meanwhile.
    async fn during<F: Future>(&self, call: F) -> F::Output {
        let thawed = async {
            self.thawed().await;
            let output = call.await;
            self.thawed().await;
            output
        };
        tokio::select! {
            biased;
            () = self.0.until(|state| state == State::Dead) => resume_unwind(Box::new(Dead)),
            output = thawed => output,
        }
    }
}

impl<T: ?Sized> Seen<T> {
    pub fn new(inner: Arc<T>, life: &Life, sky: &Arc<Sky>) -> Arc<Seen<T>> {
        Arc::new(Seen {
            inner,
            life: life.clone(),
            sky: sky.clone(),
        })
    }

    async fn ask<'a, F, R>(&'a self, call: impl FnOnce(&'a T) -> F) -> Result<R, StoreError>
    where
        F: Future<Output = Result<R, StoreError>> + 'a,
    {
        let asked = async {
            self.sky.store_call().await?;
            call(&self.inner).await
        };
        self.life.during(asked).await
    }

    /// A call that changes something: it may have, whatever the caller hears.
    async fn change<'a, F, R>(&'a self, call: impl FnOnce(&'a T) -> F) -> Result<R, StoreError>
    where
        F: Future<Output = Result<R, StoreError>> + 'a,
    {
        let answer = self.ask(call).await?;
        self.sky.store_answer().map(|()| answer)
    }
}

/// The stores as a node sees them; subjects are left out, nothing in a simulation authenticates.
pub fn stores(inner: &Stores, life: &Life, sky: &Arc<Sky>) -> Stores {
    Stores {
        entities: Seen::new(inner.entities.clone(), life, sky),
        subjects: inner.subjects.clone(),
        activations: Seen::new(inner.activations.clone(), life, sky),
    }
}

/// The same message as one that somebody may have had before.
pub async fn again(bus: &Arc<dyn MessageBus>, message: Message) -> Option<Message> {
    const SPARE: &str = "spare";
    bus.ensure_topic(&TopicConfig::queue(SPARE)).await.ok()?;
    let mut spare = bus.subscribe(SPARE, SPARE, 1).await.ok()?;
    bus.publish(SPARE, message, Durability::Volatile).await.ok()?;
    drop(spare.next().await?);
    let delivery = spare.next().await?;
    let message = delivery.pass_on();
    delivery.commit();
    Some(message)
}

fn full(topic: &str) -> BusError {
    BusError::TopicFull {
        topic: topic.to_owned(),
        messages: 0,
        bytes: 0,
    }
}

fn silence(topic: &str) -> BusError {
    BusError::Broker {
        brokers: "simulated".to_owned(),
        operation: "confirm a message for",
        topic: topic.to_owned(),
        reason: "no word in time".to_owned(),
        transient: true,
    }
}

impl Seen<dyn MessageBus> {
    /// What a publish meets before it takes effect.
    async fn on_the_way(&self, topic: &str) -> Result<(), BusError> {
        self.sky.delay().await;
        if topic == HEALTH {
            // Nobody waits for the broker's word on these: the producer sends them again until they are through.
            self.sky.bus_there().await;
        }
        if self.sky.is_bus_away() {
            self.sky.pause(1_000, 2_000).await;
            return Err(silence(topic));
        }
        let weather = self.sky.weather();
        if self.sky.chance(weather.late) {
            self.sky.pause(300, 5_000).await;
        }
        match topic != HEALTH && self.sky.chance(weather.full) {
            true => Err(full(topic)),
            false => Ok(()),
        }
    }

    fn is_lost(&self, topic: &str) -> bool {
        let weather = self.sky.weather();
        match topic {
            HEALTH => self.sky.chance(weather.lost_ping),
            CONTROL => self.sky.chance(weather.lost_ack),
            _ => topic.starts_with("completed") && self.sky.chance(weather.lost_ack),
        }
    }

    fn hears(&self, topic: Option<&str>, inner: Box<dyn Subscription>) -> Box<dyn Subscription> {
        let own = |topic: &&str| {
            ["invoker", "completed", "owed"]
                .iter()
                .any(|kind| topic.starts_with(kind))
        };
        Box::new(Heard {
            inner,
            topic: topic.filter(own).map(str::to_owned),
            // Of these there are so many that they would never come in time.
            stalls: if topic == Some(HEALTH) { 50 } else { 1_000 },
            life: self.life.clone(),
            sky: self.sky.clone(),
            gate: None,
        })
    }
}

#[async_trait]
impl MessageBus for Seen<dyn MessageBus> {
    async fn ensure_topic(&self, topic: &TopicConfig) -> Result<(), BusError> {
        let narrow = topic.name == CACHE_INVALIDATION && self.sky.is_narrow();
        let topic = TopicConfig {
            max_messages: if narrow { 1 } else { topic.max_messages },
            ..topic.clone()
        };
        self.life.during(self.inner.ensure_topic(&topic)).await
    }

    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, BusError> {
        let sent = async {
            self.sky.published(topic);
            self.on_the_way(topic).await?;
            if self.is_lost(topic) {
                return self.inner.publish(NOWHERE, message, durability).await;
            }
            if durability == Durability::Durable && self.sky.chance(self.sky.weather().unknown) {
                self.sky.undecided([&message].into_iter());
                self.inner.publish(topic, message, durability).await?;
                self.sky.pause(1_000, 5_000).await;
                return Err(silence(topic));
            }
            self.inner.publish(topic, message, durability).await
        };
        self.life.during(sent).await
    }

    async fn publish_all(&self, mut batch: Vec<(Arc<str>, Message)>) -> Result<(), BusError> {
        let sent = async {
            batch.iter().for_each(|(topic, _)| self.sky.published(topic));
            self.on_the_way("all of a batch").await?;
            if !self.sky.chance(self.sky.weather().unknown) {
                return self.inner.publish_all(batch).await;
            }
            self.sky.undecided(batch.iter().map(|(_, message)| message));
            // Those that the broker has anyway; the order of what it has is that of the batch.
            let kept = self.sky.draw(batch.len() as u64 + 1) as usize;
            match self.sky.draw(2) {
                0 => batch.truncate(kept),
                _ => drop(batch.drain(..batch.len() - kept)),
            }
            self.inner.publish_all(batch).await?;
            self.sky.pause(1_000, 5_000).await;
            Err(silence("all of a batch"))
        };
        self.life.during(sent).await
    }

    async fn subscribe(&self, topic: &str, group: &str, max: usize) -> Result<Box<dyn Subscription>, BusError> {
        let inner = self.life.during(self.inner.subscribe(topic, group, max)).await?;
        Ok(self.hears(Some(topic), inner))
    }

    async fn stand_in(&self, topic: &str, group: &str, max: usize) -> Result<Box<dyn Subscription>, BusError> {
        let inner = self.life.during(self.inner.stand_in(topic, group, max)).await?;
        Ok(self.hears(None, inner))
    }

    async fn standings(&self) -> Result<Vec<Standing>, BusError> {
        let mut standings = self.life.during(self.inner.standings()).await?;
        for standing in &mut standings {
            if self.sky.is_expelled(&standing.topic) {
                standing.readers = standing.readers.saturating_sub(1);
            }
        }
        Ok(standings)
    }

    async fn unfinished(&self, topic: &str) -> Result<u64, BusError> {
        self.life.during(self.inner.unfinished(topic)).await
    }

    fn depth(&self, topic: &str) -> u64 {
        self.inner.depth(topic)
    }

    async fn close(&self) -> Result<(), BusError> {
        self.inner.close().await
    }
}

impl Heard {
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(gate) = &mut self.gate {
                ready!(gate.as_mut().poll(cx));
                self.gate = None;
            }
            if !self.life.is_frozen() && !self.sky.is_bus_away() {
                return Poll::Ready(());
            }
            let (life, sky) = (self.life.clone(), self.sky.clone());
            self.gate = Some(Box::pin(async move {
                life.thawed().await;
                sky.bus_there().await;
            }));
        }
    }

    fn note(&mut self, delivery: Option<Delivery>) -> Option<Delivery> {
        if let (Some(topic), Some(delivery)) = (&self.topic, &delivery) {
            self.sky.handed(topic, delivery.message());
        }
        let stall = self.sky.weather().stall * self.stalls / 1_000;
        if self.sky.chance(stall) {
            let sky = self.sky.clone();
            self.gate = Some(Box::pin(async move { sky.pause(300, 3_000).await }));
        }
        delivery
    }
}

impl Subscription for Heard {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        ready!(self.poll_gate(cx));
        let delivery = ready!(self.inner.poll_next(cx));
        Poll::Ready(self.note(delivery))
    }

    fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        ready!(self.poll_gate(cx));
        let delivery = ready!(self.inner.poll_backlog(cx));
        Poll::Ready(self.note(delivery))
    }
}

#[async_trait]
impl EntityStore for Seen<dyn EntityStore> {
    async fn get(&self, name: &FullName) -> Result<Option<Stored<Entity>>, StoreError> {
        self.ask(|inner| inner.get(name)).await
    }

    async fn code(&self, name: &FullName, attachment: &Attachment) -> Result<Arc<str>, StoreError> {
        self.ask(|inner| inner.code(name, attachment)).await
    }

    async fn put(&self, entity: &Entity, expected: Expected) -> Result<Stored<Entity>, StoreError> {
        self.change(|inner| inner.put(entity, expected)).await
    }

    async fn sealed(&self, after: Option<&FullName>, limit: u64) -> Result<Vec<Stored<Entity>>, StoreError> {
        self.ask(|inner| inner.sealed(after, limit)).await
    }

    async fn reseal(&self, entity: &Entity, at: &Revision) -> Result<bool, StoreError> {
        self.change(|inner| inner.reseal(entity, at)).await
    }

    async fn delete(&self, name: &FullName, expected: &Revision) -> Result<(), StoreError> {
        self.change(|inner| inner.delete(name, expected)).await
    }

    async fn list(
        &self,
        collection: Collection,
        path: &EntityPath,
        visibility: Visibility,
        page: Page,
    ) -> Result<Vec<Entity>, StoreError> {
        self.ask(|inner| inner.list(collection, path, visibility, page)).await
    }

    async fn count(
        &self,
        collection: Collection,
        path: &EntityPath,
        visibility: Visibility,
    ) -> Result<u64, StoreError> {
        self.ask(|inner| inner.count(collection, path, visibility)).await
    }

    async fn bindings_to(&self, package: &Binding) -> Result<Vec<FullName>, StoreError> {
        self.ask(|inner| inner.bindings_to(package)).await
    }
}

#[async_trait]
impl ActivationStore for Seen<dyn ActivationStore> {
    async fn store(&self, records: Vec<Arc<Activation>>) -> Result<(), StoreError> {
        let ids: Vec<ActivationId> = records.iter().map(|record| record.activation_id).collect();
        let stored = async {
            self.sky.store_call().await?;
            self.inner.store(records).await?;
            self.sky.recorded(ids);
            self.sky.store_answer()
        };
        self.life.during(stored).await
    }

    async fn get(&self, namespace: &Namespace, id: ActivationId) -> Result<Option<Activation>, StoreError> {
        self.ask(|inner| inner.get(namespace, id)).await
    }

    async fn summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, StoreError> {
        self.ask(|inner| inner.summaries(namespace, filter, page)).await
    }

    async fn records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, StoreError> {
        self.ask(|inner| inner.records(namespace, filter, page)).await
    }

    async fn count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, StoreError> {
        self.ask(|inner| inner.count(namespace, filter)).await
    }

    async fn exists(&self, namespace: &Namespace, id: ActivationId) -> Result<bool, StoreError> {
        self.ask(|inner| inner.exists(namespace, id)).await
    }

    async fn retain(&self, now: wsk_entities::Timestamp) -> Result<u64, StoreError> {
        self.ask(|inner| inner.retain(now)).await
    }
}
