//! Actions and sequences: written, read, listed, deleted.

use serde_json::json;

use super::{Api, code, missing, refused, sequence};

#[tokio::test]
async fn an_action_lives() {
    let api = Api::start().await;
    let client = api.client("guest");
    let created = client.put("actions/a", code()).await.ok();
    assert_eq!(created["version"], "0.0.1");
    assert_eq!(
        created["exec"],
        json!({"kind": "nodejs:20", "code": "function main(p) { return p }", "binary": false})
    );
    assert_eq!(
        created["annotations"],
        json!([{"key": "provide-api-key", "value": false}, {"key": "exec", "value": "nodejs:20"}])
    );
    assert_eq!(
        client.put("actions/a", code()).await.refusal(),
        (409, "resource already exists".into())
    );
    let updated = client
        .put("actions/a?overwrite=true", json!({"publish": true}))
        .await
        .ok();
    assert_eq!(
        (&updated["version"], &updated["publish"]),
        (&json!("0.0.2"), &json!(true))
    );
    assert_eq!(
        updated["exec"], created["exec"],
        "an update that leaves exec alone still shows the code"
    );
    assert_eq!(client.get("/api/v1/namespaces/guest/actions/a").await.ok(), updated);
    let without = client.get("actions/a?code=false").await.ok();
    assert_eq!(without["exec"], json!({"kind": "nodejs:20", "binary": false}));
    let listed = client.get("actions").await.ok();
    let keys: Vec<&String> = listed[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "namespace",
            "name",
            "version",
            "publish",
            "updated",
            "annotations",
            "limits",
            "exec"
        ]
    );
    assert_eq!(listed[0]["exec"], json!({"binary": false}));
    assert_eq!(client.delete("actions/a").await.ok(), updated);
    assert_eq!(client.delete("actions/a").await.refusal(), missing());
    assert_eq!(client.get("actions/a").await.refusal(), missing());
}

#[tokio::test]
async fn an_update_merges_annotations_and_replaces_the_rest() {
    let api = Api::start().await;
    let client = api.client("guest");
    let mut body = code();
    body["annotations"] = json!([{"key": "x", "value": 1}, {"key": "y", "value": 2}, {"key": "exec", "value": "lie"}]);
    body["parameters"] = json!([{"key": "p", "value": 1}]);
    body["limits"] = json!({"timeout": 5000, "logs": 1});
    body["version"] = json!("1.2.3");
    client.put("actions/a", body).await.ok();
    let put = |body| {
        let client = client.clone();
        async move { client.put("actions/a?overwrite=true", body).await.ok() }
    };
    let merged = put(json!({"delAnnotations": ["x", "none", "exec"], "annotations": [{"key": "y", "value": 3}]})).await;
    let annotations = merged["annotations"].as_array().unwrap();
    assert!(annotations.contains(&json!({"key": "y", "value": 3})));
    assert!(
        annotations.contains(&json!({"key": "exec", "value": "nodejs:20"})),
        "the server's own comes back"
    );
    assert!(!annotations.iter().any(|a| a["key"] == "x"));
    assert_eq!(merged["version"], "1.2.4");
    let limited = put(json!({"limits": {"memory": 128}, "parameters": [{"key": "q", "value": null}]})).await;
    assert_eq!(
        limited["limits"],
        json!({"timeout": 5000, "memory": 128, "logs": 1, "concurrency": 1})
    );
    assert_eq!(limited["parameters"], json!([{"key": "q", "value": null}]));
    let down = put(json!({"version": "0.0.1"})).await;
    assert_eq!(down["version"], "0.0.1");
}

#[tokio::test]
async fn refusals_come_in_upstreams_order() {
    let api = Api::start().await;
    let client = api.client("guest");
    assert_eq!(
        client.put("actions/a", json!({})).await.refusal(),
        (400, "exec undefined".into())
    );
    client.put("actions/a", code()).await.ok();
    let mut bad = code();
    bad["limits"] = json!({"timeout": 1});
    let text = "requirement failed: duration 1 milliseconds below allowed threshold of 100 milliseconds";
    assert_eq!(
        client.put("actions/a", bad).await.refusal(),
        (400, text.into()),
        "limits before existence"
    );
    let deprecated = json!({"exec": {"kind": "nodejs:18", "code": "x"}});
    let text =
        "The 'nodejs:18' runtime is no longer supported. You may read and delete but not update or invoke this action.";
    assert_eq!(
        client.put("actions/b", deprecated.clone()).await.refusal(),
        (400, text.into())
    );
    assert_eq!(
        client.put("actions/a", deprecated).await.refusal().0,
        409,
        "existence before deprecation"
    );
    let foreign = client
        .send("PUT", "/api/v1/namespaces/other/actions/a?overwrite=x", Some("{"), &[])
        .await;
    assert_eq!(
        foreign.refusal(),
        refused("other/a"),
        "entitlement before everything in the request"
    );
    let query = client
        .put("actions/a?overwrite=x", json!({"limits": 1}))
        .await
        .refusal();
    assert!(
        query.1.starts_with("The query parameter 'overwrite'"),
        "the query before the unsized fields: {query:?}"
    );
    let sized = client.put("actions/a?overwrite=x", json!({"exec": 1})).await.refusal();
    assert_eq!(
        sized.1, "The request content was malformed:\nJSON object expected",
        "sized fields before the query"
    );
}

