//! An HTTP server that remembers its requests, and the client that goes with it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Where servers are unless they are told otherwise.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Time before it is sent.
    pub after: Duration,
}

/// A server on a free port; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            after: Duration::ZERO,
        }
    }
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `METHOD /path?query`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Server {
    /// Starts a server on the loopback device that answers as `answer` says.
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Result<Server> {
        Server::start_at(LOOPBACK, answer).await
    }

    /// The same on another address of this machine.
    pub async fn start_at(host: IpAddr, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Result<Server> {
        let listener = TcpListener::bind((host, 0)).await.context("no free port")?;
        let address = listener.local_addr().context("the address of a listener")?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, seen.clone(), Arc::new(answer)));
        Ok(Server { address, seen, task })
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic under this lock").clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answer = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

async fn accept(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, answer: Answer) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (seen, answer) = (seen.clone(), answer.clone());
        let service = service_fn(move |request| answered(request, seen.clone(), answer.clone()));
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that went away is the client's affair.
        connections.spawn(async move { drop(connection.await) });
        while connections.try_join_next().is_some() {}
    }
}

async fn answered(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Answer,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let request = Seen {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body,
    };
    let reply = answer(&request);
    seen.lock().expect("no panic under this lock").push(request);
    tokio::time::sleep(reply.after).await;
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status of three digits");
    *response.headers_mut() = reply.headers;
    Ok(response)
}

/// Sends one request on a connection of its own. `url` is that of a server on this machine.
pub async fn send(method: Method, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Reply> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is no address"))?;
    let host = uri
        .authority()
        .with_context(|| format!("{url} names no host"))?
        .as_str();
    let stream = TcpStream::connect(host)
        .await
        .with_context(|| format!("nobody answers at {url}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", host);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body.into()))?).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        after: Duration::ZERO,
    })
}
