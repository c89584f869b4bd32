//! The operators' listener: probes, metrics, and the switch that takes the platform out of service for a while.
//!
//! `POST /disable` lets what was accepted run to its end and refuses new invocations with 503; everything else is served
//! as before. `POST /enable` takes it back, `GET /isEnabled` tells. Upstream behaviour honoured: Basic authentication with
//! the operator's user, and the two texts of its controller; its invoker's paths are the same here, since both are one
//! process.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use wsk_invoker::Switch;
use wsk_service::admin::Admin;
use wsk_service::config::Secret;
use wsk_service::http::{Body, Handler, Limits, Request, Response, serve, text};
use wsk_service::phase::Phases;
use wsk_service::settings;
use wsk_service::supervise::{Stage, Supervisor};

use crate::folder::Folder;
use crate::serve::task;

settings! {
    /// The operators' listener.
    pub struct Operator {
        /// Address and port of probes, metrics and the switch; empty: there is no such listener.
        pub listen: String = String::new(),
        /// Who may use the switch.
        pub username: String = "operator".to_owned(),
        /// The password for it; empty: the switch is refused to everybody.
        pub password: Secret = Secret::new(""),
    }
}

/// Answers operators.
struct Operators {
    admin: Arc<Admin>,
    switch: Switch,
    /// `user:password`; none when nobody may use the switch.
    credentials: Option<String>,
}

/// Names the listener's address in the data folder.
const URL: &str = "operator.url";

/// Opens the listener, where one is configured.
pub async fn supervise(
    config: &Operator,
    folder: &Folder,
    supervisor: &mut Supervisor,
    phases: &Phases,
    switch: Switch,
) -> Result<()> {
    folder.remove(URL)?;
    if config.listen.is_empty() {
        return Ok(());
    }
    let listener = TcpListener::bind(&config.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {} (operator.listen)", config.listen))?;
    let address = listener.local_addr().context("the operators' address")?;
    folder.write(URL, &format!("http://{address}\n"))?;
    let password = config.password.reveal();
    let operators = Arc::new(Operators {
        admin: Arc::new(Admin::new(phases.clone())),
        switch,
        credentials: (!password.is_empty()).then(|| format!("{}:{password}", config.username)),
    });
    let mut listener = Some(listener);
    supervisor.spawn(task("operators", Stage::Storage), move |cancel| {
        let (listener, operators) = (listener.take(), operators.clone());
        async move {
            let listener = listener.context("the listener was taken once already")?;
            serve(listener, Limits::default(), operators, cancel).await;
            anyhow::Ok(())
        }
    });
    Ok(())
}

impl Operators {
    async fn switched(&self, enabled: bool) -> Response {
        match self.switch.set(enabled).await {
            Ok(()) if enabled => text(StatusCode::OK, "controller is enabled"),
            Ok(()) => text(StatusCode::OK, "controller is disabled"),
            Err(error) => {
                tracing::error!(%error, enabled, "the switch cannot be announced");
                text(StatusCode::INTERNAL_SERVER_ERROR, "There was an internal server error.")
            }
        }
    }

    fn state(&self) -> Response {
        let json = format!("{{\"enabled\":{}}}", self.switch.is_enabled());
        let mut response = Response::new(Body::full(json));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    /// Whether the request carries the operator's user and password, in a time that does not depend on how much fits.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let (Some(expected), Some(given)) = (&self.credentials, headers.get(AUTHORIZATION)) else {
            return false;
        };
        let encoded = given.as_bytes().strip_prefix(b"Basic ").unwrap_or_default();
        let given = STANDARD.decode(encoded).unwrap_or_default();
        given.ct_eq(expected.as_bytes()).into()
    }
}

#[async_trait]
impl Handler for Operators {
    async fn handle(self: Arc<Self>, request: Request) -> Response {
        let (method, path) = (&request.head.method, request.head.uri.path());
        let wanted = match (method, path) {
            (&Method::POST, "/disable") => Some(false),
            (&Method::POST, "/enable") => Some(true),
            (&Method::GET, "/isEnabled") => None,
            _ => return self.admin.clone().handle(request).await,
        };
        if !self.admits(&request.head.headers) {
            let mut response = text(StatusCode::UNAUTHORIZED, "username or password are wrong.");
            let basic = HeaderValue::from_static("Basic realm=\"operator\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, basic);
            return response;
        }
        match wanted {
            Some(enabled) => self.switched(enabled).await,
            None => self.state(),
        }
    }
}
