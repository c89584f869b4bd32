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
    pub updates: Vec<Update>,
    pub faults: Vec<(u64, Fault)>,
    pub cancels: Vec<Cancel>,
    pub weather: Weather,
    /// Whether controllers take over what others have left for long.
    pub takeover: bool,
    /// By how many milliseconds the wall clocks are off, of the controllers and then of the invokers.
    pub clocks: Vec<i64>,
    /// Whether so few announced changes may wait that some are lost, which the next one tells.
    pub narrow: bool,
}

/// A machine of the cluster.
#[derive(Debug, Clone, Copy)]
pub enum Node {
    Controller(usize),
    Invoker(usize),
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

/// A client that gives an action new code.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    pub at: u64,
    pub controller: usize,
    pub action: usize,
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
    /// An invoker is stopped in the middle of everything, and goes on as if nothing had been.
    FrozenInvoker { which: usize, thaw_after: u64 },
    /// The same of a controller.
    FrozenController { which: usize, thaw_after: u64 },
    /// The store answers nobody.
    Store { back_after: u64 },
    /// Every call of the store takes seconds.
    SlowStore { well_after: u64 },
    /// The bus takes nothing and gives nothing.
    Bus { back_after: u64 },
    /// Who reads a node's topics is agreed on anew, while it lives: what it has in hand is delivered to it again.
    Regrouped { node: Node },
    /// The wall clock of a machine is set forward, or back, by so many milliseconds.
    Clock { node: Node, by: i64 },
}

/// How bad things are in general. Chances are in thousands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Longest delay of a bus publish and of a store call, in milliseconds.
    pub delay: u64,
    /// A bus publish takes up to five seconds: it got lost, and the producer sent it again. Others overtake it.
    pub late: u32,
    /// A bus publish is refused because the topic is full.
    pub full: u32,
    /// A durable publish takes effect, all of it or a part, and its publisher hears that it did not.
    pub unknown: u32,
    /// An acknowledgement is lost on the way.
    pub lost_ack: u32,
    /// After a delivery the next one of its topic takes up to three seconds, and messages of other topics overtake it.
    pub stall: u32,
    /// A heartbeat is lost on the way.
    pub lost_ping: u32,
    /// The store fails before it has done anything.
    pub store_error: u32,
    /// Something is written, but whoever wrote it hears that it was not.
    pub lost_answer: u32,
    /// A store call takes seconds.
    pub slow: u32,
    /// A container cannot be made.
    pub no_start: u32,
    /// A container answers 503, refuses, dies, hangs or answers nonsense.
    pub bad_call: u32,
    /// A container cannot be frozen or thawed.
    pub bad_pause: u32,
}

impl Plan {
    /// Every other seed is a large cluster, the rest are small ones, in which rare meetings are more frequent.
    pub fn of(seed: u64) -> Plan {
        let mut rng = StdRng::seed_from_u64(seed);
        let large = is_large(seed);
        let (controllers, machines) = match large {
            true => (3, 100),
            false => (rng.random_range(1..=3), rng.random_range(1..=4)),
        };
        let sizes = if large { 2..=3 } else { 2..=8 };
        let invokers: Vec<u32> = (0..machines).map(|_| 256 * rng.random_range(sizes.clone())).collect();
        let count = if large { 8..=16 } else { 2..=5 };
        let actions: Vec<Action> = (0..rng.random_range(count)).map(|_| action(&mut rng)).collect();
        let calm = rng.random_bool(0.2);
        let requests = requests(&mut rng, controllers, actions.len(), if large { 400 } else { 150 });
        let faults = match (calm, large) {
            (true, _) => Vec::new(),
            (false, true) => faults(&mut rng, controllers, invokers.len(), 10..=30),
            (false, false) => faults(&mut rng, controllers, invokers.len(), 1..=7),
        };
        let weather = if calm {
            Weather::default()
        } else {
            Weather::of(&mut rng)
        };
        let faults = match seed % 5 {
            3 => followed(faults, seed as usize % controllers),
            _ => faults,
        };
        Plan {
            seed,
            controllers,
            takeover: seed % 4 < 2,
            clocks: clocks(&mut rng, controllers + invokers.len()),
            narrow: rng.random_bool(0.3),
            requests,
            updates: updates(&mut rng, controllers, actions.len()),
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
            Fault::Invoker { .. } | Fault::Drain { .. } | Fault::FrozenInvoker { .. } => 1,
            Fault::Controller { .. }
            | Fault::FrozenController { .. }
            | Fault::Store { .. }
            | Fault::SlowStore { .. }
            | Fault::Bus { .. }
            | Fault::Regrouped { .. }
            | Fault::Clock { .. } => 0,
        });
        counts.sum()
    }
}

