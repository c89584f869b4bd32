//! The calls that all commands make: storing with patience, deleting what is there, the feed protocol.

use std::time::Duration;

use serde_json::{Map, Value, json};
use wsk_client::{Client, Invocation, Overwrite, Wait};

use super::entities::Put;
use super::refused;
use crate::failure::{Failure, Usage};
use crate::json::{key_value, text};
use crate::names::QualifiedName;

/// How often a write that lost a race is tried again, and how long after.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// A collection of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Package,
    Action,
    Trigger,
    Rule,
}

/// What happens to the source behind a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeCycle {
    Create,
    Read,
    Delete,
}

/// A platform and a namespace on it.
#[derive(Clone, Copy)]
pub struct Platform<'a> {
    pub client: &'a Client,
    pub namespace: &'a str,
    pub auth: &'a str,
}

impl Sort {
    pub fn name(self) -> &'static str {
        match self {
            Sort::Package => "package",
            Sort::Action => "action",
            Sort::Trigger => "trigger",
            Sort::Rule => "rule",
        }
    }
}

impl<'a> Platform<'a> {
    pub fn collection(&self, sort: Sort) -> wsk_client::Collection<'a> {
        match sort {
            Sort::Package => self.client.packages(self.namespace),
            Sort::Action => self.client.actions(self.namespace),
            Sort::Trigger => self.client.triggers(self.namespace),
            Sort::Rule => self.client.rules(self.namespace),
        }
    }

    /// Stores a document over whatever is there.
    pub async fn put(&self, sort: Sort, put: &Put) -> Result<(), Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let stored = self.collection(sort).put(&put.name, Overwrite::Yes, &put.body).await;
            match stored {
                Ok(_) => return Ok(()),
                Err(error) if attempt <= ATTEMPTS && lost_a_race(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(failed("create", sort, &put.name, &error)),
            }
        }
    }

    /// The stored document; nothing when there is none.
    pub async fn get(&self, sort: Sort, name: &str) -> Result<Option<Value>, Failure> {
        let got = match sort {
            Sort::Action => {
                self.client
                    .action(self.namespace, name, wsk_client::Code::Without)
                    .await
            }
            Sort::Package | Sort::Trigger | Sort::Rule => self.collection(sort).get(name).await,
        };
        match got {
            Ok(document) => Ok(Some(document)),
            Err(error) if error.not_found() => Ok(None),
            Err(error) => Err(failed("get", sort, name, &error)),
        }
    }

    /// Deletes what is there; what is not is no mistake.
    pub async fn delete(&self, sort: Sort, name: &str) -> Result<(), Failure> {
        match self.collection(sort).delete(name).await {
            Ok(()) => Ok(()),
            Err(error) if error.not_found() => Ok(()),
            Err(error) => Err(failed("delete", sort, name, &error)),
        }
    }

    /// Deletes a trigger after its feed was told; a feed that fails does not keep the trigger.
    pub async fn delete_trigger(&self, name: &str) -> Result<(), Failure> {
        let Some(trigger) = self.get(Sort::Trigger, name).await? else {
            return Ok(());
        };
        if let Some(feed) = key_value(trigger.get("annotations"), "feed").and_then(Value::as_str) {
            let _ = self.feed(feed, LifeCycle::Delete, name, &Map::new()).await;
        }
        self.delete(Sort::Trigger, name).await
    }

    /// One call of the feed protocol; gives the feed's result.
    pub async fn feed(
        &self,
        feed: &str,
        event: LifeCycle,
        trigger: &str,
        parameters: &Map<String, Value>,
    ) -> Result<Value, Failure> {
        let feed = QualifiedName::parse(feed)?;
        let mut payload = parameters.clone();
        let event = match event {
            LifeCycle::Create => "CREATE",
            LifeCycle::Read => "READ",
            LifeCycle::Delete => "DELETE",
        };
        payload.insert("lifecycleEvent".to_owned(), json!(event));
        payload.insert(
            "triggerName".to_owned(),
            json!(format!("/{}/{trigger}", self.namespace)),
        );
        payload.insert("authKey".to_owned(), json!(self.auth));
        let (namespace, payload) = (&feed.namespace, Value::Object(payload));
        let broken = |why: &dyn std::fmt::Display| {
            let text = format!("Unable to configure feed '{feed}' of trigger '{trigger}': {why}");
            refused("ERROR_WHISK_CLIENT_ERROR", text)
        };
        let called = self
            .client
            .invoke(namespace, &feed.entity, &payload, Wait::ForRecord)
            .await;
        match called.map_err(|error| broken(&error))? {
            Invocation::Done(record) => Ok(record.pointer("/response/result").cloned().unwrap_or_default()),
            Invocation::Failed { body, .. } => {
                let result = body.pointer("/response/result/error").unwrap_or(&body);
                Err(broken(result))
            }
            Invocation::Accepted { id } | Invocation::Unfinished { id } => {
                Err(broken(&format!("activation {id} was not finished in time")))
            }
        }
    }
}

fn lost_a_race(error: &wsk_client::Error) -> bool {
    error.status() == Some(409) && error.to_string().contains("Concurrent modification")
}

fn failed(verb: &str, sort: Sort, name: &str, error: &wsk_client::Error) -> Failure {
    let attempted = format!("[ERROR_WHISK_CLIENT_ERROR]: Unable to {verb} {} '{name}'", sort.name());
    Failure::call(&attempted, error, Usage::Hidden)
}

/// The name of a stored action within its namespace: `package/name` when it is in a package.
pub fn own_name(document: &Value) -> String {
    match text(document, "namespace").split_once('/') {
        Some((_, package)) => format!("{package}/{}", text(document, "name")),
        None => text(document, "name").to_owned(),
    }
}
