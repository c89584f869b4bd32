//! Waiting for a container at work, where that is better than another container.

use std::time::Duration;

use tokio::time::Instant;
use wsk_containers::scripted::{CallKind, Reply};
use wsk_entities::ActivationId;
use wsk_store::Revision;

use super::world::{World, config};
use crate::Config;

const START: Duration = Duration::from_millis(100);

/// Containers that take [`START`] to make, on a machine with two processors.
async fn slow_to_start(memory_mb: u32) -> World {
    let config = Config {
        memory_mb,
        processors: 2,
        ..config()
    };
    let world = World::with(config, super::world::MANIFEST).await;
    world.containers.starts(|_| Ok(START));
    world
}

fn runs_take(world: &World, run: Duration) {
    world.containers.behave(move |seen| match seen.kind {
        CallKind::Init => Reply::ok("{}"),
        CallKind::Run => Reply::ok("{}").after(run),
    });
}

async fn send_many(world: &mut World, name: &str, count: usize) -> Vec<ActivationId> {
    let revision = world.put(name, |action| action.limits.timeout = 60_000).await;
    send(world, name, &revision, count).await
}

async fn send(world: &mut World, name: &str, revision: &Revision, count: usize) -> Vec<ActivationId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let message = world.message(name, revision);
        ids.push(world.send(message).await);
    }
    ids
}

async fn all_end_well(world: &mut World, ids: Vec<ActivationId>) {
    for id in ids {
        let seen = world.record(id).await;
        assert_eq!(seen.status(), 0, "{:?}", seen.record.response);
    }
}

#[tokio::test(start_paused = true)]
async fn short_runs_share_few_containers() {
    let mut world = slow_to_start(16_384).await;
    runs_take(&world, Duration::from_millis(1));
    let ids = send_many(&mut world, "hello", 100).await;
    all_end_well(&mut world, ids).await;
    assert_eq!(world.containers.counts().created, 2, "one for each processor");
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn long_runs_get_containers_of_their_own_at_once() {
    let mut world = slow_to_start(16_384).await;
    runs_take(&world, Duration::from_secs(5));
    let revision = world.put("hello", |action| action.limits.timeout = 60_000).await;
    let ids = send(&mut world, "hello", &revision, 20).await;
    let mut starts = Vec::new();
    for id in ids {
        starts.push(world.record(id).await.record.start);
    }
    assert_eq!(world.containers.counts().created, 20);
    let (first, last) = (starts.iter().min().unwrap(), starts.iter().max().unwrap());
    assert!(last - first <= 600, "{starts:?}");
    // Once that is known there is nothing to find out.
    let mut starts = Vec::new();
    for id in send(&mut world, "hello", &revision, 30).await {
        starts.push(world.record(id).await.record.start);
    }
    let (first, last) = (starts.iter().min().unwrap(), starts.iter().max().unwrap());
    assert!(last - first <= 100, "{starts:?}");
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn whoever_is_stuck_behind_a_long_run_gets_another_container() {
    let mut world = slow_to_start(16_384).await;
    runs_take(&world, Duration::from_millis(1));
    let revision = world.put("hello", |action| action.limits.timeout = 60_000).await;
    for _ in 0..10 {
        let message = world.message("hello", &revision);
        world.invoke(message).await;
    }
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_secs(30)));
    let long = world.message("hello", &revision);
    let long = world.send(long).await;
    let short = world.message("hello", &revision);
    let (begun, short) = (Instant::now(), world.send(short).await);
    world.record(short).await;
    assert!(begun.elapsed() < START * 5, "{:?}", begun.elapsed());
    assert!(!world.has_record(long).await);
    world.record(long).await;
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn those_in_line_do_not_keep_memory_from_others() {
    let mut world = slow_to_start(256).await;
    runs_take(&world, Duration::from_millis(50));
    let crowd = send_many(&mut world, "crowd", 200).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let single = send_many(&mut world, "single", 1).await;
    let begun = Instant::now();
    all_end_well(&mut world, single).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    all_end_well(&mut world, crowd).await;
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_a_container_that_died_runs_in_another() {
    let mut world = slow_to_start(256).await;
    runs_take(&world, Duration::from_millis(50));
    let revision = world.put("hello", |action| action.limits.timeout = 60_000).await;
    let message = world.message("hello", &revision);
    world.invoke(message).await;
    world
        .containers
        .next_run(Reply::outcome(wsk_containers::scripted::Outcome::Die));
    let ids = send_many(&mut world, "hello", 10).await;
    let mut statuses = Vec::new();
    for id in ids {
        statuses.push(world.record(id).await.status());
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 0).count(),
        9,
        "{statuses:?}"
    );
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn a_drain_hands_back_who_waits_in_line() {
    let mut world = slow_to_start(256).await;
    runs_take(&world, Duration::from_millis(50));
    let ids = send_many(&mut world, "hello", 50).await;
    tokio::time::sleep(START * 2).await;
    world.drain(Duration::from_secs(10)).await;
    let mut recorded = 0;
    for id in ids {
        recorded += u64::from(world.has_record(id).await);
    }
    assert!((1..50).contains(&recorded), "{recorded}");
    assert_eq!(recorded + world.bus.depth("invoker0"), 50);
    world.clean();
}
