//! How secret parameters are kept: sealed under keys of the operator, opened right before their action runs.
//!
//! [`Vault`] holds the keys: the first seals, all of them open. [`seal`] says which parameters of an entity are sealed.
//! Nothing here knows who may read what, or when an action runs; that is the controller's and the invoker's.
//!
//! **Invariants.** A clear value leaves only through [`Vault::open`], in memory that is wiped when it is dropped. A value
//! that was changed, or whose key is not there, opens as nothing: the error names the key and where keys are configured,
//! never the value. Keys never print.
//!
//! **Upstream behaviour honoured.** The stored shape is OpenWhisk's: `encryption` names the algorithm (`aes-256`,
//! `aes-128`), the value is the base64 of `length of iv ‖ iv ‖ AES-GCM ciphertext` over the compact JSON. Either platform
//! opens what the other sealed with the same key. The iv of ours begins with the id of its key; the rest is random.

mod config;
mod error;
mod file;
mod key;
mod parameters;
mod vault;

pub use config::Config;
pub use error::Error;
pub use key::{Key, KeyId};
pub use parameters::{ANNOTATION, Scope, open, reseal, seal, shown, veil, wanted};
pub use vault::{Keys, Sealed, Vault, key_id};

pub use zeroize::Zeroizing;
