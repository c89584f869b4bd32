//! The contract of [`MessageBus`] as tests that every adapter runs.
//!
//! Each function takes `open`, which gives a bus on the same data each time: once it was closed and dropped, opening again is
//! a restart. [`every_bus`] runs what holds for all adapters, [`durable_bus`] what one with a disk promises besides.

use crate::{Body, Delivery, Durability, Error, Key, Message, MessageBus, Payload, Subscription, TopicConfig};
use Durability::{Durable, Volatile};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// An adapter under test.
pub type Bus = Arc<dyn MessageBus>;

/// How long to wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to watch for something that must not come.
const SILENCE: Duration = Duration::from_millis(50);

/// A message that nobody made durable; it may come back after a restart or not.
const VOLATILE: u128 = 99;

/// What any adapter promises.
pub async fn every_bus(open: impl AsyncFn() -> Bus) {
    order_is_kept(&open().await).await;
    a_value_arrives_as_itself_or_as_its_wire_form(&open().await).await;
    a_queue_gives_each_message_to_one_member(&open().await).await;
    a_broadcast_reaches_every_group_from_its_start(&open().await).await;
    mistakes_are_named(&open().await).await;
    what_is_dropped_comes_back(&open().await).await;
    a_member_that_dies_loses_nothing(&open().await).await;
    a_wake_up_is_passed_on(&open().await).await;
    in_flight_is_bounded(&open().await).await;
    what_is_too_large_is_refused_at_once(&open().await).await;
    a_full_queue_refuses_at_once(&open().await).await;
    a_slow_group_is_told_of_its_gap(&open().await).await;
    a_queue_keeps_messages_for_whoever_comes(&open().await).await;
    a_wait_that_is_given_up_takes_nothing(&open().await).await;
    a_batch_is_refused_whole(&open().await).await;
    the_backlog_has_an_end(&open().await).await;
    a_guest_works_off_what_its_owner_left(&open().await).await;
    closing_ends_everybody(open().await).await;
}

/// What an adapter with a disk promises.
pub async fn durable_bus(open: impl AsyncFn() -> Bus) {
    uncommitted_messages_survive_and_come_first(&open).await;
    persisting_later_is_as_good(&open).await;
    a_batch_survives_in_order(&open).await;
    what_an_earlier_life_left_is_the_backlog(&open).await;
    many_publishers_at_once_lose_nothing(&open).await;
    a_publish_given_up_leaves_the_bus_usable(&open).await;
}

/// A name that no other test of a shared broker uses.
fn unique(name: &str) -> String {
    format!("contract-{name}-{:016x}", RandomState::new().hash_one(name))
}

fn numbered(id: u128) -> Message {
    Message::bytes(Key::Id(id), id.to_string())
}

fn id(delivery: &Delivery) -> u128 {
    let Key::Id(id) = *delivery.key() else {
        panic!("a key of another kind: {}", delivery.key())
    };
    assert_eq!(delivery.bytes(), id.to_string(), "key and body belong together");
    id
}

async fn queue(bus: &Bus, name: &str) -> String {
    let topic = unique(name);
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    topic
}

async fn join(bus: &Bus, topic: &str) -> Box<dyn Subscription> {
    bus.subscribe(topic, "group", 1000).await.unwrap()
}

async fn publish(bus: &Bus, topic: &str, ids: impl IntoIterator<Item = u128>, durability: Durability) {
    for id in ids {
        bus.publish(topic, numbered(id), durability).await.unwrap();
    }
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Delivery {
    let start = tokio::time::Instant::now();
    let next = tokio::time::timeout(PATIENCE, subscription.next())
        .await
        .expect("a message in time");
    // At the deadline the bus is looked at once more, which would hide a wake-up that never came.
    assert!(start.elapsed() < PATIENCE, "nobody was woken for a message");
    next.expect("an open bus")
}

async fn silent(subscription: &mut Box<dyn Subscription>) -> bool {
    tokio::time::timeout(SILENCE, subscription.next()).await.is_err()
}

async fn take(subscription: &mut Box<dyn Subscription>, count: usize) -> Vec<u128> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let delivery = next(subscription).await;
        ids.push(id(&delivery));
        delivery.commit();
    }
    ids
}

