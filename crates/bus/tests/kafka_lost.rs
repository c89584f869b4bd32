//! What Kafka deletes although nobody had finished it, at `FERROWHISK_TEST_KAFKA` (`host:port`).
#![expect(clippy::unwrap_used, reason = "tests")]

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use wsk_bus::{Config, Delivery, Kafka, Key, Message, MessageBus, Subscription, TopicConfig, open};

const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "invoker0";

async fn bus(brokers: &str, prefix: &str) -> Arc<dyn MessageBus> {
    let bus = open(&Config::Kafka(Kafka {
        brokers: brokers.to_owned(),
        instance: "loses".to_owned(),
        topic_prefix: prefix.to_owned(),
        session_timeout_ms: 6_000,
        ..Kafka::default()
    }))
    .unwrap();
    bus.ensure_topic(&TopicConfig::queue(TOPIC)).await.unwrap();
    bus
}

/// A bus with topics of its own, where six messages wait.
async fn filled(brokers: &str, name: &str) -> (String, Arc<dyn MessageBus>) {
    let prefix = format!("{name}-{:016x}-", RandomState::new().hash_one(name));
    let bus = bus(brokers, &prefix).await;
    let batch = (0..6).map(|id| (TOPIC.into(), Message::bytes(Key::Id(id), "x")));
    bus.publish_all(batch.collect()).await.unwrap();
    (prefix, bus)
}

fn kafka() -> Option<String> {
    let brokers = std::env::var("FERROWHISK_TEST_KAFKA").ok();
    if brokers.is_none() {
        let ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!ci, "FERROWHISK_TEST_KAFKA names no Kafka; run .ci/test-kafka");
        eprintln!("skipped: FERROWHISK_TEST_KAFKA names no Kafka; run .ci/test-kafka");
    }
    brokers
}

/// Has the broker forget everything below an offset, as it does by itself when a topic is full or a message old.
async fn forget(brokers: &str, topic: &str, below: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(below)).unwrap();
    admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
}

async fn next(subscription: &mut Box<dyn Subscription>) -> (u128, Delivery) {
    let delivery = tokio::time::timeout(PATIENCE, subscription.next()).await;
    let delivery = delivery.expect("a message in time").expect("an open bus");
    let Key::Id(id) = *delivery.key() else {
        panic!("{}", delivery.key())
    };
    (id, delivery)
}

fn lost() -> f64 {
    let families = prometheus::gather();
    let family = families
        .iter()
        .find(|family| family.name() == "ferrowhisk_bus_lost_total");
    family.map_or(0.0, |family| family.get_metric()[0].get_counter().get_value())
}

#[tokio::test]
async fn what_kafka_deleted_before_it_was_done_is_counted() {
    let Some(brokers) = kafka() else { return };
    let (prefix, former) = filled(&brokers, "lost").await;
    let mut subscription = former.subscribe(TOPIC, TOPIC, 10).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        match next(&mut subscription).await {
            (1, delivery) => held.push(delivery),
            (_, delivery) => delivery.commit(),
        }
    }
    former.close().await.unwrap();
    assert_eq!(lost(), 0.0);

    // The second was not finished, the third was, and nobody has seen the fourth.
    forget(&brokers, &format!("{prefix}{TOPIC}"), 4).await;
    let heir = bus(&brokers, &prefix).await;
    let mut subscription = heir.subscribe(TOPIC, TOPIC, 10).await.unwrap();
    for expected in [4, 5] {
        let (id, delivery) = next(&mut subscription).await;
        assert_eq!(id, expected);
        delivery.commit();
    }
    assert_eq!(lost(), 2.0);
    heir.close().await.unwrap();
}

/// A topic of accepted work keeps what is not finished for as long as it takes, so it has to be rid of what is.
#[tokio::test]
async fn what_is_finished_is_taken_off_the_topic_and_nothing_else() {
    let Some(brokers) = kafka() else { return };
    let (prefix, former) = filled(&brokers, "tidy").await;
    let mut subscription = former.subscribe(TOPIC, TOPIC, 10).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..5 {
        match next(&mut subscription).await {
            (3, delivery) => held.push(delivery),
            (_, delivery) => delivery.commit(),
        }
    }
    former.close().await.unwrap();

    let heir = bus(&brokers, &prefix).await;
    let mut subscription = heir.subscribe(TOPIC, TOPIC, 10).await.unwrap();
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let extent = consumer.fetch_watermarks(&format!("{prefix}{TOPIC}"), 0, PATIENCE);
        if extent.unwrap() == (3, 6) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the finished ones stay");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for expected in [3, 5] {
        let (id, delivery) = next(&mut subscription).await;
        assert_eq!(id, expected);
        delivery.commit();
    }
    heir.close().await.unwrap();
}
