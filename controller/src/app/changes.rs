//! Writes of entities, and who hears of them.
//!
//! A write reads the store afresh rather than the cache, so that what another controller wrote a moment ago is not mistaken
//! for a lost race. It then goes to the store, to this controller's cache, and over the bus to everybody else's.

use std::sync::Arc;

use wsk_bus::messages::{CACHE_INVALIDATION, CacheInvalidation, CacheKey, read};
use wsk_bus::{Durability, Key, Message, Subscription};
use wsk_entities::{Collection, Entity, FullName};
use wsk_planted::{Bug, planted};
use wsk_store::{Expected, Revision};

use super::cache::Entry;
use super::entitlement::CONFORMANCE;
use super::{App, Error};

/// Whether a PUT may replace what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    Allowed,
    Refused,
}

impl App {
    /// The entity to be changed, from the store; none when there is none. Errors: 409 for an entity of another collection.
    pub(super) async fn fresh(&self, collection: Collection, name: &FullName) -> Result<Option<Arc<Entry>>, Error> {
        let ticket = self.cache.ticket(name);
        let Some(stored) = self.entities.get(name).await? else {
            return Ok(None);
        };
        if stored.value.collection() != collection {
            return Err(Error::Conflict(CONFORMANCE.into()));
        }
        Ok(Some(self.cache.fill(name, stored, ticket)))
    }

    /// What a PUT finds under its name. Errors: 409 when something is there and may not be replaced.
    pub(super) async fn to_put(
        &self,
        collection: Collection,
        name: &FullName,
        overwrite: Overwrite,
    ) -> Result<Option<Arc<Entry>>, Error> {
        match (self.fresh(collection, name).await?, overwrite) {
            (Some(_), Overwrite::Refused) => Err(Error::Conflict("resource already exists".into())),
            (found, Overwrite::Allowed | Overwrite::Refused) => Ok(found),
        }
    }

    /// Writes an entity over the revision that was read, or where nothing was. Errors: 409 when that has changed meanwhile.
    pub(super) async fn write(&self, entity: &Entity, over: Option<&Entry>) -> Result<Arc<Entry>, Error> {
        let name = entity.full_name();
        let expected = over.map_or(Expected::Absent, |entry| Expected::Revision(entry.revision.clone()));
        let ticket = self.cache.ticket(&name);
        let stored = match self.entities.put(entity, expected).await {
            Ok(stored) => stored,
            Err(error) => {
                self.cache.forget(&name);
                return Err(error.into());
            }
        };
        let entry = self.cache.written(&name, stored, ticket);
        self.announce(&name).await;
        Ok(entry)
    }

    /// Deletes an entity. Errors: 404 and 409 when it is gone or has changed meanwhile.
    pub(super) async fn erase(&self, name: &FullName, revision: &Revision) -> Result<(), Error> {
        let outcome = self.entities.delete(name, revision).await;
        self.cache.forget(name);
        outcome?;
        self.announce(name).await;
        Ok(())
    }

    /// Tells the other controllers, and the invokers. A message that cannot be sent costs them freshness, not us the write.
    async fn announce(&self, name: &FullName) {
        let key = CacheKey {
            main_id: name.to_string(),
            secondary_id: None,
        };
        let message = Arc::new(CacheInvalidation {
            key,
            instance_id: self.instance(),
        });
        let message = Message::local(Key::None, message);
        if let Err(error) = self
            .bus
            .publish(CACHE_INVALIDATION, message, Durability::Volatile)
            .await
        {
            tracing::warn!(%error, entity = %name, "a change could not be announced");
        }
    }

    /// The name under which this controller signs its announcements.
    fn instance(&self) -> String {
        format!("controller{}", self.config.id)
    }
}

/// Takes in the changes that others announce, until the bus is closed.
pub(super) async fn follow(app: Arc<App>, mut changes: Box<dyn Subscription>) {
    let own = app.instance();
    while let Some(delivery) = changes.next().await {
        if delivery.gap() > 0 {
            tracing::warn!(
                lost = delivery.gap(),
                "announced changes were lost: everything cached is forgotten"
            );
            app.cache.clear();
        }
        match read::<CacheInvalidation>(&delivery) {
            Ok(change) if change.instance_id == own || planted(Bug::IgnoresChanges) => {}
            Ok(change) => match change.key.main_id.parse() {
                Ok(name) => app.cache.forget(&name),
                Err(_) => app.cache.clear(),
            },
            Err(error) => {
                tracing::warn!(%error, "an announced change cannot be read: everything cached is forgotten");
                app.cache.clear();
            }
        }
        delivery.commit();
    }
}
