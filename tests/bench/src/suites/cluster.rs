//! H1: what a cluster adds to a warm call, in passes through Kafka.
//!
//! `tests/cluster/cluster.sh` starts Kafka, the store and all services on this machine, and this program again inside of it. There
//! one Node action is called through a gateway and on a standalone platform beside it, in turn with a raw client's ping-pong.
//! A call crosses Kafka twice (the activation to the invoker, the acknowledgement back), so 2 is what cannot be saved.

use std::path::Path;

use anyhow::Result;

use super::{Plan, skipped};
use crate::goals::Outcome;

/// What a cluster is made of, beside the programs of the platform in one process.
const PROGRAMS: &[&str] = &[
    "ferrowhisk-gateway",
    "ferrowhisk-controller",
    "ferrowhisk-invoker",
    "wskadmin",
];

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let found = match missing(&plan.bin) {
        Some(why) => skipped("H1", why),
        None => measured(plan)?,
    };
    Ok(vec![found])
}

/// Why it cannot be measured here.
fn missing(bin: &Path) -> Option<String> {
    const HOW: &str = "`make bench CLUSTER=1` builds what it takes";
    if cfg!(not(feature = "kafka")) {
        return Some(format!("this program was built without Kafka; {HOW}"));
    }
    let absent = PROGRAMS.iter().find(|program| !bin.join(program).is_file());
    if let Some(program) = absent {
        return Some(format!("{} has no {program}; {HOW}", bin.display()));
    }
    let on_path = |tool: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
    };
    let tool = ["mvn", "java", "npm", "python3", "curl"].iter().find(on_path)?;
    Some(format!("Kafka and its neighbours take `{tool}`, which is not here"))
}

#[cfg(not(feature = "kafka"))]
fn measured(_: &Plan) -> Result<Outcome> {
    unreachable!("without Kafka something is always missing")
}

#[cfg(feature = "kafka")]
fn measured(plan: &Plan) -> Result<Outcome> {
    inside::from_outside(plan)
}

#[cfg(feature = "kafka")]
pub use inside::measure;

#[cfg(feature = "kafka")]
mod inside {
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Context, Result, ensure};
    use base64::Engine as _;
    use serde_json::{Value, json};

    use super::super::{Plan, outcome, shown};
    use crate::baselines::pingpong::PingPong;
    use crate::burn::Burners;
    use crate::goals::Outcome;
    use crate::load::{Connection, Request};
    use crate::measure::Samples;
    use crate::platform::{Platform, Settings};

    const BODY: &str = r#"{"name":"Ada","n":1}"#;
    const CODE: &str = "function main(args) { return args; }";
    /// What an activation message weighs.
    const RECORD: usize = 900;
    /// Calls before anything counts, and of each target in a round.
    const WARM_UP: usize = 1500;
    const BLOCK: usize = 100;

    /// Starts a cluster with this program in it, and takes what that found.
    pub fn from_outside(plan: &Plan) -> Result<Outcome> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = tempfile::tempdir()?;
        let found = folder.path().join("found.json");
        let status = Command::new(root.join("tests/cluster/cluster.sh"))
            .arg(plan.bin.canonicalize()?)
            .arg(std::env::current_exe()?)
            .args(["--bin".as_ref(), plan.bin.canonicalize()?.as_os_str()])
            .args(plan.quick.then_some("--quick"))
            .args(["inside".as_ref(), found.as_os_str()])
            .env("CLUSTER_INVOKER", "pause_grace_ms = 60000")
            // Processes on every node, as in the standalone platform beside it.
            .env("CLUSTER_DOCKER", "no")
            .current_dir(&root)
            .status()?;
        ensure!(status.success(), "the cluster ended with {status}");
        let found: Value = serde_json::from_slice(&std::fs::read(&found)?)?;
        let mut ratio = Samples::default();
        let rounds = found["rounds"].as_array().context("rounds")?;
        rounds
            .iter()
            .filter_map(Value::as_f64)
            .for_each(|round| ratio.push(round));
        let calls = found["calls"].as_u64().context("calls")?;
        let detail = found["detail"].as_str().context("a detail")?.to_owned();
        Ok(outcome("H1", &ratio, calls as usize, detail))
    }

    /// Measures inside a cluster that the environment names, and writes what was found to `out`.
    pub fn measure(plan: &Plan, out: &Path) -> Result<()> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("{name}, which cluster.sh sets"));
        let gateways = variable("CLUSTER_GATEWAYS")?;
        let gateway = gateways.split(' ').next().context("a gateway")?;
        let gateway = gateway.trim_start_matches("http://").to_owned();
        let key = base64::engine::general_purpose::STANDARD.encode(variable("CLUSTER_AUTH")?);
        let data = tempfile::tempdir()?;
        let platform = Platform::start(&plan.bin, data.path(), Settings::default())?;
        let exec = json!({"kind": "nodejs:default", "code": CODE});
        platform.put("warm", exec.clone())?;
        let body = json!({"exec": exec, "limits": {"memory": 128}}).to_string();
        let path = "/api/v1/namespaces/_/actions/warm";
        Request::new("PUT", &gateway, &format!("{path}?overwrite=true"), Some(&key), &body).once()?;
        let cluster = Request::new(
            "POST",
            &gateway,
            &format!("{path}?blocking=true&result=true"),
            Some(&key),
            BODY,
        );
        let standalone = platform.invoke("warm", BODY);
        let mut raw = PingPong::start(&variable("FERROWHISK_TEST_KAFKA")?, RECORD)?;
        let _burners = Burners::light()?;
        let found = rounds(plan, [&cluster, &standalone], &mut raw)?;
        std::fs::write(out, found.to_string()).context("cannot write what was found")
    }

    fn rounds(plan: &Plan, targets: [&Request; 2], raw: &mut PingPong) -> Result<Value> {
        let mut connections = [targets[0].connect()?, targets[1].connect()?];
        for (target, connection) in targets.iter().zip(&mut connections) {
            block(target, connection, WARM_UP)?;
        }
        let mut all = [Samples::default(), Samples::default(), Samples::default()];
        let mut ratios = Vec::new();
        for _ in 0..plan.amount(30, 8) {
            let mut medians = [0.0; 3];
            for (i, (target, connection)) in targets.iter().zip(&mut connections).enumerate() {
                let samples = block(target, connection, BLOCK)?;
                medians[i] = samples.median();
                all[i].extend(&samples);
            }
            let mut passes = Samples::default();
            for _ in 0..BLOCK {
                passes.push_time(raw.once()?);
            }
            medians[2] = passes.median();
            all[2].extend(&passes);
            ratios.push((medians[0] - medians[1]) / medians[2]);
        }
        let detail = [
            shown("cluster", &all[0]),
            shown("standalone", &all[1]),
            shown("one pass through Kafka of a raw client", &all[2]),
        ];
        Ok(json!({"rounds": ratios, "calls": all[0].count(), "detail": detail.join("; ")}))
    }

    fn block(target: &Request, connection: &mut Connection, calls: usize) -> Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..calls {
            samples.push_time(connection.timed(target)?);
        }
        Ok(samples)
    }
}
