//! Which invoker runs an activation: upstream's sharding balancer.
//!
//! Pure: time and chance are arguments. The home invoker of an action follows from a hash of the invoking namespace and
//! the action's name; from there the pool is probed in steps that are coprime with its size, until a usable invoker that
//! suits ([`Wants`]) has memory free. When none has, one is chosen at random and over-committed. Where nobody in the pool will
//! do, the whole cluster is the pool.
//!
//! Invariants: capacity that a [`Slot`] took is given back exactly once, when [`Balancer::release`] consumes it; an
//! invoker that is offline, unhealthy or unresponsive gets no work, but for one trial a minute while it is unhealthy; one whose
//! machine cannot run a program gets it only when no other can, and is told so ([`Placement::last`]). Where all invokers
//! are alike, an action's home and the order of probing are what they are without wants.
//! Upstream behaviour honoured: pools, hash, steps and over-commitment of the sharding balancer, and its rules of an invoker's
//! health; annotations of the queue-based scheduler.

mod invoker;
mod pool;
mod wants;

use std::collections::HashSet;
use std::sync::Arc;

use invoker::{Invoker, Shared};
use pool::Pool;
use wants::{Rank, Sieve};
pub use wants::{Refusal, Wants};
use wsk_bus::messages::{InvokerInstance, Ping};
use wsk_entities::{Architecture, FullName, Namespace, Timestamp};

/// Invokers and what this controller placed on them.
#[derive(Debug)]
pub struct Balancer {
    cluster_size: u32,
    invokers: Vec<Invoker>,
    /// MB free of each invoker, as it says itself; close together, because probing passes over many that are full.
    room: Vec<i64>,
    managed: Pool,
    blackbox: Pool,
    whole: Pool,
    /// Namespaces with invokers of their own.
    owners: HashSet<String>,
    /// What some invoker found out that its machine cannot run.
    unfit: HashSet<String>,
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
    /// What its action asks of the invoker.
    pub wants: &'a Wants,
    /// Invokers that could not run it.
    pub refused: &'a [u32],
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
    /// Whether no invoker's machine can run it: this one is to say so.
    pub last: bool,
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

impl Balancer {
    pub fn new(cluster_size: u32) -> Balancer {
        Balancer {
            cluster_size: cluster_size.max(1),
            invokers: Vec::new(),
            room: Vec::new(),
            managed: Pool::default(),
            blackbox: Pool::default(),
            whole: Pool::default(),
            owners: HashSet::new(),
            unfit: HashSet::new(),
        }
    }

    /// As [`Balancer::hear`], of an invoker that does not say what its machine can run.
    pub fn ping(&mut self, instance: &InvokerInstance, enabled: bool, now: Timestamp) {
        let ping = Ping {
            name: instance.clone(),
            is_enabled: enabled,
            node: None,
        };
        self.hear(&ping, now);
    }

    /// An invoker said that it is there. Invokers keep their number and with it their place.
    pub fn hear(&mut self, ping: &Ping, now: Timestamp) {
        let known = |invoker: &&mut Invoker| invoker.instance.instance == ping.name.instance;
        let (at, changed) = match self.invokers.iter_mut().enumerate().find(|(_, invoker)| known(invoker)) {
            Some((at, invoker)) => (at, invoker.ping(ping, self.cluster_size, now)),
            None => {
                self.invokers.push(Invoker::new(ping, self.cluster_size, now));
                self.room.push(0);
                self.divide();
                (self.invokers.len() - 1, true)
            }
        };
        self.note_room(at);
        if changed {
            let dedicated = |invoker: &Invoker| invoker.instance.dedicated_namespaces.clone();
            let unfit = |invoker: &Invoker| invoker.node.as_ref().map(|node| node.unfit.clone());
            let (mut owners, mut found) = (HashSet::new(), HashSet::new());
            for invoker in &self.invokers {
                owners.extend(dedicated(invoker).iter().cloned());
                found.extend(unfit(invoker).iter().flat_map(|unfit| unfit.iter().cloned()));
            }
            (self.owners, self.unfit) = (owners, found);
        }
    }

    /// Finds a place for an activation. `chance` is a random number.
    ///
    /// # Errors
    /// [`Refusal`], when no invoker that may take it is usable.
    pub fn place(&mut self, demand: &Demand<'_>, now: Timestamp, chance: u64) -> Result<Placement, Refusal> {
        let sieve = Sieve::new(
            demand,
            self.owners.contains(demand.namespace.as_str()),
            self.barred(demand, now),
        );
        let ranks = demand.wants.ranks();
        if let Some((at, overcommitted)) = self.find(&sieve, demand, ranks, now, chance) {
            return Ok(self.placed(at, demand, now, overcommitted, false));
        }
        if !self.invokers.iter().any(|invoker| invoker.usable(now)) {
            return Err(Refusal::NoneUp);
        }
        let suits = |invoker: &Invoker| sieve.rank(invoker).is_some_and(|rank| rank != Rank::Unfit);
        if !self.invokers.iter().any(suits)
            && let Some((at, overcommitted)) = self.find(&sieve, demand, &[Rank::Unfit], now, chance)
        {
            return Ok(self.placed(at, demand, now, overcommitted, true));
        }
        Err(Refusal::NoneFits(sieve.explain(self.invokers.iter())))
    }

