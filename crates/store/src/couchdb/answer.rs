//! What CouchDB answers.

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Error;

/// An answer with a status that somebody here understands.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// A row of a view.
#[derive(serde::Deserialize)]
pub(super) struct Row {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub value: Option<Box<RawValue>>,
    #[serde(default)]
    pub doc: Option<Box<RawValue>>,
}

#[derive(serde::Deserialize)]
pub(super) struct Rows {
    #[serde(default)]
    pub rows: Vec<Row>,
}

#[derive(serde::Deserialize)]
pub(super) struct Found {
    pub rows: Vec<Present>,
}

/// What is said of an id that was asked for.
#[derive(serde::Deserialize)]
pub(super) struct Present {
    key: String,
    #[serde(default)]
    value: Option<Revision>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(serde::Deserialize)]
struct Revision {
    #[serde(default)]
    deleted: bool,
}

impl Present {
    /// The id, and whether it has a document; none where neither is said.
    pub fn split(self) -> Option<(String, bool)> {
        match (self.value, self.error.as_deref()) {
            (Some(revision), _) => Some((self.key, !revision.deleted)),
            (None, Some("not_found")) => Some((self.key, false)),
            (None, Some(_) | None) => None,
        }
    }
}

/// One document's fate in a bulk write.
#[derive(serde::Deserialize)]
pub(super) struct Written {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub error: Option<String>,
    /// Text, except where an operator's own validation gives something else.
    #[serde(default)]
    pub reason: Option<serde_json::Value>,
}

impl Written {
    /// The reason, as text.
    pub fn reason(&self) -> String {
        match &self.reason {
            None => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }
}

/// Members that CouchDB adds to a document.
#[derive(serde::Deserialize)]
pub(super) struct Meta {
    #[serde(rename = "_id", default)]
    pub id: String,
    #[serde(rename = "_rev", default)]
    pub rev: String,
}

/// The revision that a write has made.
pub(super) fn revision(id: &str, body: &[u8]) -> Result<String, Error> {
    #[derive(serde::Deserialize)]
    struct Put {
        rev: String,
    }
    parse::<Put>(id, body).map(|put| put.rev)
}

pub(super) fn parse<T: DeserializeOwned>(id: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| corrupted(id, error))
}

pub(super) fn corrupted(id: &str, reason: impl std::fmt::Display) -> Error {
    Error::Corrupted {
        id: id.to_owned(),
        reason: reason.to_string(),
    }
}
