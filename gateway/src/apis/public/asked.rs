//! What a backend is asked: a caller's request without what is between the caller and us, as the API's steps change it.

use bytes::Bytes;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use hyper::http::request::Parts;
use serde_json::{Map, Value};

use super::{Call, REQUEST_ID};
use crate::apis::backend::Upload;
use crate::apis::error::Error;
use crate::apis::mapping::Message;
use crate::apis::matching::parameters;
use crate::apis::routes::Keys;
use crate::apis::target::Target;

const FORWARDED_URL: HeaderName = HeaderName::from_static("x-forwarded-url");
/// Our name among proxies; a request that has passed us this often goes in circles.
const PSEUDONYM: &str = "ferrowhisk";
const MOST_PASSES: usize = 4;

/// Headers that belong to one connection.
pub const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// Errors: [`Error::Loop`] for a request that has passed us too often.
pub(super) fn refuse_circles(headers: &HeaderMap) -> Result<(), Error> {
    let passes = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    match passes.map(|via| via.matches(PSEUDONYM).count()).sum::<usize>() {
        MOST_PASSES.. => Err(Error::Loop),
        _ => Ok(()),
    }
}

/// Takes away what is between the client and us, and says who the bearer of a token is.
pub(super) fn only_the_callers(headers: &mut HeaderMap, call: &Call<'_>) {
    strip_connection(headers);
    if let Keys::IdAndSecret { secret, .. } = &call.served.api.keys {
        headers.remove(secret);
    }
    if let Some(bearer) = &call.bearer {
        bearer.tell(headers);
    }
}

/// Applies an operation's mapping; the query and the body that come out.
pub(super) async fn mapped(
    headers: &mut HeaderMap,
    query: String,
    mut upload: Upload,
    target: &mut Target,
    call: &Call<'_>,
) -> Result<(String, Upload), Error> {
    let mapping = &call.operation.mapping;
    let mut body = Map::new();
    if mapping.needs_body() {
        let text = upload.whole().await?;
        if !text.trim_ascii().is_empty() {
            let object = "The request body must be a JSON object: this API takes parts of it.";
            body = serde_json::from_slice(&text).map_err(|_| Error::Mapping(object.to_owned()))?;
        }
        upload = Upload::empty();
    }
    let parameters = parameters(&call.served.path, &call.path);
    let mut message = Message {
        headers,
        query,
        body,
        parameters,
        target,
    };
    mapping.apply(&mut message).map_err(Error::Mapping)?;
    let Message { query, body, .. } = message;
    if mapping.needs_body() {
        let text = if body.is_empty() {
            Bytes::new()
        } else {
            Value::Object(body).to_string().into()
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        if !text.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        upload = Upload::of(text);
    }
    Ok((query, upload))
}

/// Makes the client's head the backend's.
pub(super) fn rewrite(head: &mut Parts, call: &Call<'_>) {
    let url = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let url = format!("{}{url}", call.client.origin().unwrap_or_default());
    call.client.tell(&mut head.headers);
    if let Ok(url) = HeaderValue::from_str(&url) {
        head.headers.insert(FORWARDED_URL, url);
    }
    head.headers.insert(REQUEST_ID, call.request_id.clone());
    if let Some(method) = &call.operation.rewrite {
        head.method = method.clone();
    }
}

/// Takes away what belongs to one connection.
pub(super) fn strip_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("x-kept", "1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip_connection(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }
}
