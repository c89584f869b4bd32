//! A1, A2, A3, A5: what a warm blocking call costs.

use std::time::Duration;

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
/// Calls between two looks at what a process has used.
const CALLS: usize = 2000;

/// What one run found: ratios round by round, and all samples of each target.
struct Run {
    a1: Samples,
    a2: Samples,
    a3: Samples,
    a5: Samples,
    /// By target.
    all: Vec<Samples>,
    /// Microseconds of CPU a call, ours and the hop's.
    cpu: [Samples; 2],
}

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let _burners = Burners::light()?;
    // Everything is started anew for each run: where the scheduler happens to place it lasts as long as it lives.
    let runs: Vec<Run> = (0..plan.amount(5, 1)).map(|_| once(plan)).collect::<Result<_>>()?;
    let joined = |target: usize, name: &str| {
        let mut all = Samples::default();
        runs.iter().for_each(|run| all.extend(&run.all[target]));
        shown(name, &all)
    };
    let node = [joined(0, "ours"), joined(1, "direct"), joined(2, "hop")].join("; ");
    let echo = [joined(3, "ours"), joined(4, "direct"), joined(5, "hop")].join("; ");
    let mut cpu = [Samples::default(), Samples::default()];
    for run in &runs {
        cpu.iter_mut().zip(&run.cpu).for_each(|(sum, part)| sum.extend(part));
    }
    let [us, them] = [cpu[0].median(), cpu[1].median()];
    let calls = runs.iter().map(|run| run.all[0].count()).sum();
    let over = |id, pick: fn(&Run) -> &Samples, samples, detail| {
        let mut rounds = Samples::default();
        let mut medians = Samples::default();
        for run in &runs {
            rounds.extend(pick(run));
            medians.push(pick(run).median());
        }
        let mut found = outcome(id, &rounds, samples, detail);
        found.value = medians.median();
        found
    };
    Ok(vec![
        over("A1", |run| &run.a1, calls, node.clone()),
        over("A2", |run| &run.a2, calls, node),
        over("A3", |run| &run.a3, calls, echo),
        over(
            "A5",
            |run| &run.a5,
            cpu[0].count() * CALLS,
            format!("ours {us:.1} µs of CPU a call, hop {them:.1} µs"),
        ),
    ])
}

fn once(plan: &Plan) -> Result<Run> {
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
    let groups = alike(&platform, &[&echo_server, &node]);
    let targets = [
        platform.invoke("runtime", BODY),
        Request::run(&node.address, BODY),
        Request::run(&node_hop.address, BODY),
        platform.invoke("echo", BODY),
        Request::run(&echo_server.address, BODY),
        Request::run(&echo_hop.address, BODY),
    ];
    let measured = Interleaved::run(&targets, plan.amount(30, 10), 200)?;
    let (a5, cpu) = cpu_ratio(plan, &platform, &echo_hop, &targets[3], &targets[5])?;
    let run = Run {
        a1: measured.ratio(0, 1),
        a2: measured.ratio(0, 2),
        a3: measured.difference(3, 4),
        a5,
        all: measured.all,
        cpu,
    };
    // A group goes once nobody is in it.
    drop((echo_hop, node_hop, echo_server, node));
    drop(groups);
    Ok(run)
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
) -> Result<(Samples, [Samples; 2])> {
    let (mut ratio, mut us, mut them) = (Samples::default(), Samples::default(), Samples::default());
    let (mut a, mut b) = (ours.connect()?, theirs.connect()?);
    for _ in 0..plan.amount(8, 5) {
        let before = cpu(platform.pid())?;
        for _ in 0..CALLS {
            a.timed(ours)?;
        }
        us.push((settled(platform)? - before).as_secs_f64() * 1e6 / CALLS as f64);
        let before = cpu(hop.pid())?;
        for _ in 0..CALLS {
            b.timed(theirs)?;
        }
        them.push((cpu(hop.pid())? - before).as_secs_f64() * 1e6 / CALLS as f64);
        ratio.push(us.last() / them.last());
    }
    Ok((ratio, [us, them]))
}

/// CPU time of the platform once nothing moves: records are written behind the reply, and their cost counts.
pub fn settled(platform: &Platform) -> Result<Duration> {
    let mut last = cpu(platform.pid())?;
    loop {
        wait(100);
        let now = cpu(platform.pid())?;
        if (now - last).as_micros() < 500 {
            return Ok(now);
        }
        last = now;
    }
}

/// Lets `ms` milliseconds pass on the kernel's clock.
pub fn wait(ms: u16) {
    // A signal may cut it short, which only makes the caller look again.
    let _ = nix::poll::poll(&mut [], ms);
}
