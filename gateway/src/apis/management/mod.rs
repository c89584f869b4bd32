//! Managing APIs through the three actions of `/whisk.system/apimgmt`, answered here in upstream's words.
//!
//! Like the web actions they stand for, they answer whoever asks, on any verb, but do something only for a valid key. The
//! tenant is the uuid of that key, whatever the query says.

pub mod creation;

use bytes::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};
use wsk_identity::Outcome;
use wsk_service::http::{Body, Response};
use wsk_store::{Api, Expected, Stored};

use super::document::{self, Left};
use super::error::json_response;
use super::oauth::Provider;
use super::public::REQUEST_ID;
use super::{Apis, routes};
use crate::client::Client;
use creation::Wanted;

/// Times a write is tried again when somebody else wrote the same API meanwhile.
const ATTEMPTS: usize = 10;
/// Most names of the platform remembered per API.
const MOST_HOSTS: usize = 8;
/// What upstream puts where it tells nothing.
const UNUSED: &str = "Not Used";

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    Get,
    Delete,
}

/// Who asks, and in which words.
pub struct Asked<'a> {
    pub tenant: &'a str,
    pub client: &'a Client,
}

impl Action {
    /// The action that a path names, if it is one of them.
    pub fn at(path: &str) -> Option<Action> {
        let name = path.strip_prefix("/api/v1/web/whisk.system/apimgmt/")?;
        let name = name
            .strip_suffix(".http")
            .or_else(|| name.strip_suffix(".json"))
            .unwrap_or(name);
        match name {
            "createApi" => Some(Action::Create),
            "getApi" => Some(Action::Get),
            "deleteApi" => Some(Action::Delete),
            _ => None,
        }
    }
}

impl Apis {
    /// Answers a call of one of the actions.
    pub async fn manage(
        &self,
        action: Action,
        head: &Parts,
        body: &Bytes,
        caller: &Outcome,
        client: &Client,
    ) -> Response {
        let mut response = if head.method == Method::OPTIONS {
            Response::new(Body::empty())
        } else {
            match self.managed(action, head, body, caller, client).await {
                Ok(result) => json_response(StatusCode::OK, result.to_string()),
                Err(text) => json_response(StatusCode::BAD_GATEWAY, json!({ "error": text }).to_string()),
            }
        };
        add_headers(head, response.headers_mut());
        response
    }

    async fn managed(
        &self,
        action: Action,
        head: &Parts,
        body: &Bytes,
        caller: &Outcome,
        client: &Client,
    ) -> Result<Value, String> {
        let parameters = parameters(head, body, self.config.document.bytes())?;
        let Some(identity) = caller.identity() else {
            return Err(match action {
                Action::Create => "A valid auth key is required.",
                Action::Get | Action::Delete => "Invalid authentication.",
            }
            .to_owned());
        };
        let asked = Asked {
            tenant: &identity.namespace.uuid,
            client,
        };
        match action {
            Action::Create => {
                let wanted = creation::wanted(&parameters, identity.namespace.name.as_str())?;
                let created = self.create(&asked, wanted).await;
                let api = created.map_err(|text| format!("API creation failure: {text}"))?;
                self.shown(&asked, &api)
            }
            Action::Get => self.list(&asked, &parameters).await,
            Action::Delete => self.delete(&asked, &parameters).await,
        }
    }

    /// Stores what is wanted. Errors: the text after the prefix.
    pub async fn create(&self, asked: &Asked<'_>, wanted: Wanted) -> Result<Api, String> {
        for _ in 0..ATTEMPTS {
            let apis = self
                .stored(asked.tenant, "Unable to obtain API(s) from the API Gateway")
                .await?;
            let (document, found) = wanted.applied(&apis)?;
            if found.is_none() && apis.len() >= self.config.per_namespace {
                let most = self.config.per_namespace;
                return Err(format!("a namespace may have {most} APIs; delete one first"));
            }
            let made = self.made(asked, &document, found)?;
            let expected = found.map_or(Expected::Absent, |found| Expected::Revision(found.revision.clone()));
            match self.store.put_api(&made, expected).await {
                Ok(_) => {
                    self.tenants.forget(asked.tenant);
                    return Ok(made);
                }
                Err(wsk_store::Error::Conflict(_)) => {}
                Err(error) => return Err(trouble("Unable to configure the API Gateway", 503, &error)),
            }
        }
        Err(trouble(
            "Unable to configure the API Gateway",
            409,
            &"others write the same API; try again",
        ))
    }

