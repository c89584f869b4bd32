//! What is answered and kept while the store of records is away, or refuses one.

use super::*;
use crate::app::{Caller, Told};
use serde_json::json;
use wsk_bus::Subscription;
use wsk_bus::messages::{CONTROL, Control, Printed, printed_topic};
use wsk_entities::{ActivationId, Namespace, TransactionId, UserLimits};
use wsk_store::Faulty;

const NOBODYS: &str = "00000000000000000000000000000001";

/// Somebody to whom 503 is owed, when the store goes away after it was asked once.
async fn told_once_the_store_is_away(api: &Api, records: &Faulty, method: &str, path: &str) -> Answer {
    let mut orders = orders(api).await;
    let (client, path) = (api.client("guest"), format!("activations/{path}"));
    let asks = client.send(method, &path, None, &[("accept", "text/event-stream")]);
    let goes = async {
        orders.next().await.unwrap().commit();
        records.go_away(true);
    };
    let (told, ()) = tokio::join!(asks, goes);
    records.go_away(false);
    told
}

async fn orders(api: &Api) -> Box<dyn Subscription> {
    api.app.bus.subscribe(CONTROL, "test", 1000).await.unwrap()
}

/// A promise is not done with before something says what became of it.
#[tokio::test(start_paused = true)]
async fn a_record_that_the_store_refuses_says_so() {
    let (api, records) = Api::with_faulty_records().await;
    records.refuse("monstrous");
    let _invoker = Invoker::start(&api, |_| Act::Answer(success("{}"))).await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("triggers/t", json!({})).await.ok();
    client
        .put("rules/r", json!({"trigger": "/_/t", "action": "/_/a"}))
        .await
        .ok();
    let fired = id(&client.post("triggers/t", json!({"monstrous": 1})).await);
    let said = record(&client, &fired).await;
    assert_eq!((&said["name"], &said["logs"]), (&json!("t"), &json!([])));
    let text = said["response"]["result"]["error"].as_str().unwrap();
    assert!(
        text.contains("could not be stored") && text.contains("refused by a test"),
        "{text}"
    );
    while api.app.bus.depth("owed0") > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Nobody is told that there is nothing by a controller that could not look.
#[tokio::test(start_paused = true)]
async fn what_the_store_does_not_say_is_not_said_to_be_missing() {
    let (api, records) = Api::with_faulty_records().await;
    for (method, path) in [
        ("DELETE", NOBODYS.to_owned()),
        ("GET", format!("{NOBODYS}/logs?follow=true")),
    ] {
        let told = told_once_the_store_is_away(&api, &records, method, &path).await;
        assert_eq!(told.status, 503, "{method}: {}", told.text);
        let path = format!("activations/{path}");
        let client = api.client("guest");
        let told = client.send(method, &path, None, &[("accept", "text/event-stream")]);
        assert_eq!(told.await.status, 404, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_cancelled_though_the_store_is_away() {
    let (api, records) = Api::with_faulty_records().await;
    let _invoker = Invoker::start(&api, |_| Act::Ignore).await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    let id = id(&client.post("actions/a", json!({})).await);
    records.go_away(true);
    let told = client.send("DELETE", &format!("activations/{id}"), None, &[]).await;
    assert_eq!(told.status, 202, "{}", told.text);
    records.go_away(false);
    let record = record(&client, &id).await;
    assert_eq!(record["response"]["result"]["error"], "The activation was cancelled.");
}

/// That an activation has ended and left nothing behind is for the store to say.
#[tokio::test(start_paused = true)]
async fn a_follower_waits_for_a_store_that_is_away() {
    let (api, records) = Api::with_faulty_records().await;
    let (id, namespace): (ActivationId, _) = (NOBODYS.parse().unwrap(), Namespace::new("guest").unwrap());
    let caller = Caller {
        identity: super::super::identity("guest", UserLimits::default()),
        transid: TransactionId::new("t".to_owned(), 0),
    };
    let mut orders = orders(&api).await;
    let prints = async {
        let order = orders.next().await.unwrap();
        assert!(matches!(&*read::<Control>(&order).unwrap(), Control::Follow { .. }));
        let printed = Printed {
            activation_id: id,
            namespace: None,
            first: 0,
            lines: vec!["a line".to_owned()],
            state: None,
        };
        let message = Message::local(Key::Id(id.bits()), Arc::new(printed));
        let topic = printed_topic(&api.app.config.id);
        api.app
            .bus
            .publish(&topic, message, Durability::Volatile)
            .await
            .unwrap();
    };
    let (follower, ()) = tokio::join!(api.app.follow(&caller, &namespace, id, 0), prints);
    let mut follower = follower.unwrap();
    assert!(matches!(follower.next().await, Some(Told::Line { number: 1, .. })));
    records.go_away(true);
    for _ in 0..3 {
        assert!(matches!(follower.next().await, Some(Told::Quiet)));
    }
    records.go_away(false);
    assert!(matches!(follower.next().await, Some(Told::Lost)));
    assert!(follower.next().await.is_none());
}
