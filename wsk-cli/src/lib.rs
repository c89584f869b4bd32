//! The command line of the platform: `wsk`, compatible with OpenWhisk's, and `wskadmin`.
//!
//! **Responsible for** flags, operands, files and properties as OpenWhisk's own programs take them; for the texts,
//! columns and exit codes that scripts rely on.
//!
//! **Leaves to others**: the wire (`wsk-client`), the rules about names, limits and runtimes (the platform), and the
//! subjects database (`wsk-store`, for `wskadmin` alone).
//!
//! **Invariants**: only [`output`] prints, only [`props`] reads the environment, only [`exit`] knows exit codes; a
//! number typed or received keeps its digits; a closed pipe is a success.
//!
//! **Upstream behaviour honoured**: everything in its command-line reference, quirks included, because scripts grew
//! around them; the few places where we are better say so at the spot.

pub mod admin;
pub mod args;
pub mod commands;
pub mod context;
pub mod documents;
pub mod exit;
pub mod failure;
pub mod files;
pub mod json;
pub mod lists;
pub mod names;
pub mod output;
pub mod pairs;
pub mod props;
pub mod times;
pub mod verbose;
mod wsk;
pub mod yaml;

pub use wsk::run;
