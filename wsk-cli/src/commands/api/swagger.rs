//! API descriptions: what is shown of them, and what must be in them.

use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::files;
use crate::json::{is_empty, sorted, text};
use crate::yaml;

/// Members that are kept, in the order they are shown.
const DESCRIPTION: &[&str] = &[
    "swagger",
    "basePath",
    "info",
    "paths",
    "securityDefinitions",
    "security",
    "x-ibm-configuration",
    "x-ibm-rate-limit",
];
const INFO: &[&str] = &["title", "version"];
const OPERATION: &[&str] = &["operationId", "parameters", "responses", "x-openwhisk"];
const API: &[&str] = &["namespace", "gwApiUrl", "gwApiActivated", "tenantId", "apidoc"];

/// A description as it is shown: known members only, in their order.
pub fn show(description: &Value) -> Value {
    let mut shown = picked(description, DESCRIPTION);
    if let Some(info) = shown.get_mut("info") {
        *info = picked(info, INFO);
    }
    if let Some(paths) = shown.get_mut("paths").and_then(Value::as_object_mut) {
        for operation in paths
            .values_mut()
            .filter_map(Value::as_object_mut)
            .flat_map(Map::values_mut)
        {
            *operation = picked(operation, OPERATION);
        }
    }
    shown
}

/// A whole API, description included.
pub fn show_api(api: &Value) -> Value {
    let mut shown = picked(api, API);
    if let Some(description) = shown.get_mut("apidoc") {
        *description = show(description);
    }
    shown
}

fn picked(document: &Value, order: &[&str]) -> Value {
    let Some(members) = document.as_object() else {
        return document.clone();
    };
    let picked = order
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), sorted(members.get(*name)?))));
    Value::Object(picked.collect())
}

/// Reads a description from a file; gives its text as JSON.
pub fn read(file: &str) -> Result<String, Failure> {
    parsed(file).map(|(text, _)| text)
}

/// Reads where the API that a file describes begins.
pub fn base_path(file: &str) -> Result<String, Failure> {
    parsed(file).map(|(_, description)| text(&description, "basePath").to_owned())
}

fn parsed(file: &str) -> Result<(String, Value), Failure> {
    let invalid = |failure: Failure| failure.prefixed("Unable to parse swagger file: ");
    let source = files::read_text(file)
        .map_err(|failure| invalid(failure.prefixed(&format!("Error reading swagger file '{file}': "))))?;
    let unreadable = |reason: String| Failure::new(format!("Error parsing swagger file '{file}': {reason}"));
    let is_yaml = file.ends_with("yaml") || file.ends_with("yml");
    let (json, description) = match is_yaml {
        true => {
            let description = yaml::parse(&source).map_err(|reason| invalid(unreadable(reason)))?;
            (description.to_string(), description)
        }
        false => {
            let parsed = serde_json::from_str(&source);
            let description = parsed.map_err(|error| invalid(unreadable(error.to_string())))?;
            (source, description)
        }
    };
    check(&description).map_err(invalid)?;
    Ok((json, description))
}

fn check(description: &Value) -> Result<(), Failure> {
    let missing = |name: &&str| description.get(name).is_none_or(is_empty);
    if ["basePath", "info", "paths", "swagger"].iter().any(missing) {
        return Err(Failure::new(
            "Swagger file is invalid (missing basePath, info, paths, or swagger fields)",
        ));
    }
    match text(description, "basePath").starts_with('/') {
        true => Ok(()),
        false => Err(Failure::new(
            "Swagger file basePath must start with a leading slash (/)",
        )),
    }
}

/// The body that creates an API from a description.
pub fn creation(text: &str) -> Value {
    json!({ "apidoc": { "namespace": crate::names::OWN, "swagger": text } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_in_order() {
        let description = json!({
            "x-other": 1, "info": {"version": "1", "title": "t", "x": 2}, "swagger": "2.0",
            "paths": {"/b": {"get": {"summary": "s", "responses": {}, "operationId": "o"}}, "/a": {}}
        });
        let expected = r#"{"swagger":"2.0","info":{"title":"t","version":"1"},"paths":{"/a":{},"/b":{"get":{"operationId":"o","responses":{}}}}}"#;
        assert_eq!(show(&description).to_string(), expected);
    }

    #[test]
    fn what_a_file_must_have() {
        let whole = json!({"swagger": "2.0", "info": {"title": "t"}, "basePath": "/b", "paths": {"/a": {}}});
        assert_eq!(check(&whole), Ok(()));
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove("info");
        assert!(check(&part).is_err());
        let mut bare = whole;
        bare["basePath"] = json!("b");
        assert_eq!(
            check(&bare).unwrap_err(),
            Failure::new("Swagger file basePath must start with a leading slash (/)")
        );
    }
}
