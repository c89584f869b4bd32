//! JSON as its writer wrote it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Error;

/// Deepest nesting accepted, which is upstream's. No stack is at stake: what is deep is only ever walked in a loop.
const MAX_DEPTH: usize = 1000;

/// An object whose values keep their own text. The last of a repeated key wins.
pub type Object = indexmap::IndexMap<String, Json>;

/// One JSON value, held as compact text: numbers keep every digit, clones are cheap. An escaped surrogate without its
/// partner, which no UTF-8 can hold, becomes `?`, as upstream shows it.
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// Parses text that holds exactly one JSON value. Errors: [`Error::Malformed`] with the parser's reason.
    pub fn parse(text: &str) -> Result<Json, Error> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| Error::Malformed(e.to_string()))?;
        Json::compacted(raw.get()).map_err(Error::Malformed)
    }

    /// The JSON form of any serialisable value.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Json {
        let raw = serde_json::value::to_raw_value(value).expect("our own types serialise to JSON");
        Json(Arc::from(raw))
    }

    /// `null`.
    pub fn null() -> Json {
        Json(Arc::from(RawValue::NULL.to_owned()))
    }

    /// `{}`.
    pub fn empty_object() -> Json {
        Json::of(&serde_json::Map::new())
    }

    /// The compact text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    pub fn is_object(&self) -> bool {
        self.as_str().starts_with('{')
    }

    pub fn is_array(&self) -> bool {
        self.as_str().starts_with('[')
    }

    /// Exactly the JSON value `true`; the string `"true"` does not count.
    pub fn is_true(&self) -> bool {
        self.as_str() == "true"
    }

    /// Upstream's truthiness: everything but `false`, `0`, `""` and `null`.
    pub fn is_truthy(&self) -> bool {
        match self.as_str() {
            "false" | "null" | "\"\"" => false,
            text if text.starts_with(['-', '0']) => text.parse::<f64>().is_ok_and(|n| n != 0.0),
            _ => true,
        }
    }

    /// The string this value is, if it is one.
    pub fn string(&self) -> Option<String> {
        if self.as_str().starts_with('"') {
            serde_json::from_str(self.as_str()).ok()
        } else {
            None
        }
    }

    /// The fields of the object this value is, if it is one.
    pub fn object(&self) -> Option<Object> {
        if self.is_object() {
            serde_json::from_str(self.as_str()).ok()
        } else {
            None
        }
    }

    /// A tree of this value, for tests and what is known to be flat: one as deep as may be takes megabytes of the stack.
    pub fn to_value(&self) -> Value {
        parse_tree(self.as_str())
            .or_else(|_| parse_tree(&without_lone_surrogates(self.as_str())))
            .expect("text was checked when this value was made")
    }

    fn compacted(text: &str) -> Result<Json, String> {
        let compact = compact(text)?;
        let raw = RawValue::from_string(compact.into_owned()).map_err(|e| e.to_string())?;
        Ok(Json(Arc::from(raw)))
    }
}

fn parse_tree(text: &str) -> Result<Value, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit();
    Value::deserialize(&mut parser)
}

/// Drops blanks between tokens and lone surrogates, and checks the depth. The text is valid JSON already.
fn compact(text: &str) -> Result<Cow<'_, str>, String> {
    let Findings { blanks, surrogates } = survey(text)?;
    let text = if surrogates {
        Cow::Owned(without_lone_surrogates(text))
    } else {
        Cow::Borrowed(text)
    };
    Ok(if blanks {
        Cow::Owned(without_blanks(&text))
    } else {
        text
    })
}

/// What of a text must be rewritten.
struct Findings {
    blanks: bool,
    /// There are escapes that may be surrogates.
    surrogates: bool,
}

fn survey(text: &str) -> Result<Findings, String> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut blanks, mut surrogates) = (0, 0usize, false, false);
    while let Some(b) = bytes.get(at) {
        match b {
            b'"' => at = end_of_string(bytes, at, &mut surrogates),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("JSON is nested more than {MAX_DEPTH} levels deep"));
                }
            }
            b'}' | b']' => depth -= 1,
            b' ' | b'\t' | b'\n' | b'\r' => blanks = true,
            _ => {}
        }
        at += 1;
    }
    Ok(Findings { blanks, surrogates })
}