async fn restart(bus: Bus, open: &impl AsyncFn() -> Bus) -> Bus {
    bus.close().await.unwrap();
    drop(bus);
    open().await
}

/// Ordering, for both durabilities.
async fn order_is_kept(bus: &Bus) {
    for durability in [Volatile, Durable] {
        let topic = queue(bus, "order").await;
        let mut subscription = join(bus, &topic).await;
        publish(bus, &topic, 0..100, durability).await;
        assert_eq!(take(&mut subscription, 100).await, (0..100).collect::<Vec<_>>());
        assert!(silent(&mut subscription).await, "a committed message came again");
        assert_eq!(bus.depth(&topic), 0);
    }
}

#[derive(Debug, PartialEq)]
struct Typed(u32);

impl Payload for Typed {
    fn encode(&self) -> Bytes {
        self.0.to_string().into()
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        let number = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        number.parse().map(Typed).map_err(|error| format!("{error}"))
    }

    fn size(&self) -> usize {
        4
    }
}

async fn a_value_arrives_as_itself_or_as_its_wire_form(bus: &Bus) {
    let topic = queue(bus, "typed").await;
    let mut subscription = join(bus, &topic).await;
    for durability in [Volatile, Durable] {
        let message = Message {
            key: Key::Text("seven".into()),
            body: Body::Local(Arc::new(Typed(7))),
            seen: false,
        };
        bus.publish(&topic, message, durability).await.unwrap();
        let delivery = next(&mut subscription).await;
        assert_eq!(delivery.bytes(), "7");
        assert_eq!(*delivery.key(), Key::Text("seven".into()));
        assert!((delivery.attempt(), delivery.redelivered(), delivery.gap()) == (1, false, 0));
        if let Some(value) = delivery.local::<Typed>() {
            assert_eq!(*value, Typed(7));
        }
        delivery.commit();
    }
}

async fn a_queue_gives_each_message_to_one_member(bus: &Bus) {
    let topic = queue(bus, "shared").await;
    publish(bus, &topic, 0..50, Volatile).await;
    let (mut one, mut two) = (join(bus, &topic).await, join(bus, &topic).await);
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let delivery = tokio::select! {
            delivery = one.next() => delivery,
            delivery = two.next() => delivery,
            () = tokio::time::sleep(PATIENCE) => panic!("only {} of 50 came", seen.len()),
        };
        let delivery = delivery.expect("an open bus");
        seen.push(id(&delivery));
        delivery.commit();
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    drop(one);
    publish(bus, &topic, [50], Volatile).await;
    assert_eq!(take(&mut two, 1).await, [50], "who is left gets what comes");
}

async fn a_broadcast_reaches_every_group_from_its_start(bus: &Bus) {
    let topic = unique("broadcast");
    bus.ensure_topic(&TopicConfig::broadcast(&topic)).await.unwrap();
    let mut early = bus.subscribe(&topic, "early", 10).await.unwrap();
    publish(bus, &topic, [1], Volatile).await;
    let mut late = bus.subscribe(&topic, "late", 10).await.unwrap();
    publish(bus, &topic, [2], Volatile).await;
    assert_eq!(take(&mut early, 2).await, [1, 2]);
    assert_eq!(take(&mut late, 1).await, [2]);
    drop(late);
    publish(bus, &topic, [3], Durable).await;
    assert_eq!(take(&mut early, 1).await, [3]);
    let mut again = bus.subscribe(&topic, "late", 10).await.unwrap();
    assert!(silent(&mut again).await, "a group that ended kept messages");
}

