//! How a batch of spans gets to the collector: hyper, on the runtime that carries the requests, because the SDK exports from
//! a thread of its own.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use std::time::Duration;
use tokio::runtime::Handle;

/// Sends over HTTP in the clear: a collector runs beside the process, or behind something that encrypts.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
}

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most of an answer that is read.
const ANSWER: usize = 64 << 10;

impl Transport {
    /// A transport on the current runtime.
    pub(super) fn new() -> Transport {
        Transport {
            client: Client::builder(TokioExecutor::new()).build_http(),
            runtime: Handle::current(),
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // All of it on the runtime, the timer too: elsewhere there is none to work on.
        let exchange = async move {
            let asked = tokio::time::timeout(PATIENCE, client.request(request.map(Full::new)));
            let (head, body) = asked.await??.into_parts();
            let body = Limited::new(body, ANSWER).collect();
            let body = tokio::time::timeout(PATIENCE, body).await??.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        self.runtime.spawn(exchange).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::Thread;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Waits as the SDK does: on a thread that belongs to no runtime.
    fn wait<T>(future: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_batch_is_sent_from_a_thread_without_a_runtime() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let transport = Transport::new();
        let sent = std::thread::spawn(move || {
            let request = Request::post(format!("http://{address}/v1/traces"));
            wait(transport.send_bytes(request.body(Bytes::from_static(b"spans")).unwrap()))
        });
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
        let (mut stream, _) = accepted.expect("somebody connects").unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"spans") {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
        }
        assert!(seen.starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        let answer = tokio::task::spawn_blocking(|| sent.join().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
}
