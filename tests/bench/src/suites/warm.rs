//! A1, A2, A3, A5: what a warm blocking call costs.

use anyhow::Result;

use super::{Plan, outcome, shown};
use crate::baselines::Server;
use crate::burn::Burners;
use crate::goals::Outcome;
use crate::groups::Group;
use crate::load::Request;
use crate::measure::{Interleaved, Samples, cpu};
use crate::platform::{Platform, Settings, echo, runtime};

const BODY: &str = r#"{"name":"Ada","n":1}"#;

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let _burners = Burners::light()?;
    let data = tempfile::tempdir()?;
    let platform = Platform::start(&plan.bin, data.path(), Settings::default())?;
    let echo_server = Server::baseline(&["echo"])?;
    let echo_hop = Server::baseline(&["hop", "--to", &echo_server.address])?;
    let node = Server::runtime()?;
    let node_hop = Server::baseline(&["hop", "--to", &node.address])?;
    let init = r#"{"value":{"code":"function main(args) { return args; }","main":"main"}}"#;
    Request::post(&node.address, "/init", None, init).once()?;
    platform.put("echo", echo())?;
    platform.put("runtime", runtime())?;
    platform.invoke("echo", BODY).once()?;
    let _groups = alike(&platform, &[&echo_server, &node]);
    let targets = [
        platform.invoke("runtime", BODY),
        Request::run(&node.address, BODY),
        Request::run(&node_hop.address, BODY),
        platform.invoke("echo", BODY),
        Request::run(&echo_server.address, BODY),
        Request::run(&echo_hop.address, BODY),
    ];
    let (mut a1, mut a2, mut a3) = (Samples::default(), Samples::default(), Samples::default());
    let mut all = vec![Samples::default(); targets.len()];
    for _ in 0..plan.amount(5, 1) {
        let measured = Interleaved::run(&targets, plan.amount(30, 8), 200)?;
        a1.extend(&measured.ratio(0, 1));
        a2.extend(&measured.ratio(0, 2));
        a3.extend(&measured.difference(3, 4));
        for (sum, part) in all.iter_mut().zip(&measured.all) {
            sum.extend(part);
        }
    }
    let node_detail = [shown("ours", &all[0]), shown("direct", &all[1]), shown("hop", &all[2])].join("; ");
    let echo_detail = [shown("ours", &all[3]), shown("direct", &all[4]), shown("hop", &all[5])].join("; ");
    let (a5, a5_detail) = cpu_ratio(plan, &platform, &echo_hop, &targets[3], &targets[5])?;
    let n = all[0].count();
    Ok(vec![
        outcome("A1", &a1, n, node_detail.clone()),
        outcome("A2", &a2, n, node_detail),
        outcome("A3", &a3, n, echo_detail),
        outcome("A5", &a5, a5.count() * 2000, a5_detail),
    ])
}

/// Gives the servers that stand for containers what containers have of the scheduler.
pub fn alike(platform: &Platform, servers: &[&Server]) -> Vec<Group> {
    let name = |i: usize| format!("baseline{i}");
    let made = servers.iter().enumerate().filter_map(|(i, server)| {
        let group = Group::like_a_container_of(platform.pid(), &name(i))?;
        group.take(server.pid());
        Some(group)
    });
    made.collect()
}

/// CPU of the platform per warm call, over CPU of a hop per call, round by round.
fn cpu_ratio(
    plan: &Plan,
    platform: &Platform,
    hop: &Server,
    ours: &Request,
    theirs: &Request,
) -> Result<(Samples, String)> {
    const CALLS: usize = 2000;
    let (mut ratio, mut us, mut them) = (Samples::default(), Samples::default(), Samples::default());
    let (mut a, mut b) = (ours.connect()?, theirs.connect()?);
    for _ in 0..plan.amount(15, 4) {
        let before = cpu(platform.pid())?;
        for _ in 0..CALLS {
            a.timed(ours)?;
        }
        // Records are written behind the reply: wait until nothing moves, so that their cost is counted.
        let mut last = cpu(platform.pid())?;
        loop {
            wait(50);
            let now = cpu(platform.pid())?;
            if (now - last).as_micros() < 500 {
                break;
            }
            last = now;
        }
        us.push((cpu(platform.pid())? - before).as_secs_f64() * 1e6 / CALLS as f64);
        let before = cpu(hop.pid())?;
        for _ in 0..CALLS {
            b.timed(theirs)?;
        }
        them.push((cpu(hop.pid())? - before).as_secs_f64() * 1e6 / CALLS as f64);
        ratio.push(us.last() / them.last());
    }
    let detail = format!("ours {:.1} µs of CPU a call, hop {:.1} µs", us.median(), them.median());
    Ok((ratio, detail))
}

/// Lets `ms` milliseconds pass on the kernel's clock.
pub fn wait(ms: u16) {
    // A signal may cut it short, which only makes the caller look again.
    let _ = nix::poll::poll(&mut [], ms);
}
