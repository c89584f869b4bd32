//! Client of the public REST API: what `wsk` and the event providers use to talk to a platform.
//!
//! **Responsible for** building request lines, credentials and bodies exactly as OpenWhisk's own clients do, following
//! redirects, and sorting answers into the few outcomes a caller can act on ([`Error`], [`Invocation`]).
//!
//! **Leaves to others**: configuration (the caller hands in a [`Config`]), retries, and what to show to a person.
//!
//! **Invariants**: a document that is only passed on keeps every field and every digit (numbers are never read as
//! floating point); nothing here reads the environment or a file; a request has no time limit of its own, because a
//! blocking invocation ends when the platform says so.
//!
//! **Upstream behaviour honoured**: an error body counts only when it has both `error` and `code`; a `502` without
//! `code` is the result of an action, not a fault of the platform; everything else is "connection failed".

mod apis;
mod call;
mod collection;
mod config;
mod connector;
mod error;
mod exchange;
mod follow;
mod invoke;
mod platform;
mod records;
mod tls;
mod transport;

pub use apis::{ApiQuery, ApiTenant};
pub use collection::{Code, Collection, Overwrite, Page, RuleState};
pub use config::{Config, Credentials, Identity, Proxies};
pub use error::Error;
pub use exchange::{Event, Observer};
pub use follow::{Follower, Heard};
pub use invoke::{Invocation, Wait};
pub use platform::BuildInfo;
pub use records::{ActivationQuery, Cancelled};
pub use transport::Client;

/// What a call gives back.
pub type Result<T> = std::result::Result<T, Error>;
