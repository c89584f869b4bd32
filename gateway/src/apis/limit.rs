//! Rate limits: a bucket of tokens per route and subscription, refilled evenly over its window.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

/// How many calls in which span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub calls: f64,
    pub window: Duration,
}

/// All buckets.
#[derive(Debug)]
pub struct Limiter {
    most: usize,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

impl Limiter {
    /// Remembers at most `most` buckets. Beyond it those that are full are forgotten, which changes nothing, and then all.
    pub fn new(most: usize) -> Limiter {
        Limiter {
            most,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token; false when there is none left.
    pub fn admits(&self, key: &str, rate: Rate, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(key) {
            return bucket.take(rate, now);
        }
        if buckets.len() >= self.most {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= self.most {
                buckets.clear();
            }
        }
        let mut bucket = Bucket {
            rate,
            tokens: rate.calls,
            at: now,
        };
        let admitted = bucket.take(rate, now);
        buckets.insert(key.to_owned(), bucket);
        admitted
    }
}

impl Bucket {
    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.tokens = self.level(now).min(rate.calls);
        (self.rate, self.at) = (rate, now);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }

    fn level(&self, now: Instant) -> f64 {
        let span = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + span * self.rate.calls / self.rate.window.as_secs_f64()).min(self.rate.calls)
    }

    fn is_full(&self, now: Instant) -> bool {
        self.level(now) >= self.rate.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate {
        calls: 3.0,
        window: Duration::from_secs(60),
    };

    #[test]
    fn a_burst_then_an_even_flow() {
        let (limiter, start) = (Limiter::new(10), Instant::now());
        let at = |seconds| limiter.admits("a", RATE, start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(0), at(0), at(0), at(19)], [true, true, true, false, false]);
        assert_eq!([at(20), at(20), at(40), at(41)], [true, false, true, false]);
        assert_eq!([at(1000), at(1000), at(1000), at(1000)], [true, true, true, false]);
        assert!(limiter.admits("b", RATE, start), "others have buckets of their own");
    }

    #[test]
    fn a_new_rate_holds_at_once() {
        let (limiter, start) = (Limiter::new(10), Instant::now());
        assert!(limiter.admits("a", Rate { calls: 100.0, ..RATE }, start));
        let tight = Rate { calls: 1.0, ..RATE };
        assert!(limiter.admits("a", tight, start));
        assert!(!limiter.admits("a", tight, start));
    }

    #[test]
    fn memory_is_bounded() {
        let (limiter, start) = (Limiter::new(10), Instant::now());
        for n in 0..1000 {
            limiter.admits(&n.to_string(), RATE, start);
        }
        assert!(limiter.buckets.lock().unwrap().len() <= 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// In no window more than a bucket and what flowed in meanwhile.
        #[test]
        fn never_more_than_the_bucket_and_its_refill(calls in 1u32..20, steps in proptest::collection::vec(0u64..5_000, 1..200)) {
            let rate = Rate { calls: f64::from(calls), window: Duration::from_secs(60) };
            let (limiter, start) = (Limiter::new(10), Instant::now());
            let (mut now, mut admitted) = (0, 0.0);
            for step in steps {
                now += step;
                if limiter.admits("k", rate, start + Duration::from_millis(now)) {
                    admitted += 1.0;
                }
            }
            let most = rate.calls * (1.0 + now as f64 / 60_000.0);
            prop_assert!(admitted <= most + 1e-6, "{} of {}", admitted, most);
        }
    }
}
