//! The connections to one container and a call over one of them.
//!
//! Connections are kept alive and hyper's connection future is polled by the very task that waits for the answer: no task
//! per connection, no hop between tasks on the warm path. Between calls nobody polls a connection; that the peer closed it
//! meanwhile is found out at the next call before anything is sent, which then takes another connection.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hyper::{
    Method, Request, Response, Uri, Version,
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue},
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    sync::Semaphore,
};

use crate::{Answer, Call, CallError, Payload};

/// Where a container listens.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    #[cfg_attr(
        not(feature = "docker"),
        expect(dead_code, reason = "only an engine's containers listen on TCP")
    )]
    Tcp(SocketAddr),
}

/// All calls into one container.
pub(crate) struct Client {
    endpoint: Endpoint,
    idle: Mutex<Vec<Connection>>,
    /// One permit per call that the container may have in flight.
    permits: Semaphore,
}

struct Connection {
    sender: http1::SendRequest<Sent>,
    /// In a box, as is an exchange: they are large, and what is moved about is memory that a call touches.
    driver: Option<Driver>,
    touched: Arc<AtomicBool>,
}

type Driver = Box<http1::Connection<Socket, Sent>>;

/// Why an exchange over one connection brought nothing.
enum Failure {
    /// Not a byte of the request left.
    Unsent,
    Lost,
}

/// A socket that remembers whether anything was written since it was last asked.
struct Socket {
    stream: Transport,
    touched: Arc<AtomicBool>,
}

enum Transport {
    Unix(TokioIo<UnixStream>),
    Tcp(TokioIo<TcpStream>),
}

/// A payload as hyper's request body: one frame holding all parts, sent with one vectored write.
struct Sent(Option<Payload>);

/// Time between two attempts to reach somebody who does not listen yet.
const RETRY: Duration = Duration::from_millis(20);

impl Client {
    /// A client with nothing open yet.
    pub(crate) fn new(endpoint: Endpoint, concurrency: u32) -> Self {
        let permits = Semaphore::new(concurrency.max(1) as usize);
        Client {
            endpoint,
            idle: Mutex::new(Vec::new()),
            permits,
        }
    }

    /// Adds a connection made elsewhere.
    pub(crate) async fn adopt(&self, stream: UnixStream) -> io::Result<()> {
        let connection = Connection::over(Transport::Unix(TokioIo::new(stream))).await?;
        self.put_back(connection);
        Ok(())
    }

    /// One `/run`.
    pub(crate) async fn run(&self, call: Call) -> Result<Answer, CallError> {
        let exchange = Box::pin(self.exchange("/run", call.body, call.answer_limit));
        match tokio::time::timeout(call.limit, exchange).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout),
        }
    }

    /// One `/init`, tried again while nobody listens, unless `dead` says that nobody ever will.
    pub(crate) async fn init(&self, call: Call, dead: impl Fn() -> bool) -> Result<Answer, CallError> {
        let attempts = Box::pin(async {
            loop {
                match self.exchange("/init", call.body.clone(), call.answer_limit).await {
                    Err(CallError::Refused) if dead() => return Err(CallError::ConnectionLost),
                    Err(CallError::Refused) => tokio::time::sleep(RETRY).await,
                    result => return result,
                }
            }
        });
        match tokio::time::timeout(call.limit, attempts).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout),
        }
    }

    async fn exchange(&self, path: &'static str, body: Payload, limit: usize) -> Result<Answer, CallError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        loop {
            let kept = self.idle.lock().expect("no panic while locked").pop();
            let fresh = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await.map_err(|_| CallError::Refused)?,
            };
            match connection.exchange(path, body.clone(), limit).await {
                Ok(answer) if answer.status == 503 => return Err(CallError::Unavailable),
                Ok(answer) => {
                    self.put_back(connection);
                    return Ok(answer);
                }
                Err(Failure::Unsent) if fresh => return Err(CallError::Refused),
                Err(Failure::Unsent) => {}
                Err(Failure::Lost) => return Err(CallError::ConnectionLost),
            }
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        let transport = match &self.endpoint {
            Endpoint::Unix(path) => Transport::Unix(TokioIo::new(UnixStream::connect(path).await?)),
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Transport::Tcp(TokioIo::new(stream))
            }
        };
        Connection::over(transport).await
    }

    fn put_back(&self, connection: Connection) {
        if connection.driver.is_some() {
            self.idle.lock().expect("no panic while locked").push(connection);
        }
    }
}

impl Connection {
    async fn over(stream: Transport) -> io::Result<Self> {
        let touched = Arc::new(AtomicBool::new(false));
        let socket = Socket {
            stream,
            touched: touched.clone(),
        };
        let (sender, driver) = http1::handshake(socket).await.map_err(io::Error::other)?;
        Ok(Connection {
            sender,
            driver: Some(Box::new(driver)),
            touched,
        })
    }

    async fn exchange(&mut self, path: &'static str, body: Payload, limit: usize) -> Result<Answer, Failure> {
        self.touched.store(false, Ordering::Relaxed);
        let sender = &mut self.sender;
        driven(&mut self.driver, poll_fn(|cx| sender.poll_ready(cx)))
            .await
            .map_err(|_| Failure::Unsent)?;
        let sending = self.sender.send_request(request(path, body));
        match driven(&mut self.driver, sending).await {
            Ok(response) => self.receive(response, limit).await,
            Err(_) if self.touched.load(Ordering::Relaxed) => Err(Failure::Lost),
            Err(_) => Err(Failure::Unsent),
        }
    }

    /// Reads the whole body and keeps its beginning.
    async fn receive(&mut self, response: Response<Incoming>, limit: usize) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let mut incoming = response.into_body();
        let (mut first, mut more, mut length) = (Bytes::new(), BytesMut::new(), 0_u64);
        loop {
            let frame = driven(&mut self.driver, poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx))).await;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| Failure::Lost)?.into_data() else {
                continue;
            };
            let room = limit
                .saturating_sub(usize::try_from(length).unwrap_or(usize::MAX))
                .min(data.len());
            if length == 0 {
                first = data.slice(..room);
            } else {
                if more.is_empty() {
                    more.extend_from_slice(&std::mem::take(&mut first));
                }
                more.extend_from_slice(&data[..room]);
            }
            length += data.len() as u64;
        }
        let body = if more.is_empty() { first } else { more.freeze() };
        let truncated = length > body.len() as u64;
        Ok(Answer {
            status,
            body,
            length,
            truncated,
            out_of_memory: false,
        })
    }
}

/// Polls the connection along with a future that waits for it. Twice, because what the future asked for in its poll (the
/// next piece of a body) is often there already.
async fn driven<F: Future>(driver: &mut Option<Driver>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        for _ in 0..2 {
            let ended = driver
                .as_mut()
                .is_some_and(|driver| Pin::new(driver).poll(cx).is_ready());
            if ended {
                *driver = None;
            }
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}

fn request(path: &'static str, body: Payload) -> Request<Sent> {
    let mut request = Request::new(Sent(Some(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(path);
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

impl Body for Sent {
    type Data = Payload;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Payload>, Self::Error>>> {
        Poll::Ready(
            self.0
                .take()
                .filter(|payload| !payload.is_empty())
                .map(|payload| Ok(Frame::data(payload))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Payload::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Payload::len) as u64)
    }
}

impl Read for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Socket {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.touched.store(true, Ordering::Relaxed);
        }
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
