//! One invoker as a controller sees it: whether it can be used, and what of its memory is given out.

use std::collections::HashMap;
use std::sync::Arc;

use wsk_bus::messages::{InvokerInstance, Node, Ping, invoker_topic};
use wsk_entities::{FullName, Timestamp};
use wsk_planted::{Bug, planted};

use super::{Demand, Health, Outcome, Slot};

/// An invoker is offline after this long without a ping, in milliseconds.
const OFFLINE_AFTER: u64 = 10_000;
/// One trial per this many milliseconds while an invoker is not healthy.
const TRIAL_EVERY: u64 = 60_000;
/// Results remembered per invoker.
const REMEMBERED: u32 = 10;
/// Bad results among them that are borne.
const BORNE: u32 = 3;
/// Least memory a controller may give out per invoker, in MB: the smallest action.
const LEAST_MEMORY: i64 = 128;

/// An action whose containers take several activations, as it was when these were placed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shared {
    pub action: FullName,
    pub memory: u32,
    pub concurrency: u32,
}

#[derive(Debug)]
pub struct Invoker {
    pub instance: InvokerInstance,
    /// What it said of its machine; older ones say nothing.
    pub node: Option<Node>,
    pub topic: Arc<str>,
    enabled: bool,
    last_ping: Timestamp,
    last_trial: Timestamp,
    recent: Recent,
    pub capacity: i64,
    /// MB; negative when over-committed.
    pub free: i64,
    /// Activations per action whose containers take several.
    pub shared: HashMap<Shared, u32>,
}

/// The last results of an invoker, newest in the lowest bit.
#[derive(Debug, Default)]
struct Recent {
    system_errors: u32,
    forced: u32,
}

impl Recent {
    fn note(&mut self, outcome: Outcome) {
        let (error, forced) = match outcome {
            Outcome::Fine => (0, 0),
            Outcome::SystemError => (1, 0),
            Outcome::Forced => (0, 1),
            Outcome::Unpublished => return,
        };
        let keep = (1 << REMEMBERED) - 1;
        self.system_errors = ((self.system_errors << 1) | error) & keep;
        self.forced = ((self.forced << 1) | forced) & keep;
    }
}

impl Invoker {
    pub fn new(ping: &Ping, cluster_size: u32, now: Timestamp) -> Invoker {
        let capacity = capacity(&ping.name, cluster_size);
        Invoker {
            topic: invoker_topic(ping.name.instance).into(),
            instance: ping.name.clone(),
            node: ping.node.clone(),
            enabled: ping.is_enabled,
            last_ping: now,
            last_trial: 0,
            recent: Recent::default(),
            capacity,
            free: capacity,
            shared: HashMap::new(),
        }
    }

    /// It said that it is there. Gives whether it says something else than before of what it takes.
    pub fn ping(&mut self, ping: &Ping, cluster_size: u32, now: Timestamp) -> bool {
        let changed = self.instance != ping.name || self.node != ping.node;
        if changed {
            let capacity = capacity(&ping.name, cluster_size);
            self.free += capacity - self.capacity;
            self.capacity = capacity;
            self.instance = ping.name.clone();
            self.node = ping.node.clone();
        }
        if self.health(now) == Health::Down {
            // A new life of the invoker: what its last one did says nothing.
            self.recent = Recent::default();
        }
        self.enabled = ping.is_enabled;
        self.last_ping = now;
        changed
    }

    /// Work was placed on it, as a trial when it is not healthy.
    pub fn note_placed(&mut self, now: Timestamp) {
        if self.health(now) != Health::Up {
            self.last_trial = now;
        }
    }

    /// Takes back what a slot held, and remembers how it went.
    pub fn release(&mut self, slot: Slot, outcome: Outcome) {
        self.recent.note(outcome);
        if outcome == Outcome::Fine {
            // A trial that went well earns the next one at once, so that recovery takes seconds, not minutes.
            self.last_trial = 0;
        }
        self.give_back(slot);
    }

    pub fn health(&self, now: Timestamp) -> Health {
        if now.saturating_sub(self.last_ping) >= OFFLINE_AFTER && !planted(Bug::TrustsTheSilent) {
            Health::Down
        } else if self.recent.forced.count_ones() > BORNE {
            Health::Unresponsive
        } else if !self.enabled || self.recent.system_errors.count_ones() > BORNE {
            Health::Unhealthy
        } else {
            Health::Up
        }
    }

    /// Whether it may get work now. An unhealthy one is tried once in a while, which is how it recovers.
    pub fn usable(&self, now: Timestamp) -> bool {
        match self.health(now) {
            Health::Up => true,
            Health::Unhealthy | Health::Unresponsive => {
                self.enabled && now.saturating_sub(self.last_trial) >= TRIAL_EVERY
            }
            Health::Down => false,
        }
    }

    /// Takes room for one activation, if there is.
    pub fn try_take(&mut self, demand: &Demand<'_>) -> bool {
        let needed = self.needed(demand);
        let fits = needed == 0 || self.free >= needed;
        if fits {
            self.take(demand);
        }
        fits
    }

    /// MB that one more activation takes: nothing when a container of its action has a free place.
    fn needed(&self, demand: &Demand<'_>) -> i64 {
        let running = demand
            .shared()
            .and_then(|shared| self.shared.get(&shared).copied())
            .unwrap_or(0);
        if running.is_multiple_of(demand.concurrency.max(1)) {
            i64::from(demand.memory)
        } else {
            0
        }
    }

    pub fn take(&mut self, demand: &Demand<'_>) {
        self.free -= self.needed(demand);
        if let Some(shared) = demand.shared() {
            *self.shared.entry(shared).or_insert(0) += 1;
        }
    }

    fn give_back(&mut self, slot: Slot) {
        let Some(shared) = slot.shared else {
            self.free += i64::from(slot.memory);
            return;
        };
        let running = self
            .shared
            .get_mut(&shared)
            .expect("a slot's action is counted until the slot is released");
        *running -= 1;
        if running.is_multiple_of(shared.concurrency) || planted(Bug::FreesSharedMemory) {
            self.free += i64::from(slot.memory);
        }
        if *running == 0 {
            self.shared.remove(&shared);
        }
    }
}

fn capacity(instance: &InvokerInstance, cluster_size: u32) -> i64 {
    (megabytes(&instance.user_memory) / i64::from(cluster_size)).max(LEAST_MEMORY)
}

/// MB of a size such as `2048 MB`, `2 GB` or `1048576 B`; 0 when it cannot be read.
pub(super) fn megabytes(size: &str) -> i64 {
    let size = size.trim();
    let digits = size.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = size[..digits].parse().unwrap_or(0);
    match size[digits..].trim().to_ascii_uppercase().as_str() {
        "G" | "GB" => number.saturating_mul(1024),
        "K" | "KB" => number / 1024,
        "B" => number / (1 << 20),
        _ => number,
    }
}
