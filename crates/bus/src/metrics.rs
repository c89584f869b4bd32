//! Metrics of the bus.

use prometheus::{Histogram, IntCounter, IntGauge};
use std::sync::LazyLock;
use std::time::Duration;

/// Writes of the journal that failed.
pub(crate) static JOURNAL_FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_journal_failures_total",
        "Group writes of the journal that failed.",
    )
});

static JOURNAL_MESSAGES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_journal_messages_total",
        "Messages made durable by the journal.",
    )
});

static JOURNAL_WRITES: LazyLock<Histogram> = LazyLock::new(|| {
    let buckets = vec![0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
    let (name, help) = (
        "ferrowhisk_bus_journal_write_seconds",
        "Time of one group write with its fdatasync.",
    );
    prometheus::register_histogram!(name, help, buckets).expect("registered once")
});

static JOURNAL_BYTES: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("ferrowhisk_bus_journal_bytes", "Bytes that the journal takes on disk."));

static JOURNAL_LIVE: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "ferrowhisk_bus_journal_live_messages",
        "Durable messages that are not committed.",
    )
});

/// One group write.
pub(crate) fn journal_write(took: Duration, messages: usize) {
    JOURNAL_WRITES.observe(took.as_secs_f64());
    JOURNAL_MESSAGES.inc_by(messages as u64);
}

/// The state of the journal after a group.
pub(crate) fn journal_size(bytes: u64, live: usize) {
    JOURNAL_BYTES.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    JOURNAL_LIVE.set(i64::try_from(live).unwrap_or(i64::MAX));
}

fn counter(name: &str, help: &str) -> IntCounter {
    prometheus::register_int_counter!(name, help).expect("registered once")
}

fn gauge(name: &str, help: &str) -> IntGauge {
    prometheus::register_int_gauge!(name, help).expect("registered once")
}
