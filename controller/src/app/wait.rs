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
            tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(Answer::Record(record)) => return Some(record),
                    Ok(Answer::Stored) | Err(_) => return self.poll_quickly(namespace, id, deadline).await,
                },
                () = tokio::time::sleep_until(deadline) => return None,
                found = self.retrieve_at(look, namespace, id) => match found {
                    Some(record) => return Some(record),
                    None => look = Instant::now() + POLL_EVERY,
                },
            }
        }
    }

    async fn retrieve_at(&self, when: Instant, namespace: &Namespace, id: ActivationId) -> Option<Arc<Activation>> {
        tokio::time::sleep_until(when).await;
        self.retrieve(namespace, id).await
    }

    async fn poll_quickly(
        &self,
        namespace: &Namespace,
        id: ActivationId,
        deadline: Instant,
    ) -> Option<Arc<Activation>> {
        let mut pauses = QUICK_POLLS.into_iter();
        loop {
            let found = tokio::time::timeout_at(deadline, self.retrieve(namespace, id)).await;
            if let Ok(Some(record)) = found {
                return Some(record);
            }
            let next = Instant::now() + pauses.next().unwrap_or(POLL_EVERY);
            tokio::time::sleep_until(next.min(deadline)).await;
            if Instant::now() >= deadline {
                return None;
            }
        }
    }

    /// The record from the store, without logs as every blocking answer. Whether there is one is asked first: when invokers are
    /// slow thousands wait, and that is what a store can answer for many at once.
    async fn retrieve(&self, namespace: &Namespace, id: ActivationId) -> Option<Arc<Activation>> {
        let found = match self.activations.exists(namespace, id).await {
            Ok(true) => self.activations.get(namespace, id).await,
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match found {
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
