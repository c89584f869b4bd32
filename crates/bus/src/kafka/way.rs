//! The way to Kafka of one client of the library, which can forget it.
//!
//! A broker that has just started, or has lost its controller, answers who asks about a topic that there are no brokers. librdkafka
//! 2.10 and later takes its word, drops every broker that it knows, the configured ones too, and then connects to nobody any more (its issue 5301). So
//! a client that gets no answer is told again where Kafka is.

use std::ffi::CString;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_brokers_add;
use rdkafka::client::{Client, ClientContext};

/// Time between two reminders. The library keeps each of them, so there must not be many while Kafka is away.
const AGAIN: Duration = Duration::from_secs(20);

/// When a client was told last.
#[derive(Debug, Default)]
pub(super) struct Way {
    shown: Mutex<Option<Instant>>,
}

impl Way {
    /// Tells a client that got no answer where the brokers are, unless it was told just now; whether it did. One that has not forgotten them
    /// takes no harm: it drops what is there twice with the next answer.
    pub(super) fn show<C: ClientContext>(&self, client: &Client<C>, brokers: &str) -> bool {
        let mut shown = self.shown.lock().expect("no panic under this lock");
        if shown.is_some_and(|shown| shown.elapsed() < AGAIN) {
            return false;
        }
        *shown = Some(Instant::now());
        let Ok(list) = CString::new(brokers) else {
            unreachable!("`{brokers}` was a setting of the library, which has no zero bytes");
        };
        // SAFETY: the client lives as long as its reference, and the library copies the list before it returns.
        let taken = unsafe { rd_kafka_brokers_add(client.native_ptr(), list.as_ptr()) };
        tracing::debug!(brokers, taken, "a client that gets no answer is told where Kafka is");
        true
    }
}
