//! The bus and the stores as one node sees them: with delays and outages, and for as long as the node lives.
//!
//! A node's death cannot be asked of its tasks. Instead every call of a dead node unwinds the task that made it, as if the
//! process had gone in the middle of it; what the task held, deliveries above all, goes back where it came from.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use wsk_bus::messages::HEALTH;
use wsk_bus::{Durability, Error as BusError, Message, MessageBus, Receipt, Subscription, TopicConfig};
use wsk_entities::{
    Activation, ActivationId, ActivationSummary, Attachment, Binding, Collection, Entity, EntityPath, FullName,
    Namespace,
};
use wsk_store::{
    ActivationFilter, ActivationStore, EntityStore, Error as StoreError, Expected, Page, Revision, Stored, Stores,
    Visibility,
};

use super::plan::Weather;

/// What a task of a dead node unwinds with.
struct Dead;

/// Whether a node lives.
#[derive(Clone)]
pub struct Life(watch::Sender<bool>);

/// What the weather is like now. One for the whole cluster.
pub struct Sky {
    weather: Mutex<Weather>,
    store_away: AtomicBool,
    rng: Mutex<StdRng>,
}

/// A seam as a node sees it.
pub struct Seen<T: ?Sized> {
    inner: Arc<T>,
    life: Life,
    sky: Arc<Sky>,
}

impl Life {
    pub fn new() -> Life {
        Life(watch::channel(true).0)
    }

    pub fn end(&self) {
        self.0.send_replace(false);
    }

    /// Makes a call, unless the node is dead or dies meanwhile.
    async fn during<F: Future>(&self, call: F) -> F::Output {
        let mut life = self.0.subscribe();
        tokio::select! {
            biased;
            _ = life.wait_for(|alive| !alive) => resume_unwind(Box::new(Dead)),
            output = call => output,
        }
    }
}

impl Sky {
    pub fn new(weather: Weather, rng: StdRng) -> Arc<Sky> {
        let (weather, rng) = (Mutex::new(weather), Mutex::new(rng));
        Arc::new(Sky {
            weather,
            rng,
            store_away: AtomicBool::new(false),
        })
    }

    pub fn set(&self, weather: Weather) {
        *self.weather.lock().expect("no panic under this lock") = weather;
    }

    pub fn clear(&self) {
        self.set(Weather::fair());
        self.store_away(false);
    }

    pub fn store_away(&self, away: bool) {
        self.store_away.store(away, Ordering::Relaxed);
    }

    pub fn weather(&self) -> Weather {
        *self.weather.lock().expect("no panic under this lock")
    }

    pub fn chance(&self, in_thousand: u32) -> bool {
        in_thousand > 0 && self.draw(1000) < u64::from(in_thousand)
    }

    /// A number below `bound`.
    pub fn draw(&self, bound: u64) -> u64 {
        self.rng
            .lock()
            .expect("no panic under this lock")
            .random_range(0..bound.max(1))
    }

    async fn delay(&self) {
        let longest = self.weather().delay;
        if longest > 0 {
            tokio::time::sleep(Duration::from_millis(self.draw(longest + 1))).await;
        }
    }

    fn store_answers(&self) -> Result<(), StoreError> {
        match self.store_away.load(Ordering::Relaxed) {
            true => Err(StoreError::Unavailable("simulated outage".to_owned())),
            false => Ok(()),
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
            self.sky.delay().await;
            self.sky.store_answers()?;
            call(&self.inner).await
        };
        self.life.during(asked).await
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

fn full(topic: &str) -> BusError {
    BusError::TopicFull {
        topic: topic.to_owned(),
        messages: 0,
        bytes: 0,
    }
}

#[async_trait]
impl MessageBus for Seen<dyn MessageBus> {
    async fn ensure_topic(&self, topic: &TopicConfig) -> Result<(), BusError> {
        self.life.during(self.inner.ensure_topic(topic)).await
    }

    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, BusError> {
        let sent = async {
            self.sky.delay().await;
            if topic != HEALTH && self.sky.chance(self.sky.weather().full) {
                return Err(full(topic));
            }
            if topic.starts_with("completed") && self.sky.chance(self.sky.weather().lost_ack) {
                // Nobody listens there any more.
                return Err(BusError::UnknownTopic {
                    topic: topic.to_owned(),
                });
            }
            self.inner.publish(topic, message, durability).await
        };
        self.life.during(sent).await
    }

    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), BusError> {
        let sent = async {
            self.sky.delay().await;
            if self.sky.chance(self.sky.weather().full) {
                return Err(full("invoker0"));
            }
            self.inner.publish_all(batch).await
        };
        self.life.during(sent).await
    }

    async fn subscribe(&self, topic: &str, group: &str, max: usize) -> Result<Box<dyn Subscription>, BusError> {
        self.life.during(self.inner.subscribe(topic, group, max)).await
    }

    fn depth(&self, topic: &str) -> u64 {
        self.inner.depth(topic)
    }

    async fn close(&self) -> Result<(), BusError> {
        self.inner.close().await
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
        self.ask(|inner| inner.put(entity, expected)).await
    }

    async fn sealed(&self, after: Option<&FullName>, limit: u64) -> Result<Vec<Stored<Entity>>, StoreError> {
        self.ask(|inner| inner.sealed(after, limit)).await
    }

    async fn reseal(&self, entity: &Entity, at: &Revision) -> Result<bool, StoreError> {
        self.ask(|inner| inner.reseal(entity, at)).await
    }

    async fn delete(&self, name: &FullName, expected: &Revision) -> Result<(), StoreError> {
        self.ask(|inner| inner.delete(name, expected)).await
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
        self.ask(|inner| inner.store(records)).await?;
        match self.sky.chance(self.sky.weather().lost_answer) {
            true => Err(StoreError::Unavailable("simulated loss of the answer".to_owned())),
            false => Ok(()),
        }
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
