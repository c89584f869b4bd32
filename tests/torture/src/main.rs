//! `wsk-torture`: a cluster under load, whose parts are killed, frozen and cut off, and an account of what was promised.
//!
//! `tests/cluster/cluster.sh` starts the cluster and this program in it. Load runs all the time: blocking and non-blocking
//! invocations, trigger fires into rules, sequences, writes of entities. One fault after another is done to one part after
//! another. At the end every accepted id must have its record, exactly one, and so must everything that a fire or a sequence
//! began; nothing may have run twice without a reason; every entity must have the value that was acknowledged last;
//! controllers and invokers must count nothing any more. `judge.rs` is where that is decided, over evidence that the other
//! files gather.

mod admin;
mod audit;
mod cluster;
mod database;
mod judge;
mod ledger;
mod links;
mod load;
mod outage;
mod part;
mod plan;
mod report;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use cluster::Cluster;
use judge::Harm;
use load::Load;
use plan::{Fault, Step};
use report::Report;
use tally::Tally;

#[derive(Debug, Parser)]
#[command(
    name = "wsk-torture",
    about = "Kills, freezes and cuts off the parts of a cluster under load, and audits it"
)]
struct Arguments {
    /// Faults in all: each part in turn, then at random.
    #[arg(long, default_value_t = 12)]
    faults: usize,
    /// Requests per second.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Seconds that a frozen part stays so.
    #[arg(long, default_value_t = 8)]
    frozen: u64,
    /// Seconds that a part stays cut off; longer than a session with Kafka, which is 6 in this cluster.
    #[arg(long, default_value_t = 8)]
    cut: u64,
    /// Seconds between two faults.
    #[arg(long, default_value_t = 4)]
    pause: u64,
    /// Seconds that everything accepted may take to be recorded at the end.
    #[arg(long, default_value_t = 180)]
    settle: u64,
    /// Rounds of so many faults and an audit each; the first that finds something is the last.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Harm only parts whose names begin so, by killing them.
    #[arg(long)]
    only: Option<String>,
    /// Faults to do, in this order, instead of drawn ones, separated by commas: `kill:NAME`, `freeze:NAME`, `cut-kafka:NAME`
    /// or `cut-couchdb:NAME`.
    #[arg(long, value_delimiter = ',')]
    plan: Vec<String>,
    /// Seed of the choice of faults; drawn when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// File to write a page about the run to.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Open files to ask for; more than the kernel's own bound is refused.
const OPEN_FILES: u64 = 500_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let files = open_files();
    println!(
        "torture: seed {seed}, {} requests a second, {files} open files at most",
        arguments.rate
    );
    let mut cluster = Cluster::here()?;
    let outcome = tokio::select! {
        outcome = rounds(&arguments, &mut cluster, seed) => outcome,
        () = told_to_stop() => Err(anyhow::anyhow!("told to stop")),
    };
    cluster.end().await?;
    let findings = outcome?;
    if findings.is_empty() {
        println!("torture: every promise was kept");
        return Ok(());
    }
    for finding in findings.iter().take(50) {
        println!("torture: BROKEN: {finding}");
    }
    bail!("{} promises were broken; seed {seed}", findings.len())
}

/// Raises the bound of open files as far as may be, and says what it is. The ways to a part that answers nobody fill with
/// connections that were given up at one end.
fn open_files() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    // Only root may raise the hard bound.
    let tried = [OPEN_FILES.max(hard), hard].into_iter();
    let mut tried = tried.filter(|bound| setrlimit(Resource::RLIMIT_NOFILE, *bound, *bound).is_ok());
    tried.next().unwrap_or(soft)
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Rounds of load, faults and an audit, until one finds something; what it found.
async fn rounds(arguments: &Arguments, cluster: &mut Cluster, seed: u64) -> Result<Vec<String>> {
    cluster.link().await?;
    for round in 0..arguments.rounds {
        let findings = play(arguments, cluster, seed.wrapping_add(round)).await?;
        if !findings.is_empty() {
            return Ok(findings);
        }
    }
    Ok(Vec::new())
}

