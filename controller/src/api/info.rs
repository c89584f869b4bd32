//! The documents about the platform itself.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use serde::Serialize;
use serde_json::{Map, Value, json};
use wsk_service::http::{Body, Response};

use super::reply;
use crate::app::App;

/// When and what this program was built from, for `wsk property get --apibuild`.
const BUILD: &str = match option_env!("WSK_BUILD_DATE") {
    Some(date) => date,
    None => "2026-08-01T00:00:00Z",
};
const BUILD_NUMBER: &str = env!("CARGO_PKG_VERSION");

const MB: u64 = 1_048_576;

#[derive(Serialize)]
struct Runtime<'a> {
    kind: &'a str,
    image: String,
    deprecated: bool,
    default: bool,
    attached: bool,
    #[serde(rename = "requireMain")]
    require_main: bool,
}

/// `GET /`.
pub fn platform(app: &App) -> Response {
    let mut runtimes = Map::new();
    for (family, kinds) in &app.manifest.runtimes {
        let kinds: Vec<Runtime<'_>> = kinds
            .iter()
            .map(|k| Runtime {
                kind: &k.kind,
                image: k.image.reference(),
                deprecated: k.deprecated,
                default: k.default,
                attached: k.attached.is_some(),
                require_main: k.require_main,
            })
            .collect();
        runtimes.insert(family.clone(), json!(kinds));
    }
    reply::json(&json!({
        "description": "OpenWhisk",
        "support": {
            "github": "https://github.com/apache/openwhisk/issues",
            "slack": "http://slack.openwhisk.org",
        },
        "api_paths": ["/api/v1"],
        "limits": limits(app),
        "runtimes": runtimes,
    }))
}

/// System bounds and defaults of a namespace; memory and logs in bytes, times in milliseconds.
fn limits(app: &App) -> Value {
    let bounds = app.bounds();
    let mut out = Map::new();
    out.insert(
        "actions_per_minute".into(),
        json!(app.config.shown_invocations_per_minute()),
    );
    out.insert("triggers_per_minute".into(), json!(app.config.shown_fires_per_minute()));
    out.insert(
        "concurrent_actions".into(),
        json!(app.config.shown_concurrent_invocations()),
    );
    out.insert("sequence_length".into(), json!(app.config.sequence_length));
    let figures = [
        ("action_duration", bounds.timeout, 1),
        ("action_memory", bounds.memory, MB),
        ("action_logs", bounds.logs, MB),
    ];
    for prefix in ["default_", ""] {
        for (name, range, unit) in figures {
            out.insert(format!("{prefix}min_{name}"), json!(u64::from(range.min) * unit));
            out.insert(format!("{prefix}max_{name}"), json!(u64::from(range.max) * unit));
        }
    }
    Value::Object(out)
}

/// `GET /api/v1`.
pub fn api() -> Response {
    reply::json(&json!({
        "description": "OpenWhisk API",
        "api_version": "1.0.0",
        "api_version_path": "v1",
        "build": BUILD,
        "buildno": BUILD_NUMBER,
        "swagger_paths": { "ui": "/docs", "api-docs": "/api-docs" },
    }))
}

/// A permanent redirect to the documentation viewer.
pub fn viewer(document: &str) -> Response {
    let location = format!("docs/index.html?url={document}");
    let text =
        format!("The request, and all future requests should be repeated using <a href=\"{location}\">this URI</a>.");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    headers.insert(
        LOCATION,
        HeaderValue::from_str(&location).expect("a location of ours is a header value"),
    );
    response
}
