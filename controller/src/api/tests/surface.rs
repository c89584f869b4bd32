//! Documents about the platform, CORS, ids, content types.

use wsk_entities::UserLimits;

use super::{Api, code};

#[tokio::test]
async fn documents_are_there_for_everybody() {
    let api = Api::start().await;
    let client = api.client("guest");
    let info = client.get("/").await.ok();
    assert_eq!(info["limits"]["max_action_memory"], 536_870_912u64);
    assert_eq!(info["limits"]["default_min_action_duration"], 100);
    let kind = &info["runtimes"]["nodejs"][1];
    assert_eq!(kind["image"], "openwhisk/action-nodejs-v20");
    assert_eq!(
        (&kind["default"], &kind["attached"], &kind["requireMain"]),
        (&true.into(), &true.into(), &false.into())
    );
    let ping = client.get("/ping").await;
    assert_eq!(
        (ping.text.as_str(), ping.header("access-control-allow-origin")),
        ("pong", None)
    );
    assert_eq!(client.get("/api/v1/").await.ok()["api_version"], "1.0.0");
    let docs = client.get("/api/v1/docs").await;
    assert_eq!(docs.status, 308);
    assert_eq!(docs.header("location"), Some("docs/index.html?url=/api/v1/api-docs"));
}

#[tokio::test]
async fn cors_headers_are_on_what_handlers_answer() {
    let api = Api::start().await;
    let client = api.client("guest");
    for path in ["/api/v1/nope", "/api/v1/namespaces/x/actions/a%23"] {
        let answer = client.send("OPTIONS", path, None, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "OK"));
        assert_eq!(
            answer.header("access-control-allow-methods"),
            Some("GET, DELETE, POST, PUT, HEAD")
        );
    }
    let outside = client.send("OPTIONS", "/", None, &[]).await;
    assert_eq!(
        outside.header("access-control-allow-methods"),
        Some("OPTIONS, GET, POST")
    );
    let cors = |answer: super::Answer| answer.header("access-control-allow-origin").is_some();
    assert!(cors(client.get("actions/none").await), "404 of a handler");
    assert!(
        cors(client.get("/api/v1/namespaces/other/actions").await),
        "403 of a handler"
    );
    assert!(!cors(client.get("actions?limit=x").await), "400 of the query");
    assert!(
        !cors(client.send("PUT", "actions/a", Some("{"), &[]).await),
        "400 of the body"
    );
    assert!(
        cors(client.put("actions/a", serde_json::json!({})).await),
        "400 of a rule"
    );
}

#[tokio::test]
async fn targets_that_no_route_judges() {
    let api = Api::start().await;
    let client = api.client("guest");
    assert_eq!(client.get(&format!("actions/{}", "n".repeat(9000))).await.status, 414);
    assert_eq!(client.get("actions/a%zz").await.status, 400);
    assert_eq!(client.send("FOO", "/", None, &[]).await.status, 501);
    assert_eq!(
        client.get("/api/v1/namespaces/../namespaces/./_/actions").await.ok(),
        serde_json::json!([])
    );
}

#[tokio::test]
async fn content_types_and_representations() {
    let api = Api::start().await;
    let client = api.client("guest");
    let body = code().to_string();
    for (content_type, named) in [
        ("text/plain; charset=utf-8", "text/plain; charset=UTF-8"),
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
        ("Multipart/Form-Data;boundary=b", "multipart/form-data; boundary=b"),
        ("a/b; charset=utf-8; v=1", "a/b; v=1; charset=UTF-8"),
        ("bogus", "application/octet-stream"),
        ("", "application/octet-stream"),
    ] {
        let answer = client
            .send("PUT", "actions/a", Some(&body), &[("content-type", content_type)])
            .await;
        let text = format!("The request's Content-Type [{named}] is not supported. Expected:\napplication/json");
        assert_eq!(answer.refusal(), (415, text), "{content_type}");
    }
    for content_type in ["Application/JSON", "application/json; charset=utf-8"] {
        let headers = [("content-type", content_type)];
        client
            .send("PUT", "actions/a?overwrite=true", Some(&body), &headers)
            .await
            .ok();
    }
    let absent = client
        .send("PUT", "actions/a?overwrite=true", None, &[])
        .await
        .refusal();
    assert!(
        absent.0 == 400 && absent.1.starts_with("The request content was malformed:\n"),
        "{absent:?}"
    );
    let text = "Resource representation is only available with these types:\napplication/json";
    for (path, accept) in [
        ("actions/a", "text/html"),
        ("actions/none", "text/html"),
        ("actions/none", "text/*"),
    ] {
        let other = client.send("GET", path, None, &[("accept", accept)]).await;
        assert_eq!(other.refusal(), (406, text.into()), "{path} as {accept}");
    }
}

