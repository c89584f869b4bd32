//! Memory is a bound: what does not fit waits its turn.

use std::time::Duration;

use wsk_containers::scripted::Reply;

use super::world::{World, config};
use crate::Config;

async fn small(memory_mb: u32) -> World {
    World::with(Config { memory_mb, ..config() }, super::world::MANIFEST).await
}

#[tokio::test(start_paused = true)]
async fn more_work_than_memory_waits_in_order() {
    let mut world = small(512).await;
    world
        .containers
        .behave(|_| Reply::ok("{}").after(Duration::from_millis(100)));
    let revision = world.put("hello", |_| ()).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
    }
    let mut starts = Vec::new();
    for id in ids {
        let seen = world.record(id).await;
        assert_eq!(seen.status(), 0);
        starts.push(seen.record.start);
        assert!(world.containers.alive().len() <= 2);
    }
    assert!(starts.is_sorted(), "{starts:?}");
    assert_eq!(world.containers.counts().created, 2);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn the_longest_idle_goes_first() {
    let mut world = small(512).await;
    let (a, b, c) = (
        world.put("a", |_| ()).await,
        world.put("b", |_| ()).await,
        world.put("c", |_| ()).await,
    );
    for (name, revision) in [("a", &a), ("b", &b), ("a", &a)] {
        let message = world.message(name, revision);
        world.invoke(message).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let message = world.message("c", &c);
    world.invoke(message).await;
    let names: Vec<String> = world
        .containers
        .alive()
        .into_iter()
        .map(|(_, spec)| spec.name)
        .collect();
    assert!(
        names.iter().any(|n| n.ends_with("_a")) && names.iter().any(|n| n.ends_with("_c")),
        "{names:?}"
    );
    assert_eq!(names.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn frozen_containers_are_evicted_too_and_as_many_as_needed() {
    let mut world = small(512).await;
    for name in ["a", "b"] {
        let revision = world.put(name, |_| ()).await;
        let message = world.message(name, &revision);
        world.invoke(message).await;
    }
    world
        .until("frozen", |world| world.containers.counts().paused == 2)
        .await;
    let revision = world.put("big", |action| action.limits.memory = 512).await;
    let message = world.message("big", &revision);
    assert_eq!(world.invoke(message).await.status(), 0);
    assert_eq!(world.containers.alive().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_action_larger_than_the_invoker_is_told_so_at_once() {
    let mut world = small(256).await;
    let revision = world.put("big", |action| action.limits.memory = 512).await;
    let message = world.message("big", &revision);
    let seen = world.invoke(message).await;
    assert_eq!(
        (seen.status(), seen.error().as_str()),
        (3, "Failed to provision resources to run the action.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_leaves_the_rest_on_the_bus() {
    let mut world = World::with(
        Config {
            memory_mb: 256,
            run_buffer: 3,
            ..config()
        },
        super::world::MANIFEST,
    )
    .await;
    world
        .containers
        .behave(|_| Reply::ok("{}").after(Duration::from_millis(500)));
    let revision = world.put("hello", |_| ()).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(world.bus.depth("invoker0") >= 6, "{}", world.bus.depth("invoker0"));
    assert!(world.invoker().open() <= 4);
    for id in ids {
        assert_eq!(world.record(id).await.status(), 0);
    }
}

/// Sends rounds of one activation of each action, and waits for them all; how many containers were made.
async fn rounds(actions: usize, rounds: usize, memory_mb: u32) -> u64 {
    let mut world = small(memory_mb).await;
    world.containers.starts(|_| Ok(Duration::from_millis(100)));
    world
        .containers
        .behave(|_| Reply::ok("{}").after(Duration::from_millis(10)));
    let mut known = Vec::new();
    for n in 0..actions {
        let name = format!("action{n}");
        let revision = world.put(&name, |action| action.limits.timeout = 60_000).await;
        known.push((name, revision));
    }
    let mut ids = Vec::new();
    for _ in 0..rounds {
        for (name, revision) in &known {
            let message = world.message(name, revision);
            ids.push(world.send(message).await);
        }
    }
    for id in ids {
        assert_eq!(world.record(id).await.status(), 0);
    }
    let created = world.containers.counts().created;
    world.clean();
    created as u64
}

#[tokio::test(start_paused = true)]
async fn more_actions_than_memory_take_turns_of_many_runs() {
    let created = rounds(3, 200, 512).await;
    // 600 runs of 10 ms in two containers are 3 s, in which each container gives way after 500 ms.
    assert!(
        (3..=20).contains(&created),
        "{created} containers for 600 runs of three actions"
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_memory_gets_it_after_a_tenure_however_long_the_line_of_others_is() {
    let mut world = small(256).await;
    world.containers.starts(|_| Ok(Duration::from_millis(100)));
    world
        .containers
        .behave(|_| Reply::ok("{}").after(Duration::from_millis(10)));
    let crowd = world.put("crowd", |action| action.limits.timeout = 60_000).await;
    let mut ids = Vec::new();
    for _ in 0..500 {
        let message = world.message("crowd", &crowd);
        ids.push(world.send(message).await);
    }
    let (first, second) = (world.put("first", |_| ()).await, world.put("second", |_| ()).await);
    let begun = tokio::time::Instant::now();
    for (name, revision) in [("first", &first), ("second", &second)] {
        let message = world.message(name, revision);
        let id = world.send(message).await;
        assert_eq!(world.record(id).await.status(), 0);
        assert!(
            begun.elapsed() < Duration::from_millis(1500),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
    for id in ids {
        assert_eq!(world.record(id).await.status(), 0);
    }
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_never_idle_gives_way_too() {
    let mut world = small(256).await;
    world.containers.starts(|_| Ok(Duration::from_millis(100)));
    world
        .containers
        .behave(|_| Reply::ok("{}").after(Duration::from_millis(20)));
    let shared = world.put("shared", |action| action.limits.concurrency = 50).await;
    let single = world.put("single", |_| ()).await;
    let mut ids = Vec::new();
    let mut waits = None;
    for turn in 0..600 {
        let message = world.message("shared", &shared);
        ids.push(world.send(message).await);
        if turn == 200 {
            let message = world.message("single", &single);
            waits = Some(world.send(message).await);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(world.has_record(waits.unwrap()).await, "2 s were not enough");
    for id in ids {
        assert_eq!(world.record(id).await.status(), 0);
    }
    world.clean();
}
