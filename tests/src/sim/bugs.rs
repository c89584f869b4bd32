//! The audit would notice: every bug of [`Bug`] is planted, and seeds are played until one fails.
//!
//! The audit knows promises and no bug. Seeds are taken in the order in which [`super::plan`] deals them out, large clusters
//! among them, up to a bound for each bug. `SIM_BUG=<name>` looks for one alone and prints what gave it away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use wsk_planted::{Bug, plant};

use super::play;

/// Seeds played for one bug at most.
const BUDGET: u64 = 300;
/// Bugs that are found at least.
const FOUND: usize = 19;

/// What gave a bug away.
struct Clue {
    seed: u64,
    what: String,
}

fn look_for(bug: Bug) -> Option<Clue> {
    (0..BUDGET).find_map(|seed| {
        plant(Some(bug));
        let run = catch_unwind(AssertUnwindSafe(|| play(seed)));
        plant(None);
        let what = match run {
            Ok(run) => run.findings.into_iter().next()?,
            Err(_) => "a panic".to_owned(),
        };
        Some(Clue { seed, what })
    })
}

fn look_for_all(bugs: &[Bug]) -> Vec<(Bug, Option<Clue>)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut looked = Vec::new();
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let clue = look_for(*bug);
            match &clue {
                Some(Clue { seed, what }) => println!("{:24} found after {:3} seeds: {what}", bug.name(), seed + 1),
                None => println!("{:24} NOT FOUND in {BUDGET} seeds", bug.name()),
            }
            looked.push((*bug, clue));
        }
        looked
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers
            .into_iter()
            .map(|worker| worker.join().expect("panics are caught"));
        results.flatten().collect()
    })
}

#[test]
fn planted_bugs_are_found() {
    let wanted = std::env::var("SIM_BUG").ok();
    let all = Bug::ALL.iter().copied();
    let bugs: Vec<Bug> = all
        .filter(|bug| wanted.as_deref().is_none_or(|name| name == bug.name()))
        .collect();
    assert!(!bugs.is_empty(), "no bug is called {wanted:?}");
    let looked = look_for_all(&bugs);
    let found = looked.iter().filter(|(_, clue)| clue.is_some()).count();
    assert!(
        found >= FOUND.min(bugs.len()),
        "only {found} of {} planted bugs were found",
        bugs.len()
    );
}
