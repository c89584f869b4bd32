//! What becomes of a record that was handed to the producer.

use std::sync::{Arc, OnceLock};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;

use super::Shared;
use super::log::Log;
use super::refusal::Words;
use crate::Error;

/// A record on its way; dropping this does not stop it.
#[derive(Debug)]
pub(crate) struct Sent(pub(super) Arc<Outcome>);

/// Where the brokers' word on one record arrives.
#[derive(Debug)]
pub(super) struct Outcome {
    shared: Arc<Shared>,
    log: Arc<Log>,
    result: OnceLock<Result<(), Error>>,
    told: Notify,
}

/// Takes the brokers' word, on the producer's own thread.
#[derive(Default)]
pub(super) struct Reports {
    /// What the library says on the side.
    pub(super) words: Words,
}

impl Sent {
    /// Waits until all replicas in sync have the record.
    pub(crate) async fn confirmed(&self) -> Result<(), Error> {
        loop {
            let told = self.0.told.notified();
            if let Some(result) = self.0.result.get() {
                return result.clone();
            }
            told.await;
        }
    }
}

impl Outcome {
    pub(super) fn new(shared: Arc<Shared>, log: Arc<Log>) -> Self {
        Self {
            shared,
            log,
            result: OnceLock::new(),
            told: Notify::new(),
        }
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        self.words.heard(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.words.logged(level, facility, line);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Outcome>;

    fn delivery(&self, delivery: &DeliveryResult<'_>, outcome: Arc<Outcome>) {
        let result = match delivery {
            Ok(message) => {
                outcome.log.sent(Some(message.offset()));
                Ok(())
            }
            Err((error, _)) => {
                outcome.log.sent(None);
                let error = outcome.shared.error("take a message for", &outcome.log.name, error);
                tracing::warn!(%error, "a message did not reach Kafka");
                Err(error)
            }
        };
        outcome.result.set(result).expect("one report for one record");
        outcome.told.notify_waiters();
    }
}
