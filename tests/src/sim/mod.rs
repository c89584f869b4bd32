//! Whole clusters under a seed: controllers and invokers over the in-process bus, in one thread and on tokio's paused clock,
//! while invokers, controllers, the store and the bus die, drain, freeze, slow down, forget and come back. Every other seed is a
//! cluster of three controllers and a hundred invokers, each machine with a wall clock of its own.
//!
//! [`plan`] says what a seed means, [`seams`] puts weather and death between a node and its seams, [`sky`] knows what no node
//! does, [`actions`] is what containers do, [`cluster`] builds and drives everything, [`audit`] judges, [`bugs`] proves that it
//! would notice. A seed that fails is printed with what was found; `SIM_SEED=<seed>` runs that one alone, and
//! `SIM_SEEDS=<count>` another number of them. `docs/simulation.md` says how to read one.

mod actions;
mod audit;
mod bugs;
mod cluster;
mod plan;
mod seams;
mod sky;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plan::Plan;

/// Seeds of one test run, one half of them large clusters.
const SEEDS: u64 = 2_000;

/// What one seed led to.
struct Run {
    /// Everything that was wrong; empty when nothing was.
    findings: Vec<String>,
    /// What happened, in order, with virtual times.
    history: Vec<String>,
    accepted: usize,
}

/// Plays a seed.
fn play(seed: u64) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime without I/O").block_on(async {
        wsk_service::clock::simulate(Duration::from_secs(1_800_000_000));
        let plan = Plan::of(seed);
        let mut cluster = cluster::Cluster::start(plan).await;
        cluster.live().await;
        cluster.heal().await;
        let findings = audit::judge(&mut cluster).await;
        Run {
            findings,
            accepted: cluster.accepted(),
            history: cluster.history(),
        }
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Plays seeds on all processors; gives those that failed and how many activations were accepted in all.
fn play_all(seeds: u64) -> (Vec<(u64, Vec<String>)>, usize) {
    let next = AtomicU64::new(0);
    let work = || {
        let (mut failed, mut accepted) = (Vec::new(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (failed, accepted);
            }
            let run = play(seed);
            accepted += run.accepted;
            if !run.findings.is_empty() {
                failed.push((seed, run.findings));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers
            .into_iter()
            .map(|worker| worker.join().expect("a simulation does not panic"));
        results.fold((Vec::new(), 0), |(mut failed, accepted), (more, count)| {
            failed.extend(more);
            (failed, accepted + count)
        })
    })
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number("SIM_SEED") {
        let run = play(seed);
        println!("{}", run.history.join("\n"));
        assert!(run.findings.is_empty(), "seed {seed}: {:#?}", run.findings);
        return;
    }
    let (failed, accepted) = play_all(number("SIM_SEEDS").unwrap_or(SEEDS));
    assert!(failed.is_empty(), "run again with SIM_SEED=<seed>: {failed:#?}");
    assert!(
        accepted > 1000,
        "the seeds accept too little to mean anything: {accepted}"
    );
}

#[test]
fn a_seed_has_one_history() {
    let lines: usize = (1..10)
        .map(|seed| {
            let (first, second) = (play(seed), play(seed));
            assert_eq!(first.history, second.history, "seed {seed}");
            first.history.len()
        })
        .sum();
    assert!(lines > 500, "{lines}");
}
