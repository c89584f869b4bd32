//! What clients noticed of each fault. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::judge::Harm;
use crate::ledger::Answer;
use crate::plan::{Fault, Role};

/// What clients noticed of the faults of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    pub faults: u64,
    pub answers: u64,
    pub errors: u64,
    /// The longest time without any good answer.
    pub gap: Duration,
    /// The longest time that a good answer took.
    pub slowest: Duration,
}

/// By part and fault; a fault's time lasts until the next one begins.
pub fn noticed(harmed: &[Harm], answers: &[Answer], end: Instant) -> BTreeMap<(Role, Fault), Noticed> {
    let mut answers = answers.to_vec();
    answers.sort_by_key(|answer| answer.at);
    let mut all: BTreeMap<(Role, Fault), Noticed> = BTreeMap::new();
    for (at, harm) in harmed.iter().enumerate() {
        let until = harmed.get(at + 1).map_or(end, |next| next.from);
        let noticed = all.entry((harm.role, harm.fault)).or_default();
        noticed.faults += 1;
        let mut last = harm.from;
        let first = answers.partition_point(|answer| answer.at < harm.from);
        for answer in answers[first..].iter().take_while(|answer| answer.at < until) {
            noticed.answers += 1;
            if answer.good {
                noticed.gap = noticed.gap.max(answer.at - last);
                noticed.slowest = noticed.slowest.max(answer.took);
                last = answer.at;
            } else {
                noticed.errors += 1;
            }
        }
        noticed.gap = noticed.gap.max(until.saturating_duration_since(last));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_silence_belong_to_the_fault_before() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let harm = |role, ms| Harm {
            role,
            fault: Fault::Kill,
            from: at(ms),
            until: at(ms),
        };
        let answer = |ms, good| Answer {
            at: at(ms),
            took: Duration::from_millis(7),
            good,
        };
        let answers = [
            answer(50, false),
            answer(110, true),
            answer(150, false),
            answer(400, true),
            answer(520, true),
        ];
        let harmed = [harm(Role::Gateway, 100), harm(Role::Kafka, 500)];
        let all = noticed(&harmed, &answers, at(1000));
        let gateway = all[&(Role::Gateway, Fault::Kill)];
        assert_eq!((gateway.faults, gateway.answers, gateway.errors), (1, 3, 1));
        assert_eq!((gateway.gap.as_millis(), gateway.slowest.as_millis()), (290, 7));
        assert_eq!(all[&(Role::Kafka, Fault::Kill)].gap.as_millis(), 480);
    }
}
