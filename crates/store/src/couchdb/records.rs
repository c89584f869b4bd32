//! Activation records: the database `<prefix>activations`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use wsk_entities::{Activation, ActivationId, ActivationSummary, Namespace, Timestamp};

use super::answer::{Meta, Row, corrupted, parse};
use super::bulk::{Document, Lookups, Writes};
use super::client::Database;
use super::gather::Gatherer;
use super::query::Query;
use super::{Config, exact, views};
use crate::{ActivationFilter, ActivationStore, Error, Page};

/// How many old records one round of retention removes at a time.
const SWEEP: u64 = 500;
/// Most records that are looked for in one request.
const LOOKED_FOR: usize = 500;
/// Above any time.
const TOP: &str = "\"\u{fff0}\"";

pub(super) struct Records {
    database: Database,
    lookups: Gatherer<Lookups>,
    writes: Gatherer<Writes>,
    retain_ms: u64,
    retain_count: u64,
}

impl Records {
    pub fn new(database: Database, config: &Config) -> Records {
        Records {
            lookups: Gatherer::new(Lookups(database.clone()), LOOKED_FOR),
            writes: Gatherer::new(Writes(database.clone()), config.batch.max(1)),
            database,
            retain_ms: config.retain_ms,
            retain_count: config.retain_count,
        }
    }

    /// Rows of a page, or none where the filter leaves nothing to ask for.
    async fn page(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
        docs: bool,
    ) -> Result<Vec<Row>, Error> {
        let Some(query) = query(namespace, filter).filter(|_| page.limit > 0) else {
            return Ok(Vec::new());
        };
        let query = Query {
            docs,
            skip: page.skip,
            limit: Some(page.limit),
            ..query
        };
        self.database.view(&query).await
    }

    /// Removes up to so many of the oldest records, those that started before a time.
    async fn sweep(&self, before: Option<Timestamp>, most: u64) -> Result<u64, Error> {
        let Some(end) = before.map_or(Some(TOP.to_owned()), |t| t.checked_sub(1).map(|t| t.to_string())) else {
            return Ok(0);
        };
        let query = Query {
            design: views::BY_DATE,
            view: "byDate",
            end: Some(end),
            limit: Some(most),
            docs: true,
            ..Query::default()
        };
        let rows = self.database.view(&query).await?;
        let tombstone = |row: &Row| {
            let Meta { id, rev } = parse(&row.id, row.doc.as_ref()?.get().as_bytes()).ok()?;
            Some(serde_json::json!({ "_id": id, "_rev": rev, "_deleted": true }).to_string())
        };
        let tombstones: Vec<_> = rows.iter().filter_map(tombstone).collect();
        if tombstones.is_empty() {
            return Ok(0);
        }
        let fates = self.database.bulk(&tombstones).await?;
        let gone = fates.iter().filter(|fate| fate.error.is_none()).count() as u64;
        let failed = fates
            .iter()
            .find(|fate| fate.error.as_deref().is_some_and(|error| error != "conflict"));
        match failed {
            Some(fate) if gone == 0 => Err(Error::Unavailable(format!(
                "CouchDB did not remove {}: {}",
                fate.id,
                fate.reason()
            ))),
            Some(_) | None => Ok(gone),
        }
    }

    async fn total(&self) -> Result<u64, Error> {
        let query = Query {
            design: views::BY_DATE,
            view: "byDate",
            ..Query::default()
        };
        self.database.count(query).await
    }
}

#[async_trait]
impl ActivationStore for Records {
    async fn store(&self, records: Vec<Arc<Activation>>) -> Result<(), Error> {
        let documents = records.iter().map(|record| Document {
            id: document_id(&record.namespace, record.activation_id),
            text: document(record),
        });
        self.writes.ask(documents).await.map(drop)
    }

    async fn get(&self, namespace: &Namespace, id: ActivationId) -> Result<Option<Activation>, Error> {
        let id = document_id(namespace, id);
        let document = self.database.get(&id).await?;
        document.map(|document| exact::read(&id, &document)).transpose()
    }

    async fn summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, Error> {
        let rows = self.page(namespace, filter, page, false).await?;
        rows.iter().map(|row| read(row, row.value.as_deref())).collect()
    }

    async fn records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, Error> {
        let rows = self.page(namespace, filter, page, true).await?;
        // A record that retention took between the view and its document has none.
        let documents = rows.iter().filter_map(|row| Some((row, row.doc.as_deref()?)));
        documents.map(|(row, document)| read(row, Some(document))).collect()
    }

    async fn count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, Error> {
        match query(namespace, filter) {
            Some(query) => self.database.count(query).await,
            None => Ok(0),
        }
    }

    async fn exists(&self, namespace: &Namespace, id: ActivationId) -> Result<bool, Error> {
        let answers = self.lookups.ask([document_id(namespace, id)]).await?;
        Ok(answers == [true])
    }

    async fn retain(&self, now: Timestamp) -> Result<u64, Error> {
        let mut gone = 0;
        if self.retain_ms > 0 {
            let edge = now.saturating_sub(self.retain_ms);
            loop {
                let swept = self.sweep(Some(edge), SWEEP).await?;
                gone += swept;
                if swept == 0 {
                    break;
                }
            }
        }
        if self.retain_count > 0 {
            let mut surplus = self.total().await?.saturating_sub(self.retain_count);
            while surplus > 0 {
                let swept = self.sweep(None, surplus.min(SWEEP)).await?;
                if swept == 0 {
                    break;
                }
                gone += swept;
                surplus -= swept.min(surplus);
            }
        }
        Ok(gone)
    }
}

fn document_id(namespace: &Namespace, id: ActivationId) -> String {
    format!("{namespace}/{id}")
}

fn document(record: &Activation) -> String {
    let mut text = serde_json::to_string(record).expect("records serialise to JSON");
    text.pop();
    let updated = record.end.max(record.start);
    let mut text = exact::write(format!("{text},\"entityType\":\"activation\",\"updated\":{updated}}}"));
    text.pop();
    let id = document_id(&record.namespace, record.activation_id);
    format!(
        "{text},\"_id\":{}}}",
        serde_json::to_string(&id).expect("text serialises")
    )
}

fn read<T: DeserializeOwned>(row: &Row, json: Option<&serde_json::value::RawValue>) -> Result<T, Error> {
    let json = json.ok_or_else(|| corrupted(&row.id, "its row is empty"))?;
    exact::read(&row.id, json.get())
}

/// What to ask for; none when no time is within the bounds, which CouchDB would call a mistake.
fn query<'a>(namespace: &Namespace, filter: &ActivationFilter) -> Option<Query<'a>> {
    let since = filter.since.unwrap_or(0);
    if filter.upto.is_some_and(|upto| upto < since) {
        return None;
    }
    let (design, path) = match &filter.name {
        None => (views::ENTITIES, namespace.to_string()),
        Some(name) => (views::FILTERS, format!("{namespace}/{name}")),
    };
    let path = serde_json::to_string(&path).expect("text serialises");
    let upto = filter.upto.map_or(TOP.to_owned(), |upto| upto.to_string());
    Some(Query {
        design,
        view: "activations",
        start: Some(format!("[{path},{upto},{TOP}]")),
        end: Some(format!("[{path},{since}]")),
        descending: true,
        ..Query::default()
    })
}
