//! Old records go, now and then, so that the store stays flat. How old, and how many, the store's configuration says.

use std::sync::Arc;
use std::time::Duration;

use wsk_service::{Boxed, clock};
use wsk_store::ActivationStore;

/// How often old records are looked for.
const EVERY: Duration = Duration::from_secs(60);

/// Applies the retention of records for ever. Several controllers may do so: what one removed the other does not find.
pub fn retain(records: Arc<dyn ActivationStore>) -> Boxed<'static, ()> {
    Box::pin(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            match records.retain(clock::now()).await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(records = gone, "removed old activation records"),
                Err(error) => tracing::warn!(%error, "old activation records stay for now"),
            }
        }
    })
}
