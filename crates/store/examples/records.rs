//! What a stored record costs: processor time per record by batch size, number of actions and kind of id, then the times
//! of lists, counts and opening with what was written.
//!
//! `cargo run --release -p wsk-store --example records -- [RECORDS] [FOLDER]`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use wsk_entities::{Activation, ActivationId, Json, Timestamp};
use wsk_store::contract::samples::{Dice, action, ns, path, record};
use wsk_store::{ActivationFilter, Config, EmbeddedConfig, Expected, Page, Stores, Visibility};

/// How ids come about.
#[derive(Debug, Clone, Copy)]
enum Ids {
    Random,
    /// The upper bits are the time.
    Ordered,
}

async fn open(file: &Path) -> Stores {
    let config = EmbeddedConfig {
        path: Some(file.to_owned()),
        retain_ms: 0,
        retain_count: 0,
    };
    wsk_store::open(&Config::Embedded(config))
        .await
        .expect("the store opens")
}

/// User and system time of this process.
fn processor() -> (Duration, Duration) {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage of oneself");
    let time = |t: nix::sys::time::TimeVal| Duration::from_micros(t.num_microseconds() as u64);
    (time(usage.user_time()), time(usage.system_time()))
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|l| l.starts_with("VmRSS")).expect("a line");
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number")
}

/// A record as the invoker writes them.
fn realistic(dice: &mut Dice, ids: Ids, action: u64, start: Timestamp) -> Arc<Activation> {
    let random = |dice: &mut Dice| u128::from(dice.below(1 << 52));
    let low = random(dice) << 40 ^ random(dice);
    let id = match ids {
        Ids::Random => (random(dice) << 80) ^ low,
        Ids::Ordered => (u128::from(start) << 80) | (low >> 24),
    };
    let mut record = record(id, &format!("guest/action-{action}"), start);
    let set = |record: &mut Activation, key: &str, json: &str| {
        record.annotations.set(key, Json::parse(json).expect("JSON"));
    };
    set(&mut record, "waitTime", "12");
    set(&mut record, "kind", "\"nodejs:20\"");
    set(&mut record, "timeout", "false");
    set(
        &mut record,
        "limits",
        r#"{"concurrency":1,"logs":10,"memory":256,"timeout":60000}"#,
    );
    record.activation_id = ActivationId::from_bits(id);
    Arc::new(record)
}

async fn write(stores: &Stores, records: u64, batch: u64, actions: u64, ids: Ids, from: Timestamp) {
    let mut dice = Dice::new(from);
    let (mut user, mut system, mut wall) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut written = 0;
    while written < records {
        // Made in portions, whose making is not counted.
        let portion: Vec<Vec<_>> = (0..(20_000 / batch).max(1))
            .map(|b| {
                let number = |n: u64| written + b * batch + n;
                (0..batch)
                    .map(|n| realistic(&mut dice, ids, number(n) % actions, from + number(n) / 10))
                    .collect()
            })
            .collect();
        let (before, started) = (processor(), Instant::now());
        for batch in portion {
            written += batch.len() as u64;
            stores.activations.store(batch).await.expect("stored");
        }
        let after = processor();
        (user, system, wall) = (
            user + after.0 - before.0,
            system + after.1 - before.1,
            wall + started.elapsed(),
        );
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / written as f64;
    println!(
        "batch {batch:>4}, {actions:>4} actions, {ids:<7?}: {:6.2} us user + {:5.2} us system = {:6.2} us, {:>7.0} records/s",
        each(user),
        each(system),
        each(user + system),
        written as f64 / wall.as_secs_f64()
    );
}

async fn timed<T>(what: &str, work: impl AsyncFn() -> T) -> T {
    let mut times = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        work().await;
        times.push(started.elapsed());
    }
    times.sort();
    println!("{what:<60} {:>10.3?} (first or slowest {:.3?})", times[2], times[4]);
    work().await
}

