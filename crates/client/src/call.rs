//! One request, before it has an address and credentials.

use bytes::Bytes;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What a URL path may carry unescaped; OpenWhisk's clients keep `@` and the sub-delimiters as they are.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// What a query may carry unescaped; a blank becomes `+`, as in forms.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b' ');

/// Who the request is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Key,
    Anyone,
}

/// A request in the client's own terms.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: Method,
    /// Path below the host, escaped.
    pub path: String,
    /// Path below the namespace, for messages.
    pub shown: String,
    pub body: Option<Bytes>,
    pub caller: Caller,
}

impl Call {
    /// A call below `/namespaces/NS`; `path` is unescaped, `query` is `name=value` pairs in the order to be sent.
    pub(crate) fn new(method: Method, version: &str, namespace: &str, path: &str, query: &[(&str, String)]) -> Self {
        let shown = format!("{}{}", escape_path(path), encode_query(query));
        let path = format!("/api/{version}/namespaces/{}/{shown}", escape_path(namespace));
        Self {
            method,
            path,
            shown,
            body: None,
            caller: Caller::Key,
        }
    }

    /// A call to a path below the host, escaped by the caller.
    pub(crate) fn absolute(method: Method, path: String, query: &[(&str, String)]) -> Self {
        let path = format!("{path}{}", encode_query(query));
        Self {
            method,
            shown: path.clone(),
            path,
            body: None,
            caller: Caller::Key,
        }
    }

    pub(crate) fn anonymous(self) -> Self {
        Self {
            caller: Caller::Anyone,
            ..self
        }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self {
            body: Some(Bytes::from(body.to_string())),
            ..self
        }
    }
}

pub(crate) fn escape_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

fn encode_query(query: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in query {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&utf8_percent_encode(value, QUERY).to_string().replace(' ', "+"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_path_segments() {
        assert_eq!(escape_path("pkg/a b?c%d@e"), "pkg/a%20b%3Fc%25d@e");
        assert_eq!(escape_path("ünder"), "%C3%BCnder");
    }

    #[test]
    fn queries_are_form_encoded() {
        let call = Call::new(
            Method::GET,
            "v1",
            "_",
            "activations",
            &[("name", "pkg/a b".into()), ("x", "&".into())],
        );
        assert_eq!(call.path, "/api/v1/namespaces/_/activations?name=pkg%2Fa+b&x=%26");
        assert_eq!(call.shown, "activations?name=pkg%2Fa+b&x=%26");
    }
}
