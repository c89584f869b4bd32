//! Starting things: actions and triggers; and what operators see of what runs.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde::Serialize;
use wsk_entities::{Activation, ActivationId, FullName, Json, Object, StatusCode as Ended};
use wsk_service::http::Response;

use super::query::malformed;
use super::{ACTIVATION_ID, Call, Error, Query, Request, reply};
use crate::app::{App, Health, MAX_WAIT, Started, Wait};

/// How an invocation was asked for.
struct Mode {
    wait: Wait,
    /// Whether the bare result is wanted.
    result: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    activation_id: ActivationId,
}

/// `POST actions/{name}`.
pub async fn action(app: &Arc<App>, call: &Call<'_>, name: FullName) -> Result<Response, Error> {
    app.charge_invocation(&call.caller)?;
    let target = match app.resolve_action(&call.caller, &name).await {
        // What is not there is told after what is wrong with the request; not entitled comes before it, and a missing package.
        Err(error @ (crate::app::Error::Missing | crate::app::Error::Conflict(_))) => {
            app.may_read_action(&call.caller, &name).await?;
            Err(error)
        }
        target => Ok(target?),
    };
    app.check_payload_size(&call.caller, call.request.body.len())?;
    let (mode, payload) = (Mode::read(call.query())?, payload(call)?);
    let target = target?;
    match app.invoke(&call.caller, &target, payload, mode.wait).await? {
        Started::Accepted(id) => Ok(accepted(id)),
        Started::Ended(record) => Ok(ended(&record, mode.result)),
    }
}

/// `POST triggers/{name}`.
pub async fn trigger(app: &Arc<App>, call: &Call<'_>, name: FullName) -> Result<Response, Error> {
    app.charge_fire(&call.caller)?;
    call.caller.must_own(&name)?;
    app.check_payload_size(&call.caller, call.request.body.len())?;
    let payload = payload(call)?;
    let headers = Json::from(&request_headers(call.request));
    match app.fire(&call.caller, &name, payload, headers).await? {
        Some(id) => Ok(accepted(id)),
        None => {
            let mut response = Response::new(wsk_service::http::Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
    }
}

/// The body: an object, or nothing.
fn payload(call: &Call<'_>) -> Result<Option<Json>, Error> {
    match call.request.optional_json()? {
        Some(json) if !json.is_object() => Err(wsk_entities::Error::malformed("JSON object expected").into()),
        payload => Ok(payload),
    }
}

impl Mode {
    fn read(query: Query<'_>) -> Result<Mode, Error> {
        let (blocking, result) = (query.flag("blocking", false)?, query.flag("result", false)?);
        let limit = match query.get("timeout") {
            None => MAX_WAIT,
            Some(text) => wait_limit(&text).ok_or_else(|| {
                malformed(
                    "timeout",
                    format!("Timeout must be number of milliseconds up to {}.", MAX_WAIT.as_millis()),
                )
            })?,
        };
        Ok(Mode {
            wait: if blocking { Wait::UpTo(limit) } else { Wait::No },
            result,
        })
    }
}

fn wait_limit(text: &str) -> Option<Duration> {
    let limit = Duration::from_millis(text.parse().ok()?);
    (!limit.is_zero() && limit <= MAX_WAIT).then_some(limit)
}

/// Headers that belong to the entity or the connection, which upstream's server takes out of the request.
const NOT_SHOWN: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING];

/// The request's headers as strings, names in lower case, the last of a repeated one; for `__ow_headers`.
pub fn request_headers(request: &Request) -> Object {
    let mut headers = Object::with_capacity(request.parts.headers.len());
    for (name, value) in &request.parts.headers {
        if !NOT_SHOWN.contains(name) {
            headers.insert(
                name.as_str().to_owned(),
                Json::from(&*String::from_utf8_lossy(value.as_bytes())),
            );
        }
    }
    headers
}

fn accepted(id: ActivationId) -> Response {
    let mut response = with_id(reply::json(&Accepted { activation_id: id }), id);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The answer of a blocking call: the record, or its bare result, which an array always is.
fn ended(record: &Activation, result: bool) -> Response {
    let outcome = &record.response;
    let body = if result || outcome.result.is_array() {
        reply::json_text(outcome.result.as_str().to_owned())
    } else {
        reply::json(&record.shown())
    };
    let mut response = with_id(body, record.activation_id);
    *response.status_mut() = match outcome.status_code {
        Ended::Success => StatusCode::OK,
        Ended::ApplicationError | Ended::DeveloperError => StatusCode::BAD_GATEWAY,
        Ended::WhiskError => StatusCode::INTERNAL_SERVER_ERROR,
    };
    response
}

/// Names the activation that a request started.
pub fn with_id(mut response: Response, id: ActivationId) -> Response {
    let value = HeaderValue::from_str(&id.to_string()).expect("hex digits are a header value");
    response.headers_mut().append(ACTIVATION_ID, value);
    response
}

/// `GET /invokers`.
pub fn invokers(app: &App) -> Response {
    let states: serde_json::Map<String, serde_json::Value> = app
        .invokers()
        .into_iter()
        .map(|(name, health)| (name, health.text().into()))
        .collect();
    reply::json(&states)
}

/// `GET /invokers/healthy/count`.
pub fn healthy_invokers(app: &App) -> Response {
    reply::json(&healthy(app).0)
}

/// `GET /invokers/ready`: whether all invokers are up.
pub fn ready_invokers(app: &App) -> Response {
    let (up, all) = healthy(app);
    let ready = up == all && all > 0;
    let word = if ready { "healthy" } else { "unhealthy" };
    let mut response = reply::json(&serde_json::json!({ word: format!("{up}/{all}") }));
    if !ready {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}

fn healthy(app: &App) -> (usize, usize) {
    let states = app.invokers();
    (
        states.iter().filter(|(_, health)| *health == Health::Up).count(),
        states.len(),
    )
}

/// `GET /activation`.
pub fn in_flight(app: &App) -> Response {
    let pairs: Vec<(ActivationId, String)> = app
        .in_flight()
        .into_iter()
        .map(|(id, name)| (id, name.to_string()))
        .collect();
    reply::json(&pairs)
}

/// `GET /activation/count`.
pub fn in_flight_count(app: &App) -> Response {
    reply::json(&app.in_flight_count())
}
