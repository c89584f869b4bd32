//! The HTTP/1.1 server loop.
//!
//! **Responsible for** connections: accepting within a bound, reading whole requests within limits, idle clients, drain.
//! **Leaves to others** routes, authentication and what an error looks like ([`Handler::reject`] may reshape one).
//!
//! **Invariants.** One task per connection and none per request. No timer runs while a request whose body came with its head
//! is handled. After a drain began no new request is read, but for the first one of a client
//! that connected just before, and none that had arrived goes unanswered before the deadline.

mod body;
mod connection;
mod request;
#[cfg(test)]
mod tests;

pub use body::{Body, Broken, Gone, Response, Sender};
pub use request::{Rejection, Request, Streamed, text};

use crate::Boxed;
use crate::supervise::Cancel;
use async_trait::async_trait;
use connection::{Connections, Io, Registered};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Bounds of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; further clients wait in the system's backlog.
    pub connections: usize,
    /// How long a connection may stay without a complete request or progress in an answer, to a few seconds.
    pub idle_timeout: Duration,
    /// Longest request target in bytes.
    pub target_bytes: usize,
    /// Longest request body in bytes.
    pub body_bytes: u64,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// How long a drain waits for requests in flight.
    pub drain_timeout: Duration,
}

/// Answers requests.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Dropped when the client goes away: what must be finished belongs in a task.
    async fn handle(self: Arc<Self>, request: Request) -> Response;

    /// Whether a request goes to [`Handler::stream`] before its body was read. Asked of every request.
    fn streams(&self, _head: &hyper::http::request::Parts) -> bool {
        false
    }

    /// Answers a request whose body is still arriving. Its length and its time are for the handler to judge.
    async fn stream(self: Arc<Self>, request: Streamed) -> Response {
        self.reject(&request.head, Rejection::BodyBroken)
    }

    /// The answer to a request that was turned away; the connection is closed after it.
    fn reject(&self, _head: &hyper::http::request::Parts, rejection: Rejection) -> Response {
        rejection.response()
    }
}

/// What happens to a connection before HTTP is spoken on it.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Prepares a connection; it is dropped when this fails or takes longer than [`HANDSHAKE`].
    async fn accept(&self, tcp: TcpStream) -> std::io::Result<Box<dyn Stream>>;
}

/// What HTTP is spoken on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// HTTP in the clear.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

#[async_trait]
impl Accept for Plain {
    async fn accept(&self, tcp: TcpStream) -> std::io::Result<Box<dyn Stream>> {
        Ok(Box::new(tcp))
    }
}

