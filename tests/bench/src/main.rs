//! Benchmarks: every goal as a ratio between the platform and a baseline of ours, measured side by side in one run.
//!
//! `make bench` runs them all, prints one table and writes it to `docs/benchmarks.md`. The baselines are subcommands of this
//! program, so that each is a process of its own. Method: on an idle machine the wake-up of a halted core dominates
//! latency, therefore one idle-priority busy loop per core runs beside the latency measurements; targets are visited in
//! interleaved blocks and ratios are taken per round, because a noisy machine drifts.

mod baselines;
mod burn;
mod goals;
mod groups;
mod load;
mod machine;
mod measure;
mod platform;
mod report;
mod suites;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures the platform against its baselines")]
struct Arguments {
    #[command(subcommand)]
    baseline: Option<Baseline>,
    /// Fewer rounds; ends within three minutes.
    #[arg(long)]
    quick: bool,
    /// Folder of the programs to measure.
    #[arg(long, default_value = "target/dist")]
    bin: PathBuf,
    /// Only the suites whose name begins with this: warm, web, throughput, cold, memory, durable, many, churn, placement, cluster.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the table goes.
    #[arg(long, default_value = "docs/benchmarks.md")]
    out: PathBuf,
}

#[derive(Subcommand)]
enum Baseline {
    /// A server that answers `/init` and `/run` with what it got.
    Echo {
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// One HTTP reverse proxy.
    Hop {
        #[arg(long, required = true)]
        to: Vec<String>,
    },
    /// A proxy that copies bytes.
    Copier {
        #[arg(long)]
        to: String,
    },
    /// A busy loop at the lowest priority.
    Burn,
    /// The measurement of a cluster, inside of it.
    #[cfg(feature = "kafka")]
    Inside {
        /// Where to write what was found.
        out: PathBuf,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plan = suites::Plan {
        quick: arguments.quick,
        bin: arguments.bin,
        only: arguments.only,
    };
    match arguments.baseline {
        Some(Baseline::Echo { port }) => baselines::echo::serve(port),
        Some(Baseline::Hop { to }) => baselines::hop::serve(to),
        Some(Baseline::Copier { to }) => baselines::copier::serve(&to),
        Some(Baseline::Burn) => burn::forever(),
        #[cfg(feature = "kafka")]
        Some(Baseline::Inside { out }) => suites::cluster::measure(&plan, &out),
        None => {
            let results = suites::run(&plan)?;
            report::publish(&results, &plan, &arguments.out)
        }
    }
}
