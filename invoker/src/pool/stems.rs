//! Making and removing stem cells.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::lifecycle::Event;
use super::slab::Id;
use super::{Alarm, Pool};

const RETRY: Duration = Duration::from_secs(1);

impl Pool {
    pub(super) fn start_stems(&mut self) {
        if self.stems.is_empty() {
            return;
        }
        for stem in 0..self.stems.len() {
            let count = self.stems[stem].at_start();
            self.make_stem_cells(stem, count);
        }
        self.set_stem_alarm();
    }

    /// The regular look at what was asked for since the last one.
    pub(super) fn look_at_stems(&mut self) {
        let now = Instant::now();
        for stem in 0..self.stems.len() {
            let (expired, missing) = self.stems[stem].look(now);
            expired.into_iter().for_each(|cell| self.drop_stem_cell(cell));
            self.make_stem_cells(stem, missing);
        }
        self.set_stem_alarm();
    }

    fn set_stem_alarm(&mut self) {
        let check = Duration::from_millis(self.shared.config.prewarm_check_ms);
        let spread = u64::try_from(check.as_millis() / 60).unwrap_or(0);
        let varied = check + Duration::from_millis(self.jitter.random_range(0..=spread));
        self.set_alarm(Instant::now() + varied, Alarm::Stems);
    }

    /// Replaces stem cells that were taken.
    pub(super) fn fill_stem(&mut self, stem: usize) {
        let missing = self.stems[stem].missing();
        self.make_stem_cells(stem, missing);
    }

    fn make_stem_cells(&mut self, stem: usize, count: u32) {
        let memory_mb = self.stems[stem].memory_mb;
        for _ in 0..count {
            let fits = self.memory.used + memory_mb <= self.memory.total;
            if !fits || self.draining.is_some() || !self.buffer.is_empty() {
                return;
            }
            self.stems[stem].starting += 1;
            let slot = self.add_slot(memory_mb, 1, Some(stem));
            self.step(slot, Event::Start);
        }
    }

    pub(super) fn stem_failed(&mut self, stem: usize) {
        let cell = &mut self.stems[stem];
        cell.starting -= 1;
        cell.failures += 1;
        if cell.failures <= self.shared.config.prewarm_retries {
            self.set_alarm(Instant::now() + RETRY, Alarm::Stem(stem));
        }
    }

    pub(super) fn drop_stem_cell(&mut self, cell: Id) {
        if let Some(stem) = self
            .slots
            .get(cell)
            .filter(|slot| slot.group.is_none())
            .and_then(|slot| slot.stem)
        {
            self.stems[stem].forget(cell);
            self.count_stem_cells();
        }
        self.step(cell, Event::Evict);
    }

    pub(super) fn count_stem_cells(&self) {
        let ready: usize = self.stems.iter().map(super::Stem::count).sum();
        self.shared.metrics.prewarm_count.set(ready as i64);
    }
}
