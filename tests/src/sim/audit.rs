//! What must hold once everything is well again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use wsk_bus::messages::ELSEWHERE;
use wsk_entities::{Activation, ActivationId, Namespace, StatusCode};
use wsk_service::clock;
use wsk_store::{ActivationFilter, Page};

use super::actions::SAID;
use super::cluster::{Cluster, OFF, version_number};
use super::plan::Fault;

/// Longest wait for everything accepted to end: a forced completion takes three minutes, a composition's component more.
const PATIENCE: Duration = Duration::from_secs(900);
/// Longer than a container may be kept, than a composition waits between two looks for an answer, and than an invoker
/// that is not healthy waits for its next trial, which an accepted composition may have to wait for.
const QUIET: Duration = Duration::from_secs(90);
/// Long enough for the containers of the last probe to go.
const SHORT: Duration = Duration::from_secs(15);

type Records = BTreeMap<ActivationId, Activation>;

/// Everything that is wrong.
pub async fn judge(cluster: &mut Cluster) -> Vec<String> {
    let mut findings: Vec<String> = rest(cluster, QUIET).await.into_iter().collect();
    findings.extend(recovery(cluster).await);
    findings.extend(rest(cluster, SHORT).await);
    let retained = cluster.stores.activations.retain(clock::now()).await;
    retained.expect("memory answers");
    let list = records(cluster).await;
    let count = list.len();
    let records: Records = list.into_iter().map(|record| (record.activation_id, record)).collect();
    if records.len() != count {
        findings.push(format!("{count} records of {} activations", records.len()));
    }
    findings.extend(missing(cluster, &records));
    findings.extend(run_too_often(cluster, &records));
    findings.extend(run_too_late(cluster, &records));
    findings.extend(uncancelled(cluster, &records));
    findings.extend(fires(cluster, &records));
    findings.extend(sequences(cluster, &records));
    findings.extend(logs(cluster, &records));
    findings.extend(writes(cluster, &records).await);
    findings.extend(held(cluster));
    findings.extend(containers(cluster));
    findings.extend(cluster.sky.wrong());
    cluster.note(format!("{} records; {findings:?}", records.len()));
    findings
}

/// Every controller gets every action run.
async fn recovery(cluster: &mut Cluster) -> Vec<String> {
    let mut findings = Vec::new();
    for controller in 0..cluster.controllers.len() {
        for action in 0..cluster.plan.actions.len() {
            if let Err(status) = cluster.probe(controller, action).await {
                findings.push(format!("controller {controller} gets a{action} not run: {status}"));
            }
        }
    }
    findings
}

/// Waits until nothing has happened for a while; says what still does when that never comes.
async fn rest(cluster: &Cluster, quiet: Duration) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < quiet {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(unrest) = unrest(cluster) {
            quiet_since = Instant::now();
            if quiet_since >= deadline {
                return Some(format!("never at rest: {unrest}"));
            }
        }
    }
    None
}

/// What is still under way, if anything.
fn unrest(cluster: &Cluster) -> Option<String> {
    for (which, controller) in cluster.controllers.iter().enumerate() {
        let controller = controller.as_ref().expect("all were healed");
        if controller.busy() {
            return Some(format!("clients of controller {which} wait"));
        }
        let (flights, owed) = (
            controller.app.in_flight_count(),
            cluster.bus.depth(&format!("owed{which}")),
        );
        if flights > 0 || owed > 0 {
            return Some(format!(
                "controller {which} has {flights} in flight and {owed} promises untouched"
            ));
        }
    }
    let elsewhere = cluster.bus.depth(ELSEWHERE);
    if elsewhere > 0 {
        return Some(format!("{elsewhere} wait to be placed anew"));
    }
    for (which, machine) in cluster.machines.iter().enumerate() {
        let open = machine.invoker.as_ref().expect("all were healed").open();
        let waiting = cluster.bus.depth(&format!("invoker{which}"));
        if open > 0 || waiting > 0 {
            return Some(format!("invoker {which} has {open} open, and {waiting} wait for it"));
        }
    }
    None
}

async fn records(cluster: &Cluster) -> Vec<Activation> {
    let namespace = Namespace::new("guest").expect("a good name");
    let (filter, page) = (
        ActivationFilter::default(),
        Page {
            skip: 0,
            limit: 100_000,
        },
    );
    cluster
        .stores
        .activations
        .records(&namespace, &filter, page)
        .await
        .expect("memory answers")
}

