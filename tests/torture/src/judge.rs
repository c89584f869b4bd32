//! What of the evidence breaks a promise. Pure: the evidence is gathered elsewhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::load::{Entity, Kind};
use crate::plan::{Fault, Role};
use crate::tally::Runs;
use tokio::time::{Duration, Instant};

/// What was seen when everything had settled.
#[derive(Default)]
pub struct Evidence {
    /// Ids that were accepted, with what was asked for.
    pub accepted: HashMap<String, Kind>,
    /// Ids given in two answers.
    pub given_twice: Vec<String>,
    /// Ids of the activations that records name as begun by them: rules of a fire, components of a sequence.
    pub begun: Vec<String>,
    /// Actions whose records say that they ran well.
    pub succeeded: Vec<String>,
    /// How often the record of each id was written.
    pub records: HashMap<String, u32>,
    /// Whether the activations that were looked at through the API were there, by id.
    pub answered: Vec<(String, bool)>,
    pub runs: HashMap<String, Runs>,
    pub harmed: Vec<Harm>,
    pub entities: BTreeMap<String, (Entity, Option<u64>)>,
    /// What services still count, and should not.
    pub counts: Vec<Count>,
    /// Services that do not run.
    pub missing: Vec<String>,
}

/// A fault that was done.
#[derive(Clone, Copy, Debug)]
pub struct Harm {
    pub role: Role,
    pub fault: Fault,
    pub from: Instant,
    pub until: Instant,
}

/// A number of a service, and what it must be when nothing is under way.
#[derive(Clone, Debug)]
pub struct Count {
    pub service: String,
    pub name: String,
    pub value: f64,
    pub due: f64,
}

/// What is still delivered again so long after a fault: sessions end, and what was taken over runs.
const AFTERMATH: Duration = Duration::from_secs(60);

/// One run in so many may go by unseen.
const UNSEEN: usize = 100;

/// Everything that was promised and is not so.
pub fn judge(evidence: &Evidence) -> Vec<String> {
    let mut findings: Vec<_> = evidence
        .missing
        .iter()
        .map(|name| format!("{name} is not running"))
        .collect();
    findings.extend(unrecorded(evidence));
    findings.extend(twice(evidence));
    findings.extend(unseen(evidence));
    findings.extend(
        evidence
            .entities
            .iter()
            .filter_map(|(name, (entity, found))| lost(name, entity, *found)),
    );
    let wrong = evidence.counts.iter().filter(|count| count.value != count.due);
    findings.extend(wrong.map(|c| format!("{}: {} is {}, not {}", c.service, c.name, c.value, c.due)));
    findings.sort();
    findings
}

fn unrecorded(evidence: &Evidence) -> Vec<String> {
    let there = |id: &String| evidence.records.contains_key(id);
    let accepted = evidence.accepted.iter().filter(|(id, _)| !there(id));
    let begun = evidence.begun.iter().filter(|id| !there(id));
    let unseen = evidence.answered.iter().filter(|(id, answered)| !answered && there(id));
    accepted
        .map(|(id, kind)| format!("{id} ({kind}) was accepted and has no record"))
        .chain(begun.map(|id| format!("{id} was begun by a fire or a sequence and has no record")))
        .chain(unseen.map(|(id, _)| format!("{id} has a record that the API does not show")))
        .collect()
}

/// Runs are told by datagrams, of which the system may drop some; most of them missing means that nobody was looking.
fn unseen(evidence: &Evidence) -> Option<String> {
    let succeeded = evidence.succeeded.len();
    let unseen = evidence
        .succeeded
        .iter()
        .filter(|id| !evidence.runs.contains_key(*id))
        .count();
    (unseen * UNSEEN > succeeded)
        .then(|| format!("{unseen} of {succeeded} activations that ran well were not seen to run"))
}

fn twice(evidence: &Evidence) -> Vec<String> {
    let mut findings: Vec<_> = evidence
        .given_twice
        .iter()
        .map(|id| format!("{id} was given in two answers"))
        .collect();
    let mut seen = HashSet::new();
    let begun_again = evidence
        .begun
        .iter()
        .filter(|id| !seen.insert(*id) || evidence.accepted.contains_key(*id));
    findings.extend(begun_again.map(|id| format!("{id} was begun twice")));
    let recorded = evidence.records.iter().filter(|(_, count)| **count > 1);
    findings.extend(recorded.map(|(id, count)| format!("the record of {id} was written {count} times")));
    let run = evidence
        .runs
        .iter()
        .filter(|(_, runs)| runs.count > 1 && !excused(runs, &evidence.harmed));
    findings.extend(run.map(|(id, runs)| format!("{id} ran {} times without a reason", runs.count)));
    findings
}

/// Whether something happened to who delivers or runs activations between two runs of one: only then it may run again. A
/// controller delivers too: it hands on what others have left, and may die after that and before it has said so.
fn excused(runs: &Runs, harmed: &[Harm]) -> bool {
    let matters = |harm: &&Harm| match harm.role {
        Role::Invoker | Role::Kafka => true,
        Role::Controller => harm.fault != Fault::CutCouch,
        Role::Gateway | Role::CouchDb => false,
    };
    harmed
        .iter()
        .filter(matters)
        .any(|harm| harm.from <= runs.last && harm.until + AFTERMATH >= runs.first)
}

