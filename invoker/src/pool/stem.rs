//! Stem cells: how many containers of a kind are held ready. Pure.

use std::time::Duration;

use tokio::time::Instant;
use wsk_entities::{Architecture, Manifest, Runtime, StemCell};

use super::slab::Id;
use crate::error::Error;
use crate::plan::Program;

/// Most stem cells that one look lets expire.
const MAX_EXPIRED: usize = 100;

/// The stem cells of one kind and memory size.
#[derive(Debug)]
pub(crate) struct Stem {
    pub kind: String,
    pub memory_mb: u32,
    pub program: Program,
    initial: u32,
    reactive: Option<Reactive>,
    /// Starts of actions that could have used one since the last look.
    pub cold_starts: u32,
    /// Failed creations in a row.
    pub failures: u32,
    pub starting: u32,
    ready: Vec<(Id, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Reactive {
    min: u32,
    max: u32,
    ttl: Duration,
    threshold: u32,
    increment: u32,
}

impl Stem {
    /// The stem cells that a manifest asks for. Errors name the kind and what is wrong.
    pub fn of(manifest: &Manifest, architecture: &Architecture) -> Result<Vec<Stem>, Error> {
        let cells = manifest
            .kinds()
            .flat_map(|runtime| runtime.stem_cells.iter().map(move |cell| (runtime, cell)));
        cells
            .map(|(runtime, cell)| {
                Stem::new(runtime, cell, architecture).map_err(|reason| Error::StemCell {
                    kind: runtime.kind.clone(),
                    reason,
                })
            })
            .collect()
    }

    fn new(runtime: &Runtime, cell: &StemCell, architecture: &Architecture) -> Result<Stem, String> {
        if cell.initial_count == 0 {
            return Err("initialCount must be positive".to_owned());
        }
        let reactive = cell.reactive.as_ref().map(|r| {
            let ttl = duration(&r.ttl).filter(|ttl| !ttl.is_zero());
            let ttl = ttl.ok_or_else(|| format!("ttl `{}` is no duration such as `2 minutes`", r.ttl))?;
            let fits = r.min_count <= r.max_count && r.max_count > 0 && r.threshold > 0;
            if !fits || r.increment == 0 || r.increment > r.max_count {
                return Err(
                    "reactive needs minCount <= maxCount, threshold > 0 and 0 < increment <= maxCount".to_owned(),
                );
            }
            Ok(Reactive {
                min: r.min_count,
                max: r.max_count,
                ttl,
                threshold: r.threshold,
                increment: r.increment,
            })
        });
        let memory_mb = megabytes(&cell.memory);
        Ok(Stem {
            kind: runtime.kind.clone(),
            memory_mb: memory_mb.ok_or_else(|| format!("memory `{}` is no size such as `256 MB`", cell.memory))?,
            program: Program::of_runtime(runtime, architecture),
            initial: cell.initial_count,
            reactive: reactive.transpose()?,
            cold_starts: 0,
            failures: 0,
            starting: 0,
            ready: Vec::new(),
        })
    }

    /// Whether an action of this kind and memory may use one.
    pub fn serves(&self, kind: &str, memory_mb: u32) -> bool {
        self.memory_mb == memory_mb && self.kind == kind
    }

    /// How many to make at the start of the invoker.
    pub fn at_start(&self) -> u32 {
        self.initial
    }

    /// How many to make after one was taken.
    pub fn missing(&self) -> u32 {
        self.short_of(self.reactive.map_or(self.initial, |r| r.min))
    }

    /// The regular look: which are too old, and how many to make for the demand since the last one.
    pub fn look(&mut self, now: Instant) -> (Vec<Id>, u32) {
        let cold_starts = std::mem::take(&mut self.cold_starts);
        self.failures = 0;
        let Some(reactive) = self.reactive else {
            return (Vec::new(), self.short_of(self.initial));
        };
        let old = self
            .ready
            .iter()
            .take(MAX_EXPIRED)
            .take_while(|(_, made)| now.duration_since(*made) >= reactive.ttl);
        let count = old.count();
        let expired = self.ready.drain(..count).map(|(id, _)| id).collect();
        let demand = (cold_starts / reactive.threshold).saturating_mul(reactive.increment);
        (expired, self.short_of(demand.clamp(reactive.min, reactive.max)))
    }

    pub fn add(&mut self, id: Id, now: Instant) {
        self.failures = 0;
        self.ready.push((id, now));
    }

    /// The one made last: what is left over grows old and expires.
    pub fn take(&mut self) -> Option<Id> {
        self.ready.pop().map(|(id, _)| id)
    }

    pub fn forget(&mut self, id: Id) {
        self.ready.retain(|(other, _)| *other != id);
    }

    pub fn count(&self) -> usize {
        self.ready.len()
    }

    fn short_of(&self, target: u32) -> u32 {
        let there = u32::try_from(self.ready.len())
            .unwrap_or(u32::MAX)
            .saturating_add(self.starting);
        target.saturating_sub(there)
    }
}

/// A size such as `256 MB` or `1 GB`, in MB.
pub(crate) fn megabytes(text: &str) -> Option<u32> {
    let (number, unit) = split(text)?;
    let number: u32 = number.parse().ok()?;
    match unit.to_ascii_lowercase().as_str() {
        "m" | "mb" => Some(number),
        "g" | "gb" => number.checked_mul(1024),
        "k" | "kb" => Some(number / 1024),
        "b" => Some(number >> 20),
        _ => None,
    }
}

/// A duration such as `2 minutes`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let number: u64 = number.parse().ok()?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit).map(Duration::from_millis)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
    Some((&text[..end], text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::slab::Slab;

    fn stem(reactive: &str) -> Stem {
        let text = format!(
            r#"{{"runtimes":{{"nodejs":[{{"kind":"nodejs:20","image":{{"name":"n"}},
               "stemCells":[{{"initialCount":2,"memory":"256 MB"{reactive}}}]}}]}}}}"#
        );
        Stem::of(&Manifest::parse(&text).unwrap(), &Architecture::own())
            .unwrap()
            .remove(0)
    }

    const REACTIVE: &str = r#","reactive":{"minCount":1,"maxCount":4,"ttl":"2 minutes","threshold":2,"increment":1}"#;

    #[tokio::test(start_paused = true)]
    async fn demand_sets_the_number_and_its_end_the_minimum() {
        let mut stem = stem(REACTIVE);
        assert_eq!((stem.at_start(), stem.missing()), (2, 1));
        stem.cold_starts = 7;
        assert_eq!(stem.look(Instant::now()), (vec![], 3));
        stem.cold_starts = 100;
        assert_eq!(stem.look(Instant::now()).1, 4);
        assert_eq!(stem.look(Instant::now()).1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_old_expire_and_the_young_stay() {
        let (mut stem, mut ids) = (stem(REACTIVE), Slab::new());
        let (old, young) = (ids.insert(()), ids.insert(()));
        stem.add(old, Instant::now());
        tokio::time::advance(Duration::from_secs(100)).await;
        stem.add(young, Instant::now());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(stem.look(Instant::now()), (vec![old], 0));
        assert_eq!(stem.take(), Some(young));
    }

    #[test]
    fn without_reactive_the_initial_count_is_kept() {
        let mut stem = stem("");
        stem.starting = 1;
        assert_eq!(stem.missing(), 1);
    }

    #[test]
    fn bad_sizes_and_durations_name_the_kind() {
        let text = r#"{"runtimes":{"go":[{"kind":"go:1","image":{"name":"n"},"stemCells":[{"initialCount":1,"memory":"much"}]}]}}"#;
        let error = Stem::of(&Manifest::parse(text).unwrap(), &Architecture::own()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "runtimes manifest, stem cells of go:1: memory `much` is no size such as `256 MB`"
        );
        assert_eq!(megabytes("2GB"), Some(2048));
        assert_eq!(duration("1500 ms"), Some(Duration::from_millis(1500)));
    }
}