/// Accepted is never lost: not what a client was told, nor what a record names.
fn missing(cluster: &Cluster, records: &Records) -> Vec<String> {
    let mut findings = Vec::new();
    let ids = cluster.ids().into_iter();
    let lost = ids.filter(|id| !records.contains_key(id) && !cluster.excused(*id));
    findings.extend(lost.map(|id| format!("{id} was accepted and has no record")));
    for record in records.values() {
        let named = record.logs.iter().filter_map(|line| named_in(line));
        // Where the bus took a batch in part, nothing was accepted.
        let lost = named.filter(|id| !records.contains_key(id) && !cluster.sky.is_undecided(*id));
        findings.extend(lost.map(|id| format!("{id} is named by {} and has no record", record.activation_id)));
    }
    findings
}

/// The ids that a line of a sequence's or trigger's log names.
fn named_in(line: &str) -> Option<ActivationId> {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(line) => line.get("activationId")?.as_str()?.parse().ok(),
        Err(_) => line.parse().ok(),
    }
}

/// A second run takes the death of an invoker, and an action that may run once never has one.
fn run_too_often(cluster: &Cluster, records: &Records) -> Vec<String> {
    let interrupted = 1 + cluster.plan.interruptions();
    let runs = cluster.book.runs().into_iter();
    runs.filter_map(|(id, runs)| {
        let Some(record) = records.get(&id) else {
            return Some(format!("{id} ran and has no record"));
        };
        let once = action(record).is_some_and(|n| cluster.plan.actions[n].once);
        let allowed = if once { 1 } else { interrupted };
        let name = &record.name;
        (runs > allowed).then(|| format!("{id} of {name} ran {runs} times, at most {allowed} are allowed"))
    })
    .collect()
}

/// What has its record is over, unless somebody else wrote it: for what was cancelled, or went on in a frozen invoker.
fn run_too_late(cluster: &Cluster, records: &Records) -> Vec<String> {
    let excused = |id: &ActivationId| {
        let cancelled = records.get(id).is_some_and(is_cancelled);
        cancelled || cluster.sky.is_doubled(*id)
    };
    let late = cluster.book.late().into_iter().filter(|id| !excused(id));
    late.map(|id| format!("{id} ran again though it had its record"))
        .collect()
}

fn is_cancelled(record: &Activation) -> bool {
    record.annotations.is_true("cancelled")
}

/// The number of the action that was run; none for a sequence or a trigger.
fn action(record: &Activation) -> Option<usize> {
    record.name.as_str().strip_prefix('a')?.parse().ok()
}

/// What was cancelled stays so.
fn uncancelled(cluster: &Cluster, records: &Records) -> Vec<String> {
    let so = |id: &ActivationId| records.get(id).is_some_and(is_cancelled);
    let undone = cluster.cancelled().into_iter().filter(|id| !so(id));
    undone
        .map(|id| format!("{id} was cancelled, and its record says otherwise"))
        .collect()
}

/// A fired trigger has a line for each of its rules; what a line says was started is the action of its rule.
fn fires(cluster: &Cluster, records: &Records) -> Vec<String> {
    let rules = cluster.plan.actions.len() + 1;
    let mut findings = Vec::new();
    for record in records.values().filter(|record| record.name.as_str() == "all") {
        let id = record.activation_id;
        let lines: Vec<serde_json::Value> = record
            .logs
            .iter()
            .map(|line| serde_json::from_str(line).expect("a line of a trigger's record is JSON"))
            .collect();
        let names: BTreeSet<&str> = lines.iter().filter_map(|line| line["rule"].as_str()).collect();
        if names.len() != rules || lines.len() != rules {
            findings.push(format!("{id} has {} lines for {rules} rules", lines.len()));
        }
        for line in lines {
            let rule = line["rule"].as_str().unwrap_or_default();
            let started = line["activationId"].as_str().and_then(|id| id.parse().ok());
            if rule.ends_with(OFF) && started.is_some() {
                findings.push(format!("{id} set off an inactive rule"));
            }
            let ran = started.and_then(|id: ActivationId| records.get(&id)).and_then(action);
            if ran.is_some_and(|n| !rule.ends_with(&format!("r{n}"))) {
                findings.push(format!("{id}: {rule} set off a{}", ran.expect("just seen")));
            }
        }
    }
    findings
}

