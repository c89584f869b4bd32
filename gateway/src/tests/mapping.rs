//! Requests that an API changes before its backend sees them.

use super::*;

/// A gateway whose `GET` and `POST /a/p/{id}` go through steps to a controller that tells what it got.
async fn mapping(steps: Value) -> Edge {
    let edge = start().await;
    let target = format!("http://{}/api/v1/web/alice/default/{{NAME}}.http?k=own", edge.address);
    let mut document = leading_to("/a", &target);
    document["paths"] = json!({"/p/{id}": document["paths"]["/p"].take()});
    let execute = document["x-gateway-configuration"]["assembly"]["execute"]
        .as_array_mut()
        .unwrap();
    execute.extend(steps.as_array().unwrap().iter().cloned());
    edge.import(&document).await;
    edge
}

fn steps() -> Value {
    json!([
        {"set-variable": {"actions": [
            {"set": "message.headers.X-Set", "value": "by the API"},
            {"set": "message.query.k", "value": 1},
            {"set": "message.body.fixed", "value": {"deep": [true]}},
        ]}},
        {"reqMapping": [
            {"action": "transform", "from": {"location": "path", "name": "id"}, "to": {"location": "path", "name": "NAME"}},
            {"action": "transform", "from": {"location": "query", "name": "q"}, "to": {"location": "body", "name": "asked"}},
            {"action": "remove", "from": {"location": "header", "name": "X-Gone"}},
            {"action": "default", "from": {"value": "none"}, "to": {"location": "body", "name": "kept"}},
        ]},
    ])
}

#[tokio::test]
async fn a_backend_gets_what_the_steps_made() {
    let edge = mapping(steps()).await;
    let headers = [
        ("x-set", "by the caller"),
        ("x-gone", "1"),
        ("content-type", "text/json"),
    ];
    let target = format!("/api/{ALICE}/a/p/greet?q=why&r=%2F");
    let told = edge.send("POST", &target, &headers, r#"{"kept": 0.10}"#).await.json();
    assert_eq!(told["target"], "/api/v1/web/alice/default/greet.http?r=%2F&k=1");
    assert_eq!(told["body"], r#"{"kept":0.10,"fixed":{"deep":[true]},"asked":"why"}"#);
    let got = &told["headers"];
    assert_eq!(
        (&got["x-set"], &got["content-type"]),
        (&json!("by the API"), &json!("application/json"))
    );
    assert_eq!(got.get("x-gone"), None);
    let told = edge.get(&format!("/api/{ALICE}/a/p/..%2F..%2Fx")).await.json();
    assert_eq!(
        told["target"], "/api/v1/web/alice/default/..%2F..%2Fx.http?k=1",
        "one segment stays one"
    );
    assert_eq!(told["body"], r#"{"fixed":{"deep":[true]},"kept":"none"}"#);
}

#[tokio::test]
async fn a_body_that_cannot_be_mapped_is_the_callers_error() {
    let edge = mapping(steps()).await;
    for body in ["a=b", "[1]", "{"] {
        let answer = edge.send("POST", &format!("/api/{ALICE}/a/p/greet"), &[], body).await;
        assert_eq!(answer.status, 400, "{body}");
        let text = "Error: The request body must be a JSON object: this API takes parts of it.";
        assert_eq!(answer.json()["message"], text, "{body}");
    }
}

#[tokio::test]
async fn a_mapped_body_reaches_other_servers_whole() {
    let elsewhere = start().await;
    let edge = start().await;
    let mut document = leading_to(
        "/a",
        &format!("http://{}/api/v1/web/alice/default/x.json", elsewhere.address),
    );
    document["x-gateway-configuration"]["assembly"]["execute"]
        .as_array_mut()
        .unwrap()
        .push(json!(
            {"set-variable": {"actions": [{"set": "message.body.k", "value": "v"}]}}
        ));
    edge.import(&document).await;
    for (body, expected) in [("", r#"{"k":"v"}"#), (r#"{"k":1,"l":2}"#, r#"{"k":"v","l":2}"#)] {
        let told = edge.send("POST", &format!("/api/{ALICE}/a/p"), &[], body).await.json();
        assert_eq!(told["body"], expected);
        assert_eq!(told["headers"]["content-length"], expected.len().to_string());
    }
}
