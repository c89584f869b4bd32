//! From the raw command line to a command, with the manners of OpenWhisk's `wsk`.
//!
//! clap parses the flags of one leaf command; around it stand the pass for `KEY VALUE` operands ([`prepass`]), the
//! search for the leaf ([`find`]), which lets global flags stand anywhere, and the translation of clap's errors into
//! the texts scripts know ([`refusal`]).

pub mod find;
pub mod flags;
pub mod help;
pub mod positionals;
pub mod prepass;
pub mod refusal;

pub use flags::{Globals, tuned};
pub use positionals::Positionals;
