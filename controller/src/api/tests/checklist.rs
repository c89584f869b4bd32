//! The rules of the API as a table: a request, its status and its whole body. A row stands for what a client of OpenWhisk sees;
//! ids and times are blanked out. What fails is told together.

use serde_json::{Value, json};
use wsk_bus::messages::ActivationMessage;
use wsk_entities::{Json, Response, StatusCode};

use super::running::{Act, Invoker, echo};
use super::{Api, Client, code, sequence};

/// The request line, the body unless it is empty, the status, the body of the answer.
type Row<'a> = (&'a str, &'a str, u16, String);

const MALFORMED: &str = "The request content was malformed:\n";
const REPEATED: &str = "Request defines parameters that are not allowed (e.g., reserved properties).";
const DENIED: &str = "Authentication is possible but has failed or not yet been provided.";
const MISSING: &str = "The requested resource does not exist.";
const NO_ROUTE: &str = "The requested resource could not be found.";
const NOT_HTTP: &str = "Response is not valid 'message/http'.";
const OTHER_TYPE: &str = "Response type in header did not match generated content type.";

/// The body of an error of the management API.
fn error(text: &str) -> String {
    json!({"error": text, "code": "tid"}).to_string()
}

/// The body of an error of a web action.
fn web_error(text: &str) -> String {
    serde_json::to_string_pretty(&json!({"error": text, "code": "tid"})).unwrap()
}

fn malformed(reason: &str) -> String {
    error(&format!("{MALFORMED}{reason}"))
}

fn query(parameter: &str, reason: &str) -> String {
    error(&format!("The query parameter '{parameter}' was malformed:\n{reason}"))
}

/// A text without its ids and times.
fn blanked(text: &str) -> String {
    let mut rest = text;
    let mut shown = String::new();
    while let Some(at) = ["\"updated\":", "\"activationId\":\""]
        .iter()
        .filter_map(|name| rest.find(name).map(|at| at + name.len()))
        .min()
    {
        shown.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    shown + rest
}

/// Sends every row and tells those that were answered otherwise.
async fn check(client: &Client<'_>, headers: &[(&str, &str)], rows: &[Row<'_>]) {
    let mut otherwise = Vec::new();
    for (line, body, status, expected) in rows {
        let (method, path) = line.split_once(' ').unwrap();
        let body = Some(*body).filter(|body| !body.is_empty());
        let answer = client.send(method, path, body, headers).await;
        let got = (answer.status.as_u16(), blanked(&answer.text));
        if got != (*status, expected.clone()) {
            otherwise.push(format!(
                "{line} {}\n  expected {status} {expected}\n  got {} {}",
                body.unwrap_or(""),
                got.0,
                got.1
            ));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
}

/// An action `echo` that answers its arguments, `says` that answers its argument `res`, `fails` with the error 1.
fn behaviour(message: &ActivationMessage) -> Act {
    let one = || Json::parse("1").unwrap();
    match message.action.name.as_str() {
        "fails" => Act::Answer(Response::failure(StatusCode::ApplicationError, &one(), None)),
        "says" => {
            let mut arguments = message.content.as_ref().and_then(Json::object).unwrap_or_default();
            let result = arguments.shift_remove("res").unwrap_or_else(Json::empty_object);
            match result.object().and_then(|mut fields| fields.shift_remove("error")) {
                Some(cause) => Act::Answer(Response::failure(StatusCode::ApplicationError, &cause, None)),
                None => Act::Answer(Response::success(result, None)),
            }
        }
        _ => echo(message),
    }
}

fn exported(annotations: &Value) -> Value {
    let mut body = code();
    let mut all = vec![json!({"key": "web-export", "value": true})];
    all.extend(
        annotations
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value})),
    );
    body["annotations"] = json!(all);
    body
}

async fn ready() -> (Api, Invoker) {
    let api = Api::start().await;
    let document =
        json!({"subject": "guest-owner", "namespaces": [{"name": "guest", "uuid": "u", "key": "k".repeat(64)}]});
    api.subject(&document).await;
    let invoker = Invoker::start(&api, behaviour).await;
    let client = api.client("guest");
    for name in ["echo", "says", "fails"] {
        client.put(&format!("actions/{name}"), exported(&json!({}))).await.ok();
    }
    (api, invoker)
}

