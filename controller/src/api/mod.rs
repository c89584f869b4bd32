//! HTTP in, HTTP out: finds the route, reads what it needs, calls one function of [`crate::app`], shapes the reply.
//!
//! Order of judgement, as upstream's: target and verb, route, key, names in the path, then whatever the handler checks
//! (entitlement, sizes, query, body, existence). Every answer carries the request's id; answers of handlers carry the CORS
//! headers of their surface, answers of the layer before them do not.

mod actions;
mod activations;
mod cors;
mod description;
mod edge;
mod error;
mod follow;
mod info;
mod invoke;
mod limits;
mod listing;
mod namespaces;
mod packages;
mod query;
mod reply;
mod request;
mod router;
mod rules;
mod triggers;
mod web;

use std::borrow::Cow;
use std::sync::Arc;

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use wsk_entities::Collection;
use wsk_service::Boxed;
use wsk_service::http::Response;
use wsk_service::telemetry::Transaction;

use crate::app::App;
use crate::metrics;
use cors::Surface;
pub use error::{Error, Layout};
pub use query::{Listing, Query};
pub use request::{Call, Request, transaction_id};
use router::{Captures, Matched, Open, Resource, Route, Start};

/// The request's id, on every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The id of the activation that a request started.
pub const ACTIVATION_ID: HeaderName = HeaderName::from_static("x-openwhisk-activation-id");

/// Longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;
/// Largest request body, in bytes.
pub const MAX_ENTITY: usize = 50 * 1024 * 1024;

