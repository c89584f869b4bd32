//! The edge: who is calling, and on to a controller.
//!
//! It answers probes and metrics itself, looks every key up once, and hands the request on with the outcome. What a route
//! needs, and what a caller may do, the controller decides: a wrong key is no error for a web action. It knows no entity
//! and no bus.
//!
//! Invariants: no request reaches a controller without an outcome of authentication; a failing subject store is never
//! taken for a wrong key. Upstream behaviour honoured: the edge proxy hides nothing but `/metrics`, and the one error that
//! is not JSON is that of an unreachable subject store.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use wsk_identity::{Authenticator, Outcome};
use wsk_service::admin;
use wsk_service::http::{Handler, Rejection, Request, Response, text};
use wsk_service::phase::{Listener, Phases, Verdict};

wsk_service::settings! {
    /// Options of the gateway.
    pub struct Config {
        /// Whether the API's address answers `/metrics`. Switch it off where strangers can reach that address.
        pub metrics: bool = true,
    }
}

/// A request on its way to a controller.
#[derive(Debug)]
pub struct Forwarded {
    /// Method, target and headers as received.
    pub head: Parts,
    pub body: Bytes,
    pub caller: Outcome,
}

/// Where requests go: in this process, or over HTTP with a signed identity.
pub trait Controllers: Send + Sync + 'static {
    /// Answers a request.
    fn call(&self, request: Forwarded) -> impl Future<Output = Response> + Send;

    /// Answers a request that was turned away before it was read whole.
    fn reject(&self, head: &Parts, rejection: Rejection) -> Response;
}

/// The edge before some controllers.
pub struct Gateway<C> {
    config: Config,
    authenticator: Arc<Authenticator>,
    controllers: C,
    phases: Phases,
}

impl<C: Controllers> Gateway<C> {
    pub fn new(config: Config, authenticator: Arc<Authenticator>, controllers: C, phases: Phases) -> Gateway<C> {
        Gateway {
            config,
            authenticator,
            controllers,
            phases,
        }
    }

    fn probe(&self, path: &str) -> Option<Response> {
        match path {
            // `/ping` is part of the API, in upstream's words.
            "/metrics" if !self.config.metrics => None,
            "/ready" | "/metrics" => admin::answer(path, &self.phases),
            _ => None,
        }
    }
}

impl<C: Controllers> Handler for Gateway<C> {
    async fn handle(self: Arc<Self>, request: Request) -> Response {
        if let Some(answer) = self.probe(request.head.uri.path()) {
            return answer;
        }
        let verdict = self.phases.current().verdict(Listener::Api);
        if verdict == Verdict::Refuse {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "The platform is starting; try again in a moment.",
            );
        }
        let caller = match self
            .authenticator
            .authenticate(request.head.headers.get(AUTHORIZATION))
            .await
        {
            Ok(caller) => caller,
            Err(error) => {
                tracing::error!(%error, "the subject store cannot be asked who is calling");
                return text(StatusCode::INTERNAL_SERVER_ERROR, "There was an internal server error.");
            }
        };
        let Request { head, body, .. } = request;
        let mut response = self.controllers.call(Forwarded { head, body, caller }).await;
        if verdict == Verdict::ServeAndClose {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn reject(&self, head: &Parts, rejection: Rejection) -> Response {
        self.controllers.reject(head, rejection)
    }
}
