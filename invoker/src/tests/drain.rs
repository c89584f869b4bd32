//! The end of an invoker.

use std::time::Duration;

use wsk_containers::scripted::{Outcome, Reply};

use super::world::{MANIFEST, World, config, settle};
use crate::{Config, Drained};

#[tokio::test(start_paused = true)]
async fn what_was_taken_is_finished_and_nothing_more_is_taken() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_millis(700)));
    let message = world.message("hello", &revision);
    let id = world.send(message).await;
    world
        .until("running", |world| world.containers.counts().runs == 1)
        .await;
    let late = world.message("hello", &revision);
    let drained = {
        let handle = world.drain(Duration::from_secs(5));
        handle.await
    };
    assert_eq!(drained, Drained { handed_back: 0 });
    assert!(world.has_record(id).await);
    assert_eq!(world.containers.alive().len(), 0);
    assert!(!world.last_ping().await.unwrap().is_enabled);
    let late = world.send(late).await;
    settle().await;
    assert_eq!((world.bus.depth("invoker0"), world.has_record(late).await), (1, false));
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_rest_goes_back_to_the_bus() {
    let mut world = World::new().await;
    let revision = world.put("hello", |action| action.limits.timeout = 60_000).await;
    world.containers.next_run(Reply::outcome(Outcome::Hang));
    let message = world.message("hello", &revision);
    let id = world.send(message).await;
    world
        .until("running", |world| world.containers.counts().runs == 1)
        .await;
    let began = tokio::time::Instant::now();
    assert_eq!(world.drain(Duration::from_secs(3)).await, Drained { handed_back: 1 });
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!((world.bus.depth("invoker0"), world.has_record(id).await), (1, false));
    assert_eq!(world.containers.alive().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_does_not_hold_the_end_up() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    world.records.go_away(true);
    let message = world.message("hello", &revision);
    world.send(message).await;
    world.until("ran", |world| world.containers.counts().runs == 1).await;
    assert_eq!(world.drain(Duration::from_secs(3)).await, Drained { handed_back: 1 });
    assert_eq!(world.bus.depth("invoker0"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_invoker_ends_at_once() {
    let mut world = World::new().await;
    world.invoke_new().await;
    let began = tokio::time::Instant::now();
    assert_eq!(world.drain(Duration::from_secs(30)).await, Drained { handed_back: 0 });
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(
        (world.containers.counts().destroyed, world.containers.alive().len()),
        (1, 0)
    );
}

/// What has ended by the deadline is recorded although something else has not: handed back, it would run a second time.
#[tokio::test(start_paused = true)]
async fn what_ended_before_the_deadline_is_recorded_whatever_else_is_running() {
    let slow_records = Config {
        record_interval_ms: 1_500,
        ..config()
    };
    let mut world = World::with(slow_records, MANIFEST).await;
    let hanging = world.put("hello", |action| action.limits.timeout = 60_000).await;
    world.containers.next_run(Reply::outcome(Outcome::Hang));
    let message = world.message("hello", &hanging);
    let hangs = world.send(message).await;
    world
        .until("running", |world| world.containers.counts().runs == 1)
        .await;
    let revision = world.put("quick", |_| ()).await;
    // The first record is written at once; the second one waits for the next group.
    let message = world.message("quick", &revision);
    world.invoke(message).await;
    let message = world.message("quick", &revision);
    let ended = world.send(message).await;
    world.until("ran", |world| world.containers.counts().runs == 3).await;
    settle().await;
    assert!(!world.has_record(ended).await, "its group is still open");
    assert_eq!(world.drain(Duration::from_secs(1)).await, Drained { handed_back: 1 });
    assert_eq!(
        (world.has_record(ended).await, world.has_record(hangs).await),
        (true, false)
    );
    assert_eq!(world.bus.depth("invoker0"), 1);
}
