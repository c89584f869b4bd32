//! What `--verbose` and `--debug` show of the traffic.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use wsk_client::Event;

use crate::json::{indented, sorted};

/// How much of a body is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    Whole,
    Truncated,
}

/// From this many bytes on a body is cut.
const MOST: usize = 1000;

/// One half of an exchange as text.
pub fn render(event: &Event<'_>, bodies: Bodies) -> String {
    let mut text = String::new();
    let _ = match event {
        Event::Request {
            method,
            url,
            headers,
            body,
        } => {
            let _ = write!(
                text,
                "REQUEST:\n[{method}]\t{url}\nReq Headers\n{}\n",
                header_table(*headers)
            );
            match body {
                Some(body) => writeln!(text, "Req Body\n{}\n", body_text(body, bodies)),
                None => Ok(()),
            }
        }
        Event::Response { status, headers, body } => write!(
            text,
            "RESPONSE:Got response with code {}\nResp Headers\n{}\nResponse body size is {} bytes\nResponse body received:\n{}\n",
            status.as_u16(),
            header_table(*headers),
            body.len(),
            body_text(body, bodies)
        ),
    };
    text
}

fn header_table<'a>(headers: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]> + 'a)>) -> String {
    let mut table = Map::new();
    for (name, value) in headers {
        let value = Value::from(String::from_utf8_lossy(value.as_ref()).into_owned());
        match table
            .entry(title_case(name.as_ref()))
            .or_insert_with(|| Value::Array(Vec::new()))
        {
            Value::Array(values) => values.push(value),
            _ => unreachable!("every entry was made as an array"),
        }
    }
    indented(&sorted(&Value::Object(table)), b"  ")
}

/// Header names as HTTP/1 tools write them: `Content-Type`.
fn title_case(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_ascii_uppercase().to_string() + letters.as_str()
        })
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

fn body_text(body: &[u8], bodies: Bodies) -> String {
    let shown = hide_passwords(&hide_secrets(body));
    if bodies == Bodies::Whole || shown.len() <= MOST {
        return shown;
    }
    let end = (0..=MOST).rev().find(|end| shown.is_char_boundary(*end)).unwrap_or(0);
    format!("Body exceeds {MOST} bytes and will be truncated\n{}...", &shown[..end])
}

/// Replaces the value of every parameter that is marked secret.
fn hide_secrets(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    if !text.contains("\"secret\"") {
        return text;
    }
    let Ok(mut tree) = serde_json::from_str::<Value>(&text) else {
        return text;
    };
    match hide_in(&mut tree) {
        true => Cow::Owned(tree.to_string()),
        false => text,
    }
}

/// Whether something was hidden.
fn hide_in(tree: &mut Value) -> bool {
    let Value::Object(members) = tree else { return false };
    let parameters = members.get_mut("parameters").and_then(Value::as_array_mut);
    let mut hidden = false;
    for parameter in parameters.into_iter().flatten() {
        let is_secret = parameter.get("secret") == Some(&Value::Bool(true));
        if let (true, Some(value)) = (is_secret, parameter.get_mut("value").filter(|value| !value.is_null())) {
            *value = Value::from("******");
            hidden = true;
        }
    }
    hidden
}

/// Replaces the value of every `"password": "…"` pair.
fn hide_passwords(text: &str) -> String {
    const KEY: &str = "\"password\"";
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(KEY) {
        let (before, after) = rest.split_at(at + KEY.len());
        shown.push_str(before);
        rest = after;
        let value = rest
            .trim_start()
            .strip_prefix(':')
            .map(str::trim_start)
            .and_then(|value| value.strip_prefix('"'));
        if let Some(value) = value {
            shown.push_str(": \"******\"");
            rest = after_string(value);
        }
    }
    shown + rest
}

/// What follows the closing quote of a JSON string whose opening quote is already gone.
fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        let text = r#"{"a":{"password":"se\"cret"},"password" : "x","b":"password"}"#;
        assert_eq!(
            hide_passwords(text),
            r#"{"a":{"password": "******"},"password": "******","b":"password"}"#
        );
    }

    #[test]
    fn secret_parameters_are_hidden() {
        let body = r#"{"name":"a","parameters":[{"key":"k","value":{"deep":"hidden"},"secret":true},{"key":"p","value":1.50}]}"#;
        assert_eq!(
            body_text(body.as_bytes(), Bodies::Whole),
            r#"{"name":"a","parameters":[{"key":"k","value":"******","secret":true},{"key":"p","value":1.50}]}"#
        );
        let seen = r#"{ "parameters": [{"key":"k","value":null,"secret":true}] }"#;
        assert_eq!(body_text(seen.as_bytes(), Bodies::Whole), seen);
    }

    #[test]
    fn long_bodies_are_cut_only_when_asked() {
        let body = "x".repeat(1001);
        let cut = body_text(body.as_bytes(), Bodies::Truncated);
        assert_eq!(
            cut,
            format!("Body exceeds 1000 bytes and will be truncated\n{}...", "x".repeat(1000))
        );
        assert_eq!(body_text(body.as_bytes(), Bodies::Whole), body);
        assert_eq!(body_text(&body.as_bytes()[1..], Bodies::Truncated), body[1..]);
    }

    #[test]
    fn headers_are_a_sorted_table() {
        let headers = [("content-type", "a"), ("accept", "b"), ("content-type", "c")];
        let expected = "{\n  \"Accept\": [\n    \"b\"\n  ],\n  \"Content-Type\": [\n    \"a\",\n    \"c\"\n  ]\n}";
        assert_eq!(header_table(headers), expected);
    }
}
