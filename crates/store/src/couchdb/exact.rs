//! What a JSON database would change, kept as text beside it.
//!
//! CouchDB reads a document and writes it again: numbers become doubles, a lone half of a surrogate pair is refused, and of
//! two members of one name the last stays. Most documents pass unharmed; the others carry their own text as a string, which
//! reading prefers. Whoever rewrites such a document without knowing the member writes a new one without it.

use serde::de::DeserializeOwned;

use super::answer::{corrupted, parse};
use crate::Error;

/// The member that holds the text.
const MEMBER: &str = "ferrowhiskExact";

#[derive(serde::Deserialize)]
struct Exact {
    #[serde(rename = "ferrowhiskExact", default)]
    text: Option<String>,
}

/// Reads a document.
pub(super) fn read<T: DeserializeOwned>(id: &str, document: &str) -> Result<T, Error> {
    if document.contains(MEMBER) {
        let Exact { text } = parse(id, document.as_bytes())?;
        if let Some(text) = text {
            return parse(id, text.as_bytes());
        }
    }
    serde_json::from_str(document).map_err(|error| corrupted(id, error))
}

/// A document, an object, as it is written: in the database's own words, with its text where those would differ.
pub(super) fn write(document: String) -> String {
    if survives(&document) {
        return document;
    }
    let text = serde_json::to_string(&document).expect("text serialises");
    let mut plain = rounded(&document);
    plain.pop();
    format!("{plain},\"{MEMBER}\":{text}}}")
}

/// Whether every token comes back as it is. Members named twice, or like numbers, do not come up in what we write but in what
/// users write.
fn survives(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = at + string_len(&bytes[at..]);
                let text = &json[at..end];
                let member = bytes.get(end) == Some(&b':');
                if lone_surrogate(text) || (member && text[1..].starts_with(|c: char| c.is_ascii_digit())) {
                    return false;
                }
                at = end;
            }
            b'-' | b'0'..=b'9' => {
                let len = number_len(&bytes[at..]);
                if !plain_number(&json[at..at + len]) {
                    return false;
                }
                at += len;
            }
            _ => at += 1,
        }
    }
    !has_twins(json)
}

fn string_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn number_len(bytes: &[u8]) -> usize {
    let inside = |b: &&u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    bytes.iter().take_while(inside).count()
}

/// An integer that doubles hold, or a fraction that prints as it is written by every shortest-form printer.
fn plain_number(text: &str) -> bool {
    if let Ok(integer) = text.parse::<i64>() {
        return integer.unsigned_abs() <= 1 << 53 && integer.to_string() == text;
    }
    let Ok(double) = text.parse::<f64>() else { return false };
    let ordinary = (1e-5..1e15).contains(&double.abs());
    ordinary && !text.contains(['e', 'E']) && double.to_string() == text
}

/// Whether a string holds half of a pair, which is not text.
fn lone_surrogate(string: &str) -> bool {
    string.contains("\\u") && serde_json::from_str::<String>(string).is_err()
}

/// Whether an object names a member twice.
fn has_twins(json: &str) -> bool {
    // Printing what was read leaves the members that count; with all tokens plain, a shorter text has lost some.
    let read: Result<serde_json::Value, _> = serde_json::from_str(json);
    read.is_ok_and(|value| value.to_string().len() < json.len())
}

/// The document with what does not survive made harmless, so that views and people still see a document.
fn rounded(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (bytes, mut at) = (json.as_bytes(), 0);
    while at < bytes.len() {
        let len = match bytes[at] {
            b'"' => string_len(&bytes[at..]),
            b'-' | b'0'..=b'9' => number_len(&bytes[at..]),
            _ => 1,
        };
        let token = &json[at..at + len];
        match bytes[at] {
            b'"' if lone_surrogate(token) => out.push_str(&replaced(token)),
            b'-' | b'0'..=b'9' if !plain_number(token) => {
                let double = token.parse::<f64>().unwrap_or(0.0).clamp(-f64::MAX, f64::MAX);
                out.push_str(&serde_json::json!(double).to_string());
            }
            _ => out.push_str(token),
        }
        at += len;
    }
    out
}

/// A string with U+FFFD for each half of a pair.
fn replaced(string: &str) -> String {
    let mut out = String::with_capacity(string.len());
    let whole = |text: &str| serde_json::from_str::<String>(&format!("\"{text}\"")).is_ok();
    let mut rest = string;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escapes = [2, 6, 12].map(|len| rest.get(at..at + len).unwrap_or_default());
        let escape = escapes.into_iter().find(|escape| !escape.is_empty() && whole(escape));
        let taken = match escape {
            Some(escape) => {
                out.push_str(escape);
                escape.len()
            }
            None => {
                out.push('\u{fffd}');
                6.min(rest.len() - at)
            }
        };
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_documents_are_left_alone() {
        for document in [
            r#"{"a":1,"b":[true,null,-2.5,0.1],"c":"x\"y\u0000\\","d":{"a":1700000000000}}"#,
            r#"{"text":"😀 😀"}"#,
            "{}",
        ] {
            assert_eq!(write(document.to_owned()), document);
        }
    }

    #[test]
    fn what_would_change_comes_back_to_the_digit() {
        for document in [
            r#"{"a":12345678901234567890.10}"#,
            r#"{"a":1e400,"b":-0,"c":1.0,"d":0.10}"#,
            r#"{"lone":"\ud83d and \\u and 😀"}"#,
            r#"{"o":{"2":1,"1":2}}"#,
            r#"{"o":{"a":1,"a":2}}"#,
        ] {
            let written = write(document.to_owned());
            let value: serde_json::Value = serde_json::from_str(&written).expect("still a document");
            assert_eq!(value[MEMBER], document);
            let read: Box<serde_json::value::RawValue> = read("x", &written).expect("readable");
            assert_eq!(read.get(), document);
        }
    }
}
