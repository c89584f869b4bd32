//! Web actions.

use std::sync::Arc;

use hyper::header::{ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use wsk_entities::{EntityName, FullName, Namespace};
use wsk_service::http::{Body, Response};

use super::cors::{self, Surface};
use super::error::render;
use super::invoke::{request_headers, with_id};
use super::router::WebPath;
use super::{Error, Layout, Request, presentable, reply, request};
use crate::app::App;
use crate::app::web::{Answer, Asked, Entity, Exported, Extension, Ran, Signed, Unfit};

/// The verbs of web actions.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::DELETE,
    Method::POST,
    Method::PUT,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
];
const ALLOW: &str = "GET, DELETE, POST, PUT, HEAD, OPTIONS, PATCH";
/// Carries the secret of an action with `require-whisk-auth`.
const SECRET: HeaderName = HeaderName::from_static("x-require-whisk-auth");
/// The segment that stands for the default package.
const DEFAULT_PACKAGE: &str = "default";

/// Answers `/api/v1/web/{ns}/{package}/{action}…`, its own errors and CORS headers included.
pub async fn handle(app: &Arc<App>, request: &Request, path: WebPath<'_>) -> Response {
    let (name, extension) = match named(&path) {
        Some(named) if METHODS.contains(&request.parts.method) => named,
        Some(_) => return failure(request, Error::Method { allow: ALLOW }, Layout::Compact),
        None => return failure(request, unknown(request), Layout::Compact),
    };
    let exported = match app.exported(&name, &request.transid).await {
        Ok(exported) => exported,
        Err(error) => return failure(request, error.into(), Layout::Indented),
    };
    answer_exported(app, request, &path, &exported, extension)
        .await
        .unwrap_or_else(|error| {
            let error = presentable(error, request);
            let with_cors = error.has_cors() && !exported.custom_options();
            let mut response = failure(request, error, Layout::Indented);
            if with_cors {
                add_cors(request, &mut response);
            }
            response
        })
}

async fn answer_exported(
    app: &Arc<App>,
    request: &Request,
    path: &WebPath<'_>,
    exported: &Exported,
    extension: Extension,
) -> Result<Response, Error> {
    app.check_payload_size(&exported.owner, request.body.len())?;
    let (custom, options) = (exported.custom_options(), request.parts.method == Method::OPTIONS);
    let secret = request.parts.headers.get(SECRET).and_then(|value| value.to_str().ok());
    let known = request.caller.identity().is_some();
    let mut response = if options && !custom {
        Response::new(Body::empty())
    } else if options || (exported.admits(known, secret) && exported.trusts(app, &signed(request))) {
        // An action that answers its own preflight does so for everybody.
        match app
            .run_exported(exported, asked(request, path), extension)
            .await
            .map_err(unreadable)?
        {
            Ran::Answered(id, Ok(answer)) => with_id(shaped(request, answer)?, id),
            Ran::Answered(id, Err(unfit)) => with_id(refused(request, &unfit)?, id),
            Ran::NotYet(id) => with_id(
                message(request, StatusCode::ACCEPTED, "Response not yet ready.".into())?,
                id,
            ),
        }
    } else {
        return Err(crate::app::Error::Unauthorized.into());
    };
    if !custom {
        add_cors(request, &mut response);
    }
    Ok(response)
}

/// The action and extension that a path names; none when a segment cannot be a name.
fn named(path: &WebPath<'_>) -> Option<(FullName, Extension)> {
    let segment = request::decoded(path.action);
    let (action, extension) = Extension::split(&segment);
    let namespace = Namespace::new(&request::decoded(path.namespace)).ok()?;
    let package = match &*request::decoded(path.package) {
        DEFAULT_PACKAGE => None,
        package => Some(EntityName::new(package).ok()?),
    };
    Some((
        FullName::new(namespace, package, EntityName::new(action).ok()?),
        extension,
    ))
}

fn asked<'a>(request: &'a Request, path: &WebPath<'a>) -> Asked<'a> {
    let content_type = request
        .parts
        .headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default());
    Asked {
        method: request.parts.method.as_str().to_ascii_lowercase(),
        headers: request_headers(request),
        rest: path.rest,
        query: request.parts.uri.query(),
        content_type,
        body: &request.body,
        user: request
            .caller
            .identity()
            .map(|identity| identity.namespace.name.as_str()),
    }
}

/// What of the request a webhook's sender may have signed.
fn signed(request: &Request) -> Signed<'_> {
    let header = |name| {
        request
            .parts
            .headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    Signed {
        slack: header("x-slack-signature"),
        slack_time: header("x-slack-request-timestamp"),
        github: header("x-hub-signature-256"),
        body: &request.body,
    }
}

/// The answer that an action describes, unless the request excludes its type.
fn shaped(request: &Request, answer: Answer) -> Result<Response, Error> {
    let Answer {
        status,
        headers,
        entity,
    } = answer;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses were judged");
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&octets(&value))) {
            response.headers_mut().append(name, value);
        }
    }
    if let Some(Entity {
        content_type,
        offered,
        body,
    }) = entity
    {
        let essence = content_type.split(';').next().unwrap_or_default();
        if !request::accepts(&request.parts.headers, essence) {
            return Err(Error::NotAcceptable(offered));
        }
        *response.body_mut() = Body::full(body);
        if let Ok(content_type) = HeaderValue::from_str(&content_type) {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
    }
    Ok(response)
}

/// A header's value as octets: characters of Latin-1 as themselves, as upstream's server sends them, others in UTF-8.
fn octets(value: &str) -> Vec<u8> {
    let latin: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    latin.unwrap_or_else(|| value.as_bytes().to_vec())
}

fn refused(request: &Request, unfit: &Unfit) -> Result<Response, Error> {
    let status = match unfit {
        Unfit::NoProperty => StatusCode::NOT_FOUND,
        Unfit::Failed | Unfit::Invalid(_) | Unfit::Mismatch | Unfit::UnknownType => StatusCode::BAD_REQUEST,
    };
    message(request, status, unfit.to_string())
}

/// What is said in the place of an answer, unless the request excludes JSON.
fn message(request: &Request, status: StatusCode, error: String) -> Result<Response, Error> {
    if !request::accepts(&request.parts.headers, "application/json") {
        return Err(Error::NotAcceptable("application/json".into()));
    }
    let body = wsk_entities::ErrorBody {
        error,
        code: request.transid.id.to_string(),
    };
    let mut response = reply::json_text(render(&body, Layout::Indented));
    *response.status_mut() = status;
    Ok(response)
}

fn failure(request: &Request, error: Error, layout: Layout) -> Response {
    let error = presentable(error, request);
    let layout = match error {
        Error::NotAcceptable(_) => Layout::Compact,
        _ => layout,
    };
    error.response(&request.transid, layout)
}

/// A form that cannot be read is refused like a target that cannot.
fn unreadable(error: crate::app::Error) -> Error {
    match error {
        crate::app::Error::Entity(rule @ wsk_entities::Error::Rejected(_)) => Error::Path(rule),
        other => other.into(),
    }
}

/// A path whose names cannot be names is like any other path that is not known.
fn unknown(request: &Request) -> Error {
    request::known(request).err().unwrap_or(Error::NoRoute)
}

fn add_cors(request: &Request, response: &mut Response) {
    let asked = request.parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let allowed = asked.cloned().unwrap_or(cors::ALLOWED_HEADERS);
    cors::add(Surface::Web, allowed, response.headers_mut());
}