#[tokio::test]
async fn one_name_is_one_entity() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("triggers/t", json!({})).await.ok();
    let conflict = (
        409,
        "Resource by this name exists but is not in this collection.".to_owned(),
    );
    for collection in ["actions", "rules", "packages"] {
        let path = format!("{collection}/t");
        let body = if collection == "actions" { code() } else { json!({}) };
        assert_eq!(client.get(&path).await.refusal(), conflict, "{path}");
        assert_eq!(client.delete(&path).await.refusal(), conflict, "{path}");
        assert_eq!(
            client
                .put(&format!("{path}?overwrite=true"), body.clone())
                .await
                .refusal(),
            conflict,
            "{path}"
        );
        assert_eq!(client.put(&path, body).await.refusal(), conflict, "{path}");
    }
    client.put("actions/a", code()).await.ok();
    assert_eq!(client.get("actions/a/x").await.refusal(), conflict);
    assert_eq!(client.get("actions/a/").await.refusal(), conflict);
    assert_eq!(client.put("actions/a/x", code()).await.refusal(), conflict);
}

/// An action whose kind is no longer offered can be looked at and removed, but not changed.
#[tokio::test]
async fn a_kind_may_leave_the_manifest() {
    let before = Api::start().await;
    before.client("guest").put("actions/a", code()).await.ok();
    let manifest = r#"{"runtimes":{"python":[{"kind":"python:3","image":{"name":"p"},"default":true}]}}"#;
    let after = Api::with(manifest, Some(&before)).await;
    let client = after.client("guest");
    assert_eq!(client.get("actions/a").await.ok()["exec"]["kind"], "nodejs:20");
    let (status, text) = client
        .put("actions/a?overwrite=true", json!({"publish": true}))
        .await
        .refusal();
    assert_eq!(
        (
            status,
            text.starts_with("The 'nodejs:20' runtime is no longer supported.")
        ),
        (400, true)
    );
    client.delete("actions/a").await.ok();
}

#[tokio::test]
async fn another_controllers_write_is_seen() {
    let one = Api::start().await;
    let two = Api::with(super::MANIFEST, Some(&one)).await;
    one.client("guest").put("actions/a", code()).await.ok();
    assert_eq!(two.client("guest").get("actions/a").await.ok()["version"], "0.0.1");
    one.client("guest")
        .put("actions/a?overwrite=true", json!({"publish": true}))
        .await
        .ok();
    let mut version = String::new();
    for _ in 0..100 {
        tokio::task::yield_now().await;
        version = two.client("guest").get("actions/a").await.ok()["version"].to_string();
        if version == "\"0.0.2\"" {
            break;
        }
    }
    assert_eq!(version, "\"0.0.2\"", "the cache of the second controller was told");
    two.client("guest")
        .put("actions/a?overwrite=true", json!({"publish": false}))
        .await
        .ok();
}

#[tokio::test]
async fn of_writers_at_the_same_time_each_wins_or_is_told() {
    let api = Api::start().await;
    let client = api.client("guest");
    let create = || client.put("actions/a", code());
    let (one, two, three) = tokio::join!(create(), create(), create());
    let mut statuses = [one.status.as_u16(), two.status.as_u16(), three.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);
    let annotate = |key: &'static str| {
        client.put(
            "actions/a?overwrite=true",
            json!({"annotations": [{"key": key, "value": 1}]}),
        )
    };
    let (one, two, three) = tokio::join!(annotate("k1"), annotate("k2"), annotate("k3"));
    let accepted = [&one, &two, &three].iter().filter(|a| a.status == 200).count();
    for refused in [one, two, three].iter().filter(|a| a.status != 200) {
        assert_eq!(
            refused.refusal(),
            (409, "Concurrent modification to resource detected.".into())
        );
    }
    let stored = client.get("actions/a").await.ok();
    let kept = stored["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|a| a["key"].as_str().unwrap().starts_with('k'))
        .count();
    assert_eq!(kept, accepted, "no accepted write is lost");
}

