//! Subjects and limits: the database `<prefix>subjects`, as upstream's `wskadmin` writes it.

use async_trait::async_trait;
use subtle::ConstantTimeEq;
use wsk_entities::{Identity, Namespace, SubjectDocument, UserLimits};

use super::answer::{Meta, Row, corrupted, parse};
use super::client::Database;
use super::query::Query;
use super::views;
use crate::{Error, SubjectStore};

/// Attempts to write a document that somebody else writes at the same time.
const ATTEMPTS: usize = 5;

pub(super) struct Subjects {
    database: Database,
}

/// The value of a row of the view of identities.
#[derive(serde::Deserialize)]
struct Owned {
    namespace: Namespace,
    uuid: String,
    key: String,
}

impl Subjects {
    pub fn new(database: Database) -> Subjects {
        Subjects { database }
    }

    async fn rows(&self, key: String) -> Result<Vec<Row>, Error> {
        let query = Query {
            design: views::IDENTITIES,
            view: "identities",
            key: Some(key),
            docs: true,
            ..Query::default()
        };
        self.database.view(&query).await
    }

    /// Writes a document whatever its revision is.
    async fn replace(&self, id: &str, document: &str) -> Result<(), Error> {
        let mut last = Error::Conflict(id.to_owned());
        for _ in 0..ATTEMPTS {
            let rev = match self.database.get(id).await? {
                Some(found) => Some(parse::<Meta>(id, found.as_bytes())?.rev),
                None => None,
            };
            match self.database.put(id, with_meta(document, id, rev.as_deref())).await {
                Ok(_) => return Ok(()),
                Err(error @ Error::Conflict(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Whether there was a document to delete.
    async fn remove(&self, id: &str) -> Result<bool, Error> {
        let mut last = Error::Conflict(id.to_owned());
        for _ in 0..ATTEMPTS {
            let Some(found) = self.database.get(id).await? else {
                return Ok(false);
            };
            let Meta { rev, .. } = parse(id, found.as_bytes())?;
            match self.database.delete(id, &rev).await {
                Ok(()) => return Ok(true),
                Err(Error::Missing(_)) => return Ok(false),
                Err(error @ Error::Conflict(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// A pair of uuid and key names one namespace of one subject, or nobody could tell who is calling.
    async fn refuse_taken_keys(&self, document: &SubjectDocument) -> Result<(), Error> {
        let taken = |name: &Namespace| Error::Conflict(format!("the key of namespace {name} is in use already: it"));
        for (place, namespace) in document.namespaces.iter().enumerate() {
            let twin = |other: &&wsk_entities::SubjectNamespace| {
                (&other.uuid, &other.key) == (&namespace.uuid, &namespace.key)
            };
            if document.namespaces[..place].iter().any(|other| twin(&other)) {
                return Err(taken(&namespace.name));
            }
            let rows = self.rows(key_pair(&namespace.uuid, &namespace.key)).await?;
            if rows.iter().any(|row| row.id != document.subject) {
                return Err(taken(&namespace.name));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl SubjectStore for Subjects {
    async fn by_key(&self, uuid: &str, key: &str) -> Result<Option<Identity>, Error> {
        let rows = self.rows(key_pair(uuid, key)).await?;
        let Some(identity) = rows.first().map(identity).transpose()? else {
            return Ok(None);
        };
        let presented = format!("{uuid}:{key}");
        let same: bool = identity.authkey.api_key.as_bytes().ct_eq(presented.as_bytes()).into();
        Ok(same.then_some(identity))
    }

    async fn by_namespace(&self, namespace: &Namespace) -> Result<Option<Identity>, Error> {
        let key = serde_json::json!([namespace.as_str()]).to_string();
        self.rows(key).await?.first().map(identity).transpose()
    }

    async fn subject(&self, subject: &str) -> Result<Option<SubjectDocument>, Error> {
        let document = self.database.get(subject).await?;
        document.map(|document| parse(subject, document.as_bytes())).transpose()
    }

    async fn put_subject(&self, document: &SubjectDocument) -> Result<(), Error> {
        self.refuse_taken_keys(document).await?;
        let text = serde_json::to_string(document).expect("subjects serialise to JSON");
        self.replace(&document.subject, &text).await
    }

    async fn delete_subject(&self, subject: &str) -> Result<bool, Error> {
        self.remove(subject).await
    }

    async fn subjects(&self) -> Result<Vec<SubjectDocument>, Error> {
        let rows = self.database.all("", "\u{fff0}").await?;
        let own = |row: &&Row| !row.id.starts_with('_') && !row.id.ends_with("/limits");
        let documents = rows
            .iter()
            .filter(own)
            .filter_map(|row| Some((&row.id, row.doc.as_ref()?)));
        documents
            .map(|(id, document)| parse(id, document.get().as_bytes()))
            .collect()
    }

    async fn limits(&self, namespace: &Namespace) -> Result<Option<UserLimits>, Error> {
        let id = limits_id(namespace);
        let document = self.database.get(&id).await?;
        document.map(|document| parse(&id, document.as_bytes())).transpose()
    }

    async fn put_limits(&self, namespace: &Namespace, limits: &UserLimits) -> Result<(), Error> {
        let text = serde_json::to_string(limits).expect("limits serialise to JSON");
        self.replace(&limits_id(namespace), &text).await
    }

    async fn delete_limits(&self, namespace: &Namespace) -> Result<bool, Error> {
        self.remove(&limits_id(namespace)).await
    }

    async fn generation(&self) -> Result<u64, Error> {
        self.database.writes().await
    }
}

fn limits_id(namespace: &Namespace) -> String {
    format!("{namespace}/limits")
}

fn key_pair(uuid: &str, key: &str) -> String {
    serde_json::json!([uuid, key]).to_string()
}

/// A document, an object, with its id and the revision it replaces.
fn with_meta(document: &str, id: &str, rev: Option<&str>) -> String {
    let json = |text: &str| serde_json::to_string(text).expect("text serialises");
    let members = document.trim().trim_start_matches('{').trim_end_matches('}');
    let comma = if members.is_empty() { "" } else { "," };
    let rev = rev.map_or(String::new(), |rev| format!(",\"_rev\":{}", json(rev)));
    format!("{{\"_id\":{}{rev}{comma}{}", json(id), &document.trim()[1..])
}

/// A row with the limits document it points to, where there is one.
fn identity(row: &Row) -> Result<Identity, Error> {
    let value = row
        .value
        .as_ref()
        .ok_or_else(|| corrupted(&row.id, "its row is empty"))?;
    let owned: Owned = parse(&row.id, value.get().as_bytes())?;
    let document = row.doc.as_ref().filter(|document| document.get() != "null");
    let limits: UserLimits = match document {
        Some(document) if !deleted(document.get()) => parse(&limits_id(&owned.namespace), document.get().as_bytes())?,
        Some(_) | None => UserLimits::default(),
    };
    Ok(Identity::new(&row.id, owned.namespace, &owned.uuid, &owned.key, limits))
}

/// Whether a linked document is only what a deletion left.
fn deleted(document: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Deleted {
        #[serde(rename = "_deleted", default)]
        deleted: bool,
    }
    serde_json::from_str::<Deleted>(document).is_ok_and(|document| document.deleted)
}
