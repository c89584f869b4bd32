//! Single activations: answers, waits, throttles, and what comes back.

use super::*;
use wsk_entities::UserLimits;

const BLOCKING: &str = "actions/a?blocking=true";

async fn ready(behaviour: impl Fn(&ActivationMessage) -> Act + Send + Sync + 'static) -> (Api, Invoker) {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, behaviour).await;
    api.client("guest").put("actions/a", code()).await.ok();
    (api, invoker)
}

#[tokio::test(start_paused = true)]
async fn a_blocking_call_is_answered_from_the_acknowledgement() {
    let (api, invoker) = ready(echo).await;
    let answer = api.client("guest").post(BLOCKING, serde_json::json!({"x": 1})).await;
    let record = answer.ok();
    assert_eq!(
        (record["response"]["result"].to_string(), record["logs"].to_string()),
        (r#"{"x":1}"#.into(), "[\"a line\"]".into())
    );
    assert_eq!(record["activationId"], id(&answer));
    let bare = api
        .client("guest")
        .post("actions/a?blocking=true&result=true", serde_json::json!({"x": 1.0}))
        .await;
    assert_eq!(bare.text, r#"{"x":1.0}"#);
    let seen = invoker.seen();
    assert_eq!((seen.len(), seen[0].blocking, seen[0].cause), (2, true, None));
    assert_eq!(api.app.in_flight_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn outcomes_have_statuses() {
    for (status, expected) in [
        (StatusCode::ApplicationError, 502),
        (StatusCode::DeveloperError, 502),
        (StatusCode::WhiskError, 500),
    ] {
        let (api, _invoker) = ready(move |_| Act::Answer(failure(status, "why"))).await;
        let answer = api.client("guest").post(BLOCKING, serde_json::json!({})).await;
        assert_eq!(answer.status, expected);
        assert_eq!(answer.json()["response"]["result"]["error"], "why");
    }
    let (api, _invoker) = ready(|_| Act::Answer(success("[1]"))).await;
    let answer = api.client("guest").post(BLOCKING, serde_json::json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (200, "[1]"),
        "an array is always bare"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_wait_is_accepted() {
    let (api, invoker) = ready(echo).await;
    let client = api.client("guest");
    let answer = client.post("actions/a?result=true", serde_json::json!({})).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json(), serde_json::json!({"activationId": id(&answer)}));
    record(&client, &id(&answer)).await;
    assert!(!invoker.seen()[0].blocking);
}

#[tokio::test(start_paused = true)]
async fn waits_end_after_a_minute_or_as_asked_and_the_action_runs_on() {
    let (api, _invoker) = ready(|_| Act::After(Duration::from_secs(90), success("{}"))).await;
    let client = api.client("guest");
    for (query, wait) in [("", 60_000), ("&timeout=1500", 1_500)] {
        let began = tokio::time::Instant::now();
        let answer = client.post(&format!("{BLOCKING}{query}"), serde_json::json!({})).await;
        assert_eq!((answer.status.as_u16(), began.elapsed().as_millis()), (202, wait));
        record(&client, &id(&answer)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_without_record_sends_to_the_store() {
    let (api, _invoker) = ready(|_| Act::Id(success(r#"{"big":true}"#))).await;
    let answer = api.client("guest").post(BLOCKING, serde_json::json!({})).await.ok();
    assert_eq!(answer["response"]["result"]["big"], true);
    assert_eq!(
        answer["logs"],
        serde_json::json!([]),
        "a record that was polled shows no logs"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_made_up_for_by_looking() {
    let (api, _invoker) = ready(|_| Act::Store(Duration::from_secs(20), success("{}"))).await;
    let began = tokio::time::Instant::now();
    let answer = api.client("guest").post(BLOCKING, serde_json::json!({})).await;
    assert_eq!((answer.status.as_u16(), began.elapsed().as_secs()), (200, 30));
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_is_freed_by_force() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let answer = api.client("guest").post("actions/a", serde_json::json!({})).await;
    assert_eq!((answer.status.as_u16(), api.app.in_flight_count()), (202, 1));
    tokio::time::sleep(Duration::from_secs(175)).await;
    assert_eq!(api.app.in_flight_count(), 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(api.app.in_flight_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_stops_nothing_and_leaves_nothing() {
    let (api, invoker) = ready(|_| Act::After(Duration::from_secs(5), success("{}"))).await;
    let client = api.client("guest");
    let call = client.post(BLOCKING, serde_json::json!({}));
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let id = invoker.seen()[0].activation_id.to_string();
    record(&client, &id).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(api.app.in_flight_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_limited_and_clears() {
    let (api, _invoker) = ready(|_| Act::After(Duration::from_secs(5), success("{}"))).await;
    let limits = UserLimits {
        concurrent_invocations: Some(2),
        ..UserLimits::default()
    };
    let client = api.limited("guest", limits);
    for _ in 0..2 {
        assert_eq!(client.post("actions/a", serde_json::json!({})).await.status, 202);
    }
    let refused = client.post("actions/none", serde_json::json!({})).await;
    let text = "Too many concurrent requests in flight (count: 2, allowed: 2).";
    assert_eq!(
        refused.refusal(),
        (429, text.into()),
        "the throttle comes before what exists"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(client.post("actions/a", serde_json::json!({})).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn rates_are_limited_by_the_clock_minute() {
    let (api, _invoker) = ready(echo).await;
    let limits = UserLimits {
        invocations_per_minute: Some(1),
        fires_per_minute: Some(0),
        ..UserLimits::default()
    };
    let client = api.limited("guest", limits);
    assert_eq!(client.post(BLOCKING, serde_json::json!({})).await.status, 200);
    let text = "Too many requests in the last minute (count: 2, allowed: 1).";
    assert_eq!(
        client.post(BLOCKING, serde_json::json!({})).await.refusal(),
        (429, text.into())
    );
    let text = "Too many requests in the last minute (count: 1, allowed: 0).";
    assert_eq!(
        client.post("triggers/none", serde_json::json!({})).await.refusal(),
        (429, text.into())
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(client.post(BLOCKING, serde_json::json!({})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn without_an_invoker_nothing_is_accepted() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    let (status, _) = client.post("actions/a", serde_json::json!({})).await.refusal();
    assert_eq!((status, api.app.in_flight_count()), (503, 0));
    let invoker = Invoker::start(&api, echo).await;
    assert_eq!(client.post("actions/a", serde_json::json!({})).await.status, 202);
    drop(invoker);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(client.post("actions/a", serde_json::json!({})).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn arguments_are_merged_and_final_ones_kept() {
    let (api, invoker) = ready(echo).await;
    let client = api.client("guest");
    let mut body = code();
    body["parameters"] = serde_json::json!([{"key": "a", "value": 1}, {"key": "i", "value": 2, "init": true}, {"key": "n", "value": null}]);
    client.put("actions/b", body.clone()).await.ok();
    let answer = client
        .post("actions/b?blocking=true&result=true", serde_json::json!({"a": 5}))
        .await;
    assert_eq!(answer.json(), serde_json::json!({"a": 5, "i": 2, "n": null}));
    assert_eq!(invoker.seen()[0].init_args, ["i"]);
    body["annotations"] = serde_json::json!([{"key": "final", "value": true}]);
    client.put("actions/b?overwrite=true", body).await.ok();
    let text = "Request defines parameters that are not allowed (e.g., reserved properties).";
    assert_eq!(
        client.post("actions/b", serde_json::json!({"a": 5})).await.refusal(),
        (400, text.into())
    );
    assert_eq!(client.post("actions/b", serde_json::json!({"n": 5})).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_freed_without_answer_sends_to_the_store() {
    let (api, _invoker) = ready(|_| Act::Free).await;
    let answer = api
        .client("guest")
        .post("actions/a?blocking=true&timeout=30000", serde_json::json!({}))
        .await;
    assert_eq!((answer.status.as_u16(), api.app.in_flight_count()), (202, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_shows_on_request_to_its_owner_alone() {
    let (api, _invoker) = ready(|_| Act::After(Duration::from_secs(5), success("{}"))).await;
    let client = api.client("guest");
    client.put("actions/s", sequence(&["/_/a"])).await.ok();
    for (action, state) in [("a", "pending"), ("s", "running")] {
        let answer = client.post(&format!("actions/{action}"), serde_json::json!({})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let path = format!("activations/{}", id(&answer));
        assert_eq!(client.get(&path).await.status, 404);
        let shown = client.get(&format!("{path}?pending=true")).await.ok();
        let path_of_action = format!("guest/{action}");
        let expected = serde_json::json!({"activationId": id(&answer), "namespace": "guest", "name": action,
                                          "path": path_of_action, "state": state});
        assert_eq!(shown, expected);
        assert_eq!(
            api.client("other-ns").get(&format!("{path}?pending=true")).await.status,
            404
        );
        let record = record(&client, &id(&answer)).await;
        assert_eq!(client.get(&format!("{path}?pending=true")).await.ok(), record);
    }
}
