//! A broker that is killed and comes back. In a program of its own, which `.ci/test-kafka` runs when nobody else needs the broker.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use wsk_bus::{Config, Durability, Kafka, Key, Message, MessageBus, Subscription, TopicConfig, open};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);
/// Publishes under way at a time.
const PUBLISHERS: usize = 8;
/// Messages taken before the broker is killed, and after it is back.
const SOME: usize = 200;
const TOPIC: &str = "restarted";

/// The broker of `.ci/test-kafka`, which this test may kill.
struct Broker {
    address: String,
    folder: PathBuf,
}

/// What is published, and what came of it.
#[derive(Default)]
struct Tally {
    next: AtomicU64,
    /// Publishers are to end.
    enough: AtomicBool,
    /// They have.
    complete: AtomicBool,
    acknowledged: Mutex<BTreeSet<u128>>,
    refused: AtomicU64,
}

impl Broker {
    fn here() -> Option<Broker> {
        let variable = |name| std::env::var(name).ok();
        let broker = variable("FERROWHISK_TEST_KAFKA").zip(variable("FERROWHISK_TEST_KAFKA_DIR"));
        if broker.is_none() {
            assert!(
                variable("CI").as_deref() != Some("true"),
                "FERROWHISK_TEST_KAFKA_DIR names no Kafka; run .ci/test-kafka"
            );
            eprintln!("skipped: FERROWHISK_TEST_KAFKA_DIR names no Kafka; run .ci/test-kafka");
        }
        broker.map(|(address, folder)| Broker {
            address,
            folder: folder.into(),
        })
    }

    async fn answers(&self) -> bool {
        TcpStream::connect(&self.address).await.is_ok()
    }

    async fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        // A shell has it built in; a bare Debian has no such program.
        let killed = Command::new("sh")
            .args(["-c", "kill -9 $0", pid.trim()])
            .status()
            .unwrap();
        assert!(killed.success(), "the broker is not there: {pid}");
        until("the broker is gone", async || !self.answers().await).await;
    }

    /// Starts it again; whoever started it first ends it.
    async fn start(&self) {
        let start = Command::new(self.folder.join("start")).stdin(Stdio::null()).spawn();
        drop(start.unwrap());
        until("the broker is back", async || self.answers().await).await;
    }
}

impl Tally {
    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(LOOK).await;
    }
}

async fn bus(broker: &Broker, instance: &str) -> Arc<dyn MessageBus> {
    let config = Config::Kafka(Kafka {
        brokers: broker.address.clone(),
        instance: instance.to_owned(),
        session_timeout_ms: 6_000,
        timeout_ms: 60_000,
        ..Kafka::default()
    });
    let bus = open(&config).unwrap();
    bus.ensure_topic(&TopicConfig::queue(TOPIC)).await.unwrap();
    bus
}

/// Publishes one message after the other until there are enough. Of one that is refused nobody knows whether it is there.
async fn publish(bus: Arc<dyn MessageBus>, tally: Arc<Tally>) {
    while !tally.enough.load(Ordering::Acquire) {
        let id = u128::from(tally.next.fetch_add(1, Ordering::AcqRel));
        match bus
            .publish(TOPIC, Message::bytes(Key::Id(id), "x"), Durability::Durable)
            .await
        {
            Ok(_) => drop(tally.acknowledged.lock().unwrap().insert(id)),
            Err(error) => {
                assert!(error.retryable(), "{error}");
                tally.refused.fetch_add(1, Ordering::AcqRel);
                sleep(LOOK).await;
            }
        }
    }
}

/// Finishes messages until all that were acknowledged have come.
async fn read_all(mut subscription: Box<dyn Subscription>, tally: &Tally) -> BTreeSet<u128> {
    let mut seen = BTreeSet::new();
    loop {
        let complete = tally.complete.load(Ordering::Acquire);
        if complete && tally.acknowledged.lock().unwrap().is_subset(&seen) {
            return seen;
        }
        // Nothing may come when the last one was acknowledged after it was read.
        let Ok(delivery) = timeout(LOOK, subscription.next()).await else {
            continue;
        };
        let delivery = delivery.expect("the subscription goes on");
        let Key::Id(id) = *delivery.key() else {
            panic!("{}", delivery.key())
        };
        assert!(
            seen.insert(id) || delivery.redelivered(),
            "{id} came twice as if it were new"
        );
        delivery.commit();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_and_a_subscription_outlive_a_broker_that_is_killed() {
    let Some(broker) = Broker::here() else { return };
    let (publisher, reader) = (bus(&broker, "publisher").await, bus(&broker, "reader").await);
    let subscription = reader.subscribe(TOPIC, TOPIC, 100).await.unwrap();
    let tally = Arc::new(Tally::default());
    let reading = {
        let tally = tally.clone();
        tokio::spawn(async move { timeout(PATIENCE * 3, read_all(subscription, &tally)).await })
    };
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|_| tokio::spawn(publish(publisher.clone(), tally.clone())))
        .collect();

    until("messages are taken", async || tally.acknowledged() >= SOME).await;
    broker.kill().await;
    let before = tally.acknowledged();
    broker.start().await;
    until("messages are taken again", async || {
        tally.acknowledged() >= before + SOME
    })
    .await;
    tally.enough.store(true, Ordering::Release);
    for task in publishing {
        timeout(PATIENCE, task).await.expect("publishers end").unwrap();
    }
    tally.complete.store(true, Ordering::Release);
    let seen = reading.await.unwrap().expect("everything acknowledged is delivered");
    let refused = tally.refused.load(Ordering::Acquire);
    println!(
        "{before} messages acknowledged before, {} in all, {} delivered, {refused} refused",
        tally.acknowledged(),
        seen.len()
    );

    // What was finished stays finished for whoever comes next; of what was refused nobody knows whether it is there.
    reader.close().await.unwrap();
    let heir = bus(&broker, "reader").await;
    until("nothing is left", async || {
        heir.unfinished(TOPIC).await.unwrap() <= refused
    })
    .await;
}
