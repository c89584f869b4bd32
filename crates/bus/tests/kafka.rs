//! The bus contract on a real Kafka, at `FERROWHISK_TEST_KAFKA` (`host:port`). `.ci/test-kafka` starts one.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use wsk_bus::messages::ELSEWHERE;
use wsk_bus::{Config, Durability, Error, Kafka, Key, Message, MessageBus, Subscription, TopicConfig, contract, open};

const PATIENCE: Duration = Duration::from_secs(60);
/// Names the topic to the copy of a test that is to be killed.
const VICTIM: &str = "FERROWHISK_TEST_VICTIM";

fn kafka() -> Option<String> {
    let brokers = std::env::var("FERROWHISK_TEST_KAFKA").ok();
    if brokers.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "FERROWHISK_TEST_KAFKA names no Kafka; run .ci/test-kafka"
        );
        eprintln!("skipped: FERROWHISK_TEST_KAFKA names no Kafka; run .ci/test-kafka");
    }
    brokers
}

fn config(brokers: &str, instance: &str) -> Config {
    Config::Kafka(Kafka {
        brokers: brokers.to_owned(),
        instance: instance.to_owned(),
        session_timeout_ms: 6_000,
        ..Kafka::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bus() {
    let Some(brokers) = kafka() else { return };
    let number = AtomicU32::new(0);
    contract::every_bus(async || {
        let instance = format!("every{}", number.fetch_add(1, Ordering::Relaxed));
        open(&config(&brokers, &instance)).unwrap()
    })
    .await;
}

#[tokio::test]
async fn durable_bus() {
    let Some(brokers) = kafka() else { return };
    contract::durable_bus(async || open(&config(&brokers, "durable")).unwrap()).await;
}

/// A name that no other run on the same broker uses.
fn unique(name: &str) -> String {
    format!("{name}-{:016x}", RandomState::new().hash_one(name))
}

async fn bus_with(brokers: &str, instance: &str, topic: &str) -> Arc<dyn MessageBus> {
    let bus = open(&config(brokers, instance)).unwrap();
    bus.ensure_topic(&TopicConfig::queue(topic)).await.unwrap();
    bus
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Option<wsk_bus::Delivery> {
    tokio::time::timeout(PATIENCE, subscription.next())
        .await
        .expect("a message in time")
}

fn number(delivery: &wsk_bus::Delivery) -> u128 {
    let Key::Id(id) = *delivery.key() else {
        panic!("{}", delivery.key())
    };
    id
}

/// The copy: finishes the even ones of twenty messages, says so, and holds the rest until it is killed.
async fn be_killed(brokers: &str, topic: &str) {
    let bus = bus_with(brokers, "killed", topic).await;
    let mut subscription = bus.subscribe(topic, topic, 100).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..20 {
        let delivery = next(&mut subscription).await.unwrap();
        if number(&delivery).is_multiple_of(2) {
            delivery.commit();
        } else {
            held.push(delivery);
        }
    }
    println!("finished");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_reader_that_is_killed_loses_nothing() {
    let Some(brokers) = kafka() else { return };
    if let Ok(topic) = std::env::var(VICTIM) {
        return be_killed(&brokers, &topic).await;
    }
    let topic = unique("killed");
    let bus = bus_with(&brokers, "publisher", &topic).await;
    let batch = |ids: std::ops::Range<u128>| {
        ids.map(|id| (Arc::from(topic.as_str()), Message::bytes(Key::Id(id), "x")))
            .collect()
    };
    bus.publish_all(batch(0..20)).await.unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_reader_that_is_killed_loses_nothing", "--nocapture"])
        .env(VICTIM, &topic)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let finished = tokio::task::spawn_blocking(|| lines.map_while(Result::ok).any(|line| line.contains("finished")));
    assert!(finished.await.unwrap(), "the copy ended before it had read");
    // One commit follows within 100 ms; what is not at the broker when the copy dies is only delivered again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    victim.kill().unwrap();
    victim.wait().unwrap();

    bus.publish_all(batch(20..25)).await.unwrap();
    let heir = bus_with(&brokers, "killed", &topic).await;
    let mut subscription = heir.subscribe(&topic, &topic, 100).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 15 {
        let delivery = next(&mut subscription).await.unwrap();
        let id = number(&delivery);
        assert!(id % 2 == 1 || id >= 20, "{id} was finished and came again");
        assert!(delivery.redelivered(), "{id} may have been seen");
        assert!(seen.insert(id), "{id} came twice");
        delivery.commit();
    }
    let odd_and_new: BTreeSet<u128> = (0..25).filter(|id| id % 2 == 1 || *id >= 20).collect();
    assert_eq!(seen, odd_and_new);
    heir.close().await.unwrap();
}

#[tokio::test]
async fn of_two_with_one_name_the_first_loses_its_subscription() {
    let Some(brokers) = kafka() else { return };
    let topic = unique("twice");
    let (first, second) = (
        bus_with(&brokers, "same", &topic).await,
        bus_with(&brokers, "same", &topic).await,
    );
    let mut former = first.subscribe(&topic, &topic, 10).await.unwrap();
    let message = || Message::bytes(Key::Id(1), "x");
    first.publish(&topic, message(), Durability::Durable).await.unwrap();
    next(&mut former).await.unwrap().commit();
    let mut latter = second.subscribe(&topic, &topic, 10).await.unwrap();
    // What it finished a moment ago may come again before it gives up.
    while let Some(delivery) = next(&mut former).await {
        assert!(delivery.redelivered(), "the first goes on beside the second");
        delivery.commit();
    }
    first.publish(&topic, message(), Durability::Durable).await.unwrap();
    next(&mut latter).await.unwrap().commit();
}

#[tokio::test]
async fn a_full_queue_that_another_process_reads_is_open_again_when_it_has_read() {
    let Some(brokers) = kafka() else { return };
    let topic = unique("elsewhere");
    let here = open(&config(&brokers, "here")).unwrap();
    let bounds = TopicConfig {
        max_messages: 3,
        ..TopicConfig::queue(&topic)
    };
    here.ensure_topic(&bounds).await.unwrap();
    let publish = async || {
        here.publish(&topic, Message::bytes(Key::Id(7), "x"), Durability::Durable)
            .await
    };
    for _ in 0..3 {
        publish().await.unwrap();
    }
    assert!(matches!(publish().await, Err(Error::TopicFull { messages: 3, .. })));
    let there = bus_with(&brokers, "there", &topic).await;
    let mut subscription = there.subscribe(&topic, &topic, 10).await.unwrap();
    for _ in 0..3 {
        next(&mut subscription).await.unwrap().commit();
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = publish().await {
        assert!(
            matches!(error, Error::TopicFull { .. }) && tokio::time::Instant::now() < deadline,
            "{error}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_topic_takes_at_most_is_refused_at_once_when_it_is_more() {
    let Some(brokers) = kafka() else { return };
    let Config::Kafka(config) = config(&brokers, "large") else {
        panic!("a Kafka")
    };
    let prefix = unique("large");
    let bus = open(&Config::Kafka(Kafka {
        topic_prefix: prefix,
        ..config
    }))
    .unwrap();
    let key = Key::Id(u128::MAX);
    for topic in ["invoker0", "owed0", "completed0", ELSEWHERE] {
        bus.ensure_topic(&TopicConfig::queue(topic)).await.unwrap();
        let publish = async |bytes: usize| {
            let message = Message::bytes(key.clone(), vec![b'x'; bytes]);
            bus.publish(topic, message, Durability::Durable).await
        };
        publish(1_048_576 + 5_900).await.unwrap();
        let error = publish(1_048_576 + 6_068).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 1_054_644, .. }), "{error}");
        let batch = [1, 2_000_000].map(|bytes| (topic.into(), Message::bytes(key.clone(), vec![b'x'; bytes])));
        let error = bus.publish_all(batch.into()).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert_eq!(bus.unfinished(topic).await.unwrap(), 1, "a batch is refused whole");
    }
}

/// Somebody has lowered what one topic takes.
#[tokio::test]
async fn a_batch_that_the_brokers_take_in_part_says_which() {
    let Some(brokers) = kafka() else { return };
    let Config::Kafka(config) = config(&brokers, "torn") else {
        panic!("a Kafka")
    };
    let prefix = unique("torn");
    let bus = open(&Config::Kafka(Kafka {
        topic_prefix: prefix.clone(),
        ..config
    }))
    .unwrap();
    for topic in ["invoker0", "owed0", ELSEWHERE] {
        bus.ensure_topic(&TopicConfig::queue(topic)).await.unwrap();
    }
    let narrow = format!("{prefix}invoker0");
    let lower = AlterConfig::new(ResourceSpecifier::Topic(&narrow)).set("max.message.bytes", "10000");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    admin.alter_configs(&[lower], &AdminOptions::new()).await.unwrap();
    let publish = async |messages: &[(&str, usize)]| {
        let batch = messages.iter();
        let batch = batch.map(|(topic, bytes)| ((*topic).into(), Message::bytes(Key::Id(1), vec![b'x'; *bytes])));
        bus.publish_all(batch.collect()).await
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while publish(&[("invoker0", 20_000)]).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the broker heeds its limit");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (messages, expected) in [
        ([("invoker0", 20_000), ("owed0", 1)], [false, true]),
        ([(ELSEWHERE, 1), ("invoker0", 20_000)], [true, false]),
    ] {
        let error = publish(&messages).await.unwrap_err();
        assert!(
            matches!(&error, Error::TornApart { topic, taken } if topic == "invoker0" && *taken == expected),
            "{error}"
        );
    }
    assert_eq!(bus.unfinished("owed0").await.unwrap(), 1);
    let error = publish(&[("invoker0", 20_000)]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn more_copies_than_brokers_name_the_key() {
    let Some(brokers) = kafka() else { return };
    let Config::Kafka(config) = config(&brokers, "copies") else {
        panic!("a Kafka")
    };
    let bus = open(&Config::Kafka(Kafka {
        replication: 3,
        ..config
    }))
    .unwrap();
    let error = bus
        .ensure_topic(&TopicConfig::queue(unique("copies")))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Configuration(reason) if reason.contains("`bus.replication` = 3")),
        "{error}"
    );
}

/// Needs no broker: that is the point.
#[tokio::test]
async fn a_broker_that_is_not_there_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let Config::Kafka(kafka) = config(&nobody, "alone") else {
        panic!("a Kafka")
    };
    let bus = open(&Config::Kafka(Kafka {
        timeout_ms: 1_000,
        ..kafka
    }))
    .unwrap();
    let error = bus.ensure_topic(&TopicConfig::queue("invoker0")).await.unwrap_err();
    assert!(
        error.retryable()
            && error
                .to_string()
                .starts_with(&format!("Kafka at {nobody} did not create `invoker0`")),
        "{error}"
    );
}

#[test]
fn a_setting_that_the_client_does_not_know_is_named() {
    let mut kafka = Kafka::default();
    kafka.properties.insert("acsk".to_owned(), "all".to_owned());
    let error = open(&Config::Kafka(kafka)).err().unwrap();
    assert!(
        matches!(&error, Error::Configuration(reason) if reason.contains("acsk")),
        "{error}"
    );
}