async fn play(arguments: &Arguments, cluster: &mut Cluster, seed: u64) -> Result<Vec<String>> {
    let tally = Tally::open(cluster.engine.is_some()).await?;
    let load = Arc::new(Load::new(&cluster.gateways, &cluster.auth, arguments.rate)?);
    load.prepare(tally.port).await.context("the first entities")?;
    let began = Instant::now();
    let running = tokio::spawn(load.clone().run());
    cluster.warm().await?;
    let plan = plan(arguments, cluster, seed)?;
    let (harmed, ended_by_themselves) = harm(arguments, cluster, &plan).await?;
    load.stop.store(true, Ordering::Release);
    running.await?;
    let took = began.elapsed();
    println!("torture: {} s under load; now the audit", took.as_secs());
    let patience = Duration::from_secs(arguments.settle);
    let evidence = audit::gather(&load, &tally, &harmed, cluster, patience).await?;
    let findings = judge::judge(&evidence);
    let report = Report {
        seed,
        version: version().await,
        machine: machine(),
        rate: arguments.rate,
        unsent: load.unsent.load(Ordering::Relaxed),
        took,
        docker: cluster.engine.is_some(),
        frozen: arguments.frozen,
        cut: arguments.cut,
        tried: load.ledger.tried(),
        noticed: outage::noticed(&harmed, &load.ledger.answers(), began + took),
        ended_by_themselves: &ended_by_themselves,
        evidence: &evidence,
        findings: &findings,
    };
    let page = report.page();
    println!("{page}");
    if let Some(file) = &arguments.report {
        std::fs::write(file, page).with_context(|| file.display().to_string())?;
    }
    Ok(findings)
}

/// Does one fault after another; what was done, and who ended without it.
async fn harm(arguments: &Arguments, cluster: &mut Cluster, plan: &[Step]) -> Result<(Vec<Harm>, Vec<String>)> {
    let (mut harmed, mut ended_by_themselves) = (Vec::new(), Vec::new());
    let began = Instant::now();
    for (number, (at, fault)) in plan.iter().copied().enumerate() {
        ended_by_themselves.extend(cluster.revive().await?);
        let (number, seconds) = (number + 1, began.elapsed().as_secs());
        let part = &cluster.parts[at];
        println!("torture: {seconds} s: {number}/{}: {fault} {}", plan.len(), part.name);
        let (role, from) = (part.role, Instant::now());
        let span = match fault {
            Fault::Freeze => arguments.frozen,
            Fault::CutKafka | Fault::CutCouch => arguments.cut,
            Fault::Kill => 0,
        };
        cluster.harm(at, fault, Duration::from_secs(span)).await?;
        harmed.push(Harm {
            role,
            fault,
            from,
            until: Instant::now(),
        });
        tokio::time::sleep(Duration::from_secs(arguments.pause)).await;
    }
    ended_by_themselves.extend(cluster.revive().await?);
    Ok((harmed, ended_by_themselves))
}

/// What is done to which part, in order: as told, or each part in turn and then any.
fn plan(arguments: &Arguments, cluster: &Cluster, seed: u64) -> Result<Vec<Step>> {
    if !arguments.plan.is_empty() {
        let step = |text: &String| {
            let (fault, name) = text
                .split_once(':')
                .with_context(|| format!("`{text}`: say FAULT:NAME"))?;
            Ok((cluster.place(name)?, fault.parse()?))
        };
        return arguments.plan.iter().map(step).collect();
    }
    let chosen = cluster.chosen(arguments.only.as_deref())?;
    if arguments.only.is_some() {
        let turns = chosen.iter().cycle().take(arguments.faults);
        return Ok(turns.map(|(at, _)| (*at, Fault::Kill)).collect());
    }
    let mut plan = plan::draw(&chosen, arguments.faults, &mut StdRng::seed_from_u64(seed));
    for (at, fault) in &mut plan {
        // What forgets everything when it dies is frozen instead.
        if *fault == Fault::Kill && !cluster.parts[*at].is_durable() {
            *fault = Fault::Freeze;
        }
    }
    Ok(plan)
}

/// What is tested: the revision of the tree, where there is one.
async fn version() -> String {
    let describe = ["describe", "--always", "--dirty", "--tags"];
    let output = tokio::process::Command::new("git").args(describe).output().await;
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let revision = text
        .ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "no revision".to_owned());
    format!("{} ({revision})", env!("CARGO_PKG_VERSION"))
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gib = total.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or_default() / 1_048_576;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cpus} processors, {gib} GiB of memory, {} on Linux {}",
        std::env::consts::ARCH,
        kernel.trim()
    )
}
