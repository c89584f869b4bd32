//! Bodies that nobody would write: whatever comes in, a well-formed answer comes out and nothing breaks.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Api, code};

/// JSON that resembles what the API takes, with anything in the places of anything.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| serde_json::Number::from_f64(n).map_or(Value::Null, Value::Number)),
        prop_oneof![
            Just("nodejs:default"),
            Just("blackbox"),
            Just("sequence"),
            Just("/_/a"),
            Just("_/p/a"),
            Just("a/b/c/d"),
            Just("//"),
            Just("active"),
            Just("0.0.2"),
            Just("1e9"),
            Just("ctr/none:v1"),
            Just(""),
            Just("\u{fffd}\u{0}"),
        ]
        .prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof![
            Just("exec"),
            Just("kind"),
            Just("code"),
            Just("image"),
            Just("main"),
            Just("components"),
            Just("parameters"),
            Just("annotations"),
            Just("delAnnotations"),
            Just("limits"),
            Just("timeout"),
            Just("memory"),
            Just("logs"),
            Just("concurrency"),
            Just("instances"),
            Just("version"),
            Just("publish"),
            Just("binding"),
            Just("namespace"),
            Just("name"),
            Just("path"),
            Just("trigger"),
            Just("action"),
            Just("status"),
            Just("key"),
            Just("value"),
            Just("init"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

/// How many bodies to try; `WSK_FUZZ` asks for more.
fn cases() -> u32 {
    std::env::var("WSK_FUZZ")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(300)
}

fn judge(bodies: impl Strategy<Value = String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let api = runtime.block_on(async {
        let api = Api::start().await;
        let client = api.client("guest");
        client.put("actions/a", code()).await.ok();
        client.put("packages/p", json!({})).await.ok();
        client.put("triggers/t", json!({})).await.ok();
        client
            .put("rules/r", json!({"trigger": "/_/t", "action": "/_/a"}))
            .await
            .ok();
        api
    });
    let path = prop_oneof![
        Just("actions/a"),
        Just("actions/p/b"),
        Just("packages/p"),
        Just("packages/b"),
        Just("triggers/t"),
        Just("rules/r")
    ];
    let method = prop_oneof![4 => Just("PUT"), 1 => Just("POST")];
    proptest!(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() }, |(
        body in bodies, path in path, method in method
    )| {
        // Actions and triggers start something when they are posted to, which is not what is judged here.
        prop_assume!(method == "PUT" || path == "rules/r");
        let target = if method == "PUT" { format!("{path}?overwrite=true") } else { path.to_owned() };
        let answer = runtime.block_on(api.client("guest").send(method, &target, Some(&body), &[]));
        match answer.status.as_u16() {
            200 => prop_assert!(answer.text == "OK" || answer.json().is_object()),
            400 | 403 | 404 | 409 | 413 => drop(answer.refusal()),
            other => prop_assert!(false, "{other} for {body}: {}", answer.text),
        }
        let read = runtime.block_on(api.client("guest").get(path));
        prop_assert!(matches!(read.status.as_u16(), 200 | 403 | 404 | 409), "what was accepted can be read: {}", read.text);
    });
}

#[test]
fn bodies_of_json() {
    judge(value().prop_map(|value| value.to_string()));
}

#[test]
fn bodies_of_almost_json() {
    judge((value(), 0usize..200, ".{0,2}").prop_map(|(value, at, noise)| {
        let mut text = value.to_string();
        let at = (0..=at.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.insert_str(at, &noise);
        text
    }));
}
