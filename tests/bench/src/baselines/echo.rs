//! **echo**: a hyper server that answers `/run` with the arguments it got.
//!
//! It listens on a loopback port, or, when started as a container program, on the socket it inherited.

use std::convert::Infallible;
use std::os::fd::FromRawFd as _;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;

pub fn serve(port: u16) -> Result<()> {
    super::on_one_thread(async move {
        match std::env::var("WSK_PROXY_FD").ok().and_then(|fd| fd.parse().ok()) {
            Some(fd) => {
                // SAFETY: whoever set the variable gave us this descriptor to own.
                let listener = unsafe { std::os::unix::net::UnixListener::from_raw_fd(fd) };
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                loop {
                    connection(listener.accept().await?.0);
                }
            }
            None => {
                let listener = super::announced(port).await?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    connection(stream);
                }
            }
        }
    })
}

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) {
    tokio::spawn(async move {
        let served =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        // A client that hangs up is how every connection ends.
        let _ = served.await;
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let run = request.uri().path() == "/run";
    let body = request
        .into_body()
        .collect()
        .await
        .map(|b| b.to_bytes())
        .unwrap_or_default();
    let answer = if run {
        value_of(&body)
    } else {
        Bytes::from_static(b"{\"ok\":true}")
    };
    let mut response = Response::new(Full::new(answer));
    response.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

/// The object under `value`, cut out by counting braces: what is echoed here holds none in strings.
fn value_of(body: &Bytes) -> Bytes {
    const KEY: &[u8] = b"\"value\":";
    let Some(start) = body.windows(KEY.len()).position(|w| w == KEY).map(|at| at + KEY.len()) else {
        return Bytes::from_static(b"{}");
    };
    let mut depth = 0usize;
    for (at, byte) in body[start..].iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && *byte == b'}' {
            return body.slice(start..=start + at);
        }
    }
    Bytes::from_static(b"{}")
}
