//! Subjects, keys and limits.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use subtle::ConstantTimeEq;
use wsk_entities::{Identity, Namespace, SubjectDocument, UserLimits};

use crate::embedded::database::Database;
use crate::embedded::failure::corrupted;
use crate::embedded::unsigned;
use crate::{Error, SubjectStore};

pub struct Subjects {
    database: Arc<Database>,
}

/// A row of `keys` with all an identity is made of.
struct Key {
    subject: String,
    ns: String,
    uuid: String,
    key: String,
}

impl Subjects {
    pub fn new(database: Arc<Database>) -> Subjects {
        Subjects { database }
    }
}

#[async_trait]
impl SubjectStore for Subjects {
    async fn by_key(&self, uuid: &str, key: &str) -> Result<Option<Identity>, Error> {
        let (uuid, key) = (uuid.to_owned(), key.to_owned());
        self.database
            .read(move |conn| {
                // By the public half alone; the secret half is compared in constant time.
                let candidates = keys(conn, "k.uuid = ?1", &uuid)?;
                let found = candidates
                    .into_iter()
                    .find(|k| bool::from(k.key.as_bytes().ct_eq(key.as_bytes())));
                found.map(|k| identity(conn, k)).transpose()
            })
            .await
    }

    async fn by_namespace(&self, namespace: &Namespace) -> Result<Option<Identity>, Error> {
        let ns = namespace.as_str().to_owned();
        self.database
            .read(move |conn| {
                let first = keys(conn, "k.ns = ?1", &ns)?.into_iter().next();
                first.map(|k| identity(conn, k)).transpose()
            })
            .await
    }

    async fn subject(&self, subject: &str) -> Result<Option<SubjectDocument>, Error> {
        let subject = subject.to_owned();
        self.database
            .read(move |conn| {
                let mut query = conn.prepare_cached("SELECT doc FROM subjects WHERE subject = ?1")?;
                let doc: Option<String> = query.query_row([&subject], |row| row.get(0)).optional()?;
                doc.map(|doc| parse(&subject, &doc)).transpose()
            })
            .await
    }

    async fn put_subject(&self, document: &SubjectDocument) -> Result<(), Error> {
        let document = document.clone();
        self.database
            .write(move |session| {
                put(&session.conn, &document)?;
                changed(&session.conn)
            })
            .await
    }

    async fn delete_subject(&self, subject: &str) -> Result<bool, Error> {
        let subject = subject.to_owned();
        self.database
            .write(move |session| {
                session
                    .conn
                    .execute("DELETE FROM keys WHERE subject = ?1", [&subject])?;
                let gone = session
                    .conn
                    .execute("DELETE FROM subjects WHERE subject = ?1", [&subject])?;
                changed(&session.conn)?;
                Ok(gone > 0)
            })
            .await
    }

    async fn subjects(&self) -> Result<Vec<SubjectDocument>, Error> {
        self.database
            .read(|conn| {
                let mut query = conn.prepare_cached("SELECT subject, doc FROM subjects ORDER BY subject")?;
                let mut rows = query.query([])?;
                let mut documents = Vec::new();
                while let Some(row) = rows.next()? {
                    let (subject, doc): (String, String) = (row.get(0)?, row.get(1)?);
                    documents.push(parse(&subject, &doc)?);
                }
                Ok(documents)
            })
            .await
    }

    async fn limits(&self, namespace: &Namespace) -> Result<Option<UserLimits>, Error> {
        let ns = namespace.as_str().to_owned();
        self.database.read(move |conn| limits(conn, &ns)).await
    }

    async fn put_limits(&self, namespace: &Namespace, limits: &UserLimits) -> Result<(), Error> {
        let ns = namespace.as_str().to_owned();
        let doc = serde_json::to_string(limits).expect("limits serialise to JSON");
        self.database
            .write(move |session| {
                session
                    .conn
                    .execute("INSERT OR REPLACE INTO limits (ns, doc) VALUES (?1, ?2)", [&ns, &doc])?;
                changed(&session.conn)
            })
            .await
    }

    async fn delete_limits(&self, namespace: &Namespace) -> Result<bool, Error> {
        let ns = namespace.as_str().to_owned();
        self.database
            .write(move |session| {
                let gone = session.conn.execute("DELETE FROM limits WHERE ns = ?1", [&ns])?;
                changed(&session.conn)?;
                Ok(gone > 0)
            })
            .await
    }

    async fn generation(&self) -> Result<u64, Error> {
        self.database
            .read(|conn| {
                let mut query = conn.prepare_cached("SELECT value FROM counters WHERE name = 'generation'")?;
                Ok(unsigned(query.query_row([], |row| row.get(0))?))
            })
            .await
    }
}

/// Keys of subjects that are not blocked, in the order of OpenWhisk's view.
fn keys(conn: &Connection, condition: &str, value: &str) -> Result<Vec<Key>, Error> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT k.subject, k.ns, k.uuid, k.key FROM keys k JOIN subjects s ON s.subject = k.subject
         WHERE {condition} AND s.blocked = 0 ORDER BY k.subject, k.place"
    ))?;
    let rows = query.query_map([value], |row| {
        Ok(Key {
            subject: row.get(0)?,
            ns: row.get(1)?,
            uuid: row.get(2)?,
            key: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn identity(conn: &Connection, key: Key) -> Result<Identity, Error> {
    let namespace = Namespace::new(&key.ns).map_err(|e| corrupted(&key.subject, e.reason()))?;
    let limits = limits(conn, &key.ns)?.unwrap_or_default();
    Ok(Identity::new(&key.subject, namespace, &key.uuid, &key.key, limits))
}

fn limits(conn: &Connection, ns: &str) -> Result<Option<UserLimits>, Error> {
    let mut query = conn.prepare_cached("SELECT doc FROM limits WHERE ns = ?1")?;
    let doc: Option<String> = query.query_row([ns], |row| row.get(0)).optional()?;
    let parse = |doc: String| serde_json::from_str(&doc).map_err(|e| corrupted(&format!("{ns}/limits"), e));
    doc.map(parse).transpose()
}

fn parse(subject: &str, doc: &str) -> Result<SubjectDocument, Error> {
    serde_json::from_str(doc).map_err(|e| corrupted(subject, e))
}

fn put(conn: &Connection, document: &SubjectDocument) -> Result<(), Error> {
    let doc = serde_json::to_string(document).expect("subjects serialise to JSON");
    conn.execute(
        "INSERT OR REPLACE INTO subjects (subject, blocked, doc) VALUES (?1, ?2, ?3)",
        params![document.subject, document.blocked, doc],
    )?;
    conn.execute("DELETE FROM keys WHERE subject = ?1", [&document.subject])?;
    for (place, namespace) in (0i64..).zip(&document.namespaces) {
        // A pair of uuid and key names one namespace of one subject, or nobody could tell who is calling.
        let taken = "SELECT 1 FROM keys WHERE uuid = ?1 AND key = ?2";
        if conn.prepare_cached(taken)?.exists([&namespace.uuid, &namespace.key])? {
            return Err(Error::Conflict(format!(
                "the key of namespace {} is in use already: it",
                namespace.name
            )));
        }
        conn.execute(
            "INSERT INTO keys (subject, place, ns, uuid, key) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                document.subject,
                place,
                namespace.name.as_str(),
                namespace.uuid,
                namespace.key
            ],
        )?;
    }
    Ok(())
}

/// Tells every process that subjects or limits are not what they were.
fn changed(conn: &Connection) -> Result<(), Error> {
    conn.execute("UPDATE counters SET value = value + 1 WHERE name = 'generation'", [])?;
    Ok(())
}
