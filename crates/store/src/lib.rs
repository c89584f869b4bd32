//! Where entities, subjects, activation records and API routes are kept.
//!
//! # Contract
//!
//! Each trait states intents, not queries of one database; every adapter passes the same suite (`contract`, behind the
//! feature `test-util`).
//!
//! * **Durability.** A write that returned `Ok` survives a crash of this process and of the machine.
//! * **Revisions.** Every stored entity has an opaque [`Revision`] that changes with every write. A write states what it
//!   expects ([`Expected`]); when that does not hold it changes nothing and fails with [`Error::Conflict`]. Two entities of
//!   different collections share one name space: `ns/name` is one document.
//! * **Code apart.** Action code is kept apart from the document: [`EntityStore::get`] answers actions whose code is a
//!   [`wsk_entities::Code::Attached`] reference, and [`EntityStore::code`] loads the text. Lists never load code.
//! * **Order.** Lists run newest first by `updated` (records by `start`), ties broken by name (id) so that pages are stable.
//! * **Idempotence.** Storing a record whose id is there already changes nothing: exactly one record per activation.
//! * **Refusal.** Records are offered again while the failure is [`Error::retryable`]. Any other says that at least one of
//!   those offered is never taken as it is, and holds nothing up: offered one by one the others are taken, and a [`stand_in`]
//!   of the refused one is stored.
//!
//! What is valid and who may ask is decided above this crate; caching too.

mod apis;
#[cfg(any(test, feature = "test-util"))]
pub mod contract;
#[cfg(feature = "couchdb")]
mod couchdb;
mod embedded;
mod error;
#[cfg(any(test, feature = "test-util"))]
mod faulty;
mod metrics;
mod stand_in;

use std::sync::Arc;

use async_trait::async_trait;
use wsk_entities::{
    Activation, ActivationId, ActivationSummary, Attachment, Binding, Collection, Entity, EntityPath, FullName,
    Identity, Namespace, SubjectDocument, Timestamp, UserLimits,
};

pub use apis::{Api, ApiStore, Subscription};
#[cfg(feature = "couchdb")]
pub use couchdb::Config as CouchConfig;
pub use embedded::Config as EmbeddedConfig;
pub use error::Error;
#[cfg(any(test, feature = "test-util"))]
pub use faulty::Faulty;
pub use stand_in::stand_in;

/// Identifies one write of one entity; equal revisions mean equal content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(pub Arc<str>);

/// An entity as read, with the revision it was read at.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    pub value: T,
    pub revision: Revision,
}

/// What a write expects to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Absent,
    Revision(Revision),
}

/// A page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub skip: u64,
    pub limit: u64,
}

/// Which records a list of activations shows. Times are inclusive and compared with `start`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivationFilter {
    /// `action` or `package/action`, compared with [`Activation::filter_name`].
    pub name: Option<String>,
    pub since: Option<Timestamp>,
    pub upto: Option<Timestamp>,
}

/// Which packages of a namespace a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    All,
    /// Published packages that are not bindings, as foreigners see.
    Public,
}

/// Actions, packages, triggers and rules.
#[async_trait]
pub trait EntityStore: Send + Sync {
    /// The entity under this name, whatever its collection. Action code comes as a reference.
    async fn get(&self, name: &FullName) -> Result<Option<Stored<Entity>>, Error>;

    /// The text of a piece of code. Errors: [`Error::Missing`] when an update dropped it meanwhile.
    async fn code(&self, name: &FullName, attachment: &Attachment) -> Result<Arc<str>, Error>;

    /// Writes an entity. Inline code is moved out of the document; attached code must be that of the revision replaced.
    async fn put(&self, entity: &Entity, expected: Expected) -> Result<Stored<Entity>, Error>;

    /// Entities of all namespaces that hold something encrypted, by name, from the one after `after` on.
    async fn sealed(&self, after: Option<&FullName>, limit: u64) -> Result<Vec<Stored<Entity>>, Error>;

    /// Replaces how an entity's parameters are encrypted, and nothing else of it: what it means is the same, so its
    /// place in lists is too, and its revision where the database leaves that to us. Whether it was still at this revision; if not, nothing changes.
    async fn reseal(&self, entity: &Entity, at: &Revision) -> Result<bool, Error>;

    /// Deletes an entity with its code.
    async fn delete(&self, name: &FullName, expected: &Revision) -> Result<(), Error>;

    /// Entities of a collection below a path: a namespace (actions of its packages included) or one package.
    async fn list(
        &self,
        collection: Collection,
        path: &EntityPath,
        visibility: Visibility,
        page: Page,
    ) -> Result<Vec<Entity>, Error>;

    /// How many entities [`EntityStore::list`] would show in all.
    async fn count(&self, collection: Collection, path: &EntityPath, visibility: Visibility) -> Result<u64, Error>;

    /// Bindings of other packages to this one, in any namespace; for deciding what a deletion leaves dangling.
    async fn bindings_to(&self, package: &Binding) -> Result<Vec<FullName>, Error>;
}

