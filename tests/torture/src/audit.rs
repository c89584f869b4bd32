//! The evidence for what must be true when the dust has settled.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::time::Instant;

use crate::admin::Counts;
use crate::cluster::Cluster;
use crate::database::Database;
use crate::judge::{Count, Evidence, Harm};
use crate::load::{Kind, Load, NAMESPACE};
use crate::plan::Role;
use crate::tally::Tally;

/// Activations that are looked at through the API too.
const SAMPLE: usize = 500;
const AGAIN: Duration = Duration::from_millis(500);

/// Waits until everything is where it belongs, at most so long, and gives what was found.
pub async fn gather(
    load: &Load,
    tally: &Tally,
    harmed: &[Harm],
    cluster: &Cluster,
    patience: Duration,
) -> Result<Evidence> {
    let deadline = Instant::now() + patience;
    let (accepted, given_twice) = load.ledger.promises();
    let database = Database::new(&cluster.couchdb, &cluster.prefix);
    let (begun, succeeded) = until_recorded(&database, &accepted, deadline).await?;
    let counts = until_idle(cluster, deadline).await;
    let mut evidence = Evidence {
        given_twice,
        begun,
        succeeded,
        records: records(&database, deadline).await?,
        answered: answered(load, &accepted, deadline).await,
        harmed: harmed.to_vec(),
        entities: BTreeMap::new(),
        counts,
        missing: cluster.missing(),
        runs: tally.runs(),
        accepted,
    };
    for (name, entity) in load.ledger.entities() {
        let found = value(load, &name, deadline).await?;
        evidence.entities.insert(name, (entity, found));
    }
    Ok(evidence)
}

/// Waits for the records of what was accepted and of what that began; the ids of the latter, and of the actions among
/// all of them that have run well.
async fn until_recorded(
    database: &Database,
    accepted: &HashMap<String, Kind>,
    deadline: Instant,
) -> Result<(Vec<String>, Vec<String>)> {
    let mut open: Vec<String> = accepted.keys().cloned().collect();
    let (mut begun, mut succeeded, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let asked = Instant::now();
        let mut missing = Vec::new();
        for (id, record) in asking(deadline, async || database.records(&open).await).await? {
            match (record, accepted.get(&id)) {
                (None, _) => missing.push(id),
                (Some(record), Some(Kind::Fire | Kind::Sequence)) => waiting.extend(named(&record)),
                (Some(record), Some(Kind::Blocking | Kind::NonBlocking | Kind::Write) | None) => {
                    if record.pointer("/response/statusCode").and_then(Value::as_u64) == Some(0) {
                        succeeded.push(id);
                    }
                }
            }
        }
        // What was begun was accepted with what began it.
        missing.extend(waiting.iter().cloned());
        begun.append(&mut waiting);
        if missing.is_empty() || Instant::now() >= deadline {
            return Ok((begun, succeeded));
        }
        open = missing;
        // Asking for thousands keeps the database from taking them.
        let pause = AGAIN.max(asked.elapsed() * 4);
        tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
    }
}

/// Ids of the activations that the record of a trigger or a sequence names.
fn named(record: &Value) -> Vec<String> {
    let lines = record.get("logs").and_then(Value::as_array).into_iter().flatten();
    let id = |line: &Value| {
        let text = line.as_str()?;
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(line)) => line.get("activationId").and_then(Value::as_str).map(str::to_owned),
            Ok(_) | Err(_) => is_id(text).then(|| text.to_owned()),
        }
    };
    lines.filter_map(id).collect()
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How often the record of each id was written.
async fn records(database: &Database, deadline: Instant) -> Result<HashMap<String, u32>> {
    let ids = asking(deadline, async || database.ids().await).await?;
    Ok(ids.into_iter().collect())
}

/// Whether the API shows some of the activations.
async fn answered(load: &Load, accepted: &HashMap<String, Kind>, deadline: Instant) -> Vec<(String, bool)> {
    let mut answered = Vec::new();
    // A map has no order; the first are as good as drawn.
    for id in accepted.keys().take(SAMPLE) {
        let shown = asking(deadline, async || {
            let record = load.client().activation(NAMESPACE, id).await?;
            Ok(record.get("activationId").and_then(Value::as_str) == Some(id))
        });
        answered.push((id.clone(), shown.await.unwrap_or(false)));
    }
    answered
}

/// The value of an entity, if it is there.
async fn value(load: &Load, name: &str, deadline: Instant) -> Result<Option<u64>> {
    asking(deadline, async || {
        match load.client().triggers(NAMESPACE).get(name).await {
            Ok(trigger) => Ok(trigger.pointer("/parameters/0/value").and_then(Value::as_u64)),
            Err(error) if error.not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
    .with_context(|| format!("reading the trigger {name}"))
}

/// Asks until there is an answer or the time is over.
async fn asking<T>(deadline: Instant, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// What services count, once it is as it must be or the time is over.
async fn until_idle(cluster: &Cluster, deadline: Instant) -> Vec<Count> {
    loop {
        let counts = counts(cluster).await;
        if Instant::now() >= deadline || counts.iter().all(|count| count.value == count.due) {
            return counts;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn counts(cluster: &Cluster) -> Vec<Count> {
    let mut found = Vec::new();
    for part in &cluster.parts {
        let names: &[&str] = match part.role {
            Role::Controller => &IDLE_CONTROLLER,
            Role::Invoker => &IDLE_INVOKER,
            Role::Gateway | Role::Kafka | Role::CouchDb => &[],
        };
        let Some(admin) = part.admin.as_ref().filter(|_| !names.is_empty()) else {
            continue;
        };
        let count = |name: &str, value, due| Count {
            service: part.name.clone(),
            name: name.to_owned(),
            value,
            due,
        };
        match Counts::of(admin).await {
            Ok(counts) => {
                // What is not there is no number, and so not zero.
                found.extend(
                    names
                        .iter()
                        .map(|name| count(name, counts.known(name).unwrap_or(f64::NAN), 0.0)),
                );
                if part.role == Role::Invoker {
                    let containers = cluster.containers(&part.name).await.map_or(f64::NAN, f64::from);
                    found.push(count("containers", containers, counts.kept()));
                }
            }
            Err(_) => found.push(count("what it counts", f64::NAN, 0.0)),
        }
    }
    found
}

/// What a controller counts while something is under way: in flight, in memory placed, and held against namespaces.
const IDLE_CONTROLLER: [&str; 3] = [
    "loadbalancer_activationsInflight_counter",
    "loadbalancer_memoryInflight_counter",
    "controller_concurrent_counter",
];
/// What an invoker counts while something is under way: containers at work, activations that wait for memory.
const IDLE_INVOKER: [&str; 2] = [
    "containerPool_activeCount_counter",
    "containerPool_runBufferCount_counter",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_name_what_they_began() {
        let id = "0123456789abcdef0123456789abcdef";
        let fire = json!({ "logs": [format!("{{\"statusCode\":0,\"activationId\":\"{id}\"}}"), "{\"statusCode\":1}"] });
        assert_eq!(named(&fire), [id]);
        assert_eq!(
            named(&json!({ "logs": [id, "2026-01-01T00:00:00Z stdout: hello"] })),
            [id]
        );
    }
}
