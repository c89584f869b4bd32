//! Metrics of the store.

use std::sync::LazyLock;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};

use crate::Error;

/// Time from the start of a transaction to its end on the disk.
pub(crate) static COMMIT_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    let buckets = vec![0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
    let about = "Seconds that one commit of the embedded store took, with everything written in it.";
    let histogram = Histogram::with_opts(HistogramOpts::new("ferrowhisk_store_commit_seconds", about).buckets(buckets));
    registered(histogram.expect("valid options"))
});

/// Writes that were committed. Divided by the count of [`COMMIT_SECONDS`]: how many share one sync.
pub(crate) static WRITES: LazyLock<IntCounter> = LazyLock::new(|| {
    let about = "Writes committed by the embedded store; several share one commit.";
    registered(IntCounter::new("ferrowhisk_store_writes_total", about).expect("valid options"))
});

/// Records stored, repeated ones left out.
pub(crate) static RECORDS: LazyLock<IntCounter> = LazyLock::new(|| {
    let about = "Activation records stored.";
    registered(IntCounter::new("ferrowhisk_store_records_total", about).expect("valid options"))
});

/// Records that retention dropped.
pub(crate) static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    let about = "Activation records dropped because they were too old or too many.";
    registered(IntCounter::new("ferrowhisk_store_dropped_total", about).expect("valid options"))
});

/// Failed writes and reads, by [`crate::Error::label`].
static FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let opts = Opts::new(
        "ferrowhisk_store_failures_total",
        "Reads and writes that failed, conflicts left out.",
    );
    registered(IntCounterVec::new(opts, &["reason"]).expect("valid options"))
});

/// Counts a read or write that failed.
pub(crate) fn failed(error: &Error) {
    match error {
        // Ordinary answers to their callers.
        Error::Conflict(_) | Error::Missing(_) => {}
        Error::Corrupted { .. } | Error::Full { .. } | Error::Unavailable(_) | Error::Unusable(_) => {
            FAILURES.with_label_values(&[error.label()]).inc();
        }
    }
}

/// Makes all of them, so that they show from the start.
pub(crate) fn show() {
    LazyLock::force(&COMMIT_SECONDS);
    LazyLock::force(&FAILURES);
    for counter in [&WRITES, &RECORDS, &DROPPED] {
        LazyLock::force(counter);
    }
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(collector: C) -> C {
    prometheus::register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}
