//! The typed messages, in OpenWhisk's JSON.
//!
//! Within one process they travel as values ([`Payload`]); [`read`] gives the value either way. Golden files in `golden/`
//! freeze the wire form.

mod acknowledgement;
mod activation;
mod control;
mod event;
mod health;
mod instance;
mod placement;

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use acknowledgement::{Acknowledgement, Completed};
pub use activation::{ActionRef, ActivationMessage, ControllerIndex};
pub use control::{BEYOND, CANCELLED, CONTROL, Control, Printed, Seen, printed_topic};
pub use event::{ActivationEvent, Event, EventBody, EventType, Metric, MetricEvent};
pub use health::{CacheInvalidation, CacheKey, InvokerInstance, Node, Ping};
pub use instance::{INSTANCES, Instance};
pub use placement::{Detour, ELSEWHERE, Needs};

use crate::{Delivery, Payload};

/// The topic on which an invoker takes work.
pub fn invoker_topic(invoker: u32) -> String {
    format!("invoker{invoker}")
}

/// The topic on which a controller takes acknowledgements.
pub fn completed_topic(controller: &str) -> String {
    format!("completed{controller}")
}

/// Invokers say every second that they are there.
pub const HEALTH: &str = "health";
/// Controllers tell each other and the invokers which entities changed.
pub const CACHE_INVALIDATION: &str = "cacheInvalidation";

/// What users' metrics are made from, where it is told at all.
pub const EVENTS: &str = "events";

/// A delivery that does not hold the message its topic promises.
#[derive(Debug, thiserror::Error)]
#[error("a message on the bus cannot be read: {0}")]
pub struct Unreadable(String);

/// The typed message of a delivery: the published value itself, or decoded from the wire form.
pub fn read<T: Payload>(delivery: &Delivery) -> Result<Arc<T>, Unreadable> {
    match delivery.local::<T>() {
        Some(value) => Ok(value),
        None => T::decode(&delivery.bytes()).map(Arc::new).map_err(Unreadable),
    }
}

fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

fn encode<T: Serialize>(message: &T) -> Bytes {
    // Most messages fit, so that the text is not moved while it grows.
    let mut text = Vec::with_capacity(1024);
    serde_json::to_writer(&mut text, message).expect("messages of ours serialise");
    text.into()
}