impl App {
    /// Answers a request. Never fails and never hangs longer than a blocking wait.
    pub fn handle(self: &Arc<App>, request: Request) -> Boxed<'_, Response> {
        Box::pin(async move {
            let transid = &request.transid;
            let transaction = Transaction::of(transid.id.clone(), transid.extra_logging);
            transaction.run(self.respond(&request)).await
        })
    }

    async fn respond(self: &Arc<App>, request: &Request) -> Response {
        let mut response = self.answer(request).await;
        metrics::answered(&request.parts.method, response.status());
        let (method, path, status) = (
            &request.parts.method,
            request.parts.uri.path(),
            response.status().as_u16(),
        );
        tracing::debug!(%method, path, status, "answered");
        if let Ok(id) = HeaderValue::from_str(&request.transid.id) {
            // An action may have set the same header: both are sent, ours first.
            let theirs = response.headers_mut().insert(REQUEST_ID, id);
            if let Some(theirs) = theirs {
                response.headers_mut().append(REQUEST_ID, theirs);
            }
        }
        response
    }

    async fn answer(self: &Arc<App>, request: &Request) -> Response {
        if let Err(error) = check_target(request) {
            return error.response(&request.transid, Layout::Compact);
        }
        let path = routable(request.parts.uri.path());
        let (surface, result) = match router::classify(&request.parts.method, &path) {
            Matched::Known {
                route: Route::Start(start),
                captures,
            } => (Surface::Management, self.start(start, captures, request).await),
            Matched::Known {
                route: Route::Resource(resource),
                captures,
            } => (Surface::Management, self.resource(resource, captures, request).await),
            Matched::Known {
                route: Route::Open(open),
                ..
            } => return self.open(open, request),
            Matched::Web(path) => return web::handle(self, request, path).await,
            Matched::Options { management } => return options(management),
            Matched::UnknownManagement => (Surface::Management, unknown(request)),
            Matched::NotAllowed { allow } => (Surface::Outside, Err(Error::Method { allow })),
        };
        finish(surface, result, request)
    }

    async fn start(
        self: &Arc<App>,
        start: Start,
        captures: Captures<'_>,
        request: &Request,
    ) -> Result<Response, Error> {
        let call = Call::new(request, request::known(request)?, captures)?;
        match start {
            Start::Action => invoke::action(self, &call, call.full_name()?).await,
            Start::PackagedAction => invoke::action(self, &call, call.packaged_name()?).await,
            Start::Trigger => invoke::trigger(self, &call, call.full_name()?).await,
        }
    }

    async fn resource(
        self: &Arc<App>,
        resource: Resource,
        captures: Captures<'_>,
        request: &Request,
    ) -> Result<Response, Error> {
        use Collection::{Actions, Packages, Rules, Triggers};
        let call = &Call::new(request, request::known(request)?, captures)?;
        // Boxed, so that the rare routes do not make the future of the frequent ones larger.
        let answer: Boxed<'_, Result<Response, Error>> = match resource {
            Resource::Namespaces => return Ok(namespaces::list(call)),
            Resource::Limits => return limits::get(self, call),
            Resource::LimitsEntity => return Err(Error::LimitsEntity),
            Resource::List(Actions) => Box::pin(actions::list(self, call)),
            Resource::List(Triggers) => Box::pin(triggers::list(self, call)),
            Resource::List(Rules) => Box::pin(rules::list(self, call)),
            Resource::List(Packages) => Box::pin(packages::list(self, call)),
            Resource::PackageActions => Box::pin(actions::list_package(self, call)),
            Resource::Get(Actions) => Box::pin(actions::get(self, call, call.full_name()?)),
            Resource::GetPackaged => Box::pin(actions::get(self, call, call.packaged_name()?)),
            Resource::Put(Actions) => Box::pin(actions::put(self, call, call.full_name()?)),
            Resource::PutPackaged => Box::pin(actions::put(self, call, call.packaged_name()?)),
            Resource::Delete(Actions) => Box::pin(actions::delete(self, call, call.full_name()?)),
            Resource::DeletePackaged => Box::pin(actions::delete(self, call, call.packaged_name()?)),
            Resource::Get(Triggers) => Box::pin(triggers::get(self, call)),
            Resource::Put(Triggers) => Box::pin(triggers::put(self, call)),
            Resource::Delete(Triggers) => Box::pin(triggers::delete(self, call)),
            Resource::Get(Rules) => Box::pin(rules::get(self, call)),
            Resource::Put(Rules) => Box::pin(rules::put(self, call)),
            Resource::Delete(Rules) => Box::pin(rules::delete(self, call)),
            Resource::RuleStatus => Box::pin(rules::set_status(self, call)),
            Resource::Get(Packages) => Box::pin(packages::get(self, call)),
            Resource::Put(Packages) => Box::pin(packages::put(self, call)),
            Resource::Delete(Packages) => Box::pin(packages::delete(self, call)),
            Resource::Activations => Box::pin(activations::list(self, call)),
            Resource::Activation => Box::pin(activations::get(self, call)),
            Resource::CancelActivation => Box::pin(activations::cancel(self, call)),
            Resource::ActivationResult => Box::pin(activations::result(self, call)),
            Resource::ActivationLogs => Box::pin(activations::logs(self, call)),
        };
        answer.await
    }

    /// What needs no key. Below `/api/v1` these answers carry CORS headers, outside they do not.
    fn open(self: &Arc<App>, open: Open, request: &Request) -> Response {
        let (cors, response) = match open {
            Open::Info => (false, info::platform(self)),
            Open::Ping => (false, reply::text("pong")),
            Open::InfoDocs => (false, description::info_docs()),
            Open::InfoViewer => (false, info::viewer("/api-docs")),
            Open::ApiInfo => (true, info::api()),
            Open::ApiDocs => (true, description::api_docs(request.query())),
            Open::ApiViewer => (true, info::viewer("/api/v1/api-docs")),
            Open::Viewer => (false, description::viewer()),
            Open::Invokers => (false, invoke::invokers(self)),
            Open::HealthyInvokers => (false, invoke::healthy_invokers(self)),
            Open::ReadyInvokers => (false, invoke::ready_invokers(self)),
            Open::ActivationsInFlight => (false, invoke::in_flight(self)),
            Open::ActivationsInFlightCount => (false, invoke::in_flight_count(self)),
        };
        if cors {
            return finish(Surface::Management, Ok(response), request);
        }
        acceptable(response, request).unwrap_or_else(|e| e.response(&request.transid, Layout::Compact))
    }
}

fn unknown(request: &Request) -> Result<Response, Error> {
    request::known(request)?;
    Err(Error::NoRoute)
}

