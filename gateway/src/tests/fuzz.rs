//! Descriptions that nobody would write: they are refused or served, and break nothing.

use wsk_fuzz::proptest;
use wsk_fuzz::proptest::prelude::*;

use super::*;

/// Texts that mean something somewhere in a description.
const WORDS: &[&str] = &[
    "",
    "/",
    "//",
    "/a",
    "/a/",
    "/{x}",
    "/a/{x}",
    "/{",
    "a",
    "..",
    "/../..",
    "/%2e%2e",
    "/%zz",
    "keep",
    "GET",
    "get",
    "2.0",
    "http://h/",
    "http://127.0.0.1:1/x",
    "https://h:99999/",
    "http://u:p@h/",
    "http://h/a.http$(request.path)",
    "$(request.path)",
    "message.headers.X-A",
    "message.headers.",
    "message.query.q",
    "message.body.b",
    "message",
    "x\r\ny: z",
    "apiKey",
    "oauth2",
    "header",
    "query",
    "client_id",
    "client_secret",
    "X-Client-ID",
    "minute",
    "second",
    "\u{0}",
    "ü",
    "9",
    "-1",
];

const NAMES: &[&str] = &[
    "swagger",
    "info",
    "title",
    "version",
    "basePath",
    "paths",
    "/a",
    "/a/{x}",
    "/{x}",
    "get",
    "post",
    "options",
    "trace",
    "parameters",
    "operationId",
    "x-openwhisk",
    "url",
    "namespace",
    "package",
    "action",
    "responses",
    "x-ibm-configuration",
    "x-gateway-configuration",
    "assembly",
    "execute",
    "operation-switch",
    "case",
    "operations",
    "invoke",
    "target-url",
    "verb",
    "set-variable",
    "actions",
    "set",
    "value",
    "cors",
    "enabled",
    "securityDefinitions",
    "type",
    "in",
    "name",
    "client_id",
    "x-gateway-rate-limit",
    "x-ibm-rate-limit",
    "unit",
    "units",
    "rate",
    "gatewayBasePath",
    "gatewayPath",
    "gatewayMethod",
];

/// Anything in the place of anything.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![Just(0i64), Just(1), Just(-1), any::<i64>()].prop_map(Value::from),
        proptest::sample::select(WORDS).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(NAMES), inner), 0..6).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect())
            }),
        ]
    })
}

/// A description that could be served, spoilt in a few places.
fn spoilt() -> impl Strategy<Value = Value> {
    proptest::collection::vec((any::<proptest::sample::Index>(), value()), 0..4).prop_map(|changes| {
        let mut document = crate::apis::document::empty("t", "/a");
        document["securityDefinitions"] =
            json!({"client_id": {"type": "apiKey", "in": "header", "name": "X-Client-ID"}});
        document["x-gateway-rate-limit"] = json!([{"unit": "minute", "units": 1, "rate": 5}]);
        for (path, verb) in [("/a/{x}", "get"), ("/b", "post")] {
            let endpoint = crate::apis::document::Endpoint {
                path: path.into(),
                verb: verb.into(),
                parameters: json!([{"name": "x"}]),
                url: "http://platform/api/v1/web/alice/default/a.http".into(),
                namespace: "alice".into(),
                package: String::new(),
                action: "a".into(),
                secret: Some(json!("s")),
            };
            crate::apis::document::add(&mut document, &endpoint);
        }
        for (at, value) in changes {
            let mut pointers = Vec::new();
            pointers_of(&document, String::new(), &mut pointers);
            let pointer = at.get(&pointers).clone();
            *document.pointer_mut(&pointer).unwrap() = value;
        }
        document
    })
}

fn pointers_of(value: &Value, at: String, all: &mut Vec<String>) {
    all.push(at.clone());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| pointers_of(value, format!("{at}/{}", escaped(name)), all)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, value)| pointers_of(value, format!("{at}/{n}"), all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn imports() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut config = Config::default();
    config.apis.own_hosts = vec!["platform".into(), "h".into()];
    config.apis.backend_timeout = wsk_service::config::Duration::from_millis(200);
    let edge = runtime.block_on(async { Data::new().await.serve(config).await });
    let corpus = WORDS.iter().flat_map(|word| {
        [
            json!({"swagger": word}),
            json!({"apidoc": word}),
            json!({"basePath": word, "info": {"title": word}, "paths": {*word: {"get": {}}}}),
        ]
    });
    let strategy = prop_oneof![3 => spoilt(), 1 => value()];
    wsk_fuzz::run("API swagger import", corpus, &strategy, |document| {
        runtime.block_on(judge(&edge, document))
    });
}

async fn judge(edge: &Edge, document: Value) -> Result<(), TestCaseError> {
    let bodies = [
        json!({"apidoc": {"namespace": "_", "swagger": document.clone()}}),
        json!({"apidoc": {"namespace": "_", "swagger": document.to_string()}}),
        json!({"apidoc": document.clone()}),
    ];
    for body in bodies {
        let answer = edge.manage("POST", "createApi.http", ALICE, &body).await;
        match answer.status.as_u16() {
            502 => prop_assert!(
                !answer.refusal().1.is_empty(),
                "a refusal without a reason: {}",
                answer.text()
            ),
            200 => served(edge, answer.json()).await?,
            other => prop_assert!(false, "{other} for {body}"),
        }
    }
    Ok(())
}

/// What was accepted can be called, shown and removed.
async fn served(edge: &Edge, api: Value) -> Result<(), TestCaseError> {
    let base = api["apidoc"]["basePath"].as_str().unwrap().to_owned();
    for path in ["a/a/1", "a/b", "", "x"] {
        for method in ["GET", "OPTIONS"] {
            let answer = edge
                .send(method, &format!("/api/{ALICE}/{path}"), &[("x-client-id", "c")], "")
                .await;
            let known = matches!(answer.status.as_u16(), 200 | 401 | 404 | 429 | 502 | 504 | 508);
            prop_assert!(known, "{} for {method} {path}: {}", answer.status, answer.text());
        }
    }
    let query = |name: &str| {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("basepath", name)
            .finish()
    };
    let listed = edge
        .manage("GET", &format!("getApi?{}", query(&base)), ALICE, &Value::Null)
        .await
        .json();
    prop_assert_eq!(&listed["apis"][0]["value"], &api);
    let deleted = edge
        .manage("DELETE", &format!("deleteApi?{}", query(&base)), ALICE, &Value::Null)
        .await;
    prop_assert_eq!(deleted.text(), "{}");
    Ok(())
}
