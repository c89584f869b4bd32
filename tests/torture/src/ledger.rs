//! What clients were told: the ids they got, the writes that were acknowledged, and when they got no good answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::load::{Entity, Kind};

/// An answer, or the want of one.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub at: Instant,
    pub took: Duration,
    pub good: bool,
}

/// How many requests of a kind were accepted, and how many not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    pub accepted: u64,
    pub refused: u64,
}

/// Notes of all of it.
#[derive(Default)]
pub struct Ledger(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    accepted: HashMap<String, Kind>,
    given_twice: Vec<String>,
    entities: BTreeMap<String, (Entity, bool)>,
    tried: BTreeMap<Kind, Tried>,
    answers: Vec<Answer>,
}

impl Ledger {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().expect("no panic under this lock")
    }

    /// A request of a kind has ended.
    pub fn ended(&self, kind: Kind, answer: Answer) {
        let mut notes = self.notes();
        let tried = notes.tried.entry(kind).or_default();
        match answer.good {
            true => tried.accepted += 1,
            false => tried.refused += 1,
        }
        notes.answers.push(answer);
    }

    pub fn accepted(&self, id: String, kind: Kind) {
        let mut notes = self.notes();
        if notes.accepted.insert(id.clone(), kind).is_some() {
            notes.given_twice.push(id);
        }
    }

    /// Takes an entity to write, unless somebody else writes it at the moment; its writes must not overtake each other.
    pub fn take(&self, name: &str) -> bool {
        let mut notes = self.notes();
        let (_, busy) = notes.entities.entry(name.to_owned()).or_default();
        !std::mem::replace(busy, true)
    }

    /// A value was written, or nobody knows.
    pub fn written(&self, name: &str, value: u64, acknowledged: bool) {
        let mut notes = self.notes();
        let (entity, busy) = notes.entities.entry(name.to_owned()).or_default();
        *busy = false;
        match acknowledged {
            true => entity.acknowledged = Some(value),
            false => entity.unknown.push(value),
        }
    }

    pub fn promises(&self) -> (HashMap<String, Kind>, Vec<String>) {
        let notes = self.notes();
        (notes.accepted.clone(), notes.given_twice.clone())
    }

    pub fn entities(&self) -> BTreeMap<String, Entity> {
        let notes = self.notes();
        notes
            .entities
            .iter()
            .map(|(name, (entity, _))| (name.clone(), entity.clone()))
            .collect()
    }

    pub fn tried(&self) -> BTreeMap<Kind, Tried> {
        self.notes().tried.clone()
    }

    pub fn answers(&self) -> Vec<Answer> {
        self.notes().answers.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_written_by_one_at_a_time() {
        let ledger = Ledger::default();
        assert!(ledger.take("e"));
        assert!(!ledger.take("e"));
        ledger.written("e", 7, true);
        assert!(ledger.take("e"));
        ledger.written("e", 8, false);
        let entity = &ledger.entities()["e"];
        assert_eq!((entity.acknowledged, entity.unknown.as_slice()), (Some(7), &[8][..]));
    }

    #[test]
    fn an_id_that_is_given_twice_is_noted() {
        let ledger = Ledger::default();
        ledger.accepted("a".to_owned(), Kind::Fire);
        ledger.accepted("b".to_owned(), Kind::Fire);
        ledger.accepted("a".to_owned(), Kind::Blocking);
        assert_eq!(ledger.promises().1, ["a"]);
    }
}