fn anonymous(api: &Api) -> Client<'_> {
    api.stranger(wsk_identity::Outcome::Missing)
}

#[tokio::test(start_paused = true)]
async fn waits_are_judged_whether_or_not_the_call_waits() {
    let (api, _invoker) = ready().await;
    api.client("guest").put("triggers/a_trigger", json!({})).await.ok();
    let refused = || query("timeout", "Timeout must be number of milliseconds up to 60000.");
    let mut rows: Vec<Row> = Vec::new();
    for line in [
        "POST actions/echo?blocking=true&timeout=0",
        "POST actions/echo?blocking=true&timeout=60001",
        "POST actions/echo?blocking=true&timeout=x",
        "POST actions/echo?blocking=true&timeout=-1",
        "POST actions/echo?blocking=true&timeout=1.5",
        "POST actions/echo?blocking=true&timeout=",
        "POST actions/echo?timeout=0",
        "POST actions/none?timeout=60001",
        "POST actions/a_trigger?timeout=0",
    ] {
        rows.push((line, "{}", 400, refused()));
    }
    rows.push(("POST actions/echo?timeout=0", "{", 400, refused()));
    let flag = |name: &str| query(name, "'maybe' is not a valid Boolean value");
    rows.extend([
        (
            "POST actions/echo?blocking=true&result=true&timeout=60000",
            r#"{"a":1}"#,
            200,
            r#"{"a":1}"#.into(),
        ),
        (
            "POST actions/echo?blocking=YES&result=On&timeout=1",
            "",
            200,
            "{}".into(),
        ),
        (
            "POST actions/echo?blocking=true&blocking=false&result=1",
            "",
            200,
            "{}".into(),
        ),
        (
            "POST actions/echo?blocking=&result=true",
            "",
            202,
            r#"{"activationId":""}"#.into(),
        ),
        ("POST actions/echo?blocking=maybe", "", 400, flag("blocking")),
        ("POST actions/echo?result=maybe", "", 400, flag("result")),
        ("POST actions/echo", "[1]", 400, malformed("JSON object expected")),
        ("POST actions/echo", "null", 400, malformed("JSON object expected")),
        ("POST actions/none", "{}", 404, error(MISSING)),
        ("POST actions/nopkg/none", "[1]", 404, error(MISSING)),
        (
            "POST actions/echo/none",
            "[1]",
            409,
            error("Resource by this name exists but is not in this collection."),
        ),
        ("POST actions/a_trigger", "[1]", 400, malformed("JSON object expected")),
        ("POST actions/echo/", "{}", 404, error(NO_ROUTE)),
    ]);
    check(&api.client("guest"), &[], &rows).await;
}

