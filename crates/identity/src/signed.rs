//! The identity as a gateway vouches for it.
//!
//! In a cluster the gateway authenticates and the controller believes it: each request carries the outcome with an expiry
//! under an HMAC-SHA256 of a secret that both hold. `v1.` payload `.` tag, the latter two in URL-safe base64. The header
//! must travel on trusted or encrypted links only: it holds the caller's key, which actions may be given.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use wsk_entities::{Identity, Timestamp};

use crate::{Error, Outcome};

/// Name of the header.
pub const HEADER: &str = "x-ferrowhisk-identity";

/// Where a controller says why it does not believe a gateway that asks whether it is ready.
pub const DOUBT: &str = "x-ferrowhisk-doubt";

/// Shortest secret that is accepted, in bytes.
pub const MIN_SECRET: usize = 32;

const VERSION: &str = "v1.";

/// How long a signature is good for: it need only outlive the way to the controller.
const LIFETIME_MS: u64 = 30_000;

/// How far a gateway's clock may be ahead of a controller's. It may be behind by as much and the lifetime of a signature.
const SKEW_MS: u64 = 10_000;

/// Signs and verifies with one shared secret.
#[derive(Clone)]
pub struct Signer {
    keyed: Hmac<Sha256>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Arc<Identity>>,
    expires: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Missing,
    Invalid,
    Known,
}

impl Signer {
    /// Errors: [`Error::WeakSecret`] when it has less than 32 bytes.
    pub fn new(secret: &[u8]) -> Result<Signer, Error> {
        if secret.len() < MIN_SECRET {
            return Err(Error::WeakSecret(secret.len()));
        }
        let keyed = Hmac::new_from_slice(secret).map_err(|_| Error::WeakSecret(secret.len()))?;
        Ok(Signer { keyed })
    }

    /// The header's value for an outcome, good from `now` on for half a minute.
    pub fn sign(&self, outcome: &Outcome, now: Timestamp) -> String {
        let (verdict, identity) = match outcome {
            Outcome::Missing => (Verdict::Missing, None),
            Outcome::Invalid => (Verdict::Invalid, None),
            Outcome::Known(identity) => (Verdict::Known, Some(identity.clone())),
        };
        let payload = Payload {
            verdict,
            identity,
            expires: now.saturating_add(LIFETIME_MS),
        };
        let json = serde_json::to_vec(&payload).expect("identities serialise to JSON");
        let signed = format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(json));
        let tag = self.keyed.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The outcome a gateway found. Errors: [`Error::Unreadable`], [`Error::Forged`], [`Error::Expired`].
    pub fn verify(&self, value: &[u8], now: Timestamp) -> Result<Outcome, Error> {
        let text = std::str::from_utf8(value).map_err(|_| Error::Unreadable)?;
        let (signed, tag) = text.rsplit_once('.').ok_or(Error::Unreadable)?;
        let encoded = signed.strip_prefix(VERSION).ok_or(Error::Unreadable)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| Error::Unreadable)?;
        self.keyed
            .clone()
            .chain_update(signed)
            .verify_slice(&tag)
            .map_err(|_| Error::Forged)?;
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Error::Unreadable)?;
        let payload: Payload = serde_json::from_slice(&json).map_err(|_| Error::Unreadable)?;
        let latest = now.saturating_add(LIFETIME_MS + SKEW_MS);
        if payload.expires.saturating_add(SKEW_MS) < now || payload.expires > latest {
            let signed = payload.expires.saturating_sub(LIFETIME_MS);
            let ahead_ms = i64::try_from(signed).unwrap_or(i64::MAX) - i64::try_from(now).unwrap_or(i64::MAX);
            return Err(Error::Expired { ahead_ms });
        }
        match (payload.verdict, payload.identity) {
            (Verdict::Known, Some(identity)) => Ok(Outcome::Known(identity)),
            (Verdict::Missing, None) => Ok(Outcome::Missing),
            (Verdict::Invalid, None) => Ok(Outcome::Invalid),
            (Verdict::Known, None) | (Verdict::Missing | Verdict::Invalid, Some(_)) => Err(Error::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsk_entities::{Namespace, UserLimits};

    const NOW: Timestamp = 1_700_000_000_000;

    fn signer() -> Signer {
        Signer::new(&[7; 32]).unwrap()
    }

    fn known() -> Outcome {
        let limits = UserLimits {
            invocations_per_minute: Some(5),
            ..UserLimits::default()
        };
        let namespace = Namespace::new("guest").unwrap();
        Outcome::Known(Arc::new(Identity::new(
            "guest",
            namespace,
            "some-uuid",
            "some-key",
            limits,
        )))
    }

    #[test]
    fn every_outcome_comes_back_as_it_was() {
        for outcome in [known(), Outcome::Missing, Outcome::Invalid] {
            let header = signer().sign(&outcome, NOW);
            assert_eq!(signer().verify(header.as_bytes(), NOW).unwrap(), outcome);
        }
    }

    #[test]
    fn it_expires_with_some_tolerance_for_clocks() {
        let header = signer().sign(&known(), NOW);
        let at = |now| signer().verify(header.as_bytes(), now);
        assert!(at(NOW + LIFETIME_MS + SKEW_MS).is_ok());
        assert!(matches!(
            at(NOW + LIFETIME_MS + SKEW_MS + 1),
            Err(Error::Expired { ahead_ms: -40_001 })
        ));
        assert!(at(NOW - SKEW_MS).is_ok(), "the gateway's clock may be ahead");
        let text = at(NOW - SKEW_MS - 1).unwrap_err().to_string();
        assert_eq!(
            text,
            "the gateway's clock is 10 s ahead of the controller's: let both be set by NTP"
        );
    }

    #[test]
    fn no_byte_can_be_changed() {
        let header = signer().sign(&known(), NOW);
        for place in 0..header.len() {
            let mut forged = header.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            assert!(signer().verify(&forged, NOW).is_err(), "byte {place}");
        }
        let unsigned = header.rsplit_once('.').unwrap().0;
        for shortened in ["", ".", "v1.", "v1..", unsigned, &format!("{unsigned}.")] {
            assert!(signer().verify(shortened.as_bytes(), NOW).is_err(), "{shortened:?}");
        }
    }

    #[test]
    fn another_secret_is_another_signature() {
        let header = signer().sign(&known(), NOW);
        let other = Signer::new(&[8; 32]).unwrap();
        assert!(matches!(other.verify(header.as_bytes(), NOW), Err(Error::Forged)));
        assert!(matches!(Signer::new(&[7; 31]), Err(Error::WeakSecret(31))));
    }
}
