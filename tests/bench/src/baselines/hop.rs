//! **hop**: one HTTP reverse proxy on hyper, keep-alive on both sides, whole bodies. Before several servers it opens its
//! connections to each in turn.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// The servers behind, and the idle connections to them.
struct Behind {
    servers: Vec<String>,
    next: Cell<usize>,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

pub fn serve(servers: Vec<String>) -> Result<()> {
    super::on_one_thread(async move {
        let local = LocalSet::new();
        local
            .run_until(async move {
                let listener = super::announced(0).await?;
                let behind = Rc::new(Behind {
                    servers,
                    next: Cell::default(),
                    idle: RefCell::default(),
                });
                loop {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    let behind = behind.clone();
                    tokio::task::spawn_local(async move {
                        let service = service_fn(move |request| forward(request, behind.clone()));
                        // A client that hangs up is how every connection ends.
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            })
            .await
    })
}

async fn forward(request: Request<Incoming>, behind: Rc<Behind>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(passed_on(request, &behind).await.unwrap_or_else(|error| {
        let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
        *response.status_mut() = hyper::StatusCode::BAD_GATEWAY;
        response
    }))
}

async fn passed_on(request: Request<Incoming>, behind: &Behind) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let taken = behind.idle.borrow_mut().pop();
    let mut sender = match taken {
        Some(sender) if sender.is_ready() => sender,
        Some(_) | None => behind.connect().await?,
    };
    let response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    behind.idle.borrow_mut().push(sender);
    Ok(Response::from_parts(head, Full::new(body)))
}

impl Behind {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let turn = self.next.get();
        self.next.set((turn + 1) % self.servers.len());
        let stream = TcpStream::connect(&self.servers[turn]).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }
}
