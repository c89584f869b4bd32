//! The documents that the platform is asked to store. Nothing here reads a file or makes a call.

use serde_json::{Map, Value, json};

use super::manifest::{Action, Api, Dependency, Manifest, Package, Rule, Sequence, Trigger, Web, annotate};
use super::refused;
use super::values::{Input, key_values};
use crate::failure::Failure;
use crate::json::key_value;

/// The annotation that tells what belongs to a project.
pub const MANAGED: &str = "whisk-managed";

/// A document and the name it is stored under.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    pub name: String,
    pub body: Value,
}

pub fn package(package: &Package) -> Put {
    let mut body = body(package.public, &package.annotations, Some(&package.inputs));
    set_version(&mut body, package.version.as_deref());
    put(package.name.clone(), body)
}

/// A binding to what a dependency names.
pub fn dependency(dependency: &Dependency) -> Result<Put, Failure> {
    let unusable = || {
        refused(
            "ERROR_YAML_FILE_FORMAT_ERROR",
            format!(
                "Dependency [{}]: location [{}] is not /NAMESPACE/PACKAGE; deploy a dependency from elsewhere by itself.",
                dependency.label, dependency.location
            ),
        )
    };
    let path = dependency.location.strip_prefix('/').ok_or_else(unusable)?;
    let (namespace, name) = path.split_once('/').ok_or_else(unusable)?;
    let mut body = body(false, &dependency.annotations, Some(&dependency.inputs));
    body.insert("binding".to_owned(), json!({ "namespace": namespace, "name": name }));
    Ok(put(dependency.label.clone(), body))
}

/// An action, whose `exec` was made already.
pub fn action(package: &Package, action: &Action, exec: Value, web: Option<Web>) -> Put {
    let mut annotations = action.annotations.clone();
    annotate(&mut annotations, web_annotations(web.or(action.web)));
    let mut body = body(false, &annotations, Some(&action.inputs));
    body.insert("exec".to_owned(), exec);
    let limits = limits(&action.limits);
    if !limits.is_empty() {
        body.insert("limits".to_owned(), Value::Object(limits));
    }
    set_version(&mut body, action.version.as_deref());
    put(package.qualified(&action.name), body)
}

pub fn sequence(namespace: &str, package: &Package, sequence: &Sequence, web: Option<Web>) -> Put {
    let mut annotations = sequence.annotations.clone();
    annotate(&mut annotations, web_annotations(web.or(sequence.web)));
    let mut body = body(false, &annotations, None);
    let components: Vec<String> = sequence
        .actions
        .iter()
        .map(|component| full_name(namespace, package, component))
        .collect();
    body.insert(
        "exec".to_owned(),
        json!({ "kind": "sequence", "components": components }),
    );
    put(package.qualified(&sequence.name), body)
}

/// A trigger. The inputs of one with a feed are the feed's.
pub fn trigger(namespace: &str, trigger: &Trigger) -> Put {
    let Some(feed) = feed_of(namespace, trigger) else {
        let body = body(false, &trigger.annotations, Some(&trigger.inputs));
        return put(trigger.name.clone(), body);
    };
    let mut annotations = trigger.annotations.clone();
    annotate(&mut annotations, vec![json!({ "key": "feed", "value": feed })]);
    put(trigger.name.clone(), body(true, &annotations, None))
}

/// The full name of a trigger's feed.
pub fn feed_of(namespace: &str, trigger: &Trigger) -> Option<String> {
    let feed = trigger.feed.as_deref()?;
    Some(match feed.starts_with('/') {
        true => feed.to_owned(),
        false => format!("/{namespace}/{feed}"),
    })
}

pub fn rule(namespace: &str, package: &Package, rule: &Rule) -> Put {
    let mut body = body(false, &rule.annotations, None);
    let trigger = match rule.trigger.starts_with('/') {
        true => rule.trigger.clone(),
        false => format!("/{namespace}/{}", rule.trigger),
    };
    body.insert("name".to_owned(), json!(rule.name));
    body.insert("status".to_owned(), json!(""));
    body.insert("trigger".to_owned(), json!(trigger));
    body.insert("action".to_owned(), json!(full_name(namespace, package, &rule.action)));
    put(rule.name.clone(), body)
}

/// What a route asks of an action: that it is exported.
pub fn web_for_apis(package: &Package, name: &str, own: Option<Web>, strict: bool) -> Result<Option<Web>, Failure> {
    let used = package.apis.iter().any(|api| api.action == name);
    match own {
        Some(Web::Yes | Web::Raw) => Ok(None),
        _ if !used => Ok(None),
        _ if strict => Err(refused(
            "ERROR_YAML_FILE_FORMAT_ERROR",
            format!("Action [{name}] is used by an API and is not a web action."),
        )),
        _ => Ok(Some(Web::Yes)),
    }
}

