//! TLS and SASL on a real Kafka, whose listeners `.ci/test-kafka` sets up and names in the environment.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wsk_bus::{Config, Durability, Error, Kafka, Key, Mechanism, Message, MessageBus, Secret, TopicConfig, open};

const PATIENCE: Duration = Duration::from_secs(60);

/// A listener of the test's Kafka.
fn listener(kind: &str) -> Option<String> {
    let variable = format!("FERROWHISK_TEST_KAFKA{kind}");
    let address = std::env::var(&variable).ok();
    if address.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{variable} names no Kafka; run .ci/test-kafka"
        );
        eprintln!("skipped: {variable} names no Kafka; run .ci/test-kafka");
    }
    address
}

fn file(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var("FERROWHISK_TEST_KAFKA_DIR").unwrap()).join(name))
}

fn plain(brokers: &str) -> Kafka {
    Kafka {
        brokers: brokers.to_owned(),
        topic_prefix: format!("secure-{:016x}-", RandomState::new().hash_one(brokers)),
        session_timeout_ms: 6_000,
        ..Kafka::default()
    }
}

fn encrypted(brokers: &str) -> Kafka {
    let mut config = plain(brokers);
    config.tls.enabled = true;
    config.tls.ca_file = file("ca.pem");
    config
}

fn with_certificate(brokers: &str, name: &str) -> Kafka {
    let mut config = encrypted(brokers);
    config.tls.certificate_file = file(&format!("{name}.pem"));
    config.tls.key_file = file(&format!("{name}.key"));
    config
}

fn with_user(mut config: Kafka, mechanism: Mechanism, password: &str) -> Kafka {
    config.sasl.mechanism = Some(mechanism);
    config.sasl.username = "whisk".to_owned();
    config.sasl.password = Secret::new(password);
    config
}

/// What every bus does first: publish, take, finish, and find it finished.
async fn works(config: Kafka) {
    let bus = opened(&config);
    bus.reachable().await.unwrap();
    bus.ensure_topic(&TopicConfig::queue("invoker0")).await.unwrap();
    let mut subscription = bus.subscribe("invoker0", "invoker0", 10).await.unwrap();
    for id in 0..3 {
        let message = Message::bytes(Key::Id(id), "x");
        bus.publish("invoker0", message, Durability::Durable).await.unwrap();
        let delivery = tokio::time::timeout(PATIENCE, subscription.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(*delivery.key(), Key::Id(id));
        delivery.commit();
    }
    drop(subscription);
    bus.close().await.unwrap();
}

fn opened(config: &Kafka) -> Arc<dyn MessageBus> {
    open(&Config::Kafka(config.clone())).unwrap()
}

async fn refused(config: Kafka, texts: &[&str]) {
    let error = opened(&config).reachable().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Configuration(_)) && !error.retryable(), "{text}");
    assert!(!text.contains('\n') && !text.contains("secret"), "{text}");
    for expected in texts {
        assert!(text.contains(expected), "no {expected}: {text}");
    }
}

#[tokio::test]
async fn over_tls_with_a_certificate_of_our_own() {
    let Some(brokers) = listener("_TLS") else { return };
    works(with_certificate(&brokers, "client")).await;
}

#[tokio::test]
async fn over_tls_with_a_password() {
    let Some(brokers) = listener("_SASL_TLS") else { return };
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        works(with_user(encrypted(&brokers), mechanism, "secret")).await;
    }
}

#[tokio::test]
async fn with_a_password_that_is_not_sent() {
    let Some(brokers) = listener("_SASL") else { return };
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
        works(with_user(plain(&brokers), mechanism, "secret")).await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once() {
    let (Some(brokers), Some(clear)) = (listener("_SASL_TLS"), listener("_SASL")) else {
        return;
    };
    let keys = ["`whisk`", "`bus.sasl.password`"];
    refused(with_user(encrypted(&brokers), Mechanism::Plain, "wrong"), &keys).await;
    refused(with_user(encrypted(&brokers), Mechanism::ScramSha512, "wrong"), &keys).await;
    refused(with_user(plain(&clear), Mechanism::ScramSha256, "wrong"), &keys).await;
}

#[tokio::test]
async fn a_mechanism_that_the_broker_does_not_take_is_named_with_those_it_does() {
    let Some(brokers) = listener("_SASL") else { return };
    let config = with_user(plain(&brokers), Mechanism::Plain, "x");
    refused(config, &["PLAIN", "`bus.sasl.mechanism`", "SCRAM-SHA-512"]).await;
}

#[tokio::test]
async fn an_unknown_authority_is_refused_at_once() {
    let Some(brokers) = listener("_TLS") else { return };
    let mut config = with_certificate(&brokers, "client");
    config.tls.ca_file = file("other.pem");
    refused(config.clone(), &["`bus.tls.ca_file`", "other.pem"]).await;
    config.tls.ca_file = None;
    refused(config, &["`bus.tls.ca_file`", "that this machine trusts"]).await;
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused_at_once() {
    let Some(brokers) = listener("_SASL_TLS") else { return };
    let mut config = with_user(
        encrypted(&brokers.replace("localhost", "127.0.0.1")),
        Mechanism::Plain,
        "secret",
    );
    refused_for_the_name(config.clone()).await;
    config.tls.verify_host = false;
    works(config).await;
}

async fn refused_for_the_name(config: Kafka) {
    let error = opened(&config).reachable().await.unwrap_err().to_string();
    assert!(
        error.contains("is another host's") && error.contains("`bus.brokers`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_of_ours_that_is_missing_or_strange_is_refused_at_once() {
    let Some(brokers) = listener("_TLS") else { return };
    refused(
        encrypted(&brokers),
        &["`bus.tls.certificate_file`", "`bus.tls.key_file`"],
    )
    .await;
    refused(
        with_certificate(&brokers, "stranger"),
        &["`bus.tls.certificate_file`", "trust"],
    )
    .await;
}

/// It looks like a broker that goes down, so it is waited for; but what to look at is said.
#[tokio::test]
async fn tls_that_one_side_does_not_speak_is_guessed_at() {
    let (Some(clear), Some(tls), Some(sasl)) = (listener(""), listener("_TLS"), listener("_SASL")) else {
        return;
    };
    for config in [plain(&tls), encrypted(&clear), plain(&sasl)] {
        let error = opened(&config).reachable().await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::Unreachable { .. }) && error.retryable(),
            "{text}"
        );
        assert!(
            text.contains("`bus.tls.enabled`") || text.contains("`bus.sasl.mechanism`"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_topic_that_will_not_do_is_refused() {
    let Some(brokers) = listener("") else { return };
    let shortly = plain(&brokers);
    let mut config = shortly.clone();
    config.topics.work_retention_ms = 1_000;
    opened(&config)
        .ensure_topic(&TopicConfig::queue("invoker0"))
        .await
        .unwrap();
    opened(&config)
        .ensure_topic(&TopicConfig::queue("invoker0"))
        .await
        .unwrap();
    let error = opened(&shortly)
        .ensure_topic(&TopicConfig::queue("invoker0"))
        .await
        .unwrap_err();
    assert!(
        !error.retryable() && error.to_string().contains("`bus.topics.work_retention_ms`"),
        "{error}"
    );
}
