//! Epochs: stretches of start times that partition the records.
//!
//! An epoch starts at its `start` and ends before that of the next; the first reaches back to zero and the last has no
//! end. A new one opens when the last has enough records, above every start seen, so that a record's epoch follows from
//! its start alone and never changes. An epoch that lost its records may go: its stretch falls to the one before.

use rusqlite::Connection;

use crate::Error;

/// How many records an epoch takes before the next one opens: its part of an index fits the writer's cache.
/// Few in our own tests, so that they cross many.
pub const FULL: i64 = if cfg!(test) { 48 } else { 16_384 };

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    pub id: i64,
    pub start: i64,
    /// Latest start of its records.
    pub top: i64,
    pub n: i64,
}

/// All epochs, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Epochs(Vec<Epoch>);

/// An epoch's stretch of start times, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub epoch: i64,
    pub from: i64,
    pub to: i64,
}

impl Epochs {
    pub fn load(conn: &Connection) -> Result<Epochs, Error> {
        let mut query = conn.prepare_cached("SELECT id, start, top, n FROM epochs ORDER BY id")?;
        let epochs = query.query_map([], |row| {
            Ok(Epoch {
                id: row.get(0)?,
                start: row.get(1)?,
                top: row.get(2)?,
                n: row.get(3)?,
            })
        })?;
        Ok(Epochs(epochs.collect::<Result<_, _>>()?))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Epoch> {
        self.0.iter()
    }

    pub fn total(&self) -> i64 {
        self.0.iter().map(|e| e.n).sum()
    }

    /// The first epoch with records, or the last one.
    pub fn oldest_in_use(&self) -> i64 {
        self.0.iter().find(|e| e.n > 0).or(self.0.last()).map_or(0, |e| e.id)
    }

    /// The epoch that a record with this start belongs to; the first one is made here.
    pub fn of(&mut self, start: i64) -> i64 {
        if self.0.is_empty() {
            self.0.push(Epoch {
                id: 1,
                start: 0,
                top: 0,
                n: 0,
            });
        }
        let after = self.0.partition_point(|e| e.start <= start);
        self.0[after.saturating_sub(1)].id
    }

    /// Counts records in or out. `top` is the latest start among them.
    pub fn change(&mut self, id: i64, by: i64, top: i64) {
        if let Some(epoch) = self.0.iter_mut().find(|e| e.id == id) {
            epoch.n += by;
            epoch.top = epoch.top.max(top);
        }
    }

    /// Opens the next epoch when the last is full; that epoch.
    pub fn open_next(&mut self) -> Option<&Epoch> {
        let last = self.0.last().filter(|last| last.n >= FULL && last.top < i64::MAX)?;
        let start = last.top + 1;
        let next = Epoch {
            id: last.id + 1,
            start,
            top: start,
            n: 0,
        };
        self.0.push(next);
        self.0.last()
    }

    /// Removes epochs without records, the last one apart; their ids.
    pub fn close_empty(&mut self) -> Vec<i64> {
        let last = self.0.last().map(|e| e.id);
        let empty: Vec<i64> = self
            .0
            .iter()
            .filter(|e| e.n <= 0 && Some(e.id) != last)
            .map(|e| e.id)
            .collect();
        self.0.retain(|e| !empty.contains(&e.id));
        empty
    }

    /// The stretches, oldest first.
    pub fn stretches(&self) -> impl DoubleEndedIterator<Item = Stretch> {
        self.0.iter().enumerate().map(|(place, epoch)| Stretch {
            epoch: epoch.id,
            from: if place == 0 { 0 } else { epoch.start },
            to: self.0.get(place + 1).map_or(i64::MAX, |next| next.start - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_names_its_epoch_for_good() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.of(500), 1);
        epochs.change(1, FULL, 500);
        assert_eq!(epochs.open_next().map(|e| (e.id, e.start)), Some((2, 501)));
        assert_eq!(epochs.open_next(), None, "the new one is not full");
        assert_eq!(
            (epochs.of(0), epochs.of(500), epochs.of(501), epochs.of(i64::MAX)),
            (1, 1, 2, 2)
        );
    }

    #[test]
    fn the_stretch_of_a_closed_epoch_falls_to_its_neighbour() {
        let mut epochs = Epochs::default();
        for top in [100, 200, 300] {
            let id = epochs.of(top);
            epochs.change(id, FULL, top);
            epochs.open_next();
        }
        epochs.change(1, -FULL, 0);
        epochs.change(3, -FULL, 0);
        assert_eq!(epochs.close_empty(), [1, 3]);
        assert_eq!((epochs.of(50), epochs.of(250), epochs.of(301)), (2, 2, 4));
        let stretches: Vec<_> = epochs.stretches().map(|s| (s.epoch, s.from, s.to)).collect();
        assert_eq!(stretches, [(2, 0, 300), (4, 301, i64::MAX)]);
    }
}
