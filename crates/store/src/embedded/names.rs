//! Names of namespaces and actions as small numbers, so that indexes of records stay narrow.
//!
//! Namespaces are kept as `/ns`, which no action name can look like. Each name carries the newest epoch it was used in:
//! when that epoch is gone, so are the name's records, and the name may go too.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use crate::Error;

/// Most names remembered of each kind; beyond it they are read from the file again.
const MOST: usize = 4096;

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Namespace,
    Action,
}

/// The writer's memory of names.
#[derive(Default)]
pub struct Names {
    namespaces: HashMap<Box<str>, Known>,
    actions: HashMap<Box<str>, Known>,
}

#[derive(Clone, Copy)]
struct Known {
    id: i64,
    epoch: i64,
}

impl Names {
    /// The number of a name that a record of this epoch uses.
    pub fn number(&mut self, conn: &Connection, kind: Kind, name: &str, epoch: i64) -> Result<i64, Error> {
        let memory = match kind {
            Kind::Namespace => &mut self.namespaces,
            Kind::Action => &mut self.actions,
        };
        match memory.get_mut(name) {
            Some(known) if known.epoch >= epoch => Ok(known.id),
            Some(_) | None => {
                if memory.len() >= MOST {
                    memory.clear();
                }
                let known = intern(conn, &stored(kind, name), epoch)?;
                memory.insert(name.into(), known);
                Ok(known.id)
            }
        }
    }

    /// To be called when a transaction was rolled back or another process wrote.
    pub fn forget(&mut self) {
        self.namespaces.clear();
        self.actions.clear();
    }
}

/// The number of a name, if any record used it.
pub fn find(conn: &Connection, kind: Kind, name: &str) -> Result<Option<i64>, Error> {
    let mut query = conn.prepare_cached("SELECT id FROM names WHERE text = ?1")?;
    Ok(query.query_row([stored(kind, name)], |row| row.get(0)).optional()?)
}

/// The numbers of all namespaces with records.
pub fn namespaces(conn: &Connection) -> Result<Vec<i64>, Error> {
    // `0` follows `/`.
    let mut query = conn.prepare_cached("SELECT id FROM names WHERE text >= '/' AND text < '0'")?;
    let ids = query.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Drops some names that were last used before an epoch; how many.
pub fn purge(conn: &Connection, oldest: i64, most: u64) -> Result<u64, Error> {
    let old = "DELETE FROM names WHERE id IN (SELECT id FROM names WHERE epoch < ?1 LIMIT ?2)";
    Ok(conn.prepare_cached(old)?.execute([oldest, super::int(most)])? as u64)
}

fn stored(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Namespace => format!("/{name}"),
        Kind::Action => name.to_owned(),
    }
}

fn intern(conn: &Connection, text: &str, epoch: i64) -> Result<Known, Error> {
    let known = conn
        .prepare_cached(
            "INSERT INTO names (text, epoch) VALUES (?1, ?2)
             ON CONFLICT (text) DO UPDATE SET epoch = max(epoch, excluded.epoch) RETURNING id, epoch",
        )?
        .query_row(rusqlite::params![text, epoch], |row| {
            Ok(Known {
                id: row.get(0)?,
                epoch: row.get(1)?,
            })
        })?;
    Ok(known)
}
