//! The bus on Apache Kafka: OpenWhisk's topics, one partition each.
//!
//! **Invariants.** Every record is produced idempotently with `acks=all`; a publish is durable when the brokers say so. What a
//! group has finished is committed by hand, and never before its consumer said so; see [`offsets`] for how out-of-order ends
//! survive a restart. One thread reads a topic for all its members in this process and hands messages over through the same
//! queue as the in-process bus, so that order, redelivery and the bound in flight are the same code.
//!
//! **Where the contract is met in a way of its own.** A queue's group is its topic's name, whatever its members call it. The
//! bound of a queue counts messages; their bytes are bounded by the brokers' disks. Fullness is known at once for what
//! this process publishes and reads, and after a look at the group's commits for what others read. A batch of which the
//! brokers refused a part is reported as torn apart, and the other part will run. A message that a reader which was killed
//! might have handed out counts as redelivered. The backlog is that of the process's first member on a topic; one that joins it
//! later shares it. Where a topic has been taken away and given again, so is what is waiting there. That somebody may have seen a message
//! on the topic it was passed on from is a header of its record.

mod bounds;
mod creation;
mod log;
mod member;
mod membership;
mod offsets;
mod reader;
mod refusal;
mod sent;
mod settings;
mod standing;
mod tidy;
mod topics;
mod turns;
mod vigil;
mod way;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::delivery::{Published, Receipt, Subscription};
use crate::in_process::Seat;
use crate::{Durability, Error, Key, Message, MessageBus, Standing, TopicConfig, TopicKind, config};
use log::{Joining, Log};
use member::Member;
pub(crate) use reader::Fetch;
pub(crate) use sent::Sent;
use sent::{Outcome, Reports};
use turns::Turns;
use way::Way;

/// How long to wait for a first answer before it is said that there is none, and for one try of it.
const ANSWER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(250);
/// The header of records that were passed on from a topic where somebody may have seen them.
const SEEN: &str = "redelivered";

/// The adapter.
pub(crate) struct Bus {
    shared: Arc<Shared>,
    admin: AdminClient<DefaultClientContext>,
    producer: Arc<ThreadedProducer<Reports>>,
    way: Way,
    logs: RwLock<HashMap<Arc<str>, Arc<Log>>>,
    /// Whose turn it is to declare a topic that is not among them.
    turns: Turns,
    closed: AtomicBool,
}

/// What every part needs of the configuration.
#[derive(Debug)]
struct Shared {
    config: config::Kafka,
    client: ClientConfig,
}

impl Shared {
    fn timeout(&self) -> Duration {
        Duration::from_millis(self.config.timeout_ms)
    }

    /// A refusal of the brokers, or of the library on their behalf.
    fn error(&self, operation: &'static str, topic: &str, error: &KafkaError) -> Error {
        let transient = !matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::InvalidTopic
                    | RDKafkaErrorCode::PolicyViolation
                    | RDKafkaErrorCode::Fatal
                    | RDKafkaErrorCode::Fenced
            )
        );
        Error::Broker {
            brokers: self.config.brokers.clone(),
            operation,
            topic: topic.to_owned(),
            reason: error.to_string(),
            transient,
        }
    }
}

impl Bus {
    /// Sets the clients up; the brokers are first asked when something needs them.
    pub(crate) fn open(config: &config::Kafka) -> Result<Self, Error> {
        let client = settings::client(config)?;
        let unusable = |error: KafkaError| Error::Configuration(error.to_string());
        let producing = settings::producer(&client, config);
        let producer = ThreadedProducer::from_config_and_context(&producing, Reports::default()).map_err(unusable)?;
        Ok(Self {
            admin: client.create().map_err(unusable)?,
            producer: Arc::new(producer),
            way: Way::default(),
            shared: Arc::new(Shared {
                config: config.clone(),
                client,
            }),
            logs: RwLock::default(),
            turns: Turns::default(),
            closed: AtomicBool::new(false),
        })
    }

    fn log(&self, name: &str) -> Result<Arc<Log>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let logs = self.logs.read().expect("no panic under this lock");
        logs.get(name)
            .cloned()
            .ok_or_else(|| Error::UnknownTopic { topic: name.to_owned() })
    }

    /// Tells the producer where Kafka is, after it got no answer. The client for administration asks about no topics and forgets
    /// nothing.
    fn show_way(&self) {
        if self.way.show(self.producer.client(), &self.shared.config.brokers) {
            self.producer.context().astray.store(false, Ordering::Release);
        }
    }

    fn send(&self, log: &Arc<Log>, message: &Message, body: &[u8]) -> Result<Sent, Error> {
        if self.producer.context().astray.load(Ordering::Acquire) {
            self.show_way();
        }
        let outcome = Arc::new(Outcome::new(self.shared.clone(), log.clone()));
        let key = key_bytes(&message.key);
        let mut record = BaseRecord::with_opaque_to(&log.full, outcome.clone())
            .partition(0)
            .payload(body);
        if let Some(key) = &key {
            record = record.key(key.as_bytes());
        }
        if message.seen {
            let seen = Header {
                key: SEEN,
                value: Some("1"),
            };
            record = record.headers(OwnedHeaders::new().insert(seen));
        }
        log.sending();
        match self.producer.send(record) {
            Ok(()) => Ok(Sent(outcome)),
            Err((error, _)) => {
                log.sent(None);
                Err(sent::refused(&self.shared, log, &error, body.len()))
            }
        }
    }

    async fn join(
        &self,
        topic: &str,
        group: &str,
        max_in_flight: usize,
        joining: Joining,
    ) -> Result<Box<dyn Subscription>, Error> {
        let group = self.log(topic)?.join(group, joining).await?;
        let seat = Arc::new(Seat::ahead(group.queue.clone(), max_in_flight));
        Ok(Box::new(Member { seat, _group: group }))
    }

    /// Waits until the brokers have every record that was sent.
    async fn flush(&self) -> Result<(), Error> {
        let (producer, timeout) = (self.producer.clone(), self.shared.timeout());
        let flushed = blocking(move || producer.flush(timeout)).await;
        flushed.map_err(|error| {
            self.shared
                .error("take what was sent before it closed", "all topics", &error)
        })
    }
}

