//! Frozen identities. While a cluster is upgraded, a controller believes gateways of the version before its own, and of the one
//! after it; so for each header that `golden/previous`, which is what the release before this one signs, holds:
//!
//! * today's code believes it, also with fields in it that nobody here knows;
//! * what today's code signs for the same outcome has every field of it, unchanged, in the same envelope.
//!
//! How to change a message is in `docs/how-to/change-a-message.md`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use wsk_identity::{Outcome, Signer};

/// What the golden headers are signed with, and when.
const SECRET: &[u8] = b"the secret of the golden headers, in a test";
const NOW: u64 = 1_733_000_000_000;

fn header(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/previous/{name}.txt"));
    std::fs::read_to_string(file).unwrap().trim_end().to_owned()
}

fn verified(header: &str) -> Outcome {
    Signer::new(SECRET).unwrap().verify(header.as_bytes(), NOW).unwrap()
}

/// What a header says, and until when; its envelope is taken apart by hand.
fn payload(header: &str) -> (Value, u64) {
    let [version, encoded, tag]: [&str; 3] = header.split('.').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((version, tag.len()), ("v1", 43));
    let mut payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap();
    let expires = payload.as_object_mut().unwrap().remove("expires").unwrap();
    (payload, expires.as_u64().unwrap())
}

fn sign(payload: &Value) -> String {
    let signed = format!("v1.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
    let tag = Hmac::<Sha256>::new_from_slice(SECRET).unwrap().chain_update(&signed);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.finalize().into_bytes()))
}

/// Whether `written` has all of `golden`; more is welcome.
fn holds(golden: &Value, written: &Value) -> bool {
    match (golden, written) {
        (Value::Object(golden), Value::Object(written)) => golden
            .iter()
            .all(|(key, value)| written.get(key).is_some_and(|written| holds(value, written))),
        _ => golden == written,
    }
}

#[test]
fn what_the_previous_version_signed_is_believed_and_signed_again() {
    for name in ["known", "missing", "invalid"] {
        let golden = header(name);
        let outcome = verified(&golden);
        match (name, &outcome) {
            ("known", Outcome::Known(identity)) => {
                assert_eq!(
                    (&*identity.subject, identity.namespace.name.as_str()),
                    ("guest", "guest")
                );
                assert_eq!(identity.limits.invocations_per_minute, Some(10));
            }
            ("missing", Outcome::Missing) | ("invalid", Outcome::Invalid) => {}
            _ => panic!("{name} has become {outcome:?}"),
        }
        let written = Signer::new(SECRET).unwrap().sign(&outcome, NOW);
        let ((golden, until), (written, expires)) = (payload(&golden), payload(&written));
        assert!(holds(&golden, &written), "{name} has become {written:#}");
        assert!(
            NOW < expires && expires <= until,
            "the previous version takes no word for longer"
        );
    }
}

#[test]
fn fields_that_nobody_knows_change_nothing() {
    for name in ["known", "missing", "invalid"] {
        let golden = header(name);
        let (mut strange, expires) = payload(&golden);
        strange["expires"] = json!(expires);
        strange["strange"] = json!({"from": "the future"});
        if let Some(identity) = strange.get_mut("identity") {
            for part in ["namespace", "authkey", "limits"] {
                identity[part]["strange"] = json!(["from the future"]);
            }
            identity["strange"] = json!(true);
        }
        assert_eq!(verified(&sign(&strange)), verified(&golden), "{name}");
    }
}
