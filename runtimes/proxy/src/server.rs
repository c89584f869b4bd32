//! The HTTP side: one listener, keep-alive connections, two paths.

use std::net::Ipv4Addr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

use crate::settings::{Language, Listen, Settings};
use crate::{Error, Reply, action_loop, native, nodejs, python};

/// 48 MB of code as base64, its envelope, and room.
const MAX_REQUEST: usize = 96 * 1024 * 1024;

/// The language behind the two paths.
#[derive(Debug)]
pub enum Runtime {
    Nodejs(nodejs::Runtime),
    Python(python::Runtime),
    Native(native::Runtime),
    ActionLoop(action_loop::Runtime),
}

/// What the command line asks for.
#[derive(Debug)]
pub struct How {
    pub language: Language,
    /// Another program than the language's usual one.
    pub interpreter: Option<String>,
    pub options: action_loop::Options,
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the process behind the proxy has ended")]
struct NoAnswer;

impl Runtime {
    /// Starts the interpreter, so that it is there when the first request comes. `over` is told when this container has
    /// come to its end.
    pub async fn start(how: How, settings: Arc<Settings>, over: Arc<Notify>) -> Result<Self, Error> {
        Ok(match how.language {
            Language::Nodejs => Runtime::Nodejs(nodejs::Runtime::start(settings, how.interpreter, over).await?),
            Language::Python => Runtime::Python(python::Runtime::start(settings, how.interpreter).await?),
            Language::Native => Runtime::Native(native::Runtime::start(settings)?),
            Language::ActionLoop => Runtime::ActionLoop(action_loop::Runtime::start(settings, &how.options)?),
        })
    }

    async fn init(&self, body: Bytes) -> Reply {
        match self {
            Runtime::Nodejs(runtime) => runtime.init(body).await,
            Runtime::Python(runtime) => runtime.init(body).await,
            Runtime::Native(runtime) => runtime.init(body).await,
            Runtime::ActionLoop(runtime) => runtime.init(body).await,
        }
    }

    async fn run(&self, body: Bytes) -> Reply {
        match self {
            Runtime::Nodejs(runtime) => runtime.run(body).await,
            Runtime::Python(runtime) => runtime.run(body).await,
            Runtime::Native(runtime) => runtime.run(body).await,
            Runtime::ActionLoop(runtime) => runtime.run(body).await,
        }
    }

    /// Any other path or method.
    fn other(&self) -> Reply {
        match self {
            Runtime::Nodejs(_) => Reply::error(500, nodejs::BAD_REQUEST),
            Runtime::Native(_) => Reply::error(404, "Use POST /init or POST /run."),
            Runtime::Python(_) | Runtime::ActionLoop(_) => Reply::new(200, Bytes::new()),
        }
    }

    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
        let post = request.method() == Method::POST;
        let reply = match request.uri().path() {
            "/init" if post => match collect(request.into_body()).await {
                Ok(body) => self.init(body).await,
                Err(reply) => reply,
            },
            "/run" if post => match collect(request.into_body()).await {
                Ok(body) => self.run(body).await,
                Err(reply) => reply,
            },
            _ => self.other(),
        };
        match reply {
            Reply::Hangup => Err(NoAnswer),
            Reply::Answer { status, body } => {
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Ok(response)
            }
        }
    }
}

/// The whole body; a single piece is not copied.
async fn collect(mut body: Incoming) -> Result<Bytes, Reply> {
    let expected = hyper::body::Body::size_hint(&body).lower();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Reply::error(400, "The request was cut off."));
        };
        let Ok(data) = frame.into_data() else { continue };
        if whole.is_empty() && data.len() as u64 == expected {
            return Ok(data);
        }
        if whole.len() + data.len() > MAX_REQUEST {
            return Err(Reply::error(
                413,
                &format!("The request is larger than {MAX_REQUEST} bytes."),
            ));
        }
        if whole.is_empty() {
            whole.reserve(usize::try_from(expected).unwrap_or(0).min(MAX_REQUEST));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

impl Listener {
    /// Must be called inside the runtime.
    pub fn bind(listen: &Listen) -> Result<Self, Error> {
        match listen {
            Listen::Inherited(fd) => {
                // SAFETY: the parent says that this descriptor is a listening socket meant for us alone.
                let socket = unsafe { OwnedFd::from_raw_fd(*fd) };
                from_inherited(socket).map_err(|source| Error::Listen {
                    place: format!("the inherited descriptor {fd}"),
                    source,
                })
            }
            Listen::Path(path) => UnixListener::bind(path)
                .map(Listener::Unix)
                .map_err(|source| Error::Listen {
                    place: path.display().to_string(),
                    source,
                }),
            Listen::Port(port) => {
                let failed = |source| Error::Listen {
                    place: format!("port {port}"),
                    source,
                };
                let listener = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                TcpListener::from_std(listener).map(Listener::Tcp).map_err(failed)
            }
        }
    }

    /// Accepts connections for ever.
    pub async fn serve(self, runtime: Arc<Runtime>) {
        loop {
            match &self {
                Listener::Unix(listener) => {
                    if let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(connection(Box::new(stream), runtime.clone()));
                    }
                }
                Listener::Tcp(listener) => {
                    if let Ok((stream, _)) = listener.accept().await {
                        let _ = stream.set_nodelay(true);
                        tokio::spawn(connection(Box::new(stream), runtime.clone()));
                    }
                }
            }
        }
    }
}

fn from_inherited(socket: OwnedFd) -> std::io::Result<Listener> {
    nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    let listener = std::os::unix::net::UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(UnixListener::from_std(listener)?))
}

/// What HTTP is spoken on.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn connection(stream: Box<dyn Stream>, runtime: Arc<Runtime>) {
    let service = service_fn(move |request| {
        let runtime = runtime.clone();
        async move { runtime.handle(request).await }
    });
    // A broken connection is the caller's to notice.
    let _ = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
