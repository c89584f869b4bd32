//! The operations of APIs, as lists and confirmations show them.

use serde_json::Value;

use super::route::joined;
use crate::failure::Failure;
use crate::json::text;

/// One verb of one path of one API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// `/ns/pkg/name`; empty when the description names none.
    pub action: String,
    pub api_name: String,
    pub base: String,
    pub path: String,
    /// In lower case.
    pub verb: String,
    pub url: String,
}

/// Which operations are meant; empty members mean all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub path: String,
    pub verb: String,
}

impl Filter {
    fn admits(&self, operation: &Operation) -> bool {
        (self.path.is_empty() || self.path == operation.path)
            && (self.verb.is_empty() || self.verb.eq_ignore_ascii_case(&operation.verb))
    }
}

/// The operations of one API (`gwApiUrl` and `apidoc`), by path and verb.
pub fn of(api: &Value, filter: &Filter) -> Result<Vec<Operation>, Failure> {
    let Some(description) = api.get("apidoc").filter(|description| description.is_object()) else {
        return Err(Failure::new("Internal error. Missing apidoc stanza in API configuration").without_usage());
    };
    let base = text(description, "basePath");
    let api_name = description
        .get("info")
        .map(|info| text(info, "title"))
        .unwrap_or_default();
    let url = text(api, "gwApiUrl");
    let url = url.strip_suffix('/').unwrap_or(url);
    let mut operations = Vec::new();
    for (path, verbs) in members(description.get("paths")) {
        for (verb, details) in members(Some(verbs)) {
            check(verb, details)?;
            operations.push(Operation {
                action: details.get("x-openwhisk").map(action).unwrap_or_default(),
                api_name: api_name.to_owned(),
                base: base.to_owned(),
                path: path.to_owned(),
                verb: verb.to_lowercase(),
                url: format!("{url}{path}"),
            });
        }
    }
    operations.retain(|operation| filter.admits(operation));
    operations.sort_by(|a, b| (&a.path, &a.verb).cmp(&(&b.path, &b.verb)));
    Ok(operations)
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// An operation that names an action must say enough to find it.
fn check(verb: &str, details: &Value) -> Result<(), Failure> {
    let Some(backend) = details.get("x-openwhisk") else {
        return Ok(());
    };
    let present = [
        ("operationId", text(details, "operationId")),
        ("x-openwhisk.namespace", text(backend, "namespace")),
        ("x-openwhisk.action", text(backend, "action")),
        ("x-openwhisk.url", text(backend, "url")),
    ];
    match present.iter().find(|(_, value)| value.is_empty()) {
        Some((field, _)) => Err(Failure::new(format!(
            "Missing {field} field in API configuration for operation {verb}"
        ))
        .without_usage()),
        None => Ok(()),
    }
}

fn action(backend: &Value) -> String {
    let (namespace, package, name) = (
        text(backend, "namespace"),
        text(backend, "package"),
        text(backend, "action"),
    );
    match package {
        "" | "default" => format!("/{namespace}/{name}"),
        package => format!("/{namespace}/{package}/{name}"),
    }
}

/// The order of `--name-sort`.
pub fn sort_key(operation: &Operation) -> String {
    format!("{}{}{}", operation.base, operation.path, operation.verb).to_lowercase()
}

/// The widths of a table without rows.
const EMPTY: (usize, usize) = (30, 20);
/// The most characters of an action and of an API name.
const MOST: (usize, usize) = (40, 30);

/// The table of operations, header included.
pub fn table(operations: &[Operation]) -> Vec<String> {
    let longest = |of: fn(&Operation) -> &str| operations.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (action, name) = match operations.is_empty() {
        true => EMPTY,
        false => (
            longest(|row| &row.action).max("Action".len()).min(MOST.0),
            longest(|row| &row.api_name).max("API Name".len()).min(MOST.1) + 1,
        ),
    };
    let row = |first: &str, verb: &str, api: &str, url: &str| {
        format!(
            "{:<action$} {verb:>7} {:>name$}  {url}",
            cut(first, action),
            cut(api, MOST.1)
        )
    };
    let rows = operations
        .iter()
        .map(|operation| row(&operation.action, &operation.verb, &operation.api_name, &operation.url));
    std::iter::once(row("Action", "Verb", "API Name", "URL"))
        .chain(rows)
        .collect()
}

/// The long form of a list.
pub fn details(operations: &[Operation]) -> Vec<String> {
    let lines = |operation: &Operation| {
        let Operation {
            action,
            api_name,
            base,
            path,
            verb,
            url,
        } = operation;
        format!(
            "Action: {action}\n   API Name: {api_name}\n   Base path: {base}\n   Path: {path}\n   Verb: {verb}\n   URL: {url}"
        )
    };
    match operations.is_empty() {
        true => vec![String::new()],
        false => operations.iter().map(lines).collect(),
    }
}

/// What is said of an operation that was created from a description.
pub fn created(operation: &Operation) -> String {
    let route = format!("{} {}", joined(&operation.base, &operation.path), operation.verb);
    match operation.action.is_empty() {
        true => route,
        false => format!("{route} for action {}", operation.action),
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn api() -> Value {
        let backend = |action: &str, package: &str| json!({"action": action, "package": package, "namespace": "guest", "url": "u"});
        json!({
            "gwApiUrl": "http://gw:9001/api/23bc/hello",
            "apidoc": {"basePath": "/hello", "info": {"title": "/hello"}, "paths": {
                "/world": {"post": {"operationId": "p", "x-openwhisk": backend("b", "pkg")},
                           "get": {"operationId": "g", "x-openwhisk": backend("hello", "")}},
                "/bare": {"get": {}}
            }}
        })
    }

    #[test]
    fn the_table_fits_its_rows() {
        let filter = Filter {
            path: "/world".into(),
            verb: "GET".into(),
        };
        let operations = of(&api(), &filter).unwrap();
        assert_eq!(
            table(&operations),
            [
                "Action          Verb  API Name  URL",
                "/guest/hello     get    /hello  http://gw:9001/api/23bc/hello/world"
            ]
        );
        let empty = table(&[]);
        assert_eq!(
            empty,
            [format!("{:<30} {:>7} {:>20}  URL", "Action", "Verb", "API Name")]
        );
    }

    #[test]
    fn operations_come_by_path_and_verb() {
        let told: Vec<String> = of(&api(), &Filter::default()).unwrap().iter().map(created).collect();
        let expected = [
            "/hello/bare get",
            "/hello/world get for action /guest/hello",
            "/hello/world post for action /guest/pkg/b",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_description_must_say_enough() {
        let mut api = api();
        api["apidoc"]["paths"]["/world"]["get"]["operationId"] = json!("");
        let text = "Missing operationId field in API configuration for operation get";
        assert_eq!(
            of(&api, &Filter::default()).unwrap_err(),
            Failure::new(text).without_usage()
        );
        api.as_object_mut().unwrap().remove("apidoc");
        let text = "Internal error. Missing apidoc stanza in API configuration";
        assert_eq!(
            of(&api, &Filter::default()).unwrap_err(),
            Failure::new(text).without_usage()
        );
    }

    #[test]
    fn long_form() {
        let operations = of(
            &api(),
            &Filter {
                path: "/world".into(),
                verb: "get".into(),
            },
        )
        .unwrap();
        let expected = "Action: /guest/hello\n   API Name: /hello\n   Base path: /hello\n   Path: /world\n   Verb: get\n   \
                        URL: http://gw:9001/api/23bc/hello/world";
        assert_eq!(details(&operations), [expected]);
        assert_eq!(details(&[]), [""]);
    }
}