/// A sequence that went well ran both its components, in their order; what was run for one is named by it.
fn sequences(cluster: &Cluster, records: &Records) -> Vec<String> {
    let mut findings = Vec::new();
    let chain = |record: &&Activation| record.name.as_str() == "chain" && !is_cancelled(record);
    for record in records.values().filter(chain) {
        let ran = record.logs.iter().filter_map(|line| named_in(line));
        let ran: Vec<Option<usize>> = ran.map(|id| records.get(&id).and_then(action)).collect();
        if record.response.status_code == StatusCode::Success && ran != [Some(0), Some(1)] {
            findings.push(format!("{} went well and ran {ran:?}", record.activation_id));
        }
    }
    // A controller that goes while the outcome of a publish is unknown leaves a component that its heir begins under another id.
    let unknown = cluster.plan.weather.unknown > 0 || cluster.lost_the_bus();
    let goes = |(_, fault): &(u64, Fault)| matches!(fault, Fault::Controller { .. } | Fault::FrozenController { .. });
    if !unknown || !cluster.plan.faults.iter().any(goes) {
        for record in records.values() {
            // A controller that was frozen for long does not know that another works on its promise.
            let parent = record.cause.and_then(|cause| records.get(&cause)).filter(chain);
            let parent = parent.filter(|parent| !cluster.sky.is_doubled(parent.activation_id));
            let unnamed = parent.filter(|parent| {
                let named = parent.logs.iter().filter_map(|line| named_in(line));
                !named.into_iter().any(|id| id == record.activation_id)
            });
            findings.extend(unnamed.map(|parent| {
                format!(
                    "{} ran for {}, which does not know it",
                    record.activation_id, parent.activation_id
                )
            }));
        }
    }
    findings
}

/// An activation that gave an answer of its own has the line that it printed, and nobody else's.
fn logs(cluster: &Cluster, records: &Records) -> Vec<String> {
    let mut findings = Vec::new();
    for record in records.values().filter(|record| !is_cancelled(record)) {
        // Where several share a container nobody can tell whose line is whose.
        let alone = action(record).is_some_and(|n| cluster.plan.actions[n].concurrency == 1);
        if !alone {
            continue;
        }
        let id = record.activation_id;
        let said: Vec<&str> = record
            .logs
            .iter()
            .filter_map(|line| line.split_once(SAID))
            .map(|(_, by)| by)
            .collect();
        let result = record.response.result.as_str();
        if [r#"{"ok":true}"#, r#"{"error":"mine"}"#].contains(&result) && said.len() != 1 {
            findings.push(format!("the log of {id} has {} lines: {result}", said.len()));
        }
        let foreign = said.into_iter().filter(|by| *by != id.to_string());
        findings.extend(foreign.map(|by| format!("the log of {id} has a line of {by}")));
    }
    findings
}

/// Acknowledged writes last, none undoes another, and everybody hears of them.
async fn writes(cluster: &Cluster, records: &Records) -> Vec<String> {
    let mut findings = Vec::new();
    let written = cluster.written();
    let distinct: BTreeSet<(usize, u64)> = written.iter().copied().collect();
    if distinct.len() != written.len() {
        findings.push(format!("a version was written twice: {written:?}"));
    }
    for n in 0..cluster.plan.actions.len() {
        let stored = cluster.version(n).await;
        let lost = distinct
            .iter()
            .filter(|(action, version)| *action == n && *version > stored);
        findings.extend(lost.map(|(_, version)| format!("version {version} of a{n} was written, {stored} is there")));
    }
    for (id, (n, oldest)) in &cluster.probes {
        let Some(record) = records.get(id) else { continue };
        let ran = version_number(&record.version.to_string());
        if ran < *oldest {
            findings.push(format!("{id} ran version {ran} of a{n} after {oldest} was written"));
        }
    }
    findings
}

/// Slots and throttles are back at nothing.
fn held(cluster: &Cluster) -> Vec<String> {
    let mut findings = Vec::new();
    for (which, controller) in cluster.controllers.iter().enumerate() {
        let app = &controller.as_ref().expect("all were healed").app;
        if app.memory_held() != [0, 0] {
            findings.push(format!("controller {which} holds memory: {:?} MB", app.memory_held()));
        }
        let counted = app.counted_in_flight(&cluster.identity.namespace.uuid);
        if counted != 0 {
            findings.push(format!(
                "controller {which} counts {counted} against the namespace's concurrency"
            ));
        }
    }
    findings
}

/// Nobody misused a container, and no idle one is left.
fn containers(cluster: &Cluster) -> Vec<String> {
    let mut findings = Vec::new();
    for (which, machine) in cluster.machines.iter().enumerate() {
        for (life, containers) in machine.containers.iter().enumerate() {
            findings.extend(
                containers
                    .violations()
                    .into_iter()
                    .map(|what| format!("invoker {which}: {what}")),
            );
            let last = life + 1 == machine.containers.len();
            let left = containers
                .alive()
                .into_iter()
                .filter(|(_, spec)| !(last && spec.name.contains("prewarm")));
            findings.extend(left.map(|(_, spec)| format!("invoker {which}, life {life}: {} is left", spec.name)));
        }
    }
    findings
}
