//! F1, F2: accepting durably.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Plan, outcome};
use crate::baselines::{accepter, writer};
use crate::goals::Outcome;
use crate::load::{Request, throughput};
use crate::measure::Samples;
use crate::platform::{Platform, Settings, echo};

const CONNECTIONS: usize = 64;
/// What a journalled activation message weighs.
const RECORD: usize = 700;
const RULES: usize = 100;

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let data = tempfile::tempdir()?;
    let platform = Platform::start(&plan.bin, data.path(), Settings::default())?;
    platform.put("echo", echo())?;
    Ok(vec![
        accepted(plan, &platform, data.path())?,
        fanned_out(plan, &platform, data.path())?,
    ])
}

/// F1: non-blocking invokes, beside the raw writer on the same disk.
fn accepted(plan: &Plan, platform: &Platform, folder: &std::path::Path) -> Result<Outcome> {
    let time = Duration::from_millis(plan.amount(3000, 1500));
    let invoke = platform.request("POST", "/actions/echo", r#"{"n":1}"#).expecting(202);
    let address = accepter::start(folder, RECORD)?;
    let bare = Request::post(&address, "/", None, r#"{"n":1}"#).expecting(202);
    let (mut ratio, mut a, mut b, mut calls) = (Samples::default(), Samples::default(), Samples::default(), 0);
    let mut bound = Samples::default();
    for _ in 0..plan.amount(8, 3) {
        let (ours, n) = throughput(std::slice::from_ref(&invoke), CONNECTIONS, time)?;
        drained(platform)?;
        let theirs = writer::rate(folder, CONNECTIONS, RECORD, time)?;
        bound.push(throughput(std::slice::from_ref(&bare), CONNECTIONS, time)?.0);
        ratio.push(ours / theirs);
        a.push(ours);
        b.push(theirs);
        calls += n;
    }
    let detail = format!(
        "ours {:.0} accepted/s, writer {:.0} records/s; a bare HTTP server in front of that writer, with nothing to run, \
         {:.0} accepted/s",
        a.median(),
        b.median(),
        bound.median()
    );
    Ok(outcome("F1", &ratio, calls as usize, detail))
}

/// F2: fires into 100 rules, one after the other, beside one writer that appends as many records in one batch.
fn fanned_out(plan: &Plan, platform: &Platform, folder: &std::path::Path) -> Result<Outcome> {
    platform.request("PUT", "/triggers/many", "{}").once()?;
    for i in 0..RULES {
        let body = serde_json::json!({"trigger": "/_/many", "action": "/_/echo"}).to_string();
        platform.request("PUT", &format!("/rules/r{i}"), &body).once()?;
    }
    let fire = platform.request("POST", "/triggers/many", r#"{"n":1}"#).expecting(202);
    let mut connection = fire.connect()?;
    let (mut ratio, mut a, mut b) = (Samples::default(), Samples::default(), Samples::default());
    let fires = plan.amount(50, 15);
    for _ in 0..plan.amount(6, 3) {
        let begun = Instant::now();
        for _ in 0..fires {
            connection.timed(&fire)?;
        }
        let ours = (fires * RULES) as f64 / begun.elapsed().as_secs_f64();
        drained(platform)?;
        let batches = writer::rate(folder, 1, RECORD * RULES, Duration::from_millis(800))?;
        let theirs = batches * RULES as f64;
        ratio.push(ours / theirs);
        a.push(ours);
        b.push(theirs);
    }
    let detail = format!(
        "ours {:.0} activations/s, batched append {:.0} records/s",
        a.median(),
        b.median()
    );
    Ok(outcome("F2", &ratio, fires * 6, detail))
}

/// Waits until the platform has worked off what it accepted.
fn drained(platform: &Platform) -> Result<()> {
    let count = platform.request("GET", "/activations?count=true", "");
    let mut last = Vec::new();
    loop {
        super::warm::wait(250);
        let now = count.once()?;
        if now == last {
            return Ok(());
        }
        last = now;
    }
}
