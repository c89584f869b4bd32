//! Requests of all kinds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wsk_client::{Client, Config, Credentials, Invocation, Overwrite, Wait};

use crate::ledger::{Answer, Ledger};

pub const NAMESPACE: &str = "_";
const PATIENCE: Duration = Duration::from_secs(90);
/// Requests under way at once, in seconds of what is to be sent: longer than a part is frozen, because clients go on asking while
/// it is. More are not begun; each is a connection, of which a process may have some thousands.
pub const OPEN: u32 = 45;
/// So many actions that each of a few invokers is the home of some.
const ACTIONS: u64 = 9;
/// Entities that are written over and over.
const ENTITIES: u64 = 300;

/// Kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Blocking,
    NonBlocking,
    Fire,
    Sequence,
    Write,
}

/// What is known of the values of an entity.
#[derive(Clone, Debug, Default)]
pub struct Entity {
    /// The last that was acknowledged.
    pub acknowledged: Option<u64>,
    /// Those that got no good answer, and may have been written nevertheless.
    pub unknown: Vec<u64>,
}

/// Requests, and a note of everything that came of them.
pub struct Load {
    clients: Vec<Client>,
    pub stop: AtomicBool,
    turn: AtomicU64,
    /// Requests that were due and not sent, because too many were under way.
    pub unsent: AtomicU64,
    rate: u32,
    pub ledger: Ledger,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Blocking => "blocking",
            Kind::NonBlocking => "non-blocking",
            Kind::Fire => "fire",
            Kind::Sequence => "sequence",
            Kind::Write => "write",
        })
    }
}

