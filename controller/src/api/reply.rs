//! Shapes of successful answers.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use wsk_service::http::{Body, Response};

/// The content type of every JSON answer.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The content type of plain text answers.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");

/// Marks an answer that is not negotiated.
#[derive(Debug, Clone, Copy)]
pub struct WhateverAccepted;

/// 200 with a value as compact JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Response {
    json_text(serde_json::to_vec(value).expect("our own types serialise to JSON"))
}

/// 200 with JSON that is rendered already.
pub fn json_text(text: impl Into<bytes::Bytes>) -> Response {
    typed(JSON, Body::full(text))
}

/// 200 with text.
pub fn text(text: &'static str) -> Response {
    typed(TEXT, Body::from(text))
}

/// 200 with the status's own text, which upstream sends whatever `Accept` says: clients that accept only JSON ask for changes
/// of state, too.
pub fn ok() -> Response {
    let mut response = text("OK");
    response.extensions_mut().insert(WhateverAccepted);
    response
}

/// 200 with a page.
pub fn html(page: &'static str) -> Response {
    typed(HeaderValue::from_static("text/html; charset=UTF-8"), Body::from(page))
}

fn typed(content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
