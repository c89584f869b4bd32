//! What becomes of a record that was handed to the producer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
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
    /// The producer may not know any more where Kafka is.
    pub(super) astray: AtomicBool,
}

impl Sent {
    /// Whether the brokers have spoken.
    pub(crate) fn is_decided(&self) -> bool {
        self.0.result.get().is_some()
    }

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

/// Why a message of `size` bytes was not taken.
pub(super) fn refused(shared: &Shared, log: &Log, error: &KafkaError, size: usize) -> Error {
    match error.rdkafka_error_code() {
        // Somebody has lowered the topic's or the brokers' own limit; how far is not said.
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => Error::TooLarge {
            topic: log.name.to_string(),
            size,
            limit: size.saturating_sub(1),
        },
        Some(_) | None => shared.error("take a message for", &log.name, error),
    }
}

/// What became of a batch, from what became of each of its messages. While that of one is unknown, so is that of the batch.
pub(super) fn together(outcomes: Vec<Result<(), Error>>) -> Result<(), Error> {
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    let mut refused = None;
    for error in outcomes.into_iter().filter_map(Result::err) {
        match error {
            Error::TooLarge { .. } => {
                refused.get_or_insert(error);
            }
            error => return Err(error),
        }
    }
    match refused {
        Some(Error::TooLarge { topic, .. }) if taken.contains(&true) => Err(Error::TornApart { topic, taken }),
        Some(error) => Err(error),
        None => Ok(()),
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.astray.store(true, Ordering::Release);
        }
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
            Err((error, message)) => {
                self.astray.store(true, Ordering::Release);
                outcome.log.sent(None);
                let size = message.payload().map_or(0, <[u8]>::len);
                let error = refused(&outcome.shared, &outcome.log, error, size);
                tracing::warn!(%error, "a message did not reach Kafka");
                Err(error)
            }
        };
        outcome.result.set(result).expect("one report for one record");
        outcome.told.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TopicConfig;

    #[test]
    fn a_message_that_the_brokers_find_too_large_is_that_and_not_worth_another_try() {
        let shared = Arc::new(Shared {
            config: crate::Kafka::default(),
            client: rdkafka::ClientConfig::new(),
        });
        let log = Log::new(shared.clone(), &TopicConfig::queue("invoker0"));
        let of = |code| refused(&shared, &log, &KafkaError::MessageProduction(code), 10);
        let error = of(RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(
            matches!(&error, Error::TooLarge { topic, size: 10, limit: 9 } if topic == "invoker0"),
            "{error}"
        );
        assert!(!error.retryable());
        let error = of(RDKafkaErrorCode::MessageTimedOut);
        assert!(matches!(error, Error::Broker { transient: true, .. }), "{error}");
    }

    #[test]
    fn a_batch_is_refused_only_when_nothing_of_it_was_taken() {
        let large = |topic: &str| Error::TooLarge {
            topic: topic.to_owned(),
            size: 2,
            limit: 1,
        };
        let silent = || Error::Broker {
            brokers: "nowhere:9092".to_owned(),
            operation: "take a message for",
            topic: "owed0".to_owned(),
            reason: "silence".to_owned(),
            transient: true,
        };
        assert!(together(vec![Ok(()), Ok(())]).is_ok());
        // Also where the first was refused before it left this process.
        for (outcomes, expected) in [
            (vec![Err(large("a")), Ok(())], [false, true]),
            (vec![Ok(()), Err(large("a"))], [true, false]),
        ] {
            let error = together(outcomes).unwrap_err();
            assert!(
                matches!(&error, Error::TornApart { topic, taken } if topic == "a" && *taken == expected),
                "{error}"
            );
        }
        let error = together(vec![Err(large("a")), Err(large("b"))]).unwrap_err();
        assert!(
            matches!(&error, Error::TooLarge { topic, .. } if topic == "a"),
            "{error}"
        );
        for outcomes in [
            vec![Err(large("a")), Err(silent()), Ok(())],
            vec![Err(silent()), Err(large("a"))],
        ] {
            let error = together(outcomes).unwrap_err();
            assert!(matches!(error, Error::Broker { .. }), "{error}");
        }
    }
}
