//! From a description to routes: what each operation calls, and which policies stand before it.
//!
//! What is said but not understood is refused when the description is stored. A description that asks for a protection
//! that is not offered is never served without it.

use hyper::Method;
use hyper::header::HeaderName;
use serde_json::Value;
use tokio::time::Duration;

use super::document::{self, REQUEST_PATH};
use super::limit::Rate;
use super::mapping::Mapping;
use super::oauth::Guard;
use super::target::Target;

/// An API ready to serve.
#[derive(Debug)]
pub struct Routes {
    /// Begins with a slash and has none at its end, but for `/`.
    pub base_path: String,
    pub cors: Cors,
    pub keys: Keys,
    /// What a caller's bearer token must be.
    pub guard: Option<Guard>,
    pub rate: Option<Rate>,
    pub resources: Vec<Resource>,
}

/// A path with its verbs.
#[derive(Debug)]
pub struct Resource {
    /// With the base path.
    pub path: String,
    pub operations: Vec<Operation>,
}

/// One verb of a path.
#[derive(Debug)]
pub struct Operation {
    pub verb: Method,
    pub target: Target,
    /// What the backend is asked with; none keeps the caller's verb.
    pub rewrite: Option<Method>,
    pub mapping: Mapping,
}

/// What becomes of cross-origin requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors {
    /// The gateway answers preflights and names what is allowed.
    Answered,
    /// No answer carries such headers.
    Stripped,
    /// The backend's matter.
    PassedThrough,
}

/// What a caller must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    None,
    /// A subscribed id in this header.
    Id(HeaderName),
    /// An id, and the secret that belongs to it.
    IdAndSecret {
        id: HeaderName,
        secret: HeaderName,
    },
}

/// Bounds of rate limits: calls, and seconds of their window.
const MOST_CALLS: f64 = 1e9;
const SHORTEST: f64 = 0.001;
const LONGEST: f64 = 366.0 * 86_400.0;

const CLIENT_ID: &str = "X-Client-ID";
const CLIENT_SECRET: &str = "X-Client-Secret";

/// Reads a description. Errors: the text for its author.
pub fn read(document: &Value) -> Result<Routes, String> {
    let base_path = base_path(document)?;
    let steps = Steps::of(document);
    let mut resources: Vec<Resource> = Vec::new();
    for (path, verb, operation) in document::operations(document) {
        if !path.starts_with('/') {
            return Err(format!("the path '{path}' must begin with '/'"));
        }
        let operation = steps.operation(path, verb, operation)?;
        let full = format!("{}{path}", base_path.trim_end_matches('/'));
        match resources.last_mut().filter(|resource| resource.path == full) {
            Some(resource) => resource.operations.push(operation),
            None => resources.push(Resource {
                path: full,
                operations: vec![operation],
            }),
        }
    }
    let (keys, guard) = protection(document)?;
    Ok(Routes {
        cors: cors(document),
        keys,
        guard,
        rate: rate(document)?,
        base_path,
        resources,
    })
}

/// The base path as routes use it. Errors: the text for its author.
pub fn base_path(document: &Value) -> Result<String, String> {
    let written = text(document.get("basePath"));
    if !written.starts_with('/') {
        return Err("the basePath must begin with '/'".to_owned());
    }
    if document::path_parameters(written).next().is_some() {
        return Err(format!(
            "The base path ({written}) cannot have parameters. Only the relative path supports path parameters."
        ));
    }
    let trimmed = written.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
}

/// Where routes lead, as the description says it.
struct Steps<'a> {
    all: &'a [Value],
}

impl<'a> Steps<'a> {
    fn of(document: &'a Value) -> Steps<'a> {
        let assembly = document::configuration(document).and_then(|configuration| configuration.get("assembly"));
        let execute = assembly.and_then(|assembly| assembly.get("execute"));
        Steps {
            all: execute.and_then(Value::as_array).map_or(&[], Vec::as_slice),
        }
    }

    /// The steps of the case that names an operation, and those that stand before the switch.
    fn for_operation(&self, id: &str) -> impl Iterator<Item = &'a Value> {
        let names = move |case: &&Value| {
            let operations = case.get("operations").and_then(Value::as_array);
            operations.is_some_and(|operations| operations.iter().any(|o| o.as_str() == Some(id)))
        };
        let cases = self
            .all
            .iter()
            .filter_map(|step| step.get("operation-switch")?.get("case")?.as_array())
            .flatten()
            .find(names);
        let own = cases.and_then(|case| case.get("execute")?.as_array());
        own.into_iter().flatten().chain(self.all.iter())
    }

    fn operation(&self, path: &str, verb: &str, operation: &Value) -> Result<Operation, String> {
        let id = text(operation.get("operationId"));
        let steps: Vec<&Value> = self.for_operation(id).collect();
        let invoke = steps.iter().find_map(|step| step.get("invoke"));
        // A description made elsewhere may name the action alone.
        let plain = operation.get("x-openwhisk").and_then(|action| action.get("url"));
        let target = text(invoke.and_then(|invoke| invoke.get("target-url")).or(plain));
        if target.is_empty() {
            return Err(format!("the operation '{verb}' of the path '{path}' has no target-url"));
        }
        check_parameters(path, operation, target)?;
        let target = Target::parse(target)?;
        let mapping = mapping(&steps)?;
        if let Some(name) = mapping.placeholders().find(|name| !target.has(name)) {
            return Err(format!(
                "the target-url of '{verb}' of the path '{path}' has no '{{{name}}}'"
            ));
        }
        Ok(Operation {
            verb: method(verb)?,
            target,
            rewrite: rewrite(invoke)?,
            mapping,
        })
    }
}