/// Runs a call of the client library that waits for the brokers.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Whether a record says of itself that somebody may have seen it, on the topic it came from.
fn was_seen(record: &BorrowedMessage<'_>) -> bool {
    record
        .headers()
        .is_some_and(|headers| headers.iter().any(|header| header.key == SEEN))
}

fn key_bytes(key: &Key) -> Option<String> {
    match key {
        Key::None => None,
        Key::Id(_) | Key::Text(_) => Some(key.to_string()),
    }
}

#[async_trait::async_trait]
impl MessageBus for Bus {
    async fn reachable(&self) -> Result<(), Error> {
        let words = |producer: &ThreadedProducer<Reports>| producer.context().words.reason();
        self.producer.context().words.forget();
        let deadline = tokio::time::Instant::now() + ANSWER.min(self.shared.timeout());
        loop {
            let producer = self.producer.clone();
            let asked = move || {
                let told = producer.client().fetch_metadata(None, LOOK)?;
                Ok(told.brokers().first().map(|broker| broker.id()))
            };
            let error: KafkaError = match blocking(asked).await {
                Ok(broker) => return self.welcome(broker).await,
                Err(error) => error,
            };
            self.show_way();
            let reason = words(&self.producer);
            if let Some(reason) = reason.clone() {
                let (shared, said) = (self.shared.clone(), reason.clone());
                let refused = blocking(move || refusal::refusal(&shared.config, &shared.client, &said)).await;
                if let Some(refused) = refused {
                    return Err(Error::Configuration(refused));
                }
            }
            if tokio::time::Instant::now() >= deadline {
                let brokers = self.shared.config.brokers.clone();
                let reason = reason.unwrap_or_else(|| error.to_string());
                let hint = refusal::hint(&self.shared.config, &reason);
                return Err(Error::Unreachable {
                    brokers,
                    reason: format!("{reason}{hint}"),
                });
            }
        }
    }

    async fn ensure_topic(&self, config: &TopicConfig) -> Result<(), Error> {
        if let Ok(log) = self.log(&config.name) {
            return log.reconfigure(config);
        }
        self.turns.take(&config.name, self.declare(config)).await?;
        self.log(&config.name)?.reconfigure(config)
    }

    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, Error> {
        let log = self.log(topic)?;
        log.admit(1, message.size())?;
        let sent = self.send(&log, &message, &log.encoded(&message)?)?;
        match (log.kind, durability) {
            (TopicKind::Broadcast, Durability::Volatile) => Ok(Receipt::settled()),
            (TopicKind::Queue, Durability::Volatile) => Ok(Receipt {
                inner: Published::Sent(sent),
            }),
            (TopicKind::Queue | TopicKind::Broadcast, Durability::Durable) => {
                sent.confirmed().await?;
                Ok(Receipt::settled())
            }
        }
    }

    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        let mut logs: HashMap<Arc<str>, (Arc<Log>, usize)> = HashMap::new();
        let mut bodies = Vec::with_capacity(batch.len());
        for (topic, message) in &batch {
            if !logs.contains_key(topic) {
                logs.insert(topic.clone(), (self.log(topic)?, 0));
            }
            let (log, count) = logs.get_mut(topic).expect("just put there");
            *count += 1;
            log.admit(*count, message.size())?;
            bodies.push(log.encoded(message)?);
        }
        let sent = batch
            .iter()
            .zip(bodies)
            .map(|((topic, message), body)| self.send(&logs[topic].0, message, &body))
            .collect::<Vec<_>>();
        let mut outcomes = Vec::with_capacity(sent.len());
        for sent in sent {
            outcomes.push(match sent {
                Ok(sent) => sent.confirmed().await,
                Err(error) => Err(error),
            });
        }
        sent::together(outcomes)
    }

    async fn subscribe(&self, topic: &str, group: &str, max_in_flight: usize) -> Result<Box<dyn Subscription>, Error> {
        if self.log(topic)?.kind == TopicKind::Broadcast {
            // What this process published before must not be taken for something new.
            self.flush().await?;
        }
        self.join(topic, group, max_in_flight, Joining::Owner).await
    }

    async fn stand_in(&self, topic: &str, group: &str, max_in_flight: usize) -> Result<Box<dyn Subscription>, Error> {
        self.join(topic, group, max_in_flight, Joining::Guest).await
    }

    async fn standings(&self) -> Result<Vec<Standing>, Error> {
        let (shared, producer) = (self.shared.clone(), self.producer.clone());
        let standings = blocking(move || shared.standings(producer.client())).await;
        standings.inspect_err(|_| self.show_way())
    }

    async fn unfinished(&self, topic: &str) -> Result<u64, Error> {
        let log = self.log(topic)?;
        blocking(move || log.look()).await
    }

    fn depth(&self, topic: &str) -> u64 {
        self.log(topic).map_or(0, |log| log.depth())
    }

    async fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        let logs: Vec<_> = {
            let logs = self.logs.read().expect("no panic under this lock");
            logs.values().cloned().collect()
        };
        let all = move || {
            logs.iter().for_each(|log| log.stop());
            logs.iter().for_each(|log| log.close());
        };
        blocking(all).await;
        self.flush().await
    }
}
