//! Signatures of webhooks: an opt-in of ours, the annotation `webhook-signature` of a web action.
//!
//! `{"scheme": "slack" | "github", "parameter": "NAME"}` names the bound parameter that holds the signing secret;
//! `"secret": "…"` instead of `parameter` gives it in place, where everybody who can list the action reads it. A request
//! whose body was not signed with the secret, or that was signed more than five minutes ago (Slack), is refused before
//! anything runs. An annotation that cannot be understood admits nobody.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use wsk_entities::{Json, Parameters, Timestamp};

/// The annotation.
pub const ANNOTATION: &str = "webhook-signature";
/// Slack's requests are good for so long, in seconds.
const FRESH: u64 = 300;

/// What of a request its sender signed.
#[derive(Debug, Default)]
pub struct Signed<'a> {
    /// `x-slack-signature`.
    pub slack: Option<&'a str>,
    /// `x-slack-request-timestamp`, in seconds.
    pub slack_time: Option<&'a str>,
    /// `x-hub-signature-256`.
    pub github: Option<&'a str>,
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct Requirement {
    scheme: Scheme,
    parameter: Option<String>,
    secret: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    Slack,
    Github,
}

impl Signed<'_> {
    /// Whether the request satisfies the annotation's value.
    pub fn satisfies(&self, annotation: &Json, parameters: &Parameters, now: Timestamp) -> bool {
        self.judged(annotation, parameters, now).unwrap_or(false)
    }

    fn judged(&self, annotation: &Json, parameters: &Parameters, now: Timestamp) -> Option<bool> {
        let requirement: Requirement = serde_json::from_str(annotation.as_str()).ok()?;
        let bound = requirement.parameter.and_then(|name| parameters.get(&name)?.string());
        let secret = bound.or(requirement.secret).filter(|secret| !secret.is_empty())?;
        match requirement.scheme {
            Scheme::Github => {
                let signature = self.github?.strip_prefix("sha256=")?;
                Some(is_signed(&secret, &[self.body], signature))
            }
            Scheme::Slack => {
                let (signature, time) = (self.slack?.strip_prefix("v0=")?, self.slack_time?);
                let age = (now / 1000).abs_diff(time.parse().ok()?);
                let parts = [b"v0:", time.as_bytes(), b":", self.body];
                Some(age <= FRESH && is_signed(&secret, &parts, signature))
            }
        }
    }
}

/// Compares in a time that does not depend on the content.
fn is_signed(secret: &str, parts: &[&[u8]], signature: &str) -> bool {
    let Some(expected) = from_hex(signature) else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length are taken");
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(&expected).is_ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8);
    text.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsk_entities::Parameter;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    fn bound(key: &str, value: &str) -> Parameters {
        Parameters::from_iter([Parameter::new(key, Json::from(value))])
    }

    /// The example of GitHub's documentation of webhook signatures.
    #[test]
    fn githubs_signature_is_checked() {
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let signed = |signature, body| Signed {
            github: Some(signature),
            body,
            ..Signed::default()
        };
        let annotation = json(r#"{"scheme":"github","parameter":"secret"}"#);
        let parameters = bound("secret", "It's a Secret to Everybody");
        assert!(signed(signature, b"Hello, World!").satisfies(&annotation, &parameters, 0));
        assert!(!signed(signature, b"Hello, World?").satisfies(&annotation, &parameters, 0));
        assert!(!signed(&signature[..40], b"Hello, World!").satisfies(&annotation, &parameters, 0));
        assert!(!signed("sha256=zz", b"Hello, World!").satisfies(&annotation, &parameters, 0));
        assert!(!signed(signature, b"Hello, World!").satisfies(&annotation, &bound("other", "x"), 0));
    }

    /// The example of Slack's documentation of request signing.
    #[test]
    fn slacks_signature_is_checked_and_grows_old() {
        let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signed = Signed {
            slack: Some("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
            slack_time: Some("1531420618"),
            body,
            ..Signed::default()
        };
        let annotation = json(r#"{"scheme":"slack","secret":"8f742231b10e8888abcd99yyyzzz85a5"}"#);
        let at = |seconds: u64| signed.satisfies(&annotation, &Parameters::new(), seconds * 1000);
        assert!(at(1_531_420_618) && at(1_531_420_918) && at(1_531_420_318));
        assert!(!at(1_531_420_919) && !at(1_531_420_317));
    }

    #[test]
    fn what_cannot_be_understood_admits_nobody() {
        let signed = Signed {
            github: Some("sha256="),
            ..Signed::default()
        };
        for annotation in [
            "true",
            "{}",
            r#"{"scheme":"other","secret":"x"}"#,
            r#"{"scheme":"github","secret":""}"#,
        ] {
            assert!(
                !signed.satisfies(&json(annotation), &Parameters::new(), 0),
                "{annotation}"
            );
        }
    }
}