#[tokio::test]
async fn lists_are_judged_alike_in_every_collection() {
    let api = Api::start().await;
    let client = api.client("guest");
    for collection in ["actions", "triggers", "rules", "packages", "activations"] {
        let lines: Vec<String> = [
            "limit=0",
            "limit=200",
            "limit=201",
            "limit=-1",
            "limit=x",
            "limit=",
            "skip=-1",
            "skip=",
            "skip=x&limit=x",
            "count=true",
            "count=true&skip=9",
            "count=true&limit=201",
            "count=maybe",
            "docs=true",
            "limit=1&limit=x",
        ]
        .iter()
        .map(|asked| format!("GET {collection}?{asked}"))
        .collect();
        let range = |value: &str| {
            query(
                "limit",
                &format!("The value '{value}' is not in the range of 0 to 200 for {collection}."),
            )
        };
        let number = |name: &str, value: &str| {
            query(
                name,
                &format!("The value '{value}' is not an integer for {collection}."),
            )
        };
        let none = || "[]".to_owned();
        let zero = || format!(r#"{{"{collection}":0}}"#);
        let answers = [
            (200, none()),
            (200, none()),
            (400, range("201")),
            (400, range("-1")),
            (400, number("limit", "x")),
            (400, number("limit", "")),
            (
                400,
                query(
                    "skip",
                    &format!("The value '-1' is not greater than or equal to 0 for {collection}."),
                ),
            ),
            (400, number("skip", "")),
            (400, number("skip", "x")),
            (200, zero()),
            (200, zero()),
            (400, range("201")),
            (400, query("count", "'maybe' is not a valid Boolean value")),
            (200, none()),
            (200, none()),
        ];
        let rows: Vec<Row> = lines
            .iter()
            .zip(answers)
            .map(|(line, (status, text))| (line.as_str(), "", status, text))
            .collect();
        check(&client, &[], &rows).await;
    }
    let both = error("The parameter 'docs' is not permitted with 'count'.");
    let name = |value: &str| {
        query(
            "name",
            &format!("Parameter may be a 'simple' name or 'package-name/simple' name: {value}"),
        )
    };
    let time = |name: &str, value: &str| {
        query(
            name,
            &format!("Parameter is not a valid value for epoch seconds: {value}"),
        )
    };
    let rows: [Row; 11] = [
        ("GET activations?docs=true&count=true", "", 400, both),
        ("GET actions?docs=true&count=true", "", 200, r#"{"actions":0}"#.into()),
        ("GET actions?docs=maybe", "", 200, "[]".into()),
        (
            "GET activations?docs=maybe",
            "",
            400,
            query("docs", "'maybe' is not a valid Boolean value"),
        ),
        ("GET activations?name=a/b/c", "", 400, name("a/b/c")),
        ("GET activations?name=a%23", "", 400, name("a#")),
        ("GET activations?name=", "", 200, "[]".into()),
        ("GET activations?since=x", "", 400, time("since", "x")),
        ("GET activations?upto=1.5", "", 400, time("upto", "1.5")),
        (
            "GET activations/0123456789abcdef0123456789abcde",
            "",
            400,
            error("Activation id length is 31 but must be 32."),
        ),
        (
            "DELETE activations/0123456789abcdef0123456789abcdef",
            "",
            404,
            error(NO_ROUTE),
        ),
    ];
    tokio::time::pause();
    check(&client, &[], &rows).await;
}

#[tokio::test]
async fn every_field_of_a_put_has_its_form() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("triggers/t", json!({})).await.ok();
    client.put("packages/p", json!({})).await.ok();
    client
        .put("rules/r", json!({"trigger": "/_/t", "action": "/_/a"}))
        .await
        .ok();
    for entity in ["actions/a", "triggers/t", "packages/p", "rules/r"] {
        let line = format!("PUT {entity}?overwrite=true");
        let version = || malformed("semantic version malformed");
        let parameters = || malformed("parameters malformed!");
        let rows: [Row; 16] = [
            (&line, r#"{"version":5}"#, 400, version()),
            (&line, r#"{"version":"0.0.0"}"#, 400, version()),
            (&line, r#"{"version":"1.x"}"#, 400, version()),
            (
                &line,
                r#"{"publish":"true"}"#,
                400,
                malformed("Expected JsBoolean, but got \"true\""),
            ),
            (&line, r#"{"annotations":{}}"#, 400, parameters()),
            (&line, r#"{"annotations":[{"key":"a"}]}"#, 400, parameters()),
            (&line, r#"{"annotations":[{"key":5,"value":1}]}"#, 400, parameters()),
            (&line, r#"{"parameters":"x"}"#, 400, parameters()),
            (
                &line,
                r#"{"parameters":[{"key":"a","value":1,"init":"true"}]}"#,
                400,
                parameters(),
            ),
            (&line, r#"{"exec":[]}"#, 400, malformed("JSON object expected")),
            (
                &line,
                r#"{"exec":{}}"#,
                400,
                malformed("'kind' must be a string defined in 'exec'"),
            ),
            (&line, "[]", 400, malformed("Object expected in field 'exec'")),
            (&line, "5", 400, malformed("Object expected in field 'exec'")),
            (&line, "null", 400, malformed("Object expected in field 'exec'")),
            (
                &format!("PUT {entity}?overwrite=maybe"),
                "{}",
                400,
                query("overwrite", "'maybe' is not a valid Boolean value"),
            ),
            (&format!("PUT {entity}"), "{}", 409, error("resource already exists")),
        ];
        check(&client, &[], &rows).await;
    }
    let rows: [Row; 9] = [
        (
            "PUT actions/a?overwrite=true",
            r#"{"limits":[]}"#,
            400,
            malformed("Object expected in field 'timeout'"),
        ),
        (
            "PUT actions/a?overwrite=true",
            r#"{"limits":{"timeout":"100"}}"#,
            400,
            malformed("time limit malformed"),
        ),
        (
            "PUT actions/a?overwrite=true",
            r#"{"delAnnotations":"x"}"#,
            400,
            malformed("Expected Array as JsArray, but got \"x\""),
        ),
        (
            "PUT actions/a?overwrite=true",
            r#"{"delAnnotations":[1]}"#,
            400,
            malformed("Expected String as JsString, but got 1"),
        ),
        (
            "PUT triggers/t?overwrite=true",
            r#"{"limits":[]}"#,
            400,
            malformed("Object expected"),
        ),
        (
            "PUT packages/p?overwrite=true",
            r#"{"binding":5}"#,
            400,
            malformed("Object expected in field 'namespace'"),
        ),
        (
            "PUT rules/r?overwrite=true",
            r#"{"trigger":5}"#,
            400,
            malformed("fully qualified name malformed"),
        ),
        (
            "PUT rules/r?overwrite=true",
            r#"{"action":{"path":"_"}}"#,
            400,
            malformed("fully qualified name malformed"),
        ),
        (
            "PUT packages/default",
            "{}",
            400,
            error("Package name 'default' is reserved."),
        ),
    ];
    check(&client, &[], &rows).await;
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_name() {
    let api = Api::start().await;
    let client = api.client("guest");
    let mut made = code();
    made["parameters"] = json!([{"key": "p", "value": 1.0}]);
    made["annotations"] = json!([{"key": "x", "value": 1}]);
    made["limits"] = json!({"timeout": 5e3, "logs": 1});
    made["publish"] = json!(true);
    client.put("actions/a", made).await.ok();
    let shown = |version: &str, annotations: &str, memory: u32| {
        let exec = r#"{"kind":"nodejs:20","code":"function main(p) { return p }","binary":false}"#;
        format!(
            r#"{{"namespace":"guest","name":"a","version":"{version}","publish":true,"updated":,"exec":{exec},"parameters":[{{"key":"p","value":1.0}}],"annotations":[{annotations}{{"key":"provide-api-key","value":false}},{{"key":"exec","value":"nodejs:20"}}],"limits":{{"timeout":5000,"memory":{memory},"logs":1,"concurrency":1}}}}"#
        )
    };
    let (x, xs) = (r#"{"key":"x","value":1},"#, r#"{"key":"x","value":2},"#);
    let rows: [Row; 5] = [
        ("PUT actions/a?overwrite=true", "{}", 200, shown("0.0.2", x, 256)),
        (
            "PUT actions/a?overwrite=1",
            r#"{"limits":{"memory":128}}"#,
            200,
            shown("0.0.3", x, 128),
        ),
        (
            "PUT actions/a?overwrite=on",
            r#"{"annotations":[{"key":"x","value":2}],"limits":null}"#,
            200,
            shown("0.0.4", xs, 128),
        ),
        (
            "PUT actions/a?overwrite=yes",
            r#"{"delAnnotations":["x","y"],"version":"1"}"#,
            200,
            shown("1.0.0", "", 128),
        ),
        ("GET actions/a", "", 200, shown("1.0.0", "", 128)),
    ];
    check(&client, &[], &rows).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_told_with_its_size() {
    let (api, invoker) = ready().await;
    let client = api.client("guest");
    client.put("triggers/t", json!({})).await.ok();
    let body = json!({"a": "x".repeat(1 << 20)}).to_string();
    let text = format!("Request larger than allowed: {} > 1048576 bytes.", body.len());
    let rows: [Row; 4] = [
        ("POST triggers/t", &body, 413, error(&text)),
        ("POST actions/echo", &body, 413, error(&text)),
        ("POST /api/v1/web/guest/default/echo.json", &body, 413, web_error(&text)),
        (
            "POST /api/v1/web/guest/default/none.json",
            &body,
            404,
            web_error(MISSING),
        ),
    ];
    check(&client, &[], &rows).await;
    let octets = [("content-type", "text/plain")];
    let rows: [Row; 1] = [("PUT /api/v1/web/guest/default/echo", &body, 413, web_error(&text))];
    check(&anonymous(&api), &octets, &rows).await;
    assert!(invoker.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sequence_ends_with_the_error_of_a_component() {
    let (api, invoker) = ready().await;
    let client = api.client("guest");
    let mut web = sequence(&["/_/echo", "/_/fails", "/_/echo"]);
    web["annotations"] = json!([{"key": "web-export", "value": true}]);
    client.put("actions/s", web).await.ok();
    client.put("actions/nested", sequence(&["/_/s", "/_/echo"])).await.ok();
    client.put("actions/gone", code()).await.ok();
    client
        .put("actions/dangling", sequence(&["/_/echo", "/_/gone"]))
        .await
        .ok();
    client.delete("actions/gone").await.ok();
    let rows: [Row; 8] = [
        (
            "POST actions/s?blocking=true&result=true",
            "{}",
            502,
            r#"{"error":1}"#.into(),
        ),
        (
            "POST actions/nested?blocking=true&result=true",
            r#"{"a":1}"#,
            502,
            r#"{"error":1}"#.into(),
        ),
        (
            "POST actions/dangling?blocking=true&result=true",
            "{}",
            502,
            r#"{"error":"Sequence component does not exist."}"#.into(),
        ),
        ("POST actions/s", "[1]", 400, malformed("JSON object expected")),
        ("GET /api/v1/web/guest/default/s.text", "", 200, "1".into()),
        (
            "GET /api/v1/web/guest/default/s.json",
            "",
            400,
            web_error("Response is not valid 'application/json'."),
        ),
        ("GET /api/v1/web/guest/default/s.http", "", 400, web_error(NOT_HTTP)),
        (
            "PUT actions/s?overwrite=true",
            r#"{"exec":{"kind":"sequence","components":["/_/nested"]}}"#,
            400,
            error("Sequence may not refer to itself."),
        ),
    ];
    check(&client, &[], &rows).await;
    let ran: Vec<String> = invoker
        .seen()
        .iter()
        .map(|message| message.action.name.to_string())
        .collect();
    assert_eq!(ran[..2], ["echo", "fails"], "the third component never runs");
    assert_eq!(ran[2..4], ["echo", "fails"], "neither after the nested one");
    assert_eq!(ran[4..5], ["echo"]);
}

#[tokio::test(start_paused = true)]
async fn only_true_exports_an_action() {
    let (api, _invoker) = ready().await;
    for value in [json!("true"), json!(1), json!(null), json!({}), json!(false)] {
        let mut body = code();
        body["annotations"] = json!([{"key": "web-export", "value": value}]);
        api.client("guest").put("actions/w?overwrite=true", body).await.ok();
        let rows: [Row; 2] = [
            ("GET /api/v1/web/guest/default/w.json", "", 404, web_error(MISSING)),
            ("OPTIONS /api/v1/web/guest/default/w", "", 404, web_error(MISSING)),
        ];
        check(&anonymous(&api), &[], &rows).await;
    }
    let quoted = exported(&json!({"raw-http": "true", "final": "true", "web-custom-options": "true"}));
    api.client("guest").put("actions/w?overwrite=true", quoted).await.ok();
    let rows: [Row; 2] = [
        ("OPTIONS /api/v1/web/guest/default/w.json", "", 200, String::new()),
        (
            "POST /api/v1/web/guest/default/w.json?__ow_user=x",
            "",
            400,
            web_error(REPEATED),
        ),
    ];
    check(&anonymous(&api), &[], &rows).await;
}

/// Who is not known is nobody, with a wrong key as without one; the header stays visible.
#[tokio::test(start_paused = true)]
async fn a_wrong_key_opens_and_closes_nothing_on_the_web() {
    let (api, _invoker) = ready().await;
    let guest = api.client("guest");
    let secured = exported(&json!({"require-whisk-auth": true}));
    guest.put("actions/secured", secured).await.ok();
    let own = exported(&json!({"require-whisk-auth": true, "web-custom-options": true}));
    guest.put("actions/own", own).await.ok();
    let arguments = |method: &str, user: &str| {
        format!(
            "{{\n  \"__ow_method\": \"{method}\",\n  \"__ow_headers\": {{\n    \"authorization\": \"Basic Og==\"\n  }},\n  \"__ow_path\": \"\"{user}\n}}"
        )
    };
    for caller in [wsk_identity::Outcome::Invalid, wsk_identity::Outcome::Missing] {
        let rows: [Row; 6] = [
            ("GET /api/v1/web/guest/default/echo.json", "", 200, arguments("get", "")),
            ("GET /api/v1/web/guest/default/secured.json", "", 401, web_error(DENIED)),
            (
                "HEAD /api/v1/web/guest/default/secured.json",
                "",
                401,
                web_error(DENIED),
            ),
            ("OPTIONS /api/v1/web/guest/default/secured.json", "", 200, String::new()),
            (
                "OPTIONS /api/v1/web/guest/default/own.json",
                "",
                200,
                arguments("options", ""),
            ),
            ("GET /api/v1/web/guest/default/own.json", "", 401, web_error(DENIED)),
        ];
        check(&api.stranger(caller), &[], &rows).await;
    }
    let known = (
        "GET /api/v1/web/guest/default/secured.json",
        "",
        200,
        arguments("get", ",\n  \"__ow_user\": \"other\""),
    );
    check(&api.client("other"), &[], &[known]).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_says_what_is_answered() {
    let (api, _invoker) = ready().await;
    let client = anonymous(&api);
    let (http, json) = (
        "POST /api/v1/web/guest/default/says.http",
        "POST /api/v1/web/guest/default/says.json",
    );
    let rows: [Row; 18] = [
        (
            http,
            r#"{"res":{"headers":{"Content-Type":"text/plain"},"body":{"a":1}}}"#,
            400,
            web_error(OTHER_TYPE),
        ),
        (
            http,
            r#"{"res":{"headers":{"Content-Type":"text/plain"},"body":5}}"#,
            400,
            web_error(OTHER_TYPE),
        ),
        (
            http,
            r#"{"res":{"headers":{"Content-Type":"text/plain"},"body":"{}"}}"#,
            200,
            "{}".into(),
        ),
        (
            http,
            r#"{"res":{"headers":{"Content-Type":"image/png"},"body":"no base64"}}"#,
            400,
            web_error(OTHER_TYPE),
        ),
        (
            http,
            r#"{"res":{"headers":{"Content-Type":"bogus"},"body":"x"}}"#,
            400,
            web_error("Response did not specify a known content-type."),
        ),
        (
            http,
            r#"{"res":{"headers":{"Content-Length":"5"},"body":"x"}}"#,
            200,
            "x".into(),
        ),
        (
            http,
            r#"{"res":{"headers":{"A":null},"body":"x"}}"#,
            400,
            web_error(NOT_HTTP),
        ),
        (http, r#"{"res":{"statusCode":"201","body":"x"}}"#, 201, "x".into()),
        (
            http,
            r#"{"res":{"statusCode":600,"body":"x"}}"#,
            400,
            web_error(NOT_HTTP),
        ),
        (
            http,
            r#"{"res":{"statusCode":null,"body":"x"}}"#,
            400,
            web_error(NOT_HTTP),
        ),
        (
            http,
            r#"{"res":{"error":{"statusCode":404,"body":"no"}}}"#,
            404,
            "no".into(),
        ),
        (http, r#"{"res":{"error":5}}"#, 400, web_error(NOT_HTTP)),
        (http, "{}", 204, String::new()),
        (
            json,
            r#"{"res":{"error":{"statusCode":404}}}"#,
            200,
            "{\n  \"statusCode\": 404\n}".into(),
        ),
        (
            json,
            r#"{"res":{"error":"x"}}"#,
            400,
            web_error("Response is not valid 'application/json'."),
        ),
        (
            "POST /api/v1/web/guest/default/says.text",
            r#"{"res":{"body":null,"text":"x"}}"#,
            200,
            "null".into(),
        ),
        (
            "POST /api/v1/web/guest/default/says.text",
            r#"{"res":{"a":1}}"#,
            404,
            web_error("Response does not include requested property."),
        ),
        (
            "POST /api/v1/web/guest/default/says.html",
            r#"{"res":{"body":5}}"#,
            400,
            web_error("Response is not valid 'text/html'."),
        ),
    ];
    check(&client, &[], &rows).await;
    let sent = client
        .post(
            "/api/v1/web/guest/default/says",
            json!({"res": {"headers": {"Content-Length": "5", "Transfer-Encoding": "gzip", "X-A": "a"}, "body": "x"}}),
        )
        .await;
    assert_eq!(
        (
            sent.header("x-a"),
            sent.header("content-length"),
            sent.header("transfer-encoding")
        ),
        (Some("a"), None, None)
    );
}

#[tokio::test]
async fn a_rule_is_what_its_trigger_says() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("triggers/t", json!({})).await.ok();
    client
        .put("rules/r", json!({"trigger": "/_/t", "action": "/_/a"}))
        .await
        .ok();
    let state = |text: &str| malformed(&format!("requirement failed: {text} is not a recognized rule state"));
    let shown = |version: &str, status: &str| {
        format!(
            r#"{{"namespace":"guest","name":"r","version":"{version}","publish":false,"updated":,"status":"{status}","annotations":[],"trigger":{{"path":"guest","name":"t"}},"action":{{"path":"guest","name":"a"}}}}"#
        )
    };
    let rows: [Row; 15] = [
        (
            "POST rules/r",
            r#"{"status":"inactive","trigger":null,"action":null}"#,
            200,
            "OK".into(),
        ),
        ("POST rules/r", r#"{"status":"inactive"}"#, 200, "OK".into()),
        ("POST triggers/t", "{}", 204, String::new()),
        ("POST triggers/t", "[1]", 400, malformed("JSON object expected")),
        ("POST rules/r", r#"{"status":"Active"}"#, 400, state("Active")),
        ("POST rules/r", "{}", 400, malformed("key not found: status")),
        (
            "PUT rules/r?overwrite=true",
            r#"{"status":"active"}"#,
            200,
            shown("0.0.2", "inactive"),
        ),
        ("POST rules/r", r#"{"status":"active"}"#, 200, "OK".into()),
        ("PUT rules/r?overwrite=true", "{}", 200, shown("0.0.3", "active")),
        (
            "PUT rules/n",
            r#"{"trigger":"/_/none","action":"/_/a"}"#,
            400,
            error("trigger /guest/none does not exist"),
        ),
        (
            "PUT rules/n",
            r#"{"trigger":"/_/t","action":"/_/none"}"#,
            400,
            error("action /guest/none does not exist"),
        ),
        (
            "PUT rules/n",
            r#"{"trigger":"/_/t"}"#,
            400,
            error("rule requires a valid trigger and a valid action"),
        ),
        (
            "PUT rules/n",
            r#"{"trigger":"t","action":"/_/a"}"#,
            400,
            malformed(
                "requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of the entity.",
            ),
        ),
        ("DELETE rules/r", "", 200, shown("0.0.3", "inactive")),
        ("GET rules/r", "", 404, error(MISSING)),
    ];
    check(&client, &[], &rows).await;
}
