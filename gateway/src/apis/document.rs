//! API descriptions as documents: how one begins, grows by a route, and shrinks.
//!
//! The shape is OpenWhisk's to the member and its order, so that its clients show and re-import what they got. Both families
//! of extensions (`x-ibm-…`, `x-gateway-…`) are understood; a document keeps the one it came with.

use serde_json::{Map, Value, json};

/// What a description calls the part that says where routes lead. The first that is there counts.
pub const CONFIGURATION: [&str; 2] = ["x-gateway-configuration", "x-ibm-configuration"];
/// The verbs of operations; other members of a path describe something else.
pub const VERBS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];
/// What a target ends in when the request's path is to be appended.
pub const REQUEST_PATH: &str = "$(request.path)";
/// The header that carries an action's secret.
const SECRET: &str = "message.headers.X-Require-Whisk-Auth";

/// A route to an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Below the base path.
    pub path: String,
    /// In lower case.
    pub verb: String,
    pub parameters: Value,
    /// Where the web action answers.
    pub url: String,
    pub namespace: String,
    /// Empty for the default package.
    pub package: String,
    pub action: String,
    pub secret: Option<Value>,
}

/// What [`remove`] left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Routes,
    Nothing,
}

/// A description without routes.
pub fn empty(title: &str, base_path: &str) -> Value {
    json!({
        "swagger": "2.0",
        "info": { "title": title, "version": "1.0.0" },
        "basePath": base_path,
        "paths": {},
        "x-ibm-configuration": { "assembly": {}, "cors": { "enabled": true } },
    })
}

/// Adds a route, or replaces the one of the same path and verb.
pub fn add(document: &mut Value, endpoint: &Endpoint) {
    let former = operation_id_at(document, &endpoint.path, &endpoint.verb);
    if let Some(former) = former {
        forget_case(document, &former);
    }
    let id = free_id(document, &endpoint.path, &endpoint.verb);
    let operation = json!({
        "operationId": id,
        "parameters": endpoint.parameters,
        "x-openwhisk": {
            "url": endpoint.url,
            "namespace": endpoint.namespace,
            "package": endpoint.package,
            "action": endpoint.action,
        },
        "responses": { "default": { "description": "Default response" } },
    });
    let paths = member(document, "paths");
    member(member(paths, &endpoint.path), &endpoint.verb).clone_from(&operation);
    let cases = cases_of(document);
    cases.push(case(&id, endpoint));
}

fn case(id: &str, endpoint: &Endpoint) -> Value {
    let suffix = if endpoint.url.ends_with(".http") {
        REQUEST_PATH
    } else {
        ""
    };
    let mut execute = vec![json!({ "invoke": { "target-url": format!("{}{suffix}", endpoint.url), "verb": "keep" } })];
    if let Some(secret) = &endpoint.secret {
        execute.push(json!({ "set-variable": { "actions": [{ "set": SECRET, "value": secret }] } }));
    }
    json!({ "operations": [id], "execute": execute })
}

/// Removes a path, or one verb of it. Errors: the text for the user.
pub fn remove(document: &mut Value, path: &str, verb: Option<&str>) -> Result<Left, String> {
    let no_path = || format!("path '{path}' does not exist in the API");
    let found = document.get("paths").and_then(|paths| paths.get(path));
    let operations = found.and_then(Value::as_object).ok_or_else(no_path)?;
    let gone: Vec<String> = match verb {
        Some(verb) if !operations.contains_key(verb) => {
            return Err(format!(
                "path '{path}' with operation '{verb}' does not exist in the API"
            ));
        }
        Some(verb) => vec![verb.to_owned()],
        None => operations.keys().cloned().collect(),
    };
    for verb in &gone {
        if let Some(id) = operation_id_at(document, path, verb) {
            forget_case(document, &id);
        }
    }
    let paths = document
        .get_mut("paths")
        .and_then(Value::as_object_mut)
        .ok_or_else(no_path)?;
    let item = paths.get_mut(path).and_then(Value::as_object_mut).ok_or_else(no_path)?;
    gone.iter().for_each(|verb| drop(item.shift_remove(verb)));
    if !item.keys().any(|key| VERBS.contains(&key.as_str())) {
        paths.shift_remove(path);
    }
    Ok(if paths.is_empty() { Left::Nothing } else { Left::Routes })
}

