//! The system catalog: the packages of `/whisk.system` that everybody may use, and how they get there.
//!
//! A folder per package holds the sources of its actions and a manifest with their annotations. [`keep`] installs them
//! through the public API with the system key, so it serves a platform in one process and a job beside a cluster alike. It
//! knows no store, and nothing of how a request travels ([`Api`]).
//!
//! Invariants: what is current is not written, so versions stay; an entity that an operator changed is left alone, and the
//! log says so when there was something newer for it. To tell the two apart each package carries an annotation
//! ([`RECORD`]) with the digests of what was installed.
//!
//! Upstream behaviour honoured: `packages-and-feeds.md` of the compatibility facts, sections 1 and 2.

mod definition;
mod install;
#[cfg(test)]
mod tests;

use std::future::Future;

use serde_json::Value;

pub use definition::{Definition, PackageDefinition, catalog};
pub use install::{Error, Report, install, keep};

/// The annotation of a package that says what was installed.
pub const RECORD: &str = "catalog";

/// The namespace of the catalog.
pub const NAMESPACE: &str = "whisk.system";

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// `null` where the body is no JSON.
    pub body: Value,
}

/// The public API, called with the system key.
pub trait Api: Send + Sync {
    /// Sends a request to `path`, which begins with a slash. Errors: the platform cannot be reached, and why.
    fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> impl Future<Output = Result<Answer, String>> + Send;
}
