//! Rules that hold whatever is written: which parameter wins, what `final` forbids, how versions rise, what a fire starts.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::running::{Invoker, echo, id, record};
use super::{Api, code};

/// A list of parameters by name; none is declared but unbound.
type Bound = BTreeMap<String, Option<u8>>;

fn bound() -> impl Strategy<Value = Bound> {
    btree_map("[a-e]", proptest::option::weighted(0.8, any::<u8>()), 0..4)
}

/// Runs a case of its own on a paused clock.
fn case<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(body)
}

fn list(bound: &Bound, secret: bool) -> Value {
    let one = |(key, value): (&String, &Option<u8>)| match secret {
        true => json!({"key": key, "value": value, "secret": true}),
        false => json!({"key": key, "value": value}),
    };
    Value::Array(bound.iter().map(one).collect())
}

/// What an action is given, sealed values opened.
fn given(api: &Api, invoker: &Invoker) -> Value {
    let seen = invoker.seen();
    let message = seen.last().expect("it ran");
    let content = message
        .content
        .as_ref()
        .expect("arguments")
        .object()
        .expect("an object");
    let open = |(name, value): (String, wsk_entities::Json)| {
        let clear = match message.locked_args.get(&name) {
            Some(algorithm) => api
                .secrets
                .open(&value.string().unwrap(), algorithm)
                .unwrap()
                .to_string(),
            None => value.to_string(),
        };
        (name, serde_json::from_str(&clear).unwrap())
    };
    Value::Object(content.into_iter().map(open).collect::<Map<_, _>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Package, binding, action, payload: the later wins, whether it is secret or not, and null counts as a value.
    #[test]
    fn the_later_parameter_wins(package in bound(), binding in bound(), action in bound(), payload in bound(), secret in any::<[bool; 3]>()) {
        let mut expected = package.clone();
        for layer in [&binding, &action, &payload] {
            expected.extend(layer.clone());
        }
        let got = case(async {
            let api = Api::start().await;
            let invoker = Invoker::start(&api, echo).await;
            let client = api.client("guest");
            client.put("packages/p", json!({"parameters": list(&package, secret[0])})).await.ok();
            let body = json!({"binding": {"namespace": "guest", "name": "p"}, "parameters": list(&binding, secret[1])});
            client.put("packages/b", body).await.ok();
            let mut body = code();
            body["parameters"] = list(&action, secret[2]);
            client.put("actions/p/a", body).await.ok();
            client.post("actions/b/a?blocking=true", json!(payload)).await.ok();
            given(&api, &invoker)
        });
        prop_assert_eq!(got, json!(expected));
    }

    /// `final` forbids a payload to name what is bound, wherever it is bound, and nothing else.
    #[test]
    fn what_is_final_cannot_be_given(package in bound(), action in bound(), payload in bound(), is_final in any::<bool>(), secret in any::<bool>()) {
        let mut merged = package.clone();
        merged.extend(action.clone());
        let forbidden = is_final && payload.keys().any(|key| merged.get(key).is_some_and(Option::is_some));
        let status = case(async {
            let api = Api::start().await;
            let _invoker = Invoker::start(&api, echo).await;
            let client = api.client("guest");
            client.put("packages/p", json!({"parameters": list(&package, secret)})).await.ok();
            let mut body = code();
            body["parameters"] = list(&action, false);
            // Anything but the JSON value `true` is no `final`.
            body["annotations"] = json!([{"key": "final", "value": if is_final { json!(true) } else { json!("true") }}]);
            client.put("actions/p/a", body).await.ok();
            client.post("actions/p/a?blocking=true", json!(payload)).await.status.as_u16()
        });
        prop_assert_eq!(status, if forbidden { 400 } else { 200 });
    }

    /// A write raises the last part of the version by one, unless it says which version it wants.
    #[test]
    fn versions_rise_by_one_or_are_what_was_asked_for(writes in vec(proptest::option::weighted(0.3, (0u32..3, 0u32..3, 1u32..9)), 1..8), which in 0usize..3) {
        let (path, body) = [("actions/a", code()), ("triggers/t", json!({})), ("packages/p", json!({}))][which].clone();
        let mut expected = Vec::new();
        let mut version = (0, 0, 0);
        for wanted in &writes {
            version = wanted.unwrap_or((version.0, version.1, version.2 + 1));
            expected.push(format!("{}.{}.{}", version.0, version.1, version.2));
        }
        let got = case(async {
            let api = Api::start().await;
            let client = api.client("guest");
            let mut got = Vec::new();
            for wanted in &writes {
                let mut body = body.clone();
                if let Some((major, minor, patch)) = wanted {
                    body["version"] = json!(format!("{major}.{minor}.{patch}"));
                }
                let answer = client.put(&format!("{path}?overwrite=true"), body).await.ok();
                got.push(answer["version"].as_str().unwrap().to_owned());
            }
            got
        });
        prop_assert_eq!(got, expected);
    }

    /// A fire starts the action of every active rule once, tells of every rule in their order, and is nothing at all where
    /// no rule is active; the trigger's parameters lose to the body.
    #[test]
    fn a_fire_starts_what_is_active(rules in vec((any::<bool>(), any::<bool>()), 0..5), trigger in bound(), payload in bound(), secret in any::<bool>()) {
        let active: Vec<usize> = (0..rules.len()).filter(|at| rules[*at].0).collect();
        let runs = active.iter().filter(|at| rules[**at].1).count();
        let mut expected = trigger.clone();
        expected.extend(payload.clone());
        case(async {
            let api = Api::start().await;
            let invoker = Invoker::start(&api, echo).await;
            let client = api.client("guest");
            client.put("triggers/t", json!({"parameters": list(&trigger, secret)})).await.ok();
            for (at, (is_active, is_there)) in rules.iter().enumerate() {
                client.put(&format!("actions/a{at}"), code()).await.ok();
                let body = json!({"trigger": "/_/t", "action": format!("/_/a{at}")});
                client.put(&format!("rules/r{at}"), body).await.ok();
                if !is_active {
                    let answer = client.post(&format!("rules/r{at}"), json!({"status": "inactive"})).await;
                    assert_eq!(answer.status, 200);
                }
                if !is_there {
                    client.delete(&format!("actions/a{at}")).await.ok();
                }
            }
            let answer = client.post("triggers/t", json!(payload)).await;
            if active.is_empty() {
                assert_eq!(answer.status, 204);
                return;
            }
            assert_eq!(answer.status, 202);
            let shown = record(&client, &id(&answer)).await;
            let told: Vec<(String, bool)> = shown["logs"].as_array().unwrap().iter()
                .map(|line| serde_json::from_str::<Value>(line.as_str().unwrap()).unwrap())
                .map(|line| (line["rule"].as_str().unwrap().to_owned(), line["success"] == true))
                .collect();
            let wanted: Vec<(String, bool)> = rules.iter().enumerate()
                .map(|(at, (is_active, is_there))| (format!("guest/r{at}"), *is_active && *is_there))
                .collect();
            assert_eq!(told, wanted);
            while api.app.in_flight_count() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            assert_eq!(invoker.seen().len(), runs);
            if runs > 0 {
                let mut got = given(&api, &invoker);
                got.as_object_mut().unwrap().remove("__ow_headers").expect("the fire's headers");
                assert_eq!(got, json!(expected));
            }
        });
    }
}
