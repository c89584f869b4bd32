//! Which invoker runs an activation: upstream's sharding balancer.
//!
//! Pure: time and chance are arguments. The home invoker of an action follows from a hash of the invoking namespace and
//! the action's name; from there the pool is probed in steps that are coprime with its size, until a usable invoker has
//! memory free. When none has, a usable one is chosen at random and over-committed. What is in the way of running at all
//! (no usable invoker) is left to the caller to say.
//!
//! Invariants: capacity that a [`Slot`] took is given back exactly once, when [`Balancer::release`] consumes it; an
//! invoker that is offline, unhealthy or unresponsive gets no work, but for one trial a minute while it is unhealthy.
//! Upstream behaviour honoured: §7.1 of the facts, hash included.

mod invoker;

use std::sync::Arc;

use invoker::{Invoker, Shared};
use wsk_bus::messages::InvokerInstance;
use wsk_entities::{FullName, Namespace, Timestamp};

/// Invokers and what this controller placed on them.
#[derive(Debug)]
pub struct Balancer {
    cluster_size: u32,
    invokers: Vec<Invoker>,
    managed: Pool,
    blackbox: Pool,
}

/// What is to be placed.
#[derive(Debug)]
pub struct Demand<'a> {
    /// The invoking namespace.
    pub namespace: &'a Namespace,
    pub action: &'a FullName,
    /// MB.
    pub memory: u32,
    /// Activations that one container of the action takes at the same time.
    pub concurrency: u32,
    pub blackbox: bool,
}

/// Capacity taken on an invoker. Not `Clone`: it is given back once.
#[derive(Debug)]
#[must_use = "capacity is lost until the slot is released"]
pub struct Slot {
    /// Index among the invokers.
    at: usize,
    memory: u32,
    shared: Option<Shared>,
}

/// Where an activation goes.
#[derive(Debug)]
pub struct Placement {
    pub slot: Slot,
    pub topic: Arc<str>,
    /// Whether no usable invoker had room.
    pub overcommitted: bool,
}

/// How the activation in a slot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Fine,
    SystemError,
    /// No word came in time.
    Forced,
    /// It was never published; says nothing about the invoker.
    Unpublished,
}

/// State of an invoker, named as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    Up,
    Unhealthy,
    Unresponsive,
    Down,
}

impl Demand<'_> {
    /// None when every activation gets a container of its own, as is usual.
    fn shared(&self) -> Option<Shared> {
        let (memory, concurrency) = (self.memory, self.concurrency);
        (concurrency > 1).then(|| Shared {
            action: self.action.clone(),
            memory,
            concurrency,
        })
    }
}

impl Health {
    /// The word operators read.
    pub fn text(self) -> &'static str {
        match self {
            Health::Up => "up",
            Health::Unhealthy => "unhealthy",
            Health::Unresponsive => "unresponsive",
            Health::Down => "down",
        }
    }
}

/// A range of the invokers, with the steps to probe it.
#[derive(Debug, Default)]
struct Pool {
    first: usize,
    size: usize,
    steps: Vec<usize>,
}

impl Pool {
    fn new(first: usize, size: usize) -> Pool {
        Pool {
            first,
            size,
            steps: coprime_steps(size),
        }
    }
}

impl Balancer {
    pub fn new(cluster_size: u32) -> Balancer {
        Balancer {
            cluster_size: cluster_size.max(1),
            invokers: Vec::new(),
            managed: Pool::default(),
            blackbox: Pool::default(),
        }
    }

    /// An invoker said that it is there. Invokers keep their number and with it their place.
    pub fn ping(&mut self, instance: &InvokerInstance, enabled: bool, now: Timestamp) {
        let known = |invoker: &&mut Invoker| invoker.instance.instance == instance.instance;
        match self.invokers.iter_mut().find(known) {
            Some(invoker) => invoker.ping(instance, enabled, self.cluster_size, now),
            None => {
                let invoker = Invoker::new(instance.clone(), enabled, self.cluster_size, now);
                self.invokers.push(invoker);
                self.divide();
            }
        }
    }

