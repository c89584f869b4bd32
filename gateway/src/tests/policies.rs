//! Keys, rate limits and cross-origin headers on real calls.

use super::*;

/// Imports a description with `change` applied; gives its id.
async fn imported(edge: &Edge, change: impl FnOnce(&mut Value)) -> String {
    let mut document = leading_to(
        "/a",
        &format!("http://{}/api/v1/web/alice/default/a.json", edge.address),
    );
    change(&mut document);
    edge.import(&document).await;
    let listed = edge
        .send(
            "GET",
            &format!("/v2/{ALICE}/apis"),
            &[("authorization", &key_of(ALICE))],
            "",
        )
        .await;
    listed.json()[0]["artifact_id"].as_str().unwrap().to_owned()
}

async fn call(edge: &Edge, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = edge.send("GET", &format!("/api/{ALICE}/a/p"), headers, "").await;
    (
        answer.status.as_u16(),
        answer.json()["message"].as_str().unwrap_or_default().to_owned(),
    )
}

async fn subscribe(edge: &Edge, body: Value) {
    let target = format!("/v2/{ALICE}/subscriptions");
    let answer = edge
        .send("POST", &target, &[("authorization", &key_of(ALICE))], body.to_string())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn keys_and_secrets() {
    let edge = start().await;
    let id = imported(&edge, |document| {
        document["securityDefinitions"] =
            json!({"client_id": {"type": "apiKey", "in": "header", "name": "X-Client-ID"}});
    })
    .await;
    assert_eq!(call(&edge, &[]).await, (401, "Error: X-Client-ID required".into()));
    assert_eq!(
        call(&edge, &[("x-client-id", "c")]).await,
        (401, "Error: Unauthorized".into())
    );
    subscribe(
        &edge,
        json!({"artifact_id": id, "client_id": "c", "client_secret": "s"}),
    )
    .await;
    assert_eq!(
        call(&edge, &[("x-client-id", "c")]).await.0,
        200,
        "a subscription counts at once"
    );
    let kept = imported(&edge, |document| {
        document["securityDefinitions"] = json!({"client_id": {"type": "apiKey"}, "client_secret": {"type": "apiKey"}});
    })
    .await;
    assert_eq!(kept, id, "an API keeps its id");
    let mismatch = "Error: Secret mismatch or not subscribed to this api.";
    assert_eq!(
        call(&edge, &[("x-client-id", "c")]).await,
        (401, "Error: X-Client-Secret required".into())
    );
    assert_eq!(
        call(&edge, &[("x-client-id", "c"), ("x-client-secret", "no")]).await,
        (401, mismatch.into())
    );
    let answer = edge
        .send(
            "GET",
            &format!("/api/{ALICE}/a/p"),
            &[("x-client-id", "c"), ("x-client-secret", "s")],
            "",
        )
        .await;
    assert_eq!(
        answer.json()["headers"].get("x-client-secret"),
        None,
        "the secret stays here"
    );
    let gone = format!("/v2/{ALICE}/subscriptions/c?artifact_id={id}");
    edge.send("DELETE", &gone, &[("authorization", &key_of(ALICE))], "")
        .await;
    assert_eq!(
        call(&edge, &[("x-client-id", "c"), ("x-client-secret", "s")]).await,
        (401, mismatch.into())
    );
}

#[tokio::test]
async fn rates_are_per_subscription() {
    let edge = start().await;
    let id = imported(&edge, |document| {
        document["securityDefinitions"] = json!({"k": {"type": "apiKey"}});
        document["x-gateway-rate-limit"] = json!([{"unit": "day", "units": 1, "rate": 2}]);
    })
    .await;
    for client in ["c", "d"] {
        subscribe(&edge, json!({"artifact_id": id, "client_id": client})).await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(call(&edge, &[("x-client-id", client)]).await);
        }
        assert_eq!(
            seen.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
            [200, 200, 429]
        );
        assert_eq!(seen[2].1, "Error: Rate limit exceeded");
    }
    assert_eq!(call(&edge, &[]).await.0, 401, "a key is judged first");
}

#[tokio::test]
async fn cross_origin_requests() {
    for (enabled, origin, preflight) in [
        (json!(true), Some("http://o"), 200),
        (json!(false), None, 404),
        (Value::Null, Some("action"), 404),
    ] {
        let edge = start().await;
        imported(&edge, |document| {
            document["x-gateway-configuration"]["cors"] = json!({ "enabled": enabled });
            document["securityDefinitions"] = json!({"k": {"type": "apiKey"}});
        })
        .await;
        let target = format!("/api/{ALICE}/a/p");
        let headers = [("origin", "http://o"), ("access-control-request-headers", "x-key")];
        let answer = edge.send("OPTIONS", &target, &headers, "").await;
        assert_eq!(answer.status.as_u16(), preflight, "{enabled}: a preflight shows no key");
        if preflight == 200 {
            assert_eq!(answer.headers["access-control-allow-headers"], "x-key");
            assert_eq!(answer.headers["access-control-allow-methods"], "GET, POST");
        }
        let listed = edge
            .send(
                "GET",
                &format!("/v2/{ALICE}/apis"),
                &[("authorization", &key_of(ALICE))],
                "",
            )
            .await
            .json();
        subscribe(
            &edge,
            json!({"artifact_id": listed[0]["artifact_id"], "client_id": "c"}),
        )
        .await;
        let answer = edge
            .send("GET", &target, &[("origin", "http://o"), ("x-client-id", "c")], "")
            .await;
        let shown = answer
            .headers
            .get("access-control-allow-origin")
            .map(|v| v.to_str().unwrap());
        assert_eq!(shown, origin, "{enabled}");
    }
}

#[tokio::test]
async fn forwarding_headers_count_from_configured_proxies() {
    let data = Data::new().await;
    let config = Config {
        trusted_proxies: vec!["127.0.0.0/8".to_owned()],
        ..Config::default()
    };
    let edge = data.serve(config).await;
    edge.create("/a", "/p", "get", "a", "json").await.json();
    let headers = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "api.example.org"),
    ];
    let told = edge
        .send("GET", &format!("/api/{ALICE}/a/p"), &headers, "")
        .await
        .json();
    assert_eq!(told["headers"]["x-forwarded-for"], "6.6.6.6, 127.0.0.1");
    assert_eq!(
        told["headers"]["x-forwarded-url"],
        format!("https://api.example.org/api/{ALICE}/a/p")
    );
    let mut headers = headers.to_vec();
    let key = key_of(ALICE);
    headers.push(("authorization", &key));
    let listed = edge
        .send("GET", "/api/v1/web/whisk.system/apimgmt/getApi", &headers, "")
        .await
        .json();
    assert_eq!(
        listed["apis"][0]["value"]["gwApiUrl"],
        format!("https://api.example.org/api/{ALICE}/a")
    );
    assert!(crate::client::Proxies::new(&["proxy".to_owned()]).is_err());
}
