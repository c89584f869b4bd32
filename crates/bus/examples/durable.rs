//! How much of a raw "append, fdatasync" loop with group commit the journalled bus reaches: durable publishes by many
//! publishers, a batch per publish, and volatile publish-to-next latency beside them.
//!
//! `cargo run --release -p wsk-bus --example durable -- [FOLDER]`; put the folder on the disk that is to be measured.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use wsk_bus::{Config, Durability, InProcess, Journal, Key, Message, MessageBus, TopicConfig};

const PUBLISHERS: usize = 64;
const BODY: usize = 600;
const SPAN: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
const BATCH: usize = 100;

type Waiting = oneshot::Sender<()>;

fn main() {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("a folder to write in");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (mut raw, mut bus, mut ratios, mut batched) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let dir = folder.path().join(round.to_string());
        raw.push(runtime.block_on(raw_rate(&dir.with_extension("raw"), 1)));
        bus.push(runtime.block_on(bus_rate(&dir)));
        ratios.push(bus[round] / raw[round]);
        let raw_batch = runtime.block_on(raw_rate(&dir.with_extension("raw"), BATCH));
        batched.push(runtime.block_on(batch_rate(&dir.with_extension("batch"))) / raw_batch);
    }
    println!("raw writer         {:10.0} records/s", median(raw));
    println!("durable publishes  {:10.0} messages/s", median(bus));
    println!("ratio              {:10.2}", median(ratios));
    println!(
        "ratio of batches   {:10.2} ({BATCH} a publish, one publisher)",
        median(batched)
    );
    println!(
        "volatile publish to next to commit {:6.0} ns",
        runtime.block_on(volatile())
    );
}

/// The baseline: publishers hand records to a thread that writes what has gathered and syncs once.
async fn raw_rate(path: &Path, batch: usize) -> f64 {
    let (sender, receiver) = mpsc::channel::<(Vec<u8>, Waiting)>();
    let mut file = std::fs::File::create(path).expect("a file");
    let thread = std::thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let group: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
            let bytes: Vec<u8> = group.iter().flat_map(|(record, _)| record.iter().copied()).collect();
            file.write_all(&bytes)
                .and_then(|()| file.sync_data())
                .expect("a disk with room");
            for (_, waiting) in group {
                waiting.send(()).expect("a publisher that waits");
            }
        }
    });
    let publishers = if batch == 1 { PUBLISHERS } else { 1 };
    let rate = closed_loop(publishers, move |_| {
        let sender = sender.clone();
        async move {
            let (waiting, done) = oneshot::channel();
            sender.send((vec![7; BODY * batch], waiting)).expect("a writer");
            done.await.expect("a writer");
        }
    })
    .await;
    thread.join().expect("no panic");
    rate * batch as f64
}

async fn open(dir: &Path) -> Arc<dyn MessageBus> {
    let journal = Journal {
        dir: dir.to_owned(),
        ..Journal::default()
    };
    let bus = wsk_bus::open(&Config::InProcess(InProcess { journal: Some(journal) })).expect("a bus");
    bus.ensure_topic(&TopicConfig::queue("work")).await.expect("a topic");
    let mut subscription = bus.subscribe("work", "work", 10_000).await.expect("a subscription");
    tokio::spawn(async move {
        while let Some(delivery) = subscription.next().await {
            delivery.commit();
        }
    });
    bus
}

fn message(id: u128) -> Message {
    Message::bytes(Key::Id(id), vec![7; BODY])
}

async fn bus_rate(dir: &Path) -> f64 {
    let bus = open(dir).await;
    let publisher = bus.clone();
    let rate = closed_loop(PUBLISHERS, move |id| {
        let bus = publisher.clone();
        async move {
            bus.publish("work", message(id), Durability::Durable)
                .await
                .expect("room");
        }
    })
    .await;
    bus.close().await.expect("a disk");
    rate
}

async fn batch_rate(dir: &Path) -> f64 {
    let bus = open(dir).await;
    let (publisher, topic) = (bus.clone(), Arc::<str>::from("work"));
    let rate = closed_loop(1, move |id| {
        let (bus, topic) = (publisher.clone(), topic.clone());
        async move {
            let batch = (0..BATCH).map(|_| (topic.clone(), message(id))).collect();
            bus.publish_all(batch).await.expect("room");
        }
    })
    .await;
    bus.close().await.expect("a disk");
    rate * BATCH as f64
}

/// Runs `once` in `publishers` tasks for the span; gives calls per second.
async fn closed_loop<F: Future<Output = ()> + Send>(
    publishers: usize,
    once: impl Fn(u128) -> F + Clone + Send + 'static,
) -> f64 {
    let count = Arc::new(Mutex::new(0_u64));
    let start = Instant::now();
    let tasks: Vec<_> = (0..publishers)
        .map(|_| {
            let (once, count) = (once.clone(), count.clone());
            tokio::spawn(async move {
                let mut done = 0;
                while start.elapsed() < SPAN {
                    once(u128::from(done)).await;
                    done += 1;
                }
                *count.lock().expect("no panic") += done;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let total = *count.lock().expect("no panic");
    total as f64 / start.elapsed().as_secs_f64()
}

/// Nanoseconds for one message through the bus in memory.
async fn volatile() -> f64 {
    const MESSAGES: u32 = 200_000;
    let bus = wsk_bus::open(&Config::default()).expect("a bus");
    bus.ensure_topic(&TopicConfig::queue("work")).await.expect("a topic");
    let mut subscription = bus.subscribe("work", "work", 10).await.expect("a subscription");
    let body = bytes::Bytes::from(vec![7; BODY]);
    let start = Instant::now();
    for id in 0..MESSAGES {
        let message = Message::bytes(Key::Id(id.into()), body.clone());
        bus.publish("work", message, Durability::Volatile).await.expect("room");
        subscription.next().await.expect("open").commit();
    }
    start.elapsed().as_nanos() as f64 / f64::from(MESSAGES)
}