/// The part of a description that says where routes lead.
pub fn configuration(document: &Value) -> Option<&Value> {
    CONFIGURATION.iter().find_map(|name| document.get(name))
}

/// Operations of a description: path, verb, and what is said of it.
pub fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document.get("paths").and_then(Value::as_object);
    paths.into_iter().flatten().flat_map(|(path, item)| {
        let verbs = item.as_object().into_iter().flatten();
        verbs
            .filter(|(verb, _)| VERBS.iter().any(|known| verb.eq_ignore_ascii_case(known)))
            .map(move |(verb, operation)| (path.as_str(), verb.as_str(), operation))
    })
}

/// The names of whole segments in braces.
pub fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn operation_id_at(document: &Value, path: &str, verb: &str) -> Option<String> {
    let operation = document.get("paths")?.get(path)?.get(verb)?;
    Some(operation.get("operationId")?.as_str()?.to_owned())
}

/// `getBooksIsbn` for `GET /books/{isbn}`. Different paths can come out the same (`/a/b`, `/a.b`): then a number tells them
/// apart, or the later route would take the earlier one's calls.
fn free_id(document: &Value, path: &str, verb: &str) -> String {
    let wanted = operation_id(verb, path);
    let taken = |id: &str| {
        operations(document).any(|(p, v, operation)| {
            (p, v) != (path, verb) && operation.get("operationId").and_then(Value::as_str) == Some(id)
        })
    };
    let numbered = (2..).map(|n| format!("{wanted}{n}"));
    let mut candidates = std::iter::once(wanted.clone()).chain(numbered);
    candidates.find(|id| !taken(id)).expect("numbers do not end")
}

/// The id that OpenWhisk gives an operation.
pub fn operation_id(verb: &str, path: &str) -> String {
    let mut id = verb.to_ascii_lowercase();
    let separator = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    for piece in path.split(separator).filter(|piece| !piece.is_empty()) {
        let (first, rest) = piece.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(&rest.to_ascii_lowercase());
    }
    id
}

/// Takes an operation out of the switch; a case without operations goes with it.
fn forget_case(document: &mut Value, id: &str) {
    for case in switches(document) {
        let Some(cases) = case.as_array_mut() else { continue };
        for case in cases.iter_mut() {
            if let Some(operations) = case.get_mut("operations").and_then(Value::as_array_mut) {
                operations.retain(|operation| operation.as_str() != Some(id));
            }
        }
        cases.retain(|case| {
            let operations = case.get("operations").and_then(Value::as_array);
            operations.is_none_or(|operations| !operations.is_empty())
        });
    }
}

fn switches(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let name = CONFIGURATION.into_iter().find(|name| document.get(name).is_some());
    let execute = name
        .and_then(|name| document.get_mut(name))
        .and_then(|configuration| configuration.get_mut("assembly")?.get_mut("execute")?.as_array_mut());
    execute
        .into_iter()
        .flatten()
        .filter_map(|step| step.get_mut("operation-switch")?.get_mut("case"))
}

/// The cases of the switch, made when there is none.
fn cases_of(document: &mut Value) -> &mut Vec<Value> {
    let name = CONFIGURATION
        .into_iter()
        .find(|name| document.get(name).is_some())
        .unwrap_or(CONFIGURATION[1]);
    let execute = list(member(member(document, name), "assembly"), "execute");
    let at = execute.iter().position(|step| step.get("operation-switch").is_some());
    let at = at.unwrap_or_else(|| {
        execute.push(json!({ "operation-switch": { "case": [] } }));
        execute.len() - 1
    });
    list(member(&mut execute[at], "operation-switch"), "case")
}

/// A member of an object, made when it is missing; what is no object becomes one.
fn member<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let members = value.as_object_mut().expect("made above");
    members.entry(name).or_insert_with(|| Value::Object(Map::new()))
}

