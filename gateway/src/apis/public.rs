//! Calls of APIs: find the route, judge the caller, pass on.

pub mod asked;

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use hyper::http::request::Parts;
use hyper::{Method, Request, Uri};
use tokio::time::{Duration, Instant};
use wsk_service::http::{Body, Response, Streamed};

use super::Apis;
use super::backend::{Fate, Upload};
use super::error::Error;
use super::matching::{segments, without_dots};
use super::oauth::Bearer;
use super::policy;
use super::routes::{Cors, Operation};
use super::target::{Scheme, known_as};
use super::tenants::Served;
use crate::client::Client;
use crate::{Forwarded, Gateway, metrics};
use asked::{mapped, only_the_callers, refuse_circles, rewrite, strip_connection};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long a request's body may take to arrive.
const UPLOAD: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read and dropped, in multiples of the limit: a client that is cut off while it
/// still sends would see a reset instead of the answer.
const DISCARD_FACTOR: u64 = 3;

/// A path below `/api` that belongs to an API: its tenant, and the rest with its leading slash. What looks like a version of
/// the platform's own API is never a tenant, also where there is no such version.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/api/")?;
    let (tenant, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_tenant = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !tenant.is_empty();
    let is_version = tenant
        .strip_prefix('v')
        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    (is_tenant && !is_version).then_some((tenant, rest))
}

/// A call of an API, judged.
struct Call<'a> {
    served: &'a Served,
    operation: &'a Operation,
    /// Below the tenant, without dots, still encoded.
    path: String,
    client: &'a Client,
    /// Whose token was shown, where the API wants one.
    bearer: Option<Arc<Bearer>>,
    request_id: &'a HeaderValue,
}

