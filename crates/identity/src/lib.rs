//! Who is calling.
//!
//! [`Authenticator`] turns an `Authorization` header into an [`Identity`] through the subject store and remembers the
//! answer; [`Signer`] carries that answer from a gateway to a controller; [`new_key`] makes keys. What a caller may do,
//! and what a refusal looks like, is decided above.
//!
//! Invariants: secrets are compared in constant time; only keys that the store vouched for are remembered, a bounded
//! number of them; a subject that was changed, blocked or deleted is noticed within two seconds, also when another
//! process did it (OpenWhisk takes up to five minutes).

mod authenticator;
mod error;
mod header;
mod keys;
mod metrics;
mod signed;

use std::sync::Arc;

use wsk_entities::Identity;

pub use authenticator::{Authenticator, Config};
pub use error::Error;
pub use keys::new_key;
pub use signed::{DOUBT, HEADER, Signer};

/// What an `Authorization` header says about its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There is none, or none that is Basic authentication.
    Missing,
    /// Malformed, unknown or blocked: nobody is told which.
    Invalid,
    Known(Arc<Identity>),
}

impl Outcome {
    /// The identity, if there is one.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Outcome::Known(identity) => Some(identity),
            Outcome::Missing | Outcome::Invalid => None,
        }
    }
}
