//! Activation records.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use wsk_entities::{Activation, ActivationId, ActivationSummary, Namespace, Timestamp};

use crate::embedded::database::Database;
use crate::embedded::document::{activation, encode, key, summary};
use crate::embedded::epochs::{Epochs, Stretch};
use crate::embedded::names::{self, Kind};
use crate::embedded::retention::{self, Policy};
use crate::embedded::tally::{self, Cell, Delta};
use crate::embedded::writer::Session;
use crate::embedded::{Config, int};
use crate::metrics;
use crate::{ActivationFilter, ActivationStore, Error, Page};

pub struct Records {
    database: Arc<Database>,
    policy: Policy,
}

impl Records {
    pub fn new(database: Arc<Database>, config: &Config) -> Records {
        Records {
            database,
            policy: Policy::of(config),
        }
    }
}

#[async_trait]
impl ActivationStore for Records {
    async fn store(&self, records: Vec<Arc<Activation>>) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let stored = self.database.write(move |session| insert(session, &records)).await?;
        metrics::RECORDS.inc_by(stored);
        Ok(())
    }

    async fn get(&self, namespace: &Namespace, id: ActivationId) -> Result<Option<Activation>, Error> {
        let namespace = namespace.clone();
        self.database
            .read(move |conn| {
                let Some(ns) = names::find(conn, Kind::Namespace, namespace.as_str())? else {
                    return Ok(None);
                };
                let mut query = conn.prepare_cached("SELECT id, head, body FROM records WHERE id = ?1 AND ns = ?2")?;
                let mut rows = query.query(params![key(id), ns])?;
                rows.next()?.map(activation).transpose()
            })
            .await
    }

    async fn summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, Error> {
        let (namespace, filter) = (namespace.clone(), filter.clone());
        self.database
            .read(move |conn| {
                let rows = page_of(conn, &namespace, &filter, page)?;
                let mut query = conn.prepare_cached("SELECT id, head, status FROM records WHERE row = ?1")?;
                rows.into_iter().map(|row| one(&mut query, row, summary)).collect()
            })
            .await
    }

    async fn records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, Error> {
        let (namespace, filter) = (namespace.clone(), filter.clone());
        self.database
            .read(move |conn| {
                let rows = page_of(conn, &namespace, &filter, page)?;
                let mut query = conn.prepare_cached("SELECT id, head, body FROM records WHERE row = ?1")?;
                rows.into_iter().map(|row| one(&mut query, row, activation)).collect()
            })
            .await
    }

    async fn count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, Error> {
        let (namespace, filter) = (namespace.clone(), filter.clone());
        self.database
            .read(move |conn| {
                let Some(range) = Range::resolve(conn, &namespace, &filter)? else {
                    return Ok(0);
                };
                let stretches = range.stretches(conn)?;
                stretches
                    .into_iter()
                    .map(|(stretch, whole)| range.count(conn, stretch, whole))
                    .sum()
            })
            .await
    }

    async fn exists(&self, _: &Namespace, id: ActivationId) -> Result<bool, Error> {
        self.database
            .read(move |conn| {
                Ok(conn
                    .prepare_cached("SELECT 1 FROM records WHERE id = ?1")?
                    .exists([key(id)])?)
            })
            .await
    }

    async fn retain(&self, now: Timestamp) -> Result<u64, Error> {
        let policy = self.policy;
        let mut gone = 0;
        loop {
            // Step by step, so that other writes come in between.
            let step = self
                .database
                .write(move |session| retention::step(session, policy, now))
                .await?;
            metrics::DROPPED.inc_by(step);
            gone += step;
            if step < retention::STEP {
                return Ok(gone);
            }
        }
    }
}

/// Records of a stretch: all, or those of a name. Parameters: namespace, from, to, limit, skip, epoch, name.
pub(super) const LISTS: [&str; 2] = [
    "SELECT row FROM records INDEXED BY records_list WHERE ns = ?1 AND start BETWEEN ?2 AND ?3
     ORDER BY start DESC, id LIMIT ?4 OFFSET ?5",
    "SELECT row FROM records INDEXED BY records_name
     WHERE ns = ?1 AND epoch = ?6 AND name = ?7 AND start BETWEEN ?2 AND ?3
     ORDER BY start DESC, id LIMIT ?4 OFFSET ?5",
];

/// The same counted. Parameters: namespace, from, to, epoch, name.
pub(super) const COUNTS: [&str; 2] = [
    "SELECT count(*) FROM records INDEXED BY records_list WHERE ns = ?1 AND start BETWEEN ?2 AND ?3",
    "SELECT count(*) FROM records INDEXED BY records_name
     WHERE ns = ?1 AND epoch = ?4 AND name = ?5 AND start BETWEEN ?2 AND ?3",
];

/// Which records a list is about, in numbers.
struct Range {
    ns: i64,
    name: Option<i64>,
    since: i64,
    upto: i64,
}

