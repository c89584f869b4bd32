//! Numbers: medians, tails, ratios, CPU time and memory of processes.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::load::{Connection, Request};

/// A set of samples, in whatever unit they came.
#[derive(Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub fn push_time(&mut self, time: Duration) {
        self.push(time.as_secs_f64() * 1e6);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn extend(&mut self, other: &Samples) {
        self.0.extend_from_slice(&other.0);
    }

    /// The value below which a share `q` of the samples lies.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n => sorted[((n - 1) as f64 * q).round() as usize],
        }
    }

    /// Calls `with` with each sample and the one of the same round in `other`.
    pub fn each_with(&self, other: &Samples, mut with: impl FnMut(f64, f64)) {
        self.0
            .iter()
            .zip(&other.0)
            .for_each(|(mine, theirs)| with(*mine, *theirs));
    }

    /// The newest sample.
    pub fn last(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// Calls to each target before anything counts: a Node runtime takes some 3,000 until what is hot is compiled, during which
/// it gets three times as fast. Targets that share a runtime would get there sooner than one that has its own.
const WARM_UP: usize = 4000;

/// Visits targets in interleaved blocks: all samples of each, and each round's medians.
pub struct Interleaved {
    /// Microseconds, by target.
    pub all: Vec<Samples>,
    /// Medians of each round's block, by target.
    pub rounds: Vec<Samples>,
}

impl Interleaved {
    pub fn run(targets: &[Request], rounds: usize, block: usize) -> Result<Interleaved> {
        let mut connections: Vec<Connection> = targets.iter().map(Request::connect).collect::<Result<_>>()?;
        let mut out = Interleaved {
            all: vec![Samples::default(); targets.len()],
            rounds: vec![Samples::default(); targets.len()],
        };
        for _ in 0..WARM_UP / block {
            for (target, connection) in targets.iter().zip(&mut connections) {
                for _ in 0..block {
                    connection.timed(target)?;
                }
            }
        }
        for _ in 0..rounds {
            for (i, target) in targets.iter().enumerate() {
                let mut samples = Samples::default();
                for _ in 0..block {
                    samples.push_time(connections[i].timed(target)?);
                }
                out.rounds[i].push(samples.median());
                out.all[i].extend(&samples);
            }
        }
        Ok(out)
    }

    /// The ratio of two targets, round by round.
    pub fn ratio(&self, a: usize, b: usize) -> Samples {
        Samples(
            self.rounds[a]
                .0
                .iter()
                .zip(&self.rounds[b].0)
                .map(|(x, y)| x / y)
                .collect(),
        )
    }

    /// The difference of two targets in microseconds, round by round.
    pub fn difference(&self, a: usize, b: usize) -> Samples {
        Samples(
            self.rounds[a]
                .0
                .iter()
                .zip(&self.rounds[b].0)
                .map(|(x, y)| x - y)
                .collect(),
        )
    }
}

/// CPU time of a process and all its threads so far.
pub fn cpu(pid: u32) -> Result<Duration> {
    let mut total = 0u64;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        let path = thread?.path().join("schedstat");
        // A thread may end between the listing and the read.
        let Ok(text) = fs::read_to_string(path) else { continue };
        total += text
            .split_whitespace()
            .next()
            .and_then(|n| n.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(Duration::from_nanos(total))
}

/// Resident and proportional memory of a process, in MB.
pub fn memory(pid: u32) -> Result<(f64, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("the process has ended")?;
    let field = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    Ok((
        field("Rss:").context("Rss")? / 1024.0,
        field("Pss:").context("Pss")? / 1024.0,
    ))
}
