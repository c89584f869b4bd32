//! What is told of namespaces, where it is told at all.

use super::*;
use crate::Config;
use serde_json::json;
use wsk_bus::messages::{EVENTS, Event, EventBody, Metric};

#[tokio::test(start_paused = true)]
async fn throttles_and_sequences_are_told() {
    let config = Config {
        user_events: true,
        invocations_per_minute: Some(2),
        ..Config::default()
    };
    let api = Api::configured(config).await;
    let mut events = api.app.bus.subscribe(EVENTS, "test", 10).await.unwrap();
    let _invoker = Invoker::start(&api, echo).await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("actions/s", sequence(&["/_/a"])).await.ok();
    let id = id(&client.post("actions/s?blocking=true", json!({})).await);
    client.post("actions/a?blocking=true", json!({})).await.ok();
    assert_eq!(client.post("actions/a", json!({})).await.status, 429);
    let mut told = Vec::new();
    for _ in 0..4 {
        let delivery = events.next().await.unwrap();
        let event = read::<Event>(&delivery).unwrap();
        assert_eq!((event.namespace.as_str(), &*event.source), ("guest", "controller0"));
        told.push(match &event.body {
            EventBody::Metric(figure) => format!("{:?} {}", figure.metric_name, figure.metric_value),
            EventBody::Activation(ended) => format!("{} {}", ended.name, ended.activation_id),
        });
        delivery.commit();
    }
    let count = |value: u32| format!("{:?} {value}", Metric::ConcurrentInvocations);
    let refused = format!("{:?} 1", Metric::TimedRateLimit);
    assert_eq!(told, [count(0), format!("guest/s {id}"), count(0), refused]);
}