async fn read(stores: &Stores) {
    let (guest, all) = (ns("guest"), ActivationFilter::default());
    let named = ActivationFilter {
        name: Some("action-7".to_owned()),
        ..all.clone()
    };
    let total = timed("count", async || {
        stores.activations.count(&guest, &all).await.expect("a count")
    })
    .await;
    println!("{total} records");
    timed("count by name", async || {
        stores.activations.count(&guest, &named).await.expect("a count")
    })
    .await;
    for skip in [0, total / 2, total.saturating_sub(30)] {
        let page = Page { skip, limit: 30 };
        let list = async || {
            stores
                .activations
                .summaries(&guest, &all, page)
                .await
                .expect("a page")
                .len()
        };
        timed(&format!("page of 30 after {skip}"), list).await;
    }
    let page = Page { skip: 0, limit: 200 };
    timed("page of 200 by name", async || {
        stores
            .activations
            .summaries(&guest, &named, page)
            .await
            .expect("a page")
    })
    .await;
    timed("200 whole records", async || {
        stores.activations.records(&guest, &all, page).await.expect("a page")
    })
    .await;
    let first = stores
        .activations
        .summaries(&guest, &all, page)
        .await
        .expect("a page")
        .remove(0)
        .activation_id;
    timed("one record", async || {
        stores.activations.get(&guest, first).await.expect("readable")
    })
    .await;
    let actions = wsk_entities::Collection::Actions;
    let list = async || {
        stores
            .entities
            .list(actions, &path("guest"), Visibility::All, page)
            .await
            .expect("a page")
    };
    timed("page of 200 actions", list).await;
    let count = async || {
        stores
            .entities
            .count(actions, &path("guest"), Visibility::All)
            .await
            .expect("a count")
    };
    timed("count of actions", count).await;
}

/// Writes everything, then ends as a killed process does: the log is left for the next to recover.
async fn write_all(file: &Path, records: u64) {
    let stores = open(file).await;
    let mut from = 1_700_000_000_000;
    for ids in [Ids::Ordered, Ids::Random] {
        for (batch, actions) in [(1, 1), (8, 1), (32, 1), (256, 1), (32, 1000), (256, 1000)] {
            let some = if batch == 1 { records / 10 } else { records };
            write(&stores, some, batch, actions, ids, from).await;
            from += records;
        }
    }
    let started = Instant::now();
    let mut puts = tokio::task::JoinSet::new();
    for n in 0..10_000u64 {
        let entities = stores.entities.clone();
        puts.spawn(async move {
            entities
                .put(&action(&format!("guest/action-{n}"), n), Expected::Absent)
                .await
                .expect("stored")
        });
    }
    puts.join_all().await;
    println!("10,000 actions put in {:?}", started.elapsed());
    std::process::abort();
}

async fn read_all(file: &Path) {
    let before = resident();
    let started = Instant::now();
    let stores = open(file).await;
    println!("opened after a kill in {:?}", started.elapsed());
    let opened = resident();
    read(&stores).await;
    println!(
        "resident: {before} kB, opened {opened} kB, after reading {} kB",
        resident()
    );
    println!("file: {} kB", std::fs::metadata(file).expect("there").len() >> 10);
}

/// Runs this program again on a file and waits for it.
fn again(mode: &str, file: &Path, records: u64) {
    let program = std::env::current_exe().expect("a path");
    let mut command = std::process::Command::new(program);
    command
        .arg(mode)
        .arg(file)
        .arg(records.to_string())
        .status()
        .expect("it runs");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse().expect("a number of records");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--write", file, records] => write_all(Path::new(file), number(&(*records).to_owned())).await,
        ["--read", file, _] => read_all(Path::new(file)).await,
        _ => {
            let records = arguments.first().map_or(100_000, number);
            let folder = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
            let dir = tempfile::tempdir_in(folder).expect("a folder");
            let file = dir.path().join("store.db");
            again("--write", &file, records);
            again("--read", &file, records);
        }
    }
}
