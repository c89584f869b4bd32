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

async fn answers(world: &World, controller: &str) -> Box<dyn Subscription> {
    let topic = wsk_bus::TopicConfig::broadcast(printed_topic(controller));
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
    put(world, id, namespace, "0").await;
    hear(answers).await
}

/// Puts the question of a controller.
async fn put(world: &World, id: ActivationId, namespace: &str, controller: &str) {
    let question = Control::Follow {
        activation_id: id,
        namespace: Namespace::new(namespace).unwrap(),
        from: BEYOND,
        controller: controller.into(),
        only_state: true,
    };
    let message = Message::local(Key::Id(id.bits()), Arc::new(question));
    world.bus.publish(CONTROL, message, Durability::Volatile).await.unwrap();
}

async fn hear(answers: &mut Box<dyn Subscription>) -> Option<Arc<Printed>> {
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
        let mut heard = answers(&world, "0").await;
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

#[tokio::test(start_paused = true)]
async fn all_who_ask_at_once_are_answered() {
    let mut world = World::new().await;
    let (mut first, mut second) = (answers(&world, "0").await, answers(&world, "1").await);
    world
        .containers
        .behave(|seen| Reply::ok("{}").after(if seen.kind == CallKind::Init { LONG / 100 } else { LONG }));
    let revision = world.put("slow", |action| action.limits.timeout = 60_000).await;
    let message = world.message("slow", &revision);
    let id = world.send(message).await;
    world
        .until("initialising", |world| world.containers.counts().inits == 1)
        .await;
    // Its code begins within the moment that a question is worth: both are answered by then, each once.
    for controller in ["0", "1", "0"] {
        put(&world, id, "guest", controller).await;
    }
    for answers in [&mut first, &mut second] {
        let answer = hear(answers).await.expect("who asked is answered");
        assert!(answer.activation_id == id && answer.state.as_ref().unwrap().running);
        assert!(hear(answers).await.is_none(), "once");
    }
    world.record(id).await;
    world.clean();
}