    /// The API to store: the document must be one that can be served.
    fn made(&self, asked: &Asked<'_>, document: &Value, found: Option<&Stored<Api>>) -> Result<Api, String> {
        let routes = routes::read(document)?;
        if routes.resources.is_empty() {
            return Err("the description has no operations".to_owned());
        }
        let app_id = matches!(&routes.guard, Some(guard) if matches!(guard.provider, Provider::AppId { .. }));
        if app_id && self.config.app_id_keys.is_empty() {
            return Err(
                "tokens of app-id cannot be checked here: the operator has not said where its keys are".to_owned(),
            );
        }
        let text = document.to_string();
        if text.len() as u64 > self.config.document.bytes() {
            return Err(format!("the description is larger than {}", self.config.document));
        }
        let mut hosts = found.map(|found| found.value.hosts.clone()).unwrap_or_default();
        let host = asked.client.host.to_ascii_lowercase();
        if !host.is_empty() && !hosts.contains(&host) {
            hosts.push(host);
            let surplus = hosts.len().saturating_sub(MOST_HOSTS);
            hosts.drain(..surplus);
        }
        Ok(Api {
            tenant: asked.tenant.into(),
            base_path: routes.base_path.into(),
            id: found.map_or_else(
                || uuid::Uuid::new_v4().to_string().into(),
                |found| found.value.id.clone(),
            ),
            hosts,
            document: text.into(),
        })
    }

    async fn list(&self, asked: &Asked<'_>, parameters: &Map<String, Value>) -> Result<Value, String> {
        if let Some(format) = given(parameters, "outputFormat")
            && !matches!(format.to_ascii_lowercase().as_str(), "apigw" | "swagger")
        {
            return Err("Invalid outputFormat value. Valid values are: apigw, swagger".to_owned());
        }
        let mut apis = self
            .stored(asked.tenant, "Unable to obtain API(s) from the API Gateway")
            .await?;
        if let Some(name) = given(parameters, "basepath") {
            apis.retain(|api| is_named(&api.value, &name));
        }
        let number = |name| given(parameters, name).and_then(|text| text.parse::<usize>().ok());
        let limit = number("limit").filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let page = apis.iter().skip(number("skip").unwrap_or(0)).take(limit);
        let shown: Result<Vec<Value>, String> = page
            .map(|api| Ok(json!({ "id": UNUSED, "key": UNUSED, "value": self.shown(asked, &api.value)? })))
            .collect();
        Ok(json!({ "apis": shown? }))
    }

    async fn delete(&self, asked: &Asked<'_>, parameters: &Map<String, Value>) -> Result<Value, String> {
        let name = given(parameters, "basepath").ok_or("basepath is required.")?;
        let (path, verb) = (given(parameters, "relpath"), given(parameters, "operation"));
        if verb.is_some() && path.is_none() {
            return Err("When specifying an operation, the path is required.".to_owned());
        }
        let verb = verb.map(|verb| verb.to_ascii_lowercase());
        let removed = self.remove(asked, &name, path.as_deref(), verb.as_deref()).await;
        removed.map_err(|text| format!("API deletion failure: {text}"))?;
        Ok(json!({}))
    }

    /// Removes an API, a path of it, or a verb of that path. Errors: the text after the prefix.
    async fn remove(
        &self,
        asked: &Asked<'_>,
        name: &str,
        path: Option<&str>,
        verb: Option<&str>,
    ) -> Result<(), String> {
        let attempted = "Unable to delete the API Gateway";
        for _ in 0..ATTEMPTS {
            let apis = self.stored(asked.tenant, attempted).await?;
            let found = apis.iter().find(|api| is_named(&api.value, name));
            let found = found.ok_or_else(|| format!("API '{name}' does not exist."))?;
            let mut document = parsed(&found.value)?;
            let left = match path {
                None => Left::Nothing,
                Some(path) => document::remove(&mut document, path, verb)?,
            };
            match self.store_left(found, left, &document).await {
                Ok(()) => {
                    self.tenants.forget(asked.tenant);
                    return Ok(());
                }
                Err(wsk_store::Error::Conflict(_)) => {}
                Err(error) => return Err(trouble(attempted, 503, &error)),
            }
        }
        Err(trouble(attempted, 409, &"others write the same API; try again"))
    }

