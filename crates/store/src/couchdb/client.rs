//! CouchDB's HTTP interface, as far as the seams need it.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Config;
use super::answer::{Answer, Found, Present, Row, Rows, Written, corrupted, parse, revision};
use super::connection::{Connection, is_couchdb, said};
use super::query::Query;
use super::views::{self, Design};
use crate::{Error, metrics};

/// Most requests of one process under way at once, each a connection. More would not be answered sooner.
const AT_ONCE: usize = 64;

/// A server.
pub(super) struct Client {
    connection: Connection,
    room: Semaphore,
    /// Longest wait for room.
    patience: Duration,
    /// Whether it has taken us once: who is turned away after that was configured rightly, and is taken again.
    taken: AtomicBool,
}

/// One of its databases.
#[derive(Clone)]
pub(super) struct Database {
    client: Arc<Client>,
    name: String,
}

impl Client {
    pub fn new(config: &Config) -> Result<Client, Error> {
        Ok(Client {
            connection: Connection::new(config)?,
            room: Semaphore::new(AT_ONCE),
            patience: Duration::from_secs(config.timeout_s),
            taken: AtomicBool::new(false),
        })
    }

    fn place(&self) -> &str {
        self.connection.place()
    }

    fn unavailable(&self, reason: impl std::fmt::Display) -> Error {
        Error::Unavailable(format!("CouchDB at {} (`store.url`): {reason}", self.place()))
    }

    /// Whether a CouchDB answers: any version of it, or what has its interface.
    pub async fn greet(&self) -> Result<(), Error> {
        let answer = self.send(Method::GET, "", &HashMap::new(), None).await?;
        if is_couchdb(&answer.body) {
            return Ok(());
        }
        Err(Error::Unusable(format!(
            "what answers at {} is no CouchDB ({}); set `store.url`",
            self.place(),
            answer.status
        )))
    }

    /// It has taken us: address, user and authority are right.
    pub fn taken(&self) {
        self.taken.store(true, Ordering::Release);
    }

    /// The configuration is wrong; of one that was right it is only said, as what may pass.
    fn turned_away(&self, reason: String) -> Error {
        if self.taken.load(Ordering::Acquire) {
            Error::Unavailable(reason)
        } else {
            Error::Unusable(reason)
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        match self.connection.failed(error) {
            Error::Unusable(reason) => self.turned_away(reason),
            other => other,
        }
    }

    /// Sends a request, and counts it if it fails.
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &HashMap<String, String>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Error> {
        let sent = self.exchange(method, path, query, body).await;
        sent.inspect_err(metrics::failed)
    }

    async fn room(&self) -> Result<SemaphorePermit<'_>, Error> {
        match tokio::time::timeout(self.patience, self.room.acquire()).await {
            Ok(room) => Ok(room.expect("nobody closes it")),
            Err(_) => Err(self.unavailable("it has not answered in time (`store.timeout_s`) what was asked before")),
        }
    }

    /// Statuses that tell of the server's state, not of the request, are errors already.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        query: &HashMap<String, String>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Error> {
        let _room = self.room().await?;
        let mut request = self.connection.request(method, path, query);
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.map_err(|error| self.failed(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.failed(&error))?.to_vec();
        match status.as_u16() {
            401 => Err(self.turned_away(self.connection.refused(&body))),
            // Where a document could not be written for a reason of the server's, the others' fates are said all the same.
            500 if path.ends_with("/_bulk_docs") && body.starts_with(b"[") => Ok(Answer { status, body }),
            // Of requests about many documents it is the user who is refused: what is wrong with a document is said of that one.
            403 if path.ends_with("/_bulk_docs") || path.ends_with("/_all_docs") => {
                Err(self.turned_away(self.connection.refused(&body)))
            }
            403 => Err(Error::Unusable(self.connection.refused(&body))),
            413 => Err(Error::Unusable(format!(
                "CouchDB at {} takes no document of this size: {}",
                self.place(),
                said(&body)
            ))),
            507 => Err(Error::Full {
                path: format!("CouchDB at {}", self.place()),
            }),
            408 | 429 | 500.. => Err(self.unavailable(format!("{status}: {}", said(&body)))),
            _ => Ok(Answer { status, body }),
        }
    }
}

impl Database {
    pub fn new(client: Arc<Client>, name: &str) -> Database {
        Database {
            client,
            name: name.to_owned(),
        }
    }