#[tokio::test]
async fn limits_show_what_applies() {
    let api = Api::start().await;
    let own = UserLimits {
        max_action_memory: Some(1024),
        min_action_memory: Some(200),
        max_parameter_size: Some("1 KB".into()),
        allowed_kinds: Some(vec!["python:3".into()]),
        invocations_per_minute: Some(7),
        ..UserLimits::default()
    };
    let client = api.limited("guest", own);
    let shown = client.get("limits").await.ok();
    assert_eq!(shown["maxActionMemory"], 512, "clipped to the system's");
    assert_eq!(shown["minActionMemory"], 200);
    assert_eq!(shown["maxParameterSize"], "1024 B");
    assert_eq!(shown["invocationsPerMinute"], 7);
    assert_eq!(shown["maxActionInstances"], shown["concurrentInvocations"]);
    assert!(shown.get("storeActivations").is_none());
    assert_eq!(client.get("limits/x").await.refusal().0, 400);

    let kind = "The supplied authentication is not authorized to access actions of kind 'nodejs:20'.";
    assert_eq!(client.put("actions/a", code()).await.refusal(), (403, kind.into()));
    let python = |extra: serde_json::Value| {
        let mut body = serde_json::json!({"exec": {"kind": "python", "code": "x"}});
        body["exec"]["kind"] = "python:default".into();
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    client.put("actions/a", python(serde_json::json!({}))).await.ok();
    let memory = client
        .put("actions/b", python(serde_json::json!({"limits": {"memory": 128}})))
        .await
        .refusal();
    assert_eq!(
        memory.1,
        "requirement failed: memory size 128 MB below allowed threshold of 200 MB"
    );
    let big = serde_json::json!({"parameters": [{"key": "a", "value": "x".repeat(1022)}]});
    let answer = client.put("actions/b", python(big)).await.refusal();
    assert_eq!(
        answer,
        (413, "parameters larger than allowed: 1025 > 1024 bytes.".into())
    );
    let instances = api.limited(
        "guest",
        UserLimits {
            concurrent_invocations: Some(5),
            ..UserLimits::default()
        },
    );
    let mut body = code();
    body["limits"] = serde_json::json!({"instances": 6});
    let text = "Max action instance concurrency must not exceed your namespace concurrency of 5.";
    assert_eq!(instances.put("actions/c", body).await.refusal(), (400, text.into()));
}

/// What a handler answers is negotiated, its errors included; what the layer before it refuses is sent as it is.
#[tokio::test]
async fn errors_of_handlers_are_negotiated_too() {
    let api = Api::start().await;
    let client = api.client("guest");
    let asked = |path: &'static str, accept: &'static str| {
        let client = client.clone();
        async move {
            client
                .send("GET", path, None, &[("accept", accept)])
                .await
                .status
                .as_u16()
        }
    };
    let web = "/api/v1/web/guest/default/none.json";
    for (path, accept, status) in [
        ("actions/none", "text/html", 406),
        ("actions/none", "text/html, application/*;q=0.1", 404),
        ("actions/none", "bogus", 404),
        ("actions?limit=x", "text/html", 400),
        ("actions/a%23", "text/html", 400),
        ("nope", "text/html", 404),
        (web, "text/html", 406),
        (web, "application/json", 404),
    ] {
        assert_eq!(asked(path, accept).await, status, "{path} for {accept}");
    }
    let answer = client
        .send("GET", "actions/none", None, &[("accept", "text/html")])
        .await;
    let text = "Resource representation is only available with these types:\napplication/json";
    assert_eq!(answer.refusal(), (406, text.into()));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_change_of_state_is_answered_whatever_is_accepted() {
    let api = Api::start().await;
    let client = api.client("guest");
    let body = r#"{"exec": {"kind": "nodejs:20", "code": "function main() {}"}}"#;
    client.send("PUT", "actions/a", Some(body), &[]).await.ok();
    client.send("PUT", "triggers/t", Some("{}"), &[]).await.ok();
    let rule = r#"{"trigger": "/_/t", "action": "/_/a"}"#;
    client.send("PUT", "rules/r", Some(rule), &[]).await.ok();
    let inactive = r#"{"status": "inactive"}"#;
    let answer = client
        .send("POST", "rules/r", Some(inactive), &[("accept", "application/json")])
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
}

#[tokio::test]
async fn a_blank_name_is_no_filter_of_activations() {
    let api = Api::start().await;
    let client = api.client("guest");
    for (name, status) in [
        ("", 200),
        ("%20", 200),
        ("+", 200),
        ("/", 400),
        ("%20a", 400),
        ("a//b", 200),
    ] {
        let answer = client.get(&format!("activations?name={name}")).await;
        assert_eq!(answer.status, status, "{name}");
    }
}

/// Letters and digits may be escaped without need, and dots do not hide behind an escape.
#[tokio::test]
async fn paths_are_routed_by_what_they_say() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("actions/a.b", code()).await.ok();
    for (path, status) in [
        ("/api/v1/n%61mespaces/%5f/%61ctions/a%2Eb", 200),
        ("/%61pi/v1/namespaces", 200),
        ("/api/v1/x/%2e%2E/namespaces", 200),
        ("/api/v1/namespaces/_/actions/a%2fb", 400),
        ("/api/v1/namespaces%2F_/actions", 404),
        ("/api%2fv1/namespaces", 405),
        ("/p%69ng", 200),
    ] {
        assert_eq!(client.get(path).await.status, status, "{path}");
    }
}
