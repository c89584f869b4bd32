//! The programming model in one sweep: packages, sequences, triggers, rules, web actions.

use hyper::Method;
use serde_json::json;

use crate::harness::{LONG, Platform, shell};
use crate::wait;

#[tokio::test]
async fn a_sequence_hands_results_on() {
    let p = Platform::start().await;
    p.put_action("one", shell("echo '{\"n\":1}'"), json!({"memory": 128}))
        .await;
    p.put_action("two", shell("echo \"{\\\"got\\\":$1}\""), json!({"memory": 128}))
        .await;
    p.put_action(
        "both",
        json!({"kind": "sequence", "components": ["/_/one", "/_/two"]}),
        json!({}),
    )
    .await;
    let answer = p.invoke("both", &json!({})).await;
    assert_eq!(
        answer.json()["response"]["result"],
        json!({"got": {"n": 1}}),
        "{answer:?}"
    );
    let record = p.record(&answer.activation_id()).await;
    let components = record["logs"].as_array().expect("component ids").clone();
    assert_eq!(components.len(), 2, "{record}");
    for id in components {
        let component = p.record(id.as_str().expect("an id")).await;
        assert_eq!(component["cause"], record["activationId"], "{component}");
    }
}

#[tokio::test]
async fn a_trigger_runs_the_actions_of_its_rules() {
    let p = Platform::start().await;
    p.put_action("heard", shell("echo \"$1\""), json!({"memory": 128}))
        .await;
    assert_eq!(
        p.call(Method::PUT, "/triggers/bell", Some(&json!({}))).await.status,
        200
    );
    let quiet = p.call(Method::POST, "/triggers/bell", Some(&json!({}))).await;
    assert_eq!(quiet.status, 204, "{quiet:?}");
    let rule = json!({"trigger": "/_/bell", "action": "/_/heard"});
    assert_eq!(p.call(Method::PUT, "/rules/listen", Some(&rule)).await.status, 200);
    let fired = p
        .call(Method::POST, "/triggers/bell", Some(&json!({"tone": "a"})))
        .await;
    assert_eq!(fired.status, 202, "{fired:?}");
    let record = p.record(&fired.activation_id()).await;
    let line = record["logs"][0].as_str().expect("a line per rule");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(
        (line["rule"].as_str(), line["success"].as_bool()),
        (Some("guest/listen"), Some(true)),
        "{line}"
    );
    let ran = p.record(line["activationId"].as_str().expect("an id")).await;
    assert_eq!(ran["response"]["result"]["tone"], "a", "{ran}");
}

#[tokio::test]
async fn a_web_action_answers_without_a_key() {
    let p = Platform::start().await;
    let body = json!({
        "exec": shell("echo '{\"statusCode\": 201, \"headers\": {\"x-made\": \"here\"}, \"body\": \"made\"}'"),
        "annotations": [{"key": "web-export", "value": true}],
        "limits": {"memory": 128},
    });
    assert_eq!(p.call(Method::PUT, "/actions/page", Some(&body)).await.status, 200);
    let answer = p
        .send(Method::GET, "/api/v1/web/guest/default/page", None, None)
        .await
        .expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (201, &b"made"[..]), "{answer:?}");
    assert_eq!(answer.headers.get("x-made").map(|v| v.as_bytes()), Some(&b"here"[..]));
}

#[tokio::test]
async fn the_list_of_activations_finds_by_name_and_time() {
    let p = Platform::start().await;
    p.put_action("a", shell("echo '{}'"), json!({"memory": 128})).await;
    p.put_action("b", shell("echo '{}'"), json!({"memory": 128})).await;
    for name in ["a", "b", "a"] {
        assert_eq!(p.invoke(name, &json!({})).await.status, 200);
    }
    let found = wait::until(LONG, async || {
        let found = p.get("/activations?name=a").await;
        if found.as_array().map(Vec::len) == Some(2) {
            Ok(found)
        } else {
            Err(found.to_string())
        }
    })
    .await;
    let newest = found[0]["start"].as_u64().expect("a time");
    let since = p.get(&format!("/activations?since={newest}")).await;
    assert!(since.as_array().is_some_and(|list| !list.is_empty()), "{since}");
    assert_eq!(p.get("/activations?count=true&name=a").await, json!({"activations": 2}));
}
