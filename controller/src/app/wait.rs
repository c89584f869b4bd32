//! Waiting for an activation: the acknowledgement tells, and where it does not the store is looked at now and then.
//!
//! Upstream behaviour honoured: a look every 15 seconds, and four quick ones once an acknowledgement came without the record.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wsk_entities::{Activation, ActivationId, Namespace};

use super::App;
use super::acks::Answer;
use crate::metrics;

/// Longest that a blocking caller waits.
pub const MAX_WAIT: Duration = Duration::from_secs(60);
/// Pause between two looks into the store while no acknowledgement comes.
const POLL_EVERY: Duration = Duration::from_secs(15);
/// Pauses before the looks into the store after an acknowledgement without a record.
const QUICK_POLLS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(7),
];
/// Whether the caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    No,
    UpTo(Duration),
}

impl Wait {
    /// Blocking for the longest time.
    pub const LONGEST: Wait = Wait::UpTo(MAX_WAIT);
}

impl App {
    /// Waits for the end of an activation; none when it does not come in time.
    pub(super) async fn await_answer(
        &self,
        namespace: &Namespace,
        id: ActivationId,
        mut answer: oneshot::Receiver<Answer>,
        limit: Duration,
    ) -> Option<Arc<Activation>> {
        let deadline = Instant::now() + limit;
        let mut look = Instant::now() + POLL_EVERY;
        loop {
            match tokio::time::timeout_at(look.min(deadline), &mut answer).await {
                Ok(Ok(Answer::Record(record))) => return Some(record),
                Ok(Ok(Answer::Stored) | Err(_)) => return self.poll_quickly(namespace, id, deadline).await,
                Err(_) if Instant::now() >= deadline => return None,
                Err(_) => {
                    if let Some(record) = self.retrieve(namespace, id).await {
                        return Some(record);
                    }
                    look += POLL_EVERY;
                }
            }
        }
    }

    async fn poll_quickly(
        &self,
        namespace: &Namespace,
        id: ActivationId,
        deadline: Instant,
    ) -> Option<Arc<Activation>> {
        let mut pauses = QUICK_POLLS.into_iter();
        loop {
            if let Some(record) = self.retrieve(namespace, id).await {
                return Some(record);
            }
            let next = Instant::now() + pauses.next().unwrap_or(POLL_EVERY);
            tokio::time::sleep_until(next.min(deadline)).await;
            if Instant::now() >= deadline {
                return None;
            }
        }
    }

    /// The record from the store, without logs as every blocking answer.
    async fn retrieve(&self, namespace: &Namespace, id: ActivationId) -> Option<Arc<Activation>> {
        match self.activations.get(namespace, id).await {
            Ok(Some(mut record)) => {
                metrics::RETRIEVED.inc();
                record.logs.clear();
                Some(Arc::new(record))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(activation_id = %id, %error, "cannot look for the record of a blocking invocation");
                None
            }
        }
    }
}
