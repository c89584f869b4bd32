//! G3: whether a controller places as fast on a thousand invokers as on ten.
//!
//! The balancer alone, on one thread: no bus, no store. Actions are called as they are in life, a few very often and most
//! rarely (Zipf's law over 10,000 actions), and what was placed longest ago ends, so that a share of the cluster's memory
//! stays taken. The gate is for a cluster that is half full. The two hard cases stand beside it: one action alone, whose
//! activations fill invoker after invoker along its way through the cluster, and a cluster without room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use wsk_bus::messages::InvokerInstance;
use wsk_controller::balancer::{Balancer, Demand, Outcome, Slot, Wants};
use wsk_entities::{FullName, Namespace};

use super::{Plan, outcome};
use crate::goals::Outcome as Found;
use crate::measure::Samples;

const FEW: usize = 10;
const MANY: usize = 1000;
const ACTIONS: usize = 10_000;
const NAMESPACES: usize = 100;
/// MB of an action.
const MEMORY: u32 = 256;
/// Activations that an invoker has room for.
const ROOM: usize = 40;
/// Placements between two looks at the clock.
const BLOCK: usize = 1000;

/// Who calls what.
struct World {
    namespaces: Vec<Namespace>,
    actions: Vec<FullName>,
    /// Which action is called, over and over.
    calls: Vec<u32>,
    /// What each asks of its invoker: nothing.
    wants: Wants,
}

/// A cluster, and what is placed on it, oldest first.
struct Cluster {
    balancer: Balancer,
    held: VecDeque<Slot>,
    at: usize,
}

pub fn run(plan: &Plan) -> Result<Vec<Found>> {
    let (usual, alone) = (World::new(1.0)?, World::new(f64::INFINITY)?);
    let rounds = plan.amount(20, 5);
    let time = Duration::from_millis(plan.amount(400, 200));
    let half = compare(&usual, 0.5, rounds, time)?;
    let hot = compare(&alone, 0.5, rounds, time)?;
    let full = compare(&usual, 1.2, rounds, time)?;
    let shown = |[few, many]: &[Samples; 2]| format!("{:.0}k/s and {:.0}k/s", few.median() / 1e3, many.median() / 1e3);
    let mut ratio = Samples::default();
    half[0].each_with(&half[1], |few, many| ratio.push(many / few));
    let detail = format!(
        "half full, {FEW} and {MANY} invokers: {}; one action alone: {}; no room: {}; one thread, the balancer alone",
        shown(&half),
        shown(&hot),
        shown(&full)
    );
    Ok(vec![outcome("G3", &ratio, half[0].count(), detail)])
}

/// Placements per second on few and on many invokers, round by round.
fn compare(world: &World, share: f64, rounds: usize, time: Duration) -> Result<[Samples; 2]> {
    let mut clusters = [FEW, MANY].map(|invokers| Cluster::new(invokers, share, world));
    let mut out = [Samples::default(), Samples::default()];
    for _ in 0..rounds {
        for (cluster, samples) in clusters.iter_mut().zip(&mut out) {
            samples.push(cluster.rate(world, time)?);
        }
    }
    Ok(out)
}

impl World {
    /// Zipf's law with this exponent; infinite: the first action only.
    fn new(exponent: f64) -> Result<World> {
        let name = |i: usize| format!("tenant{}/action{i}", i % NAMESPACES).parse();
        let weights = (1..=ACTIONS).map(|rank| (rank as f64).powf(-exponent));
        let sums: Vec<f64> = weights
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let total = sums.last().context("there are actions")?;
        let mut random = 0x9E37_79B9_7F4A_7C15u64;
        let mut draw = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = random as f64 / u64::MAX as f64 * total;
            sums.partition_point(|sum| *sum < at).min(ACTIONS - 1) as u32
        };
        Ok(World {
            namespaces: (0..NAMESPACES)
                .map(|i| Namespace::new(&format!("tenant{i}")))
                .collect::<Result<_, _>>()?,
            actions: (0..ACTIONS).map(name).collect::<Result<_, _>>()?,
            calls: (0..1 << 16).map(|_| draw()).collect(),
            wants: Wants::default(),
        })
    }
}

impl Cluster {
    /// A cluster with `share` of its memory taken.
    fn new(invokers: usize, share: f64, world: &World) -> Cluster {
        let mut balancer = Balancer::new(1);
        for number in 0..invokers {
            let instance = InvokerInstance::new(number as u32, MEMORY * ROOM as u32);
            balancer.ping(&instance, true, 0);
        }
        let mut cluster = Cluster {
            balancer,
            held: VecDeque::new(),
            at: 0,
        };
        let held = (invokers as f64 * ROOM as f64 * share) as usize;
        while cluster.held.len() < held && cluster.place(world) {}
        cluster
    }

    fn place(&mut self, world: &World) -> bool {
        let action = world.calls[self.at % world.calls.len()] as usize;
        self.at += 1;
        let demand = Demand {
            namespace: &world.namespaces[action % NAMESPACES],
            action: &world.actions[action],
            memory: MEMORY,
            concurrency: 1,
            wants: &world.wants,
            refused: &[],
        };
        let placed = self.balancer.place(&demand, 1, self.at as u64);
        placed.is_ok_and(|placement| {
            self.held.push_back(placement.slot);
            true
        })
    }

    fn rate(&mut self, world: &World, time: Duration) -> Result<f64> {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < time {
            for _ in 0..BLOCK {
                let slot = self.held.pop_front().context("something is placed")?;
                self.balancer.release(slot, Outcome::Fine);
                anyhow::ensure!(self.place(world), "a usable invoker takes whatever comes");
            }
            count += BLOCK;
        }
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }
}
