//! Entities read lately, and what names resolve to.
//!
//! Positive entries only. A controller sees its own writes at once; others tell it over the bus. Two layers: entities by
//! their own name, and actions by the name a caller used, merged with the parameters of package and binding. A resolved
//! action holds on to the entities it was made from; as soon as one of them is replaced or dropped it is *stale* and is
//! resolved anew, so no list of dependents is kept.
//!
//! Bounded twice, by entries and by bytes: each shard has a hot and a cold half. What is used moves to the hot half; when
//! that is full it becomes the cold one and the old cold one is forgotten. Races are settled by tickets: who fills the cache
//! takes one before reading the store, and a value is kept only if nobody wrote under the shard meanwhile.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use wsk_entities::{Action, Collection, Entity, FullName, Package, Rule, Trigger};
use wsk_store::{Revision, Stored};

use super::fire::Known;
use super::resolve::ResolvedAction;

const SHARDS: usize = 16;
/// What an entry weighs besides its parameters, in bytes.
const OVERHEAD: usize = 1024;

/// The cache of one controller.
pub struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    limit: Limit,
}

/// An entity as it was read or written.
#[derive(Debug)]
pub struct Entry {
    pub value: Value,
    pub revision: Revision,
    /// What fires need of each rule of a trigger, in order; made by the first fire.
    pub rules: OnceLock<Arc<[Known]>>,
    stale: AtomicBool,
}

/// An entity that can be shared.
#[derive(Debug, Clone)]
pub enum Value {
    Action(Arc<Action>),
    Trigger(Arc<Trigger>),
    Rule(Arc<Rule>),
    Package(Arc<Package>),
}

/// Taken before the store is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// Per half of a shard.
#[derive(Debug, Clone, Copy)]
struct Limit {
    entries: usize,
    bytes: usize,
}

#[derive(Default)]
struct Shard {
    writes: u64,
    entities: Halves<Arc<Entry>>,
    resolved: Halves<Arc<ResolvedAction>>,
}

struct Halves<V> {
    hot: HashMap<FullName, V>,
    cold: HashMap<FullName, V>,
    bytes: usize,
}

impl<V> Default for Halves<V> {
    fn default() -> Halves<V> {
        Halves {
            hot: HashMap::new(),
            cold: HashMap::new(),
            bytes: 0,
        }
    }
}

impl<V: Clone> Halves<V> {
    fn get(&mut self, name: &FullName, limit: Limit) -> Option<V> {
        if let Some(value) = self.hot.get(name) {
            return Some(value.clone());
        }
        if self.hot.len() >= limit.entries {
            return self.cold.get(name).cloned();
        }
        // Its weight is not known here any more: promoted entries are bounded by their number alone.
        let (name, value) = self.cold.remove_entry(name)?;
        self.hot.insert(name, value.clone());
        Some(value)
    }

    /// Keeps a value; gives back what had to go.
    fn insert(&mut self, name: FullName, value: V, bytes: usize, limit: Limit) -> Vec<V> {
        let mut gone: Vec<V> = self.remove(&name).into_iter().collect();
        if self.hot.len() >= limit.entries || (self.bytes + bytes > limit.bytes && !self.hot.is_empty()) {
            let hot = std::mem::take(&mut self.hot);
            gone.extend(std::mem::replace(&mut self.cold, hot).into_values());
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.hot.insert(name, value);
        gone
    }

    fn remove(&mut self, name: &FullName) -> Option<V> {
        self.hot.remove(name).or_else(|| self.cold.remove(name))
    }

    fn clear(&mut self) -> impl Iterator<Item = V> {
        self.bytes = 0;
        std::mem::take(&mut self.hot)
            .into_values()
            .chain(std::mem::take(&mut self.cold).into_values())
    }
}

impl Entry {
    fn new(value: Value, revision: Revision, stale: bool) -> Arc<Entry> {
        Arc::new(Entry {
            value,
            revision,
            rules: OnceLock::new(),
            stale: AtomicBool::new(stale),
        })
    }

    /// Whether something newer may exist.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    fn retire(&self) {
        self.stale.store(true, Ordering::Release);
    }
}

impl Value {
    pub fn collection(&self) -> Collection {
        match self {
            Value::Action(_) => Collection::Actions,
            Value::Trigger(_) => Collection::Triggers,
            Value::Rule(_) => Collection::Rules,
            Value::Package(_) => Collection::Packages,
        }
    }

