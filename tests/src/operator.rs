//! The operators' switch: out of service and back, without losing what was accepted.

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};
use serde_json::json;

use crate::harness::{Answer, Folder, LONG, Platform, exchange, shell};
use crate::wait;

async fn operators(platform: &Platform, method: Method, path: &str, pair: Option<&str>) -> Answer {
    // It follows the API's address by a moment.
    let url = wait::until(LONG, async || {
        let url = std::fs::read_to_string(platform.folder.path().join("operator.url")).unwrap_or_default();
        let told = url.ends_with('\n').then_some(url);
        told.ok_or_else(|| "there is no address of the operators' listener".to_owned())
    })
    .await;
    let address = url.trim().trim_start_matches("http://");
    let mut request = Request::builder().method(method).uri(path).header("host", address);
    if let Some(pair) = pair {
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        request = request.header(AUTHORIZATION, format!("Basic {encoded}"));
    }
    let request = request.body(Full::new(Bytes::new())).expect("a request");
    exchange(address, request).await.expect("an answer")
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

#[tokio::test]
async fn the_switch_refuses_new_work_and_finishes_the_rest() {
    let config = "[operator]\nlisten = \"127.0.0.1:0\"\nusername = \"ops\"\npassword = \"pw\"\n";
    let platform = Folder::with_config(config).start().await;
    // Before anything has run: a rate misses what a counter was born with.
    let metrics = told(&operators(&platform, Method::GET, "/metrics", None).await).1;
    for name in [
        "loadbalancer_activationsInflight_counter 0",
        "controller_concurrent_counter 0",
        "loadbalancer_activations_counter 0",
        "controller_activation_start 0",
        "controller_startup_counter 1",
        "controller_kafka_start 0",
        "controller_kafka_finish_count 0",
        "loadbalancer_totalCapacityManaged_counter ",
        "loadbalancer_totalCapacityBlackBox_counter ",
        "invoker_startup_counter 1",
    ] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    let limits = json!({"memory": 128});
    platform
        .put_action("quick", shell("echo '{\"ok\":true}'"), limits.clone())
        .await;
    platform
        .put_action("slow", shell("sleep 1; echo '{\"ok\":true}'"), limits)
        .await;
    let serves = async |expected: u16| {
        wait::until(LONG, async || match platform.invoke("quick", &json!({})).await.status {
            status if status == expected => Ok(()),
            status => Err(format!("{status} instead of {expected}")),
        })
        .await;
    };
    serves(200).await;
    let accepted = platform.call(Method::POST, "/actions/slow", None).await;
    let wrong = (401, "username or password are wrong.".to_owned());
    for pair in [
        None,
        Some("ops:wrong"),
        Some("ops"),
        Some("ops:pwd"),
        Some(&*platform.key()),
    ] {
        assert_eq!(told(&operators(&platform, Method::POST, "/disable", pair).await), wrong);
    }
    serves(200).await;
    let switch = async |method, path| told(&operators(&platform, method, path, Some("ops:pw")).await);
    assert_eq!(
        switch(Method::POST, "/disable").await,
        (200, "controller is disabled".to_owned())
    );
    assert_eq!(
        switch(Method::GET, "/isEnabled").await,
        (200, r#"{"enabled":false}"#.to_owned())
    );
    serves(503).await;
    assert_eq!(
        platform.record(&accepted.activation_id()).await["response"]["success"],
        true
    );
    assert_eq!(platform.call(Method::GET, "/actions/quick", None).await.status, 200);
    assert_eq!(
        switch(Method::POST, "/enable").await,
        (200, "controller is enabled".to_owned())
    );
    serves(200).await;
    assert_eq!(
        told(&operators(&platform, Method::GET, "/ready", None).await),
        (200, "ready".to_owned())
    );
    let metrics = operators(&platform, Method::GET, "/metrics", None).await;
    assert!(told(&metrics).1.contains("controller_activation"), "{metrics:?}");
}

/// Without a password there is no switch, whoever asks; and without an address there is no listener.
#[tokio::test]
async fn nobody_switches_what_has_no_password() {
    let platform = Folder::with_config("[operator]\nlisten = \"127.0.0.1:0\"\n")
        .start()
        .await;
    for pair in [None, Some("operator:"), Some(":")] {
        assert_eq!(operators(&platform, Method::POST, "/disable", pair).await.status, 401);
    }
    assert_eq!(operators(&platform, Method::GET, "/ping", None).await.status, 200);
    let plain = Platform::start().await;
    assert!(!plain.folder.path().join("operator.url").exists());
}

/// The answers of one request that asked for more, and nothing of another.
#[tokio::test]
async fn the_log_tells_one_request_through_controller_and_invoker_when_that_is_asked_for() {
    let platform = Folder::new().start().await;
    let limits = json!({"memory": 128});
    platform
        .put_action("quick", shell("echo '{\"ok\":true}'"), limits)
        .await;
    let target = "/api/v1/namespaces/_/actions/quick?blocking=true";
    let mut ids = Vec::new();
    for (transaction, extra) in [("silentone", "off"), ("toldone", "on")] {
        let key = Some(platform.authorization());
        let mut request = platform
            .request(Method::POST, target, key, Some("{}".to_owned()))
            .expect("a request");
        let headers = request.headers_mut();
        headers.insert("x-request-id", transaction.parse().expect("a header"));
        headers.insert("x-ow-extra-logging", extra.parse().expect("a header"));
        let answer = exchange(&platform.address, request).await.expect("an answer");
        ids.push(answer.activation_id());
    }
    let lines = wait::until(LONG, async || {
        let log = platform.folder.log();
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains("[#tid_toldone]"))
            .map(str::to_owned)
            .collect();
        let has = |part: &str| lines.iter().any(|line| line.contains(part) && line.contains(&ids[1]));
        let whole = has("wsk_controller::api: answered method=POST") && has("an activation ended status=");
        if whole { Ok(lines) } else { Err(log) }
    })
    .await;
    assert!(lines.iter().all(|line| !line.contains(&ids[0])), "{lines:?}");
    let log = platform.folder.log();
    assert!(!log.contains("silentone") && !log.contains(&ids[0]), "{log}");
}