async fn mistakes_are_named(bus: &Bus) {
    let missing = unique("missing");
    let unknown = |error: Option<Error>| matches!(error, Some(Error::UnknownTopic { topic }) if topic == missing);
    assert!(unknown(bus.publish(&missing, numbered(1), Volatile).await.err()));
    assert!(unknown(
        bus.publish_all(vec![(missing.as_str().into(), numbered(1))])
            .await
            .err()
    ));
    assert!(unknown(bus.subscribe(&missing, "group", 1).await.err()));
    assert_eq!(bus.depth(&missing), 0);

    let topic = queue(bus, "owned").await;
    let _owner = join(bus, &topic).await;
    let taken = bus.subscribe(&topic, "other", 1).await.err();
    assert!(matches!(taken, Some(Error::GroupTaken { owner, .. }) if owner == "group"));
    let mismatch = bus.ensure_topic(&TopicConfig::broadcast(&topic)).await;
    assert!(matches!(mismatch, Err(Error::KindMismatch { .. })));

    let small = unique("small");
    bus.ensure_topic(&TopicConfig {
        max_bytes: 10,
        ..TopicConfig::queue(&small)
    })
    .await
    .unwrap();
    for durability in [Volatile, Durable] {
        let error = bus
            .publish(&small, Message::bytes(Key::None, vec![0; 11]), durability)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooLarge {
                    size: 11,
                    limit: 10,
                    ..
                }
            ) && !error.retryable(),
            "{error}"
        );
    }
}

async fn what_is_dropped_comes_back(bus: &Bus) {
    let topic = queue(bus, "dropped").await;
    let mut subscription = join(bus, &topic).await;
    for durability in [Volatile, Durable] {
        publish(bus, &topic, [1], durability).await;
        drop(next(&mut subscription).await);
        let again = next(&mut subscription).await;
        assert!((id(&again), again.redelivered(), again.attempt()) == (1, true, 2));
        again.commit();
    }
    assert!(silent(&mut subscription).await);
}

async fn a_member_that_dies_loses_nothing(bus: &Bus) {
    let topic = queue(bus, "death").await;
    publish(bus, &topic, 0..10, Volatile).await;
    let mut doomed = bus.subscribe(&topic, "group", 3).await.unwrap();
    let task = tokio::spawn(async move {
        let _held = [
            next(&mut doomed).await,
            next(&mut doomed).await,
            next(&mut doomed).await,
        ];
        panic!("the consumer dies with three messages in its hands");
    });
    assert!(task.await.unwrap_err().is_panic());
    let mut heir = join(bus, &topic).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 10 {
        let delivery = next(&mut heir).await;
        assert_eq!(delivery.redelivered(), id(&delivery) < 3, "{}", id(&delivery));
        seen.insert(id(&delivery));
        delivery.commit();
    }
}

/// The message is offered to the member that waited longest; when that one goes, the next must hear of it.
async fn a_wake_up_is_passed_on(bus: &Bus) {
    let topic = queue(bus, "passed-on").await;
    let (mut first, mut second) = (join(bus, &topic).await, join(bus, &topic).await);
    assert!(std::future::poll_fn(|cx| Poll::Ready(first.poll_next(cx).is_pending())).await);
    let waiting = tokio::spawn(async move { take(&mut second, 1).await });
    tokio::task::yield_now().await;
    publish(bus, &topic, [1], Volatile).await;
    drop(first);
    assert_eq!(waiting.await.unwrap(), [1]);
}

async fn in_flight_is_bounded(bus: &Bus) {
    let topic = queue(bus, "flight").await;
    publish(bus, &topic, 0..4, Volatile).await;
    let mut subscription = bus.subscribe(&topic, "group", 2).await.unwrap();
    let (first, second) = (next(&mut subscription).await, next(&mut subscription).await);
    assert!(silent(&mut subscription).await, "a third message is in flight");
    assert_eq!(bus.depth(&topic), 2);
    let waiting = tokio::spawn(async move {
        let third = next(&mut subscription).await;
        (third, subscription)
    });
    tokio::task::yield_now().await;
    first.commit();
    let (third, mut subscription) = waiting.await.unwrap();
    assert_eq!(id(&third), 2);
    second.commit();
    assert_eq!(take(&mut subscription, 1).await, [3]);
}

