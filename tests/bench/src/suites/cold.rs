//! C1, C2, C5, D1: starting and waking containers.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::warm::wait;
use super::{Plan, outcome, shown};
use crate::baselines::{Server, spawn};
use crate::burn::Burners;
use crate::goals::Outcome;
use crate::load::Request;
use crate::measure::Samples;
use crate::platform::{Platform, Settings, echo};

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    Ok(vec![cold(plan)?, prewarmed(plan)?, frozen(plan)?, rate(plan)?])
}

/// C1: a never-seen native action, beside a bare spawn.
fn cold(plan: &Plan) -> Result<Outcome> {
    let _burners = Burners::light()?;
    let data = tempfile::tempdir()?;
    let platform = Platform::start(&plan.bin, data.path(), Settings::default())?;
    let n = plan.amount(200, 40);
    for i in 0..n {
        platform.put(&format!("cold{i}"), echo())?;
    }
    let (mut ours, mut theirs, mut ratio) = (Samples::default(), Samples::default(), Samples::default());
    let mut connection = platform.invoke("cold0", "{}").connect()?;
    for i in 0..n {
        let took = connection.timed(&platform.invoke(&format!("cold{i}"), "{}"))?;
        let base = spawn::once(data.path())?;
        ours.push_time(took);
        theirs.push_time(base);
        ratio.push(took.as_secs_f64() / base.as_secs_f64());
    }
    Ok(outcome(
        "C1",
        &ratio,
        n,
        [shown("ours", &ours), shown("spawn", &theirs)].join("; "),
    ))
}

/// C2: the first call of a node action that meets a prewarmed container, beside `/init` and `/run` on an idle server.
fn prewarmed(plan: &Plan) -> Result<Outcome> {
    let _burners = Burners::light()?;
    let data = tempfile::tempdir()?;
    let platform = Platform::start(&plan.bin, data.path(), Settings::default())?;
    let code = "function main(args) { return args; }";
    let n = plan.amount(30, 8);
    let (mut ours, mut theirs, mut ratio) = (Samples::default(), Samples::default(), Samples::default());
    for i in 0..n {
        let name = format!("warm{i}");
        let body =
            serde_json::json!({"exec": {"kind": "nodejs:default", "code": code}, "limits": {"logs": 0, "memory": 256}});
        platform
            .request("PUT", &format!("/actions/{name}"), &body.to_string())
            .once()?;
        // The stem cell that the previous round took is replaced in the background.
        wait(700);
        let invoke = platform.invoke(&name, "{}");
        let took = invoke.connect()?.timed(&invoke)?;
        let node = Server::runtime()?;
        wait(200);
        let init = serde_json::json!({"value": {"code": code, "main": "main"}}).to_string();
        let begun = Instant::now();
        Request::post(&node.address, "/init", None, &init).once()?;
        Request::post(&node.address, "/run", None, r#"{"value":{}}"#).once()?;
        let base = begun.elapsed();
        ours.push_time(took);
        theirs.push_time(base);
        ratio.push(took.as_secs_f64() / base.as_secs_f64());
    }
    Ok(outcome(
        "C2",
        &ratio,
        n,
        [shown("ours", &ours), shown("direct", &theirs)].join("; "),
    ))
}

/// C5: the first call after a container was frozen, less a warm one.
fn frozen(plan: &Plan) -> Result<Outcome> {
    let _burners = Burners::light()?;
    let data = tempfile::tempdir()?;
    let settings = Settings {
        pause_grace_ms: 20,
        ..Settings::default()
    };
    let platform = Platform::start(&plan.bin, data.path(), settings)?;
    platform.put("echo", echo())?;
    let invoke = platform.invoke("echo", "{}");
    let mut connection = invoke.connect()?;
    let (mut resumed, mut warm, mut added) = (Samples::default(), Samples::default(), Samples::default());
    connection.timed(&invoke)?;
    let n = plan.amount(60, 20);
    for _ in 0..n {
        wait(120);
        let first = connection.timed(&invoke)?;
        let second = connection.timed(&invoke)?;
        resumed.push_time(first);
        warm.push_time(second);
        added.push((first.as_secs_f64() - second.as_secs_f64()) * 1e3);
    }
    Ok(outcome(
        "C5",
        &added,
        n,
        [shown("resumed", &resumed), shown("warm", &warm)].join("; "),
    ))
}

/// D1: cold starts per second in a closed loop, beside a loop of spawns.
fn rate(plan: &Plan) -> Result<Outcome> {
    let data = tempfile::tempdir()?;
    let platform = Platform::start(
        &plan.bin,
        data.path(),
        Settings {
            pool_mb: 1024,
            ..Settings::default()
        },
    )?;
    let n = plan.amount(200, 50);
    for i in 0..n {
        platform.put(&format!("rate{i}"), echo())?;
    }
    let rounds = plan.amount(5, 2);
    let (mut ratio, mut us, mut them) = (Samples::default(), Samples::default(), Samples::default());
    let mut connection = platform.invoke("rate0", "{}").connect()?;
    for _ in 0..rounds {
        let begun = Instant::now();
        for i in 0..n {
            connection.timed(&platform.invoke(&format!("rate{i}"), "{}"))?;
        }
        let ours = n as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let mut count = 0;
        while begun.elapsed() < Duration::from_millis(700) {
            spawn::once(data.path())?;
            count += 1;
        }
        let theirs = f64::from(count) / begun.elapsed().as_secs_f64();
        ratio.push(ours / theirs);
        us.push(ours);
        them.push(theirs);
    }
    let detail = format!(
        "ours {:.0} cold starts/s, spawn loop {:.0}/s, one connection",
        us.median(),
        them.median()
    );
    Ok(outcome("D1", &ratio, n * rounds, detail))
}
