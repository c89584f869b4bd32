//! What the controller has promised and not yet delivered: records of its own making, and compositions under way.
//!
//! Such a promise is a message on the controller's own topic, on disk before anybody was told. It is committed when the
//! record it leads to is stored, so after a crash it comes back: a record is stored again (which changes nothing if it was
//! there), a composition goes on from the step it had reached. Each step of an accepted composition is one group write
//! that holds the component's message and the composition's new state; the newest state alone counts.
//!
//! Invariant: one task at a time works on a composition; states of it that arrive meanwhile replace its older ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use serde::{Deserialize, Serialize};
use wsk_bus::messages::read;
use wsk_bus::{Delivery, Durability, Key, Message, Payload, Subscription};
use wsk_entities::{Activation, ActivationId, FullName, Namespace};
use wsk_planted::{Bug, planted};
use wsk_store::stand_in;

use super::App;
use super::composition::{Progress, Run};
use crate::Config;

/// Pause before a store that failed is tried again, about.
const RETRY: Duration = Duration::from_secs(1);
/// Most compositions of which it is remembered that they have ended; as many as the topic holds states.
const MOST: usize = 100_000;
/// How long the bus may take to say what was left, before that is noted.
const PATIENCE: Duration = Duration::from_secs(15);

/// One promise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Owed {
    /// A record to store.
    Record(Arc<Activation>),
    /// A composition to bring to its end.
    Composition(Box<Progress>),
}

/// What is read of promises before any is taken on. Of several states of a composition only the newest counts; the others are
/// done with.
#[derive(Default)]
pub(super) struct Backlog {
    promises: Vec<Option<(Arc<Owed>, Delivery)>>,
    /// The newest step of each composition, and where it is.
    states: HashMap<ActivationId, (u32, usize)>,
}

/// The compositions this controller works on, with the messages to commit at their end.
pub struct Ledger {
    topic: Arc<str>,
    open: DashMap<ActivationId, Open>,
    /// Those that have ended before their last state was read, with its step; the oldest first.
    ended: Mutex<BTreeMap<ActivationId, u32>>,
}

/// A composition that a task works on.
struct Open {
    namespace: Namespace,
    action: FullName,
    /// Its newest state, to be committed at the end.
    state: Option<Delivery>,
    /// Which that is.
    step: u32,
}

impl Ledger {
    pub fn new(config: &Config) -> Ledger {
        Ledger {
            topic: format!("owed{}", config.id).into(),
            open: DashMap::new(),
            ended: Mutex::default(),
        }
    }

    /// The topic of this controller's promises.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Says that a task works on this composition, before its first promise is published.
    pub fn hold(&self, progress: &Progress) {
        let open = || Open::new(progress, None);
        self.open.entry(progress.machine.id()).or_insert_with(open);
    }

    /// The record of a composition is stored, or not to be kept: commits its newest state. `last` is the step of the last one
    /// that was published; what is read later up to that one is done with as well, and no record need say so.
    pub fn close(&self, id: ActivationId, last: u32) {
        // Noted before it is closed, so that no state is read in between.
        let closed = self.open.remove_if(&id, |_, open| {
            if open.state.is_none() || open.step < last {
                self.note_end(id, last);
            }
            true
        });
        if let Some(delivery) = closed.and_then(|(_, open)| open.state) {
            delivery.commit();
        }
    }

    fn note_end(&self, id: ActivationId, last: u32) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.insert(id, last);
        if ended.len() > MOST {
            ended.pop_first();
        }
    }

    /// Whether this state is one of a composition that has ended. Said also after its last one was read: an older one may come
    /// again later.
    fn has_ended(&self, id: ActivationId, step: u32) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.get(&id).is_some_and(|last| step <= *last)
    }

    /// Hands every promise back to the bus.
    pub fn let_go(&self) {
        let mut ids: Vec<_> = self.open.iter().map(|open| *open.key()).collect();
        ids.sort_unstable();
        for id in ids {
            self.open.remove(&id);
        }
    }

    /// The action of a composition of this namespace, while it is under way.
    pub fn action_of(&self, namespace: &Namespace, id: ActivationId) -> Option<FullName> {
        let open = self.open.get(&id).filter(|open| open.namespace == *namespace)?;
        Some(open.action.clone())
    }
}

impl Open {
    fn new(progress: &Progress, state: Option<Delivery>) -> Open {
        let (namespace, action) = progress.label();
        Open {
            namespace,
            action,
            state,
            step: progress.step,
        }
    }
}

impl Open {
    /// Keeps the newest state. One that was taken over from another controller may come twice, and late.
    fn hears(&mut self, step: u32, delivery: Delivery) {
        if step < self.step {
            return delivery.commit();
        }
        self.step = step;
        if let Some(older) = self.state.replace(delivery) {
            older.commit();
        }
    }
}

