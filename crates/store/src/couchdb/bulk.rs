//! Requests that are about many records: writes of them, and whether they are there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;

use super::answer::Written;
use super::client::Database;
use super::gather::Requests;
use crate::{Error, metrics};

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

/// Stores documents. One that is there already is stored.
pub(super) struct Writes(pub Database);

/// A document to be stored.
pub(super) struct Document {
    pub id: String,
    pub text: String,
}

/// Says of ids whether they have a document.
pub(super) struct Lookups(pub Database);

#[async_trait]
impl Requests for Writes {
    type Question = Document;
    type Answer = ();

    fn size(document: &Document) -> usize {
        document.text.len()
    }

    async fn send(&self, documents: &[Document]) -> Result<Vec<Result<(), Error>>, Error> {
        let firsts = firsts(documents);
        let is_first = |document: &&Document| std::ptr::eq(firsts[document.id.as_str()], *document);
        let texts: Vec<_> = documents
            .iter()
            .filter(is_first)
            .map(|document| document.text.as_str())
            .collect();
        let fates = self.0.bulk(&texts).await?;
        // The PouchDB project's server has them in an order of its own.
        let fates: HashMap<_, _> = fates.iter().map(|fate| (fate.id.as_str(), fate)).collect();
        let fate = |document: &Document| {
            let id = &document.id;
            let Some(fate) = fates.get(id.as_str()) else {
                return Err(Error::Unavailable(format!(
                    "CouchDB does not say whether it has stored {id}"
                )));
            };
            match failure(fate) {
                None => Ok(()),
                Some(_) if firsts[id.as_str()].text != document.text => Err(Error::Unavailable(format!(
                    "another text of {id} was offered at the same time, and not stored"
                ))),
                Some(error) => Err(error),
            }
        };
        let fates: Vec<_> = documents.iter().map(fate).collect();
        if let Some(error) = fates.iter().find_map(|fate| fate.as_ref().err()) {
            metrics::failed(error);
        }
        Ok(fates)
    }
}

/// The first document of each id: of two in one request the second would be a conflict with the first.
fn firsts(documents: &[Document]) -> HashMap<&str, &Document> {
    let mut firsts = HashMap::with_capacity(documents.len());
    for document in documents {
        if let Entry::Vacant(place) = firsts.entry(document.id.as_str()) {
            place.insert(document);
        }
    }
    firsts
}

/// Why a document was not stored; none where it is there.
fn failure(fate: &Written) -> Option<Error> {
    let (id, error, reason) = (&fate.id, fate.error.as_deref()?, fate.reason());
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

#[async_trait]
impl Requests for Lookups {
    type Question = String;
    type Answer = bool;

    fn size(id: &String) -> usize {
        id.len()
    }

    async fn send(&self, ids: &[String]) -> Result<Vec<Result<bool, Error>>, Error> {
        let there = self.0.there(ids).await?;
        let answer = |id: &String| {
            let unsaid = || Error::Unavailable(format!("CouchDB does not say whether it has {id}"));
            there.get(id).copied().ok_or_else(unsaid)
        };
        Ok(ids.iter().map(answer).collect())
    }
}
