//! `wsk-torture`: a cluster under load, whose parts are killed, frozen and cut off, and an account of what was promised.
//!
//! `tests/cluster/cluster.sh` starts the cluster and this program in it. Load runs all the time: blocking and non-blocking
//! invocations, trigger fires into rules, sequences, writes of entities. One fault after another is done to one part after
//! another. At the end every accepted id must have its record, exactly one; every activation of a rule that a fire named must
//! have one; every acknowledged entity must be there; nothing may be in flight.

mod audit;
mod cluster;
mod load;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use cluster::{Cluster, Fault};
use load::Load;

#[derive(Debug, Parser)]
#[command(
    name = "wsk-torture",
    about = "Kills, freezes and cuts off the parts of a cluster under load, and audits it"
)]
struct Arguments {
    /// Folder of the cluster's programs.
    #[arg(long)]
    bin: std::path::PathBuf,
    /// Faults in all: each part in turn, then at random.
    #[arg(long, default_value_t = 12)]
    faults: usize,
    /// Requests per second.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Seconds that a frozen part stays frozen.
    #[arg(long, default_value_t = 8)]
    frozen: u64,
    /// Seconds between two faults.
    #[arg(long, default_value_t = 4)]
    pause: u64,
    /// Seconds that everything accepted may take to be recorded at the end.
    #[arg(long, default_value_t = 180)]
    settle: u64,
    /// Harm only parts whose names begin so, by killing them.
    #[arg(long)]
    only: Option<String>,
    /// Faults to do, in this order, instead of drawn ones: `kill:NAME` or `freeze:NAME`, separated by commas.
    #[arg(long, value_delimiter = ',')]
    plan: Vec<String>,
    /// Seed of the choice of faults; drawn when it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!(
        "torture: seed {seed}, {} faults, {} requests a second",
        arguments.faults, arguments.rate
    );
    let mut cluster = Cluster::here(&arguments.bin)?;
    let load = Arc::new(Load::new(&cluster.gateways, &cluster.auth)?);
    load.prepare().await.context("the first entities")?;
    let running = tokio::spawn(load.clone().run(arguments.rate));
    let plan = plan(&arguments, &cluster, seed)?;
    let mut ended_by_themselves = Vec::new();
    for (number, (part, fault)) in plan.iter().copied().enumerate() {
        ended_by_themselves.extend(cluster.revive().await?);
        println!(
            "torture: {}/{}: {fault} {}",
            number + 1,
            plan.len(),
            cluster.parts()[part].name()
        );
        cluster.harm(part, fault).await?;
        tokio::time::sleep(Duration::from_secs(arguments.pause)).await;
    }
    ended_by_themselves.extend(cluster.revive().await?);
    load.stop.store(true, Ordering::Release);
    running.await?;
    let account = load.account();
    println!("torture: {account}");
    println!("torture: {} services ended by themselves", ended_by_themselves.len());
    let findings = audit::audit(&load, &cluster, Duration::from_secs(arguments.settle)).await?;
    cluster.end().await;
    if findings.is_empty() {
        println!("torture: every promise was kept");
        return Ok(());
    }
    for finding in findings.iter().take(50) {
        println!("torture: BROKEN: {finding}");
    }
    bail!("{} promises were broken; seed {seed}", findings.len())
}

/// What is done to which part, in order: as told, or each part in turn and then any.
fn plan(arguments: &Arguments, cluster: &Cluster, seed: u64) -> Result<Vec<(usize, Fault)>> {
    let freeze = Fault::Freeze(Duration::from_secs(arguments.frozen));
    if !arguments.plan.is_empty() {
        let step = |text: &String| match text.split_once(':') {
            Some(("kill", name)) => Ok((cluster.place(name)?, Fault::Kill)),
            Some(("freeze", name)) => Ok((cluster.place(name)?, freeze)),
            Some(_) | None => bail!("`{text}` is no fault; say kill:NAME or freeze:NAME"),
        };
        return arguments.plan.iter().map(step).collect();
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let chosen = cluster.chosen(arguments.only.as_deref())?;
    let draw = |number: usize| {
        let turn = if number < chosen.len() {
            number
        } else {
            rng.random_range(0..chosen.len())
        };
        let part = chosen[turn];
        let kills = cluster.parts()[part].is_ours() && (arguments.only.is_some() || rng.random_bool(0.5));
        (part, if kills { Fault::Kill } else { freeze })
    };
    Ok((0..arguments.faults).map(draw).collect())
}
