//! What a seed means: who is there, what is asked, and what goes wrong when. Pure.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Milliseconds of load and trouble; afterwards everything is well again.
pub const TROUBLED: u64 = 30_000;

/// One simulated life of a cluster.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub controllers: usize,
    /// MB of each.
    pub invokers: Vec<u32>,
    pub actions: Vec<Action>,
    pub requests: Vec<Request>,
    pub faults: Vec<(u64, Fault)>,
    pub cancels: Vec<Cancel>,
    pub weather: Weather,
}

/// An action, named `a<index>`.
#[derive(Debug, Clone, Copy)]
pub struct Action {
    pub memory: u32,
    pub concurrency: u32,
    pub timeout: u32,
    /// Longest time its code takes, in milliseconds.
    pub takes: u64,
    /// Whether it may be run at most once.
    pub once: bool,
}

/// A request of a client.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub at: u64,
    pub controller: usize,
    pub what: What,
    pub blocking: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum What {
    /// Invoke this action.
    Action(usize),
    /// Invoke the sequence of the first two actions.
    Sequence,
    /// Fire the trigger that has a rule for each action.
    Trigger,
}

/// A client that has something ended.
#[derive(Debug, Clone, Copy)]
pub struct Cancel {
    pub at: u64,
    /// Whom it asks.
    pub controller: usize,
    /// Which of what is in flight anywhere.
    pub which: usize,
}

/// Something that goes wrong, with how long until it is put right.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// An invoker dies.
    Invoker { which: usize, back_after: u64 },
    /// An invoker is drained, with this much time, and started again.
    Drain { which: usize, limit: u64, back_after: u64 },
    /// A controller dies.
    Controller { which: usize, back_after: u64 },
    /// The store answers nobody.
    Store { back_after: u64 },
}

/// How bad things are in general. Chances are in thousands.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Longest delay of a bus publish and of a store call, in milliseconds.
    pub delay: u64,
    /// A bus publish is refused because the topic is full.
    pub full: u32,
    /// An acknowledgement goes nowhere.
    pub lost_ack: u32,
    /// A record is written, but whoever wrote it hears that it was not.
    pub lost_answer: u32,
    /// A container cannot be made.
    pub no_start: u32,
    /// A container answers 503, refuses, dies, hangs or answers nonsense.
    pub bad_call: u32,
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        let mut rng = StdRng::seed_from_u64(seed);
        let controllers = rng.random_range(1..=3);
        let invokers: Vec<u32> = (0..rng.random_range(1..=4))
            .map(|_| 256 * rng.random_range(2..=8))
            .collect();
        let actions: Vec<Action> = (0..rng.random_range(2..=5)).map(|_| action(&mut rng)).collect();
        let calm = rng.random_bool(0.2);
        let requests = requests(&mut rng, controllers, actions.len());
        let faults = if calm {
            Vec::new()
        } else {
            faults(&mut rng, controllers, invokers.len())
        };
        let weather = if calm { Weather::fair() } else { Weather::of(&mut rng) };
        Plan {
            seed,
            controllers,
            requests,
            faults,
            weather,
            cancels: cancels(&mut rng, controllers),
            invokers,
            actions,
        }
    }

    /// Times an invoker lost work that it had begun, at most: each is one more run that an activation may have had.
    pub fn interruptions(&self) -> u32 {
        let counts = self.faults.iter().map(|(_, fault)| match fault {
            Fault::Invoker { .. } | Fault::Drain { .. } => 1,
            Fault::Controller { .. } | Fault::Store { .. } => 0,
        });
        counts.sum()
    }
}

fn action(rng: &mut StdRng) -> Action {
    Action {
        memory: [128, 256, 512][rng.random_range(0..3)],
        concurrency: if rng.random_bool(0.3) {
            rng.random_range(2..=4)
        } else {
            1
        },
        timeout: rng.random_range(1..=4) * 1000,
        takes: [5, 50, 900][rng.random_range(0..3)],
        once: rng.random_bool(0.3),
    }
}

fn requests(rng: &mut StdRng, controllers: usize, actions: usize) -> Vec<Request> {
    let mut at = 2_000;
    let gap = [20, 100, 600][rng.random_range(0..3)];
    let mut requests = Vec::new();
    while at < TROUBLED && requests.len() < 150 {
        at += rng.random_range(0..=2 * gap);
        let what = match rng.random_range(0..10) {
            0 => What::Sequence,
            1 => What::Trigger,
            _ => What::Action(rng.random_range(0..actions)),
        };
        let (controller, blocking) = (rng.random_range(0..controllers), rng.random_bool(0.6));
        requests.push(Request {
            at,
            controller,
            what,
            blocking,
        });
    }
    requests
}

fn cancels(rng: &mut StdRng, controllers: usize) -> Vec<Cancel> {
    let count = if rng.random_bool(0.5) {
        rng.random_range(1..=25)
    } else {
        0
    };
    let cancel = |_| Cancel {
        at: rng.random_range(2_500..TROUBLED),
        controller: rng.random_range(0..controllers),
        which: rng.random_range(0..1000),
    };
    (0..count).map(cancel).collect()
}

fn faults(rng: &mut StdRng, controllers: usize, invokers: usize) -> Vec<(u64, Fault)> {
    let count = rng.random_range(1..=6);
    let mut faults: Vec<(u64, Fault)> = (0..count)
        .map(|_| {
            let back_after = rng.random_range(10..=8_000);
            let fault = match rng.random_range(0..8) {
                0..=2 => Fault::Invoker {
                    which: rng.random_range(0..invokers),
                    back_after,
                },
                3 => Fault::Drain {
                    which: rng.random_range(0..invokers),
                    limit: rng.random_range(0..3_000),
                    back_after,
                },
                4 | 5 => Fault::Controller {
                    which: rng.random_range(0..controllers),
                    back_after,
                },
                _ => Fault::Store { back_after },
            };
            (rng.random_range(2_500..TROUBLED), fault)
        })
        .collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}

impl Weather {
    pub fn fair() -> Weather {
        Weather {
            delay: 0,
            full: 0,
            lost_ack: 0,
            lost_answer: 0,
            no_start: 0,
            bad_call: 0,
        }
    }

    fn of(rng: &mut StdRng) -> Weather {
        Weather {
            delay: [0, 3, 40][rng.random_range(0..3)],
            full: rng.random_range(0..10),
            lost_ack: [0, 0, 15][rng.random_range(0..3)],
            lost_answer: rng.random_range(0..60),
            no_start: rng.random_range(0..50),
            bad_call: rng.random_range(0..50),
        }
    }
}
