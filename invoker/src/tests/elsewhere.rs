//! What this machine cannot run: handed on, remembered, answered when there is nowhere else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use tokio::sync::Semaphore;
use wsk_bus::messages::{self, ActivationMessage, Detour, ELSEWHERE};
use wsk_bus::{Durability, Message, MessageBus, Receipt, Subscription, TopicConfig};
use wsk_containers::Error;
use wsk_entities::{Architecture, Code, Exec, StatusCode};

use super::world::{MANIFEST, World, config, settle};
use crate::Config;

/// A bus whose word that it has what is handed on comes late: one for each permit.
struct Late {
    bus: Arc<dyn MessageBus>,
    words: Arc<Semaphore>,
}

#[async_trait::async_trait]
impl MessageBus for Late {
    async fn ensure_topic(&self, topic: &TopicConfig) -> Result<(), wsk_bus::Error> {
        self.bus.ensure_topic(topic).await
    }

    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, wsk_bus::Error> {
        let receipt = self.bus.publish(topic, message, durability).await?;
        if topic == ELSEWHERE {
            self.words.acquire().await.unwrap().forget();
        }
        Ok(receipt)
    }

    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), wsk_bus::Error> {
        self.bus.publish_all(batch).await
    }

    async fn subscribe(&self, topic: &str, group: &str, max: usize) -> Result<Box<dyn Subscription>, wsk_bus::Error> {
        self.bus.subscribe(topic, group, max).await
    }

    fn depth(&self, topic: &str) -> u64 {
        self.bus.depth(topic)
    }

    async fn close(&self) -> Result<(), wsk_bus::Error> {
        self.bus.close().await
    }
}

/// A world of an amd64 machine, and what it hands on.
async fn world() -> (World, Box<dyn Subscription>) {
    let config = Config {
        architecture: Some(Architecture::Amd64),
        ..config()
    };
    let world = World::with(config, MANIFEST).await;
    world.bus.ensure_topic(&TopicConfig::queue(ELSEWHERE)).await.unwrap();
    let handed = world.bus.subscribe(ELSEWHERE, "controllers", 100).await.unwrap();
    (world, handed)
}

fn detour(refused: Vec<u32>, last: bool) -> Detour {
    Detour {
        refused,
        last,
        why: None,
    }
}

async fn next(handed: &mut Box<dyn Subscription>) -> Option<Arc<ActivationMessage>> {
    let next = tokio::time::timeout(Duration::from_secs(60), handed.next()).await;
    let delivery = next.ok().flatten()?;
    let message = messages::read::<ActivationMessage>(&delivery).unwrap();
    delivery.commit();
    Some(message)
}

fn image(exec: &mut Exec) {
    *exec = Exec::Blackbox {
        image: "me/app:1".to_owned(),
        code: None,
        main: None,
        binary: false,
    };
}

/// A program for arm64.
fn program(exec: &mut Exec) {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(18, 0);
    file.extend([183, 0, 0]);
    *exec = Exec::Blackbox {
        image: "openwhisk/dockerskeleton".to_owned(),
        code: Some(Code::Inline(
            base64::engine::general_purpose::STANDARD.encode(file).into(),
        )),
        main: None,
        binary: true,
    };
}

fn no_variant(world: &World) {
    world.containers.starts(|spec| {
        Err(Error::NoVariant {
            image: spec.image.clone(),
            platforms: vec!["linux/arm64".to_owned()],
            node: "linux/amd64".to_owned(),
        })
    });
}

