//! Which records a deployment keeps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wsk_containers::scripted::{CallKind, Reply};
use wsk_entities::{StatusCode, StorePolicy};

use super::world::{World, config};
use crate::Config;

const MANIFEST: &str = r#"{"runtimes":{"nodejs":[{"kind":"nodejs:20","default":true,
    "image":{"prefix":"openwhisk","name":"action-nodejs-v20"}}]}}"#;

#[tokio::test(start_paused = true)]
async fn blocking_and_other_activations_have_a_policy_each() {
    let choosy = Config {
        store_blocking: StorePolicy::StoreFailures,
        store_non_blocking: StorePolicy::StoreFailuresNotApplicationErrors,
        ..config()
    };
    let mut world = World::with(choosy, MANIFEST).await;
    let revision = world.put("hello", |_| ()).await;
    let (fine, refused) = (Reply::ok("{}"), Reply::ok(r#"{"error":"no"}"#));
    for (blocking, reply, insists, kept) in [
        (true, fine.clone(), false, false),
        (true, refused.clone(), false, true),
        (true, fine.clone(), true, true),
        (false, fine, false, false),
        (false, refused, false, false),
        (false, Reply::status(500, r#"{"error":"broken"}"#), false, true),
    ] {
        world.containers.next_run(reply);
        let mut message = world.message("hello", &revision);
        message.blocking = blocking;
        message.transid.extra_logging = insists;
        let id = world.send(message).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.invoker().open(), 0, "it has ended");
        assert_eq!(
            world.has_record(id).await,
            kept,
            "blocking: {blocking}, insists: {insists}"
        );
    }
}

/// Where no record says that it ran, whoever had it does.
#[tokio::test(start_paused = true)]
async fn what_comes_again_while_it_runs_does_not_run_again_without_a_record() {
    let choosy = Config {
        store_blocking: StorePolicy::StoreFailures,
        ..config()
    };
    let mut world = World::with(choosy, MANIFEST).await;
    let revision = world.put("hello", |_| ()).await;
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_millis(800)));
    let message = world.message("hello", &revision);
    let id = world.send(message.clone()).await;
    world
        .until("running", |world| world.containers.counts().runs == 1)
        .await;
    world.send(message.clone()).await;
    world.send(message).await;
    world.until("all here", |world| world.invoker().open() == 3).await;
    world.until("all done", |world| world.invoker().open() == 0).await;
    assert_eq!(world.containers.counts().runs, 1);
    assert!(!world.has_record(id).await);
    assert_eq!(world.bus.depth("invoker0"), 0);
}

/// One of them goes on where the one before it gave up.
#[tokio::test(start_paused = true)]
async fn what_was_handed_back_runs_for_whoever_waited() {
    let mut world = World::with(config(), MANIFEST).await;
    let runs = AtomicUsize::new(0);
    world.containers.behave(move |seen| {
        if seen.kind == CallKind::Run && runs.fetch_add(1, Ordering::SeqCst) == 0 {
            std::panic::resume_unwind(Box::new("a fault of ours"));
        }
        Reply::ok("{}")
    });
    let revision = world.put("hello", |_| ()).await;
    let message = world.message("hello", &revision);
    world.send(message.clone()).await;
    let id = world.send(message).await;
    assert_eq!(world.record(id).await.status(), 0);
    world.until("all done", |world| world.invoker().open() == 0).await;
    assert_eq!(world.bus.depth("invoker0"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_records_that_is_full_waits_for_no_interval() {
    let slow = Config {
        record_batch: 4,
        record_interval_ms: 60_000,
        ..config()
    };
    let mut world = World::with(slow, MANIFEST).await;
    let revision = world.put("hello", |_| ()).await;
    for _ in 0..40 {
        world.containers.next_run(Reply::ok("{}"));
        let message = world.message("hello", &revision);
        world.send(message).await;
    }
    // The first record goes alone, and the others wait one interval, not one for every four of them.
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(world.invoker().open(), 0, "all are recorded");
}

/// The one record says so, those that were stored with it and after it are whole.
#[tokio::test(start_paused = true)]
async fn a_record_that_the_store_refuses_holds_nothing_up() {
    let mut world = World::with(config(), MANIFEST).await;
    world.records.inner.refuse("monstrous");
    let revision = world.put("hello", |_| ()).await;
    // While it is away they gather, and are written as one group.
    world.records.go_away(true);
    let mut ids = Vec::new();
    for result in [r#"{"a":1}"#, r#"{"monstrous":1}"#, r#"{"b":1}"#] {
        world.containers.next_run(Reply::ok(result));
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.records.go_away(false);
    let mut results = Vec::new();
    for id in ids {
        let record = world.record(id).await.record;
        results.push((
            record.response.status_code,
            record.response.result.to_string(),
            record.logs,
        ));
    }
    let refused = &results[1];
    assert_eq!(refused.0, StatusCode::WhiskError);
    assert!(
        refused.1.contains("could not be stored") && refused.1.contains("refused by a test"),
        "{refused:?}"
    );
    assert!(!refused.1.contains("monstrous"));
    assert_eq!([&*results[0].1, &*results[2].1], [r#"{"a":1}"#, r#"{"b":1}"#]);
    world.invoke_new().await;
    assert_eq!(world.invoker().open(), 0, "nothing waits");
}

/// Neither the record nor what says that it was refused: the reason is the action's name, which both have.
#[tokio::test(start_paused = true)]
async fn a_record_that_is_refused_whatever_it_says_holds_nothing_up() {
    let mut world = World::with(config(), MANIFEST).await;
    world.records.inner.refuse("monstrous");
    let revision = world.put("monstrous", |_| ()).await;
    world.containers.next_run(Reply::ok("{}"));
    let message = world.message("monstrous", &revision);
    let id = world.send(message).await;
    world.until("it has ended", |world| world.invoker().open() == 0).await;
    assert!(!world.has_record(id).await);
    world.invoke_new().await;
    assert_eq!(world.invoker().open(), 0, "nothing waits");
}
