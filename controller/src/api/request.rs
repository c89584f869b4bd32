//! What handlers read from a request.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use wsk_entities::requests::PutBody;
use wsk_entities::{EntityName, FullName, Json, Namespace, TransactionId};
use wsk_identity::Outcome;

use super::error::Error;
use super::query::Query;
use super::router::Captures;
use crate::app::{App, Caller, Overwrite};

/// A request whose body was read and whose key was looked up.
#[derive(Debug)]
pub struct Request {
    /// Method, target and headers as received.
    pub parts: Parts,
    pub body: Bytes,
    pub caller: Outcome,
    pub transid: TransactionId,
}

/// A management request of a known caller: what every handler gets.
#[derive(Debug)]
pub struct Call<'a> {
    pub request: &'a Request,
    pub caller: Caller,
    /// The namespace of the path, `_` replaced by the caller's.
    pub namespace: Namespace,
    captures: Captures<'a>,
}

impl Request {
    pub fn query(&self) -> Query<'_> {
        Query::new(self.parts.uri.query())
    }

    /// The JSON body, required. Errors: 415 for another content type, 400 malformed.
    pub fn json(&self) -> Result<Json, Error> {
        self.check_json_type()?;
        Ok(parse(&self.body)?)
    }

    /// The JSON body, where it may be left out: none for an empty one. A declared type must be JSON all the same.
    pub fn optional_json(&self) -> Result<Option<Json>, Error> {
        self.check_json_type()?;
        if self.body.is_empty() {
            Ok(None)
        } else {
            Ok(Some(parse(&self.body)?))
        }
    }

    /// A non-empty body must be declared as JSON; no declaration, or one that cannot be read, counts as octets.
    fn check_json_type(&self) -> Result<(), Error> {
        let declared = self.parts.headers.get(CONTENT_TYPE);
        if declared.is_some_and(|v| v == "application/json") {
            return Ok(());
        }
        if declared.is_none() && self.body.is_empty() {
            return Ok(());
        }
        let parsed = declared
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.parse::<mime::Mime>().ok());
        match parsed {
            Some(mime) if mime.essence_str() == "application/json" => Ok(()),
            Some(mime) => Err(Error::ContentType(media_type_text(&mime))),
            None => Err(Error::ContentType("application/octet-stream".into())),
        }
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(request: &'a Request, caller: Caller, captures: Captures<'a>) -> Result<Call<'a>, Error> {
        let namespace = namespace(captures.raw(0), &caller)?;
        Ok(Call {
            request,
            caller,
            namespace,
            captures,
        })
    }

    pub fn query(&self) -> Query<'a> {
        self.request.query()
    }

    /// The name in the path: the only one, or the package's when there are two.
    pub fn name(&self) -> Result<EntityName, Error> {
        name(self.captures.raw(1))
    }

    /// The second segment after the collection, decoded.
    pub fn second(&self) -> Result<EntityName, Error> {
        name(self.captures.raw(2))
    }

    /// The second segment after the namespace as the client wrote it, decoded: an activation id.
    pub fn text(&self) -> Cow<'a, str> {
        decoded(self.captures.raw(1))
    }

    /// The JSON body of a PUT, its sized fields read and within the caller's limits.
    pub fn put_body(&self, app: &App) -> Result<PutBody, Error> {
        let most = app.max_parameters(&self.caller.identity.limits);
        Ok(PutBody::read(&self.request.json()?, &app.manifest, most)?)
    }

    /// Whether a PUT may replace what is there.
    pub fn overwrite(&self) -> Result<Overwrite, Error> {
        Ok(if self.query().flag("overwrite", false)? {
            Overwrite::Allowed
        } else {
            Overwrite::Refused
        })
    }

    /// `ns/name`.
    pub fn full_name(&self) -> Result<FullName, Error> {
        Ok(FullName::new(self.namespace.clone(), None, self.name()?))
    }

    /// `ns/package/name`. The package's name is judged first.
    pub fn packaged_name(&self) -> Result<FullName, Error> {
        let package = self.name()?;
        Ok(FullName::new(self.namespace.clone(), Some(package), self.second()?))
    }
}

/// The namespace of a path; the caller's own costs no parsing.
fn namespace(raw: &str, caller: &Caller) -> Result<Namespace, Error> {
    let own = &caller.identity.namespace.name;
    if raw.is_empty() || raw == Namespace::DEFAULT_MARKER || raw == own.as_str() {
        return Ok(own.clone());
    }
    let text = decoded(raw);
    if text == Namespace::DEFAULT_MARKER {
        return Ok(own.clone());
    }
    Namespace::new(&text).map_err(Error::Path)
}

