//! Lists: a page of entries, or their number.

use std::sync::Arc;

use serde::Serialize;
use wsk_entities::{Collection, Entity, EntityPath};
use wsk_service::http::Response;

use super::{Call, Error, Listing, reply};
use crate::app::App;

/// An entry of a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Action(wsk_entities::ActionSummary<'a>),
    Trigger(wsk_entities::TriggerSummary<'a>),
    /// Rules are listed in full, but for their status.
    Rule(&'a wsk_entities::Rule),
    Package(wsk_entities::PackageSummary<'a>),
}

/// Answers a list of `collection` below `path`, after the query of the request.
pub async fn answer(
    app: &Arc<App>,
    call: &Call<'_>,
    collection: Collection,
    path: &EntityPath,
) -> Result<Response, Error> {
    match call.query().listing(collection.plural())? {
        Listing::Count { skip } => {
            let count = app.count(&call.caller, collection, path, skip).await?;
            Ok(reply::json(
                &[(collection.plural(), count)]
                    .into_iter()
                    .collect::<std::collections::BTreeMap<_, _>>(),
            ))
        }
        Listing::Page(page) => {
            let entities = app.list(&call.caller, collection, path, page).await?;
            Ok(reply::json(&entities.iter().map(entry).collect::<Vec<_>>()))
        }
    }
}

/// Answers a list of the whole namespace of the path, which must be the caller's.
pub async fn own_namespace(app: &Arc<App>, call: &Call<'_>, collection: Collection) -> Result<Response, Error> {
    call.caller.must_own_namespace(&call.namespace)?;
    answer(app, call, collection, &EntityPath::root(call.namespace.clone())).await
}

fn entry(entity: &Entity) -> Entry<'_> {
    match entity {
        Entity::Action(action) => Entry::Action(action.summary()),
        Entity::Trigger(trigger) => Entry::Trigger(trigger.summary()),
        Entity::Rule(rule) => Entry::Rule(rule),
        Entity::Package(package) => Entry::Package(package.summary()),
    }
}
