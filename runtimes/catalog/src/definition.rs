//! What is to be installed, and the digests that tell whether it is.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// A package of the catalog.
#[derive(Debug)]
pub struct PackageDefinition {
    pub name: &'static str,
    /// In the form of the API: a list of `key` and `value`.
    annotations: Vec<Value>,
    pub actions: Vec<Definition>,
}

/// An action of the catalog.
#[derive(Debug)]
pub struct Definition {
    pub name: &'static str,
    code: &'static str,
    annotations: Vec<Value>,
}

/// A folder of this crate.
struct Folder {
    name: &'static str,
    manifest: &'static str,
    /// Names and sources of the actions.
    sources: &'static [(&'static str, &'static str)],
}

/// `manifest.json` of a folder.
#[derive(Deserialize)]
struct Manifest {
    annotations: Map<String, Value>,
    /// Annotations of each action, which also decide what it may do: `feed`, `provide-api-key`.
    actions: Map<String, Value>,
}

macro_rules! folder {
    ($package:literal: $($action:literal)+) => {
        Folder {
            name: $package,
            manifest: include_str!(concat!("../", $package, "/manifest.json")),
            sources: &[$(($action, include_str!(concat!("../", $package, "/", $action, ".js")))),+],
        }
    };
}

const FOLDERS: &[Folder] = &[
    folder!("slack": "post"),
    folder!("utils": "echo" "cat" "head" "sort" "split" "date" "namespace" "smash" "hosturl"),
    folder!("samples": "greeting" "helloWorld" "helloPromises" "wordCount" "wordCountAsync" "printParams" "countdown"
        "curl" "cat" "head" "invoke"),
    folder!("github": "webhook"),
    folder!("websocket": "send"),
];

const API_KEY: &str = "provide-api-key";

/// All packages. Made when asked for: once they are installed, nobody needs them.
pub fn catalog() -> Vec<PackageDefinition> {
    FOLDERS.iter().map(package).collect()
}

fn package(folder: &Folder) -> PackageDefinition {
    let manifest: Manifest = serde_json::from_str(folder.manifest).expect("a test reads every manifest");
    let actions = folder.sources.iter().map(|(name, code)| {
        let annotations = manifest.actions.get(*name).and_then(Value::as_object);
        let mut annotations = annotations.cloned().expect("a test finds every source in its manifest");
        annotations.entry(API_KEY).or_insert(Value::Bool(false));
        Definition {
            name,
            code,
            annotations: listed(annotations),
        }
    });
    PackageDefinition {
        name: folder.name,
        annotations: listed(manifest.annotations),
        actions: actions.collect(),
    }
}

fn listed(annotations: Map<String, Value>) -> Vec<Value> {
    annotations
        .into_iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

impl PackageDefinition {
    pub fn digest(&self) -> String {
        digest(&json!({ "publish": true }), &self.annotations, &[])
    }

    /// What a package of the platform is by the same measure. Whatever `without` names is not part of it.
    pub fn digest_of(package: &Value, without: &str) -> String {
        let annotations = items(package, "annotations").iter();
        let annotations: Vec<Value> = annotations.filter(|a| a["key"] != without).cloned().collect();
        digest(
            &json!({ "publish": package["publish"] }),
            &annotations,
            items(package, "parameters"),
        )
    }

    /// The body of a PUT that makes a package what it should be.
    pub fn body(&self, record: Value) -> Value {
        let mut annotations = self.annotations.clone();
        annotations.push(record);
        json!({ "publish": true, "annotations": annotations, "parameters": [] })
    }
}

impl Definition {
    pub fn digest(&self, kind: &str) -> String {
        digest(
            &json!({ "kind": kind, "code": self.code, "main": null }),
            &self.annotations,
            &[],
        )
    }

    /// What an action of the platform is by the same measure. Its limits are the operator's.
    pub fn digest_of(action: &Value) -> String {
        let exec = &action["exec"];
        let annotations = items(action, "annotations").iter();
        let annotations: Vec<Value> = annotations.filter(|a| a["key"] != "exec").cloned().collect();
        digest(
            &json!({ "kind": exec["kind"], "code": exec["code"], "main": exec["main"] }),
            &annotations,
            items(action, "parameters"),
        )
    }

    /// The body of a PUT that makes an action what it should be; `stored` is what is there now.
    pub fn body(&self, kind: &str, stored: Option<&Value>) -> Value {
        let ours = |key: &Value| key == "exec" || self.annotations.iter().any(|a| a["key"] == *key);
        let stored = stored.map_or(&[][..], |action| items(action, "annotations"));
        let gone: Vec<&Value> = stored.iter().map(|a| &a["key"]).filter(|key| !ours(key)).collect();
        json!({
            "exec": { "kind": kind, "code": self.code },
            "annotations": self.annotations,
            "delAnnotations": gone,
            "parameters": [],
        })
    }
}

/// The elements of a list in a document.
pub fn items<'a>(document: &'a Value, field: &str) -> &'a [Value] {
    document[field].as_array().map_or(&[], Vec::as_slice)
}

/// Lists are compared by key: their order is the platform's affair.
fn digest(content: &Value, annotations: &[Value], parameters: &[Value]) -> String {
    let mut hash = Sha256::new();
    hash.update(sorted(content).to_string());
    for list in [annotations, parameters] {
        let mut lines: Vec<String> = list.iter().map(|item| sorted(item).to_string()).collect();
        lines.sort();
        lines.iter().for_each(|line| hash.update(line));
        hash.update([0]);
    }
    hash.finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The same value with the fields of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, Value)> = fields.iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by_key(|(name, _)| *name);
            fields
                .into_iter()
                .map(|(name, value)| (name.clone(), value))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