/// What the steps of an operation change about its requests. A step that is not understood might be a protection.
fn mapping(steps: &[&Value]) -> Result<Mapping, String> {
    let mut mapping = Mapping::default();
    for (name, step) in steps.iter().filter_map(|step| step.as_object()).flatten() {
        match name.as_str() {
            "set-variable" => mapping.set_variables(step)?,
            "reqMapping" => mapping.map(step)?,
            "invoke" | "operation-switch" => {}
            other => return Err(format!("the step '{other}' of the assembly is not offered")),
        }
    }
    Ok(mapping)
}

/// What OpenWhisk asks of paths with parameters.
fn check_parameters(path: &str, operation: &Value, target: &str) -> Result<(), String> {
    let mut names = document::path_parameters(path).peekable();
    let (Some(action), true) = (operation.get("x-openwhisk"), names.peek().is_some()) else {
        return Ok(());
    };
    if !text(action.get("url")).ends_with(".http") {
        let text = "The action must use a response type of '.http' in order to receive the path parameters.";
        return Err(text.to_owned());
    }
    if !target.ends_with(REQUEST_PATH) {
        let id = text(operation.get("operationId"));
        return Err(format!(
            "The target-url for operationId '{id}' must end in '{REQUEST_PATH}' in order for actions to receive the path parameters."
        ));
    }
    let declared = operation.get("parameters").and_then(Value::as_array);
    let is_declared = |name: &str| {
        let mut declared = declared.into_iter().flatten();
        declared.any(|parameter| text(parameter.get("name")) == name)
    };
    match names.find(|name| !is_declared(name)) {
        Some(name) => Err(format!(
            "The parameter '{name}' defined in path '{path}' does not match any of the parameters defined for the path in the swagger file."
        )),
        None => Ok(()),
    }
}

fn method(verb: &str) -> Result<Method, String> {
    let known = document::VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb));
    let parsed = Method::from_bytes(verb.to_ascii_uppercase().as_bytes());
    parsed
        .ok()
        .filter(|_| known)
        .ok_or_else(|| format!("'{verb}' is not a verb"))
}

fn rewrite(invoke: Option<&Value>) -> Result<Option<Method>, String> {
    match text(invoke.and_then(|invoke| invoke.get("verb"))) {
        "" | "keep" => Ok(None),
        verb => method(verb).map(Some),
    }
}

fn cors(document: &Value) -> Cors {
    let enabled = document::configuration(document)
        .and_then(|configuration| configuration.get("cors")?.get("enabled"))
        .and_then(Value::as_bool);
    match enabled {
        Some(true) => Cors::Answered,
        Some(false) => Cors::Stripped,
        None => Cors::PassedThrough,
    }
}

/// What callers must show: keys, and a token.
fn protection(document: &Value) -> Result<(Keys, Option<Guard>), String> {
    let definitions = document.get("securityDefinitions").and_then(Value::as_object);
    let (mut id, mut secret, mut guard) = (None, None, None);
    for (name, definition) in definitions.into_iter().flatten() {
        if text(definition.get("type")) == "oauth2" {
            if guard.replace(Guard::read(name, definition)?).is_some() {
                return Err("more than one oauth2 in the securityDefinitions is not offered".to_owned());
            }
            continue;
        }
        let (slot, default) = match name.as_str() {
            "client_secret" => (&mut secret, CLIENT_SECRET),
            _ => (&mut id, CLIENT_ID),
        };
        let header = key_header(name, definition, default)?;
        if slot.replace(header).is_some() {
            return Err("more than one API key in the securityDefinitions is not offered".to_owned());
        }
    }
    let default = || HeaderName::from_bytes(CLIENT_ID.as_bytes()).expect("a header's name");
    let keys = match (id, secret) {
        (None, None) => Keys::None,
        (Some(id), None) => Keys::Id(id),
        (id, Some(secret)) => Keys::IdAndSecret {
            id: id.unwrap_or_else(default),
            secret,
        },
    };
    Ok((keys, guard))
}

/// The header that a security definition reads.
fn key_header(name: &str, definition: &Value, default: &str) -> Result<HeaderName, String> {
    let (kind, place) = (text(definition.get("type")), text(definition.get("in")));
    if kind != "apiKey" {
        return Err(format!(
            "the security definition '{name}' is of type '{kind}', which is not offered"
        ));
    }
    if !matches!(place, "" | "header") {
        return Err(format!(
            "the security definition '{name}' looks for a key elsewhere than in a header"
        ));
    }
    let header = match text(definition.get("name")) {
        "" => default,
        header => header,
    };
    HeaderName::from_bytes(header.as_bytes()).map_err(|_| format!("'{header}' cannot name a header"))
}

fn rate(document: &Value) -> Result<Option<Rate>, String> {
    let written = ["x-gateway-rate-limit", "x-ibm-rate-limit"]
        .iter()
        .find_map(|name| document.get(name));
    let first = match written {
        Some(Value::Array(limits)) => limits.first(),
        Some(Value::Null) | None => None,
        other => other,
    };
    let Some(limit) = first else { return Ok(None) };
    let unit = match text(limit.get("unit")) {
        "second" => 1,
        "hour" => 3_600,
        "day" => 86_400,
        _ => 60,
    };
    let number = |name: &str| limit.get(name).and_then(number);
    let (units, calls) = (number("units").unwrap_or(1.0), number("rate").unwrap_or_default());
    let seconds = units * f64::from(unit);
    let sensible = (1.0..=MOST_CALLS).contains(&calls) && (SHORTEST..=LONGEST).contains(&seconds);
    if !sensible {
        return Err("a rate limit needs a positive number of units and a rate of at least 1".to_owned());
    }
    Ok(Some(Rate {
        calls,
        window: Duration::from_secs_f64(seconds),
    }))
}

/// A number, also written as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
