//! Which container an activation gets, and what becomes of it afterwards.

use std::time::Duration;

use wsk_bus::messages::ActivationMessage;
use wsk_containers::Error;
use wsk_containers::scripted::Reply;
use wsk_entities::{Code, Exec, Json};
use wsk_store::Revision;

use super::world::World;

async fn invoke(world: &mut World, name: &str, revision: &Revision) -> super::world::Seen {
    let message = world.message(name, revision);
    world.invoke(message).await
}

#[tokio::test(start_paused = true)]
async fn a_warm_container_serves_again_then_is_frozen_thawed_and_removed() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    assert!(
        invoke(&mut world, "hello", &revision)
            .await
            .annotation("initTime")
            .is_some()
    );
    assert!(
        invoke(&mut world, "hello", &revision)
            .await
            .annotation("initTime")
            .is_none()
    );
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(world.containers.counts().paused, 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.containers.counts().paused, 1);
    assert!(
        invoke(&mut world, "hello", &revision)
            .await
            .annotation("initTime")
            .is_none()
    );
    assert_eq!(world.containers.counts().resumed, 1);
    tokio::time::sleep(Duration::from_secs(609)).await;
    assert_eq!(world.containers.counts().destroyed, 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        (world.containers.counts().created, world.containers.counts().destroyed),
        (1, 1)
    );
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn work_puts_the_freeze_off() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    for _ in 0..10 {
        invoke(&mut world, "hello", &revision).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
    assert_eq!(
        (world.containers.counts().paused, world.containers.counts().created),
        (0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn no_container_is_shared_between_revisions_or_namespaces() {
    let mut world = World::new().await;
    let first = world.put("hello", |_| ()).await;
    invoke(&mut world, "hello", &first).await;
    let second = world.put("hello", |action| action.limits.timeout = 2000).await;
    invoke(&mut world, "hello", &second).await;
    let mut message = world.message("hello", &second);
    let mut user = (*message.user).clone();
    user.namespace.uuid = "other".into();
    message.user = user.into();
    world.invoke(message).await;
    assert_eq!(world.containers.counts().created, 3);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn an_action_updated_meanwhile_runs_as_it_is_now() {
    let mut world = World::new().await;
    let old = world.put("hello", |_| ()).await;
    world
        .put("hello", |action| action.version = action.version.next())
        .await;
    let seen = invoke(&mut world, "hello", &old).await;
    assert_eq!((seen.status(), seen.record.version.to_string().as_str()), (0, "0.0.2"));
    let again = invoke(&mut world, "hello", &old).await;
    assert_eq!((again.status(), again.annotation("initTime")), (0, None));
}

#[tokio::test(start_paused = true)]
async fn an_action_deleted_meanwhile_is_an_application_error() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    world
        .stores
        .entities
        .delete(&"guest/hello".parse().unwrap(), &revision)
        .await
        .unwrap();
    let seen = invoke(&mut world, "hello", &revision).await;
    assert_eq!((seen.status(), seen.record.duration), (1, Some(0)));
    assert_eq!(seen.error(), "Action could not be found or may have been deleted.");
    assert_eq!(seen.acks.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sequence_cannot_run_here() {
    let mut world = World::new().await;
    let revision = world
        .put("seq", |action| action.exec = Exec::Sequence { components: Vec::new() })
        .await;
    let seen = invoke(&mut world, "seq", &revision).await;
    assert_eq!(
        (seen.status(), seen.error().as_str()),
        (3, "Action version is not compatible and cannot be invoked.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_narrowed_or_blocked_namespace_is_told_so() {
    let mut world = World::new().await;
    let revision = world.put("hello", |action| action.limits.memory = 512).await;
    let limited = |world: &mut World, change: fn(&mut wsk_entities::UserLimits)| -> ActivationMessage {
        let mut message = world.message("hello", &revision);
        let mut user = (*message.user).clone();
        change(&mut user.limits);
        message.user = user.into();
        message
    };
    let narrowed = limited(&mut world, |limits| limits.max_action_memory = Some(256));
    let seen = world.invoke(narrowed).await;
    assert_eq!(seen.status(), 1);
    assert_eq!(
        seen.error(),
        "requirement failed: memory size 512 MB exceeds allowed threshold of 256 MB"
    );
    let blocked = limited(&mut world, |limits| limits.invocations_per_minute = Some(0));
    let seen = world.invoke(blocked).await;
    let text = "The action was not invoked due to a blacklisted namespace.";
    assert_eq!((seen.status(), seen.error().as_str()), (1, text));
    assert_eq!(world.containers.counts().created, 0);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_cannot_be_made_has_a_cause() {
    let mut world = World::new().await;
    let pull = || Error::ImagePull {
        image: "you/img".to_owned(),
        reason: "not found".to_owned(),
    };
    let missing = || Error::ProgramMissing {
        image: "you/img".to_owned(),
        program: "node".to_owned(),
    };
    let away = || Error::Backend {
        backend: "test",
        reason: "away".to_owned(),
    };
    let blackbox = |action: &mut wsk_entities::Action| {
        action.exec = Exec::Blackbox {
            image: "you/img".to_owned(),
            code: None,
            main: None,
            binary: false,
        };
    };
    let own = world.put("own", blackbox).await;
    let managed = world.put("hello", |_| ()).await;
    let mut expect = Vec::new();
    world.containers.next_start(Err(pull()));
    expect.push((
        invoke(&mut world, "own", &own).await,
        2,
        "Failed to pull container image 'you/img'.",
    ));
    world.containers.next_start(Err(missing()));
    expect.push((
        invoke(&mut world, "own", &own).await,
        2,
        "executable file not found in image you/img",
    ));
    world.containers.next_start(Err(pull()));
    let provision = "Failed to provision resources to run the action.";
    expect.push((invoke(&mut world, "hello", &managed).await, 3, provision));
    (0..3).for_each(|_| world.containers.next_start(Err(away())));
    expect.push((invoke(&mut world, "hello", &managed).await, 3, provision));
    (0..3).for_each(|_| world.containers.next_start(Err(away())));
    let text = "Failed to run container with image 'you/img'.";
    expect.push((invoke(&mut world, "own", &own).await, 3, text));
    for (seen, status, text) in expect {
        assert_eq!(
            (seen.status(), seen.error().as_str(), seen.record.logs.len()),
            (status, text, 0)
        );
    }
    // A failure that passes is not shown at all.
    (0..2).for_each(|_| world.containers.next_start(Err(away())));
    assert_eq!(invoke(&mut world, "hello", &managed).await.status(), 0);
}

#[tokio::test(start_paused = true)]
async fn concurrency_shares_a_container_also_while_it_starts() {
    let mut world = World::new().await;
    world.containers.starts(|_| Ok(Duration::from_millis(50)));
    world
        .containers
        .behave(|_| Reply::ok("{}").after(Duration::from_millis(200)));
    let revision = world.put("hello", |action| action.limits.concurrency = 3).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
    }
    for id in ids {
        let seen = world.record(id).await;
        assert_eq!(seen.status(), 0);
        assert!(seen.record.duration.unwrap() <= 400);
    }
    assert_eq!(
        (world.containers.counts().created, world.containers.counts().inits),
        (1, 1)
    );
    let (_, spec) = &world.containers.alive()[0];
    assert_eq!(spec.concurrency, 3);
    assert!(
        spec.env
            .contains(&("__OW_ALLOW_CONCURRENT".to_owned(), "true".to_owned()))
    );
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn what_takes_one_run_at_a_time_gets_one_whatever_the_action_asks_for() {
    let mut world = World::new().await;
    let nearly_all = Duration::from_millis(900);
    world.containers.behave(move |_| Reply::ok("{}").after(nearly_all));
    let revision = world
        .put("hello", |action| {
            action.exec = Exec::Blackbox {
                image: "openwhisk/dockerskeleton".to_owned(),
                code: Some(Code::Inline("code".into())),
                main: None,
                binary: false,
            };
            action.limits.concurrency = 3;
        })
        .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let message = world.message("hello", &revision);
        ids.push(world.send(message).await);
    }
    for id in ids {
        let seen = world.record(id).await;
        assert_eq!(seen.status(), 0, "no run waits inside a container until its time limit");
        let shown = seen.record.annotations.get("limits").unwrap().as_str();
        assert!(shown.contains(r#""concurrency":3"#), "{shown}");
    }
    assert_eq!(world.containers.alive()[0].1.concurrency, 1);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_a_shared_container_lets_the_other_finish() {
    let mut world = World::new().await;
    let revision = world.put("hello", |action| action.limits.concurrency = 2).await;
    invoke(&mut world, "hello", &revision).await;
    world
        .containers
        .next_run(Reply::status(502, r#"{"error":"x"}"#).after(Duration::from_millis(50)));
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_millis(500)));
    let messages = [world.message("hello", &revision), world.message("hello", &revision)];
    let mut ids = Vec::new();
    for message in messages {
        ids.push(world.send(message).await);
    }
    assert_eq!(world.record(ids[0]).await.status(), 2);
    assert_eq!(world.containers.counts().destroyed, 0);
    assert_eq!(world.record(ids[1]).await.status(), 0);
    world
        .until("destroyed", |world| world.containers.counts().destroyed == 1)
        .await;
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn a_container_that_cannot_be_thawed_is_replaced() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    invoke(&mut world, "hello", &revision).await;
    world
        .until("paused", |world| world.containers.counts().paused == 1)
        .await;
    let (id, _) = world.containers.alive().remove(0);
    world.containers.kill(&id);
    let seen = invoke(&mut world, "hello", &revision).await;
    assert_eq!((seen.status(), seen.acks.len()), (0, 1));
    assert_eq!(world.containers.counts().created, 2);
}

#[tokio::test(start_paused = true)]
async fn code_read_once_serves_several_starts() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    world
        .containers
        .behave(|_| Reply::ok("{}").after(Duration::from_millis(100)));
    let messages = [world.message("hello", &revision), world.message("hello", &revision)];
    for message in messages {
        world.send(message).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The third start finds the code although the store lost it since.
    world
        .stores
        .entities
        .delete(&"guest/hello".parse().unwrap(), &revision)
        .await
        .unwrap();
    let messages = [
        world.message("hello", &revision),
        world.message("hello", &revision),
        world.message("hello", &revision),
    ];
    let mut ids = Vec::new();
    for message in messages {
        ids.push(world.send(message).await);
    }
    for id in ids {
        assert_eq!(world.record(id).await.status(), 0);
    }
    assert_eq!(world.containers.counts().created, 3);
}

#[tokio::test(start_paused = true)]
async fn code_replaced_between_reading_and_starting_means_the_newest_revision() {
    let mut world = World::new().await;
    world.config.code_cache_bytes = 0;
    world.kill().await;
    world.start().await;
    let first = world.put("hello", |_| ()).await;
    invoke(&mut world, "hello", &first).await;
    let second = world
        .put("hello", |action| {
            action.version = action.version.next();
            *action.exec.code_mut().unwrap() = Code::Inline("other".into());
        })
        .await;
    assert_ne!(first, second);
    // Its warm container is busy, so that a second one is made for the old revision, whose code is gone.
    world
        .containers
        .next_run(Reply::ok("{}").after(Duration::from_millis(500)));
    let messages = [world.message("hello", &first), world.message("hello", &first)];
    let mut ids = Vec::new();
    for message in messages {
        ids.push(world.send(message).await);
    }
    let versions = [
        world.record(ids[0]).await.record.version,
        world.record(ids[1]).await.record.version,
    ];
    assert_eq!(versions.map(|v| v.to_string()), ["0.0.1", "0.0.2"]);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn the_key_goes_to_actions_that_ask_for_it() {
    let mut world = World::new().await;
    world.containers.behave(|seen| {
        let with_key = seen.body.windows(8).any(|w| w == b"uuid:key");
        Reply::ok(format!(r#"{{"key":{with_key}}}"#))
    });
    for (value, given) in [("false", false), ("0", false), ("\"false\"", true), ("true", true)] {
        let revision = world
            .put("hello", |a| {
                a.annotations.set("provide-api-key", Json::parse(value).unwrap())
            })
            .await;
        let seen = invoke(&mut world, "hello", &revision).await;
        assert_eq!(
            seen.record.response.result.as_str(),
            format!(r#"{{"key":{given}}}"#),
            "{value}"
        );
    }
    let revision = world.put("old", |_| ()).await;
    assert_eq!(
        invoke(&mut world, "old", &revision)
            .await
            .record
            .response
            .result
            .as_str(),
        r#"{"key":true}"#
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_or_deleted_keeps_no_idle_container() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    let other = world.put("other", |_| ()).await;
    invoke(&mut world, "hello", &revision).await;
    invoke(&mut world, "other", &other).await;
    world.announce("guest/none").await;
    assert_eq!(world.containers.counts().destroyed, 0);
    world.announce("guest/hello").await;
    assert_eq!(world.containers.counts().destroyed, 1);
    assert!(
        invoke(&mut world, "other", &other)
            .await
            .annotation("initTime")
            .is_none()
    );
    assert!(
        invoke(&mut world, "hello", &revision)
            .await
            .annotation("initTime")
            .is_some()
    );
    world.clean();
}
