//! Stem cells.

use std::time::Duration;

use wsk_containers::Error;

use super::world::{World, config};
use crate::Config;

fn manifest(reactive: &str) -> String {
    format!(
        r#"{{"runtimes":{{"nodejs":[{{"kind":"nodejs:20","image":{{"name":"n"}},
            "stemCells":[{{"initialCount":2,"memory":"256 MB"{reactive}}}]}}]}}}}"#
    )
}

#[tokio::test(start_paused = true)]
async fn a_stem_cell_is_taken_and_replaced() {
    let mut world = World::with(config(), &manifest("")).await;
    world
        .until("made", |world| world.containers.counts().created == 2)
        .await;
    let names: Vec<String> = world
        .containers
        .alive()
        .into_iter()
        .map(|(_, spec)| spec.name)
        .collect();
    assert_eq!(
        names,
        ["wskinvoker0_1_prewarm_nodejs20", "wskinvoker0_2_prewarm_nodejs20"]
    );
    let revision = world.put("hello", |_| ()).await;
    world.containers.starts(|_| Ok(Duration::from_secs(5)));
    let message = world.message("hello", &revision);
    let seen = world.invoke(message).await;
    assert_eq!((seen.status(), seen.annotation("initTime").as_deref()), (0, Some("0")));
    world
        .until("replaced", |world| world.containers.counts().created == 3)
        .await;
    // Another memory size cannot use one.
    let other = world.put("other", |action| action.limits.memory = 128).await;
    let message = world.message("other", &other);
    world.invoke(message).await;
    assert_eq!(world.containers.counts().created, 4);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn the_number_follows_demand_and_falls_back() {
    let reactive = r#","reactive":{"minCount":1,"maxCount":4,"ttl":"2 minutes","threshold":1,"increment":1}"#;
    let mut world = World::with(config(), &manifest(reactive)).await;
    world
        .until("made", |world| world.containers.counts().created == 2)
        .await;
    // After ten minutes the two are old; without demand one is kept.
    tokio::time::sleep(Duration::from_secs(620)).await;
    assert_eq!(world.containers.alive().len(), 1);
    world
        .containers
        .behave(|_| wsk_containers::scripted::Reply::ok("{}").after(Duration::from_millis(900)));
    world.containers.starts(|_| Ok(Duration::from_millis(100)));
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let revision = world.put(name, |_| ()).await;
        let message = world.message(name, &revision);
        ids.push(world.send(message).await);
    }
    for id in ids {
        assert_eq!(world.record(id).await.status(), 0);
    }
    tokio::time::sleep(Duration::from_secs(620)).await;
    let cells = world
        .containers
        .alive()
        .into_iter()
        .filter(|(_, spec)| spec.name.contains("prewarm"));
    let cells: Vec<_> = cells.collect();
    assert!(cells.len() >= 3, "{cells:?}");
    tokio::time::sleep(Duration::from_secs(1300)).await;
    assert_eq!(world.containers.alive().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_cannot_be_made_is_given_up_until_the_next_look() {
    let world = World::with(config(), &manifest("")).await;
    world.containers.starts(|_| {
        Err(Error::ImagePull {
            image: "n".to_owned(),
            reason: "no".to_owned(),
        })
    });
    let mut failing = world;
    failing.kill().await;
    let before = failing.containers.counts().failed;
    failing.start().await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let tried = failing.containers.counts().failed - before;
    assert!((2..=12).contains(&tried), "{tried}");
    failing.containers.starts(|_| Ok(Duration::ZERO));
    let made = failing.containers.counts().created;
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(failing.containers.counts().created - made, 2);
}

#[tokio::test(start_paused = true)]
async fn stem_cells_never_starve_actions() {
    let mut world = World::with(
        Config {
            memory_mb: 512,
            ..config()
        },
        &manifest(""),
    )
    .await;
    world
        .until("made", |world| world.containers.counts().created == 2)
        .await;
    let revision = world.put("big", |action| action.limits.memory = 512).await;
    let message = world.message("big", &revision);
    assert_eq!(world.invoke(message).await.status(), 0);
    world.clean();
}
