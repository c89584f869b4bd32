//! Actions that were changed or deleted: their idle containers can run nothing any more, and make room at once.
//!
//! A change that is missed costs memory until the containers have been idle for long enough, and nothing else.

use tokio::sync::mpsc;
use wsk_bus::Subscription;
use wsk_bus::messages::{CacheInvalidation, read};

use crate::pool::Command;

/// Hands announced changes to the pool. Nothing here outlives the subscription or the pool.
pub(crate) async fn follow(mut changes: Box<dyn Subscription>, pool: mpsc::Sender<Command>) {
    while let Some(delivery) = changes.next().await {
        match read::<CacheInvalidation>(&delivery) {
            // A name that is none of ours cannot be an action's.
            Ok(change) => {
                if let Ok(name) = change.key.main_id.parse()
                    && pool.send(Command::Changed(name)).await.is_err()
                {
                    return;
                }
            }
            Err(error) => tracing::debug!(%error, "an announced change cannot be read"),
        }
        delivery.commit();
    }
}
