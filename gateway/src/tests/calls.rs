//! Calls of APIs that lead to this platform.

use super::*;

#[tokio::test]
async fn a_call_reaches_the_action() {
    let edge = start().await;
    edge.create("/club", "/books/{isbn}", "GET", "getBooks", "http")
        .await
        .json();
    let target = format!("/api/{ALICE}/club/books/1%2F2/?q=1&q=2");
    let headers = [
        ("x-request-id", "mine"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("x-kept", "1"),
        ("x-forwarded-for", "6.6.6.6"),
        ("authorization", &key_of(BOB)),
    ];
    let answer = edge.send("GET", &target, &headers, "").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["x-request-id"]),
        (200, &"mine".parse().unwrap())
    );
    let told = answer.json();
    assert_eq!(
        told["target"],
        "/api/v1/web/alice/default/getBooks.http/club/books/1%2F2/?q=1&q=2"
    );
    assert_eq!((&told["method"], &told["caller"]), (&json!("GET"), &json!("bob")));
    let got = &told["headers"];
    let host = edge.address.to_string();
    for (name, value) in [
        ("x-request-id", "mine".to_owned()),
        ("x-kept", "1".to_owned()),
        ("x-forwarded-for", "127.0.0.1".to_owned()),
        ("x-forwarded-proto", "http".to_owned()),
        ("x-forwarded-host", host.clone()),
        ("x-forwarded-url", format!("http://{host}{target}")),
    ] {
        assert_eq!(got[name], value, "{name}");
    }
    assert!(got.get("x-hop").is_none() && got.get("connection").is_none() && got.get("via").is_none());
}

#[tokio::test]
async fn response_types_are_extensions() {
    let edge = start().await;
    edge.create("/", "/openweather", "POST", "openweather", "json")
        .await
        .json();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = edge
        .send(
            "POST",
            &format!("/api/{ALICE}/openweather"),
            &form,
            "text=weather+Athens",
        )
        .await
        .json();
    assert_eq!(answer["target"], "/api/v1/web/alice/default/openweather.json");
    assert_eq!(
        (&answer["body"], &answer["headers"]["content-type"]),
        (&json!("text=weather+Athens"), &json!(form[0].1))
    );
    let by_get = edge.get(&format!("/api/{ALICE}/openweather")).await;
    assert_eq!(
        by_get.text(),
        r#"{"status":404,"message":"Error: Whoops. Verb not supported."}"#
    );
    assert_eq!(by_get.status, 404);
    // A route takes what is below it too.
    let below = edge
        .send("POST", &format!("/api/{ALICE}/openweather/more"), &[], "")
        .await;
    assert_eq!(below.status, 200);
}

#[tokio::test]
async fn a_secret_goes_with_the_call_whatever_the_caller_says() {
    let edge = start().await;
    let mut secured = route(&edge.address.to_string(), "/s", "/x", "get", "a");
    secured["apidoc"]["action"]["secureKey"] = json!("s3cret");
    edge.manage("POST", "createApi", ALICE, &secured).await.json();
    let headers = [("x-require-whisk-auth", "forged")];
    let told = edge
        .send("GET", &format!("/api/{ALICE}/s/x"), &headers, "")
        .await
        .json();
    assert_eq!(told["headers"]["x-require-whisk-auth"], "s3cret");
}

#[tokio::test]
async fn a_verb_may_be_rewritten() {
    let edge = start().await;
    let mut document = leading_to(
        "/v",
        &format!("http://{}/api/v1/web/alice/default/a.http", edge.address),
    );
    document["x-gateway-configuration"]["assembly"]["execute"][0]["invoke"]["verb"] = json!("put");
    edge.import(&document).await;
    let told = edge
        .send("POST", &format!("/api/{ALICE}/v/p"), &[], "body")
        .await
        .json();
    assert_eq!((&told["method"], &told["body"]), (&json!("PUT"), &json!("body")));
}

