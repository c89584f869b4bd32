//! Whether the logs of an action end right after its answers, so that it pays to wait for one.

use std::sync::atomic::{AtomicU8, Ordering};

/// Answers that do not wait after one that waited in vain.
const PATIENCE: u8 = 31;

/// What recent activations of one action say about its logs. Counts may be off by what ends at the same moment; nothing depends
/// on them but how often a short wait is in vain.
#[derive(Debug, Default)]
pub(crate) struct Promptness {
    /// Answers that are still not to wait.
    left: AtomicU8,
}

impl Promptness {
    /// Whether the answer at hand should wait for its log.
    pub fn is_likely(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    /// An answer waited, and its log was later still.
    pub fn disappointed(&self) {
        self.left.store(PATIENCE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_is_not_repeated_soon() {
        let logs = Promptness::default();
        assert!(logs.is_likely() && logs.is_likely());
        logs.disappointed();
        let waits = (0..64).filter(|_| {
            let waits = logs.is_likely();
            if waits {
                logs.disappointed();
            }
            waits
        });
        assert_eq!(waits.collect::<Vec<_>>(), [31, 63]);
    }
}
