//! Triggers and rules.

use serde_json::{Value, json};

use super::{Api, Client, code, missing, refused};

async fn ready(client: &Client<'_>) {
    client.put("triggers/t", json!({})).await.ok();
    client.put("actions/a", code()).await.ok();
}

fn both() -> Value {
    json!({"trigger": "/_/t", "action": "/_/a"})
}

#[tokio::test]
async fn a_trigger_lives() {
    let api = Api::start().await;
    let client = api.client("guest");
    let body = json!({"parameters": [{"key": "a", "value": 1}], "annotations": [{"key": "m", "value": 1}]});
    let created = client.put("triggers/t", body).await.ok();
    assert_eq!(created["limits"], json!({}));
    assert!(created.get("rules").is_none(), "not before the first rule");
    let replaced = client
        .put(
            "triggers/t?overwrite=true",
            json!({"annotations": [{"key": "n", "value": 2}]}),
        )
        .await
        .ok();
    assert_eq!(replaced["annotations"], json!([{"key": "n", "value": 2}]));
    assert_eq!(replaced["parameters"], json!([{"key": "a", "value": 1}]));
    for (feed, status) in [
        ("\"/a/b/c/d\"", 200),
        ("\"a b\"", 200),
        ("\"a#b\"", 400),
        ("\"\"", 400),
        ("5", 400),
        ("null", 400),
    ] {
        let body = format!(r#"{{"annotations":[{{"key":"feed","value":{feed}}}]}}"#);
        client.delete("triggers/f").await;
        let answer = client.send("PUT", "triggers/f", Some(&body), &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{feed}");
    }
    client.put("triggers/f", json!({})).await.ok();
    client
        .put(
            "triggers/f?overwrite=true",
            json!({"annotations": [{"key": "feed", "value": 5}]}),
        )
        .await
        .ok();
    client.delete("triggers/t").await.ok();
    assert_eq!(client.get("triggers/t").await.refusal(), missing());
}

#[tokio::test]
async fn a_rules_status_lives_in_its_trigger() {
    let api = Api::start().await;
    let client = api.client("guest");
    ready(&client).await;
    let created = client.put("rules/r", both()).await.ok();
    assert_eq!(created["status"], "active");
    assert_eq!(created["trigger"], json!({"path": "guest", "name": "t"}));
    let trigger = client.get("triggers/t").await.ok();
    assert_eq!(
        trigger["rules"],
        json!({"guest/r": {"action": {"path": "guest", "name": "a"}, "status": "active"}})
    );
    assert_eq!(trigger["version"], "0.0.1", "attaching a rule is no update");
    assert!(client.get("rules").await.ok()[0].get("status").is_none());

    let status = client
        .post("rules/r", json!({"status": "inactive", "trigger": null}))
        .await;
    assert_eq!((status.status.as_u16(), status.text.as_str()), (200, "OK"));
    assert_eq!(status.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(client.get("rules/r").await.ok()["status"], "inactive");
    let updated = client.put("rules/r?overwrite=true", json!({})).await.ok();
    assert_eq!(
        (&updated["status"], &updated["version"]),
        (&json!("inactive"), &json!("0.0.2"))
    );

    client.put("triggers/u", json!({})).await.ok();
    client
        .put("rules/r?overwrite=true", json!({"trigger": "/_/u"}))
        .await
        .ok();
    assert_eq!(client.get("triggers/t").await.ok()["rules"], json!({}));
    assert_eq!(
        client.get("triggers/u").await.ok()["rules"]["guest/r"]["status"],
        "inactive"
    );
    assert_eq!(client.delete("rules/r").await.ok()["status"], "inactive");
    assert_eq!(client.get("triggers/u").await.ok()["rules"], json!({}));
}

#[tokio::test]
async fn a_trigger_that_goes_leaves_its_rules_inactive() {
    let api = Api::start().await;
    let client = api.client("guest");
    ready(&client).await;
    client.put("rules/r", both()).await.ok();
    assert!(client.delete("triggers/t").await.ok().get("rules").is_some());
    assert_eq!(client.get("rules/r").await.ok()["status"], "inactive");
    let text = "Only rules with existing triggers can be activated";
    assert_eq!(
        client.post("rules/r", json!({"status": "active"})).await.refusal(),
        (404, text.into())
    );
    assert_eq!(client.post("rules/r", json!({"status": "inactive"})).await.status, 200);
    let text = "trigger /guest/t does not exist";
    assert_eq!(
        client.put("rules/r?overwrite=true", json!({})).await.refusal(),
        (400, text.into())
    );
    client.put("triggers/t", json!({})).await.ok();
    assert_eq!(
        client.get("rules/r").await.ok()["status"],
        "inactive",
        "a new trigger knows nothing of it"
    );
    assert_eq!(client.post("rules/r", json!({"status": "active"})).await.status, 200);
    assert_eq!(client.get("rules/r").await.ok()["status"], "active");
}

#[tokio::test]
async fn what_a_rule_connects_must_be_there() {
    let api = Api::start().await;
    let client = api.client("guest");
    ready(&client).await;
    client.put("packages/p", json!({})).await.ok();
    client
        .put("packages/b", json!({"binding": {"namespace": "_", "name": "p"}}))
        .await
        .ok();
    client.put("actions/p/in", code()).await.ok();
    for (body, status, text) in [
        (json!({}), 400, "rule requires a valid trigger and a valid action"),
        (
            json!({"trigger": "/_/none", "action": "/_/none"}),
            400,
            "trigger /guest/none does not exist",
        ),
        (
            json!({"trigger": "/_/t", "action": "/_/none"}),
            400,
            "action /guest/none does not exist",
        ),
        (
            json!({"trigger": "/_/t", "action": "/_/p/none"}),
            400,
            "action /guest/p/none does not exist",
        ),
        (
            json!({"trigger": "/_/t", "action": "/_/nopkg/x"}),
            404,
            "The requested resource does not exist.",
        ),
        (
            json!({"trigger": "/_/a", "action": "/_/a"}),
            400,
            "/guest/a is not a trigger",
        ),
        (
            json!({"trigger": "/o/t", "action": "/n/a"}),
            403,
            "The supplied authentication is not authorized to access 'n/a, o/t'.",
        ),
    ] {
        assert_eq!(
            client.put("rules/r", body.clone()).await.refusal(),
            (status, text.into()),
            "{body}"
        );
    }
    let private = client
        .put("rules/r", json!({"trigger": "/_/none", "action": "/o/p/a"}))
        .await
        .refusal();
    assert_eq!(private, refused("o/p"), "entitlement before existence");
    let bound = client
        .put("rules/r", json!({"trigger": "/_/t", "action": "/_/b/in"}))
        .await
        .ok();
    assert_eq!(
        bound["action"],
        json!({"path": "guest/b", "name": "in"}),
        "the binding is kept"
    );
}

#[tokio::test]
async fn many_rules_can_be_attached_at_once() {
    let api = Api::start().await;
    let client = api.client("guest");
    ready(&client).await;
    let create = |n: u32| {
        let client = client.clone();
        async move { client.put(&format!("rules/r{n}"), both()).await.ok() }
    };
    tokio::join!(
        create(0),
        create(1),
        create(2),
        create(3),
        create(4),
        create(5),
        create(6),
        create(7)
    );
    assert_eq!(
        client.get("triggers/t").await.ok()["rules"].as_object().unwrap().len(),
        8
    );
}