/// Subjects, their namespaces and keys, and the limits of namespaces.
#[async_trait]
pub trait SubjectStore: Send + Sync {
    /// The identity of a key pair; none when it is unknown or its subject blocked.
    async fn by_key(&self, uuid: &str, key: &str) -> Result<Option<Identity>, Error>;

    /// The first identity that owns a namespace; none when there is none or its subject is blocked.
    async fn by_namespace(&self, namespace: &Namespace) -> Result<Option<Identity>, Error>;

    async fn subject(&self, subject: &str) -> Result<Option<SubjectDocument>, Error>;

    /// Creates or replaces a subject. Errors: [`Error::Conflict`] when a namespace of it belongs to another key already
    /// in a way that would make a key ambiguous.
    async fn put_subject(&self, document: &SubjectDocument) -> Result<(), Error>;

    /// Whether there was one to delete.
    async fn delete_subject(&self, subject: &str) -> Result<bool, Error>;

    async fn subjects(&self) -> Result<Vec<SubjectDocument>, Error>;

    async fn limits(&self, namespace: &Namespace) -> Result<Option<UserLimits>, Error>;

    async fn put_limits(&self, namespace: &Namespace, limits: &UserLimits) -> Result<(), Error>;

    async fn delete_limits(&self, namespace: &Namespace) -> Result<bool, Error>;

    /// A number that changes whenever subjects or limits changed, also by another process; cheap enough to ask every
    /// second, so that caches of identities need not live for minutes.
    async fn generation(&self) -> Result<u64, Error>;
}

/// Activation records.
#[async_trait]
pub trait ActivationStore: Send + Sync {
    /// Stores records; returns once all are durable. Concurrent calls share one commit.
    ///
    /// # Errors
    /// A retryable one when it is not known which of them were stored; another when one of them is refused for good, whatever
    /// became of the others.
    async fn store(&self, records: Vec<Arc<Activation>>) -> Result<(), Error>;

    async fn get(&self, namespace: &Namespace, id: ActivationId) -> Result<Option<Activation>, Error>;

    async fn summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, Error>;

    async fn records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, Error>;

    async fn count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, Error>;

    /// Whether the record of an activation that was invoked in a namespace is there; for recovery after a crash. An adapter
    /// that finds records by their id alone may disregard the namespace: ids are unique.
    async fn exists(&self, namespace: &Namespace, id: ActivationId) -> Result<bool, Error>;

    /// Applies the configured retention by age and count once; returns how many records went.
    async fn retain(&self, now: Timestamp) -> Result<u64, Error>;
}

/// The three stores of one deployment.
#[derive(Clone)]
pub struct Stores {
    pub entities: Arc<dyn EntityStore>,
    pub subjects: Arc<dyn SubjectStore>,
    pub activations: Arc<dyn ActivationStore>,
}

/// Which adapter keeps the data.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Config {
    Embedded(EmbeddedConfig),
    #[cfg(feature = "couchdb")]
    Couchdb(CouchConfig),
}

impl Config {
    /// Whether several services can share it, as those of a cluster do; if not, what to configure.
    #[cfg(feature = "couchdb")]
    pub fn check_shared(&self) -> Result<(), String> {
        match self {
            Config::Embedded(_) => Err(
                "`store.type` is `embedded`, which is for one process alone: a cluster's services share a `couchdb`"
                    .to_owned(),
            ),
            Config::Couchdb(_) => Ok(()),
        }
    }

    /// What each key means, for the reference of configuration.
    #[cfg(feature = "couchdb")]
    pub const DOCS: &'static [(&'static str, &'static str)] = &[
        ("type", "`couchdb`."),
        (
            "url",
            "Address of the server, `http://host:5984` or `https://host:6984`.",
        ),
        (
            "ca_file",
            "PEM file of the authorities that may have signed the certificate of a server at `https://...`; without it those of this machine.",
        ),
        (
            "username",
            "User that may create databases and design documents, unless they are there.",
        ),
        ("password", "That user's password; never shown."),
        ("prefix", "What the names of the databases begin with."),
        ("timeout_s", "Longest wait for one answer, in seconds."),
        ("batch", "Most records in one bulk write; gateways write none."),
        (
            "retain_ms",
            "Records older than this many milliseconds go; 0 keeps them. Controllers see to it: of no use to other services.",
        ),
        (
            "retain_count",
            "Most records kept; 0 keeps all. Controllers see to it: of no use to other services.",
        ),
    ];

    /// The shape of a cluster: CouchDB with its defaults.
    #[cfg(feature = "couchdb")]
    pub fn cluster() -> Config {
        Config::Couchdb(CouchConfig::default())
    }
}

/// Opens the stores of a configuration. Errors say which file or server, and what to do.
pub async fn open(config: &Config) -> Result<Stores, Error> {
    open_all(config).await.map(|(stores, _)| stores)
}

/// Opens the stores of a configuration, and that of API routes, which only a gateway needs.
pub async fn open_all(config: &Config) -> Result<(Stores, Arc<dyn ApiStore>), Error> {
    match config {
        Config::Embedded(config) => embedded::open(config).await,
        #[cfg(feature = "couchdb")]
        Config::Couchdb(config) => couchdb::open(config).await,
    }
}
