//! Web actions from the request to the answer.

use super::*;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "x-require-whisk-auth";

async fn ready(annotations: Value) -> (Api, Invoker) {
    let api = Api::start().await;
    let key = "k".repeat(64);
    let document = json!({"subject": "guest-owner", "namespaces": [{"name": "guest", "uuid": "u", "key": key}]});
    api.subject(&document).await;
    let invoker = Invoker::start(&api, echo).await;
    let mut body = code();
    let mut all = vec![json!({"key": "web-export", "value": true})];
    all.extend(annotations.as_array().unwrap().iter().cloned());
    body["annotations"] = json!(all);
    api.client("guest").put("actions/w", body).await.ok();
    (api, invoker)
}

fn anonymous(api: &Api) -> Client<'_> {
    api.stranger(wsk_identity::Outcome::Missing)
}

#[tokio::test(start_paused = true)]
async fn the_owner_runs_it_and_the_request_is_its_arguments() {
    let (api, invoker) = ready(json!([])).await;
    let answer = anonymous(&api)
        .send(
            "POST",
            "/api/v1/web/guest/default/w.json/x?a=1",
            Some(r#"{"b":2}"#),
            &[],
        )
        .await;
    let arguments = answer.ok();
    assert_eq!((arguments["a"].as_str(), arguments["b"].as_i64()), (Some("1"), Some(2)));
    assert_eq!(
        (arguments["__ow_path"].as_str(), arguments["__ow_method"].as_str()),
        (Some("/x"), Some("post"))
    );
    assert_eq!(arguments.get("__ow_user"), None);
    assert_eq!(invoker.seen()[0].user.namespace.name.as_str(), "guest");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(!id(&answer).is_empty());
    let known = api
        .client("other-ns")
        .get("/api/v1/web/guest/default/w.json")
        .await
        .ok();
    assert_eq!(known["__ow_user"], "other-ns");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_exported_is_not_there() {
    let (api, _invoker) = ready(json!([])).await;
    api.client("guest").put("actions/off", code()).await.ok();
    for path in [
        "guest/default/off",
        "guest/default/none",
        "guest/nopkg/w",
        "nobody/default/w",
        "guest/default/w.xyz",
    ] {
        let answer = anonymous(&api).get(&format!("/api/v1/web/{path}")).await;
        assert_eq!(answer.refusal(), super::super::missing(), "{path}");
        assert!(answer.text.starts_with("{\n  \""), "errors of web actions are indented");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let (status, _) = anonymous(&api).get("/api/v1/web/guest/a%23b/w").await.refusal();
    assert_eq!(status, 401, "a path that cannot be one is like an unknown one");
}

#[tokio::test(start_paused = true)]
async fn secrets_are_asked_for() {
    for (value, secret, status) in [
        (json!("s"), "s", 200),
        (json!("s"), "S", 401),
        (json!("s"), "", 401),
        (json!(12), "12", 200),
        (json!(true), "true", 401),
        (json!(false), "", 200),
        (json!(null), "null", 401),
        (json!({}), "{}", 401),
    ] {
        let (api, invoker) = ready(json!([{"key": "require-whisk-auth", "value": value}])).await;
        let answer = anonymous(&api)
            .send("GET", "/api/v1/web/guest/default/w.json", None, &[(SECRET, secret)])
            .await;
        assert_eq!(answer.status, status, "{value} {secret}");
        assert_eq!(invoker.seen().len(), usize::from(status == 200));
    }
    let (api, _invoker) = ready(json!([{"key": "require-whisk-auth", "value": true}])).await;
    api.client("other-ns")
        .get("/api/v1/web/guest/default/w.json")
        .await
        .ok();
}

#[tokio::test(start_paused = true)]
async fn preflights_are_answered_for_the_action_unless_it_wants_to() {
    let asked = [("access-control-request-headers", "x-a, x-b")];
    let (api, invoker) = ready(json!([])).await;
    let answer = anonymous(&api)
        .send("OPTIONS", "/api/v1/web/guest/default/w", None, &asked)
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("access-control-allow-headers"), Some("x-a, x-b"));
    assert!(invoker.seen().is_empty());
    let (api, invoker) = ready(json!([{"key": "require-whisk-auth", "value": "s"}])).await;
    let answer = anonymous(&api)
        .send("OPTIONS", "/api/v1/web/guest/default/w", None, &[])
        .await;
    assert_eq!(
        (answer.status.as_u16(), invoker.seen().len()),
        (200, 0),
        "a preflight needs no secret"
    );
    let own = json!([{"key": "web-custom-options", "value": true}, {"key": "require-whisk-auth", "value": "s"}]);
    let (api, invoker) = ready(own).await;
    let answer = anonymous(&api)
        .send("OPTIONS", "/api/v1/web/guest/default/w.json", None, &asked)
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (200, None)
    );
    assert_eq!(invoker.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_wrong_verb_and_type_are_refused() {
    let (api, _invoker) = ready(json!([])).await;
    let answer = anonymous(&api)
        .send("TRACE", "/api/v1/web/guest/default/w", None, &[])
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, Some("GET, DELETE, POST, PUT, HEAD, OPTIONS, PATCH"))
    );
    let answer = anonymous(&api)
        .send(
            "GET",
            "/api/v1/web/guest/default/w.json",
            None,
            &[("accept", "image/png")],
        )
        .await;
    let text = "Resource representation is only available with these types:\napplication/json";
    assert_eq!(answer.refusal(), (406, text.into()));
}

#[tokio::test(start_paused = true)]
async fn webhooks_may_have_to_be_signed() {
    let requirement = json!({"scheme": "github", "secret": "It's a Secret to Everybody"});
    let (api, invoker) = ready(json!([{"key": "webhook-signature", "value": requirement}])).await;
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    for (body, signature, status) in [
        ("Hello, World!", signature, 200),
        ("Hello, World?", signature, 401),
        ("Hello, World!", "", 401),
    ] {
        let headers = [("x-hub-signature-256", signature), ("content-type", "text/plain")];
        let path = "/api/v1/web/guest/default/w.json";
        let answer = anonymous(&api).send("POST", path, Some(body), &headers).await;
        assert_eq!(answer.status, status);
    }
    assert_eq!(invoker.seen().len(), 1);
}

/// Slack signs the time as well, so that a request that somebody recorded is soon worth nothing.
#[tokio::test(start_paused = true)]
async fn slacks_webhooks_are_signed_with_their_time() {
    let requirement = json!({"scheme": "slack", "secret": "8f742231b10e"});
    let (api, invoker) = ready(json!([{"key": "webhook-signature", "value": requirement}])).await;
    let now = crate::app::now() / 1000;
    let sign = |secret: &str, time: u64, body: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("v0:{time}:{body}").as_bytes());
        let bytes = mac.finalize().into_bytes();
        format!(
            "v0={}",
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        )
    };
    let (body, good) = (
        "token=x&text=weather",
        sign("8f742231b10e", now, "token=x&text=weather"),
    );
    let old = now - 301;
    for (time, signature, body, status) in [
        (now, &good, body, 200),
        (now, &good, "token=x&text=whether", 401),
        (now - 1, &good, body, 401),
        (now, &sign("another", now, body), body, 401),
        (old, &sign("8f742231b10e", old, body), body, 401),
        (now, &good["v0=".len()..].to_owned(), body, 401),
    ] {
        let time = time.to_string();
        let headers = [
            ("x-slack-signature", signature.as_str()),
            ("x-slack-request-timestamp", &time),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let path = "/api/v1/web/guest/default/w.json";
        let answer = anonymous(&api).send("POST", path, Some(body), &headers).await;
        assert_eq!(answer.status, status, "{headers:?} {body}: {}", answer.text);
    }
    assert_eq!(invoker.seen().len(), 1);
}