impl Load {
    /// So many requests a second.
    pub fn new(gateways: &[String], auth: &str, rate: u32) -> Result<Load> {
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
            turn: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            rate: rate.max(1),
            ledger: Ledger::default(),
        })
    }

    /// Any gateway's client; the turn goes round.
    pub fn client(&self) -> &Client {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.clients[usize::try_from(turn).unwrap_or(0) % self.clients.len()]
    }

    /// Actions, sequences, a trigger with two rules. Each run of an action is told to a port of this machine.
    pub async fn prepare(&self, port: u16) -> Result<()> {
        let client = &self.clients[0];
        let (actions, triggers, rules) = (
            client.actions(NAMESPACE),
            client.triggers(NAMESPACE),
            client.rules(NAMESPACE),
        );
        let action = json!({ "exec": { "kind": "nodejs:default", "code": code(port) }, "limits": { "memory": 128 } });
        for n in 0..ACTIONS {
            let put = actions.put(&echo(n), Overwrite::Yes, &action).await;
            put.with_context(|| echo(n))?;
        }
        for n in 0..ACTIONS {
            let components = [n, n + 1].map(|n| format!("/_/{}", echo(n)));
            let sequence = json!({ "exec": { "kind": "sequence", "components": components } });
            let put = actions.put(&both(n), Overwrite::Yes, &sequence).await;
            put.with_context(|| both(n))?;
        }
        triggers.put("bell", Overwrite::Yes, &json!({})).await.context("bell")?;
        for n in [1, 2] {
            let body = json!({ "trigger": "/_/bell", "action": format!("/_/{}", echo(n)) });
            let put = rules.put(&format!("bell{n}"), Overwrite::Yes, &body).await;
            put.context("a rule")?;
        }
        Ok(())
    }

    /// Sends requests until told to stop, and waits for their answers.
    pub async fn run(self: Arc<Load>) {
        let most = self.rate.saturating_mul(OPEN);
        let open = Arc::new(Semaphore::new(usize::try_from(most).expect("no more than an address")));
        let mut tick = tokio::time::interval(Duration::from_secs(1) / self.rate);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let mut number = 0u64;
        while !self.stop.load(Ordering::Acquire) {
            tick.tick().await;
            let Ok(permit) = open.clone().try_acquire_owned() else {
                self.unsent.fetch_add(1, Ordering::Relaxed);
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
        drop(open.acquire_many(most).await);
    }

    async fn send(&self, n: u64) {
        let kind = match n % 20 {
            0..8 => Kind::Blocking,
            8..13 => Kind::NonBlocking,
            13..17 => Kind::Fire,
            17..19 => Kind::Sequence,
            _ => Kind::Write,
        };
        let began = Instant::now();
        let good = match kind {
            Kind::Write => self.write(n).await,
            Kind::Blocking | Kind::NonBlocking | Kind::Fire | Kind::Sequence => self.ask(kind, n).await,
        };
        let took = began.elapsed();
        self.ledger.ended(
            kind,
            Answer {
                at: began + took,
                took,
                good,
            },
        );
    }

    /// Whether a write was acknowledged.
    async fn write(&self, n: u64) -> bool {
        let free = (0..ENTITIES).map(|k| format!("entity{}", (n / 20 + k) % ENTITIES));
        let Some(name) = free.into_iter().find(|name| self.ledger.take(name)) else {
            return false;
        };
        let body = json!({ "parameters": [{ "key": "n", "value": n }] });
        let triggers = self.client().triggers(NAMESPACE);
        let put = tokio::time::timeout(PATIENCE, triggers.put(&name, Overwrite::Yes, &body)).await;
        let acknowledged = matches!(put, Ok(Ok(_)));
        self.ledger.written(&name, n, acknowledged);
        acknowledged
    }

    /// Whether an invocation or a fire was accepted.
    async fn ask(&self, kind: Kind, n: u64) -> bool {
        let parameters = json!({ "n": n });
        let id = tokio::time::timeout(PATIENCE, self.id(kind, n, &parameters)).await;
        match id.ok().flatten().filter(|id| !id.is_empty()) {
            Some(id) => {
                self.ledger.accepted(id, kind);
                true
            }
            None => false,
        }
    }

    async fn id(&self, kind: Kind, n: u64, parameters: &Value) -> Option<String> {
        let client = self.client();
        // Kinds take turns by the number, so the actions go by something that the kinds have no part in.
        let turn = n + n / 10;
        match kind {
            Kind::Blocking => invoked(client.invoke(NAMESPACE, &echo(turn), parameters, Wait::ForRecord).await),
            Kind::NonBlocking => invoked(client.invoke(NAMESPACE, &echo(turn), parameters, Wait::No).await),
            Kind::Sequence => invoked(client.invoke(NAMESPACE, &both(turn), parameters, Wait::ForRecord).await),
            Kind::Fire | Kind::Write => client.fire(NAMESPACE, "bell", parameters).await.ok().flatten(),
        }
    }
}

/// An action that tells its runs to where it also finds the API: this machine, from wherever it runs.
fn code(port: u16) -> String {
    format!(
        "const tell = require('dgram').createSocket('udp4');\n\
         tell.unref();\n\
         const host = process.env.__OW_API_HOST.replace(/^.*\\/\\//, '').split(':')[0];\n\
         function main(p) {{\n\
           console.log('run ' + p.n);\n\
           return new Promise((done) => tell.send(process.env.__OW_ACTIVATION_ID, {port}, host, () => done({{ n: p.n }})));\n\
         }}"
    )
}

fn echo(n: u64) -> String {
    format!("echo{}", n % ACTIONS)
}

fn both(n: u64) -> String {
    format!("both{}", n % ACTIONS)
}

/// The id of an activation that was accepted, however it ended.
fn invoked(outcome: wsk_client::Result<Invocation>) -> Option<String> {
    let id = |body: &Value| body.get("activationId").and_then(Value::as_str).map(str::to_owned);
    match outcome.ok()? {
        Invocation::Accepted { id } | Invocation::Unfinished { id } => Some(id),
        Invocation::Done(body) | Invocation::Failed { body, .. } => id(&body),
    }
}
