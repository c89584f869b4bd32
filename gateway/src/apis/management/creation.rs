//! What a creation asks for, judged in upstream's order and words.

use serde_json::{Map, Value, json};

use crate::apis::document::{Endpoint, VERBS};

/// What is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A description, for its base path.
    Whole(Value),
    /// A route of an API that is there, or of a new one.
    Route {
        /// Base path, or the title of an API that is there.
        base: String,
        /// Title of a new API; its base path when there is none.
        title: Option<String>,
        endpoint: Box<Endpoint>,
    },
}

/// Reads the parameters of a creation by somebody whose namespace is `owner`. Errors: the text for the user.
pub fn wanted(parameters: &Map<String, Value>, owner: &str) -> Result<Wanted, String> {
    let document = apidoc(parameters.get("apidoc"))?;
    let document = &document;
    require(document, "apidoc", &["namespace"])?;
    match document.get("swagger").filter(|swagger| is_given(swagger)) {
        Some(swagger) => whole(document, swagger),
        None => {
            require(
                document,
                "apidoc",
                &["gatewayBasePath", "gatewayPath", "gatewayMethod", "action"],
            )?;
            let action = &document["action"];
            require(
                action,
                "action",
                &["backendMethod", "backendUrl", "namespace", "name", "authkey"],
            )?;
            let response_type = parameters
                .get("responsetype")
                .and_then(Value::as_str)
                .filter(|kind| !kind.is_empty());
            route(document, action, response_type.unwrap_or("json"), owner)
        }
    }
}

fn apidoc(apidoc: Option<&Value>) -> Result<Value, String> {
    let given = apidoc.filter(|apidoc| is_given(apidoc)).ok_or("apidoc is required.")?;
    match given {
        Value::Object(_) => Ok(given.clone()),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(document) => Ok(document),
            Err(_) => Err("apidoc field cannot be parsed. Ensure it is valid JSON.".to_owned()),
        },
        // What has members for JavaScript, though none that count.
        Value::Array(_) => Ok(json!({})),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let kind = kind(given);
            Err(format!(
                "apidoc field is of type {kind} and should be a JSON object or a JSON string."
            ))
        }
    }
}

fn whole(document: &Value, swagger: &Value) -> Result<Wanted, String> {
    if document.get("gatewayBasePath").is_some_and(is_given) {
        let text = "swagger and gatewayBasePath are mutually exclusive and cannot be specified together.";
        return Err(text.to_owned());
    }
    let swagger = match swagger {
        Value::String(text) => {
            serde_json::from_str(text).map_err(|_| "swagger field cannot be parsed. Ensure it is valid JSON.")?
        }
        other => other.clone(),
    };
    if !swagger.is_object() && !swagger.is_array() {
        return Err(format!(
            "swagger field is {} and should be an object or a JSON string.",
            kind(&swagger)
        ));
    }
    for field in ["basePath", "paths", "info"] {
        if !swagger.get(field).is_some_and(is_given) {
            return Err(format!("swagger is missing the {field} field."));
        }
    }
    Ok(Wanted::Whole(swagger))
}

fn route(document: &Value, action: &Value, response_type: &str, owner: &str) -> Result<Wanted, String> {
    let base = text(document, "gatewayBasePath");
    let path = text(document, "gatewayPath");
    let verb = text(document, "gatewayMethod").to_ascii_lowercase();
    if !VERBS.contains(&verb.as_str()) {
        return Err(format!("API creation failure: '{verb}' is not a verb"));
    }
    if base.contains('{') || base.contains('}') {
        return Err(format!(
            "API creation failure: The base path ({base}) cannot have parameters. Only the relative path supports path parameters."
        ));
    }
    let (namespace, package, name) = action_name(action, owner);
    let segment = if package.is_empty() { "default" } else { &package };
    let backend = text(action, "backendUrl");
    let server = backend.find("/api/").map_or(backend.as_str(), |end| &backend[..end]);
    let endpoint = Endpoint {
        parameters: document
            .get("pathParameters")
            .filter(|p| p.is_array())
            .cloned()
            .unwrap_or(json!([])),
        url: format!("{server}/api/v1/web/{namespace}/{segment}/{name}.{response_type}"),
        secret: action.get("secureKey").filter(|key| is_given(key)).cloned(),
        path,
        verb,
        namespace,
        package,
        action: name,
    };
    Ok(Wanted::Route {
        base,
        title: document
            .get("apiName")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        endpoint: Box::new(endpoint),
    })
}

/// Namespace, package and name: `name`, `package/name` and `/ns/package/name` are all understood.
fn action_name(action: &Value, owner: &str) -> (String, String, String) {
    let written = text(action, "name");
    let (namespace, rest) = match written.strip_prefix('/').and_then(|full| full.split_once('/')) {
        Some((namespace, rest)) => (namespace.to_owned(), rest.to_owned()),
        None => (text(action, "namespace"), written),
    };
    let namespace = if namespace == "_" { owner.to_owned() } else { namespace };
    match rest.split_once('/') {
        Some((package, name)) => (namespace, package.to_owned(), name.to_owned()),
        None => (namespace, String::new(), rest),
    }
}

