//! Triggers that are fired.

use super::*;
use serde_json::{Value, json};

async fn ready() -> (Api, Invoker) {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, echo).await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("actions/s", sequence(&["/_/a"])).await.ok();
    let parameters = json!({"parameters": [{"key": "p", "value": "trigger"}, {"key": "q", "value": "trigger"}]});
    client.put("triggers/t", parameters).await.ok();
    (api, invoker)
}

async fn rule(client: &Client<'_>, name: &str, action: &str) {
    client
        .put(
            &format!("rules/{name}"),
            json!({"trigger": "/_/t", "action": format!("/_/{action}")}),
        )
        .await
        .ok();
}

fn lines(record: &Value) -> Vec<Value> {
    let lines = record["logs"].as_array().unwrap();
    lines
        .iter()
        .map(|line| serde_json::from_str(line.as_str().unwrap()).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_without_an_active_rule() {
    let (api, invoker) = ready().await;
    let client = api.client("guest");
    let nothing = |answer: Answer| {
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
        assert_eq!(answer.header("x-openwhisk-activation-id"), None);
    };
    nothing(client.post("triggers/t", json!({})).await);
    rule(&client, "r", "a").await;
    client.post("rules/r", json!({"status": "inactive"})).await;
    nothing(client.post("triggers/t", json!({})).await);
    assert!(invoker.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_active_rule_runs_and_the_record_tells() {
    let (api, invoker) = ready().await;
    let client = api.client("guest");
    client.put("actions/gone", code()).await.ok();
    for (name, action) in [("r1", "a"), ("r2", "gone"), ("r3", "a"), ("r4", "s")] {
        rule(&client, name, action).await;
    }
    client.post("rules/r3", json!({"status": "inactive"})).await;
    client.delete("actions/gone").await.ok();
    let answer = client.post("triggers/t", json!({"q": "body"})).await;
    assert_eq!(answer.status, 202);
    let shown = record(&client, &id(&answer)).await;
    assert_eq!(shown["response"]["result"], json!({"q": "body"}));
    for absent in ["end", "duration"] {
        assert_eq!(shown.get(absent), None);
    }
    let lines = lines(&shown);
    let (started, sequence) = (lines[0]["activationId"].clone(), lines[3]["activationId"].clone());
    assert_eq!(
        lines,
        [
            json!({"rule": "guest/r1", "action": "guest/a", "statusCode": 0, "success": true, "activationId": started}),
            json!({"rule": "guest/r2", "action": "guest/gone", "statusCode": 1, "success": false,
                   "error": "The requested resource does not exist."}),
            json!({"rule": "guest/r3", "action": "guest/a", "statusCode": 1, "success": false,
                   "error": "Rule 'guest/r3' is inactive, action 'guest/a' was not activated."}),
            json!({"rule": "guest/r4", "action": "guest/s", "statusCode": 0, "success": true, "activationId": sequence}),
        ]
    );
    let ran = record(&client, started.as_str().unwrap()).await;
    let given = &ran["response"]["result"];
    assert_eq!(
        (given["p"].as_str(), given["q"].as_str()),
        (Some("trigger"), Some("body"))
    );
    assert_eq!(given["__ow_headers"]["authorization"], "Basic Og==");
    record(&client, sequence.as_str().unwrap()).await;
    assert_eq!(
        invoker.seen().len(),
        2,
        "the rule's action and the component of the sequence"
    );
    assert_eq!((api.app.in_flight_count(), api.app.bus.depth("owed0")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn rules_are_charged_as_invocations() {
    let (api, invoker) = ready().await;
    let client = api.limited(
        "guest",
        wsk_entities::UserLimits {
            invocations_per_minute: Some(1),
            ..Default::default()
        },
    );
    for name in ["r1", "r2"] {
        rule(&client, name, "a").await;
    }
    let answer = client.post("triggers/t", json!({})).await;
    assert_eq!(answer.status, 202);
    let lines = lines(&record(&client, &id(&answer)).await);
    assert_eq!(lines[0]["success"], true);
    assert_eq!(
        lines[1]["error"],
        "Too many requests in the last minute (count: 2, allowed: 1)."
    );
    assert_eq!(invoker.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fire_that_cannot_be_written_starts_nothing() {
    let (api, invoker) = ready().await;
    let client = api.client("guest");
    rule(&client, "r", "a").await;
    let bound = TopicConfig {
        max_messages: 0,
        ..TopicConfig::queue("owed0")
    };
    api.app.bus.ensure_topic(&bound).await.unwrap();
    let (status, _) = client.post("triggers/t", json!({})).await.refusal();
    assert_eq!((status, api.app.in_flight_count(), invoker.seen().len()), (503, 0, 0));
}

/// The others run.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_the_bus_is_refused_to_its_rule_alone() {
    let (api, invoker) = ready().await;
    let client = api.client("guest");
    let mut large = code();
    large["parameters"] = json!([{"key": "large", "value": "x".repeat(100_000)}]);
    client.put("actions/large", large).await.ok();
    for (name, action) in [("r1", "a"), ("r2", "large"), ("r3", "s")] {
        rule(&client, name, action).await;
    }
    let bound = TopicConfig {
        max_bytes: 50_000,
        ..TopicConfig::queue("invoker0")
    };
    api.app.bus.ensure_topic(&bound).await.unwrap();
    let answer = client.post("triggers/t", json!({})).await;
    assert_eq!(answer.status, 202);
    let lines = lines(&record(&client, &id(&answer)).await);
    let refused = json!({"rule": "guest/r2", "action": "guest/large", "statusCode": 1, "success": false,
                         "error": "The request content is larger than the server is willing or able to process."});
    assert_eq!(lines[1], refused);
    for line in [&lines[0], &lines[2]] {
        assert_eq!(line["success"], true);
        record(&client, line["activationId"].as_str().unwrap()).await;
    }
    assert_eq!(
        (lines.len(), invoker.seen().len(), api.app.in_flight_count()),
        (3, 2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_for_the_bus_is_stored_all_the_same() {
    let (api, invoker) = ready().await;
    let client = api.client("guest");
    rule(&client, "r", "a").await;
    let bound = TopicConfig {
        max_bytes: 10_000,
        ..TopicConfig::queue("owed0")
    };
    api.app.bus.ensure_topic(&bound).await.unwrap();
    let answer = client.post("triggers/t", json!({"large": "x".repeat(20_000)})).await;
    assert_eq!(answer.status, 202);
    assert_eq!(lines(&record(&client, &id(&answer)).await)[0]["success"], true);
    assert_eq!((invoker.seen().len(), api.app.in_flight_count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn namespaces_may_keep_no_records() {
    let (api, invoker) = ready().await;
    let client = api.limited(
        "guest",
        wsk_entities::UserLimits {
            store_activations: Some(false),
            ..Default::default()
        },
    );
    for (name, action) in [("r1", "a"), ("r2", "s")] {
        rule(&client, name, action).await;
    }
    let answer = client.post("triggers/t", json!({})).await;
    let blocking = client.post("actions/s?blocking=true", json!({})).await;
    assert_eq!((answer.status.as_u16(), blocking.status.as_u16()), (202, 200));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(invoker.seen().len(), 3);
    for answer in [answer, blocking] {
        assert_eq!(client.get(&format!("activations/{}", id(&answer))).await.status, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_may_ask_for_further_runs() {
    let api = Api::start().await;
    let runs = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let invoker = Invoker::start(&api, move |message| {
        let run = runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if run < 2 {
            Act::Answer(failure(StatusCode::DeveloperError, "no"))
        } else {
            echo(message)
        }
    })
    .await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("triggers/t", json!({})).await.ok();
    let annotations = json!([{"key": "retry", "value": {"attempts": 3, "delay": 2000}}]);
    let rule = json!({"trigger": "/_/t", "action": "/_/a", "annotations": annotations});
    client.put("rules/r", rule).await.ok();
    let began = tokio::time::Instant::now();
    let answer = client.post("triggers/t", json!({"x": 1})).await;
    let started = lines(&record(&client, &id(&answer)).await)[0]["activationId"].clone();
    let shown = record(&client, started.as_str().unwrap()).await;
    assert!(began.elapsed() >= Duration::from_secs(6));
    assert_eq!(
        (shown["response"]["success"].clone(), shown["name"].clone()),
        (json!(true), json!("a"))
    );
    assert_eq!((shown["logs"].as_array().unwrap().len(), invoker.seen().len()), (3, 3));
}