impl Range {
    /// None when no record can match.
    fn resolve(conn: &Connection, namespace: &Namespace, filter: &ActivationFilter) -> Result<Option<Range>, Error> {
        let Some(ns) = names::find(conn, Kind::Namespace, namespace.as_str())? else {
            return Ok(None);
        };
        let name = match &filter.name {
            None => None,
            Some(name) => match names::find(conn, Kind::Action, name)? {
                None => return Ok(None),
                found @ Some(_) => found,
            },
        };
        Ok(Some(Range {
            ns,
            name,
            since: filter.since.map_or(0, int),
            upto: filter.upto.map_or(i64::MAX, int),
        }))
    }

    /// The stretches of start times to look at, newest first, and whether each is a whole epoch.
    fn stretches(&self, conn: &Connection) -> Result<Vec<(Stretch, bool)>, Error> {
        let epochs = Epochs::load(conn)?;
        let cut = |s: Stretch| {
            let (from, to) = (s.from.max(self.since), s.to.min(self.upto));
            (from <= to).then_some((
                Stretch {
                    epoch: s.epoch,
                    from,
                    to,
                },
                from == s.from && to == s.to,
            ))
        };
        Ok(epochs.stretches().rev().filter_map(cut).collect())
    }

    fn count(&self, conn: &Connection, stretch: Stretch, whole: bool) -> Result<u64, Error> {
        let Stretch { epoch, from, to } = stretch;
        if whole {
            return tally::of_epoch(conn, self.ns, epoch, self.name);
        }
        let n: i64 = match self.name {
            Some(name) => conn
                .prepare_cached(COUNTS[1])?
                .query_row([self.ns, from, to, epoch, name], |row| row.get(0))?,
            None => conn
                .prepare_cached(COUNTS[0])?
                .query_row([self.ns, from, to], |row| row.get(0))?,
        };
        Ok(super::unsigned(n))
    }

    /// Rows of a stretch, newest first.
    fn rows(&self, conn: &Connection, stretch: Stretch, skip: u64, limit: u64) -> Result<Vec<i64>, Error> {
        let Stretch { epoch, from, to } = stretch;
        let (skip, limit) = (int(skip), int(limit));
        let number = |row: &Row<'_>| row.get(0);
        let rows: Result<Vec<i64>, _> = match self.name {
            Some(name) => {
                let mut query = conn.prepare_cached(LISTS[1])?;
                query
                    .query_map([self.ns, from, to, limit, skip, epoch, name], number)?
                    .collect()
            }
            None => {
                let mut query = conn.prepare_cached(LISTS[0])?;
                query.query_map([self.ns, from, to, limit, skip], number)?.collect()
            }
        };
        Ok(rows?)
    }
}

/// The rows of a page. Whole epochs before it are skipped by their counts.
fn page_of(conn: &Connection, namespace: &Namespace, filter: &ActivationFilter, page: Page) -> Result<Vec<i64>, Error> {
    let Some(range) = Range::resolve(conn, namespace, filter)? else {
        return Ok(Vec::new());
    };
    let (mut skip, mut wanted, mut rows) = (page.skip, page.limit, Vec::new());
    for (stretch, whole) in range.stretches(conn)? {
        if wanted == 0 {
            break;
        }
        if skip > 0 {
            let here = range.count(conn, stretch, whole)?;
            if here <= skip {
                skip -= here;
                continue;
            }
        }
        let found = range.rows(conn, stretch, skip, wanted)?;
        skip = 0;
        wanted -= found.len() as u64;
        rows.extend(found);
    }
    Ok(rows)
}

fn one<T>(
    query: &mut rusqlite::Statement<'_>,
    row: i64,
    read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut rows = query.query([row])?;
    let row = rows.next()?.expect("the index and the table are one snapshot");
    read(row)
}

/// Stores records; how many were not there yet.
pub(super) fn insert(session: &mut Session, records: &[Arc<Activation>]) -> Result<u64, Error> {
    let Session { conn, names, tally, .. } = session;
    let (mut delta, mut stored) = (Delta::default(), 0);
    {
        let mut insert = conn.prepare_cached(
            "INSERT INTO records (id, ns, epoch, name, start, status, head, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
        )?;
        for record in records {
            let start = int(record.start);
            let epoch = tally.epochs(conn)?.of(start);
            let ns = names.number(conn, Kind::Namespace, record.namespace.as_str(), epoch)?;
            let name = names.number(conn, Kind::Action, &record.filter_name(), epoch)?;
            let status = record.response.status_code as u8;
            let (head, body) = encode(record);
            let added = insert.execute(params![
                key(record.activation_id),
                ns,
                epoch,
                name,
                start,
                status,
                head,
                body
            ])?;
            if added > 0 {
                stored += 1;
                delta.add(Cell { ns, epoch, name }, 1, start);
            }
        }
    }
    tally.accept(conn, delta)?;
    Ok(stored)
}