#[tokio::test]
async fn who_is_not_there_is_not_told_apart() {
    let edge = start().await;
    edge.create("/club", "/x", "get", "a", "json").await.json();
    let not_found = r#"{"status":404,"message":"Error: Not found."}"#;
    for target in [
        format!("/api/{ALICE}/club"),
        format!("/api/{ALICE}/club/y"),
        format!("/api/{ALICE}"),
        format!("/api/{BOB}/club/x"),
        "/api/nobody/club/x".to_owned(),
        format!("/api/{ALICE}/club/x/../../other"),
        format!("/api/{ALICE}/../../../club/y"),
    ] {
        let answer = edge.get(&target).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (404, not_found), "{target}");
        assert_eq!(answer.headers.get("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn nothing_climbs_out_of_a_target() {
    let edge = start().await;
    edge.create("/club", "/{x}", "get", "a", "http").await.json();
    for (path, expected) in [
        ("club/b/../../v1/club/c", None),
        ("club/b/%2e%2e/c", Some("/club/c")),
        ("club/b/%2E./%2e./club/c/..%2f..", Some("/club/c/..%2f..")),
    ] {
        let answer = edge.get(&format!("/api/{ALICE}/{path}")).await;
        let told = (answer.status == 200).then(|| answer.json()["target"].as_str().unwrap().to_owned());
        let expected = expected.map(|path| format!("/api/v1/web/alice/default/a.http{path}"));
        assert_eq!(told, expected, "{path}");
    }
}

#[tokio::test]
async fn a_route_is_seen_at_once_and_after_a_restart() {
    let data = Data::new().await;
    let (one, other) = (data.serve(Config::default()).await, data.serve(Config::default()).await);
    let target = format!("/api/{ALICE}/club/x");
    assert_eq!(other.get(&target).await.status, 404);
    assert_eq!(one.get(&target).await.status, 404);
    one.create("/club", "/x", "get", "a", "json").await.json();
    assert_eq!(one.get(&target).await.status, 200, "at once where it was made");
    let start = std::time::Instant::now();
    while other.get(&target).await.status != 200 {
        assert!(start.elapsed().as_secs() < 30, "another gateway does not see it");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop((one, other));
    let again = data.serve(Config::default()).await;
    // Its target names the former gateway's port, which was ours when the route was made.
    assert_eq!(again.get(&target).await.status, 200);
    again
        .manage("DELETE", "deleteApi?basepath=/club", ALICE, &Value::Null)
        .await
        .json();
    assert_eq!(again.get(&target).await.status, 404, "gone at once too");
}

#[tokio::test]
async fn the_name_that_the_owner_used_is_the_platforms() {
    let edge = start().await;
    let host = [("host", "functions.example.org"), ("authorization", &*key_of(ALICE))];
    let body = route("functions.example.org", "/h", "/x", "get", "a").to_string();
    let target = "/api/v1/web/whisk.system/apimgmt/createApi.http";
    let made = edge.send("POST", target, &host, body).await.json();
    assert_eq!(made["gwApiUrl"], format!("http://functions.example.org/api/{ALICE}/h"));
    assert_eq!(edge.get(&format!("/api/{ALICE}/h/x")).await.status, 200);
}

#[tokio::test]
async fn a_route_cannot_lead_back_to_a_route() {
    let edge = start().await;
    edge.import(&leading_to("/l", &format!("http://{}/api/{ALICE}/l/p", edge.address)))
        .await;
    let answer = edge.get(&format!("/api/{ALICE}/l/p")).await;
    assert_eq!(answer.status, 508);
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let oops = format!(r#"{{"code":"{id}","message":"Oops. Something went wrong. Check your URI and try again."}}"#);
    assert_eq!(answer.text(), oops);
    // Under a name that is not known to be ours it goes round a few times.
    let passes = "1.1 ferrowhisk, 1.1 ferrowhisk, 1.1 ferrowhisk, 1.1 ferrowhisk";
    let answer = edge
        .send("GET", &format!("/api/{ALICE}/l/p"), &[("via", passes)], "")
        .await;
    assert_eq!(answer.status, 508);
}

#[tokio::test]
async fn an_action_that_does_not_answer_is_given_up() {
    let data = Data::new().await;
    let mut config = Config::default();
    config.apis.backend_timeout = wsk_service::config::Duration::from_millis(50);
    let edge = data.serve(config).await;
    edge.create("/a", "/x", "get", "slow", "json").await.json();
    let answer = edge.get(&format!("/api/{ALICE}/a/x")).await;
    assert_eq!(answer.status, 504);
    assert!(answer.json()["message"].as_str().unwrap().starts_with("Oops."));
}

#[tokio::test]
async fn other_paths_are_the_controllers() {
    let edge = start().await;
    for path in [
        "/api/v1/namespaces/_/actions/a",
        "/",
        "/ping",
        "/api/v1/web/whisk.system/apimgmt/other",
        "/v2",
        "/api",
    ] {
        assert_eq!(edge.get(path).await.json()["target"], path);
    }
    let preflight = edge
        .send("OPTIONS", "/api/v1/web/whisk.system/apimgmt/getApi.http", &[], "")
        .await;
    assert_eq!((preflight.status.as_u16(), preflight.text()), (200, ""));
}
