//! `/v2/<tenant>/apis` and `/v2/<tenant>/subscriptions`: the interface that gateways of OpenWhisk have behind their
//! management actions, and the only one for subscriptions.
//!
//! The owner of a tenant is let in with its key (Basic), anybody else with the secret of the configuration (Bearer).

use bytes::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use wsk_identity::Outcome;
use wsk_service::http::{Body, Response};
use wsk_store::{Api, Subscription};

use super::error::json_response;
use super::management::creation::Wanted;
use super::management::{Asked, is_named, parsed};
use super::{Apis, policy};
use crate::client::Client;

/// A status and what was wrong.
type Refusal = (StatusCode, String);

/// A request, taken apart.
struct Call<'a> {
    asked: Asked<'a>,
    method: &'a Method,
    /// Behind the tenant, decoded.
    path: Vec<String>,
    query: Vec<(String, String)>,
    body: &'a Bytes,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Create,
    Search,
    Show,
    Replace,
    Delete,
    Subscribe,
    Subscribers,
    Unsubscribe,
}

/// Verb, path behind the tenant, and what is asked for with them; nothing else is.
pub const ROUTES: &[(&str, &str, Route)] = &[
    ("POST", "apis", Route::Create),
    ("GET", "apis", Route::Search),
    ("GET", "apis/{id}", Route::Show),
    ("PUT", "apis/{id}", Route::Replace),
    ("DELETE", "apis/{id}", Route::Delete),
    ("POST", "subscriptions", Route::Subscribe),
    ("PUT", "subscriptions", Route::Subscribe),
    ("GET", "subscriptions", Route::Subscribers),
    ("DELETE", "subscriptions/{id}", Route::Unsubscribe),
];

/// Whether a path is for this module.
pub fn is_below(path: &str) -> bool {
    path.starts_with("/v2/")
}

