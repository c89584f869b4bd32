//! Actions, packages, triggers and rules: the database `<prefix>whisks`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use wsk_entities::{Attachment, Binding, Code, Collection, Entity, EntityPath, FullName};

use super::answer::{Meta, corrupted, parse};
use super::client::Database;
use super::query::Query;
use super::{exact, views};
use crate::{EntityStore, Error, Expected, Page, Revision, Stored, Visibility};

/// What names of attachments of the document itself begin with.
const ATTACHED: &str = "couch:";
const BINARY: &str = "application/octet-stream";
/// What types of code begin with that is kept as it was sent.
const TEXT: &str = "text/";
/// Above any time.
const TOP: &str = "\u{fff0}";

pub(super) struct Entities {
    database: Database,
}

/// Code that a document is written with.
enum Attached {
    New {
        name: String,
        content_type: &'static str,
        bytes: Vec<u8>,
    },
    /// The revision replaced has it.
    Kept { name: String },
}

/// What a document says of its attachments.
#[derive(serde::Deserialize)]
struct Stubs {
    #[serde(rename = "_rev", default)]
    rev: String,
    #[serde(rename = "_attachments", default)]
    stubs: HashMap<String, Box<RawValue>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    entity_type: Option<String>,
    #[serde(default)]
    exec: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    binding: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    trigger: Option<serde::de::IgnoredAny>,
}

impl Entities {
    pub fn new(database: Database) -> Entities {
        Entities { database }
    }

    /// The stub by which a write keeps an attachment of the revision it replaces.
    async fn kept_attachment(&self, id: &str, name: &str, rev: Option<&str>) -> Result<String, Error> {
        let Some(current) = self.database.get(id).await? else {
            return Err(Error::Conflict(id.to_owned()));
        };
        let current: Stubs = parse(id, current.as_bytes())?;
        if Some(&*current.rev) != rev {
            return Err(Error::Conflict(id.to_owned()));
        }
        let stub = current.stubs.get(name);
        let stub = stub.ok_or_else(|| Error::Missing(format!("the code that {id} refers to")))?;
        Ok(format!("{{{}:{}}}", json(name), stub.get()))
    }
}

#[async_trait]
impl EntityStore for Entities {
    async fn get(&self, name: &FullName) -> Result<Option<Stored<Entity>>, Error> {
        let id = name.to_string();
        let Some(document) = self.database.get(&id).await? else {
            return Ok(None);
        };
        stored(&id, &document).map(Some)
    }

    async fn code(&self, name: &FullName, attachment: &Attachment) -> Result<Arc<str>, Error> {
        let id = name.to_string();
        let Attachment {
            attachment_name,
            attachment_type,
            ..
        } = attachment;
        let bytes = match (attached_as(attachment_name), attachment_name.split_once(':')) {
            (Some(attached), _) => self.database.attachment(&id, attached).await?,
            (None, Some(("mem", text))) => Some(in_name(text).ok_or_else(|| corrupted(&id, "its code is no base64"))?),
            (None, _) => {
                return Err(Error::Unusable(format!(
                    "the code of {id} is in `{attachment_name}`, which is no store of ours"
                )));
            }
        };
        let bytes = bytes.ok_or_else(|| Error::Missing(format!("the code of {id}")))?;
        // What is no text was decoded, whatever it is called: early jars have a type of their own.
        if !attachment_type.starts_with(TEXT) {
            return Ok(STANDARD.encode(bytes).into());
        }
        let text = String::from_utf8(bytes).map_err(|error| corrupted(&id, error))?;
        Ok(text.into())
    }

    async fn put(&self, entity: &Entity, expected: Expected) -> Result<Stored<Entity>, Error> {
        let mut entity = entity.clone();
        let code = take_code(&mut entity);
        let id = entity.full_name().to_string();
        let rev = match &expected {
            Expected::Absent => None,
            Expected::Revision(Revision(rev)) => Some(&**rev),
        };
        let attachment = match code {
            None => None,
            Some(Attached::New {
                name,
                content_type,
                bytes,
            }) => Some(new_attachment(&name, content_type, &bytes)),
            Some(Attached::Kept { name }) => Some(self.kept_attachment(&id, &name, rev).await?),
        };
        let document = document(&entity, &id, rev, attachment.as_deref());
        let rev = self.database.put(&id, document).await?;
        Ok(Stored {
            value: entity,
            revision: Revision(rev.into()),
        })
    }