#[tokio::test(start_paused = true)]
async fn an_image_without_a_variant_is_found_out_once_and_forgotten_in_time() {
    let (mut world, mut handed) = world().await;
    no_variant(&world);
    let revision = world.put("app", |action| image(&mut action.exec)).await;
    for _ in 0..3 {
        let message = world.message("app", &revision);
        let id = world.send(message).await;
        let message = next(&mut handed).await.unwrap();
        assert_eq!(message.activation_id, id);
        assert_eq!(message.detour.as_deref().unwrap(), &detour(vec![0], false));
        assert!(!world.has_record(id).await);
        assert_eq!(world.containers.counts().failed, 1, "asked for once");
    }
    assert_eq!(world.invoker().open(), 0, "they are others' now");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let node = world.last_ping().await.unwrap().node.clone().unwrap();
    assert_eq!(node.unfit[..], ["image me/app:1".to_owned()]);
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert!(world.last_ping().await.unwrap().node.clone().unwrap().unfit.is_empty());
    world.containers.starts(|_| Ok(Duration::ZERO));
    let message = world.message("app", &revision);
    assert_eq!(world.invoke(message).await.status(), 0, "it was built anew");
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn what_has_nowhere_else_to_go_is_answered_readably() {
    let (mut world, _handed) = world().await;
    no_variant(&world);
    let revision = world.put("app", |action| image(&mut action.exec)).await;
    let mut message = world.message("app", &revision);
    message.detour = Some(Box::new(detour(vec![4], true)));
    let seen = world.invoke(message).await;
    assert_eq!(seen.record.response.status_code, StatusCode::DeveloperError);
    assert_eq!(
        seen.error(),
        "The action cannot run on amd64: image me/app:1 has no variant for linux/amd64, only for linux/arm64, and no \
         other invoker can run it."
    );
    let revision = world.put("native", |action| program(&mut action.exec)).await;
    world.containers.starts(|_| Ok(Duration::ZERO));
    for _ in 0..2 {
        let mut message = world.message("native", &revision);
        message.detour = Some(Box::new(detour(vec![], true)));
        let seen = world.invoke(message).await;
        assert_eq!(
            seen.error(),
            "The action cannot run on amd64: the program of the action was compiled for arm64, and no other invoker can \
             run it."
        );
        assert_eq!(seen.status(), StatusCode::DeveloperError as u8);
    }
    assert_eq!(
        (world.containers.counts().inits, world.containers.counts().created),
        (0, 1)
    );
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn a_foreign_program_is_never_started() {
    let (mut world, mut handed) = world().await;
    let revision = world.put("native", |action| program(&mut action.exec)).await;
    for _ in 0..3 {
        let message = world.message("native", &revision);
        world.send(message).await;
    }
    for _ in 0..3 {
        assert!(next(&mut handed).await.is_some());
    }
    assert_eq!(world.containers.counts().inits, 0);
    // An update may be for this machine.
    let revision = world
        .put("native", |action| {
            program(&mut action.exec);
            if let Exec::Blackbox { code, binary, .. } = &mut action.exec {
                (*code, *binary) = (Some(Code::Inline("#!/bin/sh".into())), false);
            }
        })
        .await;
    let message = world.message("native", &revision);
    assert_eq!(world.invoke(message).await.status(), 0);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_from_another_invoker_is_not_run_when_it_has_a_record() {
    let (mut world, _handed) = world().await;
    let revision = world.put("hello", |_| ()).await;
    let message = world.message("hello", &revision);
    world.invoke(message.clone()).await;
    let again = ActivationMessage {
        detour: Some(Box::new(detour(vec![3], false))),
        ..message
    };
    world.send(again).await;
    settle().await;
    assert_eq!((world.containers.counts().runs, world.invoker().open()), (1, 0));
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_before_it_is_known_to_be_handed_on_is_not_taken_for_ended() {
    let (mut world, mut handed) = world().await;
    let words = Arc::new(Semaphore::new(0));
    world.kill().await;
    world.bus = Arc::new(Late {
        bus: world.bus.clone(),
        words: words.clone(),
    });
    world.start().await;
    no_variant(&world);
    let revision = world.put("app", |action| image(&mut action.exec)).await;
    let message = world.message("app", &revision);
    let id = world.send(message.clone()).await;
    let copy = next(&mut handed).await.unwrap();
    // Given out anew, and the copy, for which there is no other invoker.
    world.send(message).await;
    world
        .send(ActivationMessage {
            detour: Some(Box::new(detour(vec![0], true))),
            ..(*copy).clone()
        })
        .await;
    world.until("all here", |world| world.invoker().open() == 3).await;
    settle().await;
    assert!(!world.has_record(id).await);
    words.add_permits(1);
    let seen = world.record(id).await;
    assert!(
        seen.error().ends_with("no other invoker can run it."),
        "{}",
        seen.error()
    );
    assert_eq!(seen.acks.len(), 1);
    world.until("all done", |world| world.invoker().open() == 0).await;
    assert_eq!(world.records.written.load(Ordering::SeqCst), 1);
    assert!(next(&mut handed).await.is_none(), "handed on once");
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn what_no_invoker_may_run_is_answered_with_the_reason() {
    let (mut world, _handed) = world().await;
    let revision = world.put("hello", |_| ()).await;
    let mut message = world.message("hello", &revision);
    message.detour = Some(Box::new(Detour {
        refused: vec![],
        last: true,
        why: Some("There is no invoker with the label 'gpu'.".to_owned()),
    }));
    let seen = world.invoke(message).await;
    assert_eq!(seen.error(), "There is no invoker with the label 'gpu'.");
    assert_eq!(seen.status(), StatusCode::WhiskError as u8);
    assert_eq!(world.containers.counts().created, 0);
    world.clean();
}
