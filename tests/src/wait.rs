//! Waiting for conditions, with what is still missing in the failure.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks `condition` until it holds; gives what it gave. Fails after `limit` with the last reason why it did not.
pub async fn until<T>(limit: Duration, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(reason) if Instant::now() >= end => panic!("not within {limit:?}: {reason}"),
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}
