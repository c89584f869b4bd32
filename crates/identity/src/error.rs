//! What can go wrong while finding out who is calling.

/// A failure that says nothing about the caller's key, or a signed identity that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The subject store failed; the caller may well be who they say.
    #[error("the subject store cannot be asked: {0}")]
    Store(#[from] wsk_store::Error),
    /// A shared secret that would protect nothing.
    #[error("the secret shared by gateways and controllers has {0} bytes: use at least {min}", min = crate::signed::MIN_SECRET)]
    WeakSecret(usize),
    /// Not a signed identity of this version.
    #[error("the signed identity cannot be read")]
    Unreadable,
    /// Made with another secret, or changed on the way.
    #[error("the signed identity does not carry our signature: gateway and controller need the same `identity_secret`")]
    Forged,
    /// Too old, or from the future.
    #[error("the gateway's clock is {} s {} the controller's: let both be set by NTP", ahead_ms.unsigned_abs() / 1000, if *ahead_ms < 0 { "behind" } else { "ahead of" })]
    Expired {
        /// How far the gateway's clock is ahead.
        ahead_ms: i64,
    },
}
