//! Makes topics, and looks at those that are there.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;

use super::log::Log;
use super::{Bus, blocking, topics};
use crate::{Error, TopicConfig};

/// How long to wait before a new topic is looked at again.
const SETTLING: Duration = Duration::from_millis(50);

impl Bus {
    /// Makes a topic unless it is there, and knows it from then on.
    pub(super) async fn declare(&self, config: &TopicConfig) -> Result<(), Error> {
        let log = Arc::new(Log::new(self.shared.clone(), config));
        let new = self.create(&log).await?;
        self.settled(&log).await?;
        if !new {
            let found = self.found(&log).await?;
            topics::fits(&log.full, &log.name, &self.shared.config, &found).map_err(Error::Configuration)?;
        }
        let mut logs = self.logs.write().expect("no panic under this lock");
        logs.entry(log.name.clone()).or_insert(log);
        Ok(())
    }

    /// Makes a topic; whether it is new.
    async fn create(&self, log: &Log) -> Result<bool, Error> {
        let config = &self.shared.config;
        let settings = topics::new_topic(&log.full, &log.name, config);
        let topic = topics::request(&log.full, &settings, config.replication);
        let options = self.patience().operation_timeout(Some(self.shared.timeout()));
        let failed = |error: &KafkaError| self.shared.error("create", &log.name, error);
        let answers = self.admin.create_topics([&topic], &options).await;
        match answers.map_err(|error| failed(&error))?.pop() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            // Who may not make topics may use those that somebody else has made.
            Some(Err((
                _,
                RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed,
            ))) if self.found(log).await?.partitions > 0 => Ok(false),
            Some(Err((_, RDKafkaErrorCode::InvalidReplicationFactor))) => {
                Err(Error::Configuration(topics::too_few_brokers(&log.full, config)))
            }
            Some(Err((_, RDKafkaErrorCode::InvalidConfig))) => {
                Err(Error::Configuration(topics::unwelcome(&log.full, &settings)))
            }
            Some(Err((_, code))) => Err(failed(&KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => Ok(true),
        }
    }

    pub(super) fn patience(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.shared.timeout()))
    }

    /// A topic as it is; without partitions when it is not there.
    pub(super) async fn found(&self, log: &Log) -> Result<topics::Found, Error> {
        let (producer, full, timeout) = (self.producer.clone(), log.full.clone(), self.shared.timeout());
        let told = blocking(move || {
            let metadata = producer.client().fetch_metadata(Some(&full), timeout)?;
            let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
            let copies = partitions.iter().map(|partition| partition.replicas().len());
            Ok((partitions.len(), copies.min().unwrap_or(0)))
        });
        let failed = |error: KafkaError| self.shared.error("describe", &log.name, &error);
        let (partitions, copies) = told.await.inspect_err(|_| self.show_way()).map_err(failed)?;
        let settings = self.described(ResourceSpecifier::Topic(&log.full)).await;
        Ok(topics::Found {
            partitions,
            copies,
            settings: settings.map_err(failed)?,
        })
    }

    /// Waits until a topic that was just made has its leader, and its group a coordinator.
    async fn settled(&self, log: &Arc<Log>) -> Result<(), Error> {
        let deadline = tokio::time::Instant::now() + self.shared.timeout();
        loop {
            let fresh = log.clone();
            match blocking(move || fresh.look().map(drop)).await {
                Err(error) if error.retryable() && tokio::time::Instant::now() < deadline => {
                    tracing::debug!(%error, "a topic is not ready yet");
                    tokio::time::sleep(SETTLING).await;
                }
                result => return result,
            }
        }
    }
}
