//! What is told of ended activations, where it is told at all.

use wsk_bus::messages::{EVENTS, Event, EventBody, read};
use wsk_containers::scripted::Reply;

use super::world::{World, config};
use crate::Config;

const MANIFEST: &str = r#"{"runtimes":{"nodejs":[{"kind":"nodejs:20","default":true,
    "image":{"prefix":"openwhisk","name":"action-nodejs-v20"}}]}}"#;

#[tokio::test(start_paused = true)]
async fn every_end_is_told_once() {
    let told = Config {
        user_events: true,
        user_metrics: 10,
        ..config()
    };
    let mut world = World::with(told, MANIFEST).await;
    let mut events = world.bus.subscribe(EVENTS, "test", 10).await.unwrap();
    let revision = world.put("hello", |_| ()).await;
    world.containers.next_run(Reply::ok(r#"{"statusCode":418}"#));
    let message = world.message("hello", &revision);
    let id = world.invoke(message).await.record.activation_id;
    let message = world.message("gone", &revision);
    world.invoke(message).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let delivery = events.next().await.unwrap();
        seen.push(read::<Event>(&delivery).unwrap());
        delivery.commit();
    }
    let EventBody::Activation(ended) = &seen[0].body else {
        panic!("an activation")
    };
    assert_eq!((&*seen[0].source, &*seen[0].user_id), ("invoker0", "uuid"));
    assert_eq!(
        (&*ended.name, ended.activation_id, ended.status_code),
        ("guest/hello", id, 0)
    );
    assert_eq!(
        (ended.user_defined_status_code, ended.memory, &*ended.kind),
        (Some(418), 256, "nodejs:20")
    );
    let page = prometheus::TextEncoder::new()
        .encode_to_string(&prometheus::gather())
        .unwrap();
    let counted = page
        .lines()
        .any(|line| line.starts_with("openwhisk_action_status_code{") && line.contains(r#"status_code="418""#));
    assert!(counted, "{page}");
    let EventBody::Activation(failed) = &seen[1].body else {
        panic!("an activation")
    };
    assert_eq!((&*failed.name, failed.status_code), ("guest/gone", 1));
}
