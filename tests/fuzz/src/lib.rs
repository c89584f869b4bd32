//! Fuzz targets that run as tests.
//!
//! A target is a strategy for input and a judge that says what is wrong with what came of it. [`run`] feeds the judge a
//! corpus of nasty values first, and then generated ones for as long as the run is given: a second by default, or what
//! `WSK_FUZZ_SECONDS` says (`make test` says sixty). It says how many cases it tried, and from which seed; a failing case
//! is made as small as it gets and named with the seed that repeats it: `WSK_FUZZ_SEED=N cargo test TARGET`.
//!
//! Not here: what a target feeds, and what it expects.
//!
//! Invariant: with a seed given, the cases are the same ones in the same order.

use std::fmt::Debug;
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use proptest;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// How long a target runs.
const SECONDS: &str = "WSK_FUZZ_SECONDS";
/// Where its cases begin.
const SEED: &str = "WSK_FUZZ_SEED";
/// Cases of one round; a round has a seed of its own.
const ROUND: u32 = 64;

/// What a run was given and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    pub seed: u64,
    pub rounds: u64,
    /// Generated ones and those of the corpus.
    pub cases: u64,
}

/// How long to go on, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub time: Duration,
    pub seed: u64,
}

impl Budget {
    /// What the environment says; else a second, from a seed that nobody chose.
    ///
    /// # Panics
    /// When a variable is there and is no number.
    pub fn from_env() -> Budget {
        let number = |name: &str| {
            std::env::var(name)
                .ok()
                .map(|text| text.parse::<u64>().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
        };
        let clock = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_secs() ^ u64::from(since.subsec_nanos())
        };
        Budget {
            time: Duration::from_secs(number(SECONDS).unwrap_or(1)),
            seed: number(SEED).unwrap_or_else(clock),
        }
    }
}

/// Runs a target within the budget that the environment gives, and says on standard error what it did.
///
/// # Panics
/// When the judge found something wrong, with the smallest such case and the seed that repeats it.
pub fn run<S: Strategy>(
    target: &str,
    corpus: impl IntoIterator<Item = S::Value>,
    strategy: &S,
    judge: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let (budget, start) = (Budget::from_env(), Instant::now());
    match within(budget, corpus, strategy, judge) {
        Ok(Done { seed, cases, .. }) => {
            let seconds = start.elapsed().as_secs();
            // Past the harness, which keeps to itself what a passing test prints.
            let _ = writeln!(
                std::io::stderr(),
                "fuzz {target}: {cases} cases in {seconds} s, seed {seed}"
            );
        }
        Err(failure) => panic!("fuzz {target}: {failure}"),
    }
}

/// As [`run`], with the budget given and the outcome told. The text of a failure names the case and its seed.
///
/// # Errors
/// What the judge found wrong.
pub fn within<S: Strategy>(
    budget: Budget,
    corpus: impl IntoIterator<Item = S::Value>,
    strategy: &S,
    judge: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<Done, String> {
    let start = Instant::now();
    let mut done = Done {
        seed: budget.seed,
        rounds: 0,
        cases: 0,
    };
    for value in corpus {
        let shown = format!("{value:?}");
        done.cases += 1;
        match judge(value) {
            Ok(()) | Err(TestCaseError::Reject(_)) => {}
            Err(TestCaseError::Fail(reason)) => return Err(format!("{reason}\ncase of the corpus: {shown}")),
        }
    }
    while done.rounds == 0 || start.elapsed() < budget.time {
        let seed = budget.seed.wrapping_add(done.rounds);
        round(seed, strategy, &judge).map_err(|failure| format!("{failure}\nrepeat it with {SEED}={seed}"))?;
        done.rounds += 1;
        done.cases += u64::from(ROUND);
    }
    Ok(done)
}

fn round<S: Strategy>(
    seed: u64,
    strategy: &S,
    judge: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<(), String>
where
    S::Value: Debug,
{
    let config = Config {
        cases: ROUND,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    match TestRunner::new_with_rng(config, rng).run(strategy, judge) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, value)) => Err(format!("{reason}\nsmallest case: {value:?}")),
        Err(TestError::Abort(reason)) => Err(format!("too many cases do not fit: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    fn budget(seed: u64) -> Budget {
        Budget {
            time: Duration::ZERO,
            seed,
        }
    }

    fn cases_of(seed: u64) -> Vec<u32> {
        let seen = RefCell::new(Vec::new());
        let done = within(budget(seed), [7], &any::<u32>(), |n| {
            seen.borrow_mut().push(n);
            Ok(())
        });
        assert_eq!(done.unwrap().cases, u64::from(ROUND) + 1);
        seen.into_inner()
    }

    #[test]
    fn a_seed_is_one_history_and_the_corpus_comes_first() {
        assert_eq!(cases_of(5), cases_of(5));
        assert_ne!(cases_of(5), cases_of(6));
        assert_eq!(cases_of(5)[0], 7);
    }

    #[test]
    fn a_failure_is_small_and_names_the_seed_that_repeats_it() {
        let judge = |n: u32| {
            prop_assert!(n < 1000, "{n} is too large");
            Ok(())
        };
        let failure = within(budget(11), [], &any::<u32>(), judge).unwrap_err();
        assert!(failure.contains("smallest case: 1000"), "{failure}");
        assert!(failure.ends_with("repeat it with WSK_FUZZ_SEED=11"), "{failure}");
        let failure = within(budget(11), [2000], &any::<u32>(), judge).unwrap_err();
        assert!(failure.ends_with("case of the corpus: 2000"), "{failure}");
    }

    #[test]
    fn a_judge_that_panics_is_a_failure_too() {
        let failure = within(budget(1), [], &any::<u32>(), |_| panic!("broken")).unwrap_err();
        assert!(failure.contains("broken"), "{failure}");
    }
}
