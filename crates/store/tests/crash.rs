//! A process that writes under load is killed at random moments; whatever it had acknowledged is there afterwards.
//!
//! The test starts itself again as that process: [`writes_until_killed`] runs for real only with [`FILE`] in its
//! environment. It prints a line for each acknowledged write, and only then.

#![expect(clippy::unwrap_used, reason = "everything here is a test or the process of one")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wsk_entities::ActivationId;
use wsk_store::contract::samples::{Dice, arcs, full, key, ns, path, record, subject, trigger};
use wsk_store::{ActivationFilter, Config, EmbeddedConfig, Expected, Page, Stores, Visibility};

const FILE: &str = "STORE_CRASH_FILE";
const ROUND: &str = "STORE_CRASH_ROUND";
const ROUNDS: u64 = 12;
const UUID: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";

async fn open(file: &Path) -> Stores {
    let config = EmbeddedConfig {
        path: Some(file.to_owned()),
        ..EmbeddedConfig::default()
    };
    wsk_store::open(&Config::Embedded(config)).await.unwrap()
}

fn acknowledge(line: String) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}

#[tokio::test]
async fn writes_until_killed() {
    let (Ok(file), Ok(round)) = (std::env::var(FILE), std::env::var(ROUND)) else {
        return;
    };
    let round: u64 = round.parse().unwrap();
    let stores = open(Path::new(&file)).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4u64 {
        let (recording, changing) = (stores.clone(), stores.clone());
        writers.spawn(async move {
            for n in 0.. {
                let first = (round << 40) | (writer << 32) | (n << 8);
                let ids = (0..1 + n % 40).map(|i| u128::from(first + i));
                let records: Vec<_> = ids
                    .clone()
                    .map(|id| record(id, &format!("guest/a{}", id % 9), first))
                    .collect();
                recording.activations.store(arcs(records)).await.unwrap();
                acknowledge(ids.map(|id| format!("record {id}\n")).collect());
            }
        });
        writers.spawn(async move {
            for n in 0.. {
                let name = format!("guest/r{round}w{writer}n{n}");
                let put = changing
                    .entities
                    .put(&trigger(&name, n), Expected::Absent)
                    .await
                    .unwrap();
                acknowledge(format!("put {name} {}\n", put.revision.0));
                if n % 3 == 0 {
                    changing.entities.delete(&full(&name), &put.revision).await.unwrap();
                    acknowledge(format!("deleted {name}\n"));
                }
            }
        });
    }
    writers.spawn(async move {
        for n in 0.. {
            let uuid = format!("{:08x}{}", (round << 16) + n, &UUID[8..]);
            stores
                .subjects
                .put_subject(&subject("guest", &[("guest", &uuid, 'k')]))
                .await
                .unwrap();
            acknowledge(format!("subject {uuid}\n"));
        }
    });
    writers.join_next().await;
}

fn start(file: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_killed", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The acknowledgements of a process that is killed after about this many.
fn acknowledged(mut child: Child, lines: u64) -> Vec<String> {
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut seen = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        // A line without its end was cut by the kill.
        if line.ends_with('\n') {
            seen.push(line.trim_end().to_owned());
        }
        if seen.len() as u64 == lines {
            child.kill().unwrap();
        }
        line.clear();
    }
    child.wait().unwrap();
    seen
}

async fn check(stores: &Stores, acknowledged: &[String]) {
    let deleted: Vec<&str> = acknowledged.iter().filter_map(|l| l.strip_prefix("deleted ")).collect();
    let mut newest_subject = None;
    for line in acknowledged {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("record"), Some(id), None) => {
                let id = ActivationId::from_bits(id.parse().unwrap());
                assert!(
                    stores.activations.get(&ns("guest"), id).await.unwrap().is_some(),
                    "{line}"
                );
            }
            (Some("put"), Some(name), Some(revision)) => match stores.entities.get(&full(name)).await.unwrap() {
                Some(stored) => {
                    assert_eq!(&*stored.revision.0, revision, "{line}");
                    assert!(!deleted.contains(&name), "{name} is back");
                }
                // A deletion may be done without having been acknowledged; those names end in a multiple of three.
                None => assert!(
                    name.rsplit('n').next().unwrap().parse::<u64>().unwrap() % 3 == 0,
                    "{line}"
                ),
            },
            (Some("subject"), Some(uuid), None) => newest_subject = Some(uuid.to_owned()),
            _ => {}
        }
    }
    let guest = stores.subjects.subject("guest").await.unwrap();
    if let Some(newest) = newest_subject {
        let uuid = guest.unwrap().namespaces[0].uuid.clone();
        assert!(uuid >= newest, "{uuid} is older than {newest}");
        assert!(stores.subjects.by_key(&uuid, &key('k')).await.unwrap().is_some());
    }
}

/// Counts are kept beside the records: they must have survived together.
async fn counts_are_right(stores: &Stores) {
    let page = Page {
        skip: 0,
        limit: u64::MAX,
    };
    for name in [None, Some("a3".to_owned())] {
        let filter = ActivationFilter {
            name,
            ..ActivationFilter::default()
        };
        let listed = stores
            .activations
            .summaries(&ns("guest"), &filter, page)
            .await
            .unwrap()
            .len() as u64;
        assert_eq!(stores.activations.count(&ns("guest"), &filter).await.unwrap(), listed);
    }
    let triggers = wsk_entities::Collection::Triggers;
    let listed = stores
        .entities
        .list(triggers, &path("guest"), Visibility::All, page)
        .await
        .unwrap()
        .len() as u64;
    assert_eq!(
        stores
            .entities
            .count(triggers, &path("guest"), Visibility::All)
            .await
            .unwrap(),
        listed
    );
}

#[tokio::test]
async fn acknowledged_writes_survive_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut dice = Dice::new(seed);
    let mut all = Vec::new();
    for round in 1..=ROUNDS {
        let lines = 1 + dice.below(3_000);
        let acknowledged = acknowledged(start(&file, round), lines);
        let opening = Instant::now();
        let stores = open(&file).await;
        let opened = opening.elapsed();
        println!(
            "round {round} (seed {seed}): {} lines, opened in {opened:?}",
            acknowledged.len()
        );
        check(&stores, &acknowledged).await;
        counts_are_right(&stores).await;
        all.extend(acknowledged);
    }
    let stores = open(&file).await;
    let records: Vec<String> = all.into_iter().filter(|l| l.starts_with("record")).collect();
    check(&stores, &records).await;
}
