//! What an observer sees of the traffic.

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};

/// A listener for traffic, called on the task that makes the request.
pub type Observer = dyn Fn(&Event<'_>) + Send + Sync;

/// One half of an exchange.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request is about to be sent.
    Request {
        method: &'a Method,
        url: &'a str,
        headers: &'a HeaderMap,
        body: Option<&'a Bytes>,
    },
    /// Its answer has been read completely.
    Response {
        status: StatusCode,
        headers: &'a HeaderMap,
        body: &'a Bytes,
    },
}
