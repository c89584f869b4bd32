//! Which annotations an action is sent with, when `--web` and `--web-secure` have a say.

use rand::RngExt as _;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::json::{key_value, text};

pub const WEB_EXPORT: &str = "web-export";
const RAW_HTTP: &str = "raw-http";
const FINAL: &str = "final";
pub const SECRET: &str = "require-whisk-auth";

/// What `--web` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Web {
    Exported,
    Raw,
    Off,
}

/// What `--web-secure` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secure {
    Generated,
    Given(String),
    Off,
}

/// What the user typed about annotations.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// From `-a` and `-A`, and copied ones behind them.
    pub own: Vec<Value>,
    pub web: Option<Web>,
    pub secure: Option<Secure>,
    pub deleted: Vec<String>,
}

/// What is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    pub annotations: Vec<Value>,
    pub deleted: Vec<String>,
}

impl Web {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text.to_lowercase().as_str() {
            "yes" | "true" => Ok(Self::Exported),
            "raw" => Ok(Self::Raw),
            "no" | "false" => Ok(Self::Off),
            _ => Err(Failure::input(format!(
                "Invalid argument '{text}' for --web flag. Valid input consist of 'yes', 'true', 'raw', 'false', or 'no'."
            ))),
        }
    }

    fn annotations(self) -> [Value; 3] {
        let (exported, raw) = match self {
            Self::Exported => (true, false),
            Self::Raw => (true, true),
            Self::Off => (false, false),
        };
        [
            entry(WEB_EXPORT, exported.into()),
            entry(RAW_HTTP, raw.into()),
            entry(FINAL, exported.into()),
        ]
    }
}

impl Secure {
    pub fn parse(text: &str) -> Self {
        match text.to_lowercase().as_str() {
            "true" => Self::Generated,
            "false" => Self::Off,
            _ => Self::Given(text.to_owned()),
        }
    }
}

impl Wishes {
    /// Combines the wishes with what the action has now (`None` for one that does not exist or is being created).
    pub fn resolve(self, existing: Option<&Value>) -> Result<Sent, Failure> {
        let Self {
            own,
            web,
            secure,
            deleted,
        } = self;
        if web.is_none() && secure.is_none() {
            return Ok(Sent {
                annotations: own,
                deleted,
            });
        }
        let mut sent = Sent {
            annotations: carried(own, web, existing),
            deleted,
        };
        if let Some(web) = web {
            sent.annotations
                .retain(|entry| ![WEB_EXPORT, RAW_HTTP, FINAL].contains(&text(entry, "key")));
            sent.annotations.extend(web.annotations());
        }
        if let Some(secure) = secure {
            require_web(&sent.annotations, web, existing)?;
            apply_secret(&mut sent, secure, existing);
        }
        Ok(sent)
    }
}

/// The user's annotations, or all existing ones when there are none; an update never forgets the secret.
fn carried(own: Vec<Value>, web: Option<Web>, existing: Option<&Value>) -> Vec<Value> {
    let existing = existing.and_then(Value::as_array).cloned().unwrap_or_default();
    if own.is_empty() {
        return existing;
    }
    let kept: &[&str] = match web {
        Some(_) => &[SECRET],
        None => &[WEB_EXPORT, RAW_HTTP, FINAL, SECRET],
    };
    let named = |list: &[Value], key: &str| list.iter().any(|entry| text(entry, "key") == key);
    let kept = existing.into_iter().filter(|entry| {
        let key = text(entry, "key");
        kept.contains(&key) && !named(&own, key)
    });
    let kept: Vec<Value> = kept.collect();
    own.into_iter().chain(kept).collect()
}

fn require_web(sent: &[Value], web: Option<Web>, existing: Option<&Value>) -> Result<(), Failure> {
    let exported = |list: Option<&Value>| key_value(list, WEB_EXPORT) == Some(&Value::Bool(true));
    let sent = Value::Array(sent.to_vec());
    let allowed = exported(Some(&sent)) || (web != Some(Web::Off) && exported(existing));
    match allowed {
        true => Ok(()),
        false => Err(Failure::input(
            "The --web-secure option is only valid when the --web option is enabled.",
        )),
    }
}

fn apply_secret(sent: &mut Sent, secure: Secure, existing: Option<&Value>) {
    let current = key_value(existing, SECRET);
    sent.annotations.retain(|entry| text(entry, "key") != SECRET);
    let value = match secure {
        Secure::Generated => match current.filter(|value| value.is_u64() || value.is_i64()) {
            Some(number) => number.clone(),
            None => json!(rand::rng().random_range(0..(1u64 << 53))),
        },
        Secure::Given(secret) => json!(secret),
        Secure::Off if current.is_some_and(|value| *value != Value::Bool(false)) => {
            sent.deleted.push(SECRET.to_owned());
            return;
        }
        Secure::Off => json!(false),
    };
    sent.annotations.push(entry(SECRET, value));
}

