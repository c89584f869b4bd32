//! From a web request to the arguments of an action. Pure.
//!
//! What the client gave (query, form, fields of a JSON object) is kept apart from the context (`__ow_…`) until it is
//! known to set nothing that is protected.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use wsk_entities::{Json, Object};

use super::media::{Media, form_decoded};
use crate::app::Error;

/// A request for a web action, before its action is known.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Lower case.
    pub method: String,
    pub headers: Object,
    /// The path after the action, percent-encoded, with its leading slash; empty when there is none.
    pub rest: &'a str,
    /// Without `?`; none when there is no `?`.
    pub query: Option<&'a str>,
    /// Of the body, when one was declared.
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
    /// Namespace of a caller with a valid key.
    pub user: Option<&'a str>,
}

/// How the arguments are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Query and body become parameters.
    Parsed,
    /// The action reads query and body itself.
    Raw,
}

/// The names that only the platform sets.
const RESERVED: [&str; 6] = [
    "__ow_method",
    "__ow_headers",
    "__ow_path",
    "__ow_user",
    "__ow_query",
    "__ow_body",
];

/// What stays as it is in a path segment.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');
/// What stays as it is in a query's names and values; a blank becomes `+`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b':')
    .remove(b'@')
    .remove(b'/')
    .remove(b'?')
    .remove(b' ');

/// What the body gives.
enum Content {
    Nothing,
    Fields(Object),
    Value(Json),
}

impl Asked<'_> {
    /// The arguments. `is_protected` says whether the action forbids a name to be set.
    ///
    /// # Errors
    /// 400 for a body that cannot be read, or that sets what is protected.
    pub fn arguments(mut self, reading: Reading, is_protected: impl Fn(&str) -> bool) -> Result<Object, Error> {
        let media = self.media();
        if let Some(media) = &media {
            self.headers
                .insert("content-type".to_owned(), Json::from(&*media.shown()));
        }
        let (given, body) = match reading {
            Reading::Raw => (Object::new(), Some(raw_body(media.as_ref(), self.body))),
            Reading::Parsed => self.given(media.as_ref(), is_protected)?,
        };
        let mut arguments = self.context();
        if reading == Reading::Raw {
            arguments.insert(
                "__ow_query".to_owned(),
                Json::from(&*self.query.map(requoted).unwrap_or_default()),
            );
        }
        if let Some(body) = body {
            arguments.insert("__ow_body".to_owned(), body);
        }
        arguments.extend(given);
        Ok(arguments)
    }

    fn media(&self) -> Option<Media> {
        match self.content_type {
            Some(text) => Some(Media::parse(text).unwrap_or_else(Media::octets)),
            None if self.body.is_empty() => None,
            None => Some(Media::octets()),
        }
    }

    fn context(&mut self) -> Object {
        let mut context = Object::new();
        context.insert("__ow_method".to_owned(), Json::from(&*self.method));
        context.insert(
            "__ow_headers".to_owned(),
            Json::from(&std::mem::take(&mut self.headers)),
        );
        context.insert("__ow_path".to_owned(), Json::from(&*path(self.rest)));
        if let Some(user) = self.user {
            context.insert("__ow_user".to_owned(), Json::from(user));
        }
        context
    }

    fn given(
        &self,
        media: Option<&Media>,
        is_protected: impl Fn(&str) -> bool,
    ) -> Result<(Object, Option<Json>), Error> {
        let mut given = self.query.map_or_else(|| Ok(Object::new()), fields)?;
        let body = match media.map_or(Ok(Content::Nothing), |media| content(media, self.body))? {
            Content::Nothing => None,
            Content::Fields(fields) => {
                given.extend(fields);
                None
            }
            Content::Value(value) => Some(value),
        };
        if given
            .keys()
            .any(|name| RESERVED.contains(&name.as_str()) || is_protected(name))
        {
            return Err(crate::app::invoke::not_allowed());
        }
        Ok((given, body))
    }
}

