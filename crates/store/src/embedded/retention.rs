//! Which records go, and when.

use rusqlite::{Connection, params};
use wsk_entities::Timestamp;
use wsk_planted::{Bug, planted};

use crate::Error;
use crate::embedded::epochs::{Epochs, Stretch};
use crate::embedded::tally::{Cell, Delta};
use crate::embedded::writer::Session;
use crate::embedded::{Config, int, names, unsigned};

/// Most records that go in one transaction: a few milliseconds, then other writes have their turn.
pub const STEP: u64 = 500;

/// The configured bounds; none of a kind keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    age: Option<u64>,
    count: Option<u64>,
}

impl Policy {
    pub fn of(config: &Config) -> Policy {
        let set = |value: u64| (value > 0).then_some(value);
        let unit = if planted(Bug::RetainsTooLittle) { 1000 } else { 1 };
        Policy {
            age: set(config.retain_ms / unit),
            count: set(config.retain_count),
        }
    }
}

/// Removes up to [`STEP`] records that are too old or too many; how many. Fewer than that means nothing is left to do.
pub fn step(session: &mut Session, policy: Policy, now: Timestamp) -> Result<u64, Error> {
    let Session { conn, names, tally, .. } = session;
    let mut delta = Delta::default();
    let mut gone = 0;
    if let Some(oldest) = policy.age.and_then(|age| now.checked_sub(age)) {
        gone += remove(conn, int(oldest), STEP, &mut delta)?;
    }
    tally.accept(conn, delta)?;
    let mut delta = Delta::default();
    let total = unsigned(tally.epochs(conn)?.total());
    let excess = policy.count.map_or(0, |most| total.saturating_sub(most));
    if excess > 0 && gone < STEP {
        let edge = start_of_nth(conn, tally.epochs(conn)?, excess)?;
        let most = excess.min(STEP - gone);
        let below = remove(conn, edge, most, &mut delta)?;
        gone += below + remove(conn, edge.saturating_add(1), most - below, &mut delta)?;
    }
    tally.accept(conn, delta)?;
    if gone < STEP {
        let oldest = tally.epochs(conn)?.oldest_in_use();
        if names::purge(conn, oldest, STEP)? > 0 {
            names.forget();
        }
    }
    Ok(gone)
}

/// Removes up to `most` records that started before `edge`.
fn remove(conn: &Connection, edge: i64, most: u64, delta: &mut Delta) -> Result<u64, Error> {
    let mut delete = conn.prepare_cached(
        "DELETE FROM records WHERE row IN
             (SELECT row FROM records INDEXED BY records_list WHERE ns = ?1 AND start < ?2 ORDER BY start LIMIT ?3)
         RETURNING epoch, name",
    )?;
    let mut gone = 0;
    for ns in names::namespaces(conn)? {
        if gone >= most {
            break;
        }
        let mut rows = delete.query(params![ns, edge, int(most - gone)])?;
        while let Some(row) = rows.next()? {
            delta.add(
                Cell {
                    ns,
                    epoch: row.get(0)?,
                    name: row.get(1)?,
                },
                -1,
                0,
            );
            gone += 1;
        }
    }
    Ok(gone)
}

/// The start of the `nth` oldest record.
fn start_of_nth(conn: &Connection, epochs: &Epochs, nth: u64) -> Result<i64, Error> {
    let mut before = 0;
    for (epoch, stretch) in epochs.iter().zip(epochs.stretches()) {
        let here = unsigned(epoch.n);
        if before + here >= nth {
            let mut starts = starts(conn, stretch)?;
            let place = usize::try_from(nth - before - 1).expect("an epoch's records fit the memory");
            let place = place.min(starts.len().saturating_sub(1));
            return Ok(if starts.is_empty() {
                stretch.from
            } else {
                *starts.select_nth_unstable(place).1
            });
        }
        before += here;
    }
    Ok(0)
}

fn starts(conn: &Connection, stretch: Stretch) -> Result<Vec<i64>, Error> {
    let mut query = conn.prepare_cached(
        "SELECT start FROM records INDEXED BY records_list WHERE ns = ?1 AND start BETWEEN ?2 AND ?3",
    )?;
    let mut starts = Vec::new();
    for ns in names::namespaces(conn)? {
        for start in query.query_map([ns, stretch.from, stretch.to], |row| row.get::<_, i64>(0))? {
            starts.push(start?);
        }
    }
    Ok(starts)
}
