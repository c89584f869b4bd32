//! What must hold once everything is well again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use wsk_entities::{Activation, ActivationId, Namespace};
use wsk_store::{ActivationFilter, Page};

use super::cluster::Cluster;

/// Longest wait for everything accepted to end: a forced completion takes three minutes, a composition's component more.
const PATIENCE: Duration = Duration::from_secs(900);
/// Longer than a container may be kept, than a composition waits between two looks for an answer, and than an invoker
/// that is not healthy waits for its next trial, which an accepted composition may have to wait for.
const QUIET: Duration = Duration::from_secs(90);

/// Everything that is wrong.
pub async fn judge(cluster: &mut Cluster) -> Vec<String> {
    let mut findings: Vec<String> = rest(cluster).await.into_iter().collect();
    let records = records(cluster).await;
    findings.extend(missing(cluster, &records));
    findings.extend(run_too_often(cluster, &records));
    findings.extend(uncancelled(cluster, &records));
    findings.extend(held(cluster));
    findings.extend(containers(cluster));
    cluster.note(format!("{} records; {findings:?}", records.len()));
    findings
}

/// Waits until nothing has happened for a while; says what still does when that never comes.
async fn rest(cluster: &Cluster) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET {
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
fn missing(cluster: &Cluster, records: &[Activation]) -> Vec<String> {
    let recorded: BTreeSet<ActivationId> = records.iter().map(|record| record.activation_id).collect();
    let mut findings = Vec::new();
    if recorded.len() != records.len() {
        findings.push(format!("{} records of {} activations", records.len(), recorded.len()));
    }
    let ids = cluster.ids();
    let lost = ids.difference(&recorded).filter(|id| !cluster.excused(**id));
    findings.extend(lost.map(|id| format!("{id} was accepted and has no record")));
    for record in records {
        let named = record.logs.iter().flat_map(|line| named_in(line));
        let lost = named.filter(|id| !recorded.contains(id));
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
fn run_too_often(cluster: &Cluster, records: &[Activation]) -> Vec<String> {
    let once: BTreeSet<String> = cluster
        .plan
        .actions
        .iter()
        .enumerate()
        .filter(|(_, action)| action.once)
        .map(|(n, _)| format!("a{n}"))
        .collect();
    let of: std::collections::BTreeMap<_, _> = records.iter().map(|record| (record.activation_id, record)).collect();
    let allowed = 1 + cluster.plan.interruptions();
    let runs = cluster.book.runs().into_iter();
    runs.filter_map(|(id, runs)| {
        let Some(record) = of.get(&id) else {
            return Some(format!("{id} ran and has no record"));
        };
        let allowed = if once.contains(record.name.as_str()) {
            1
        } else {
            allowed
        };
        (runs > allowed).then(|| {
            format!(
                "{id} of {} ran {runs} times, at most {allowed} are allowed",
                record.name
            )
        })
    })
    .collect()
}

/// What was cancelled stays so.
fn uncancelled(cluster: &Cluster, records: &[Activation]) -> Vec<String> {
    let so = records.iter().filter(|record| record.annotations.is_true("cancelled"));
    let so: BTreeSet<ActivationId> = so.map(|record| record.activation_id).collect();
    let undone = cluster.cancelled().into_iter().filter(|id| !so.contains(id));
    undone
        .map(|id| format!("{id} was cancelled, and its record says otherwise"))
        .collect()
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
