//! Requests of all kinds, and a note of everything that was accepted.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use wsk_client::{Client, Config, Credentials, Invocation, Overwrite, Wait};

pub const NAMESPACE: &str = "_";
/// Requests under way at once; more are not begun, so that a stuck cluster is not buried.
const OPEN: usize = 400;
const PATIENCE: Duration = Duration::from_secs(90);

/// Kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Blocking,
    NonBlocking,
    Fire,
    Sequence,
    Write,
}

#[derive(Default)]
struct Notes {
    accepted: HashMap<String, Kind>,
    entities: Vec<String>,
    refused: HashMap<Kind, u64>,
}

pub struct Load {
    clients: Vec<Client>,
    pub stop: AtomicBool,
    sent: AtomicU64,
    notes: Mutex<Notes>,
}

/// How much was accepted.
pub struct Account(HashMap<Kind, (u64, u64)>);

const ECHO: &str = "function main(p) { console.log('run ' + p.n); return { n: p.n }; }";

impl Load {
    pub fn new(gateways: &[String], auth: &str) -> Result<Load> {
        let client = |host: &String| {
            Client::new(Config {
                host: host.clone(),
                credentials: Some(Credentials::new(auth)),
                ..Config::default()
            })
        };
        Ok(Load {
            clients: gateways.iter().map(client).collect::<Result<_, _>>()?,
            stop: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            notes: Mutex::default(),
        })
    }

    /// Any gateway's client; the turn goes round.
    pub fn client(&self) -> &Client {
        let turn = self.sent.fetch_add(1, Ordering::Relaxed);
        &self.clients[usize::try_from(turn).unwrap_or(0) % self.clients.len()]
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().expect("no panic under this lock")
    }

    /// Actions, a sequence, a trigger with two rules.
    pub async fn prepare(&self) -> Result<()> {
        let client = &self.clients[0];
        let action = json!({ "exec": { "kind": "nodejs:default", "code": ECHO }, "limits": { "memory": 128 } });
        for name in ["echo", "other"] {
            client
                .actions(NAMESPACE)
                .put(name, Overwrite::Yes, &action)
                .await
                .context(name)?;
        }
        let sequence = json!({ "exec": { "kind": "sequence", "components": ["/_/echo", "/_/other"] } });
        client
            .actions(NAMESPACE)
            .put("both", Overwrite::Yes, &sequence)
            .await
            .context("both")?;
        client
            .triggers(NAMESPACE)
            .put("bell", Overwrite::Yes, &json!({}))
            .await
            .context("bell")?;
        for (rule, action) in [("bell-echo", "echo"), ("bell-other", "other")] {
            let body = json!({ "trigger": "/_/bell", "action": format!("/_/{action}") });
            client
                .rules(NAMESPACE)
                .put(rule, Overwrite::Yes, &body)
                .await
                .context(rule)?;
        }
        Ok(())
    }

    /// Sends requests until told to stop, and waits for their answers.
    pub async fn run(self: Arc<Load>, rate: u32) {
        let open = Arc::new(Semaphore::new(OPEN));
        let mut tick = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut number = 0u64;
        while !self.stop.load(Ordering::Acquire) {
            tick.tick().await;
            let Ok(permit) = open.clone().try_acquire_owned() else {
                continue;
            };
            number += 1;
            let (load, n) = (self.clone(), number);
            tokio::spawn(async move {
                load.send(n).await;
                drop(permit);
            });
        }
        // All of them answered or given up.
        let everything = u32::try_from(OPEN).expect("a small number");
        drop(open.acquire_many(everything).await);
    }

    async fn send(&self, n: u64) {
        let kind = match n % 20 {
            0..8 => Kind::Blocking,
            8..13 => Kind::NonBlocking,
            13..17 => Kind::Fire,
            17..19 => Kind::Sequence,
            _ => Kind::Write,
        };
        let outcome = tokio::time::timeout(PATIENCE, self.attempt(kind, n)).await;
        if !matches!(outcome, Ok(true)) {
            *self.notes().refused.entry(kind).or_default() += 1;
        }
    }

    /// Whether it was accepted.
    async fn attempt(&self, kind: Kind, n: u64) -> bool {
        let (client, parameters) = (self.client(), json!({ "n": n }));
        let id = match kind {
            Kind::Blocking => invoked(client.invoke(NAMESPACE, "echo", &parameters, Wait::ForRecord).await),
            Kind::NonBlocking => invoked(client.invoke(NAMESPACE, "other", &parameters, Wait::No).await),
            Kind::Sequence => invoked(client.invoke(NAMESPACE, "both", &parameters, Wait::ForRecord).await),
            Kind::Fire => client.fire(NAMESPACE, "bell", &parameters).await.ok().flatten(),
            Kind::Write => {
                let (name, body) = (
                    format!("entity{n}"),
                    json!({ "parameters": [{ "key": "n", "value": n }] }),
                );
                let put = client.triggers(NAMESPACE).put(&name, Overwrite::Yes, &body).await;
                if put.is_ok() {
                    self.notes().entities.push(name);
                }
                return put.is_ok();
            }
        };
        match id.filter(|id| !id.is_empty()) {
            Some(id) => {
                self.notes().accepted.insert(id, kind);
                true
            }
            None => false,
        }
    }

    pub fn accepted(&self) -> Vec<(String, Kind)> {
        self.notes()
            .accepted
            .iter()
            .map(|(id, kind)| (id.clone(), *kind))
            .collect()
    }

    pub fn entities(&self) -> Vec<String> {
        self.notes().entities.clone()
    }

    pub fn account(&self) -> Account {
        let notes = self.notes();
        let mut account: HashMap<Kind, (u64, u64)> = HashMap::new();
        notes
            .accepted
            .values()
            .for_each(|kind| account.entry(*kind).or_default().0 += 1);
        account.entry(Kind::Write).or_default().0 = notes.entities.len() as u64;
        notes
            .refused
            .iter()
            .for_each(|(kind, count)| account.entry(*kind).or_default().1 = *count);
        Account(account)
    }
}

/// The id of an activation that was accepted, however it ended.
fn invoked(outcome: wsk_client::Result<Invocation>) -> Option<String> {
    let id = |body: &Value| body.get("activationId").and_then(Value::as_str).map(str::to_owned);
    match outcome.ok()? {
        Invocation::Accepted { id } | Invocation::Unfinished { id } => Some(id),
        Invocation::Done(body) | Invocation::Failed { body, .. } => id(&body),
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<_> = self
            .0
            .iter()
            .map(|(kind, counts)| (format!("{kind:?}"), counts))
            .collect();
        lines.sort();
        let texts: Vec<_> = lines
            .iter()
            .map(|(kind, (accepted, refused))| format!("{kind} {accepted} accepted, {refused} not"))
            .collect();
        f.write_str(&texts.join("; "))
    }
}
