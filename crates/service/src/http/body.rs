//! Response bodies without a box on the common path.

use super::connection::Busy;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// A response on its way out.
pub type Response = hyper::Response<Body>;

/// The body of a response.
#[derive(Debug)]
pub struct Body {
    kind: Kind,
    /// Keeps the connection of a body that is still being written from looking idle.
    busy: Option<Busy>,
}

/// Feeds a streamed body.
#[derive(Clone, Debug)]
pub struct Sender(mpsc::Sender<Bytes>);

/// The client has gone away.
#[derive(Debug, thiserror::Error)]
#[error("the client has closed the connection")]
pub struct Gone;

/// Why a body ended before its end; the connection is closed, so that the client cannot take it for whole.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The other server, or the way to it, failed.
    #[error(transparent)]
    Source(#[from] hyper::Error),
    /// The other server has sent nothing for longer than it may.
    #[error("the other server has stopped sending")]
    Silent,
}

/// The longest silence of a body that is passed on.
#[derive(Debug)]
struct Patience {
    most: Duration,
    timer: Pin<Box<Sleep>>,
}

#[derive(Debug)]
enum Kind {
    Full(Bytes),
    Stream(mpsc::Receiver<Bytes>),
    Forward(Incoming, Option<Patience>),
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Self {
            kind: Kind::Full(Bytes::new()),
            busy: None,
        }
    }

    /// A body known in full; sent with `content-length`.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::new(Kind::Full(bytes.into()))
    }

    /// A body that is written while it is sent (server-sent events); at most `capacity` chunks wait for the client.
    pub fn stream(capacity: usize) -> (Sender, Self) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        (Sender(sender), Self::new(Kind::Stream(receiver)))
    }

    /// The body of another server's answer, passed on as it comes.
    pub fn forward(incoming: Incoming) -> Self {
        Self::new(Kind::Forward(incoming, None))
    }

    /// The same, given up after `most` without a sign of the other server.
    pub fn forward_within(incoming: Incoming, most: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(most));
        Self::new(Kind::Forward(incoming, Some(Patience { most, timer })))
    }

    /// The bytes, when they are known in full; for callers inside the process.
    pub fn as_full(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Full(bytes) => Some(bytes),
            Kind::Stream(_) | Kind::Forward(..) => None,
        }
    }
}

impl Body {
    fn new(kind: Kind) -> Self {
        Self { kind, busy: None }
    }

    /// Ties the connection's busy mark to a body that outlives its handler.
    pub(super) fn keep(&mut self, busy: Busy) {
        match self.kind {
            Kind::Full(_) => drop(busy),
            Kind::Stream(_) | Kind::Forward(..) => self.busy = Some(busy),
        }
    }
}

impl Patience {
    fn renew(&mut self) {
        self.timer.as_mut().reset(Instant::now() + self.most);
    }
}

impl Sender {
    /// Sends one chunk, waiting while the client is slow. Empty chunks are not sent.
    ///
    /// # Errors
    /// [`Gone`] when nobody reads any more.
    pub async fn send(&self, chunk: impl Into<Bytes>) -> Result<(), Gone> {
        let chunk = chunk.into();
        if chunk.is_empty() {
            return Ok(());
        }
        self.0.send(chunk).await.map_err(|_| Gone)
    }

    /// Resolves when the client has gone away.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.get_mut().kind {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream(receiver) => Poll::Ready(ready!(receiver.poll_recv(cx)).map(|chunk| Ok(Frame::data(chunk)))),
            Kind::Forward(incoming, patience) => match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(frame) => {
                    if let Some(patience) = patience {
                        patience.renew();
                    }
                    Poll::Ready(frame.map(|frame| frame.map_err(Broken::from)))
                }
                Poll::Pending => match patience {
                    Some(patience) => patience.timer.as_mut().poll(cx).map(|()| Some(Err(Broken::Silent))),
                    None => Poll::Pending,
                },
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Stream(_) => false,
            Kind::Forward(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
            Kind::Forward(incoming, _) => incoming.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(text)
    }
}