/// What a body is to an action that does not read it itself.
fn content(media: &Media, body: &[u8]) -> Result<Content, Error> {
    if media.is_json() {
        if body.is_empty() {
            return Ok(Content::Nothing);
        }
        let json = Json::parse(&String::from_utf8_lossy(body))?;
        return Ok(json.object().map_or(Content::Value(json), Content::Fields));
    }
    if media.is_form() {
        let text = String::from_utf8_lossy(body);
        return if text.is_empty() {
            Ok(Content::Nothing)
        } else {
            fields(&text).map(Content::Fields)
        };
    }
    Ok(Content::Value(encoded(media.is_binary(), body)))
}

/// What a body is to an action that reads it itself.
fn raw_body(media: Option<&Media>, body: &[u8]) -> Json {
    let binary = media.is_some_and(|media| media.is_binary() || media.essence() == "application/json");
    encoded(binary, body)
}

fn encoded(binary: bool, body: &[u8]) -> Json {
    if binary {
        Json::from(&*STANDARD.encode(body))
    } else {
        Json::from(&*String::from_utf8_lossy(body))
    }
}

/// The fields of a query or form as strings; the last of a repeated name counts.
fn fields(text: &str) -> Result<Object, Error> {
    // Judged as a whole, so that the place of a bad escape is counted from the start.
    form_decoded(text).map_err(|(place, found)| illegal(text, place, found))?;
    let decode = |part| form_decoded(part).expect("the whole was judged");
    Ok(text
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name).into_owned(), Json::from(&*decode(value))))
        .collect())
}

fn illegal(text: &str, place: usize, found: Option<char>) -> Error {
    let what = found.map_or("Unexpected end of input".to_owned(), |found| {
        format!("Invalid input '{found}'")
    });
    let pointer = " ".repeat(place.saturating_sub(1));
    wsk_entities::Error::Rejected(format!(
        "Illegal query: {what}, expected HEXDIG (line 1, column {place}): {text}\n{pointer}^"
    ))
    .into()
}

/// A path decoded and encoded again, so that equal paths look equal.
fn path(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for (i, segment) in raw.split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        out.extend(utf8_percent_encode(
            &percent_decode_str(segment).decode_utf8_lossy(),
            PATH,
        ));
    }
    out
}