#[tokio::test]
async fn pages_and_counts() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("packages/p", json!({})).await.ok();
    for i in 0..4 {
        client.put(&format!("actions/p/a{i}"), code()).await.ok();
    }
    client.put("actions/z", code()).await.ok();
    let count = |path: &'static str| async { client.get(path).await.ok() };
    assert_eq!(count("actions?count=true").await, json!({"actions": 5}));
    assert_eq!(count("actions/p/?count=true&skip=3").await, json!({"actions": 1}));
    assert_eq!(count("actions/p/?count=true&skip=9").await, json!({"actions": 0}));
    let listed = client.get("actions/p/?skip=1&limit=2").await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed.as_array().unwrap().iter().all(|a| a["namespace"] == "guest/p"));
    assert_eq!(client.get("actions/none/").await.refusal(), missing());
}

#[tokio::test]
async fn a_sequence_is_judged_when_it_is_written() {
    let api = Api::start().await;
    let client = api.client("guest");
    for name in ["a", "b"] {
        client.put(&format!("actions/{name}"), code()).await.ok();
    }
    client.put("packages/p", json!({})).await.ok();
    client
        .put("packages/bound", json!({"binding": {"namespace": "_", "name": "p"}}))
        .await
        .ok();
    let created = client.put("actions/s", sequence(&["_/a", "/guest/b"])).await.ok();
    assert_eq!(
        created["exec"],
        json!({"kind": "sequence", "components": ["/guest/a", "/guest/b"]})
    );
    assert_eq!(
        created["parameters"],
        json!([{"key": "_actions", "value": ["/guest/a", "/guest/b"]}])
    );

    let put = |path: &'static str, components: Vec<&'static str>| {
        let client = client.clone();
        async move { client.put(path, sequence(&components)).await }
    };
    for (components, status, text) in [
        (vec![], 400, "No component specified for the sequence."),
        (vec!["/_/none"], 400, "Sequence component does not exist."),
        (vec!["/_/p/none"], 400, "Sequence component does not exist."),
        (vec!["/_/nopkg/none"], 404, "The requested resource does not exist."),
        (vec!["/_/a", "/_/x"], 400, "Sequence may not refer to itself."),
        (
            vec!["/_/p"],
            409,
            "Resource by this name exists but is not in this collection.",
        ),
        (vec!["/_/a"; 51], 400, "Too many actions in the sequence."),
        (
            vec!["/o/x", "/n/x"],
            403,
            "The supplied authentication is not authorized to access 'n/x, o/x'.",
        ),
        (
            vec!["/n/x", "/o/p/x"],
            403,
            "The supplied authentication is not authorized to access 'o/p'.",
        ),
    ] {
        assert_eq!(
            put("actions/x", components.clone()).await.refusal(),
            (status, text.into()),
            "{components:?}"
        );
    }
    put("actions/fifty", vec!["/_/a"; 50]).await.ok();
    assert_eq!(
        put("actions/x", vec!["/_/fifty", "/_/a"]).await.refusal().1,
        "Too many actions in the sequence."
    );
    put("actions/n", vec!["/_/s"]).await.ok();
    let cyclic = (400, "Sequence may not refer to itself.".to_owned());
    assert_eq!(put("actions/s?overwrite=true", vec!["/_/n"]).await.refusal(), cyclic);
    assert_eq!(
        put("actions/p/q", vec!["/_/bound/q"]).await.refusal(),
        cyclic,
        "also through a binding"
    );
}

/// Fifty times fifty times fifty … sequences would be looked at without an end in sight.
#[tokio::test]
async fn nested_sequences_are_counted_once_each() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("actions/s0", code()).await.ok();
    for depth in 1..40 {
        let below = format!("/_/s{}", depth - 1);
        client.put(&format!("actions/s{depth}"), sequence(&[&below])).await.ok();
    }
    client.put("actions/wide", sequence(&["/_/s39"; 50])).await.ok();
    assert_eq!(
        client
            .put("actions/wider", sequence(&["/_/wide", "/_/wide"]))
            .await
            .refusal()
            .0,
        400
    );
}

#[tokio::test]
async fn a_sequences_parameters_are_its_components() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("actions/s", sequence(&["/_/a"])).await.ok();
    let kept = client
        .put(
            "actions/s?overwrite=true",
            json!({"parameters": [{"key": "x", "value": 1}]}),
        )
        .await
        .ok();
    assert_eq!(kept["parameters"], json!([{"key": "_actions", "value": ["/guest/a"]}]));
    client
        .put(
            "actions/s?overwrite=true",
            json!({"annotations": [{"key": "x", "value": 1}]}),
        )
        .await
        .ok();
    let mut body = sequence(&["/_/a"]);
    body["delAnnotations"] = json!(["x"]);
    let with_exec = client.put("actions/s?overwrite=true", body).await.ok();
    assert!(
        with_exec["annotations"]
            .as_array()
            .unwrap()
            .contains(&json!({"key": "x", "value": 1}))
    );
    let action = client.put("actions/s?overwrite=true", code()).await.ok();
    assert_eq!(action["parameters"], json!([]), "the components are no inheritance");
}
