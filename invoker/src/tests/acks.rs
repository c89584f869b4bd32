//! Acknowledgements on a bus that says only later whether it has them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use wsk_bus::messages::{Acknowledgement, ActivationMessage, Completed, InvokerInstance};
use wsk_bus::{Durability, Error, Message, MessageBus, Receipt, Subscription, TopicConfig};
use wsk_entities::Activation;

use super::world::World;
use crate::ack::Acks;
use crate::metrics::Metrics;

/// How late the bus says it.
const LATE: Duration = Duration::from_secs(1);

/// A bus that takes every message, and later says of one after the other what became of it: of the last ones that they arrived.
#[derive(Default)]
struct Late {
    words: Mutex<VecDeque<Error>>,
    seen: Mutex<Vec<Arc<Acknowledgement>>>,
}

#[async_trait]
impl MessageBus for Late {
    async fn ensure_topic(&self, _: &TopicConfig) -> Result<(), Error> {
        Ok(())
    }

    async fn publish(&self, _: &str, message: Message, _: Durability) -> Result<Receipt, Error> {
        self.seen.lock().unwrap().push(message.downcast().unwrap());
        let word = self.words.lock().unwrap().pop_front().map_or(Ok(()), Err);
        let (decides, decided) = watch::channel(None);
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            let _ = decides.send(Some(word));
        });
        Ok(Receipt::undecided(decided))
    }

    async fn publish_all(&self, _: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        Err(Error::Closed)
    }

    async fn subscribe(&self, _: &str, _: &str, _: usize) -> Result<Box<dyn Subscription>, Error> {
        Err(Error::Closed)
    }

    fn depth(&self, _: &str) -> u64 {
        0
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn too_large() -> Error {
    Error::TooLarge {
        topic: "completed0".to_owned(),
        size: 2,
        limit: 1,
    }
}

fn silence() -> Error {
    Error::Broker {
        brokers: "nowhere:9092".to_owned(),
        operation: "take a message for",
        topic: "completed0".to_owned(),
        reason: "silence".to_owned(),
        transient: true,
    }
}

async fn ended() -> (ActivationMessage, Arc<Activation>) {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    let message = world.message("hello", &revision);
    let record = world.invoke(message.clone()).await.record;
    (message, Arc::new(record))
}

/// Acknowledges on a bus that says so, with so many attempts; which acknowledgements the bus was given.
async fn acknowledged(words: impl IntoIterator<Item = Error>, attempts: u32) -> Vec<Arc<Acknowledgement>> {
    let (message, record) = ended().await;
    let bus = Arc::new(Late {
        words: Mutex::new(words.into_iter().collect()),
        ..Late::default()
    });
    let acks = Acks::new(bus.clone(), InvokerInstance::new(0, 256), attempts, Metrics::get());
    let began = tokio::time::Instant::now();
    acks.combined(&message, record).await;
    assert_eq!(began.elapsed(), Duration::ZERO, "the record waits for nobody");
    tokio::time::sleep(LATE * 100).await;
    bus.seen.lock().unwrap().clone()
}

fn whole(ack: &Arc<Acknowledgement>) -> bool {
    assert_eq!(ack.freed(), Some(false), "the slot is free either way");
    match ack.response().unwrap() {
        Completed::Record(_) => true,
        Completed::Id(_) => false,
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_arrives_is_sent_once() {
    let seen = acknowledged([], 5).await;
    assert_eq!(seen.iter().map(whole).collect::<Vec<_>>(), [true]);
}

#[tokio::test(start_paused = true)]
async fn one_that_turns_out_to_be_too_large_is_sent_without_its_record() {
    let seen = acknowledged([too_large()], 5).await;
    assert_eq!(seen.iter().map(whole).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn one_that_turns_out_to_be_lost_is_sent_again_a_bounded_number_of_times() {
    let seen = acknowledged([silence(), silence()], 5).await;
    assert_eq!(seen.len(), 3);
    let seen = acknowledged([silence(), silence(), silence()], 2).await;
    assert_eq!(seen.len(), 2);
}