/// Where requests to a route go.
#[derive(Debug)]
pub struct Backend<'a> {
    pub namespace: &'a str,
    pub origin: &'a str,
    pub auth: &'a str,
    pub secret: Option<&'a Value>,
}

/// What the gateway is asked to make of a route.
pub fn api(package: &Package, api: &Api, backend: &Backend<'_>) -> Value {
    let Backend {
        namespace,
        origin,
        auth,
        secret,
    } = backend;
    let folder = if package.is_default() { "default" } else { &package.name };
    let url = format!(
        "{origin}/api/v1/web/{namespace}/{folder}/{}.{}",
        api.action, api.response
    );
    let mut action = json!({
        "name": package.qualified(&api.action),
        "namespace": namespace,
        "backendMethod": api.verb,
        "backendUrl": url,
        "authkey": auth,
    });
    if let (Some(secret), Some(action)) = (secret, action.as_object_mut()) {
        action.insert("secureKey".to_owned(), (*secret).clone());
    }
    let mut document = json!({
        "namespace": namespace,
        "apiName": api.name,
        "gatewayBasePath": api.base,
        "gatewayPath": api.path,
        "gatewayMethod": api.verb,
        "id": format!("API:{namespace}:{}", api.base),
        "action": action,
    });
    let parameters = crate::commands::api::declared(&api.path);
    if let (false, Some(document)) = (parameters.is_empty(), document.as_object_mut()) {
        document.insert("pathParameters".to_owned(), parameters.into());
    }
    json!({ "apidoc": document })
}

/// Marks a document as a project's.
pub fn mark(put: &mut Put, managed: Option<&Value>) {
    let (Some(managed), Some(body)) = (managed, put.body.as_object_mut()) else {
        return;
    };
    let annotations = body.entry("annotations").or_insert_with(|| json!([]));
    if let Some(annotations) = annotations.as_array_mut() {
        annotate(annotations, vec![json!({ "key": MANAGED, "value": managed })]);
    }
}

/// The project that a stored document belongs to.
pub fn project_of(document: &Value) -> Option<&Value> {
    key_value(document.get("annotations"), MANAGED)
}

/// Every package's entities of a sort, in the order of the manifest.
pub fn all<'m, T: 'm>(
    manifest: &'m Manifest,
    of: impl Fn(&'m Package) -> &'m [T] + 'm,
) -> impl Iterator<Item = (&'m Package, &'m T)> {
    manifest
        .packages
        .iter()
        .flat_map(move |package| of(package).iter().map(move |entity| (package, entity)))
}

fn put(name: String, body: Map<String, Value>) -> Put {
    Put {
        name,
        body: Value::Object(body),
    }
}

fn body(publish: bool, annotations: &[Value], inputs: Option<&[Input]>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("publish".to_owned(), json!(publish));
    if !annotations.is_empty() {
        body.insert("annotations".to_owned(), json!(annotations));
    }
    if let Some(inputs) = inputs.map(key_values).filter(|inputs| !inputs.is_empty()) {
        body.insert("parameters".to_owned(), json!(inputs));
    }
    body
}

fn set_version(body: &mut Map<String, Value>, version: Option<&str>) {
    if let Some(version) = version {
        body.insert("version".to_owned(), json!(version));
    }
}

fn web_annotations(web: Option<Web>) -> Vec<Value> {
    let (export, raw, last) = match web {
        None => return Vec::new(),
        Some(Web::No) => (false, false, false),
        Some(Web::Yes) => (true, false, true),
        Some(Web::Raw) => (true, true, true),
    };
    [("web-export", export), ("raw-http", raw), ("final", last)]
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .to_vec()
}

/// The limits that the platform knows, under its own names.
fn limits(given: &Map<String, Value>) -> Map<String, Value> {
    [
        ("timeout", "timeout"),
        ("memorySize", "memory"),
        ("logSize", "logs"),
        ("concurrency", "concurrency"),
    ]
    .into_iter()
    .filter_map(|(name, own)| Some((own.to_owned(), given.get(name)?.clone())))
    .collect()
}

/// An action's name as sequences and rules of a package write it, in full.
fn full_name(namespace: &str, package: &Package, name: &str) -> String {
    match name.strip_prefix('/') {
        Some(_) => name.to_owned(),
        None if name.contains('/') => format!("/{namespace}/{name}"),
        None => format!("/{namespace}/{}", package.qualified(name)),
    }
}

#[cfg(test)]
mod tests;
