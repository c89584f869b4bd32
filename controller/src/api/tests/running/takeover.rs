//! What becomes of the work of controllers and invokers that die and stay away.

use super::*;
use crate::Config;
use crate::api::tests::{MANIFEST, new_bus};
use serde_json::json;
use wsk_entities::ActivationId;

/// A controller that takes over, another one that does not, and an invoker.
async fn two(behaviour: impl Fn(&ActivationMessage) -> Act + Send + Sync + 'static) -> (Api, Api, Invoker) {
    let taking_over = Config {
        takeover_after_ms: Some(20_000),
        ..Config::default()
    };
    let other = Config {
        id: "1".into(),
        ..Config::default()
    };
    let survivor = Api::made(MANIFEST, None, taking_over, new_bus()).await;
    let doomed = Api::made(MANIFEST, Some(&survivor), other, survivor.app.bus.clone()).await;
    let invoker = Invoker::start(&survivor, behaviour).await;
    until(|| !doomed.app.invokers().is_empty()).await;
    let client = survivor.client("guest");
    for name in ["a", "b"] {
        client.put(&format!("actions/{name}"), code()).await.ok();
    }
    client.put("actions/s", sequence(&["/_/a", "/_/b"])).await.ok();
    (survivor, doomed, invoker)
}

async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came about");
}

/// The component that was under way when its controller died is waited for, not run again.
#[tokio::test(start_paused = true)]
async fn a_sequence_goes_on_where_it_was() {
    let slowly = |message: &ActivationMessage| match message.action.name.as_str() {
        "a" => Act::Answer(success(r#"{"from":"a"}"#)),
        _ => Act::Store(Duration::from_secs(30), success(r#"{"from":"b"}"#)),
    };
    let (survivor, doomed, invoker) = two(slowly).await;
    let answer = doomed.client("guest").post("actions/s", json!({})).await;
    assert_eq!(answer.status, 202);
    until(|| invoker.seen().len() == 2).await;
    drop(doomed);
    let shown = record(&survivor.client("guest"), &id(&answer)).await;
    assert_eq!(shown["response"]["result"], json!({"from": "b"}));
    assert_eq!(shown["logs"].as_array().unwrap().len(), 2);
    assert_eq!(invoker.seen().len(), 2);
    until(|| survivor.app.bus.depth("owed1") == 0 && survivor.app.bus.depth("owed0") == 0).await;
}

/// Accepted, and its controller dies before it has looked at it.
#[tokio::test(start_paused = true)]
async fn what_was_cancelled_does_not_go_on_elsewhere() {
    let (survivor, doomed, invoker) = two(|_| Act::Store(Duration::from_secs(60), success("{}"))).await;
    let answer = doomed.client("guest").post("actions/s", json!({})).await;
    let id = id(&answer);
    until(|| invoker.seen().len() == 1).await;
    let path = format!("/api/v1/namespaces/_/activations/{id}");
    let cancelled = doomed.client("guest").send("DELETE", &path, None, &[]).await;
    assert_eq!(cancelled.status, 202);
    drop(doomed);
    let shown = record(&survivor.client("guest"), &id).await;
    let annotations = shown["annotations"].as_array().unwrap();
    assert!(
        annotations.contains(&json!({"key": "cancelled", "value": true})),
        "{shown}"
    );
    assert_eq!(invoker.seen().len(), 1);
}

/// What its invoker may have begun counts as redelivered where it goes, what came after that one had left does not.
#[tokio::test(start_paused = true)]
async fn what_a_dead_invoker_left_runs_elsewhere() {
    let (survivor, _doomed, invoker) = two(echo).await;
    let client = survivor.client("guest");
    client.post("actions/a?blocking=true", json!({"x": 1})).await.ok();
    let first = invoker.seen().remove(0);
    let bus = &survivor.app.bus;
    bus.ensure_topic(&TopicConfig::queue("invoker7")).await.unwrap();
    for number in 1..=3 {
        let message = ActivationMessage {
            activation_id: ActivationId::from_bits(number),
            ..(*first).clone()
        };
        let message = Message::local(Key::Id(number), Arc::new(message));
        bus.publish("invoker7", message, Durability::Durable).await.unwrap();
    }
    let mut owner = bus.subscribe("invoker7", "invoker7", 1).await.unwrap();
    let held = owner.next().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(invoker.seen().len(), 1, "its owner is there");
    drop((held, owner));
    for number in 1..=3 {
        let id = ActivationId::from_bits(number).to_string();
        assert_eq!(record(&client, &id).await["response"]["success"], json!(true));
    }
    let again = invoker.redelivered();
    assert_eq!(again.iter().filter(|again| **again).count(), 1, "{again:?}");
    assert_eq!((again.len(), bus.depth("invoker7")), (4, 0));
}

/// It has grown on its way, by where it was in vain.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_to_be_placed_anew_is_answered() {
    let (survivor, _other, invoker) = two(echo).await;
    let client = survivor.client("guest");
    client.post("actions/a?blocking=true", json!({})).await.ok();
    let first = invoker.seen().remove(0);
    let bus = &survivor.app.bus;
    let bound = TopicConfig {
        max_bytes: 50_000,
        ..TopicConfig::queue("invoker0")
    };
    bus.ensure_topic(&bound).await.unwrap();
    let id = ActivationId::from_bits(1);
    let large = ActivationMessage {
        activation_id: id,
        content: Some(Json::from(&*"x".repeat(100_000))),
        ..(*first).clone()
    };
    let large = Message::local(Key::Id(1), Arc::new(large));
    bus.publish("elsewhere", large, Durability::Durable).await.unwrap();
    record(&client, &id.to_string()).await;
    let seen = invoker.seen();
    let detour = seen[1].detour.as_deref().unwrap();
    assert!(
        detour.last && detour.why.as_ref().unwrap().contains("larger than"),
        "{detour:?}"
    );
    assert_eq!((seen.len(), bus.depth("elsewhere")), (2, 0));
}