    /// Writes what a removal left of an API.
    async fn store_left(&self, found: &Stored<Api>, left: Left, document: &Value) -> Result<(), wsk_store::Error> {
        let Stored { value, revision } = found;
        match left {
            Left::Nothing => self.store.delete_api(&value.tenant, &value.base_path, revision).await,
            Left::Routes => {
                let api = Api {
                    document: document.to_string().into(),
                    ..value.clone()
                };
                let expected = Expected::Revision(revision.clone());
                self.store.put_api(&api, expected).await.map(|_| ())
            }
        }
    }

    async fn stored(&self, tenant: &str, attempted: &str) -> Result<Vec<Stored<Api>>, String> {
        self.store
            .apis(tenant)
            .await
            .map_err(|error| trouble(attempted, 503, &error))
    }

    /// An API as clients know it.
    fn shown(&self, asked: &Asked<'_>, api: &Api) -> Result<Value, String> {
        Ok(json!({
            "namespace": UNUSED,
            "gwApiActivated": true,
            "tenantId": UNUSED,
            "gwApiUrl": self.managed_url(asked.client, asked.tenant, &api.base_path),
            "apidoc": parsed(api)?,
        }))
    }
}

/// Trouble of the store, as that of a gateway elsewhere is told.
fn trouble(attempted: &str, status: u16, reason: &dyn std::fmt::Display) -> String {
    format!("{attempted} (status code {status}): {reason}")
}

pub fn parsed(api: &Api) -> Result<Value, String> {
    serde_json::from_str(&api.document).map_err(|error| format!("the API {} cannot be read: {error}", api.base_path))
}

/// Whether a base path or title names an API.
pub fn is_named(api: &Api, name: &str) -> bool {
    match name.starts_with('/') {
        true => *api.base_path == *routes::base_path(&json!({ "basePath": name })).unwrap_or_else(|_| name.to_owned()),
        false => parsed(api).is_ok_and(|document| document["info"]["title"].as_str() == Some(name)),
    }
}

/// What a web action would get: the query's pairs and, over them, the members of the body.
fn parameters(head: &Parts, body: &Bytes, most: u64) -> Result<Map<String, Value>, String> {
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let mut parameters: Map<String, Value> = query
        .map(|(name, value)| (name.into(), value.as_ref().into()))
        .collect();
    // As text within JSON within JSON a description grows.
    if body.len() as u64 > most.saturating_mul(2) {
        return Err("the description is larger than allowed".to_owned());
    }
    if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
        parameters.extend(members);
    }
    Ok(parameters)
}

/// A parameter that is there and not empty, as text.
fn given(parameters: &Map<String, Value>, name: &str) -> Option<String> {
    let text = match parameters.get(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The headers that every answer of a web action carries.
fn add_headers(head: &Parts, headers: &mut hyper::HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let methods = HeaderValue::from_static("OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let allowed = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let usual = HeaderValue::from_static("Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.unwrap_or(usual));
    if let Some(id) = head.headers.get(REQUEST_ID) {
        headers.insert(REQUEST_ID, id.clone());
    }
}

impl Wanted {
    /// The document that results, and the API that it replaces. Errors: the text for the user.
    fn applied<'a>(&self, apis: &'a [Stored<Api>]) -> Result<(Value, Option<&'a Stored<Api>>), String> {
        match self {
            Wanted::Whole(document) => {
                let base = routes::base_path(document)?;
                let found = apis.iter().find(|api| *api.value.base_path == *base);
                Ok((document.clone(), found))
            }
            Wanted::Route { base, title, endpoint } => {
                let found = apis.iter().find(|api| is_named(&api.value, base));
                let mut document = match found {
                    Some(found) => parsed(&found.value)?,
                    None if base.starts_with('/') => document::empty(title.as_deref().unwrap_or(base), base),
                    None => return Err(format!("API '{base}' does not exist.")),
                };
                document::add(&mut document, endpoint);
                Ok((document, found))
            }
        }
    }
}
