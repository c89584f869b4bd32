//! E1, E2, E3, G4: what is kept in memory, how quick a start is, and whether many deployed actions slow a call down.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::warm::wait;
use super::{Plan, outcome, shown};
use crate::burn::Burners;
use crate::goals::Outcome;
use crate::load::throughput;
use crate::measure::{Interleaved, Samples, memory};
use crate::platform::{Platform, Settings, echo};

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let empty = tempfile::tempdir()?;
    let full = tempfile::tempdir()?;
    let mut out = vec![idle(plan, empty.path())?];
    let (actions, activations) = (plan.amount(10_000, 2_000), plan.amount(100_000, 10_000));
    fill(plan, full.path(), actions, activations)?;
    out.push(loaded(plan, full.path(), actions, activations)?);
    out.push(start(plan, full.path(), actions)?);
    out.push(lookup(plan, empty.path(), full.path(), plan.amount(100_000, actions))?);
    Ok(out)
}

fn settled(platform: &Platform, plan: &Plan) -> Result<Samples> {
    for _ in 0..plan.amount(60, 10) {
        wait(1000);
    }
    let mut pss = Samples::default();
    for _ in 0..5 {
        pss.push(memory(platform.pid())?.1);
        wait(200);
    }
    Ok(pss)
}

fn idle(plan: &Plan, data: &Path) -> Result<Outcome> {
    let platform = Platform::start(&plan.bin, data, Settings::default())?;
    let pss = settled(&platform, plan)?;
    let (rss, _) = memory(platform.pid())?;
    Ok(outcome(
        "E1",
        &pss,
        pss.count(),
        format!("RSS {rss:.1} MB, PSS {:.1} MB", pss.median()),
    ))
}

fn fill(plan: &Plan, data: &Path, actions: usize, activations: u64) -> Result<()> {
    let platform = Platform::start(&plan.bin, data, Settings::default())?;
    deploy(&platform, 0, actions)?;
    let mut made = 0;
    while made < activations {
        made += throughput(&[platform.invoke("a0", r#"{"n":1}"#)], 32, Duration::from_secs(2))?.1;
    }
    Ok(())
}

/// Over several connections, whose writes share syncs of the disk.
fn deploy(platform: &Platform, from: usize, upto: usize) -> Result<()> {
    const WRITERS: usize = 16;
    let body = serde_json::json!({"exec": echo(), "limits": {"memory": 128}}).to_string();
    let write = |first: usize| -> Result<()> {
        let mut connection = platform.request("GET", "/limits", "").connect()?;
        for i in (from + first..upto).step_by(WRITERS) {
            connection.timed(&platform.request("PUT", &format!("/actions/a{i}"), &body))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|first| scope.spawn(move || write(first))).collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().expect("a writer does not panic"))
    })
}

fn loaded(plan: &Plan, data: &Path, actions: usize, activations: u64) -> Result<Outcome> {
    let platform = Platform::start(&plan.bin, data, Settings::default())?;
    for path in [
        "/actions?limit=200",
        "/activations?limit=200",
        "/activations?limit=200&docs=true&skip=5000",
    ] {
        platform.request("GET", path, "").once()?;
    }
    platform.invoke("a0", "{}").once()?;
    let pss = settled(&platform, plan)?;
    let (rss, _) = memory(platform.pid())?;
    let detail = format!(
        "{actions} actions, {activations} activations; RSS {rss:.1} MB, PSS {:.1} MB",
        pss.median()
    );
    Ok(outcome("E2", &pss, pss.count(), detail))
}

fn start(plan: &Plan, data: &Path, actions: usize) -> Result<Outcome> {
    let mut ms = Samples::default();
    for _ in 0..plan.amount(20, 5) {
        let platform = Platform::start(&plan.bin, data, Settings::default())?;
        ms.push(platform.started_in.as_secs_f64() * 1e3);
        platform.kill()?;
    }
    let detail = format!(
        "{actions} actions, each start after a kill -9: p50 {:.1} ms, p99 {:.1} ms",
        ms.median(),
        ms.quantile(0.99)
    );
    Ok(outcome("E3", &ms, ms.count(), detail))
}

/// G4: the same warm call against a store with few actions and one with many.
fn lookup(plan: &Plan, few: &Path, many: &Path, actions: usize) -> Result<Outcome> {
    let _burners = Burners::light()?;
    let small = Platform::start(&plan.bin, few, Settings::default())?;
    deploy(&small, 0, 10)?;
    let large = Platform::start(&plan.bin, many, Settings::default())?;
    deploy(&large, plan.amount(10_000, actions), actions)?;
    let targets = [large.invoke("a1", "{}"), small.invoke("a1", "{}")];
    let measured = Interleaved::run(&targets, plan.amount(60, 15), 200)?;
    let ratio = measured.ratio(0, 1);
    let detail = [
        shown(&format!("{actions} actions"), &measured.all[0]),
        shown("10 actions", &measured.all[1]),
    ]
    .join("; ");
    Ok(outcome("G4", &ratio, measured.all[0].count(), detail))
}
