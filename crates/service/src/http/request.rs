//! Requests as handlers see them, and the reasons why some never reach a handler.

use super::{Body, Limits, Response};
use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;

/// A request whose body has been read.
#[derive(Debug)]
pub struct Request {
    /// Method, target, headers.
    pub head: Parts,
    /// The whole body.
    pub body: Bytes,
    /// The client's end of the connection.
    pub peer: SocketAddr,
}

/// A request whose body is still arriving.
#[derive(Debug)]
pub struct Streamed {
    /// Method, target, headers.
    pub head: Parts,
    /// What there is of the body, and what comes.
    pub body: Incoming,
    /// The client's end of the connection.
    pub peer: SocketAddr,
}

/// Why a request was turned away before its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The target is longer than the limit.
    TargetTooLong,
    /// The body is longer than the limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The connection broke, or the body's framing did, before its end.
    BodyBroken,
}

impl Rejection {
    /// The status, as OpenWhisk's HTTP layer has it: an oversize entity is 400 there.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::BodyTooLarge | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// What to tell the client.
    pub fn text(self) -> &'static str {
        match self {
            Self::TargetTooLong => "The request target is too long.",
            Self::BodyTooLarge => "Request too large",
            Self::BodyTimeout => "The request body did not arrive in time.",
            Self::BodyBroken => "The request body is incomplete.",
        }
    }

    /// The plain-text answer.
    pub fn response(self) -> Response {
        text(self.status(), self.text())
    }
}

/// A plain-text response.
pub fn text(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    response
}

/// Reads a body to its end, within the limits.
pub(super) async fn collect(body: Incoming, limits: &Limits) -> Result<Bytes, Rejection> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut collector = Collector {
        body,
        first: Bytes::new(),
        rest: BytesMut::new(),
        seen: 0,
        limit: limits.body_bytes,
    };
    // Most bodies arrive with their head: only one that does not is worth a timer.
    let early = poll_fn(|cx| std::task::Poll::Ready(Pin::new(&mut collector).poll(cx))).await;
    if let std::task::Poll::Ready(result) = early {
        return result;
    }
    match tokio::time::timeout(limits.body_timeout, collector).await {
        Ok(result) => result,
        Err(_) => Err(Rejection::BodyTimeout),
    }
}

/// Gathers the frames of a body; a body of one frame is not copied.
struct Collector {
    body: Incoming,
    first: Bytes,
    rest: BytesMut,
    seen: u64,
    limit: u64,
}

impl Future for Collector {
    type Output = Result<Bytes, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.take(data);
                    }
                }
                Some(Err(_)) => return std::task::Poll::Ready(Err(Rejection::BodyBroken)),
                None => return std::task::Poll::Ready(this.finish()),
            }
            if this.seen > this.limit.saturating_mul(DISCARD_FACTOR) {
                return std::task::Poll::Ready(Err(Rejection::BodyTooLarge));
            }
        }
    }
}

/// A client that is cut off while it still sends sees a reset instead of our answer, so this many times the limit is read
/// and thrown away first.
const DISCARD_FACTOR: u64 = 3;

impl Collector {
    fn take(&mut self, data: Bytes) {
        self.seen += data.len() as u64;
        if self.seen > self.limit {
            self.first = Bytes::new();
            self.rest = BytesMut::new();
        } else if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                let known = self.body.size_hint().lower().min(self.limit) as usize;
                self.rest.reserve(self.first.len() + data.len() + known);
                self.rest.extend_from_slice(&self.first);
                self.first = Bytes::new();
            }
            self.rest.extend_from_slice(&data);
        }
    }

    fn finish(&mut self) -> Result<Bytes, Rejection> {
        if self.seen > self.limit {
            Err(Rejection::BodyTooLarge)
        } else if self.rest.is_empty() {
            Ok(std::mem::take(&mut self.first))
        } else {
            Ok(std::mem::take(&mut self.rest).freeze())
        }
    }
}
