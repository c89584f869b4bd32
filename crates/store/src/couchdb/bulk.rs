//! Bulk writes of records: what is to be stored while others are being written goes together in the next request.
//!
//! A server spends more on a request than on the documents in it, and many that write one record each, as controllers do for
//! fires, would keep it busy with requests. Who stores alone waits for nobody.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};
use wsk_entities::ActivationId;

use super::answer::Written;
use super::client::Database;
use crate::{Error, metrics};

/// Most writes at once; what comes meanwhile is gathered. With few, thousands that have waited for a server to be back do not
/// overrun it.
const AT_ONCE: usize = 4;
/// Most text of documents that are gathered, in bytes: servers and proxies bound requests.
const TEXT: usize = 4 << 20;
/// What CouchDB has against a document that offering it again does not mend. That a user may not write it (`unauthorized`) is
/// not among them: whoever is not let in may be let in again.
const REFUSALS: [&str; 9] = [
    "attachment_too_large",
    "bad_request",
    "doc_validation",
    "document_too_large",
    "forbidden",
    "illegal_docid",
    "invalid_json",
    "request_entity_too_large",
    "too_large",
];

/// Where documents are handed in.
pub(super) struct Writer {
    calls: mpsc::UnboundedSender<Call>,
}

/// Documents that one caller wants stored.
struct Call {
    documents: Vec<(ActivationId, String)>,
    done: oneshot::Sender<Result<(), Error>>,
}

/// Calls in the order they came, as groups for a request each.
struct Queue {
    calls: mpsc::UnboundedReceiver<Call>,
    /// The call that was too much for the group before.
    left: Option<Call>,
    /// Most documents in a group; a call of more is one by itself.
    most: usize,
}

impl Writer {
    /// Writes until it is dropped, and then what was handed in; `most` documents at a time. Needs a runtime.
    pub fn new(database: Database, most: usize) -> Writer {
        let (sender, calls) = mpsc::unbounded_channel();
        let queue = Queue {
            calls,
            left: None,
            most,
        };
        tokio::spawn(queue.run(database));
        Writer { calls: sender }
    }

    /// Stores documents, at most as many as a request may have. A record that is there already is stored.
    pub async fn store(&self, documents: Vec<(ActivationId, String)>) -> Result<(), Error> {
        let (done, stored) = oneshot::channel();
        let handed_in = self.calls.send(Call { documents, done });
        let gone = || Error::Unavailable("this process is ending".to_owned());
        handed_in.map_err(|_| gone())?;
        stored.await.map_err(|_| gone())?
    }
}

impl Call {
    fn text(&self) -> usize {
        self.documents.iter().map(|(_, document)| document.len()).sum()
    }

    fn end(self, stored: Result<(), Error>) {
        if let Err(error) = self.done.send(stored) {
            tracing::debug!(?error, "nobody waits for a record that was stored, or not");
        }
    }
}

impl Queue {
    async fn run(mut self, database: Database) {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let turn = turns.clone().acquire_owned().await.expect("nobody closes it");
            let Some(group) = self.group().await else {
                return;
            };
            let database = database.clone();
            tokio::spawn(async move {
                write(&database, group).await;
                drop(turn);
            });
        }
    }

    /// The next call, and what is waiting behind it; none at the end.
    async fn group(&mut self) -> Option<Vec<Call>> {
        let first = match self.left.take() {
            Some(left) => left,
            None => self.calls.recv().await?,
        };
        let (mut count, mut text) = (first.documents.len(), first.text());
        let mut group = vec![first];
        while let Ok(call) = self.calls.try_recv() {
            (count, text) = (count + call.documents.len(), text + call.text());
            if count > self.most || text > TEXT {
                self.left = Some(call);
                break;
            }
            group.push(call);
        }
        Some(group)
    }
}

/// Stores what a group wants stored, and tells each caller. What is held against the request is another's fault, perhaps: then each
/// has one of its own.
async fn write(database: &Database, group: Vec<Call>) {
    match stored(database, &group).await {
        Ok(outcomes) => group
            .into_iter()
            .zip(outcomes)
            .for_each(|(call, outcome)| call.end(outcome)),
        Err(error) if group.len() > 1 && !error.retryable() => {
            for call in group {
                let alone = stored(database, std::slice::from_ref(&call)).await;
                call.end(alone.and_then(|outcomes| outcomes.into_iter().collect()));
            }
        }
        Err(error) => group.into_iter().for_each(|call| call.end(Err(error.clone()))),
    }
}

/// How it ends for each call; or what is wrong with the request or the server.
async fn stored(database: &Database, calls: &[Call]) -> Result<Vec<Result<(), Error>>, Error> {
    let (mut places, mut documents) = (HashMap::new(), Vec::new());
    for (id, document) in calls.iter().flat_map(|call| &call.documents) {
        places.entry(*id).or_insert_with(|| {
            documents.push(document.as_str());
            documents.len() - 1
        });
    }
    let fates = database.bulk(&documents).await?;
    if fates.len() != documents.len() {
        let (told, asked) = (fates.len(), documents.len());
        return Err(Error::Unavailable(format!(
            "CouchDB said of {told} documents what became of them, not of {asked}"
        )));
    }
    let of = |call: &Call| {
        let failure = call.documents.iter().find_map(|(id, _)| failure(&fates[places[id]]));
        failure.map_or(Ok(()), |error| {
            metrics::failed(&error);
            Err(error)
        })
    };
    Ok(calls.iter().map(of).collect())
}

/// Why a document was not stored; none where it is there.
fn failure(fate: &Written) -> Option<Error> {
    let Written { id, error, reason } = fate;
    let (error, reason) = (error.as_deref()?, reason.as_deref().unwrap_or_default());
    match error {
        // The record is there already, and stays.
        "conflict" => None,
        "insufficient_storage" => Some(Error::Full {
            path: format!("{id} in CouchDB"),
        }),
        refusal if REFUSALS.contains(&refusal) => {
            Some(Error::Unusable(format!("CouchDB refuses {id}: {error}: {reason}")))
        }
        _ => Some(Error::Unavailable(format!(
            "CouchDB did not store {id}: {error}: {reason}"
        ))),
    }
}
