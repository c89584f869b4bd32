//! Metrics of authentication.

use std::sync::LazyLock;

use prometheus::IntCounter;

/// Callers and owners found in memory.
pub(crate) static REMEMBERED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_identity_remembered_total",
        "Identities answered from memory.",
    )
});

/// Callers and owners asked of the store.
pub(crate) static LOOKUPS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_identity_lookups_total",
        "Identities asked of the subject store.",
    )
});

/// Keys that nobody has, or only a blocked subject.
pub(crate) static REFUSED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_identity_refused_total",
        "Keys that were malformed, unknown or blocked.",
    )
});

fn counter(name: &str, about: &str) -> IntCounter {
    let counter = IntCounter::new(name, about).expect("valid options");
    prometheus::register(Box::new(counter.clone())).expect("each name is registered once");
    counter
}
