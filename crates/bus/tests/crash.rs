//! The journal under SIGKILL: a child publishes, commits and says so; it is killed at random moments and started again on the
//! same folder. What was acknowledged and not committed must come back, and what never was published must not appear.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use wsk_bus::{Config, Durability, InProcess, Journal, Key, Message, MessageBus, TopicConfig};

/// Tells a child from a test; its value is the folder and the first id.
const CHILD: &str = "BUS_CRASH_CHILD";
const ROUNDS: u128 = 20;
const IDS_PER_ROUND: u128 = 1_000_000;

async fn open(dir: &Path) -> Arc<dyn MessageBus> {
    let journal = Journal {
        dir: dir.to_owned(),
        segment_bytes: 20_000,
        ..Journal::default()
    };
    let bus = wsk_bus::open(&Config::InProcess(InProcess { journal: Some(journal) })).unwrap();
    bus.ensure_topic(&TopicConfig::queue("work")).await.unwrap();
    bus
}

fn say(word: &str, id: u128) {
    // One write, so that a kill leaves no half line but the last.
    std::io::stdout()
        .write_all(format!("{word} {id}\n").as_bytes())
        .unwrap();
}

/// Publishes for ever from several tasks and commits about half of what comes.
async fn child(dir: &Path, first: u128) {
    let bus = open(dir).await;
    let mut subscription = bus.subscribe("work", "work", usize::MAX).await.unwrap();
    let consumer = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Some(delivery) = subscription.next().await {
            let Key::Id(id) = *delivery.key() else { panic!("no id") };
            if id % 2 == 0 {
                say("committing", id);
                delivery.commit();
            } else {
                held.push(delivery);
            }
        }
    });
    for publisher in 0..8 {
        let bus = bus.clone();
        tokio::spawn(async move {
            for id in (first + publisher..).step_by(8) {
                let message = Message::bytes(Key::Id(id), vec![id as u8; (id % 700) as usize]);
                if id % 3 == 0 {
                    let receipt = bus.publish("work", message, Durability::Volatile).await.unwrap();
                    receipt.persist().await.unwrap();
                } else {
                    bus.publish("work", message, Durability::Durable).await.unwrap();
                }
                say("accepted", id);
            }
        });
    }
    consumer.await.unwrap();
}

#[tokio::test]
async fn acknowledged_messages_survive_sigkill() {
    if let Ok(arguments) = std::env::var(CHILD) {
        let (first, dir) = arguments.split_once(' ').unwrap();
        return child(dir.as_ref(), first.parse().unwrap()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut accepted, mut committing) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let first = (round + 1) * IDS_PER_ROUND;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "acknowledged_messages_survive_sigkill", "--nocapture"])
            .env(CHILD, format!("{first} {}", dir.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 20 + RandomState::new().hash_one(round) % 500;
        while let Some(Ok(line)) = lines.next() {
            match line
                .split_once(' ')
                .and_then(|(word, id)| Some((word, id.parse::<u128>().ok()?)))
            {
                Some(("accepted", id)) => drop(accepted.insert(id)),
                Some(("committing", id)) => drop(committing.insert(id)),
                _ => continue,
            }
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let found = found(dir.path()).await;
        let lost: Vec<_> = accepted
            .difference(&committing)
            .filter(|id| !found.contains(id))
            .collect();
        assert!(
            lost.is_empty(),
            "round {round}: accepted, never committed, gone: {lost:?}"
        );
        assert!(
            found
                .iter()
                .all(|id| id / IDS_PER_ROUND >= 1 && id / IDS_PER_ROUND <= round + 1)
        );
    }
    assert!(
        accepted.len() > 500,
        "the children did next to nothing: {}",
        accepted.len()
    );
}

/// What a restart would deliver; it is not committed here.
async fn found(dir: &Path) -> BTreeSet<u128> {
    let bus = open(dir).await;
    let mut subscription = bus.subscribe("work", "work", usize::MAX).await.unwrap();
    let (mut ids, mut held) = (BTreeSet::new(), Vec::new());
    while bus.depth("work") > 0 {
        let delivery = subscription.next().await.unwrap();
        let Key::Id(id) = *delivery.key() else { panic!("no id") };
        assert!(delivery.redelivered() && delivery.bytes() == vec![id as u8; (id % 700) as usize]);
        assert!(ids.insert(id), "{id} came twice");
        held.push(delivery);
    }
    ids
}