/// The first of the fields that is missing is an error.
fn require(value: &Value, what: &str, fields: &[&str]) -> Result<(), String> {
    let missing = fields.iter().find(|field| !value.get(**field).is_some_and(is_given));
    missing.map_or(Ok(()), |field| {
        let stop = if *field == "action" || what == "action" {
            "."
        } else {
            ""
        };
        Err(format!("{what} is missing the {field} field{stop}"))
    })
}

/// JavaScript's notion of a value that is there.
fn is_given(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// JavaScript's names of types.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Null | Value::Array(_) | Value::Object(_) => "object",
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Value {
        json!({"apidoc": {
            "namespace": "_", "gatewayBasePath": "/club", "gatewayPath": "/books/{isbn}", "gatewayMethod": "GET",
            "action": {"name": "lib/getBooks", "namespace": "_", "backendMethod": "GET", "authkey": "a:b",
                       "backendUrl": "https://host:1/api/v1/web/_/lib/getBooks.http"},
        }, "responsetype": "http"})
    }

    fn judged(body: &Value) -> Result<Wanted, String> {
        wanted(body.as_object().unwrap(), "guest")
    }

    fn without(path: &str) -> String {
        let mut body = body();
        let (parent, name) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .shift_remove(name);
        judged(&body).unwrap_err()
    }

    #[test]
    fn a_route_to_an_action() {
        let Ok(Wanted::Route { base, title, endpoint }) = judged(&body()) else {
            panic!("no route");
        };
        assert_eq!((base.as_str(), title), ("/club", None));
        assert_eq!(endpoint.url, "https://host:1/api/v1/web/guest/lib/getBooks.http");
        assert_eq!(
            (
                endpoint.verb.as_str(),
                endpoint.package.as_str(),
                endpoint.action.as_str()
            ),
            ("get", "lib", "getBooks")
        );
    }

    #[test]
    fn names_of_actions() {
        for (name, namespace, expected) in [
            ("a", "_", ("guest", "", "a")),
            ("p/a", "other", ("other", "p", "a")),
            ("/_/a", "x", ("guest", "", "a")),
            ("/ns/p/a", "_", ("ns", "p", "a")),
        ] {
            let (ns, package, action) = action_name(&json!({"name": name, "namespace": namespace}), "guest");
            assert_eq!((ns.as_str(), package.as_str(), action.as_str()), expected, "{name}");
        }
    }

    #[test]
    fn what_is_missing() {
        for (path, text) in [
            ("/apidoc", "apidoc is required."),
            ("/apidoc/namespace", "apidoc is missing the namespace field"),
            ("/apidoc/gatewayBasePath", "apidoc is missing the gatewayBasePath field"),
            ("/apidoc/gatewayPath", "apidoc is missing the gatewayPath field"),
            ("/apidoc/gatewayMethod", "apidoc is missing the gatewayMethod field"),
            ("/apidoc/action", "apidoc is missing the action field."),
            (
                "/apidoc/action/backendMethod",
                "action is missing the backendMethod field.",
            ),
            ("/apidoc/action/backendUrl", "action is missing the backendUrl field."),
            ("/apidoc/action/namespace", "action is missing the namespace field."),
            ("/apidoc/action/name", "action is missing the name field."),
            ("/apidoc/action/authkey", "action is missing the authkey field."),
        ] {
            assert_eq!(without(path), text);
        }
    }

    #[test]
    fn what_is_no_description() {
        let with = |apidoc: Value| judged(&json!({ "apidoc": apidoc })).unwrap_err();
        assert_eq!(
            with(json!("{")),
            "apidoc field cannot be parsed. Ensure it is valid JSON."
        );
        assert_eq!(
            with(json!(5)),
            "apidoc field is of type number and should be a JSON object or a JSON string."
        );
        assert_eq!(
            with(json!(true)),
            "apidoc field is of type boolean and should be a JSON object or a JSON string."
        );
        assert_eq!(with(json!([])), "apidoc is missing the namespace field");
        let swagger = |swagger: Value| with(json!({"namespace": "_", "swagger": swagger}));
        assert_eq!(
            swagger(json!("{")),
            "swagger field cannot be parsed. Ensure it is valid JSON."
        );
        assert_eq!(
            swagger(json!(7)),
            "swagger field is number and should be an object or a JSON string."
        );
        assert_eq!(swagger(json!({"paths": {}})), "swagger is missing the basePath field.");
        assert_eq!(swagger(json!({"basePath": "/"})), "swagger is missing the paths field.");
        assert_eq!(
            swagger(json!({"basePath": "/", "paths": {}})),
            "swagger is missing the info field."
        );
        assert_eq!(
            with(json!({"namespace": "_", "swagger": {}, "gatewayBasePath": "/"})),
            "swagger and gatewayBasePath are mutually exclusive and cannot be specified together."
        );
    }

    #[test]
    fn a_description_may_come_as_text_within_text() {
        let swagger = json!({"basePath": "/b", "paths": {}, "info": {}});
        let apidoc = json!({"namespace": "_", "swagger": swagger.to_string()}).to_string();
        assert_eq!(judged(&json!({ "apidoc": apidoc })), Ok(Wanted::Whole(swagger)));
    }
}
