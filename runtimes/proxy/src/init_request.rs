//! The body of `/init`, read once for every language.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What `/init` asks for. Code is borrowed from the body: it may be tens of megabytes of base64.
#[derive(Debug)]
pub struct InitRequest<'a> {
    pub main: Field<'a>,
    pub code: Field<'a>,
    pub binary: bool,
    /// Variables to export, already as text.
    pub env: Vec<(String, String)>,
    /// The whole `value`, as it came.
    pub value: &'a str,
}

/// A member that ought to be a string.
#[derive(Debug, PartialEq, Eq)]
pub enum Field<'a> {
    Absent,
    Text(Cow<'a, str>),
    /// Present and of another type.
    Other,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Value<'a> {
    #[serde(borrow, default)]
    main: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    binary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    env: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> InitRequest<'a> {
    /// Reads the body; the error says what is wrong with it. A body without `value` asks for nothing.
    pub fn parse(body: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
        let value = match first(text) {
            Some('[') => check(text).map(|()| "{}")?,
            Some('{') => serde_json::from_str::<Envelope>(text)
                .map_err(|e| e.to_string())?
                .value
                .map_or("{}", RawValue::get),
            _ => return Err("the body must be a JSON object".to_owned()),
        };
        let parsed = match first(value) {
            Some('{') => serde_json::from_str::<Value>(value).map_err(|e| e.to_string())?,
            _ => Value::default(),
        };
        Ok(InitRequest {
            main: field(parsed.main),
            code: field(parsed.code),
            binary: parsed.binary.is_some_and(|v| v.get() == "true"),
            env: environment(parsed.env),
            value,
        })
    }
}

fn first(text: &str) -> Option<char> {
    text.trim_start().chars().next()
}

fn check(text: &str) -> Result<(), String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|e| e.to_string())
}

fn field(raw: Option<&RawValue>) -> Field<'_> {
    match raw.map(RawValue::get) {
        None | Some("null") => Field::Absent,
        Some(text) if text.starts_with('"') => match serde_json::from_str::<Text>(text) {
            Ok(Text(text)) => Field::Text(text),
            Err(_) => Field::Other,
        },
        Some(_) => Field::Other,
    }
}

/// Strings as they are, `null` as the empty string, everything else as its JSON text.
fn environment(raw: Option<&RawValue>) -> Vec<(String, String)> {
    let Some(Ok(map)) = raw.map(|raw| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(raw.get()))
    else {
        return Vec::new();
    };
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    map.into_iter()
        .filter(|(name, _)| !name.is_empty() && !name.contains(['=', '\0']))
        .map(|(n, v)| (n, text(v)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Field<'_> {
        Field::Text(text.into())
    }

    #[test]
    fn reads_the_documented_members() {
        let body = br#"{"value":{"name":"n","main":"m","code":"c\n","binary":true,"env":{"A":"x","B":null,"C":[1, {}],"D":1.50}}}"#;
        let request = InitRequest::parse(body).unwrap();
        assert_eq!(
            (request.main, request.code, request.binary),
            (text("m"), text("c\n"), true)
        );
        let env: Vec<(&str, &str)> = request.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(env, [("A", "x"), ("B", ""), ("C", "[1,{}]"), ("D", "1.50")]);
    }

    #[test]
    fn base64_code_is_borrowed() {
        let request = InitRequest::parse(br#"{"value":{"code":"UEsDBA=="}}"#).unwrap();
        assert!(matches!(request.code, Field::Text(Cow::Borrowed("UEsDBA=="))));
    }

    #[test]
    fn empty_bodies_ask_for_nothing() {
        for body in [
            "{}",
            "[]",
            r#"{"value":null}"#,
            r#"{"value":[1]}"#,
            r#"{"value":{"main":null,"code":null}}"#,
        ] {
            let request = InitRequest::parse(body.as_bytes()).unwrap();
            assert_eq!((request.main, request.code), (Field::Absent, Field::Absent), "{body}");
        }
        assert_eq!(
            InitRequest::parse(br#"{"value":{"main":5}}"#).unwrap().main,
            Field::Other
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in [&b"nonsense"[..], b"", b"\"text\"", b"{\"value\":", b"[1", b"\xff"] {
            assert!(InitRequest::parse(body).is_err(), "{body:?}");
        }
    }
}