    /// Architectures that are known not to do: of invokers that refused it, or that are up and say so.
    fn barred(&self, demand: &Demand<'_>, now: Timestamp) -> Vec<Architecture> {
        let keys = demand.wants.keys();
        let told = !self.unfit.is_empty() && keys.iter().any(|key| self.unfit.contains(key));
        if demand.refused.is_empty() && !told {
            return Vec::new();
        }
        let says = |invoker: &&Invoker| {
            let unfit = invoker.node.iter().flat_map(|node| node.unfit.iter());
            demand.refused.contains(&invoker.instance.instance)
                || invoker.health(now) != Health::Down && unfit.clone().any(|key| keys.contains(key))
        };
        let architecture = |invoker: &Invoker| invoker.node.as_ref().map(|node| node.architecture.clone());
        self.invokers.iter().filter(says).filter_map(architecture).collect()
    }

    /// A usable invoker with one of these ranks, the better ones first, with its memory taken; first in the action's pool,
    /// with room, then without. Says whether it had none.
    fn find(
        &mut self,
        sieve: &Sieve<'_>,
        demand: &Demand<'_>,
        ranks: &[Rank],
        now: Timestamp,
        chance: u64,
    ) -> Option<(usize, bool)> {
        let own = match demand.wants.is_blackbox() {
            true => self.blackbox.clone(),
            false => self.managed.clone(),
        };
        let mut next = Some(own);
        while let Some(pool) = next.take() {
            for rank in ranks {
                if let Some(at) = self.probe(&pool, sieve, demand, *rank, now) {
                    return Some((at, false));
                }
            }
            for rank in ranks {
                if let Some(at) = self.overcommit(&pool, sieve, demand, *rank, now, chance) {
                    return Some((at, true));
                }
            }
            next = (pool.size < self.whole.size).then(|| self.whole.clone());
        }
        None
    }

    fn probe(
        &mut self,
        pool: &Pool,
        sieve: &Sieve<'_>,
        demand: &Demand<'_>,
        rank: Rank,
        now: Timestamp,
    ) -> Option<usize> {
        if pool.size == 0 {
            return None;
        }
        let hash = hash(demand.namespace, demand.action) as usize;
        // An activation that shares a container may need no memory.
        let least = match demand.concurrency {
            0 | 1 => i64::from(demand.memory),
            _ => i64::MIN,
        };
        let at = pool.round(hash, hash).find(|at| {
            let invoker = &mut self.invokers[*at];
            self.room[*at] >= least
                && invoker.usable(now)
                && sieve.rank(invoker) == Some(rank)
                && invoker.try_take(demand)
        })?;
        self.note_room(at);
        Some(at)
    }

    fn overcommit(
        &mut self,
        pool: &Pool,
        sieve: &Sieve<'_>,
        demand: &Demand<'_>,
        rank: Rank,
        now: Timestamp,
        chance: u64,
    ) -> Option<usize> {
        if pool.size == 0 {
            return None;
        }
        // From anywhere in any step: as good as choosing among all that suit, without looking at all of them.
        let at = pool.round(chance as usize, (chance >> 32) as usize).find(|at| {
            let invoker = &self.invokers[*at];
            invoker.usable(now) && sieve.rank(invoker) == Some(rank)
        })?;
        self.invokers[at].take(demand);
        self.note_room(at);
        Some(at)
    }

    fn placed(&mut self, at: usize, demand: &Demand<'_>, now: Timestamp, overcommitted: bool, last: bool) -> Placement {
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
            last,
        }
    }

    /// Gives capacity back and remembers how it went.
    pub fn release(&mut self, slot: Slot, outcome: Outcome) {
        let at = slot.at;
        self.invokers[at].release(slot, outcome);
        self.note_room(at);
    }

    fn note_room(&mut self, at: usize) {
        self.room[at] = self.invokers[at].free;
    }

    /// The topic of some invoker that is up.
    pub fn anyone_up(&self, now: Timestamp) -> Option<Arc<str>> {
        let mut up = self.invokers.iter().filter(|invoker| invoker.health(now) == Health::Up);
        up.next().map(|invoker| invoker.topic.clone())
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
        self.whole = Pool::new(0, n);
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

#[cfg(test)]
mod tests;