impl Owed {
    fn id(&self) -> ActivationId {
        match self {
            Owed::Record(record) => record.activation_id,
            Owed::Composition(progress) => progress.machine.id(),
        }
    }

    pub fn message(self) -> Message {
        Message::local(Key::Id(self.id().bits()), Arc::new(self))
    }
}

impl Payload for Owed {
    fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("promises serialise").into()
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    fn size(&self) -> usize {
        match self {
            Owed::Record(record) => 1024 + record.response.result.as_str().len() + 256 * record.logs.len(),
            Owed::Composition(progress) => 2048 + progress.machine.weight(),
        }
    }
}

/// Settles what is owed, first what a former life left behind.
pub async fn settle(app: Arc<App>, mut owed: Box<dyn Subscription>) {
    let mut backlog = Backlog::default();
    while let Some(delivery) = next_left(&mut owed, app.work.ledger.topic()).await {
        backlog.add(delivery);
    }
    for (owed, delivery) in backlog.newest() {
        app.take_on(owed, delivery);
    }
    while let Some(delivery) = owed.next().await {
        if let Some((owed, delivery)) = readable(delivery) {
            app.take_on(owed, delivery);
        }
    }
}

/// The next message of what a former life left, or another controller; with a word in the log now and then while it does not
/// come. None at the end.
pub(super) async fn next_left(left: &mut Box<dyn Subscription>, topic: &str) -> Option<Delivery> {
    loop {
        match tokio::time::timeout(PATIENCE, left.next_of_backlog()).await {
            Ok(delivery) => return delivery,
            Err(_) => tracing::warn!(topic, "waiting for the bus to say what was left on a topic"),
        }
    }
}

/// A promise that cannot be read is given up, with a word in the log: it would come back for ever.
fn readable(delivery: Delivery) -> Option<(Arc<Owed>, Delivery)> {
    match read::<Owed>(&delivery) {
        Ok(owed) => Some((owed, delivery)),
        Err(error) => {
            tracing::error!(activation_id = %delivery.key(), %error, "a promise cannot be read and is given up");
            delivery.commit();
            None
        }
    }
}

impl Backlog {
    pub fn add(&mut self, delivery: Delivery) {
        let Some((owed, delivery)) = readable(delivery) else {
            return;
        };
        if let Owed::Composition(progress) = &*owed {
            let (step, place) = (progress.step, self.promises.len());
            match self.states.insert(owed.id(), (step, place)) {
                Some((newer, at)) if newer > step => {
                    self.states.insert(owed.id(), (newer, at));
                    return delivery.commit();
                }
                Some((_, at)) => {
                    let older = self.promises[at].take();
                    older.into_iter().for_each(|(_, older)| older.commit());
                }
                None => {}
            }
        }
        self.promises.push(Some((owed, delivery)));
    }

    /// What counts, in order.
    pub fn newest(self) -> impl Iterator<Item = (Arc<Owed>, Delivery)> {
        self.promises.into_iter().flatten()
    }
}

impl App {
    fn take_on(self: &Arc<App>, owed: Arc<Owed>, delivery: Delivery) {
        match &*owed {
            Owed::Record(record) => {
                let (app, record) = (self.clone(), record.clone());
                self.work.spawn(async move {
                    if planted(Bug::SettlesEarly) {
                        delivery.commit();
                        return app.keep(record).await;
                    }
                    app.keep(record).await;
                    delivery.commit();
                });
            }
            Owed::Composition(progress) => match self.work.ledger.open.entry(owed.id()) {
                Entry::Occupied(mut open) => open.get_mut().hears(progress.step, delivery),
                Entry::Vacant(_) if self.work.ledger.has_ended(owed.id(), progress.step) => delivery.commit(),
                Entry::Vacant(place) => {
                    let fresh = progress.step == 0 && !delivery.redelivered();
                    place.insert(Open::new(progress, Some(delivery)));
                    self.work.spawn(self.clone().bring_to_end((**progress).clone(), fresh));
                }
            },
        }
    }

    /// Works on an accepted composition until its record is stored.
    async fn bring_to_end(self: Arc<App>, progress: Progress, fresh: bool) {
        let (id, mut last) = (progress.machine.id(), progress.step);
        if fresh || !self.is_recorded(progress.namespace(), id).await {
            let terms = progress.terms();
            let (record, step) = Run::accepted(progress).finish(&self).await;
            last = step;
            if terms.keep(&self.config, &record) {
                self.keep(record).await;
            }
        }
        self.work.ledger.close(id, last);
    }

