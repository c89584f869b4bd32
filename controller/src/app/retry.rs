//! Running what failed again: an opt-in of ours, the annotation `retry` of an action or a rule.
//!
//! `{"attempts": 3, "delay": 1000, "factor": 2}`: at most so many runs, the first included, with a pause of so many
//! milliseconds before the second, and so many times longer before each further one. A rule's annotation wins over its
//! action's. What is accepted then ends in one record, whose answer is that of the last run and whose `logs` name all
//! runs. More runs than [`MOST`] and longer pauses than [`LONGEST`] are cut to these; an annotation that cannot be read asks
//! for nothing, as annotations of other meanings are nobody's mistake. Pure.

use serde::{Deserialize, Serialize};
use wsk_entities::Parameters;

/// The annotation.
pub const ANNOTATION: &str = "retry";
/// Most runs that may be asked for.
const MOST: u32 = 10;
/// Longest pause between two runs, in milliseconds.
const LONGEST: u64 = 300_000;

/// How often, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Runs in all.
    pub attempts: u32,
    /// Before the second run, in milliseconds.
    #[serde(default = "second")]
    delay: u64,
    #[serde(default = "twice")]
    factor: u32,
}

fn second() -> u64 {
    1000
}

fn twice() -> u32 {
    2
}

impl Policy {
    /// The policy that annotations ask for; none for one run, or when it cannot be understood.
    pub fn of(annotations: &Parameters) -> Option<Policy> {
        let asked = annotations.get(ANNOTATION)?;
        let policy: Policy = serde_json::from_str(asked.as_str()).ok()?;
        let attempts = policy.attempts.min(MOST);
        (attempts > 1).then_some(Policy { attempts, ..policy })
    }

    /// The pause before another run, after so many; none when that was the last.
    pub fn pause_after(&self, runs: u32) -> Option<u64> {
        if runs >= self.attempts {
            return None;
        }
        let growth = u64::from(self.factor.max(1)).saturating_pow(runs.saturating_sub(1));
        Some(self.delay.saturating_mul(growth).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsk_entities::Json;

    fn policy(text: &str) -> Option<Policy> {
        let mut annotations = Parameters::new();
        annotations.set(ANNOTATION, Json::parse(text).unwrap());
        Policy::of(&annotations)
    }

    #[test]
    fn pauses_grow_and_runs_are_bounded() {
        let three = policy(r#"{"attempts":3,"delay":100}"#).unwrap();
        assert_eq!(
            [1, 2, 3, 4].map(|runs| three.pause_after(runs)),
            [Some(100), Some(200), None, None]
        );
        let many = policy(r#"{"attempts":1000,"delay":200000,"factor":4000000000}"#).unwrap();
        assert_eq!((many.pause_after(9), many.pause_after(10)), (Some(LONGEST), None));
    }

    #[test]
    fn what_asks_for_nothing_changes_nothing() {
        for text in [
            r#"{"attempts":1}"#,
            r#"{"attempts":0}"#,
            "3",
            "true",
            r#"{"attempts":-1}"#,
            r#"{"attempts":1.5}"#,
        ] {
            assert_eq!(policy(text), None, "{text}");
        }
        assert_eq!(Policy::of(&Parameters::new()), None);
    }
}