/// A write that was acknowledged and is not there. What got no acknowledgement may be there, at any time.
fn lost(name: &str, entity: &Entity, found: Option<u64>) -> Option<String> {
    let acknowledged = entity.acknowledged?;
    match found {
        Some(value) if value == acknowledged || entity.unknown.contains(&value) => None,
        Some(value) => Some(format!(
            "the trigger {name} has the value {value}; {acknowledged} was acknowledged"
        )),
        None => Some(format!("the trigger {name} was acknowledged and is not there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> String {
        format!("{n:032x}")
    }

    /// One blocking invocation, one fire that began another, all of it in order.
    fn good(now: Instant) -> Evidence {
        let records = (1..=3).map(|n| (id(n), 1)).collect();
        let once = Runs {
            count: 1,
            first: now,
            last: now,
        };
        let entity = Entity {
            acknowledged: Some(5),
            unknown: vec![4],
        };
        Evidence {
            accepted: HashMap::from([(id(1), Kind::Blocking), (id(2), Kind::Fire)]),
            begun: vec![id(3)],
            succeeded: vec![id(1), id(3)],
            records,
            answered: vec![(id(1), true)],
            runs: HashMap::from([(id(1), once), (id(3), once)]),
            entities: BTreeMap::from([("e".to_owned(), (entity, Some(5)))]),
            counts: vec![Count {
                service: "controller0".to_owned(),
                name: "in flight".to_owned(),
                value: 0.0,
                due: 0.0,
            }],
            ..Evidence::default()
        }
    }

    /// The one finding after something was changed.
    fn finding(change: impl FnOnce(&mut Evidence, Instant)) -> String {
        let now = Instant::now() + Duration::from_secs(1000);
        let mut evidence = good(now);
        assert_eq!(judge(&evidence), Vec::<String>::new());
        change(&mut evidence, now);
        let findings = judge(&evidence);
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.into_iter().next().unwrap_or_default()
    }

    #[test]
    fn a_missing_record_is_found() {
        assert!(
            finding(|e, _| {
                e.records.remove(&id(1));
            })
            .ends_with("(blocking) was accepted and has no record")
        );
        assert!(
            finding(|e, _| {
                e.records.remove(&id(3));
            })
            .contains("begun by a fire")
        );
        assert!(finding(|e, _| e.answered[0].1 = false).contains("the API does not show"));
    }

    #[test]
    fn what_is_there_twice_is_found() {
        assert!(
            finding(|e, _| {
                e.records.insert(id(2), 2);
            })
            .ends_with("was written 2 times")
        );
        assert!(finding(|e, _| e.begun.push(id(3))).ends_with("was begun twice"));
        assert!(finding(|e, _| e.begun.push(id(1))).ends_with("was begun twice"));
        assert!(finding(|e, _| e.given_twice.push(id(1))).ends_with("was given in two answers"));
    }

    #[test]
    fn runs_that_nobody_saw_are_found() {
        assert_eq!(
            finding(|e, _| {
                e.runs.remove(&id(3));
            }),
            "1 of 2 activations that ran well were not seen to run"
        );
    }

    fn harm(role: Role, from: Instant) -> Harm {
        Harm {
            role,
            fault: Fault::Kill,
            from,
            until: from,
        }
    }

    fn again(evidence: &mut Evidence, now: Instant) {
        let runs = Runs {
            count: 2,
            first: now,
            last: now + Duration::from_secs(5),
        };
        evidence.runs.insert(id(1), runs);
    }

    #[test]
    fn a_second_run_is_found_unless_who_delivers_or_runs_was_harmed() {
        assert!(finding(again).contains("ran 2 times"));
        assert!(
            finding(|e, now| {
                again(e, now);
                e.harmed.push(harm(Role::Gateway, now));
                e.harmed.push(Harm {
                    fault: Fault::CutCouch,
                    ..harm(Role::Controller, now)
                });
                e.harmed.push(harm(Role::Invoker, now + Duration::from_secs(6)));
                e.harmed
                    .push(harm(Role::Invoker, now - AFTERMATH - Duration::from_secs(1)));
            })
            .contains("ran 2 times")
        );
        let now = Instant::now();
        for role in [Role::Invoker, Role::Kafka, Role::Controller] {
            let mut evidence = good(now);
            again(&mut evidence, now);
            evidence.harmed.push(harm(role, now + Duration::from_secs(2)));
            assert_eq!(judge(&evidence), Vec::<String>::new());
        }
    }

    #[test]
    fn a_lost_write_is_found() {
        let change = |found| move |e: &mut Evidence, _| e.entities.get_mut("e").expect("there").1 = found;
        assert!(finding(change(None)).ends_with("is not there"));
        assert!(finding(change(Some(3))).contains("has the value 3; 5 was acknowledged"));
        let mut evidence = good(Instant::now());
        change(Some(4))(&mut evidence, Instant::now());
        assert_eq!(
            judge(&evidence),
            Vec::<String>::new(),
            "4 was never answered and may have come late"
        );
    }

    #[test]
    fn what_is_not_given_back_is_found() {
        assert_eq!(
            finding(|e, _| e.counts[0].value = 1.0),
            "controller0: in flight is 1, not 0"
        );
        assert_eq!(
            finding(|e, _| e.counts[0].value = f64::NAN),
            "controller0: in flight is NaN, not 0"
        );
        assert_eq!(
            finding(|e, _| e.missing.push("invoker1".to_owned())),
            "invoker1 is not running"
        );
    }
}