fn name(raw: &str) -> Result<EntityName, Error> {
    EntityName::new(&decoded(raw)).map_err(Error::Path)
}

/// A path segment without its escapes.
pub fn decoded(raw: &str) -> Cow<'_, str> {
    if raw.contains('%') {
        percent_decode_str(raw).decode_utf8_lossy()
    } else {
        Cow::Borrowed(raw)
    }
}

/// JSON from bytes; broken UTF-8 becomes U+FFFD, as upstream reads it.
pub fn parse(bytes: &Bytes) -> Result<Json, wsk_entities::Error> {
    Json::parse(&String::from_utf8_lossy(bytes))
}

/// How upstream writes a media type in texts: parameters with a blank, the charset last and in its registered case.
fn media_type_text(mime: &mime::Mime) -> String {
    let mut text = mime.essence_str().to_owned();
    for (name, value) in mime.params().filter(|(name, _)| *name != mime::CHARSET) {
        text.push_str(&format!("; {name}={value}"));
    }
    if let Some(charset) = mime.get_param(mime::CHARSET) {
        text.push_str(&format!("; charset={}", charset.as_str().to_uppercase()));
    }
    text
}

/// Whether the `Accept` headers admit a media type such as `application/json`. One that cannot be read admits all.
pub fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut best: Option<(u8, f32)> = None;
    let mut ranges = 0;
    for value in headers.get_all(ACCEPT) {
        let Ok(text) = value.to_str() else { return true };
        for range in text.split(',').map(str::trim).filter(|r| !r.is_empty()) {
            let Ok(range) = range.parse::<mime::Mime>() else {
                return true;
            };
            ranges += 1;
            let quality = range
                .get_param("q")
                .and_then(|q| q.as_str().parse().ok())
                .unwrap_or(1.0);
            if let Some(precision) = precision(&range, media_type)
                && best.is_none_or(|(p, _)| precision > p)
            {
                best = Some((precision, quality));
            }
        }
    }
    ranges == 0 || best.is_some_and(|(_, quality)| quality > 0.0)
}

/// How exactly a media range names a type; none when it does not.
fn precision(range: &mime::Mime, media_type: &str) -> Option<u8> {
    let (kind, subtype) = media_type.split_once('/')?;
    match (range.type_() == kind, range.subtype() == subtype) {
        (true, true) => Some(2),
        (true, false) if range.subtype() == mime::STAR => Some(1),
        _ if range.type_() == mime::STAR && range.subtype() == mime::STAR => Some(0),
        _ => None,
    }
}

/// An id for a request: the client's own unless it is empty or reserved, else 32 random letters and digits.
pub fn transaction_id(
    headers: &HeaderMap,
    start: wsk_entities::Timestamp,
    draw: impl FnMut() -> u128,
) -> TransactionId {
    let given = headers.get("x-request-id").and_then(|v| v.to_str().ok());
    let mut transid = TransactionId::given_or_drawn(given, start, draw);
    transid.extra_logging = headers
        .get("x-ow-extra-logging")
        .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"on"));
    transid
}

/// Shared by the warm path: the caller of a request with a valid key.
pub(super) fn known(request: &Request) -> Result<Caller, Error> {
    match &request.caller {
        Outcome::Known(identity) => Ok(Caller {
            identity: Arc::clone(identity),
            transid: request.transid.clone(),
        }),
        Outcome::Missing => Err(Error::NoKey),
        Outcome::Invalid => Err(Error::InvalidKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn accepting(values: &[&'static str], media_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        accepts(&headers, media_type)
    }

    #[test]
    fn accept_is_judged_by_its_most_exact_range() {
        for (values, expected) in [
            (&[][..], true),
            (&["text/html"], false),
            (&["text/html, */*;q=0.1"], true),
            (&["application/*"], true),
            (&["application/json;q=0"], false),
            (&["*/*", "application/json;q=0"], false),
            (&["bogus"], true),
        ] {
            assert_eq!(accepting(values, "application/json"), expected, "{values:?}");
        }
    }

    #[test]
    fn a_reserved_request_id_is_replaced() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", HeaderValue::from_static(value));
            transaction_id(&headers, 1, || 7).id.to_string()
        };
        assert_eq!(id("abc.1"), "abc.1");
        assert!(id("sid_x").len() == 32 && id("sid_x").bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
