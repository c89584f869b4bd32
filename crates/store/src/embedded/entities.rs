//! Actions, packages, triggers and rules.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use wsk_entities::{Attachment, Binding, Code, Collection, Entity, EntityPath, FullName};
use wsk_planted::{Bug, planted};

use crate::embedded::database::Database;
use crate::embedded::failure::corrupted;
use crate::embedded::scope::Scope;
use crate::embedded::{int, unsigned};
use crate::{EntityStore, Error, Expected, Page, Revision, Stored, Visibility};

/// Names of our attachments: this and the hex digest of the text.
const SCHEME: &str = "sqlite:";

pub struct Entities {
    database: Arc<Database>,
}

/// A document as it is written, with what its columns hold.
struct Draft {
    entity: Entity,
    key: String,
    doc: String,
    code: Option<CodeOf>,
}

/// The code of a document being written.
enum CodeOf {
    New { digest: String, text: Arc<str> },
    Kept { digest: String },
}

/// What is stored under a name before a write.
struct Current {
    row: i64,
    revision: i64,
    code: Option<String>,
}

impl Entities {
    pub fn new(database: Arc<Database>) -> Entities {
        Entities { database }
    }
}

#[async_trait]
impl EntityStore for Entities {
    async fn get(&self, name: &FullName) -> Result<Option<Stored<Entity>>, Error> {
        let key = name.to_string();
        self.database
            .read(move |conn| {
                let mut query = conn.prepare_cached("SELECT key, kind, doc, revision FROM entities WHERE key = ?1")?;
                let mut rows = query.query([&key])?;
                let Some(row) = rows.next()? else { return Ok(None) };
                let revision = revision(row.get(3)?);
                Ok(Some(Stored {
                    value: entity(row)?,
                    revision,
                }))
            })
            .await
    }

    async fn code(&self, name: &FullName, attachment: &Attachment) -> Result<Arc<str>, Error> {
        let missing = Error::Missing(format!("the code of {name}"));
        let digest = digest_of(attachment).ok_or(missing.clone())?;
        let text = self
            .database
            .read(move |conn| {
                let mut query = conn.prepare_cached("SELECT text FROM code WHERE digest = ?1")?;
                Ok(query.query_row([&digest], |row| row.get::<_, Arc<str>>(0)).optional()?)
            })
            .await?;
        text.ok_or(missing)
    }

    async fn put(&self, entity: &Entity, expected: Expected) -> Result<Stored<Entity>, Error> {
        let entity = entity.clone();
        let draft = self.database.compute(move || Ok(Draft::new(entity))).await?;
        self.database
            .write(move |session| put(&session.conn, draft, &expected))
            .await
    }

