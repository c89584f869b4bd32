//! What becomes of a record that was handed to the producer.

use std::sync::{Arc, OnceLock};

use rdkafka::ClientContext;
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;

use super::Shared;
use super::log::Log;
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
pub(super) struct Reports;

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

impl ClientContext for Reports {}

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
