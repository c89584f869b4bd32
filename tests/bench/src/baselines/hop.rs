//! **hop**: one HTTP reverse proxy on hyper, keep-alive on both sides, whole bodies.

use std::cell::RefCell;
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

/// Idle connections to the server behind.
type Idle = Rc<RefCell<Vec<SendRequest<Full<Bytes>>>>>;

pub fn serve(to: &str) -> Result<()> {
    let to = to.to_owned();
    super::on_one_thread(async move {
        let local = LocalSet::new();
        local
            .run_until(async move {
                let listener = super::announced(0).await?;
                let idle = Idle::default();
                loop {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    let (to, idle) = (to.clone(), idle.clone());
                    tokio::task::spawn_local(async move {
                        let service = service_fn(move |request| forward(request, to.clone(), idle.clone()));
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

async fn forward(request: Request<Incoming>, to: String, idle: Idle) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(passed_on(request, &to, &idle).await.unwrap_or_else(|error| {
        let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
        *response.status_mut() = hyper::StatusCode::BAD_GATEWAY;
        response
    }))
}

async fn passed_on(request: Request<Incoming>, to: &str, idle: &Idle) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let taken = idle.borrow_mut().pop();
    let mut sender = match taken {
        Some(sender) if sender.is_ready() => sender,
        Some(_) | None => connect(to).await?,
    };
    let response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    idle.borrow_mut().push(sender);
    Ok(Response::from_parts(head, Full::new(body)))
}

async fn connect(to: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}
