//! What is measured, a file per kind of question.

mod churn;
pub mod cluster;
mod cold;
mod durable;
mod many;
mod memory;
mod placement;
mod throughput;
mod warm;
mod web;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::goals::Outcome;
use crate::measure::Samples;

/// What to run, and how thoroughly.
pub struct Plan {
    pub quick: bool,
    pub bin: PathBuf,
    pub only: String,
}

type Suite = (&'static str, fn(&Plan) -> Result<Vec<Outcome>>);

const SUITES: &[Suite] = &[
    ("warm", warm::run),
    ("web", web::run),
    ("throughput", throughput::run),
    ("cold", cold::run),
    ("memory", memory::run),
    ("durable", durable::run),
    ("many", many::run),
    ("churn", churn::run),
    ("placement", placement::run),
    ("cluster", cluster::run),
];

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for (name, suite) in SUITES.iter().filter(|(name, _)| name.starts_with(plan.only.as_str())) {
        eprintln!("measuring: {name} ...");
        outcomes.extend(suite(plan).with_context(|| format!("the suite `{name}`"))?);
    }
    outcomes.sort_by_key(|o| crate::goals::GOALS.iter().position(|g| g.id == o.id));
    Ok(outcomes)
}

impl Plan {
    /// `thorough` of something, or `quick` of it.
    fn amount<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }
}

/// An outcome from one value per round.
fn outcome(id: &'static str, rounds: &Samples, samples: usize, detail: String) -> Outcome {
    let spread = (rounds.quantile(0.25), rounds.quantile(0.75));
    Outcome {
        id,
        value: rounds.median(),
        spread,
        samples,
        detail,
    }
}

/// A goal that cannot be measured here, and why.
fn skipped(id: &'static str, why: String) -> Outcome {
    Outcome {
        id,
        value: f64::NAN,
        spread: (f64::NAN, f64::NAN),
        samples: 0,
        detail: format!("not measured: {why}"),
    }
}

/// Median and tail in microseconds.
fn shown(name: &str, samples: &Samples) -> String {
    format!(
        "{name} p50 {:.0} µs, p99 {:.0} µs",
        samples.median(),
        samples.quantile(0.99)
    )
}