    async fn sealed(&self, after: Option<&FullName>, limit: u64) -> Result<Vec<Stored<Entity>>, Error> {
        let after = after.map(FullName::to_string).unwrap_or_default();
        self.database
            .read(move |conn| {
                // Rare enough to look through all of them: it is how keys are changed.
                let mut query = conn.prepare_cached(
                    "SELECT key, kind, doc, revision FROM entities
                     WHERE key > ?1 AND instr(doc, '\"encryption\":') > 0 ORDER BY key LIMIT ?2",
                )?;
                let mut rows = query.query(params![after, int(limit)])?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(Stored {
                        value: entity(row)?,
                        revision: revision(row.get(3)?),
                    });
                }
                Ok(found)
            })
            .await
    }

    async fn reseal(&self, entity: &Entity, at: &Revision) -> Result<bool, Error> {
        let (entity, at) = (entity.clone(), at.clone());
        let draft = self.database.compute(move || Ok(Draft::new(entity))).await?;
        self.database
            .write(move |session| {
                let conn = &session.conn;
                let Some(found) = current(conn, &draft.key)?.filter(|found| revision(found.revision) == at) else {
                    return Ok(false);
                };
                conn.prepare_cached("UPDATE entities SET doc = ?1 WHERE row = ?2")?
                    .execute(params![draft.doc, found.row])?;
                Ok(true)
            })
            .await
    }

    async fn delete(&self, name: &FullName, expected: &Revision) -> Result<(), Error> {
        let (key, expected) = (name.to_string(), expected.clone());
        self.database
            .write(move |session| {
                let conn = &session.conn;
                let found = current(conn, &key)?.ok_or_else(|| Error::Missing(key.clone()))?;
                if revision(found.revision) != expected {
                    return Err(Error::Conflict(key));
                }
                conn.prepare_cached("DELETE FROM entities WHERE row = ?1")?
                    .execute([found.row])?;
                found.code.map_or(Ok(()), |digest| drop_code(conn, &digest))
            })
            .await
    }

    async fn list(
        &self,
        collection: Collection,
        path: &EntityPath,
        visibility: Visibility,
        page: Page,
    ) -> Result<Vec<Entity>, Error> {
        let (path, scope) = (path.clone(), Scope::of(collection, path, visibility));
        self.database
            .read(move |conn| {
                let mut query = conn.prepare_cached(scope.page())?;
                let package = path.package.as_ref().map(|p| p.as_str());
                let (limit, skip) = (int(page.limit), int(page.skip));
                let mut rows = query.query(params![
                    number(collection),
                    path.namespace.as_str(),
                    package,
                    limit,
                    skip
                ])?;
                let mut entities = Vec::new();
                while let Some(row) = rows.next()? {
                    entities.push(entity(row)?);
                }
                Ok(entities)
            })
            .await
    }

    async fn count(&self, collection: Collection, path: &EntityPath, visibility: Visibility) -> Result<u64, Error> {
        let (path, scope) = (path.clone(), Scope::of(collection, path, visibility));
        self.database
            .read(move |conn| {
                let package = path.package.as_ref().map(|p| p.as_str());
                let values = params![number(collection), path.namespace.as_str(), package];
                Ok(unsigned(
                    conn.prepare_cached(scope.total())?
                        .query_row(values, |row| row.get(0))?,
                ))
            })
            .await
    }

    async fn bindings_to(&self, package: &Binding) -> Result<Vec<FullName>, Error> {
        let target = package.full_name().to_string();
        self.database
            .read(move |conn| {
                let mut query = conn.prepare_cached("SELECT key FROM entities WHERE target = ?1 ORDER BY key")?;
                let keys = query.query_map([&target], |row| row.get::<_, String>(0))?;
                keys.map(|key| key.map_err(Error::from).and_then(|key| full_name(&key)))
                    .collect()
            })
            .await
    }
}

impl Draft {
    fn new(mut entity: Entity) -> Draft {
        let code = take_code(&mut entity);
        let key = entity.full_name().to_string();
        let doc = document(&entity);
        Draft { entity, key, doc, code }
    }

    fn columns(&self) -> (bool, Option<String>) {
        match &self.entity {
            Entity::Package(p) => (
                p.publish && p.binding.is_none(),
                p.binding.as_ref().map(|b| b.full_name().to_string()),
            ),
            Entity::Action(_) | Entity::Trigger(_) | Entity::Rule(_) => (false, None),
        }
    }
}

/// Replaces inline code by a reference; what was there.
fn take_code(entity: &mut Entity) -> Option<CodeOf> {
    let Entity::Action(action) = entity else { return None };
    let binary = action.exec.binary();
    let code = action.exec.code_mut()?;
    match code {
        Code::Attached(attachment) => {
            // One that is not ours has no digest here; no stored revision will match it.
            let digest = digest_of(attachment).unwrap_or_default();
            Some(CodeOf::Kept { digest })
        }
        Code::Inline(text) => {
            let (text, digest) = (text.clone(), hex(&Sha256::digest(text.as_bytes())));
            *code = Code::Attached(Attachment {
                attachment_name: format!("{SCHEME}{digest}"),
                attachment_type: if binary {
                    "application/octet-stream"
                } else {
                    "text/plain; charset=UTF-8"
                }
                .to_owned(),
                length: Some(text.len() as u64),
                digest: Some(format!("sha256-{digest}")),
            });
            Some(CodeOf::New { digest, text })
        }
    }
}

fn digest_of(attachment: &Attachment) -> Option<String> {
    attachment.attachment_name.strip_prefix(SCHEME).map(str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
            write!(out, "{byte:02x}").expect("writing to a string cannot fail");
            out
        })
}

/// OpenWhisk's document: the full JSON form and `entityType`.
fn document(entity: &Entity) -> String {
    let text = match entity {
        Entity::Action(e) => serde_json::to_string(e),
        Entity::Trigger(e) => serde_json::to_string(e),
        Entity::Rule(e) => serde_json::to_string(e),
        Entity::Package(e) => serde_json::to_string(e),
    };
    let mut text = text.expect("entities serialise to JSON");
    text.pop();
    text.push_str(",\"entityType\":\"");
    text.push_str(entity.collection().singular());
    text.push_str("\"}");
    text
}

