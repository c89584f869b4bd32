//! G1: a thousand warm actions instead of one.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Plan, outcome};
use crate::baselines::Server;
use crate::goals::Outcome;
use crate::load::{Connection, Request, throughput};
use crate::measure::Samples;
use crate::platform::{Platform, Settings, echo};

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let data = tempfile::tempdir()?;
    let count = plan.amount(1000, 200);
    let settings = Settings {
        pool_mb: 128 * (count as u32 + 64),
        ..Settings::default()
    };
    let platform = Platform::start(&plan.bin, data.path(), settings)?;
    let mut all: Vec<Request> = Vec::new();
    for i in 0..count {
        let name = format!("many{i}");
        platform.put(&name, echo())?;
        let invoke = platform.invoke(&name, "{}");
        invoke.once()?;
        all.push(invoke);
    }
    let time = Duration::from_millis(plan.amount(3000, 1500));
    let (mut ratio, mut a, mut b, mut calls) = (Samples::default(), Samples::default(), Samples::default(), 0);
    for _ in 0..plan.amount(8, 3) {
        // One call at a time, so that each action keeps its one container.
        let (many, n) = throughput(&all, 1, time)?;
        let (one, _) = throughput(&all[..1], 1, time)?;
        ratio.push(many / one);
        a.push(many);
        b.push(one);
        calls += n;
    }
    drop(platform);
    let (many, one) = direct(count, time)?;
    let detail = format!(
        "{count} actions {:.0} calls/s, one action {:.0} calls/s; as many of the same programs called directly {many:.0} \
         calls/s, one of them {one:.0} calls/s ({:.2})",
        a.median(),
        b.median(),
        many / one
    );
    Ok(vec![outcome("G1", &ratio, calls as usize, detail)])
}

/// Calls per second to as many servers in turn, and to one of them, without any platform: what it costs that each call
/// finds another process, whose memory is in no cache.
fn direct(count: usize, time: Duration) -> Result<(f64, f64)> {
    let servers = (0..count)
        .map(|_| Server::baseline(&["echo"]))
        .collect::<Result<Vec<_>>>()?;
    let run = |server: &Server| Request::post(&server.address, "/run", None, r#"{"value":{}}"#);
    let requests: Vec<Request> = servers.iter().map(run).collect();
    let mut connections = requests.iter().map(Request::connect).collect::<Result<Vec<_>>>()?;
    let mut rate = |among: usize| -> Result<f64> {
        let (begun, mut calls) = (Instant::now(), 0u32);
        while begun.elapsed() < time {
            call_each(&mut connections[..among], &requests)?;
            calls += among as u32;
        }
        Ok(f64::from(calls) / begun.elapsed().as_secs_f64())
    };
    rate(count)?;
    Ok((rate(count)?, rate(1)?))
}

fn call_each(connections: &mut [Connection], requests: &[Request]) -> Result<()> {
    for (connection, request) in connections.iter_mut().zip(requests) {
        connection.timed(request)?;
    }
    Ok(())
}