/// What a bus takes it carries; what it cannot carry it refuses as that and in the call, never later, whoever waits for the disk.
async fn what_is_too_large_is_refused_at_once(bus: &Bus) {
    let topic = unique("large");
    let bounds = TopicConfig {
        max_bytes: 4_000_000,
        ..TopicConfig::queue(&topic)
    };
    bus.ensure_topic(&bounds).await.unwrap();
    let mut subscription = join(bus, &topic).await;
    let large = |size| Message::bytes(Key::Id(7), vec![b'x'; size]);
    for size in [
        1_000_000, 1_048_000, 1_048_450, 1_048_576, 1_054_000, 1_054_600, 1_060_000, 2_100_000, 5_000_000,
    ] {
        for durability in [Volatile, Durable] {
            let refused = match bus.publish(&topic, large(size), durability).await {
                Ok(receipt) => receipt.arrived().await.map(|()| None).unwrap(),
                Err(error) => Some(error),
            };
            if let Some(error) = refused {
                assert!(matches!(error, Error::TooLarge { .. }) && !error.retryable(), "{error}");
                let batch = [numbered(1), large(size)].map(|message| (topic.as_str().into(), message));
                let error = bus.publish_all(batch.into()).await.unwrap_err();
                assert!(matches!(error, Error::TooLarge { .. }), "{error}");
                continue;
            }
            assert!(size < bounds.max_bytes, "{size} bytes were taken");
            let delivery = next(&mut subscription).await;
            assert_eq!(delivery.bytes().len(), size);
            delivery.commit();
        }
    }
    assert!(silent(&mut subscription).await, "what was refused came all the same");
    publish(bus, &topic, [2], Durable).await;
    assert_eq!(take(&mut subscription, 1).await, [2]);
}

async fn a_full_queue_refuses_at_once(bus: &Bus) {
    let topic = unique("full");
    bus.ensure_topic(&TopicConfig {
        max_messages: 3,
        ..TopicConfig::queue(&topic)
    })
    .await
    .unwrap();
    publish(bus, &topic, 0..3, Volatile).await;
    for durability in [Volatile, Durable] {
        let error = bus.publish(&topic, numbered(9), durability).await.unwrap_err();
        assert!(
            matches!(error, Error::TopicFull { messages: 3, .. }) && error.retryable(),
            "{error}"
        );
    }
    let mut subscription = join(bus, &topic).await;
    assert_eq!(take(&mut subscription, 1).await, [0]);
    publish(bus, &topic, [3], Durable).await;
    assert_eq!(take(&mut subscription, 3).await, [1, 2, 3]);
    bus.ensure_topic(&TopicConfig {
        max_messages: 5,
        ..TopicConfig::queue(&topic)
    })
    .await
    .unwrap();
    publish(bus, &topic, 0..5, Volatile).await;
}

async fn a_slow_group_is_told_of_its_gap(bus: &Bus) {
    let topic = unique("gap");
    bus.ensure_topic(&TopicConfig {
        max_messages: 3,
        ..TopicConfig::broadcast(&topic)
    })
    .await
    .unwrap();
    let mut slow = bus.subscribe(&topic, "slow", 10).await.unwrap();
    publish(bus, &topic, 0..10, Volatile).await;
    // Where reading runs beside, the first ones may come through before the group is full.
    let mut expected = 0;
    while expected < 10 {
        let delivery = next(&mut slow).await;
        assert_eq!(id(&delivery), expected + u128::from(delivery.gap()));
        expected = id(&delivery) + 1;
        delivery.commit();
    }
}

async fn a_queue_keeps_messages_for_whoever_comes(bus: &Bus) {
    let topic = queue(bus, "kept").await;
    publish(bus, &topic, 0..3, Volatile).await;
    assert_eq!(bus.depth(&topic), 3);
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    let mut subscription = join(bus, &topic).await;
    assert_eq!(take(&mut subscription, 3).await, [0, 1, 2]);
}

async fn a_wait_that_is_given_up_takes_nothing(bus: &Bus) {
    let topic = queue(bus, "given-up").await;
    let mut subscription = join(bus, &topic).await;
    assert!(silent(&mut subscription).await);
    publish(bus, &topic, [1], Volatile).await;
    assert_eq!(take(&mut subscription, 1).await, [1]);
}

