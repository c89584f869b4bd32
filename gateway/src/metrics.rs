//! Metrics of the gateway.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, Opts};

/// Calls of APIs by what became of them: `passed` or [`crate::apis::error::Error::label`].
pub static CALLS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let about = "Calls of APIs by outcome; passed means that a backend answered, whatever it answered.";
    let counter = IntCounterVec::new(Opts::new("ferrowhisk_gateway_api_calls_total", about), &["outcome"]);
    let counter = counter.expect("valid options");
    prometheus::register(Box::new(counter.clone())).expect("each name is registered once");
    counter
});
