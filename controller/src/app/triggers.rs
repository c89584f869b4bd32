//! Triggers.

use std::sync::Arc;

use wsk_entities::requests::TriggerPut;
use wsk_entities::{Collection, Entity, FullName, Trigger, TriggerLimits, Version, is_path};

use super::cache::{Entry, Value};
use super::changes::Overwrite;
use super::entitlement::CONFORMANCE;
use super::secrets::veiled;
use super::{App, Error, now};

/// Names the action that feeds a trigger; the platform only checks that it could be one.
const FEED_ANNOTATION: &str = "feed";

impl App {
    /// The trigger stored under this name. Errors: 404, and 409 for an entity of another collection.
    pub async fn get_trigger(&self, name: &FullName) -> Result<Arc<Trigger>, Error> {
        let entry = self.find(name).await?.ok_or(Error::Missing)?;
        let trigger = trigger_of(&entry).ok_or_else(|| Error::Conflict(CONFORMANCE.into()))?;
        self.shown_trigger(trigger)
    }

    /// Creates or updates a trigger. The caller owns the namespace.
    pub async fn put_trigger(
        self: &Arc<App>,
        name: &FullName,
        overwrite: Overwrite,
        put: TriggerPut,
    ) -> Result<Arc<Trigger>, Error> {
        let found = self.to_put(Collection::Triggers, name, overwrite).await?;
        let stored = found.as_deref().and_then(trigger_of);
        let mut trigger = match stored {
            Some(stored) => updated(stored, put),
            None => created(name, put)?,
        };
        let before = stored.map(|stored| &stored.parameters);
        trigger.parameters = self.sealed(trigger.parameters, before, &trigger.annotations)?;
        let entry = self.write(&Entity::Trigger(trigger), found.as_deref()).await?;
        self.shown_trigger(trigger_of(&entry).expect("a trigger was written"))
    }

    /// Deletes a trigger and gives it back. Its rules stay, inactive. The caller owns the namespace.
    pub async fn delete_trigger(self: &Arc<App>, name: &FullName) -> Result<Arc<Trigger>, Error> {
        let entry = self.fresh(Collection::Triggers, name).await?.ok_or(Error::Missing)?;
        self.erase(name, &entry.revision).await?;
        let trigger = trigger_of(&entry).expect("triggers were asked for");
        Ok(Arc::new(Trigger {
            parameters: veiled(&trigger.parameters),
            ..(**trigger).clone()
        }))
    }
}

/// The trigger that an entry is, if it is one.
pub(super) fn trigger_of(entry: &Entry) -> Option<&Arc<Trigger>> {
    match &entry.value {
        Value::Trigger(trigger) => Some(trigger),
        Value::Action(_) | Value::Rule(_) | Value::Package(_) => None,
    }
}

fn created(name: &FullName, put: TriggerPut) -> Result<Trigger, Error> {
    let annotations = put.annotations.unwrap_or_default();
    if let Some(feed) = annotations.get(FEED_ANNOTATION)
        && !feed.string().is_some_and(|feed| is_path(&feed))
    {
        return Err(Error::Rejected("Feed name is not valid".into()));
    }
    Ok(Trigger {
        namespace: name.path.clone(),
        name: name.name.clone(),
        version: put.version.unwrap_or(Version::FIRST),
        publish: put.publish.unwrap_or(false),
        updated: now(),
        parameters: put.parameters.unwrap_or_default(),
        annotations,
        limits: TriggerLimits::default(),
        rules: None,
    })
}

fn updated(stored: &Trigger, put: TriggerPut) -> Trigger {
    Trigger {
        namespace: stored.namespace.clone(),
        name: stored.name.clone(),
        version: put.version.unwrap_or_else(|| stored.version.next()),
        publish: put.publish.unwrap_or(stored.publish),
        updated: now(),
        parameters: put.parameters.unwrap_or_else(|| stored.parameters.clone()),
        annotations: put.annotations.unwrap_or_else(|| stored.annotations.clone()),
        limits: TriggerLimits::default(),
        rules: stored.rules.clone(),
    }
}