async fn a_batch_is_refused_whole(bus: &Bus) {
    let (wide, narrow) = (queue(bus, "wide").await, unique("narrow"));
    bus.ensure_topic(&TopicConfig {
        max_messages: 2,
        ..TopicConfig::queue(&narrow)
    })
    .await
    .unwrap();
    let batch = |count| {
        let wide = (0..3).map(|id| (Arc::from(wide.as_str()), numbered(id)));
        wide.chain((0..count).map(|id| (Arc::from(narrow.as_str()), numbered(id))))
            .collect::<Vec<_>>()
    };
    let error = bus.publish_all(batch(3)).await.unwrap_err();
    assert!(matches!(error, Error::TopicFull { .. }), "{error}");
    assert_eq!((bus.depth(&wide), bus.depth(&narrow)), (0, 0));
    bus.publish_all(batch(2)).await.unwrap();
    assert_eq!(take(&mut join(bus, &wide).await, 3).await, [0, 1, 2]);
    assert_eq!(take(&mut join(bus, &narrow).await, 2).await, [0, 1]);
}

/// The numbers of the backlog, handed back in the end.
async fn backlog(subscription: &mut Box<dyn Subscription>) -> Vec<u128> {
    let mut held = Vec::new();
    let read = async {
        while let Some(delivery) = subscription.next_of_backlog().await {
            held.push(delivery);
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an end of the backlog");
    held.iter().map(id).collect()
}

async fn the_backlog_has_an_end(bus: &Bus) {
    let empty = queue(bus, "no-backlog").await;
    let mut subscription = join(bus, &empty).await;
    assert_eq!(backlog(&mut subscription).await, []);
    publish(bus, &empty, [7], Volatile).await;
    assert_eq!(take(&mut subscription, 1).await, [7]);

    let topic = queue(bus, "backlog").await;
    publish(bus, &topic, 0..20, Durable).await;
    // It is read whole, however few may be in flight; what comes later is not of it.
    let mut subscription = bus.subscribe(&topic, "group", 2).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 20 {
        let delivery = tokio::time::timeout(PATIENCE, subscription.next_of_backlog()).await;
        held.push(delivery.expect("all of it, in time").expect("all of it"));
    }
    assert_eq!(held.iter().map(id).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    publish(bus, &topic, [20], Durable).await;
    assert_eq!(backlog(&mut subscription).await, []);
    assert!(silent(&mut subscription).await, "more is in flight than may be");
    held.into_iter().for_each(Delivery::commit);
    assert_eq!(take(&mut subscription, 1).await, [20]);
}

async fn readers(bus: &Bus, topic: &str) -> usize {
    let standings = bus.standings().await.unwrap();
    let standing = standings.iter().find(|standing| standing.topic == topic);
    standing.expect("a declared queue stands").readers
}

async fn becomes(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}: never");
        tokio::time::sleep(SILENCE).await;
    }
}

async fn a_guest_works_off_what_its_owner_left(bus: &Bus) {
    let (topic, own) = (queue(bus, "left").await, queue(bus, "heir").await);
    publish(bus, &topic, 0..3, Durable).await;
    assert_eq!(readers(bus, &topic).await, 0);
    assert_eq!(bus.unfinished(&topic).await.unwrap(), 3);
    let mut guest = bus.stand_in(&topic, "group", 10).await.unwrap();
    let first = next(&mut guest).await;
    assert!(!first.redelivered() && id(&first) == 0);
    drop(first);
    for number in 0..3 {
        let delivery = next(&mut guest).await;
        assert_eq!(id(&delivery), number);
        bus.publish(&own, delivery.pass_on(), Durable).await.unwrap();
        delivery.commit();
    }
    drop(guest);
    becomes("the guest leaves", async || readers(bus, &topic).await == 0).await;
    becomes("all is finished", async || bus.unfinished(&topic).await.unwrap() == 0).await;
    bus.vacated(&topic).await;
    assert!(
        silent(&mut join(bus, &topic).await).await,
        "what was passed on is still there"
    );

    let mut heir = join(bus, &own).await;
    for number in 0..3 {
        let delivery = next(&mut heir).await;
        assert_eq!(id(&delivery), number);
        assert_eq!(delivery.redelivered(), number == 0, "what was seen stays so, {number}");
        delivery.commit();
    }
}

async fn closing_ends_everybody(bus: Bus) {
    let topic = queue(&bus, "closed").await;
    let mut subscription = join(&bus, &topic).await;
    let waiting = tokio::spawn(async move { subscription.next().await.is_none() });
    tokio::task::yield_now().await;
    bus.close().await.unwrap();
    assert!(waiting.await.unwrap());
    for durability in [Volatile, Durable] {
        assert!(matches!(
            bus.publish(&topic, numbered(1), durability).await,
            Err(Error::Closed)
        ));
    }
}

async fn uncommitted_messages_survive_and_come_first(open: &impl AsyncFn() -> Bus) {
    let bus = open().await;
    let topic = queue(&bus, "restart").await;
    publish(&bus, &topic, 0..10, Durable).await;
    publish(&bus, &topic, [VOLATILE], Volatile).await;
    let mut subscription = join(&bus, &topic).await;
    assert_eq!(take(&mut subscription, 4).await, [0, 1, 2, 3]);
    let held = next(&mut subscription).await;
    drop(subscription);
    let bus = restart(bus, open).await;
    drop(held);
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    publish(&bus, &topic, [10], Durable).await;
    let mut subscription = join(&bus, &topic).await;
    let mut expected = 4..=10;
    while !expected.is_empty() {
        let delivery = next(&mut subscription).await;
        if id(&delivery) != VOLATILE {
            assert_eq!(Some(id(&delivery)), expected.next());
            // What was never handed out may be known to be new, what was may not.
            assert!(id(&delivery) != 4 || delivery.redelivered());
            assert!(id(&delivery) != 10 || !delivery.redelivered());
        }
        delivery.commit();
    }
    let bus = restart(bus, open).await;
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    assert!(
        silent(&mut join(&bus, &topic).await).await,
        "a committed message came again"
    );
}

async fn persisting_later_is_as_good(open: &impl AsyncFn() -> Bus) {
    let bus = open().await;
    let topic = queue(&bus, "persist").await;
    let mut receipts = Vec::new();
    for id in 0..6 {
        receipts.push(bus.publish(&topic, numbered(id), Volatile).await.unwrap());
    }
    let mut subscription = join(&bus, &topic).await;
    assert_eq!(take(&mut subscription, 2).await, [0, 1]);
    // 1 is committed already; 2 is in flight and committed after; 3 is in flight and stays; 4 waits; 5 is left volatile.
    let (two, three) = (next(&mut subscription).await, next(&mut subscription).await);
    for receipt in &receipts[1..5] {
        receipt.persist().await.unwrap();
    }
    two.commit();
    drop((receipts, subscription));
    let bus = restart(bus, open).await;
    drop(three);
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    let mut subscription = join(&bus, &topic).await;
    assert_eq!(take(&mut subscription, 2).await, [3, 4]);
    // The last one was never made durable: it may be gone, or there.
    if let Ok(Some(five)) = tokio::time::timeout(SILENCE, subscription.next()).await {
        assert_eq!(id(&five), 5);
        five.commit();
    }
    assert!(silent(&mut subscription).await);
}

async fn what_an_earlier_life_left_is_the_backlog(open: &impl AsyncFn() -> Bus) {
    let bus = open().await;
    let topic = queue(&bus, "left-behind").await;
    publish(&bus, &topic, 0..30, Durable).await;
    let mut subscription = join(&bus, &topic).await;
    assert_eq!(take(&mut subscription, 10).await, (0..10).collect::<Vec<_>>());
    let held = (next(&mut subscription).await, next(&mut subscription).await);
    drop(subscription);
    let bus = restart(bus, open).await;
    drop(held);
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    let mut subscription = bus.subscribe(&topic, "group", 1).await.unwrap();
    assert_eq!(backlog(&mut subscription).await, (10..30).collect::<Vec<_>>());
}

async fn a_batch_survives_in_order(open: &impl AsyncFn() -> Bus) {
    let bus = open().await;
    let topic = queue(&bus, "batch").await;
    bus.publish_all((0..100).map(|id| (Arc::from(topic.as_str()), numbered(id))).collect())
        .await
        .unwrap();
    let bus = restart(bus, open).await;
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    assert_eq!(
        take(&mut join(&bus, &topic).await, 100).await,
        (0..100).collect::<Vec<_>>()
    );
}

async fn many_publishers_at_once_lose_nothing(open: &impl AsyncFn() -> Bus) {
    let bus = open().await;
    let topic = queue(&bus, "many").await;
    let publishers = (0..32).map(|publisher: u128| {
        let (bus, topic) = (bus.clone(), topic.clone());
        tokio::spawn(async move { publish(&bus, &topic, publisher * 20..publisher * 20 + 20, Durable).await })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let bus = restart(bus, open).await;
    bus.ensure_topic(&TopicConfig::queue(&topic)).await.unwrap();
    let seen = take(&mut join(&bus, &topic).await, 640).await;
    assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), (0..640).collect());
    for publisher in 0..32 {
        let own: Vec<_> = seen.iter().filter(|id| **id / 20 == publisher).collect();
        assert!(own.is_sorted(), "the messages of one publisher changed places");
    }
}

async fn a_publish_given_up_leaves_the_bus_usable(open: &impl AsyncFn() -> Bus) {
    let bus = open().await;
    let topic = unique("abandoned");
    bus.ensure_topic(&TopicConfig {
        max_messages: 10,
        ..TopicConfig::queue(&topic)
    })
    .await
    .unwrap();
    let mut subscription = join(&bus, &topic).await;
    for id in 0..100 {
        let publish = bus.publish(&topic, numbered(id), Durable);
        drop(tokio::time::timeout(Duration::ZERO, publish).await);
        // Whether it took effect or not, the place it held is free again after the message.
        if let Ok(Some(delivery)) = tokio::time::timeout(SILENCE, subscription.next()).await {
            delivery.commit();
        }
    }
    publish(&bus, &topic, 100..105, Durable).await;
    let mut last = 0;
    while last < 104 {
        let delivery = next(&mut subscription).await;
        last = last.max(id(&delivery));
        delivery.commit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, InProcess, Journal, open};

    #[tokio::test]
    async fn in_memory() {
        every_bus(async || open(&Config::default()).unwrap()).await;
    }

    fn journalled(dir: &std::path::Path, segment_bytes: u64) -> Config {
        Config::InProcess(InProcess {
            journal: Some(Journal {
                dir: dir.to_owned(),
                segment_bytes,
                ..Journal::default()
            }),
        })
    }

    #[tokio::test]
    async fn a_full_group_loses_its_oldest_messages() {
        let bus = open(&Config::default()).unwrap();
        let topic = TopicConfig {
            max_messages: 3,
            ..TopicConfig::broadcast("gap")
        };
        bus.ensure_topic(&topic).await.unwrap();
        let mut slow = bus.subscribe("gap", "slow", 10).await.unwrap();
        publish(&bus, "gap", 0..10, Volatile).await;
        let first = next(&mut slow).await;
        assert!((id(&first), first.gap()) == (7, 7));
        let second = next(&mut slow).await;
        assert!((id(&second), second.gap()) == (8, 0));
    }

    #[tokio::test]
    async fn with_a_journal() {
        let parent = tempfile::tempdir().unwrap();
        let number = std::cell::Cell::new(0);
        every_bus(async || {
            number.set(number.get() + 1);
            open(&journalled(&parent.path().join(number.get().to_string()), 1 << 20)).unwrap()
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        durable_bus(async || open(&journalled(dir.path(), 1 << 20)).unwrap()).await;
    }

    #[tokio::test]
    async fn with_a_journal_of_tiny_segments() {
        let dir = tempfile::tempdir().unwrap();
        durable_bus(async || open(&journalled(dir.path(), 256)).unwrap()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_several_threads() {
        every_bus(async || open(&Config::default()).unwrap()).await;
        let dir = tempfile::tempdir().unwrap();
        durable_bus(async || open(&journalled(dir.path(), 4 << 10)).unwrap()).await;
    }
}
