//! G2: a pool that holds half of the actions that are called.
//!
//! Actions are called at random, so about every other call meets no container, and one has to go for the new one. What limits
//! the calls is then how fast containers can be made: as many loops of bare spawns as there are connections.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Plan, outcome};
use crate::baselines::spawn;
use crate::goals::Outcome;
use crate::load::{Request, throughput};
use crate::measure::Samples;
use crate::platform::{Platform, Settings, echo};

/// Few enough that what is at work is a small part of the pool.
const CONNECTIONS: usize = 4;
/// Calls after which a connection begins anew.
const TURN: usize = 4000;
/// MB of an action.
const MEMORY: u32 = 128;

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let data = tempfile::tempdir()?;
    let actions = plan.amount(200, 60);
    let settings = Settings {
        pool_mb: MEMORY * actions / 2,
        ..Settings::default()
    };
    let platform = Platform::start(&plan.bin, data.path(), settings)?;
    for i in 0..actions {
        platform.put(&format!("churn{i}"), echo())?;
    }
    let calls = at_random(&platform, actions);
    let time = Duration::from_millis(plan.amount(2000, 1000));
    throughput(&calls, CONNECTIONS, time)?;
    let (mut ratio, mut misses, mut rates, mut spawns) = (
        Samples::default(),
        Samples::default(),
        Samples::default(),
        Samples::default(),
    );
    let mut all = 0;
    for _ in 0..plan.amount(8, 3) {
        let (before, begun) = (initialised(&platform)?, Instant::now());
        let (rate, n) = throughput(&calls, CONNECTIONS, time)?;
        misses.push((initialised(&platform)? - before) / begun.elapsed().as_secs_f64());
        rates.push(rate);
        spawns.push(spawn_loops(data.path(), time)?);
        ratio.push(misses.last() / spawns.last());
        all += n;
    }
    let detail = format!(
        "{actions} actions, room for {}, {CONNECTIONS} connections: {:.0} calls/s, {:.0} of them cold; {CONNECTIONS} spawn loops \
         {:.0}/s",
        actions / 2,
        rates.median(),
        misses.median(),
        spawns.median()
    );
    Ok(vec![outcome("G2", &ratio, all as usize, detail)])
}

/// Calls of all actions in an order without order.
fn at_random(platform: &Platform, actions: u32) -> Vec<Request> {
    let mut random = 0x2545_F491_4F6C_DD1Du64;
    let mut draw = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % u64::from(actions)
    };
    (0..TURN)
        .map(|_| platform.invoke(&format!("churn{}", draw()), "{}"))
        .collect()
}

/// Containers initialised so far.
fn initialised(platform: &Platform) -> Result<f64> {
    let text = Request::new("GET", &platform.address, "/metrics", None, "").once()?;
    let text = String::from_utf8(text)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("invoker_activationInit_start "))
        .context("the platform counts initialisations")?;
    Ok(line.trim().parse()?)
}

/// Bare spawns per second, of several loops at once.
fn spawn_loops(folder: &Path, time: Duration) -> Result<f64> {
    let begun = Instant::now();
    let count: Result<u32> = std::thread::scope(|scope| {
        let loops: Vec<_> = (0..CONNECTIONS)
            .map(|i| scope.spawn(move || spawn_loop(&folder.join(format!("spawn{i}")), time)))
            .collect();
        loops
            .into_iter()
            .map(|one| one.join().expect("a loop does not panic"))
            .sum()
    });
    Ok(f64::from(count?) / begun.elapsed().as_secs_f64())
}

fn spawn_loop(folder: &Path, time: Duration) -> Result<u32> {
    std::fs::create_dir_all(folder)?;
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < time {
        spawn::once(folder)?;
        count += 1;
    }
    Ok(count)
}