    async fn is_recorded(&self, namespace: &Namespace, id: ActivationId) -> bool {
        loop {
            match self.activations.exists(namespace, id).await {
                Ok(recorded) => return recorded,
                Err(error) => {
                    tracing::warn!(activation_id = %id, %error, "cannot look for a record; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Puts a record on the ledger, from where it is stored; whether the bus has it.
    pub(super) async fn promise(&self, record: &Arc<Activation>) -> bool {
        let message = Owed::Record(record.clone()).message();
        let published = self
            .bus
            .publish(self.work.ledger.topic(), message, Durability::Volatile)
            .await;
        let promised = match published {
            Ok(receipt) => receipt.arrived().await,
            Err(error) => Err(error),
        };
        promised
            .inspect_err(|error| tracing::warn!(%error, "the ledger does not take a record; it is stored without"))
            .is_ok()
    }

    /// Stores a record of the controller's own making, however long it takes; one that the store refuses is replaced by one
    /// that says so. When that is refused too there is none.
    pub(super) async fn keep(&self, mut record: Arc<Activation>) {
        let mut replaced = false;
        while let Err(error) = self.activations.store(vec![record.clone()]).await {
            if error.retryable() {
                tracing::warn!(activation_id = %record.activation_id, %error, "cannot store a record; trying again");
            } else {
                tracing::error!(activation_id = %record.activation_id, replaced, %error, "a record was refused");
                if replaced {
                    return;
                }
                record = Arc::new(stand_in(&record, &error));
                replaced = true;
            }
            // Not all at once: a store that takes many records together may have failed because of one of them.
            tokio::time::sleep(RETRY.mul_f64(0.5 + self.chance.fraction())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsk_bus::TopicConfig;

    async fn subscribed(states: &[Owed]) -> Box<dyn Subscription> {
        let bus = wsk_bus::open(&wsk_bus::Config::default()).unwrap();
        bus.ensure_topic(&TopicConfig::queue("owed0")).await.unwrap();
        for state in states {
            bus.publish("owed0", state.clone().message(), Durability::Durable)
                .await
                .unwrap();
        }
        bus.subscribe("owed0", "controller0", 1).await.unwrap()
    }

    fn composition(step: u32) -> Owed {
        let text = include_str!("../../golden/previous/owed-sequence.json");
        let mut owed: Owed = serde_json::from_str(text).unwrap();
        if let Owed::Composition(progress) = &mut owed {
            progress.step = step;
        }
        owed
    }

    fn steps<'a>(kept: impl Iterator<Item = &'a (Arc<Owed>, Delivery)>) -> Vec<u32> {
        kept.map(|(owed, _)| match &**owed {
            Owed::Composition(progress) => progress.step,
            Owed::Record(_) => panic!("no record was owed"),
        })
        .collect()
    }

    /// In whichever order they come; the others are committed, and do not come back.
    #[tokio::test]
    async fn only_the_newest_state_of_a_composition_counts() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut owed = subscribed(&order.map(composition)).await;
            let mut backlog = Backlog::default();
            while let Some(delivery) = next_left(&mut owed, "owed0").await {
                backlog.add(delivery);
            }
            let kept: Vec<_> = backlog.newest().collect();
            assert_eq!(steps(kept.iter()), [2], "{order:?}");
            drop(kept);
            let again = owed.next_of_backlog().await.unwrap();
            assert!(owed.next_of_backlog().await.is_none(), "an older state came back");
            again.commit();
        }
    }

    #[test]
    fn that_a_composition_has_ended_is_known_after_its_last_state_was_read() {
        let ledger = Ledger::new(&Config::default());
        let id = composition(0).id();
        ledger.note_end(id, 2);
        let heard = [2, 1, 2, 3].map(|step| ledger.has_ended(id, step));
        assert_eq!(heard, [true, true, true, false]);
    }

    /// A state that was passed on from another controller may come late and twice.
    #[tokio::test]
    async fn an_older_state_does_not_take_the_place_of_a_newer_one() {
        let mut owed = subscribed(&[4, 3, 5].map(composition)).await;
        let mut next = async || readable(owed.next_of_backlog().await.unwrap()).unwrap();
        let (first, delivery) = next().await;
        let Owed::Composition(progress) = &*first else {
            panic!("a composition")
        };
        let mut open = Open::new(progress, Some(delivery));
        open.hears(3, next().await.1);
        assert_eq!(open.step, 4);
        open.hears(5, next().await.1);
        assert_eq!(open.step, 5);
        drop(open);
        let (left, delivery) = next().await;
        assert_eq!(steps([(left, delivery)].iter()), [5]);
    }
}