    async fn sealed(&self, after: Option<&FullName>, limit: u64) -> Result<Vec<Stored<Entity>>, Error> {
        let after = after.map(FullName::to_string);
        let query = Query {
            design: views::OURS,
            view: "sealed",
            start: after.as_deref().map(json),
            // The one to begin after is a row as well, unless it has gone.
            limit: Some(limit.saturating_add(1)),
            docs: true,
            ..Query::default()
        };
        let rows = self.database.view(&query).await?;
        let rows = rows.iter().filter(|row| after.as_ref() != Some(&row.id));
        let documents = rows.filter_map(|row| Some((&row.id, row.doc.as_ref()?.get())));
        documents
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|(id, document)| stored(id, document))
            .collect()
    }

    async fn reseal(&self, entity: &Entity, at: &Revision) -> Result<bool, Error> {
        match self.put(entity, Expected::Revision(at.clone())).await {
            Ok(_) => Ok(true),
            Err(Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, name: &FullName, expected: &Revision) -> Result<(), Error> {
        self.database.delete(&name.to_string(), &expected.0).await
    }

    async fn list(
        &self,
        collection: Collection,
        path: &EntityPath,
        visibility: Visibility,
        page: Page,
    ) -> Result<Vec<Entity>, Error> {
        if page.limit == 0 {
            return Ok(Vec::new());
        }
        let query = Query {
            docs: true,
            skip: page.skip,
            limit: Some(page.limit),
            ..query(collection, path, visibility)
        };
        let rows = self.database.view(&query).await?;
        let documents = rows.iter().filter_map(|row| Some((&row.id, row.doc.as_ref()?)));
        documents.map(|(id, document)| entity(id, document.get())).collect()
    }

    async fn count(&self, collection: Collection, path: &EntityPath, visibility: Visibility) -> Result<u64, Error> {
        self.database.count(query(collection, path, visibility)).await
    }

    async fn bindings_to(&self, package: &Binding) -> Result<Vec<FullName>, Error> {
        let query = Query {
            design: views::OURS,
            view: "bindings",
            key: Some(json(&package.full_name().to_string())),
            ..Query::default()
        };
        let rows = self.database.view(&query).await?;
        let name = |id: &str| {
            id.parse()
                .map_err(|error: wsk_entities::Error| corrupted(id, error.reason()))
        };
        rows.iter().map(|row| name(&row.id)).collect()
    }
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("text serialises")
}

fn query<'a>(collection: Collection, path: &EntityPath, visibility: Visibility) -> Query<'a> {
    let view = match (collection, visibility) {
        (Collection::Actions, _) => "actions",
        (Collection::Triggers, _) => "triggers",
        (Collection::Rules, _) => "rules",
        (Collection::Packages, Visibility::All) => "packages",
        (Collection::Packages, Visibility::Public) => "packages-public",
    };
    let path = json(&path.to_string());
    Query {
        design: views::ENTITIES,
        view,
        start: Some(format!("[{path},{top},{top}]", top = json(TOP))),
        end: Some(format!("[{path},0]")),
        descending: true,
        ..Query::default()
    }
}

/// Replaces inline code by a reference; what is to be attached.
fn take_code(entity: &mut Entity) -> Option<Attached> {
    let Entity::Action(action) = entity else { return None };
    let binary = action.exec.binary();
    let code = action.exec.code_mut()?;
    match code {
        Code::Attached(attachment) => {
            let name = attached_as(&attachment.attachment_name);
            name.map(|name| Attached::Kept { name: name.to_owned() })
        }
        Code::Inline(text) => {
            let decoded = if binary {
                STANDARD.decode(text.as_bytes()).ok()
            } else {
                None
            };
            // Only what encodes to the same text again may be kept decoded.
            let decoded = decoded.filter(|bytes| STANDARD.encode(bytes) == **text);
            let content_type = if decoded.is_some() {
                BINARY
            } else {
                "text/plain; charset=UTF-8"
            };
            let length = text.len() as u64;
            let bytes = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
            let digest: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            *code = Code::Attached(Attachment {
                attachment_name: format!("{ATTACHED}{digest}"),
                attachment_type: content_type.to_owned(),
                length: Some(length),
                digest: Some(format!("sha256-{digest}")),
            });
            Some(Attached::New {
                name: digest,
                content_type,
                bytes,
            })
        }
    }
}

/// Upstream's document: the full JSON form, its kind, and what CouchDB must know.
fn document(entity: &Entity, id: &str, rev: Option<&str>, attachment: Option<&str>) -> String {
    let text = match entity {
        Entity::Action(e) => serde_json::to_string(e),
        Entity::Trigger(e) => serde_json::to_string(e),
        Entity::Rule(e) => serde_json::to_string(e),
        Entity::Package(e) => serde_json::to_string(e),
    };
    let mut text = text.expect("entities serialise to JSON");
    text.pop();
    let kind = entity.collection().singular();
    let mut text = exact::write(format!("{text},\"entityType\":\"{kind}\"}}"));
    text.pop();
    text.push_str(&format!(",\"_id\":{}", json(id)));
    if let Some(rev) = rev {
        text.push_str(&format!(",\"_rev\":{}", json(rev)));
    }
    if let Some(attachment) = attachment {
        text.push_str(&format!(",\"_attachments\":{attachment}"));
    }
    text.push('}');
    text
}

fn new_attachment(name: &str, content_type: &str, bytes: &[u8]) -> String {
    let (name, content_type, data) = (json(name), json(content_type), STANDARD.encode(bytes));
    format!("{{{name}:{{\"content_type\":{content_type},\"data\":\"{data}\"}}}}")
}

/// Under which name code is attached to its document, if that is where it is. The original's first names, such as `jarfile`,
/// did not say where.
fn attached_as(name: &str) -> Option<&str> {
    match name.split_once(':') {
        Some(_) => name.strip_prefix(ATTACHED),
        None => Some(name),
    }
}

/// The code that an attachment's name holds.
fn in_name(text: &str) -> Option<Vec<u8>> {
    URL_SAFE.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
}

fn stored(id: &str, document: &str) -> Result<Stored<Entity>, Error> {
    let Meta { rev, .. } = parse(id, document.as_bytes())?;
    Ok(Stored {
        value: entity(id, document)?,
        revision: Revision(rev.into()),
    })
}

/// Reads a document; of which kind it is, its shape tells where it does not say so itself.
fn entity(id: &str, document: &str) -> Result<Entity, Error> {
    let kind: Kind = parse(id, document.as_bytes())?;
    let named = kind.entity_type.as_deref();
    let collection = Collection::ALL.into_iter().find(|c| named == Some(c.singular()));
    let collection = collection.unwrap_or(match (kind.trigger, kind.binding, kind.exec) {
        (Some(_), _, _) => Collection::Rules,
        (None, Some(_), _) => Collection::Packages,
        (None, None, Some(_)) => Collection::Actions,
        (None, None, None) => Collection::Triggers,
    });
    match collection {
        Collection::Actions => exact::read(id, document).map(Entity::Action),
        Collection::Triggers => exact::read(id, document).map(Entity::Trigger),
        Collection::Rules => exact::read(id, document).map(Entity::Rule),
        Collection::Packages => exact::read(id, document).map(Entity::Package),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_in_a_name_is_read_in_either_alphabet() {
        assert_eq!(in_name("ZnVuY3Rpb24_Pz8-").as_deref(), Some(&b"function???>"[..]));
        assert_eq!(in_name("YQ==").as_deref(), Some(&b"a"[..]));
        assert_eq!(in_name("YQ").as_deref(), Some(&b"a"[..]));
    }
}