    fn weight(&self) -> usize {
        let bytes = match self {
            Value::Action(e) => e.parameters.size() + e.annotations.size(),
            Value::Trigger(e) => {
                e.parameters.size() + e.annotations.size() + 512 * e.rules.as_ref().map_or(0, |r| r.len() as u64)
            }
            Value::Rule(e) => e.annotations.size(),
            Value::Package(e) => e.parameters.size() + e.annotations.size(),
        };
        OVERHEAD + usize::try_from(bytes).unwrap_or(usize::MAX / 2)
    }
}

impl From<Entity> for Value {
    fn from(entity: Entity) -> Value {
        match entity {
            Entity::Action(e) => Value::Action(Arc::new(e)),
            Entity::Trigger(e) => Value::Trigger(Arc::new(e)),
            Entity::Rule(e) => Value::Rule(Arc::new(e)),
            Entity::Package(e) => Value::Package(Arc::new(e)),
        }
    }
}

impl Cache {
    /// A cache of about so many entities, and about so many bytes.
    pub fn new(entries: usize, bytes: usize) -> Cache {
        let share = |total: usize| (total / (2 * SHARDS)).max(1);
        Cache {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            limit: Limit {
                entries: share(entries),
                bytes: share(bytes),
            },
        }
    }

    pub fn get(&self, name: &FullName) -> Option<Arc<Entry>> {
        self.shard(name).entities.get(name, self.limit)
    }

    /// As [`Cache::get`], by somebody whose looking is no use.
    pub fn peek(&self, name: &FullName) -> Option<Arc<Entry>> {
        let shard = self.shard(name);
        let found = shard.entities.hot.get(name).or_else(|| shard.entities.cold.get(name));
        found.cloned()
    }

    /// The names of all entities, sorted.
    pub fn names(&self) -> Vec<FullName> {
        let mut names = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().expect("no holder of a shard panics");
            names.extend(shard.entities.hot.keys().chain(shard.entities.cold.keys()).cloned());
        }
        names.sort_unstable();
        names
    }

    /// What a name resolved to, when all that it was made from is still current.
    pub fn resolved(&self, name: &FullName) -> Option<Arc<ResolvedAction>> {
        let mut shard = self.shard(name);
        let found = shard.resolved.get(name, self.limit)?;
        if found.is_current() {
            return Some(found);
        }
        shard.resolved.remove(name);
        None
    }

    pub fn keep_resolved(&self, name: &FullName, resolved: &Arc<ResolvedAction>) {
        let bytes = OVERHEAD + usize::try_from(resolved.parameters.size()).unwrap_or(usize::MAX / 2);
        self.shard(name)
            .resolved
            .insert(name.clone(), Arc::clone(resolved), bytes, self.limit);
    }

    pub fn ticket(&self, name: &FullName) -> Ticket {
        Ticket(self.shard(name).writes)
    }

    /// What the store answered. Kept unless somebody wrote since the ticket was taken.
    pub fn fill(&self, name: &FullName, stored: Stored<Entity>, ticket: Ticket) -> Arc<Entry> {
        let mut shard = self.shard(name);
        let current = shard.writes == ticket.0;
        let entry = Entry::new(stored.value.into(), stored.revision, !current);
        if current {
            self.keep(&mut shard, name, &entry);
        }
        entry
    }

    /// What was written. Another write that overlapped with this one leaves the cache empty rather than in doubt.
    pub fn written(&self, name: &FullName, stored: Stored<Entity>, ticket: Ticket) -> Arc<Entry> {
        let mut shard = self.shard(name);
        let alone = shard.writes == ticket.0;
        shard.writes += 1;
        let entry = Entry::new(stored.value.into(), stored.revision, !alone);
        if let Some(old) = shard.entities.remove(name) {
            old.retire();
        }
        if alone {
            self.keep(&mut shard, name, &entry);
        }
        entry
    }

    /// Forgets an entity that was deleted here or changed elsewhere.
    pub fn forget(&self, name: &FullName) {
        let mut shard = self.shard(name);
        shard.writes += 1;
        if let Some(old) = shard.entities.remove(name) {
            old.retire();
        }
    }

    /// Forgets everything: messages about changes were lost.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().expect("no holder of a shard panics");
            shard.writes += 1;
            shard.entities.clear().for_each(|e| e.retire());
            drop(shard.resolved.clear());
        }
    }

    fn keep(&self, shard: &mut Shard, name: &FullName, entry: &Arc<Entry>) {
        let gone = shard
            .entities
            .insert(name.clone(), Arc::clone(entry), entry.value.weight(), self.limit);
        // What is not in the cache is not told of changes, so nothing may rely on it any longer.
        gone.iter().for_each(|e| e.retire());
    }

    fn shard(&self, name: &FullName) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(name) as usize % SHARDS;
        self.shards[at].lock().expect("no holder of a shard panics")
    }
}

#[cfg(test)]
mod tests;