/// A query decoded and encoded again.
fn requoted(query: &str) -> String {
    let part = |text: &str| {
        let decoded = form_decoded(text).unwrap_or(std::borrow::Cow::Borrowed(text));
        utf8_percent_encode(&decoded, QUERY).to_string().replace(' ', "+")
    };
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) => format!("{}={}", part(name), part(value)),
        None => part(pair),
    };
    query.split('&').map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(query: Option<&'a str>, content_type: Option<&'a str>, body: &'a str) -> Asked<'a> {
        let (headers, rest) = (Object::new(), "");
        Asked {
            method: "post".into(),
            headers,
            rest,
            query,
            content_type,
            body: body.as_bytes(),
            user: None,
        }
    }

    fn parsed(query: Option<&str>, content_type: Option<&str>, body: &str) -> Result<String, String> {
        let arguments = asked(query, content_type, body).arguments(Reading::Parsed, |name| name == "final");
        let mut arguments = arguments.map_err(|e| e.to_string())?;
        for context in ["__ow_method", "__ow_headers", "__ow_path"] {
            arguments.shift_remove(context).unwrap();
        }
        Ok(Json::from(&arguments).to_string())
    }

    #[test]
    fn the_body_wins_over_the_query() {
        let json = Some("application/json");
        assert_eq!(
            parsed(Some("a=1&b=x+y&b=2"), json, r#"{"a":2.0}"#).unwrap(),
            r#"{"a":2.0,"b":"2"}"#
        );
        assert_eq!(parsed(None, json, "[1]").unwrap(), r#"{"__ow_body":[1]}"#);
        assert_eq!(parsed(None, json, "").unwrap(), "{}");
        assert_eq!(parsed(None, Some("application/vnd.x+json"), "{}").unwrap(), "{}");
        assert_eq!(parsed(None, Some("text/plain"), "").unwrap(), r#"{"__ow_body":""}"#);
        assert_eq!(parsed(None, None, "abc").unwrap(), r#"{"__ow_body":"YWJj"}"#);
        assert_eq!(parsed(None, None, "").unwrap(), "{}");
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(parsed(None, form, "a=1&a=%C3%A4").unwrap(), r#"{"a":"ä"}"#);
    }

    #[test]
    fn protected_names_are_refused_wherever_they_stand() {
        let text = "Request defines parameters that are not allowed (e.g., reserved properties).";
        for (query, content_type, body) in [
            (Some("__ow_user=x"), None, ""),
            (Some("final=1"), None, ""),
            (None, Some("application/json"), r#"{"__ow_body":1}"#),
            (None, Some("application/x-www-form-urlencoded"), "final=1"),
        ] {
            assert_eq!(parsed(query, content_type, body).unwrap_err(), text);
        }
        assert_eq!(parsed(Some("__ow_other=x"), None, "").unwrap(), r#"{"__ow_other":"x"}"#);
    }

    #[test]
    fn raw_actions_get_text_as_text_and_json_as_base64() {
        let raw = |query, content_type, body| {
            let arguments = asked(query, content_type, body)
                .arguments(Reading::Raw, |_| true)
                .unwrap();
            (
                arguments["__ow_body"].string().unwrap(),
                arguments["__ow_query"].string().unwrap(),
            )
        };
        assert_eq!(
            raw(Some("final=1"), Some("application/json"), "{}"),
            ("e30=".into(), "final=1".into())
        );
        assert_eq!(
            raw(None, Some("application/x-www-form-urlencoded"), "a=%zz"),
            ("a=%zz".into(), String::new())
        );
        assert_eq!(raw(None, None, ""), (String::new(), String::new()));
    }

    #[test]
    fn queries_and_paths_are_written_in_one_way() {
        for (query, expected) in [
            ("a=b%20c%26d", "a=b+c%26d"),
            ("a=b=c", "a=b%3Dc"),
            ("a=1;b=2", "a=1%3Bb%3D2"),
            ("a", "a"),
            ("a=", "a="),
            ("a=%7B%22x%22%3A1%7D", "a=%7B%22x%22:1%7D"),
            ("a=%C3%A4", "a=%C3%A4"),
            ("&", "&"),
        ] {
            assert_eq!(requoted(query), expected);
        }
        assert_eq!(path("//a%2Fb%20c;x=1/%41"), "//a%2Fb%20c;x=1/A");
    }

    #[test]
    fn a_bad_form_is_refused_with_the_place() {
        let error = parsed(None, Some("application/x-www-form-urlencoded"), "a&=b&&c=%zz").unwrap_err();
        let text = "Illegal query: Invalid input 'z', expected HEXDIG (line 1, column 10): a&=b&&c=%zz\n         ^";
        assert_eq!(error, text);
    }

    use proptest::prelude::*;

    proptest! {
        /// Whatever a client sends is read or refused, and sets nothing that only the platform sets.
        #[test]
        fn nothing_from_outside_breaks_or_forges(
            query in "[ -~äß%&=+;\\[\\]]{0,40}",
            content_type in proptest::option::of("[a-z/+;= \"*]{0,30}|application/json|application/x-www-form-urlencoded|text/plain; charset=x"),
            body in proptest::collection::vec(any::<u8>(), 0..60),
            rest in "(/[ -~]{0,10}){0,3}",
            raw in any::<bool>(),
        ) {
            let asked = Asked {
                method: "post".into(),
                headers: Object::new(),
                rest: &rest,
                query: Some(&query),
                content_type: content_type.as_deref(),
                body: &body,
                user: Some("guest"),
            };
            let reading = if raw { Reading::Raw } else { Reading::Parsed };
            if let Ok(arguments) = asked.arguments(reading, |_| false) {
                prop_assert_eq!(arguments["__ow_user"].as_str(), "\"guest\"");
                prop_assert_eq!(arguments["__ow_method"].as_str(), "\"post\"");
                prop_assert!(Json::from(&arguments).is_object());
            }
        }
    }
}