/// Whether a seed is a cluster of three controllers and a hundred invokers.
pub fn is_large(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

/// How far clocks are apart is a property of the cluster: not at all, or as well or badly as they are kept.
fn clocks(rng: &mut StdRng, machines: usize) -> Vec<i64> {
    let most = [0, 20, 2_000, 120_000][rng.random_range(0..4)];
    (0..machines).map(|_| rng.random_range(-most..=most)).collect()
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

fn requests(rng: &mut StdRng, controllers: usize, actions: usize, most: usize) -> Vec<Request> {
    let mut at = 2_000;
    let gap = [20, 100, 600][rng.random_range(0..3)];
    let mut requests = Vec::new();
    while at < TROUBLED && requests.len() < most {
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

fn updates(rng: &mut StdRng, controllers: usize, actions: usize) -> Vec<Update> {
    let count = if rng.random_bool(0.6) {
        rng.random_range(1..=12)
    } else {
        0
    };
    let mut updates = Vec::new();
    while updates.len() < count {
        let (at, action) = (rng.random_range(2_000..TROUBLED), rng.random_range(0..actions));
        // Often two at the same moment, so that one of them must lose.
        for _ in 0..rng.random_range(1..=2) {
            let controller = rng.random_range(0..controllers);
            updates.push(Update { at, controller, action });
        }
    }
    updates
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

fn faults(
    rng: &mut StdRng,
    controllers: usize,
    invokers: usize,
    count: std::ops::RangeInclusive<usize>,
) -> Vec<(u64, Fault)> {
    let count = rng.random_range(count);
    let mut faults: Vec<(u64, Fault)> = (0..count)
        .map(|_| {
            let at = rng.random_range(2_500..TROUBLED);
            (at, fault(rng, controllers, invokers))
        })
        .collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// The same, with a controller that dies while the store is away or slow: what it promised a moment ago is not kept yet.
fn followed(mut faults: Vec<(u64, Fault)>, which: usize) -> Vec<(u64, Fault)> {
    let stores = faults.iter().filter_map(|(at, fault)| match fault {
        Fault::Store { .. } | Fault::SlowStore { .. } => Some(*at + 700),
        Fault::Invoker { .. }
        | Fault::Drain { .. }
        | Fault::FrozenInvoker { .. }
        | Fault::Controller { .. }
        | Fault::FrozenController { .. }
        | Fault::Bus { .. }
        | Fault::Regrouped { .. }
        | Fault::Clock { .. } => None,
    });
    let back_after = 4_000;
    let dies: Vec<_> = stores.map(|at| (at, Fault::Controller { which, back_after })).collect();
    faults.extend(dies);
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn fault(rng: &mut StdRng, controllers: usize, invokers: usize) -> Fault {
    let back_after = match rng.random_bool(0.2) {
        true => rng.random_range(12_000..=26_000),
        false => rng.random_range(10..=8_000),
    };
    let (invoker, controller) = (rng.random_range(0..invokers), rng.random_range(0..controllers));
    let thaw_after = [2_000, 12_000, 30_000][rng.random_range(0..3)];
    let node = match rng.random_bool(0.5) {
        true => Node::Controller(controller),
        false => Node::Invoker(invoker),
    };
    match rng.random_range(0..19) {
        0..=4 => Fault::Invoker {
            which: invoker,
            back_after,
        },
        5 | 6 => Fault::Drain {
            which: invoker,
            limit: rng.random_range(0..3_000),
            back_after,
        },
        7 | 8 => Fault::FrozenInvoker {
            which: invoker,
            thaw_after,
        },
        9 | 10 => Fault::Controller {
            which: controller,
            back_after,
        },
        11 => Fault::FrozenController {
            which: controller,
            thaw_after,
        },
        12 => Fault::Store {
            back_after: back_after.min(8_000),
        },
        13 => Fault::SlowStore { well_after: back_after },
        14 => Fault::Bus {
            back_after: back_after.min(8_000),
        },
        15 | 16 => Fault::Regrouped { node },
        _ => Fault::Clock {
            node,
            by: [-300_000, -3_000, 3_000, 90_000][rng.random_range(0..4)],
        },
    }
}

impl Weather {
    fn of(rng: &mut StdRng) -> Weather {
        Weather {
            delay: [0, 3, 40][rng.random_range(0..3)],
            late: [0, 0, 20][rng.random_range(0..3)],
            full: rng.random_range(0..10),
            unknown: [0, 0, 20][rng.random_range(0..3)],
            lost_ack: [0, 0, 15][rng.random_range(0..3)],
            stall: [0, 0, 20][rng.random_range(0..3)],
            lost_ping: [0, 100][rng.random_range(0..2)],
            store_error: rng.random_range(0..20),
            lost_answer: rng.random_range(0..60),
            slow: [0, 0, 20][rng.random_range(0..3)],
            no_start: rng.random_range(0..50),
            bad_call: rng.random_range(0..50),
            bad_pause: [0, 30][rng.random_range(0..2)],
        }
    }
}