    /// Makes the database, unless it is there.
    pub async fn ensure(&self) -> Result<(), Error> {
        let found = self.client.send(Method::GET, &self.name, &HashMap::new(), None).await?;
        if found.status == StatusCode::OK {
            return Ok(());
        }
        let made = self.client.send(Method::PUT, &self.name, &HashMap::new(), None).await?;
        match made.status {
            StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::PRECONDITION_FAILED => Ok(()),
            _ => Err(self.surprise("making the database", &made)),
        }
    }

    /// Makes a design document, unless one of its name is there: whoever made it may know better.
    pub async fn ensure_design(&self, design: &Design) -> Result<(), Error> {
        let id = format!("_design/{}", design.name);
        if self.get_at(&id, &HashMap::new()).await?.is_some() {
            return Ok(());
        }
        let answer = self.put_at(&id, design.document().into_bytes()).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::CONFLICT => Ok(()),
            _ => Err(self.surprise(&format!("making {id}"), &answer)),
        }
    }

    /// Notes that this version writes here, unless an earlier one has.
    ///
    /// # Errors
    /// [`Error::Unusable`] when a later one has, whose documents this one might not understand.
    pub async fn ensure_format(&self) -> Result<(), Error> {
        if let Some(found) = self.get_at(views::FORMAT_ID, &HashMap::new()).await? {
            let Format { format } = parse(views::FORMAT_ID, &found)?;
            return if format <= views::FORMAT {
                Ok(())
            } else {
                Err(Error::Unusable(format!(
                    "the database {} at {} was written by a later version (format {format}, this program knows {}); run that version, or choose another `store.prefix`",
                    self.name,
                    self.client.place(),
                    views::FORMAT
                )))
            };
        }
        let answer = self.put_at(views::FORMAT_ID, views::format().into_bytes()).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::CONFLICT => Ok(()),
            _ => Err(self.surprise("noting the version", &answer)),
        }
    }

    /// The text of a document.
    pub async fn get(&self, id: &str) -> Result<Option<String>, Error> {
        let found = self.get_at(&encoded(id), &HashMap::new()).await?;
        found
            .map(|body| String::from_utf8(body).map_err(|error| corrupted(id, error)))
            .transpose()
    }

    async fn get_at(&self, path: &str, query: &HashMap<String, String>) -> Result<Option<Vec<u8>>, Error> {
        let path = format!("{}/{path}", self.name);
        let answer = self.client.send(Method::GET, &path, query, None).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.surprise(&format!("reading {path}"), &answer)),
        }
    }

    async fn put_at(&self, path: &str, document: Vec<u8>) -> Result<Answer, Error> {
        let path = format!("{}/{path}", self.name);
        self.client
            .send(Method::PUT, &path, &HashMap::new(), Some(document))
            .await
    }

    /// Whether a document is there.
    pub async fn has(&self, id: &str) -> Result<bool, Error> {
        let path = format!("{}/{}", self.name, encoded(id));
        let answer = self.client.send(Method::HEAD, &path, &HashMap::new(), None).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.surprise(&format!("looking for {id}"), &answer)),
        }
    }

    /// Writes a document; the new revision. The document names the revision it replaces.
    pub async fn put(&self, id: &str, document: String) -> Result<String, Error> {
        let answer = self.put_at(&encoded(id), document.into_bytes()).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::ACCEPTED => revision(id, &answer.body),
            StatusCode::CONFLICT => Err(Error::Conflict(id.to_owned())),
            // An attachment that the replaced revision does not have.
            StatusCode::PRECONDITION_FAILED => Err(Error::Missing(format!("the code that {id} refers to"))),
            _ => Err(self.surprise(&format!("writing {id}"), &answer)),
        }
    }

    pub async fn delete(&self, id: &str, rev: &str) -> Result<(), Error> {
        let path = format!("{}/{}", self.name, encoded(id));
        let query = HashMap::from([("rev".to_owned(), rev.to_owned())]);
        let answer = self.client.send(Method::DELETE, &path, &query, None).await?;
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
            StatusCode::NOT_FOUND => Err(Error::Missing(id.to_owned())),
            // Also the answer to who deletes what was deleted meanwhile, and to what never was a revision.
            StatusCode::CONFLICT | StatusCode::BAD_REQUEST => Err(match self.has(id).await? {
                true => Error::Conflict(id.to_owned()),
                false => Error::Missing(id.to_owned()),
            }),
            _ => Err(self.surprise(&format!("deleting {id}"), &answer)),
        }
    }

    /// The bytes of an attachment.
    pub async fn attachment(&self, id: &str, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.get_at(&format!("{}/{}", encoded(id), encoded(name)), &HashMap::new())
            .await
    }

    /// Writes many documents; the fate of each, in any order.
    pub async fn bulk(&self, documents: &[impl Borrow<str> + Sync]) -> Result<Vec<Written>, Error> {
        let body = format!("{{\"docs\":[{}]}}", documents.join(","));
        let path = format!("{}/_bulk_docs", self.name);
        let answer = self
            .client
            .send(Method::POST, &path, &HashMap::new(), Some(body.into_bytes()))
            .await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR => {
                parse(&path, &answer.body).map_err(|error| self.client.unavailable(error))
            }
            StatusCode::BAD_REQUEST => Err(self.surprise("writing documents", &answer)),
            // The database is gone, or who answers is not CouchDB: neither is said of the documents.
            status => Err(self.client.unavailable(format!("{status}: {}", said(&answer.body)))),
        }
    }

    /// Whether documents are there, of those of which it is said.
    pub async fn there(&self, ids: &[String]) -> Result<HashMap<String, bool>, Error> {
        let path = format!("{}/_all_docs", self.name);
        let body = serde_json::json!({ "keys": ids }).to_string().into_bytes();
        let answer = self
            .client
            .send(Method::POST, &path, &HashMap::new(), Some(body))
            .await?;
        match answer.status {
            StatusCode::OK => {
                let Found { rows } = parse(&path, &answer.body).map_err(|error| self.client.unavailable(error))?;
                Ok(rows.into_iter().filter_map(Present::split).collect())
            }
            // A shard that is down, a database that is being restored: nothing that an id could be blamed for.
            status => Err(self.client.unavailable(format!("{status}: {}", said(&answer.body)))),
        }
    }

    /// Rows of a view.
    pub async fn view(&self, query: &Query<'_>) -> Result<Vec<Row>, Error> {
        let path = format!("_design/{}/_view/{}", query.design, query.view);
        self.rows(&path, &query.parameters()).await
    }

    /// Documents whose ids lie between two, in no order that counts.
    pub async fn all(&self, start: &str, end: &str) -> Result<Vec<Row>, Error> {
        let json = |text: &str| serde_json::to_string(text).expect("text serialises");
        let parameters = [
            ("include_docs", "true".to_owned()),
            ("startkey", json(start)),
            ("endkey", json(end)),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
        self.rows("_all_docs", &HashMap::from(parameters)).await
    }

    async fn rows(&self, path: &str, parameters: &HashMap<String, String>) -> Result<Vec<Row>, Error> {
        let body = self
            .get_at(path, parameters)
            .await?
            .ok_or_else(|| Error::Unusable(format!("the database {} has no {path}", self.name)))?;
        parse::<Rows>(path, &body).map(|rows| rows.rows)
    }

    /// The number of rows of a view.
    pub async fn count(&self, query: Query<'_>) -> Result<u64, Error> {
        let rows = self.view(&Query { count: true, ..query }).await?;
        let total = rows.first().and_then(|row| row.value.as_ref());
        total.map_or(Ok(0), |total| parse("a count", total.get().as_bytes()))
    }

    /// How many writes this database has seen.
    pub async fn writes(&self) -> Result<u64, Error> {
        let body = self.get_at("", &HashMap::new()).await?;
        let body = body.ok_or_else(|| Error::Unusable(format!("there is no database {}", self.name)))?;
        let info: Info = parse(&self.name, &body)?;
        // A number, or text that begins with one; the rest may differ between two answers though nothing changed.
        let digits = info
            .update_seq
            .get()
            .trim_start_matches('"')
            .split(|c: char| !c.is_ascii_digit())
            .next();
        let writes = digits.and_then(|digits| digits.parse().ok());
        writes.ok_or_else(|| corrupted(&self.name, format!("an update_seq of {}", info.update_seq)))
    }

    fn surprise(&self, what: &str, answer: &Answer) -> Error {
        Error::Unusable(format!(
            "{what} in {} at {}: CouchDB answered {}: {}",
            self.name,
            self.client.place(),
            answer.status,
            said(&answer.body)
        ))
    }
}

#[derive(serde::Deserialize)]
struct Format {
    #[serde(rename = "ferrowhiskFormat", default)]
    format: u64,
}

#[derive(serde::Deserialize)]
struct Info {
    update_seq: Box<RawValue>,
}

/// An id or a name as one segment of a path.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
