//! The descriptions of the API that the platform serves, made from the table of routes.
//!
//! Two forms of the same facts: Swagger 2 at the paths where OpenWhisk's clients look for it, with the paths and definitions
//! that they know; and OpenAPI 3 (`?openapi=3`), which describes what is served and nothing else. The latter is kept in
//! `controller/openapi/openapi.json`, so that each change shows in review, and held against OpenWhisk's own description.

mod operations;
mod schemas;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wsk_service::http::Response;

use super::query::Query;
use super::reply;
use super::router::{Endpoint, ROUTES};
use operations::{APIS, Operation, WEB, operation};

/// Which description is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Swagger2,
    OpenApi3,
}

/// Below this the paths of the description begin.
const BASE: &str = "api/v1";

/// `GET /api/v1/api-docs`.
pub fn api_docs(query: Query<'_>) -> Response {
    static DOCUMENTS: [OnceLock<Bytes>; 2] = [OnceLock::new(), OnceLock::new()];
    let (dialect, document) = match query.get("openapi").as_deref() {
        Some("3") => (Dialect::OpenApi3, &DOCUMENTS[1]),
        Some(_) | None => (Dialect::Swagger2, &DOCUMENTS[0]),
    };
    reply::json_text(document.get_or_init(|| render(dialect).to_string().into()).clone())
}

/// The page that shows a description to people.
pub fn viewer() -> Response {
    reply::html(include_str!("viewer.html"))
}

/// `GET /api-docs`: the description of `GET /` alone.
pub fn info_docs() -> Response {
    let info = json!({
        "swagger": "2.0",
        "info": { "title": "Platform information", "version": "1.0.0" },
        "basePath": "/",
        "produces": ["application/json"],
        "paths": { "/": { "get": {
            "summary": "What this platform offers, and within which limits",
            "operationId": "getInfo",
            "responses": { "200": { "description": "The information", "schema": schemas::reference("Info", "#/definitions/") } },
        } } },
        "definitions": schemas::info("#/definitions/"),
    });
    reply::json_text(info.to_string())
}

fn render(dialect: Dialect) -> Value {
    let paths = paths(dialect);
    let info = json!({
        "title": "Ferrowhisk REST API",
        "description": "Functions, triggers, rules and packages; OpenWhisk's clients use it unchanged.",
        "version": "1.0.0",
    });
    match dialect {
        Dialect::Swagger2 => json!({
            "swagger": "2.0",
            "info": info,
            "basePath": format!("/{BASE}"),
            "produces": ["application/json"],
            "securityDefinitions": { "basicAuth": { "type": "basic" } },
            "security": [{ "basicAuth": [] }],
            "paths": paths,
            "definitions": schemas::all(dialect.prefix(), schemas::Scope::WithLegacy),
        }),
        Dialect::OpenApi3 => json!({
            "openapi": "3.0.3",
            "info": info,
            "servers": [{ "url": format!("/{BASE}") }],
            "security": [{ "basicAuth": [] }],
            "paths": paths,
            "components": {
                "securitySchemes": { "basicAuth": { "type": "http", "scheme": "basic" } },
                "schemas": schemas::all(dialect.prefix(), schemas::Scope::Served),
            },
        }),
    }
}

impl Dialect {
    /// What a reference to a schema begins with.
    fn prefix(self) -> &'static str {
        match self {
            Dialect::Swagger2 => "#/definitions/",
            Dialect::OpenApi3 => "#/components/schemas/",
        }
    }

    /// A parameter of a simple type.
    fn parameter(self, name: &str, place: &str, kind: &str, description: &str) -> Value {
        let mut out = json!({ "name": name, "in": place, "required": place == "path", "description": description });
        match self {
            Dialect::Swagger2 => out["type"] = kind.into(),
            Dialect::OpenApi3 => out["schema"] = json!({ "type": kind }),
        }
        out
    }
}

