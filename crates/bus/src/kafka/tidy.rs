//! Has the brokers forget what is finished on a topic of accepted work. Such a topic keeps whatever is not finished, however
//! much that is (`retention.bytes=-1`); without this it would grow by the work of all of `bus.topics.work_retention_ms`.
//!
//! Invariant: nothing at or above the offset that the group has committed is touched. What is below is finished for good.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::log::{Group, Log};
use super::{Shared, blocking};
use crate::Error;

/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Goes on for as long as somebody here reads the topic.
pub(super) async fn tidy(shared: Arc<Shared>, log: Arc<Log>, group: Weak<Group>) {
    let mut forgotten = 0;
    while group.strong_count() > 0 {
        match forget(&shared, &log, forgotten).await {
            Ok(below) => forgotten = below,
            Err(error) if error.retryable() => tracing::debug!(%error, "what is finished stays on a topic for now"),
            Err(error) => {
                tracing::warn!(%error, "what is finished stays on a topic until it is old; let this user delete its records");
                return;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Forgets what the group has finished, if that is more than before; everything below which offset.
async fn forget(shared: &Shared, log: &Arc<Log>, before: i64) -> Result<i64, Error> {
    let looking = log.clone();
    let extent = blocking(move || looking.extent()).await?;
    if extent.finished <= before.max(extent.low) {
        return Ok(extent.finished);
    }
    let failed = |error: KafkaError| shared.error("forget what is finished on", &log.name, &error);
    let admin: AdminClient<DefaultClientContext> = shared.client.create().map_err(failed)?;
    let mut below = TopicPartitionList::new();
    below
        .add_partition_offset(&log.full, 0, Offset::Offset(extent.finished))
        .map_err(failed)?;
    let options = AdminOptions::new().request_timeout(Some(shared.timeout()));
    let told = admin.delete_records(&below, &options).await.map_err(failed)?;
    told.elements()
        .first()
        .map_or(Ok(()), |partition| partition.error())
        .map_err(failed)?;
    Ok(extent.finished)
}
