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
        let asked = self.client.request(request.map(Full::new));
        let exchange = async move {
            let (head, body) = asked.await?.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        self.runtime.spawn(tokio::time::timeout(PATIENCE, exchange)).await??
    }
}
