//! How many records there are by namespace, epoch and name.
//!
//! Counts of a transaction gather here and reach the file once, just before the commit: a batch of records of one action
//! then costs one row. What the work at hand added can be taken back, so that work which fails inside a group leaves the
//! counts of the others alone.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::Error;
use crate::embedded::epochs::Epochs;

/// Whose records are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    pub ns: i64,
    pub epoch: i64,
    pub name: i64,
}

/// Counts of one piece of work.
#[derive(Debug, Default)]
pub struct Delta(HashMap<Cell, Change>);

#[derive(Debug, Clone, Copy, Default)]
struct Change {
    by: i64,
    top: i64,
}

/// The writer's counts.
#[derive(Default)]
pub struct Tally {
    epochs: Option<Epochs>,
    pending: HashMap<Cell, i64>,
    /// What the work at hand added to `pending`.
    recent: Vec<(Cell, i64)>,
}

impl Delta {
    /// Counts a record in (`by` 1) or out (-1).
    pub fn add(&mut self, cell: Cell, by: i64, start: i64) {
        let change = self.0.entry(cell).or_default();
        change.by += by;
        change.top = change.top.max(start);
    }
}

impl Tally {
    /// The epochs as of this transaction.
    pub fn epochs(&mut self, conn: &Connection) -> Result<&mut Epochs, Error> {
        if self.epochs.is_none() {
            self.epochs = Some(Epochs::load(conn)?);
        }
        Ok(self.epochs.as_mut().expect("loaded just now"))
    }

    /// Another piece of work begins: what there is stays, whatever becomes of it.
    pub fn start_work(&mut self) {
        self.recent.clear();
    }

    /// Adds counts of the work at hand.
    pub fn accept(&mut self, conn: &Connection, delta: Delta) -> Result<(), Error> {
        let epochs = self.epochs(conn)?;
        for (cell, change) in &delta.0 {
            epochs.change(cell.epoch, change.by, change.top);
        }
        for (cell, change) in delta.0 {
            *self.pending.entry(cell).or_default() += change.by;
            self.recent.push((cell, change.by));
        }
        Ok(())
    }

    /// Takes back what the work at hand added. An epoch's `top` may stay too late, which only moves the next one's start.
    pub fn undo_work(&mut self) {
        for (cell, by) in self.recent.drain(..) {
            if let Some(epochs) = &mut self.epochs {
                epochs.change(cell.epoch, -by, 0);
            }
            *self.pending.entry(cell).or_default() -= by;
        }
    }

    /// Writes what has gathered.
    pub fn flush(&mut self, conn: &Connection) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut upsert = conn.prepare_cached(
            "INSERT INTO tally (ns, epoch, name, n) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (ns, epoch, name) DO UPDATE SET n = n + excluded.n",
        )?;
        let mut drop_zero =
            conn.prepare_cached("DELETE FROM tally WHERE ns = ?1 AND epoch = ?2 AND name = ?3 AND n <= 0")?;
        let mut touched = Vec::new();
        for (cell, by) in self.pending.drain().filter(|(_, by)| *by != 0) {
            upsert.execute([cell.ns, cell.epoch, cell.name, by])?;
            if by < 0 {
                drop_zero.execute([cell.ns, cell.epoch, cell.name])?;
            }
            if !touched.contains(&cell.epoch) {
                touched.push(cell.epoch);
            }
        }
        self.save_epochs(conn, &touched)
    }

    fn save_epochs(&mut self, conn: &Connection, touched: &[i64]) -> Result<(), Error> {
        let epochs = self.epochs(conn)?;
        let mut save =
            conn.prepare_cached("INSERT OR REPLACE INTO epochs (id, start, top, n) VALUES (?1, ?2, ?3, ?4)")?;
        for epoch in epochs.iter().filter(|e| touched.contains(&e.id)) {
            save.execute(params![epoch.id, epoch.start, epoch.top, epoch.n])?;
        }
        if let Some(next) = epochs.open_next() {
            save.execute(params![next.id, next.start, next.top, next.n])?;
        }
        for closed in epochs.close_empty() {
            conn.prepare_cached("DELETE FROM epochs WHERE id = ?1")?
                .execute([closed])?;
        }
        Ok(())
    }

    /// To be called when a transaction was rolled back or another process wrote.
    pub fn forget(&mut self) {
        self.epochs = None;
        self.pending.clear();
        self.recent.clear();
    }
}

/// How many records of a namespace (and name) an epoch holds.
pub fn of_epoch(conn: &Connection, ns: i64, epoch: i64, name: Option<i64>) -> Result<u64, Error> {
    let n: i64 = match name {
        Some(name) => {
            let one = "SELECT coalesce(sum(n), 0) FROM tally WHERE ns = ?1 AND epoch = ?2 AND name = ?3";
            conn.prepare_cached(one)?
                .query_row([ns, epoch, name], |row| row.get(0))?
        }
        None => {
            let all = "SELECT coalesce(sum(n), 0) FROM tally WHERE ns = ?1 AND epoch = ?2";
            conn.prepare_cached(all)?.query_row([ns, epoch], |row| row.get(0))?
        }
    };
    Ok(super::unsigned(n))
}
