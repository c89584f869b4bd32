//! Probes and metrics: `/ping`, `/ready`, `/metrics`.
//!
//! Answered in every phase, by [`answer`] inside the API's listener or by a listener of their own ([`Admin`] with
//! [`crate::http::serve`]), which is where a cluster keeps them.

use crate::http::{Body, Handler, Request, Response, text};
use crate::phase::{Phase, Phases};
use async_trait::async_trait;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use prometheus::{Encoder, TextEncoder};
use std::sync::Arc;

/// The handler of a separate admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    phases: Phases,
}

/// Answers `path` if it is one of the admin paths: `/ping` is `pong` as long as the process lives, `/ready` is 200 only
/// while it is ready, `/metrics` is Prometheus text 0.0.4 of the default registry.
pub fn answer(path: &str, phases: &Phases) -> Option<Response> {
    match path {
        "/ping" => Some(text(StatusCode::OK, "pong")),
        "/ready" => Some(ready(phases.current())),
        "/metrics" => Some(metrics()),
        _ => None,
    }
}

fn ready(phase: Phase) -> Response {
    let status = match phase {
        Phase::Ready => StatusCode::OK,
        Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, phase.name())
}

fn metrics() -> Response {
    let mut page = Vec::with_capacity(16 << 10);
    if let Err(error) = TextEncoder::new().encode(&prometheus::gather(), &mut page) {
        tracing::error!(%error, "cannot encode metrics");
        return text(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be encoded.");
    }
    let mut response = Response::new(Body::full(page));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}

impl Admin {
    /// The admin endpoints of the process whose phases these are.
    pub fn new(phases: Phases) -> Self {
        Self { phases }
    }
}

#[async_trait]
impl Handler for Admin {
    async fn handle(self: Arc<Self>, request: Request) -> Response {
        if request.head.method != Method::GET && request.head.method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered here.");
        }
        let not_found = || text(StatusCode::NOT_FOUND, "There are only /ping, /ready and /metrics here.");
        answer(request.head.uri.path(), &self.phases).unwrap_or_else(not_found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_the_phase_and_ping_does_not() {
        let phases = Phases::starting();
        let seen = |path| {
            let response = answer(path, &phases).unwrap();
            (response.status().as_u16(), response.body().as_full().unwrap().clone())
        };
        assert_eq!(seen("/ready"), (503, "starting".into()));
        phases.advance(Phase::Ready);
        assert_eq!(seen("/ready"), (200, "ready".into()));
        phases.advance(Phase::Draining);
        assert_eq!(seen("/ready"), (503, "draining".into()));
        assert_eq!(seen("/ping"), (200, "pong".into()));
        assert!(answer("/api/v1", &phases).is_none());
    }

    #[test]
    fn metrics_are_prometheus_text() {
        let counter = prometheus::register_int_counter!("wsk_service_admin_test", "Only for this test.").unwrap();
        counter.inc();
        let response = answer("/metrics", &Phases::starting()).unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4");
        let page = String::from_utf8(response.body().as_full().unwrap().to_vec()).unwrap();
        assert!(
            page.contains("# HELP wsk_service_admin_test Only for this test.\n"),
            "{page}"
        );
        assert!(page.contains("\nwsk_service_admin_test 1\n"), "{page}");
    }
}