fn paths(dialect: Dialect) -> Map<String, Value> {
    let mut paths = Map::new();
    for endpoint in ROUTES {
        let Some(operation) = operation(endpoint.route) else {
            continue;
        };
        if operation.is_new && dialect == Dialect::Swagger2 {
            continue;
        }
        // A list answers with and without a slash at its end; one of the two is described.
        if endpoint.path.ends_with('/') && !endpoint.path.ends_with("{package}/") {
            continue;
        }
        describe(dialect, &mut paths, &path_of(endpoint), endpoint.method, &operation);
    }
    for method in ["GET", "PUT", "DELETE", "POST"] {
        let path = "/web/{namespace}/{packageName}/{actionName}.{extension}";
        let id = format!("{}WebAction", method.to_lowercase());
        describe(dialect, &mut paths, path, method, &Operation { id: &id, ..WEB });
    }
    for (method, operation) in APIS
        .iter()
        .filter(|(_, api)| !api.is_new || dialect == Dialect::OpenApi3)
    {
        let path = format!("/web/whisk.system/apimgmt/{}.http", operation.id);
        describe(dialect, &mut paths, &path, method, operation);
    }
    paths
}

/// The path below the base, its parameters under the names that generated clients know.
fn path_of(endpoint: &Endpoint) -> String {
    let path = endpoint
        .path
        .strip_prefix(BASE)
        .expect("described routes are below the base");
    let singular = match path.split('/').nth(3) {
        Some("actions") => "{actionName}",
        Some("triggers") => "{triggerName}",
        Some("rules") => "{ruleName}",
        _ => "{packageName}",
    };
    let path = path
        .replace("{ns}", "{namespace}")
        .replace("{package}", "{packageName}");
    path.replace("{name}", singular).replace("{id}", "{activationid}")
}

fn describe(dialect: Dialect, paths: &mut Map<String, Value>, path: &str, method: &str, operation: &Operation<'_>) {
    let in_path: Vec<Value> = path
        .split(['{', '}'])
        .skip(1)
        .step_by(2)
        .map(|name| dialect.parameter(name, "path", "string", schemas::path_parameter(name)))
        .collect();
    let item = paths.entry(path).or_insert_with(|| json!({}));
    let mut out = json!({ "tags": [operation.tag], "summary": operation.summary, "operationId": operation.id });
    let mut parameters: Vec<Value> = operation
        .query
        .iter()
        .map(|(name, kind, description)| dialect.parameter(name, "query", kind, description))
        .collect();
    if path.contains("{actionName}") {
        item["parameters"] = in_path.into();
    } else {
        parameters.splice(0..0, in_path);
    }
    let schema = |name: &str| schemas::reference(name, dialect.prefix());
    if let Some(body) = operation.body.filter(|_| method == "PUT" || method == "POST") {
        match dialect {
            Dialect::Swagger2 => parameters.push(json!({ "name": "body", "in": "body", "schema": schema(body) })),
            Dialect::OpenApi3 => {
                out["requestBody"] = json!({ "content": { "application/json": { "schema": schema(body) } } })
            }
        }
    }
    if !parameters.is_empty() {
        out["parameters"] = parameters.into();
    }
    out["responses"] = responses(dialect, operation).into();
    item[method.to_lowercase()] = out;
}

fn responses(dialect: Dialect, operation: &Operation<'_>) -> Map<String, Value> {
    let with_schema = |description: &str, schema: Option<&str>| {
        let mut out = json!({ "description": description });
        let Some(schema) = schema.map(|name| schemas::reference(name, dialect.prefix())) else {
            return out;
        };
        match dialect {
            Dialect::Swagger2 => out["schema"] = schema,
            Dialect::OpenApi3 => out["content"] = json!({ "application/json": { "schema": schema } }),
        }
        out
    };
    let successes = operation
        .success
        .iter()
        .map(|(code, text, schema)| (*code, with_schema(text, *schema)));
    let refusals = operation
        .refusals
        .iter()
        .map(|code| (*code, with_schema(operations::refusal(code), Some("ErrorMessage"))));
    successes
        .chain(refusals)
        .map(|(code, response)| (code.to_owned(), response))
        .collect()
}

#[cfg(test)]
mod tests;
