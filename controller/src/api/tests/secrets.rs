//! Secret parameters as clients see them: never, and as the invoker gets them: locked.

use std::sync::Mutex;

use serde_json::{Value, json};
use wsk_bus::messages::ActivationMessage;

use super::running::{Act, Invoker, echo};
use super::*;

const NEEDLE: &str = "correct horse battery";

fn action() -> Value {
    let mut body = code();
    body["parameters"] = json!([{"key": "token", "value": NEEDLE, "secret": true}, {"key": "plain", "value": 1}]);
    body
}

/// The locked arguments of a message, opened.
fn opened(api: &Api, message: &ActivationMessage) -> Value {
    let content = message.content.as_ref().unwrap().object().unwrap();
    let open = |(name, algorithm): (&String, &String)| {
        let sealed = content[name].string().unwrap();
        assert!(!sealed.contains(NEEDLE));
        let clear = api.secrets.open(&sealed, algorithm).unwrap();
        (name.clone(), serde_json::from_str::<Value>(&clear).unwrap())
    };
    Value::Object(message.locked_args.iter().map(open).collect())
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let api = Api::start().await;
    let client = api.client("guest");
    let trigger = json!({"parameters": action()["parameters"]});
    let package = json!({"parameters": action()["parameters"], "publish": true});
    let binding = json!({"binding": {"namespace": "guest", "name": "p"},
                         "parameters": [{"key": "bound", "value": NEEDLE, "secret": true}]});
    for (path, body) in [
        ("actions/a", action()),
        ("triggers/t", trigger),
        ("packages/p", package),
        ("packages/b", binding),
        ("actions/p/a", action()),
    ] {
        client.put(path, body.clone()).await.ok();
        let answers = [
            client.put(&format!("{path}?overwrite=true"), body).await,
            client.get(path).await,
        ];
        for answer in answers {
            let parameters = answer.ok()["parameters"].clone();
            assert!(
                !answer.text.contains(NEEDLE) && !answer.text.contains("encryption"),
                "{}",
                answer.text
            );
            let secret = parameters.as_array().unwrap().iter().find(|p| p["secret"] == true);
            assert_eq!(secret.unwrap()["value"], Value::Null, "{parameters}");
        }
    }
    let stranger = api.client("other");
    for path in [
        "/api/v1/namespaces/guest/packages/p",
        "/api/v1/namespaces/guest/actions/p/a",
    ] {
        let answer = stranger.get(path).await;
        assert!(answer.ok()["parameters"].as_array().unwrap().len() > 1);
        assert!(!answer.text.contains(NEEDLE), "{}", answer.text);
    }
    for path in ["actions", "triggers", "packages", "actions/b/a"] {
        assert!(!client.get(path).await.text.contains(NEEDLE), "{path}");
    }
    for path in ["actions/a", "triggers/t", "packages/b", "actions/p/a", "packages/p"] {
        let answer = client.delete(path).await;
        answer.ok();
        assert!(
            !answer.text.contains(NEEDLE) && !answer.text.contains("encryption"),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn what_cannot_be_secret_is_refused() {
    let api = Api::start().await;
    let client = api.client("guest");
    let with = |member: &str, list: Value| {
        let mut body = code();
        body[member] = list;
        body
    };
    for body in [
        with("annotations", json!([{"key": "k", "value": NEEDLE, "secret": true}])),
        with("parameters", json!([{"key": "k", "value": NEEDLE, "secret": "yes"}])),
        with("parameters", json!([{"key": "k", "secret": false}])),
        with("annotations", json!([{"key": "secret-parameters", "value": NEEDLE}])),
    ] {
        let answer = client.put("actions/a", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.text.contains(NEEDLE), "{body}: {}", answer.text);
    }
    assert_eq!(client.get("actions/a").await.status, 404);
}

/// What is said about a request that cannot be read does not repeat what it held.
#[tokio::test]
async fn malformed_requests_are_refused_without_repeating_them() {
    let api = Api::start().await;
    let client = api.client("guest");
    let whole = action().to_string();
    let cut = &whole[..whole.find(NEEDLE).unwrap() + NEEDLE.len()];
    let unquoted = whole.replace(&format!("\"{NEEDLE}\""), NEEDLE);
    let number = whole.replace("\"value\":1", "\"value\":1x");
    let twice = format!("{whole}{whole}");
    let mut texts = [cut.to_owned(), unquoted, number, twice]
        .map(|text| ("actions/a", text))
        .to_vec();
    let parameters = action()["parameters"].clone();
    for (path, member, value) in [
        ("actions/a", "parameters", json!(NEEDLE)),
        ("actions/a", "parameters", json!([NEEDLE])),
        ("actions/a", "parameters", json!([{"value": NEEDLE, "secret": true}])),
        (
            "actions/a",
            "parameters",
            json!([{"key": "k", "value": NEEDLE, "secret": NEEDLE}]),
        ),
        ("actions/a", "limits", json!({"timeout": "soon"})),
        ("actions/a", "annotations", json!("none")),
        ("triggers/t", "parameters", json!({"token": NEEDLE})),
        ("triggers/t", "publish", json!("yes")),
        (
            "packages/p",
            "parameters",
            json!([{"key": [NEEDLE], "value": NEEDLE, "secret": true}]),
        ),
        ("packages/p", "publish", json!("yes")),
    ] {
        let mut body = if path.starts_with("actions") { code() } else { json!({}) };
        body["parameters"] = parameters.clone();
        body[member] = value;
        texts.push((path, body.to_string()));
    }
    for (path, body) in texts {
        let answer = client.send("PUT", path, Some(&body), &[]).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(!answer.text.contains(NEEDLE), "{body}: {}", answer.text);
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_stay_locked_until_the_invoker() {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, echo).await;
    let client = api.client("guest");
    client.put("actions/a", action()).await.ok();
    client.post("actions/a?blocking=true", json!({"plain": 2})).await.ok();
    client
        .post("actions/a?blocking=true", json!({"token": "mine"}))
        .await
        .ok();
    let seen = invoker.seen();
    assert_eq!(opened(&api, &seen[0]), json!({"token": NEEDLE}));
    assert_eq!(
        seen[0].content.as_ref().unwrap().object().unwrap()["plain"].as_str(),
        "2"
    );
    assert!(seen[1].locked_args.is_empty(), "the caller's own value is what it is");
}

/// What an action is given through package and binding keeps its lock, whoever sealed it.
#[tokio::test(start_paused = true)]
async fn secrets_of_packages_and_bindings_arrive() {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, echo).await;
    let client = api.client("guest");
    let secret = |key: &str, value: &str| json!([{"key": key, "value": value, "secret": true}]);
    client
        .put("packages/p", json!({"parameters": secret("a", "package")}))
        .await
        .ok();
    let binding = json!({"binding": {"namespace": "guest", "name": "p"}, "parameters": secret("b", "binding")});
    client.put("packages/b", binding).await.ok();
    let mut body = code();
    body["parameters"] = secret("c", "action");
    client.put("actions/p/act", body).await.ok();
    client.post("actions/b/act?blocking=true", json!({})).await.ok();
    assert_eq!(
        opened(&api, &invoker.seen()[0]),
        json!({"a": "package", "b": "binding", "c": "action"})
    );
}

/// A trigger's secret reaches its actions: a plain one, and the first of a sequence, but nobody after that.
#[tokio::test(start_paused = true)]
async fn a_triggers_secret_stays_locked_on_the_way_to_its_actions() {
    let api = Api::start().await;
    let done = Arc::new(Mutex::new(0));
    let counted = done.clone();
    let invoker = Invoker::start(&api, move |message| {
        *counted.lock().unwrap() += 1;
        match echo(message) {
            // An answer of its own: what an action returns is clear, and so are the arguments of what runs next.
            Act::Answer(_) => Act::Answer(wsk_entities::Response::success(
                wsk_entities::Json::of(&json!({"x": 1})),
                None,
            )),
            act => act,
        }
    })
    .await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("actions/s", sequence(&["/_/a", "/_/a"])).await.ok();
    let parameters = json!([{"key": "token", "value": NEEDLE, "secret": true}]);
    client.put("triggers/t", json!({"parameters": parameters})).await.ok();
    for (rule, action) in [("r1", "a"), ("r2", "s")] {
        let body = json!({"trigger": "/_/t", "action": format!("/_/{action}")});
        client.put(&format!("rules/{rule}"), body).await.ok();
    }
    assert_eq!(client.post("triggers/t", json!({})).await.status, 202);
    while *done.lock().unwrap() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let mut locked: Vec<Value> = invoker.seen().iter().map(|message| opened(&api, message)).collect();
    locked.sort_by_key(|args| args.to_string().len());
    assert_eq!(locked, [json!({}), json!({"token": NEEDLE}), json!({"token": NEEDLE})]);
}

/// The one secret that is opened here: that of a signature, because it is judged here.
#[tokio::test(start_paused = true)]
async fn a_webhooks_secret_can_be_secret() {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, echo).await;
    let mut body = code();
    body["annotations"] = json!([
        {"key": "web-export", "value": true},
        {"key": "webhook-signature", "value": {"scheme": "github", "parameter": "signing"}},
    ]);
    body["parameters"] = json!([{"key": "signing", "value": "It's a Secret to Everybody", "secret": true}]);
    api.client("guest").put("actions/w", body).await.ok();
    let subject = json!({"subject": "guest", "namespaces": [{"name": "guest", "uuid": "23bc46b1-71f6-4ed5-8c54-816aa4f8c502",
                                                            "key": "k".repeat(64)}]});
    api.subject(&subject).await;
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    for (body, status) in [("Hello, World!", 200), ("Hello, World?", 401)] {
        let headers = [("x-hub-signature-256", signature), ("content-type", "text/plain")];
        let stranger = api.stranger(Outcome::Missing);
        let answer = stranger
            .send("POST", "/api/v1/web/guest/default/w.json", Some(body), &headers)
            .await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    assert_eq!(
        opened(&api, &invoker.seen()[0]),
        json!({"signing": "It's a Secret to Everybody"})
    );
}
