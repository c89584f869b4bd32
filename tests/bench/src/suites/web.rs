//! A6, A7: what a web action costs over the blocking invoke of the same action, in time and in CPU of the platform.

use anyhow::Result;
use serde_json::json;

use super::warm::settled;
use super::{Plan, outcome, shown};
use crate::burn::Burners;
use crate::goals::Outcome;
use crate::load::{Connection, Request};
use crate::measure::{Interleaved, Samples};
use crate::platform::{Platform, Settings};

const BODY: &str = r#"{"name":"Ada","n":1}"#;
/// Calls between two looks at what the platform has used.
const CALLS: usize = 2000;

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let _burners = Burners::light()?;
    let data = tempfile::tempdir()?;
    let platform = Platform::start(&plan.bin, data.path(), Settings::default())?;
    // An answer of a few bytes: what a web action is told of its request must not come back as its own payload.
    let exec = json!({"kind": "runtime:1", "code": "function main(args) { return { n: args.n }; }"});
    let annotations = json!([{"key": "web-export", "value": true}]);
    let body = json!({"exec": exec, "annotations": annotations, "limits": {"memory": 128}}).to_string();
    platform.request("PUT", "/actions/small?overwrite=true", &body).once()?;
    // Both forms end in the same container: what differs is the way there and back.
    let web = "/api/v1/web/guest/default/small.json";
    let targets = [
        Request::post(&platform.address, web, None, BODY),
        platform.invoke("small", BODY),
    ];
    let measured = Interleaved::run(&targets, plan.amount(60, 15), 200)?;
    let (ratio, [web, invoke]) = cpu_ratio(plan, &platform, &targets)?;
    let texts = [shown("web", &measured.all[0]), shown("invoke", &measured.all[1])];
    Ok(vec![
        outcome("A6", &measured.ratio(0, 1), measured.all[0].count(), texts.join("; ")),
        outcome(
            "A7",
            &ratio,
            ratio.count() * CALLS,
            format!("web {web:.1} µs of CPU a call, invoke {invoke:.1} µs"),
        ),
    ])
}

/// The platform's CPU per call of each target in turn: the ratio round by round, and each one's median in microseconds.
fn cpu_ratio(plan: &Plan, platform: &Platform, targets: &[Request; 2]) -> Result<(Samples, [f64; 2])> {
    let mut connections = [targets[0].connect()?, targets[1].connect()?];
    let mut used = [Samples::default(), Samples::default()];
    let mut ratio = Samples::default();
    // The first round warms up.
    for round in 0..=plan.amount(12, 5) {
        let mut costs = [0.0; 2];
        for (i, target) in targets.iter().enumerate() {
            costs[i] = cost(platform, &mut connections[i], target)?;
        }
        if round > 0 {
            used.iter_mut().zip(costs).for_each(|(all, cost)| all.push(cost));
            ratio.push(costs[0] / costs[1]);
        }
    }
    Ok((ratio, used.map(|all| all.median())))
}

/// Microseconds of the platform's CPU for a call, its record included.
fn cost(platform: &Platform, connection: &mut Connection, target: &Request) -> Result<f64> {
    let before = settled(platform)?;
    for _ in 0..CALLS {
        connection.timed(target)?;
    }
    let used = settled(platform)? - before;
    Ok(used.as_secs_f64() * 1e6 / CALLS as f64)
}