    /// Finds a place for an activation; none when no invoker of its pool is usable. `chance` is a random number.
    pub fn place(&mut self, demand: &Demand<'_>, now: Timestamp, chance: u64) -> Option<Placement> {
        let pool = if demand.blackbox { &self.blackbox } else { &self.managed };
        if pool.size == 0 {
            return None;
        }
        let hash = hash(demand.namespace, demand.action) as usize;
        let (first, size) = (pool.first, pool.size);
        let (mut at, step) = (hash % size, pool.steps[hash % pool.steps.len()]);
        for _ in 0..size {
            let invoker = &mut self.invokers[first + at];
            if invoker.usable(now) && invoker.try_take(demand) {
                return Some(self.placed(first + at, demand, now, false));
            }
            at = (at + step) % size;
        }
        self.overcommit(first, size, demand, now, chance)
    }

    fn overcommit(
        &mut self,
        first: usize,
        size: usize,
        demand: &Demand<'_>,
        now: Timestamp,
        chance: u64,
    ) -> Option<Placement> {
        let usable = |at: &usize| self.invokers[*at].usable(now);
        let count = (first..first + size).filter(usable).count();
        if count == 0 {
            return None;
        }
        let at = (first..first + size)
            .filter(usable)
            .nth((chance % count as u64) as usize)?;
        self.invokers[at].take(demand);
        Some(self.placed(at, demand, now, true))
    }

    fn placed(&mut self, at: usize, demand: &Demand<'_>, now: Timestamp, overcommitted: bool) -> Placement {
        let invoker = &mut self.invokers[at];
        invoker.note_placed(now);
        Placement {
            slot: Slot {
                at,
                memory: demand.memory,
                shared: demand.shared(),
            },
            topic: invoker.topic.clone(),
            overcommitted,
        }
    }

    /// Gives capacity back and remembers how it went.
    pub fn release(&mut self, slot: Slot, outcome: Outcome) {
        self.invokers[slot.at].release(slot, outcome);
    }

    /// Every invoker's name (`invoker<n>/unique/displayed`) and state.
    pub fn states(&self, now: Timestamp) -> Vec<(String, Health)> {
        let name = |instance: &InvokerInstance| {
            let mut name = format!("invoker{}", instance.instance);
            for part in [&instance.unique_name, &instance.displayed_name].into_iter().flatten() {
                name.push('/');
                name.push_str(part);
            }
            name
        };
        self.invokers
            .iter()
            .map(|invoker| (name(&invoker.instance), invoker.health(now)))
            .collect()
    }

    /// MB placed on the invokers of a pool, and MB they have.
    pub fn memory(&self, blackbox: bool) -> (i64, i64) {
        let pool = if blackbox { &self.blackbox } else { &self.managed };
        let invokers = &self.invokers[pool.first..pool.first + pool.size];
        (
            invokers.iter().map(|i| i.capacity - i.free).sum(),
            invokers.iter().map(|i| i.capacity).sum(),
        )
    }

    /// The first nine tenths run managed kinds, the last tenth blackboxes; at least one each.
    fn divide(&mut self) {
        let n = self.invokers.len();
        let managed = (n * 9).div_ceil(10).max(1);
        let blackbox = (n / 10).max(1);
        self.managed = Pool::new(0, managed);
        self.blackbox = Pool::new(n - blackbox, blackbox);
    }
}

/// The absolute value of the two names' hashes XORed, as the Java virtual machine hashes strings.
fn hash(namespace: &Namespace, action: &FullName) -> u32 {
    let step = |hash: i32, b: u8| hash.wrapping_mul(31).wrapping_add(i32::from(b));
    let of = |hash: i32, text: &str| text.bytes().fold(hash, step);
    let mut path = of(0, action.namespace().as_str());
    for part in action.package().into_iter().chain([&action.name]) {
        path = of(step(path, b'/'), part.as_str());
    }
    (of(0, namespace.as_str()) ^ path).unsigned_abs()
}

/// Numbers up to `n` that are coprime with it and with each other, 1 first.
fn coprime_steps(n: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = Vec::new();
    for candidate in 1..=n.max(1) {
        if gcd(candidate, n.max(1)) == 1 && steps.iter().all(|step| gcd(candidate, *step) == 1) {
            steps.push(candidate);
        }
    }
    steps
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
