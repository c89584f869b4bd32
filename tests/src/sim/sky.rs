//! What the weather is like, and what is known beyond any node: who is silent, what has its record, what was handed to whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;
use wsk_bus::{Key, Message};
use wsk_containers::scripted::watched::Watched;
use wsk_entities::ActivationId;
use wsk_store::Error as StoreError;

use super::plan::Weather;

/// A controller knows of a silent invoker after ten seconds; a heartbeat may have been on its way for five before that, and wait
/// for three to be read.
const NOTICED: Duration = Duration::from_millis(19_500);
/// What was committed last before a consumer died may not have reached the broker: Kafka is told every 100 ms, and an answer
/// may take a while.
const UNCOMMITTED: Duration = Duration::from_secs(1);

/// One for the whole cluster.
pub struct Sky {
    weather: Mutex<Weather>,
    rng: Mutex<StdRng>,
    store: Mutex<Store>,
    /// Whether the bus is away.
    bus: Watched<bool>,
    /// Whether few announced changes may wait.
    narrow: bool,
    facts: Mutex<Facts>,
}

#[derive(Clone, Copy, Default)]
struct Store {
    away: bool,
    slow: bool,
}

#[derive(Default)]
struct Facts {
    /// What has a record that lasts.
    recorded: BTreeSet<ActivationId>,
    /// Topics whose reader is silent, and since when.
    silent: BTreeMap<String, Instant>,
    /// Topics whose reader has lost its place in the group.
    expelled: BTreeSet<String>,
    /// Until when some controllers cannot know who is silent: they were frozen, or the bus was away.
    blind: Option<Instant>,
    /// What readers were handed lately, by topic.
    handed: BTreeMap<String, VecDeque<(Instant, Message)>>,
    /// Activations that a second reader got while the first still had them.
    doubled: BTreeSet<ActivationId>,
    /// Activations that a well reader was given again, by topic.
    copied: BTreeMap<String, BTreeSet<ActivationId>>,
    /// Activations whose publish had an unknown outcome.
    undecided: BTreeSet<ActivationId>,
    wrong: Vec<String>,
}

impl Sky {
    pub fn new(rng: StdRng, narrow: bool) -> Arc<Sky> {
        Arc::new(Sky {
            narrow,
            weather: Mutex::default(),
            rng: Mutex::new(rng),
            store: Mutex::default(),
            bus: Watched::new(false),
            facts: Mutex::default(),
        })
    }

    pub fn is_narrow(&self) -> bool {
        self.narrow
    }

    pub fn set(&self, weather: Weather) {
        *self.weather.lock().expect("no panic under this lock") = weather;
    }

    pub fn clear(&self) {
        self.set(Weather::default());
        self.store_away(false);
        self.store_slow(false);
        self.bus_away(false);
    }

    pub fn store_away(&self, away: bool) {
        self.store.lock().expect("no panic under this lock").away = away;
    }

    pub fn store_slow(&self, slow: bool) {
        self.store.lock().expect("no panic under this lock").slow = slow;
    }

    pub fn bus_away(&self, away: bool) {
        if self.bus.set(away) && !away {
            self.blind_for_a_while();
        }
    }

    pub fn is_bus_away(&self) -> bool {
        self.bus.get()
    }

