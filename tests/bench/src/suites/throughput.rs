//! B1, B2: calls per second under a closed loop.
//!
//! A container of the platform works at one call at a time unless its action asks for more, so 32 connections keep up to 32
//! containers busy. One server behind a hop would take all 32 at once and save most of its wake-ups, and the hop's: that is
//! another arrangement, not another proxy. B2's hop has therefore 32 native servers behind it.

use std::time::Duration;

use anyhow::Result;

use super::{Plan, outcome};
use crate::baselines::Server;
use crate::goals::Outcome;
use crate::load::{Request, throughput};
use crate::measure::Samples;
use crate::platform::{Platform, Settings, echo, runtime};

const BODY: &str = r#"{"n":1}"#;
const CONNECTIONS: usize = 32;

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let data = tempfile::tempdir()?;
    let platform = Platform::start(&plan.bin, data.path(), Settings::default())?;
    let (hop, _servers) = hop_before(CONNECTIONS)?;
    let (crowded, _server) = hop_before(1)?;
    let nodes: Vec<Server> = (0..2).map(|_| Server::runtime()).collect::<Result<_>>()?;
    let init = r#"{"value":{"code":"function main(args) { return args; }","main":"main"}}"#;
    for node in &nodes {
        Request::post(&node.address, "/init", None, init).once()?;
    }
    platform.put("echo", echo())?;
    platform.put("runtime", runtime())?;
    let direct: Vec<Request> = nodes.iter().map(|n| Request::run(&n.address, BODY)).collect();
    let b1 = compare(plan, "B1", &[platform.invoke("runtime", BODY)], &direct[..1], "direct")?;
    let hop_request = [Request::run(&hop.address, BODY)];
    let mut b2 = compare(plan, "B2", &[platform.invoke("echo", BODY)], &hop_request, "hop")?;
    let time = Duration::from_millis(plan.amount(2000, 1000));
    let (rate, _) = throughput(&[Request::run(&crowded.address, BODY)], CONNECTIONS, time)?;
    b2.detail.push_str(&format!(
        "; a hop before one server that takes all at once: {rate:.0}/s"
    ));
    Ok(vec![b1, b2])
}

/// A hop before so many native servers.
fn hop_before(servers: usize) -> Result<(Server, Vec<Server>)> {
    let servers: Vec<Server> = (0..servers)
        .map(|_| Server::baseline(&["echo"]))
        .collect::<Result<_>>()?;
    let mut arguments = vec!["hop"];
    for server in &servers {
        arguments.extend(["--to", &server.address]);
    }
    Ok((Server::baseline(&arguments)?, servers))
}

fn compare(plan: &Plan, id: &'static str, ours: &[Request], theirs: &[Request], name: &str) -> Result<Outcome> {
    let time = Duration::from_millis(plan.amount(2000, 1000));
    throughput(ours, CONNECTIONS, time)?;
    let (mut ratio, mut a, mut b, mut calls) = (Samples::default(), Samples::default(), Samples::default(), 0);
    for _ in 0..plan.amount(10, 3) {
        let (rate, n) = throughput(ours, CONNECTIONS, time)?;
        let (base, _) = throughput(theirs, CONNECTIONS, time)?;
        ratio.push(rate / base);
        a.push(rate);
        b.push(base);
        calls += n;
    }
    let mut singles = String::new();
    for connections in [1, 100] {
        let (rate, _) = throughput(ours, connections, time)?;
        let (base, _) = throughput(theirs, connections, time)?;
        singles.push_str(&format!(
            "; {connections} connections: ours {rate:.0}/s, {name} {base:.0}/s"
        ));
    }
    let detail = format!(
        "32 connections: ours {:.0}/s, {name} {:.0}/s{singles}",
        a.median(),
        b.median()
    );
    Ok(outcome(id, &ratio, calls as usize, detail))
}
