//! The edge: who is calling, and on to a controller, or to where a published API leads.
//!
//! It answers probes and metrics itself, looks every key up once, and hands the request on with the outcome. What a route
//! needs, and what a caller may do, the controller decides: a wrong key is no error for a web action. `apis` is the API
//! gateway, [`tls`] what listeners encrypt with. It knows no entity and no bus.
//!
//! Invariants: no request reaches a controller without an outcome of authentication; a failing subject store is never
//! taken for a wrong key. Upstream behaviour honoured: the edge proxy hides nothing but `/metrics`, and the one error that
//! is not JSON is that of an unreachable subject store.

mod apis;
mod client;
mod metrics;
#[cfg(feature = "service")]
mod remote;
#[cfg(feature = "service")]
pub mod service;
pub mod tls;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use hyper::http::request;
use wsk_identity::{Authenticator, Outcome};
use wsk_service::admin;
use wsk_service::http::{Handler, Rejection, Request, Response, Streamed, text};
use wsk_service::phase::{Listener, Phases, Verdict};
use wsk_service::telemetry::trace::{Span, within};
use wsk_store::ApiStore;

use apis::management::Action;
pub use apis::target::Scheme;
use apis::{Apis, public, v2};

wsk_service::settings! {
    /// Options of the gateway.
    pub struct Config {
        /// Whether the API's address answers `/metrics`. Switch it off where strangers can reach that address.
        pub metrics: bool = true,
        /// Addresses or networks (`10.0.0.0/8`) of proxies before this platform, whose `X-Forwarded-` headers are believed.
        pub trusted_proxies: Vec<String> = Vec::new(),
        /// A listener that encrypts.
        pub tls: tls::Config as section = Default::default(),
        /// The API gateway.
        pub apis: apis::Config as section = Default::default(),
    }
}

/// A request on its way to a controller.
#[derive(Debug)]
pub struct Forwarded {
    /// Method, target and headers as received.
    pub head: request::Parts,
    pub body: Bytes,
    pub caller: Outcome,
}

/// Where requests go: in this process, or over HTTP with a signed identity.
#[async_trait]
pub trait Controllers: Send + Sync + 'static {
    /// Answers a request.
    async fn call(&self, request: Forwarded) -> Response;

    /// Answers a request that was turned away before it was read whole.
    fn reject(&self, head: &request::Parts, rejection: Rejection) -> Response;
}

/// What a gateway is made of.
pub struct Parts {
    pub config: Config,
    pub authenticator: Arc<Authenticator>,
    pub controllers: Arc<dyn Controllers>,
    pub phases: Phases,
    /// Where API routes are kept.
    pub apis: Arc<dyn ApiStore>,
    /// Names of this platform beside `gateway.apis.own_hosts`: `host:port` of its listeners and of `api_host`, where known.
    pub hosts: Vec<String>,
}

/// The edge before some controllers.
pub struct Gateway {
    config: Config,
    authenticator: Arc<Authenticator>,
    controllers: Arc<dyn Controllers>,
    phases: Phases,
    apis: Apis,
}

/// The edge as a listener shows it.
pub struct Face {
    gateway: Arc<Gateway>,
    scheme: Scheme,
    shows: Shows,
}

/// What a listener answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    Everything,
    /// Calls of APIs, and nothing else.
    Apis,
}

/// What a path is for.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Controllers,
    Apimgmt(Action),
    V2,
}

fn place(path: &str) -> Place {
    if let Some(action) = Action::at(path) {
        return Place::Apimgmt(action);
    }
    if v2::is_below(path) {
        Place::V2
    } else {
        Place::Controllers
    }
}

impl Gateway {
    /// Errors: the text for the operator about a setting that cannot be used.
    pub fn new(parts: Parts) -> Result<Gateway, String> {
        let Parts {
            config,
            authenticator,
            controllers,
            phases,
            apis,
            hosts,
        } = parts;
        let proxies = client::Proxies::new(&config.trusted_proxies)
            .map_err(|error| format!("`gateway.trusted_proxies`: {error}"))?;
        let apis = Apis::new(config.apis.clone(), apis, proxies, hosts)?;
        Ok(Gateway {
            config,
            authenticator,
            controllers,
            phases,
            apis,
        })
    }

    /// The handler of a listener.
    pub fn face(self: &Arc<Self>, scheme: Scheme, shows: Shows) -> Arc<Face> {
        Arc::new(Face {
            gateway: self.clone(),
            scheme,
            shows,
        })
    }

    fn probe(&self, path: &str) -> Option<Response> {
        match path {
            // `/ping` is part of the API, in upstream's words.
            "/metrics" if !self.config.metrics => None,
            "/ready" | "/metrics" => admin::answer(path, &self.phases),
            _ => None,
        }
    }

    fn verdict(&self) -> Verdict {
        self.phases.current().verdict(Listener::Api)
    }

    async fn answer(&self, request: Request, scheme: Scheme) -> Response {
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
        let Request { head, body, peer } = request;
        match place(head.uri.path()) {
            Place::Controllers => self.controllers.call(Forwarded { head, body, caller }).await,
            // Boxed, so that the rare requests do not make the future of the frequent ones larger.
            Place::Apimgmt(action) => {
                let client = self.apis.client(peer, &head, scheme);
                Box::pin(self.apis.manage(action, &head, &body, &caller, &client)).await
            }
            Place::V2 => {
                let client = self.apis.client(peer, &head, scheme);
                Box::pin(self.apis.managed_v2(&head, &body, &caller, &client)).await
            }
        }
    }
}

#[async_trait]
impl Handler for Face {
    async fn handle(self: Arc<Self>, request: Request) -> Response {
        let gateway = &self.gateway;
        if let Some(answer) = gateway.probe(request.head.uri.path()) {
            return answer;
        }
        match gateway.verdict() {
            Verdict::Refuse => starting(),
            verdict @ (Verdict::Serve | Verdict::ServeAndClose) => {
                let mut span = Span::serve(&request.head);
                let answer = within(span.context(), gateway.answer(request, self.scheme)).await;
                closing(verdict, traced(&mut span, answer))
            }
        }
    }

    fn streams(&self, head: &request::Parts) -> bool {
        let path = head.uri.path();
        match self.shows {
            Shows::Everything => public::split(path).is_some(),
            Shows::Apis => self.gateway.probe(path).is_none(),
        }
    }

    async fn stream(self: Arc<Self>, request: Streamed) -> Response {
        let gateway = &self.gateway;
        match gateway.verdict() {
            Verdict::Refuse => starting(),
            verdict @ (Verdict::Serve | Verdict::ServeAndClose) => {
                let mut span = Span::serve(&request.head);
                let answer = within(span.context(), gateway.apis.answer(gateway, request, self.scheme)).await;
                closing(verdict, traced(&mut span, answer))
            }
        }
    }

    fn reject(&self, head: &request::Parts, rejection: Rejection) -> Response {
        self.gateway.controllers.reject(head, rejection)
    }
}

fn starting() -> Response {
    text(
        StatusCode::SERVICE_UNAVAILABLE,
        "The platform is starting; try again in a moment.",
    )
}

/// Tells the client where its request is in a trace.
fn traced(span: &mut Span, mut response: Response) -> Response {
    span.answered(response.status());
    if let Some(context) = span.context() {
        context.inject(response.headers_mut());
    }
    response
}

/// While the process drains, the client's next request is to find another.
fn closing(verdict: Verdict, mut response: Response) -> Response {
    if verdict == Verdict::ServeAndClose {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests;