fn options(management: bool) -> Response {
    let mut response = reply::ok();
    let surface = if management {
        Surface::Management
    } else {
        Surface::Outside
    };
    cors::add(surface, cors::ALLOWED_HEADERS, response.headers_mut());
    response
}

/// Renders an error, and adds the headers of a surface where upstream has them.
fn finish(surface: Surface, result: Result<Response, Error>, request: &Request) -> Response {
    let result = result
        .map_err(|error| presentable(error, request))
        .and_then(|response| acceptable(response, request));
    let (mut response, with_cors) = match result {
        Ok(response) => (response, true),
        Err(error) => (error.response(&request.transid, Layout::Compact), error.has_cors()),
    };
    if with_cors {
        cors::add(surface, cors::ALLOWED_HEADERS, response.headers_mut());
    }
    response
}

/// An error that a handler answers with is negotiated like any answer; one of the layer before it is sent as it is.
fn presentable(error: Error, request: &Request) -> Error {
    // Whoever asks for events by name can tell a refusal by its status.
    let headers = &request.parts.headers;
    let ranges = headers.get_all(hyper::header::ACCEPT);
    let events = || {
        ranges
            .iter()
            .any(|v| v.to_str().is_ok_and(|v| v.contains(follow::EVENTS)))
    };
    if error.has_cors() && !request::accepts(headers, "application/json") && !events() {
        return Error::NotAcceptable("application/json".to_owned());
    }
    error
}

/// Refuses an answer whose type the request's `Accept` excludes. A body that is empty has no type.
fn acceptable(response: Response, request: &Request) -> Result<Response, Error> {
    let headers = &request.parts.headers;
    let Some(accept) = headers.get(hyper::header::ACCEPT) else {
        return Ok(response);
    };
    if accept == "*/*" || response.extensions().get::<reply::WhateverAccepted>().is_some() {
        return Ok(response);
    }
    let Some(media_type) = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()) else {
        return Ok(response);
    };
    let essence = media_type.split(';').next().unwrap_or(media_type);
    if request::accepts(headers, essence) {
        return Ok(response);
    }
    Err(Error::NotAcceptable(essence.to_owned()))
}

/// Judges what upstream's HTTP layer judges before any route.
fn check_target(request: &Request) -> Result<(), Error> {
    let uri = &request.parts.uri;
    let target = uri.path_and_query().map_or("", |t| t.as_str());
    if target.len() > MAX_TARGET {
        return Err(Error::LongTarget(MAX_TARGET));
    }
    if !router::is_known(&request.parts.method) {
        return Err(Error::UnknownMethod);
    }
    if request.body.len() > MAX_ENTITY {
        return Err(Error::LargeEntity);
    }
    let mut rest = target;
    while let Some(at) = rest.find(['%', '[', ']']) {
        let digits = rest.as_bytes().get(at + 1..at + 3);
        if !rest[at..].starts_with('%') || !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
            return Err(Error::Target(
                "a bracket, or a percent sign without two hexadecimal digits",
            ));
        }
        rest = &rest[at + 3..];
    }
    Ok(())
}

/// A path as upstream's server routes it: what was escaped without need stands for itself, `.` and `..` are resolved.
fn routable(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return without_dots(path);
    }
    let (mut plain, mut rest) = (String::with_capacity(path.len()), path);
    while let Some(at) = rest.find('%') {
        let digits = rest.get(at + 1..at + 3);
        let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push_str(&rest[..at]);
        match octet {
            Some(octet @ (b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')) => {
                plain.push(char::from(octet));
                rest = &rest[at + 3..];
            }
            _ => {
                plain.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(without_dots(&plain).into_owned())
}

/// A path with `.` and `..` resolved.
fn without_dots(path: &str) -> Cow<'_, str> {
    if !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    let last = path.rsplit('/').next().unwrap_or_default();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let tail = if matches!(last, "." | "..") { "/" } else { "" };
    Cow::Owned(format!("/{}{tail}", kept.join("/")))
}

/// Whether a verb may carry an entity; used by the coverage tests.
pub fn takes_body(method: &Method) -> bool {
    matches!(*method, Method::PUT | Method::POST | Method::PATCH)
}

#[cfg(test)]
mod tests;
