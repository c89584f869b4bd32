//! Exactly one record per accepted activation, whatever dies.

use std::sync::atomic::Ordering;
use std::time::Duration;

use wsk_bus::messages::{Acknowledgement, Completed};
use wsk_containers::scripted::Reply;
use wsk_entities::Json;

use super::world::{World, settle};

#[tokio::test(start_paused = true)]
async fn an_invoker_that_dies_in_mid_run_leaves_the_activation_to_the_next() {
    let mut world = World::new().await;
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_millis(800)));
    let revision = world.put("hello", |_| ()).await;
    let message = world.message("hello", &revision);
    let id = world.send(message).await;
    world
        .until("running", |world| world.containers.counts().runs == 1)
        .await;
    world.kill().await;
    assert!(!world.has_record(id).await);
    world.start().await;
    let seen = world.record(id).await;
    assert_eq!(
        (seen.status(), seen.acks.len(), world.containers.counts().runs),
        (0, 1, 2)
    );
    assert_eq!(world.records.written.load(Ordering::SeqCst), 1);
    settle().await;
    assert_eq!((world.bus.depth("invoker0"), world.invoker().open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn at_most_once_means_an_error_instead_of_a_second_run() {
    let mut world = World::new().await;
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_millis(800)));
    let revision = world
        .put("once", |a| a.annotations.set("max-attempts", Json::parse("1").unwrap()))
        .await;
    let message = world.message("once", &revision);
    let id = world.send(message).await;
    world
        .until("running", |world| world.containers.counts().runs == 1)
        .await;
    world.kill().await;
    world.start().await;
    let seen = world.record(id).await;
    assert_eq!((seen.status(), world.containers.counts().runs), (3, 1));
    assert!(seen.error().contains("max-attempts allows 1"), "{}", seen.error());
}

#[tokio::test(start_paused = true)]
async fn a_recorded_activation_is_answered_and_not_run() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    let message = world.message("hello", &revision);
    let seen = world.invoke(message.clone()).await;
    // Redelivery without a commit: the message comes twice from a bus that lost it.
    world.kill().await;
    world.send(message.clone()).await;
    let mut thief = world.bus.subscribe("invoker0", "invoker0", 1).await.unwrap();
    drop(thief.next().await.unwrap());
    drop(thief);
    world.start().await;
    settle().await;
    let again = world.record(message.activation_id).await;
    assert_eq!(again.record, seen.record);
    assert_eq!(world.containers.counts().runs, 1);
    let last = again.acks.last().unwrap();
    assert!(
        matches!(
            &**last,
            Acknowledgement::Combined {
                response: Completed::Id(_),
                ..
            }
        ),
        "{last:?}"
    );
    assert_eq!(world.invoker().open(), 0);
}

/// The readers of its topic are agreed on anew, and it gets what it has in hand a second time.
#[tokio::test(start_paused = true)]
async fn what_comes_again_while_it_runs_waits_for_its_record() {
    let mut world = World::new().await;
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_millis(800)));
    let revision = world
        .put("once", |a| a.annotations.set("max-attempts", Json::parse("1").unwrap()))
        .await;
    let message = world.message("once", &revision);
    let id = world.send(message.clone()).await;
    world
        .until("running", |world| world.containers.counts().runs == 1)
        .await;
    world.send(message).await;
    world.until("both here", |world| world.invoker().open() == 2).await;
    let seen = world.record(id).await;
    assert_eq!((seen.status(), world.containers.counts().runs), (0, 1));
    world.until("both done", |world| world.invoker().open() == 0).await;
    assert_eq!(world.containers.counts().runs, 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_delays_records_and_loses_none() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    world.records.go_away(true);
    let mut ids = Vec::new();
    for _ in 0..50 {
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.invoker().open(), 50);
    // Callers were answered all the same.
    assert_eq!(world.gather().await.len(), 50);
    world.records.go_away(false);
    for id in ids {
        world.record(id).await;
    }
    assert_eq!(world.records.written.load(Ordering::SeqCst), 50);
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_stops_the_intake() {
    let config = crate::Config {
        max_in_flight: 8,
        record_queue: 2,
        ..super::world::config()
    };
    let mut world = World::with(config, super::world::MANIFEST).await;
    let revision = world.put("hello", |_| ()).await;
    world.records.go_away(true);
    let mut ids = Vec::new();
    for _ in 0..40 {
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((world.invoker().open(), world.bus.depth("invoker0")), (8, 32));
    world.records.go_away(false);
    for id in ids {
        world.record(id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn records_are_written_in_groups_and_a_lone_one_at_once() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    let message = world.message("hello", &revision);
    let began = tokio::time::Instant::now();
    world.send(message).await;
    world
        .until("written", |world| world.records.written.load(Ordering::SeqCst) == 1)
        .await;
    assert!(began.elapsed() < Duration::from_millis(10));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for id in ids {
        world.record(id).await;
    }
    let writes = world.records.writes.load(Ordering::SeqCst) - 1;
    assert!(writes <= 4, "{writes}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_a_container_and_nothing_else() {
    let mut world = World::new().await;
    let panics = std::sync::atomic::AtomicUsize::new(0);
    world.containers.behave(move |seen| {
        // The first /init, then the first /run.
        let calls = panics.fetch_add(1, Ordering::SeqCst);
        if calls == 0 || (calls == 2 && seen.kind == wsk_containers::scripted::CallKind::Run) {
            std::panic::resume_unwind(Box::new("a fault of ours"));
        }
        Reply::ok("{}")
    });
    let seen = world.invoke_new().await;
    assert_eq!((seen.status(), seen.acks.len()), (0, 1));
    assert_eq!(
        (world.containers.counts().created, world.containers.counts().destroyed),
        (3, 2)
    );
    assert_eq!(world.invoker().open(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_message_holds_nothing_up() {
    let mut world = World::new().await;
    let message = wsk_bus::Message::bytes(wsk_bus::Key::None, "no message");
    world
        .bus
        .publish("invoker0", message, wsk_bus::Durability::Durable)
        .await
        .unwrap();
    assert_eq!(world.invoke_new().await.status(), 0);
    assert_eq!(world.bus.depth("invoker0"), 0);
}