/// The place of the quote that ends the string beginning at `start`; notes escapes that may be surrogates on the way.
fn end_of_string(bytes: &[u8], start: usize, surrogates: &mut bool) -> usize {
    let mut at = start + 1;
    while let Some(b) = bytes.get(at) {
        match b {
            b'"' => break,
            b'\\' => {
                *surrogates |= matches!(bytes.get(at + 1..at + 3), Some([b'u', b'd' | b'D']));
                at += 2;
            }
            _ => at += 1,
        }
    }
    at
}

fn without_blanks(text: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            out.push(c);
        } else if !matches!(c, ' ' | '\t' | '\n' | '\r') {
            in_string = c == '"';
            out.push(c);
        }
    }
    out
}

/// Replaces `\uD800`…`\uDFFF` escapes that have no partner by `?`.
fn without_lone_surrogates(text: &str) -> String {
    let unit = |at: usize| -> Option<u32> {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(hex, 16).ok()
    };
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(c) = text[at..].chars().next() {
        match (c, unit(at)) {
            ('\\', Some(0xD800..=0xDBFF)) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => {
                out.push_str(&text[at..at + 12]);
                at += 12;
            }
            ('\\', Some(0xD800..=0xDFFF)) => {
                out.push('?');
                at += 6;
            }
            ('\\', _) => {
                let next = text[at + 1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&text[at..at + 1 + next]);
                at += 1 + next;
            }
            (c, _) => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    out
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Json {
        Json::of(value)
    }
}

impl From<&str> for Json {
    /// The JSON string with this content (not: the JSON that this text holds).
    fn from(text: &str) -> Json {
        Json::of(text)
    }
}

impl From<&Object> for Json {
    fn from(object: &Object) -> Json {
        Json::of(object)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match compact(raw.get()).map_err(serde::de::Error::custom)? {
            Cow::Borrowed(_) => Ok(Json(Arc::from(raw))),
            Cow::Owned(text) => {
                let raw = RawValue::from_string(text).map_err(serde::de::Error::custom)?;
                Ok(Json(Arc::from(raw)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_digits_and_drops_blanks() {
        let json = Json::parse(" { \"a b\" : [ 1.0 , 1E400, 12345678901234567890123 ] } ").unwrap();
        assert_eq!(json.as_str(), r#"{"a b":[1.0,1E400,12345678901234567890123]}"#);
    }

    #[test]
    fn lone_surrogates_become_question_marks() {
        let text = r#"{"x":"a\ud83db", "y":"\uD83D\uDE00","z":"\\ud83d","v":"\ud7ff\udc00\ud83d","\udead":1}"#;
        let json = Json::parse(text).unwrap();
        let kept = r#"{"x":"a?b","y":"\uD83D\uDE00","z":"\\ud83d","v":"\ud7ff??","?":1}"#;
        assert_eq!(json.as_str(), kept);
        assert_eq!(json.to_value()["y"], "😀");
        assert_eq!(serde_json::from_str::<Json>(text).unwrap().as_str(), kept);
    }

    #[test]
    fn truthiness_is_upstreams() {
        for (text, truthy) in [
            ("0", false),
            ("-0.0", false),
            ("0.5", true),
            ("\"\"", false),
            ("null", false),
            ("[]", true),
        ] {
            assert_eq!(Json::parse(text).unwrap().is_truthy(), truthy, "{text}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let lists: fn(usize) -> String = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let objects: fn(usize) -> String = |n| format!("{}{}{}", r#"{"a":"#.repeat(n - 1), "{}", "}".repeat(n - 1));
        for deep in [lists, objects] {
            Json::parse(&deep(1000)).unwrap();
            let error = Json::parse(&deep(1001)).unwrap_err().to_string();
            assert!(error.contains("nested more than 1000 levels deep"), "{error}");
        }
    }
}