impl Apis {
    /// Answers a call of an API.
    pub async fn answer(&self, gateway: &Gateway, request: Streamed, scheme: Scheme) -> Response {
        let request_id = request_id(&request.head.headers);
        let client = self.proxies.client(request.peer, &request.head, scheme);
        let mut response = self.routed(gateway, request, &client, &request_id).await;
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    async fn routed(
        &self,
        gateway: &Gateway,
        request: Streamed,
        client: &Client,
        request_id: &HeaderValue,
    ) -> Response {
        let asked = request.head.headers.clone();
        let found = self.find(request.head.uri.path()).await;
        let answer = match &found {
            Err(error) => Err(error.clone()),
            Ok((tenant, path)) => match tenant.find(&segments(path)) {
                None => Err(Error::NotFound),
                Some(served) => {
                    let mut response = self
                        .served(gateway, request, (served, path), client, request_id)
                        .await
                        .unwrap_or_else(|error| refused(&error, request_id));
                    policy::cross_origin(served, &asked, response.headers_mut());
                    return response;
                }
            },
        };
        answer.unwrap_or_else(|error| refused(&error, request_id))
    }

    /// The tenant's routes and the path below the tenant.
    async fn find(&self, path: &str) -> Result<(Arc<super::tenants::Tenant>, String), Error> {
        let (tenant, rest) = split(path).ok_or(Error::NotFound)?;
        let routes = self.tenants.get(tenant).await.map_err(|error| {
            tracing::error!(%error, "the store of API routes cannot be asked");
            Error::Internal
        })?;
        Ok((routes, without_dots(rest)))
    }

    async fn served(
        &self,
        gateway: &Gateway,
        request: Streamed,
        (served, path): (&Served, &str),
        client: &Client,
        request_id: &HeaderValue,
    ) -> Result<Response, Error> {
        let head = &request.head;
        if served.api.cors == Cors::Answered && head.method == Method::OPTIONS {
            metrics::CALLS.with_label_values(&["preflight"]).inc();
            return Ok(policy::preflight());
        }
        let operation = served.operations.iter().find(|operation| operation.verb == head.method);
        let operation = operation.ok_or(Error::Verb)?;
        let subscriber = policy::client(&served.api, &head.headers)?;
        let bearer = match &served.api.guard {
            None => None,
            Some(guard) => Some(self.tokens.check(guard, &head.headers).await?),
        };
        if let Some(rate) = served.api.rate {
            let key = format!("{} {} {}", served.api.id, served.path, subscriber.unwrap_or_default());
            if !self.limiter.admits(&key, rate, Instant::now()) {
                return Err(Error::Rate);
            }
        }
        let call = Call {
            served,
            operation,
            path: path.to_owned(),
            client,
            bearer,
            request_id,
        };
        let response = self.pass_on(gateway, call, request).await?;
        metrics::CALLS.with_label_values(&["passed"]).inc();
        Ok(response)
    }

    async fn pass_on(&self, gateway: &Gateway, call: Call<'_>, request: Streamed) -> Result<Response, Error> {
        let Streamed { mut head, body, .. } = request;
        let most = self.config.body.bytes();
        if announced(&head.headers).is_some_and(|length| length > most) {
            // A client that waits to be told to send its body has sent nothing to throw away.
            if !head.headers.contains_key(EXPECT) {
                let (rest, _) = Upload::new(body, most.saturating_mul(DISCARD_FACTOR), UPLOAD);
                discard(rest).await;
            }
            return Err(Error::BodyTooLarge);
        }
        let (mut upload, fate) = Upload::new(body, most, UPLOAD);
        let mut target = call.operation.target.clone();
        if !self.config.backend_host.is_empty() {
            target
                .moved_to(&self.config.backend_host)
                .map_err(|_| Error::Internal)?;
        }
        let mut query = target.joined_query(head.uri.query());
        refuse_circles(&head.headers)?;
        only_the_callers(&mut head.headers, &call);
        if !call.operation.mapping.is_empty() {
            (query, upload) = mapped(&mut head.headers, query, upload, &mut target, &call).await?;
        }
        let asked = target.path_and_query(&call.path, &query);
        rewrite(&mut head, &call);
        if self.is_ours(target.scheme, &target.authority, &call.served.api.hosts) {
            if !target.is_below("/api/v1/") {
                return Err(Error::Loop);
            }
            head.uri = asked.parse().map_err(|_| Error::Internal)?;
            return in_process(gateway, head, upload, self.config.backend_timeout.0).await;
        }
        let uri = format!("{}://{}{asked}", target.scheme.as_str(), target.authority);
        head.uri = uri.parse::<Uri>().map_err(|_| Error::Internal)?;
        self.elsewhere(head, upload, &fate).await
    }

    /// Calls another server.
    async fn elsewhere(&self, mut head: Parts, upload: Upload, fate: &Fate) -> Result<Response, Error> {
        for name in [HOST, CONTENT_LENGTH] {
            head.headers.remove(name);
        }
        head.headers.append(VIA, HeaderValue::from_static("1.1 ferrowhisk"));
        head.version = hyper::Version::HTTP_11;
        head.extensions.clear();
        let wait = self.config.backend_timeout.0;
        // The backend's time runs from the end of the body.
        let patience = match hyper::body::Body::is_end_stream(&upload) {
            true => wait,
            false => wait + UPLOAD,
        };
        let request = Request::from_parts(head, upload);
        let answer = self.backends.call(request, fate, patience).await?;
        Ok(passed_back(answer, wait))
    }

    /// Whether an authority is one of this platform's names.
    fn is_ours(&self, scheme: Scheme, authority: &str, hosts: &[String]) -> bool {
        let known = |name: &String| known_as(scheme, name) == authority;
        self.hosts.iter().any(known) || hosts.iter().any(known)
    }
}

/// Calls a controller without a connection in between.
async fn in_process(gateway: &Gateway, head: Parts, upload: Upload, wait: Duration) -> Result<Response, Error> {
    let body: Bytes = upload.whole().await?;
    let caller = gateway
        .authenticator
        .authenticate(head.headers.get(AUTHORIZATION))
        .await
        .map_err(|error| {
            tracing::error!(%error, "the subject store cannot be asked who is calling");
            Error::Internal
        })?;
    let called = gateway.controllers.call(Forwarded { head, body, caller });
    tokio::time::timeout(wait, called)
        .await
        .map_err(|_| Error::BackendTimeout)
}

/// A backend's answer as ours.
fn passed_back(answer: hyper::Response<hyper::body::Incoming>, wait: Duration) -> Response {
    let (mut head, body) = answer.into_parts();
    strip_connection(&mut head.headers);
    let mut response = Response::new(Body::forward_within(body, wait));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

fn refused(error: &Error, request_id: &HeaderValue) -> Response {
    metrics::CALLS.with_label_values(&[error.label()]).inc();
    error.response(request_id.to_str().unwrap_or_default())
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn discard(mut upload: Upload) {
    let mut next =
        async || std::future::poll_fn(|cx| hyper::body::Body::poll_frame(std::pin::Pin::new(&mut upload), cx)).await;
    while let Some(Ok(_)) = next().await {}
}

/// The client's id for its request, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let usable = |value: &&HeaderValue| value.to_str().is_ok_and(|text| (1..=128).contains(&text.len()));
    let given = headers.get(REQUEST_ID).filter(usable).cloned();
    given.unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        HeaderValue::from_str(&id).expect("hexadecimal digits")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_paths_are_apis() {
        let id = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";
        assert_eq!(split(&format!("/api/{id}/club/x")), Some((id, "/club/x")));
        assert_eq!(split(&format!("/api/{id}")), Some((id, "")));
        for path in [
            "/",
            "/api",
            "/api/",
            "/api//x",
            "/api/v1",
            "/api/v1/web/a/b/c",
            "/api/v2/namespaces/_/actions",
            "/api/a_b/x",
            "/apis/x/y",
        ] {
            assert_eq!(split(path), None, "{path}");
        }
    }

    #[test]
    fn ids_of_requests() {
        let mut headers = HeaderMap::new();
        assert_eq!(request_id(&headers).len(), 32);
        headers.insert(REQUEST_ID, HeaderValue::from_static("mine"));
        assert_eq!(request_id(&headers), "mine");
        headers.insert(REQUEST_ID, HeaderValue::from_str(&"x".repeat(129)).unwrap());
        assert_eq!(request_id(&headers).len(), 32);
    }
}
