//! Other servers as backends, over HTTP/1.1 with and without TLS. Bodies pass through in both directions as they come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::sync::OnceLock;
use tokio::net::TcpStream;
use tokio::time::{Duration, Sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use super::error::Error;
use super::public::REQUEST_ID;
use super::reach::Reach;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next call, and how many per server.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 32;

/// Connections to backends.
#[derive(Clone)]
pub struct Backends {
    client: Client<Connector, Upload>,
}

/// A request's body on its way: bounded in length and time.
pub struct Upload {
    content: Content,
    left: u64,
    deadline: Pin<Box<Sleep>>,
    fate: Fate,
}

/// Where an upload comes from.
enum Content {
    Coming(Incoming),
    /// At hand, and not yet sent.
    Whole(Option<Bytes>),
}

/// Why an upload ended early, for the one who must answer. Clones share it.
#[derive(Clone, Default)]
pub struct Fate(Arc<AtomicU8>);

/// An upload was given up.
#[derive(Debug, thiserror::Error)]
#[error("the request body was given up")]
pub struct GivenUp;

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;
const BROKEN: u8 = 3;

impl Fate {
    /// What befell the body, if anything did.
    pub fn error(&self) -> Option<Error> {
        match self.0.load(Ordering::Acquire) {
            TOO_LARGE => Some(Error::BodyTooLarge),
            TOO_SLOW => Some(Error::BodyTimeout),
            BROKEN => Some(Error::BodyBroken),
            _ => None,
        }
    }
}

impl Upload {
    /// At most `most` bytes within `time`.
    pub fn new(incoming: Incoming, most: u64, time: Duration) -> (Upload, Fate) {
        let fate = Fate::default();
        let upload = Upload {
            content: Content::Coming(incoming),
            left: most,
            deadline: Box::pin(tokio::time::sleep(time)),
            fate: fate.clone(),
        };
        (upload, fate)
    }

    /// What is at hand already.
    pub fn of(bytes: Bytes) -> Upload {
        Upload {
            left: bytes.len() as u64,
            content: Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            deadline: Box::pin(tokio::time::sleep(Duration::ZERO)),
            fate: Fate::default(),
        }
    }

    pub fn empty() -> Upload {
        Upload::of(Bytes::new())
    }

    /// Reads it to its end.
    pub async fn whole(mut self) -> Result<Bytes, Error> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await;
            match frame {
                None if rest.is_empty() => return Ok(first),
                None => return Ok(rest.freeze()),
                Some(Err(GivenUp)) => return Err(self.fate.error().unwrap_or(Error::BodyBroken)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if first.is_empty() && rest.is_empty() => first = data,
                    Ok(data) => {
                        if rest.is_empty() {
                            rest.extend_from_slice(&std::mem::take(&mut first));
                        }
                        rest.extend_from_slice(&data);
                    }
                    Err(_) => {}
                },
            }
        }
    }

    fn end(&self, why: u8) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        self.fate.0.store(why, Ordering::Release);
        Poll::Ready(Some(Err(GivenUp)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        let this = self.get_mut();
        let incoming = match &mut this.content {
            Content::Coming(incoming) => incoming,
            Content::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(_))) => this.end(BROKEN),
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match this.left.checked_sub(length) {
                    Some(left) => {
                        this.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => this.end(TOO_LARGE),
                }
            }
            Poll::Pending => {
                ready!(this.deadline.as_mut().poll(cx));
                this.end(TOO_SLOW)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Coming(incoming) => incoming.is_end_stream(),
            Content::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Coming(incoming) => incoming.size_hint(),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

impl Backends {
    /// Connections to `reach`.
    pub fn new(reach: Reach) -> Backends {
        let connector = Connector {
            reach,
            tls: Arc::default(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Backends { client }
    }

    /// Sends a request; the answer's head. Errors: [`Error::Backend`], [`Error::BackendTimeout`], or what befell the body.
    pub async fn call(
        &self,
        request: Request<Upload>,
        fate: &Fate,
        most: Duration,
    ) -> Result<hyper::Response<Incoming>, Error> {
        let id = request.headers().get(REQUEST_ID).cloned();
        let failed = |reason: &str, error: Error| {
            fate.error().unwrap_or_else(|| {
                tracing::info!(request_id = ?id, reason, "the backend of an API did not answer");
                error
            })
        };
        match tokio::time::timeout(most, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failed(&reasons(&error), Error::Backend)),
            Err(_) => Err(failed("it took too long", Error::BackendTimeout)),
        }
    }
}

/// An error with what it came from.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// Makes connections.
#[derive(Clone)]
struct Connector {
    reach: Reach,
    /// Made when first needed: reading the system's trust takes a while.
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// One connection.
enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Stream, Failed> {
        let encrypted = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let tcp = tokio::time::timeout(CONNECT, self.reach.connect(&host, port)).await??;
        tcp.set_nodelay(true)?;
        if !encrypted {
            return Ok(Stream::Plain(TokioIo::new(tcp)));
        }
        let config = self.tls.get_or_init(trusting_the_system).clone();
        let handshake = TlsConnector::from(config).connect(ServerName::try_from(host)?, tcp);
        let stream = tokio::time::timeout(CONNECT, handshake).await??;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }
}

fn trusting_the_system() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