impl Default for Limits {
    /// OpenWhisk's: 8192 connections, 70 s idle, targets of 8 KiB, bodies of 50 MB within 30 s.
    fn default() -> Self {
        Self {
            connections: 8192,
            idle_timeout: Duration::from_secs(70),
            target_bytes: 8 << 10,
            body_bytes: 50 << 20,
            body_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// How often idle connections are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How long to leave the listener alone after it failed (out of descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a drain waits for the first request of a client that connected just before.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// How long a client may take to prepare a connection.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves `listener` until `cancel`, then drains. Returns when every connection has ended or the drain deadline has passed.
pub async fn serve(listener: TcpListener, limits: Limits, handler: Arc<dyn Handler>, cancel: Cancel) {
    serve_over(listener, Arc::new(Plain), limits, handler, cancel).await;
}

/// The same over connections that are prepared first.
pub fn serve_over(
    listener: TcpListener,
    accept: Arc<dyn Accept>,
    limits: Limits,
    handler: Arc<dyn Handler>,
    cancel: Cancel,
) -> Boxed<'static, ()> {
    let server = Server {
        accept,
        limits: Arc::new(limits),
        handler,
        connections: Arc::default(),
    };
    Box::pin(server.serve(listener, cancel))
}

/// What the connections of one listener share.
struct Server {
    accept: Arc<dyn Accept>,
    limits: Arc<Limits>,
    handler: Arc<dyn Handler>,
    connections: Arc<Connections>,
}

impl Server {
    async fn serve(self, listener: TcpListener, cancel: Cancel) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let idle_ticks = self.limits.idle_timeout.as_secs().div_ceil(SWEEP.as_secs());
        let mut cancelled = pin!(cancel.cancelled());
        loop {
            let room = self.connections.count() < self.limits.connections;
            tokio::select! {
                () = &mut cancelled => break,
                _ = sweep.tick() => self.connections.sweep(idle_ticks),
                () = self.connections.ended.notified(), if !room => {}
                accepted = listener.accept(), if room => match accepted {
                    Ok((stream, peer)) => self.accept(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        self.accept_backlog(listener);
        // One look at the network, so that requests which are there already are read, and so answered.
        tokio::task::yield_now().await;
        self.drain().await;
    }

    fn accept(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let registered = Arc::new(self.connections.register());
        let (accept, handler, limits) = (self.accept.clone(), self.handler.clone(), self.limits.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, accept.accept(stream)).await {
                Ok(Ok(stream)) => serve_connection(stream, peer, registered, handler, limits).await,
                Ok(Err(error)) => tracing::debug!(%error, "a connection was not prepared"),
                Err(_) => tracing::debug!("a connection was not prepared in time"),
            }
        });
    }

    /// Accepts who was told by the system that they are connected, and nobody after that.
    fn accept_backlog(&self, listener: TcpListener) {
        // Not through tokio, which only knows what it saw when it last looked.
        let Ok(listener) = listener.into_std() else {
            return;
        };
        while self.connections.count() < self.limits.connections {
            let Ok((stream, peer)) = listener.accept() else {
                return;
            };
            match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                Ok(stream) => self.accept(stream, peer),
                Err(error) => tracing::warn!(%error, "cannot accept a connection"),
            }
        }
    }

    async fn drain(&self) {
        self.connections.drain();
        let ended = async {
            if tokio::time::timeout(FIRST_REQUEST, self.ended()).await.is_err() {
                self.connections.drain_unused();
                self.ended().await;
            }
        };
        if tokio::time::timeout(self.limits.drain_timeout, ended).await.is_err() {
            tracing::warn!(
                connections = self.connections.count(),
                "connections cut: the drain deadline has passed"
            );
            self.connections.kill();
            self.ended().await;
        }
    }

    async fn ended(&self) {
        loop {
            let mut ended = pin!(self.connections.ended.notified());
            ended.as_mut().enable();
            if self.connections.count() == 0 {
                return;
            }
            ended.await;
        }
    }
}

async fn serve_connection(
    stream: Box<dyn Stream>,
    peer: SocketAddr,
    registered: Arc<Registered>,
    handler: Arc<dyn Handler>,
    limits: Arc<Limits>,
) {
    let io = Io::new(stream, registered.clone());
    let state = registered.connection.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (handler, limits, registered) = (handler.clone(), limits.clone(), registered.clone());
        async move {
            let busy = registered.busy();
            let mut response = answer(request, peer, &handler, &limits).await;
            if registered.connection.should_drain() {
                close(&mut response);
            }
            response.body_mut().keep(busy);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(io, service)
    );
    let (mut known, mut draining) = (false, false);
    let ended = poll_fn(|cx| {
        if !known {
            state.run_by(cx.waker());
            known = true;
        }
        if state.should_end() {
            return Poll::Ready(Ok(()));
        }
        if !draining && state.should_drain() {
            // What has arrived is read first: a shutdown closes a connection on which nothing was read.
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            connection.as_mut().graceful_shutdown();
            draining = true;
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    handler: &Arc<dyn Handler>,
    limits: &Limits,
) -> Response {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let collected = if target > limits.target_bytes {
        Err(Rejection::TargetTooLong)
    } else if handler.streams(&head) {
        return handler.clone().stream(Streamed { head, body, peer }).await;
    } else {
        request::collect(body, limits).await
    };
    match collected {
        Ok(body) => handler.clone().handle(Request { head, body, peer }).await,
        Err(rejection) => {
            let mut response = handler.reject(&head, rejection);
            close(&mut response);
            response
        }
    }
}

/// Says that the connection ends with this response.
fn close(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}
