//! APIs: which public paths lead where, as their owners described them.
//!
//! # Contract
//!
//! * An API belongs to a tenant (the uuid of a namespace's key) and has one base path; the pair is its name. Its document is
//!   kept as text, unread. Writes state what they expect, as those of entities do, and `Ok` means durable.
//! * Lists run by base path.
//! * Subscriptions hang on an API's id and go with it; a replaced document keeps both.
//! * [`ApiStore::generation`] changes with every write, also of another process, and is cheap to ask for.

use async_trait::async_trait;

use crate::{Error, Expected, Revision, Stored};

/// An API of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    pub tenant: Box<str>,
    /// Begins with a slash.
    pub base_path: Box<str>,
    /// Given when it was created, kept while it lives.
    pub id: Box<str>,
    /// Hosts (`name` or `name:port`) under which its owner reached the platform when writing it: targets that name one of
    /// them are targets on this platform.
    pub hosts: Vec<String>,
    /// The description, JSON.
    pub document: Box<str>,
}

/// A client that may call an API which asks for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub client_id: Box<str>,
    /// SHA-256 of its secret in hexadecimal digits; none where the id alone is enough.
    pub secret: Option<Box<str>>,
}

/// Routes of the API gateway.
#[async_trait]
pub trait ApiStore: Send + Sync {
    /// All APIs of a tenant.
    async fn apis(&self, tenant: &str) -> Result<Vec<Stored<Api>>, Error>;

    /// Creates or replaces an API. Errors: [`Error::Conflict`].
    async fn put_api(&self, api: &Api, expected: Expected) -> Result<Revision, Error>;

    /// Deletes an API with its subscriptions. Errors: [`Error::Conflict`], also when it is gone already.
    async fn delete_api(&self, tenant: &str, base_path: &str, expected: &Revision) -> Result<(), Error>;

    /// Adds or replaces a subscription. Errors: [`Error::Missing`] when there is no such API.
    async fn subscribe(&self, tenant: &str, api: &str, subscription: &Subscription) -> Result<(), Error>;

    /// Whether there was one to remove.
    async fn unsubscribe(&self, tenant: &str, api: &str, client_id: &str) -> Result<bool, Error>;

    /// The subscriptions of an API, by client id.
    async fn subscriptions(&self, tenant: &str, api: &str) -> Result<Vec<Subscription>, Error>;

    /// A number that changes whenever APIs or subscriptions changed.
    async fn generation(&self) -> Result<u64, Error>;
}