fn list<'a>(value: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    let found = member(value, name);
    if !found.is_array() {
        *found = Value::Array(Vec::new());
    }
    found.as_array_mut().expect("made above")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(path: &str, verb: &str, url: &str) -> Endpoint {
        Endpoint {
            path: path.into(),
            verb: verb.into(),
            parameters: json!([]),
            url: url.into(),
            namespace: "guest".into(),
            package: String::new(),
            action: "getBooks".into(),
            secret: None,
        }
    }

    #[test]
    fn a_document_has_openwhisks_shape() {
        let mut document = empty("Book Club", "/club");
        let mut books = endpoint(
            "/books/{isbn}",
            "get",
            "https://host/api/v1/web/guest/default/getBooks.http",
        );
        books.secret = Some(json!("s3cret"));
        books.parameters = json!([{"name": "isbn", "in": "path"}]);
        add(&mut document, &books);
        let expected = concat!(
            r#"{"swagger":"2.0","info":{"title":"Book Club","version":"1.0.0"},"basePath":"/club","paths":{"/books/{isbn}":"#,
            r#"{"get":{"operationId":"getBooksIsbn","parameters":[{"name":"isbn","in":"path"}],"x-openwhisk":{"url":"#,
            r#""https://host/api/v1/web/guest/default/getBooks.http","namespace":"guest","package":"","action":"getBooks"},"#,
            r#""responses":{"default":{"description":"Default response"}}}}},"x-ibm-configuration":{"assembly":{"execute":"#,
            r#"[{"operation-switch":{"case":[{"operations":["getBooksIsbn"],"execute":[{"invoke":{"target-url":"#,
            r#""https://host/api/v1/web/guest/default/getBooks.http$(request.path)","verb":"keep"}},{"set-variable":"#,
            r#"{"actions":[{"set":"message.headers.X-Require-Whisk-Auth","value":"s3cret"}]}}]}]}}]},"cors":{"enabled":true}}}"#,
        );
        assert_eq!(document.to_string(), expected);
    }

    #[test]
    fn operation_ids() {
        assert_eq!(operation_id("GET", "/path/with/sub_paths"), "getPathWithSub_paths");
        assert_eq!(operation_id("post", "/Bücher/a-B.C"), "postBCherA-bC");
        assert_eq!(operation_id("get", "/"), "get");
    }

    #[test]
    fn a_route_replaces_its_like_and_no_other() {
        let mut document = empty("t", "/b");
        add(&mut document, &endpoint("/a", "get", "http://h/one.json"));
        add(&mut document, &endpoint("/a", "post", "http://h/two.json"));
        add(&mut document, &endpoint("/a", "get", "http://h/three.json"));
        let targets: Vec<&str> = document["x-ibm-configuration"]["assembly"]["execute"][0]["operation-switch"]["case"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| case["execute"][0]["invoke"]["target-url"].as_str().unwrap())
            .collect();
        assert_eq!(targets, ["http://h/two.json", "http://h/three.json"]);
        assert_eq!(operations(&document).count(), 2);
    }

    #[test]
    fn paths_that_look_alike_keep_their_own_targets() {
        let mut document = empty("t", "/b");
        for path in ["/a/b", "/a.b", "/a/{b}"] {
            add(&mut document, &endpoint(path, "get", "http://h/x.http"));
        }
        let ids: Vec<&str> = operations(&document)
            .map(|(_, _, o)| o["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["getAB", "getAB2", "getAB3"]);
    }

    #[test]
    fn removing() {
        let mut document = empty("t", "/b");
        for (path, verb) in [("/a", "get"), ("/a", "post"), ("/c", "get")] {
            add(&mut document, &endpoint(path, verb, "http://h/x.json"));
        }
        let text = |result: Result<Left, String>| result.unwrap_err();
        assert_eq!(
            text(remove(&mut document, "/x", None)),
            "path '/x' does not exist in the API"
        );
        assert_eq!(
            text(remove(&mut document, "/a", Some("put"))),
            "path '/a' with operation 'put' does not exist in the API"
        );
        assert_eq!(remove(&mut document, "/a", Some("post")), Ok(Left::Routes));
        assert_eq!(operations(&document).count(), 2);
        assert_eq!(remove(&mut document, "/a", None), Ok(Left::Routes));
        assert_eq!(remove(&mut document, "/c", Some("get")), Ok(Left::Nothing));
        let cases = &document["x-ibm-configuration"]["assembly"]["execute"][0]["operation-switch"]["case"];
        assert_eq!(cases, &json!([]));
    }

    #[test]
    fn a_document_keeps_its_family_of_extensions() {
        let mut document = json!({"paths": {}, "x-gateway-configuration": {"cors": {"enabled": false}}});
        add(&mut document, &endpoint("/a", "get", "http://h/x.json"));
        assert!(document.get("x-ibm-configuration").is_none());
        assert!(document["x-gateway-configuration"]["assembly"]["execute"].is_array());
    }
}