/// Reads columns `key, kind, doc`.
fn entity(row: &Row<'_>) -> Result<Entity, Error> {
    let key = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
    let doc = row.get_ref(2)?.as_str().map_err(|e| corrupted(key, e))?;
    let kind: i64 = row.get(1)?;
    let collection = Collection::ALL.into_iter().find(|c| number(*c) == kind);
    let entity = match collection {
        Some(Collection::Actions) => serde_json::from_str(doc).map(Entity::Action),
        Some(Collection::Triggers) => serde_json::from_str(doc).map(Entity::Trigger),
        Some(Collection::Rules) => serde_json::from_str(doc).map(Entity::Rule),
        Some(Collection::Packages) => serde_json::from_str(doc).map(Entity::Package),
        None => return Err(corrupted(key, format!("there is no kind {kind}"))),
    };
    entity.map_err(|e| corrupted(key, e))
}

/// What `kind` holds; part of the file format.
fn number(collection: Collection) -> i64 {
    match collection {
        Collection::Actions => 0,
        Collection::Triggers => 1,
        Collection::Rules => 2,
        Collection::Packages => 3,
    }
}

fn revision(number: i64) -> Revision {
    Revision(number.to_string().into())
}

fn full_name(key: &str) -> Result<FullName, Error> {
    key.parse().map_err(|e: wsk_entities::Error| corrupted(key, e.reason()))
}

fn current(conn: &Connection, key: &str) -> Result<Option<Current>, Error> {
    let mut query = conn.prepare_cached("SELECT row, revision, code FROM entities WHERE key = ?1")?;
    let current = query.query_row([key], |row| {
        Ok(Current {
            row: row.get(0)?,
            revision: row.get(1)?,
            code: row.get(2)?,
        })
    });
    Ok(current.optional()?)
}

fn put(conn: &Connection, draft: Draft, expected: &Expected) -> Result<Stored<Entity>, Error> {
    let found = current(conn, &draft.key)?;
    let holds = match (expected, &found) {
        (Expected::Absent, None) => true,
        (Expected::Revision(wanted), Some(found)) => {
            revision(found.revision) == *wanted || planted(Bug::OverwritesChanges)
        }
        (Expected::Absent, Some(_)) | (Expected::Revision(_), None) => false,
    };
    if !holds {
        return Err(Error::Conflict(draft.key));
    }
    let old_code = found.as_ref().and_then(|f| f.code.clone());
    let code = keep_code(conn, &draft, old_code.as_deref())?;
    // Never used twice, also not after a deletion: an old revision can never match a new entity.
    let next = "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value";
    let number: i64 = conn.prepare_cached(next)?.query_row([], |row| row.get(0))?;
    write_row(conn, &draft, found.map(|f| f.row), number, code.as_deref())?;
    if let Some(old) = old_code.filter(|old| code.as_ref() != Some(old)) {
        drop_code(conn, &old)?;
    }
    Ok(Stored {
        value: draft.entity,
        revision: revision(number),
    })
}

/// Stores new code; the digest that the row will name.
fn keep_code(conn: &Connection, draft: &Draft, old: Option<&str>) -> Result<Option<String>, Error> {
    match &draft.code {
        None => Ok(None),
        Some(CodeOf::Kept { digest }) if old == Some(digest) => Ok(Some(digest.clone())),
        Some(CodeOf::Kept { .. }) => Err(Error::Missing(format!("the code that {} refers to", draft.key))),
        Some(CodeOf::New { digest, text }) => {
            let insert = "INSERT INTO code (digest, text) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING";
            conn.prepare_cached(insert)?.execute(params![digest, &**text])?;
            Ok(Some(digest.clone()))
        }
    }
}

fn write_row(conn: &Connection, draft: &Draft, row: Option<i64>, number: i64, code: Option<&str>) -> Result<(), Error> {
    let path = match &draft.entity {
        Entity::Action(e) => &e.namespace,
        Entity::Trigger(e) => &e.namespace,
        Entity::Rule(e) => &e.namespace,
        Entity::Package(e) => &e.namespace,
    };
    let (public, target) = draft.columns();
    conn.prepare_cached(
        "INSERT OR REPLACE INTO entities (row, key, revision, kind, ns, package, updated, public, target, code, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        row,
        draft.key,
        number,
        self::number(draft.entity.collection()),
        path.namespace.as_str(),
        path.package.as_ref().map(|p| p.as_str()),
        int(draft.entity.updated()),
        public,
        target,
        code,
        draft.doc,
    ])?;
    Ok(())
}

/// Drops code that no entity refers to any more.
fn drop_code(conn: &Connection, digest: &str) -> Result<(), Error> {
    let unused = "DELETE FROM code WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM entities WHERE code = ?1)";
    conn.prepare_cached(unused)?.execute([digest])?;
    Ok(())
}
