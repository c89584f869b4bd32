//! What stands before a backend: keys, and cross-origin headers.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use wsk_service::http::{Body, Response};

use super::error::Error;
use super::routes::{Cors, Keys};
use super::tenants::{Served, ServedApi};

/// The key of a call, if its API asks for one. Errors: [`Error::Key`].
pub fn client<'a>(api: &ServedApi, headers: &'a HeaderMap) -> Result<Option<&'a str>, Error> {
    match &api.keys {
        Keys::None => Ok(None),
        Keys::Id(id) => {
            let client = shown(headers, id)?;
            match api.clients.contains_key(client) {
                true => Ok(Some(client)),
                false => Err(Error::Key("Unauthorized".to_owned())),
            }
        }
        Keys::IdAndSecret { id, secret } => {
            let (client, secret) = (shown(headers, id)?, shown(headers, secret)?);
            let known = api.clients.get(client).and_then(Option::as_deref).unwrap_or_default();
            match bool::from(known.as_bytes().ct_eq(digest(secret).as_bytes())) {
                true => Ok(Some(client)),
                false => Err(Error::Key("Secret mismatch or not subscribed to this api.".to_owned())),
            }
        }
    }
}

fn shown<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Error> {
    let value = headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match value {
        "" => Err(Error::Key(format!("{} required", as_written(name)))),
        value => Ok(value),
    }
}

/// `X-Client-ID` for `x-client-id`: header names have no case, but people read them.
fn as_written(name: &HeaderName) -> String {
    let word = |word: &str| match word {
        "id" | "api" => word.to_ascii_uppercase(),
        word => {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        }
    };
    name.as_str().split('-').map(word).collect::<Vec<_>>().join("-")
}

/// How a secret is kept: its SHA-256 in hexadecimal digits.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

const HEADERS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// The answer to a preflight; [`cross_origin`] adds its headers.
pub fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    response
}

/// Gives an answer the cross-origin headers that its API wants.
pub fn cross_origin(served: &Served, asked: &HeaderMap, answer: &mut HeaderMap) {
    match served.api.cors {
        Cors::PassedThrough => {}
        Cors::Stripped => HEADERS.iter().for_each(|name| drop(answer.remove(name))),
        Cors::Answered => {
            for name in [
                ACCESS_CONTROL_ALLOW_ORIGIN,
                ACCESS_CONTROL_ALLOW_METHODS,
                ACCESS_CONTROL_ALLOW_HEADERS,
            ] {
                answer.remove(name);
            }
            let origin = asked.get(ORIGIN);
            if origin.is_some() {
                // The answer differs by origin: caches must know.
                answer.append(VARY, HeaderValue::from_static("Origin"));
            }
            let origin = origin.cloned().unwrap_or(HeaderValue::from_static("*"));
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods(served));
            if let Some(headers) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
            }
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// The verbs of a path.
fn methods(served: &Served) -> HeaderValue {
    let verbs: Vec<&str> = served
        .operations
        .iter()
        .map(|operation| operation.verb.as_str())
        .collect();
    HeaderValue::from_str(&verbs.join(", ")).expect("verbs are ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::apis::routes::Operation;
    use crate::apis::target::Target;

    fn api(keys: Keys, cors: Cors) -> ServedApi {
        let clients = HashMap::from([("open".into(), None), ("closed".into(), Some(digest("s3cret").into()))]);
        ServedApi {
            id: "id".into(),
            cors,
            keys,
            guard: None,
            rate: None,
            clients,
            hosts: Vec::new(),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn refused(text: &str) -> Result<Option<&'static str>, Error> {
        Err(Error::Key(text.to_owned()))
    }

    #[test]
    fn an_id_must_be_subscribed() {
        let api = api(Keys::Id(HeaderName::from_static("x-client-id")), Cors::Answered);
        let judged = |pairs: &[(&'static str, &'static str)]| client(&api, &headers(pairs)).map(|c| c.map(str::len));
        assert_eq!(judged(&[]), Err(Error::Key("X-Client-ID required".into())));
        assert_eq!(judged(&[("x-client-id", "no")]), Err(Error::Key("Unauthorized".into())));
        assert_eq!(judged(&[("x-client-id", "open")]), Ok(Some(4)));
        assert_eq!(client(&self::api(Keys::None, Cors::Answered), &headers(&[])), Ok(None));
    }

    #[test]
    fn a_secret_must_match() {
        let keys = Keys::IdAndSecret {
            id: HeaderName::from_static("x-client-id"),
            secret: HeaderName::from_static("x-client-secret"),
        };
        let api = api(keys, Cors::Answered);
        let mismatch = "Secret mismatch or not subscribed to this api.";
        for (pairs, expected) in [
            (&[][..], refused("X-Client-ID required")),
            (&[("x-client-id", "closed")], refused("X-Client-Secret required")),
            (
                &[("x-client-id", "closed"), ("x-client-secret", "s3cret")],
                Ok(Some("closed")),
            ),
            (
                &[("x-client-id", "closed"), ("x-client-secret", "wrong")],
                refused(mismatch),
            ),
            (
                &[("x-client-id", "nobody"), ("x-client-secret", "s3cret")],
                refused(mismatch),
            ),
            (
                &[("x-client-id", "open"), ("x-client-secret", "s3cret")],
                refused(mismatch),
            ),
            // The digest itself opens nothing.
            (
                &[("x-client-id", "open"), ("x-client-secret", "")],
                refused("X-Client-Secret required"),
            ),
        ] {
            assert_eq!(client(&api, &headers(pairs)), expected, "{pairs:?}");
        }
    }

    fn served(cors: Cors) -> Served {
        let operation = |verb: &str| Operation {
            verb: verb.parse().unwrap(),
            target: Target::parse("http://h/").unwrap(),
            rewrite: None,
            mapping: Default::default(),
        };
        Served {
            api: Arc::new(api(Keys::None, cors)),
            path: "/a".into(),
            operations: vec![operation("GET"), operation("POST")],
        }
    }

    fn after(cors: Cors, asked: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut answer = headers(&[
            ("access-control-allow-origin", "x"),
            ("access-control-max-age", "1"),
            ("etag", "e"),
        ]);
        cross_origin(&served(cors), &headers(asked), &mut answer);
        answer
    }

    #[test]
    fn cross_origin_headers() {
        let answered = after(
            Cors::Answered,
            &[("origin", "http://o"), ("access-control-request-headers", "x-a")],
        );
        for (name, value) in [
            ("access-control-allow-origin", "http://o"),
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-allow-headers", "x-a"),
            ("access-control-allow-credentials", "true"),
            ("vary", "Origin"),
        ] {
            assert_eq!(answered.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
        }
        assert_eq!(after(Cors::Answered, &[])["access-control-allow-origin"], "*");
        let stripped = after(Cors::Stripped, &[("origin", "http://o")]);
        assert_eq!(stripped.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
        assert_eq!(after(Cors::PassedThrough, &[])["access-control-allow-origin"], "x");
    }
}
