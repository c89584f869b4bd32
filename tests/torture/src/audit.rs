//! What must be true when the dust has settled.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::load::{Kind, Load, NAMESPACE};

/// Asked at once.
const TOGETHER: usize = 16;
const AGAIN: Duration = Duration::from_millis(500);

/// Everything that was promised and is not so.
pub async fn audit(load: &Load, cluster: &Cluster, patience: Duration) -> Result<Vec<String>> {
    let deadline = Instant::now() + patience;
    let mut findings: Vec<_> = cluster
        .missing()
        .iter()
        .map(|name| format!("{name} is not running"))
        .collect();
    let accepted = load.accepted();
    let mut ids: Vec<String> = accepted.iter().map(|(id, _)| id.clone()).collect();
    let kinds: HashMap<String, Kind> = accepted.iter().cloned().collect();
    let fires: HashSet<&String> = accepted
        .iter()
        .filter(|(_, kind)| *kind == Kind::Fire)
        .map(|(id, _)| id)
        .collect();
    let mut begun = Vec::new();
    for (id, record) in records(load, &ids, deadline).await {
        match record {
            None => findings.push(format!("{id} ({:?}) was accepted and has no record", kinds[&id])),
            Some(record) if fires.contains(&id) => begun.extend(named(&record)),
            Some(_) => {}
        }
    }
    // What the fires began was accepted with them.
    for (id, record) in records(load, &begun, deadline).await {
        if record.is_none() {
            findings.push(format!("{id} was begun by a fire and has no record"));
        }
    }
    println!("torture: {} activations of rules", begun.len());
    ids.append(&mut begun);
    let unique: HashSet<&String> = ids.iter().collect();
    if unique.len() != ids.len() {
        findings.push("one id was given twice".to_owned());
    }
    for name in load.entities() {
        if !there(load, &name, deadline).await {
            findings.push(format!("the trigger {name} was acknowledged and is not there"));
        }
    }
    findings.extend(in_flight(load, deadline).await);
    Ok(findings)
}

/// Ids of the activations that a trigger's record names.
fn named(record: &Value) -> Vec<String> {
    let lines = record.get("logs").and_then(Value::as_array).into_iter().flatten();
    let id = |line: &Value| {
        let line: Value = serde_json::from_str(line.as_str()?).ok()?;
        line.get("activationId").and_then(Value::as_str).map(str::to_owned)
    };
    lines.filter_map(id).collect()
}

async fn records(load: &Load, ids: &[String], deadline: Instant) -> Vec<(String, Option<Value>)> {
    let mut found = Vec::with_capacity(ids.len());
    for group in ids.chunks(TOGETHER) {
        let mut asked = Vec::new();
        for id in group {
            asked.push(async move { (id.clone(), record(load, id, deadline).await) });
        }
        for one in asked {
            found.push(one.await);
        }
    }
    found
}

/// A record, waiting for it until the deadline.
async fn record(load: &Load, id: &str, deadline: Instant) -> Option<Value> {
    loop {
        if let Ok(record) = load.client().activation(NAMESPACE, id).await {
            return Some(record);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn there(load: &Load, name: &str, deadline: Instant) -> bool {
    loop {
        match load.client().triggers(NAMESPACE).get(name).await {
            Ok(_) => return true,
            Err(error) if error.not_found() || Instant::now() >= deadline => return false,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// What the controllers still count, once there is nothing left to do.
async fn in_flight(load: &Load, deadline: Instant) -> Option<String> {
    let mut last = String::new();
    while Instant::now() < deadline {
        // Several looks, so that each controller answers one.
        let mut counts = Vec::new();
        for _ in 0..8 {
            match load.client().download("activation/count").await {
                Ok(count) => counts.push(String::from_utf8_lossy(&count).trim().to_owned()),
                Err(error) => counts.push(error.to_string()),
            }
        }
        if counts.iter().all(|count| count == "0") {
            return None;
        }
        last = counts.join(", ");
        tokio::time::sleep(AGAIN).await;
    }
    Some(format!("activations are still in flight: {last}"))
}