fn entry(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, Value)]) -> Value {
        Value::Array(entries.iter().map(|(key, value)| entry(key, value.clone())).collect())
    }

    fn keys(sent: &Sent) -> Vec<String> {
        sent.annotations
            .iter()
            .map(|entry| format!("{}={}", text(entry, "key"), entry["value"]))
            .collect()
    }

    fn own(key: &str) -> Vec<Value> {
        vec![entry(key, json!("v"))]
    }

    #[test]
    fn web_values() {
        let cases = [
            (
                "tRue",
                Web::Exported,
                ["web-export=true", "raw-http=false", "final=true"],
            ),
            ("raw", Web::Raw, ["web-export=true", "raw-http=true", "final=true"]),
            ("NO", Web::Off, ["web-export=false", "raw-http=false", "final=false"]),
        ];
        for (typed, web, expected) in cases {
            assert_eq!(Web::parse(typed).unwrap(), web);
            let sent = Wishes {
                web: Some(web),
                ..Wishes::default()
            }
            .resolve(None)
            .unwrap();
            assert_eq!(keys(&sent), expected);
        }
        assert!(Web::parse("bogus").is_err());
    }

    #[test]
    fn an_update_without_annotations_resends_the_old_ones() {
        let existing = list(&[("x", json!(1)), (WEB_EXPORT, json!(false))]);
        let sent = Wishes {
            web: Some(Web::Exported),
            ..Wishes::default()
        }
        .resolve(Some(&existing))
        .unwrap();
        assert_eq!(keys(&sent), ["x=1", "web-export=true", "raw-http=false", "final=true"]);
    }

    #[test]
    fn an_update_with_annotations_sends_only_those_and_the_secret() {
        let existing = list(&[("x", json!(1)), (SECRET, json!(7)), (WEB_EXPORT, json!(true))]);
        let wishes = Wishes {
            own: own("k"),
            web: Some(Web::Exported),
            ..Wishes::default()
        };
        let sent = wishes.resolve(Some(&existing)).unwrap();
        assert_eq!(
            keys(&sent),
            [
                "k=\"v\"",
                "require-whisk-auth=7",
                "web-export=true",
                "raw-http=false",
                "final=true"
            ]
        );

        let wishes = Wishes {
            own: own("k"),
            secure: Some(Secure::Given("s".into())),
            ..Wishes::default()
        };
        let sent = wishes.resolve(Some(&existing)).unwrap();
        assert_eq!(keys(&sent), ["k=\"v\"", "web-export=true", "require-whisk-auth=\"s\""]);
    }

    #[test]
    fn a_generated_secret_is_kept_when_it_is_an_integer() {
        let existing = list(&[(WEB_EXPORT, json!(true)), (SECRET, json!(7))]);
        let wishes = || Wishes {
            secure: Some(Secure::Generated),
            ..Wishes::default()
        };
        assert_eq!(
            keys(&wishes().resolve(Some(&existing)).unwrap()),
            ["web-export=true", "require-whisk-auth=7"]
        );

        let existing = list(&[(WEB_EXPORT, json!(true)), (SECRET, json!("text"))]);
        let sent = wishes().resolve(Some(&existing)).unwrap();
        let secret = sent.annotations.last().unwrap()["value"].as_u64().unwrap();
        assert!(secret < 1 << 53);
    }

    #[test]
    fn switching_the_secret_off_deletes_it_where_there_is_one() {
        let off = || Wishes {
            secure: Some(Secure::Off),
            ..Wishes::default()
        };
        let existing = list(&[(WEB_EXPORT, json!(true)), (SECRET, json!(7))]);
        let sent = off().resolve(Some(&existing)).unwrap();
        assert_eq!(
            (keys(&sent), sent.deleted),
            (vec!["web-export=true".to_owned()], vec![SECRET.to_owned()])
        );

        let sent = Wishes {
            web: Some(Web::Exported),
            ..off()
        }
        .resolve(None)
        .unwrap();
        assert_eq!(keys(&sent).last().unwrap(), "require-whisk-auth=false");
    }

    #[test]
    fn a_secret_needs_a_web_action() {
        let refused = Failure::input("The --web-secure option is only valid when the --web option is enabled.");
        let wishes = |web| Wishes {
            web,
            secure: Some(Secure::Generated),
            ..Wishes::default()
        };
        assert_eq!(wishes(None).resolve(None).unwrap_err(), refused);
        let existing = list(&[(WEB_EXPORT, json!(true))]);
        assert_eq!(wishes(Some(Web::Off)).resolve(Some(&existing)).unwrap_err(), refused);
        assert!(wishes(None).resolve(Some(&existing)).is_ok());
    }
}
