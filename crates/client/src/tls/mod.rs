//! Encryption, where the build has it. Both variants have the same face: a client side made from the configuration,
//! and a handshake on a fresh connection.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod present;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::Client;
#[cfg(feature = "tls")]
pub(crate) use present::Client;
