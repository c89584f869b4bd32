//! Writes of entities, and who hears of them.
//!
//! A write reads the store afresh rather than the cache, so that what another controller wrote a moment ago is not mistaken
//! for a lost race. It then goes to the store, to this controller's cache, and over the bus to everybody else's. What the bus
//! does not take is announced again until it does; so is a write of which the store has not said whether it took place.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wsk_bus::messages::{CACHE_INVALIDATION, CacheInvalidation, CacheKey, read};
use wsk_bus::{Durability, Key, Message, Subscription};
use wsk_entities::{Collection, Entity, FullName};
use wsk_planted::{Bug, planted};
use wsk_store::{Expected, Revision};

use super::cache::Entry;
use super::entitlement::CONFORMANCE;
use super::underway::to_the_end;
use super::{App, Error};

/// Whether a PUT may replace what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    Allowed,
    Refused,
}

/// Changes that others have not heard of.
#[derive(Debug, Default)]
pub struct Unannounced(Mutex<BTreeSet<String>>);

/// Most changes remembered one by one; beyond it others are told that everything may have changed.
const MOST: usize = 10_000;
/// No entity's name, so that whoever reads it forgets all it knows.
const EVERYTHING: &str = "*";
/// How long a write waits for the bus to take its announcement.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the bus is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// In which everything that is cached is compared with the store once, and the shortest pause between two such looks.
const ROUND: Duration = Duration::from_secs(120);
const BREATH: Duration = Duration::from_millis(20);

impl Unannounced {
    fn add(&self, name: String) {
        let mut names = self.lock();
        if names.len() >= MOST {
            names.clear();
            names.insert(EVERYTHING.to_owned());
        }
        if !names.contains(EVERYTHING) {
            names.insert(name);
        }
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    pub(super) async fn write(self: &Arc<App>, entity: &Entity, over: Option<&Entry>) -> Result<Arc<Entry>, Error> {
        let expected = over.map_or(Expected::Absent, |entry| Expected::Revision(entry.revision.clone()));
        let (app, entity) = (self.clone(), entity.clone());
        to_the_end(async move { app.put(&entity, expected).await }).await
    }

    async fn put(&self, entity: &Entity, expected: Expected) -> Result<Arc<Entry>, Error> {
        let name = entity.full_name();
        let ticket = self.cache.ticket(&name);
        let stored = match self.entities.put(entity, expected).await {
            Ok(stored) => stored,
            Err(error) => {
                self.cache.forget(&name);
                self.announce_unless_refused(&name, &error);
                return Err(error.into());
            }
        };
        let entry = self.cache.written(&name, stored, ticket);
        self.announce(&name).await;
        Ok(entry)
    }

    /// Deletes an entity. Errors: 404 and 409 when it is gone or has changed meanwhile.
    pub(super) async fn erase(self: &Arc<App>, name: &FullName, revision: &Revision) -> Result<(), Error> {
        let (app, name, revision) = (self.clone(), name.clone(), revision.clone());
        to_the_end(async move { app.delete(&name, &revision).await }).await
    }

    async fn delete(&self, name: &FullName, revision: &Revision) -> Result<(), Error> {
        let outcome = self.entities.delete(name, revision).await;
        self.cache.forget(name);
        if let Err(error) = outcome {
            self.announce_unless_refused(name, &error);
            return Err(error.into());
        }
        self.announce(name).await;
        Ok(())
    }

    /// Tells the other controllers, and the invokers; what cannot be sent now is sent later.
    async fn announce(&self, name: &FullName) {
        let published = tokio::time::timeout(PATIENCE, self.publish_change(name.to_string())).await;
        if !matches!(published, Ok(Ok(_))) {
            tracing::warn!(entity = %name, "a change could not be announced; it will be");
            self.work.unannounced.add(name.to_string());
        }
    }

    /// A store that did not answer may have written all the same.
    fn announce_unless_refused(&self, name: &FullName, error: &wsk_store::Error) {
        if error.retryable() {
            self.work.unannounced.add(name.to_string());
        }
    }

    /// Compares what is cached under a name with what is stored.
    async fn look_again(&self, name: &FullName) {
        let Some(entry) = self.cache.peek(name) else { return };
        match self.entities.get(name).await {
            Ok(Some(stored)) if stored.revision == entry.revision => {}
            // Whatever stands in for the database during an outage must not cost what lives through it.
            Err(error) => tracing::debug!(entity = %name, %error, "what is cached cannot be compared with the store"),
            Ok(_) if entry.is_stale() => {}
            Ok(_) => {
                tracing::info!(entity = %name, "what was cached has changed, and nobody has announced it");
                self.cache.forget(name);
            }
        }
    }

    async fn publish_change(&self, main_id: String) -> Result<wsk_bus::Receipt, wsk_bus::Error> {
        let key = CacheKey {
            main_id,
            secondary_id: None,
        };
        let message = Arc::new(CacheInvalidation {
            key,
            instance_id: self.instance(),
        });
        let message = Message::local(Key::None, message);
        self.bus.publish(CACHE_INVALIDATION, message, Durability::Durable).await
    }

    /// The name under which this controller signs its announcements.
    fn instance(&self) -> String {
        format!("controller{}", self.config.id)
    }
}

/// Announces what could not be announced when it happened.
pub(super) async fn announce_again(app: Arc<App>) {
    loop {
        tokio::time::sleep(AGAIN).await;
        let mut left = app.work.unannounced.take().into_iter();
        for name in left.by_ref() {
            if let Err(error) = app.publish_change(name.clone()).await {
                tracing::warn!(%error, "changes still cannot be announced");
                app.work.unannounced.add(name);
                break;
            }
        }
        left.for_each(|name| app.work.unannounced.add(name));
    }
}

/// Takes in the changes that others make, until the bus is closed.
pub(super) async fn follow(app: Arc<App>, changes: Box<dyn Subscription>) {
    tokio::select! {
        biased;
        () = hear(&app, changes) => {}
        () = look_round(&app) => {}
    }
}

/// Finds what has changed unannounced. A controller that is alone hears of everything, being the only one that writes.
async fn look_round(app: &App) {
    if app.config.cluster_size <= 1 {
        return std::future::pending().await;
    }
    loop {
        let names = app.cache.names();
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        if count == 0 {
            tokio::time::sleep(ROUND).await;
        }
        for name in names {
            tokio::time::sleep((ROUND / count).max(BREATH)).await;
            app.look_again(&name).await;
        }
    }
}

async fn hear(app: &App, mut changes: Box<dyn Subscription>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_changes_are_everything() {
        let changes = Unannounced::default();
        (0..MOST).for_each(|n| changes.add(format!("guest/a{n}")));
        changes.add("guest/a0".to_owned());
        changes.add("guest/more".to_owned());
        assert_eq!(changes.take().into_iter().collect::<Vec<_>>(), [EVERYTHING]);
        assert!(EVERYTHING.parse::<FullName>().is_err());
        changes.add("guest/a".to_owned());
        assert_eq!(changes.take().len(), 1, "what was taken is gone");
        assert!(changes.take().is_empty());
    }
}