    /// Resolves while the bus is there.
    pub async fn bus_there(&self) {
        self.bus.until(|away| !away).await;
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

    pub async fn pause(&self, least: u64, most: u64) {
        tokio::time::sleep(Duration::from_millis(least + self.draw(most - least + 1))).await;
    }

    pub async fn delay(&self) {
        let longest = self.weather().delay;
        if longest > 0 {
            self.pause(0, longest).await;
        }
    }

    /// What a store call meets before it has done anything.
    pub async fn store_call(&self) -> Result<(), StoreError> {
        self.delay().await;
        let Store { away, slow } = *self.store.lock().expect("no panic under this lock");
        if slow || self.chance(self.weather().slow) {
            self.pause(1_000, 4_000).await;
        }
        if away || self.chance(self.weather().store_error) {
            return Err(StoreError::Unavailable("simulated outage".to_owned()));
        }
        Ok(())
    }

    /// What a store call meets after it has done its work.
    pub fn store_answer(&self) -> Result<(), StoreError> {
        match self.chance(self.weather().lost_answer) {
            true => Err(StoreError::Unavailable("simulated loss of the answer".to_owned())),
            false => Ok(()),
        }
    }

    pub fn recorded(&self, ids: impl IntoIterator<Item = ActivationId>) {
        self.facts().recorded.extend(ids);
    }

    pub fn is_recorded(&self, id: ActivationId) -> bool {
        self.facts().recorded.contains(&id)
    }

    /// The reader of a topic says nothing any more.
    pub fn silent(&self, topic: &str) {
        self.facts().silent.insert(topic.to_owned(), Instant::now());
    }

    /// It is back.
    pub fn heard(&self, topic: &str) {
        let mut facts = self.facts();
        facts.silent.remove(topic);
        facts.expelled.remove(topic);
    }

    pub fn blind_for_a_while(&self) {
        self.facts().blind = Some(Instant::now() + NOTICED);
    }

    /// Somebody publishes to a topic: nobody gives work to one that has been silent for long.
    pub fn published(&self, topic: &str) {
        let mut facts = self.facts();
        let Some(since) = facts.silent.get(topic).copied() else {
            return;
        };
        let now = Instant::now();
        // Whoever was blind in the meantime has to count anew.
        let known = facts.blind.map_or(since, |blind| since.max(blind));
        if now.saturating_duration_since(known) > NOTICED {
            let silent = now.duration_since(since);
            facts
                .wrong
                .push(format!("{topic} was given work after {silent:?} of silence"));
        }
    }

    /// A reader was handed a message.
    pub fn handed(&self, topic: &str, message: &Message) {
        let mut facts = self.facts();
        let Facts { handed, recorded, .. } = &mut *facts;
        let lately = handed.entry(topic.to_owned()).or_default();
        let now = Instant::now();
        let over = |(at, message): &(Instant, Message)| {
            now.duration_since(*at) > UNCOMMITTED && activation(message).is_none_or(|id| recorded.contains(&id))
        };
        while lately.front().is_some_and(over) {
            lately.pop_front();
        }
        lately.push_back((now, message.clone()));
    }

    /// The reader of a topic dies: what it finished last, of which the broker may not have heard.
    pub fn uncommitted(&self, topic: &str) -> Vec<Message> {
        let mut facts = self.facts();
        let Facts { handed, recorded, .. } = &mut *facts;
        let lately = handed.remove(topic).unwrap_or_default().into_iter();
        lately
            .filter(|(at, message)| {
                at.elapsed() <= UNCOMMITTED && activation(message).is_some_and(|id| recorded.contains(&id))
            })
            .map(|(_, message)| message)
            .collect()
    }

    /// The reader of a topic loses its place in the group: everything it has not finished, the newest message of each
    /// activation. The reader itself does not know, and goes on with it.
    pub fn expel(&self, topic: &str) -> Vec<Message> {
        let mut facts = self.facts();
        let Facts {
            handed,
            recorded,
            doubled,
            expelled,
            ..
        } = &mut *facts;
        expelled.insert(topic.to_owned());
        let lately = handed.remove(topic).unwrap_or_default().into_iter();
        let mut open: Vec<(ActivationId, Message)> = Vec::new();
        for (_, message) in lately {
            let Some(id) = activation(&message).filter(|id| !recorded.contains(id)) else {
                continue;
            };
            open.retain(|(other, _)| *other != id);
            open.push((id, message));
        }
        doubled.extend(open.iter().map(|(id, _)| *id));
        open.into_iter().map(|(_, message)| message).collect()
    }

    /// The readers of a topic are agreed on anew while its reader is well: everything it has not finished, and what it finished
    /// so lately that the broker has not heard.
    pub fn regrouped(&self, topic: &str) -> Vec<Message> {
        let mut facts = self.facts();
        let lately = facts.handed.get(topic).into_iter().flatten();
        let mut open: Vec<(ActivationId, Message)> = Vec::new();
        for (at, message) in lately {
            let Some(id) = activation(message) else { continue };
            if at.elapsed() <= UNCOMMITTED || !facts.recorded.contains(&id) {
                open.retain(|(other, _)| *other != id);
                open.push((id, message.clone()));
            }
        }
        let copied = facts.copied.entry(topic.to_owned()).or_default();
        copied.extend(open.iter().map(|(id, _)| *id));
        open.into_iter().map(|(_, message)| message).collect()
    }

    /// The reader of a topic ends and gives back what it has. What it was given again is one message to a broker and two to the
    /// bus in memory, which two others may get.
    pub fn gives_back(&self, topic: &str) {
        let mut facts = self.facts();
        let Facts {
            recorded,
            doubled,
            copied,
            ..
        } = &mut *facts;
        let copied = copied.remove(topic).unwrap_or_default().into_iter();
        doubled.extend(copied.filter(|id| !recorded.contains(id)));
    }

    pub fn is_expelled(&self, topic: &str) -> bool {
        self.facts().expelled.contains(topic)
    }

    pub fn is_doubled(&self, id: ActivationId) -> bool {
        self.facts().doubled.contains(&id)
    }

    pub fn undecided<'a>(&self, messages: impl Iterator<Item = &'a Message>) {
        self.facts().undecided.extend(messages.filter_map(activation));
    }

    pub fn is_undecided(&self, id: ActivationId) -> bool {
        self.facts().undecided.contains(&id)
    }

    pub fn note_wrong(&self, what: String) {
        self.facts().wrong.push(what);
    }

    /// What nodes did that they must not do.
    pub fn wrong(&self) -> Vec<String> {
        self.facts().wrong.clone()
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().expect("no panic under this lock")
    }
}

/// The activation that a message is about.
fn activation(message: &Message) -> Option<ActivationId> {
    match message.key {
        Key::Id(bits) => format!("{bits:032x}").parse().ok(),
        Key::None | Key::Text(_) => None,
    }
}