impl Apis {
    pub async fn managed_v2(&self, head: &Parts, body: &Bytes, caller: &Outcome, client: &Client) -> Response {
        let rest = head.uri.path().strip_prefix("/v2/").unwrap_or_default();
        let mut segments = rest
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned());
        let tenant = segments.next().unwrap_or_default();
        let call = Call {
            asked: Asked {
                tenant: &tenant,
                client,
            },
            method: &head.method,
            path: segments.filter(|segment| !segment.is_empty()).collect(),
            query: form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            body,
        };
        let answer = match self.admits(&tenant, head, caller) {
            true => self.dispatch(&call).await,
            false => Err((StatusCode::UNAUTHORIZED, "Unauthorized".to_owned())),
        };
        answer.unwrap_or_else(|(status, text)| {
            let body = json!({ "status": status.as_u16(), "message": format!("Error: {text}") });
            json_response(status, body.to_string())
        })
    }

    fn admits(&self, tenant: &str, head: &Parts, caller: &Outcome) -> bool {
        if let Some(identity) = caller.identity() {
            return &*identity.namespace.uuid == tenant;
        }
        let secret = self.config.management_secret.reveal();
        let shown = head
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        !secret.is_empty() && shown.is_some_and(|shown| bool::from(shown.as_bytes().ct_eq(secret.as_bytes())))
    }

    async fn dispatch(&self, call: &Call<'_>) -> Result<Response, Refusal> {
        let (route, id) = call
            .route()
            .ok_or_else(|| (StatusCode::NOT_FOUND, "Not found.".to_owned()))?;
        match route {
            Route::Create => self.put(call, None).await,
            Route::Replace => self.put(call, Some(id)).await,
            Route::Search => self.search(call).await,
            Route::Show => {
                let api = self.by_id(call, id).await?;
                Ok(json_response(StatusCode::OK, self.item(call, &api.0)?.to_string()))
            }
            Route::Delete => {
                let (api, revision) = self.by_id(call, id).await?;
                let deleted = self
                    .store
                    .delete_api(call.asked.tenant, &api.base_path, &revision)
                    .await;
                self.changed(call, deleted)
            }
            Route::Subscribe => self.subscribe(call).await,
            Route::Subscribers => self.subscribers(call).await,
            Route::Unsubscribe => self.unsubscribe(call, id).await,
        }
    }

    /// Creates an API, or replaces the one of an id.
    async fn put(&self, call: &Call<'_>, id: Option<&str>) -> Result<Response, Refusal> {
        let document = object(call.body)?;
        if let Some(id) = id {
            let (api, _) = self.by_id(call, id).await?;
            if !is_named(&api, document["basePath"].as_str().unwrap_or_default()) {
                return Err(bad("an API keeps its basePath"));
            }
        }
        let created = self.create(&call.asked, Wanted::Whole(document)).await;
        let api = created.map_err(|text| (StatusCode::BAD_REQUEST, text))?;
        Ok(json_response(StatusCode::OK, self.item(call, &api)?.to_string()))
    }

    async fn search(&self, call: &Call<'_>) -> Result<Response, Refusal> {
        let mut apis: Vec<Api> = self.all(call).await?.into_iter().map(|stored| stored.0).collect();
        for name in ["basePath", "title"] {
            if let Some(value) = call.parameter(name) {
                apis.retain(|api| is_named(api, value));
            }
        }
        let number = |name| call.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let limit = number("limit").filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let page = apis.iter().skip(number("skip").unwrap_or(0)).take(limit);
        let items: Result<Vec<Value>, Refusal> = page.map(|api| self.item(call, api)).collect();
        Ok(json_response(StatusCode::OK, Value::from(items?).to_string()))
    }

    fn item(&self, call: &Call<'_>, api: &Api) -> Result<Value, Refusal> {
        let document = parsed(api).map_err(|text| (StatusCode::INTERNAL_SERVER_ERROR, text))?;
        let url = self.managed_url(call.asked.client, call.asked.tenant, &api.base_path);
        Ok(json!({ "artifact_id": api.id, "managed_url": url, "open_api_doc": document }))
    }

    async fn subscribe(&self, call: &Call<'_>) -> Result<Response, Refusal> {
        let body = object(call.body)?;
        let field = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let required = |name: &str| field(name).ok_or_else(|| bad(&format!("\"{name}\" missing from request body.")));
        let (api, client) = (required("artifact_id")?, required("client_id")?);
        let there = self
            .store
            .subscriptions(call.asked.tenant, api)
            .await
            .map_err(unavailable)?;
        let is_new = there.iter().all(|subscription| *subscription.client_id != *client);
        if is_new && there.len() >= self.config.subscriptions {
            let most = self.config.subscriptions;
            return Err(bad(&format!("an API may have {most} subscriptions")));
        }
        let subscription = Subscription {
            client_id: client.into(),
            secret: field("client_secret").map(|secret| policy::digest(secret).into()),
        };
        let subscribed = self.store.subscribe(call.asked.tenant, api, &subscription).await;
        self.changed(call, subscribed)?;
        let message = format!("Subscription '{client}' created for API '{api}'");
        Ok(json_response(StatusCode::OK, json!({ "message": message }).to_string()))
    }

    async fn subscribers(&self, call: &Call<'_>) -> Result<Response, Refusal> {
        let api = call.artifact()?;
        self.by_id(call, api).await?;
        let found = self
            .store
            .subscriptions(call.asked.tenant, api)
            .await
            .map_err(unavailable)?;
        let clients: Vec<&str> = found.iter().map(|subscription| &*subscription.client_id).collect();
        Ok(json_response(StatusCode::OK, json!(clients).to_string()))
    }

    async fn unsubscribe(&self, call: &Call<'_>, client: &str) -> Result<Response, Refusal> {
        let gone = self
            .store
            .unsubscribe(call.asked.tenant, call.artifact()?, client)
            .await;
        match gone {
            Ok(false) => Err((StatusCode::NOT_FOUND, "Subscription doesn't exist".to_owned())),
            other => self.changed(call, other.map(|_| ())),
        }
    }

    /// The end of a write: 204, seen by the next call.
    fn changed(&self, call: &Call<'_>, written: Result<(), wsk_store::Error>) -> Result<Response, Refusal> {
        self.tenants.forget(call.asked.tenant);
        match written {
            Ok(()) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                Ok(response)
            }
            Err(wsk_store::Error::Missing(_)) => Err((StatusCode::NOT_FOUND, "API doesn't exist".to_owned())),
            Err(error @ wsk_store::Error::Conflict(_)) => Err((StatusCode::CONFLICT, error.to_string())),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn by_id(&self, call: &Call<'_>, id: &str) -> Result<(Api, wsk_store::Revision), Refusal> {
        let found = self.all(call).await?.into_iter().find(|(api, _)| *api.id == *id);
        found.ok_or_else(|| (StatusCode::NOT_FOUND, format!("Unknown API id {id}")))
    }

    async fn all(&self, call: &Call<'_>) -> Result<Vec<(Api, wsk_store::Revision)>, Refusal> {
        let apis = self.store.apis(call.asked.tenant).await.map_err(unavailable)?;
        Ok(apis.into_iter().map(|stored| (stored.value, stored.revision)).collect())
    }
}

impl Call<'_> {
    /// The row of the table that this is, and the id in the path, empty where the row has none.
    fn route(&self) -> Option<(Route, &str)> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let id = |pattern: &str| match (pattern.split_once('/'), path.as_slice()) {
            (None, [collection]) if *collection == pattern => Some(""),
            (Some((first, _)), [collection, id]) if *collection == first => Some(*id),
            (None | Some(_), _) => None,
        };
        ROUTES
            .iter()
            .filter(|(verb, ..)| self.method == *verb)
            .find_map(|(_, pattern, route)| Some((*route, id(pattern)?)))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    fn artifact(&self) -> Result<&str, Refusal> {
        self.parameter("artifact_id")
            .ok_or_else(|| bad("\"artifact_id\" missing from the query."))
    }
}

fn object(body: &Bytes) -> Result<Value, Refusal> {
    match serde_json::from_slice(body) {
        Ok(document @ Value::Object(_)) => Ok(document),
        Ok(_) | Err(_) => Err(bad("the request body is not a JSON object")),
    }
}

fn bad(text: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, text.to_owned())
}

fn unavailable(error: wsk_store::Error) -> Refusal {
    tracing::error!(%error, "the store of API routes cannot be used");
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "the store of API routes is not available".to_owned(),
    )
}
