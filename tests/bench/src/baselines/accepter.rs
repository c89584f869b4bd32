//! **accepter**: a hyper server that does nothing but accept durably: it appends a record, waits for the group's fdatasync
//! and answers 202. What the platform could reach if accepting cost no work of its own.

use std::convert::Infallible;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

/// A request's record is on disk.
type Done = oneshot::Sender<()>;

/// Starts it on threads of its own, which end with the process, and gives its address.
pub fn start(folder: &Path, record: usize) -> Result<String> {
    let mut file = std::fs::File::create(folder.join("accepter.log"))?;
    let (sender, waiting) = mpsc::channel::<Done>();
    std::thread::spawn(move || {
        while let Ok(first) = waiting.recv() {
            let group: Vec<Done> = std::iter::once(first).chain(waiting.try_iter()).collect();
            let written = file.write_all(&vec![b'x'; record * group.len()]);
            written
                .and_then(|()| file.sync_data())
                .expect("a disk with room to measure on");
            for done in group {
                // Those that hang up are the end of a measurement.
                let _ = done.send(());
            }
        }
    });
    let (announce, address) = mpsc::channel();
    std::thread::spawn(move || super::on_one_thread(serve(announce, sender)));
    address.recv().context("the accepter did not start")
}

async fn serve(announce: mpsc::Sender<String>, sender: mpsc::Sender<Done>) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    announce.send(listener.local_addr()?.to_string())?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| accept(request, sender.clone()));
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that hangs up is how every connection ends.
            let _ = served.await;
        });
    }
}

async fn accept(request: Request<Incoming>, sender: mpsc::Sender<Done>) -> Result<Response<Full<Bytes>>, Infallible> {
    // What cannot be read any more is not answered either.
    let _ = request.into_body().collect().await;
    let (done, durable) = oneshot::channel();
    let durable = sender.send(done).is_ok() && durable.await.is_ok();
    let mut response = Response::new(Full::new(Bytes::from_static(
        b"{\"activationId\":\"0193748f00007a7a8f3c7f3c7f3c7f3c\"}",
    )));
    if durable {
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    Ok(response)
}
