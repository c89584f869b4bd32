//! Whether an activation runs, for whoever asks.

use std::sync::Arc;
use std::time::Duration;

use wsk_bus::messages::{BEYOND, CONTROL, Control, Printed, printed_topic, read};
use wsk_bus::{Durability, Key, Message, Subscription};
use wsk_containers::scripted::{CallKind, Reply};
use wsk_entities::{ActivationId, Namespace};

use super::world::{World, config, settle};
use crate::Config;

const LONG: Duration = Duration::from_secs(20);

async fn answers(world: &World) -> Box<dyn Subscription> {
    let topic = wsk_bus::TopicConfig::broadcast(printed_topic("0"));
    world.bus.ensure_topic(&topic).await.unwrap();
    world.bus.subscribe(&topic.name, "test", 100).await.unwrap()
}

/// Asks, and gives what is answered in a while.
async fn ask(
    world: &World,
    answers: &mut Box<dyn Subscription>,
    id: ActivationId,
    namespace: &str,
) -> Option<Arc<Printed>> {
    let question = Control::Follow {
        activation_id: id,
        namespace: Namespace::new(namespace).unwrap(),
        from: BEYOND,
        controller: "0".into(),
        only_state: true,
    };
    let message = Message::local(Key::Id(id.bits()), Arc::new(question));
    world.bus.publish(CONTROL, message, Durability::Volatile).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(500), answers.next())
        .await
        .ok()??;
    let printed = read::<Printed>(&answer).unwrap();
    answer.commit();
    Some(printed)
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_told_from_what_waits() {
    for concurrency in [1, 2] {
        let cramped = Config {
            memory_mb: 256,
            ..config()
        };
        let mut world = World::with(cramped, super::world::MANIFEST).await;
        let mut heard = answers(&world).await;
        world.containers.behave(|seen| match seen.kind {
            CallKind::Init => Reply::ok("{}").after(LONG / 10),
            CallKind::Run => Reply::ok("{}").after(LONG),
        });
        let revision = world
            .put("slow", |action| {
                action.limits.timeout = 60_000;
                action.limits.concurrency = concurrency;
            })
            .await;
        let message = world.message("slow", &revision);
        let first = world.send(message).await;
        world
            .until("initialising", |world| world.containers.counts().inits == 1)
            .await;
        assert_eq!(
            ask(&world, &mut heard, first, "guest").await,
            None,
            "its code has not begun"
        );
        world
            .until("running", |world| world.containers.counts().runs == 1)
            .await;
        for _ in 0..2 {
            let answer = ask(&world, &mut heard, first, "guest").await.unwrap();
            let seen = answer.state.as_ref().unwrap();
            assert_eq!((answer.activation_id, answer.lines.len()), (first, 0));
            assert_eq!((seen.action.to_string(), seen.running), ("guest/slow".to_owned(), true));
        }
        assert_eq!(ask(&world, &mut heard, first, "other").await, None, "not theirs");
        let other = world.put("waits", |_| ()).await;
        let message = world.message("waits", &other);
        let second = world.send(message).await;
        settle().await;
        assert_eq!(
            ask(&world, &mut heard, second, "guest").await,
            None,
            "there is no memory for it"
        );
        world.record(second).await;
        assert_eq!(ask(&world, &mut heard, first, "guest").await, None, "it has ended");
        let late = tokio::time::timeout(LONG, heard.next()).await;
        assert!(late.is_err(), "a question is about now");
    }
}
