use super::record::{Record, scan};
use super::segment::{HEADER, marker};
use super::*;
use crate::in_process::Bus;
use crate::{Durability, Key, MessageBus, TopicConfig};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tempfile::TempDir;

/// A disk that can be told to fail; real as long as nobody does.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Faults>);

#[derive(Debug)]
struct Faults {
    room: AtomicU64,
    sync_fails: AtomicBool,
}

static DISKS: LazyLock<Mutex<HashMap<PathBuf, Disk>>> = LazyLock::new(Mutex::default);

impl Default for Faults {
    fn default() -> Self {
        Self {
            room: AtomicU64::new(u64::MAX),
            sync_fails: AtomicBool::new(false),
        }
    }
}

impl Disk {
    /// The disk under a journal.
    pub(super) fn of(dir: &Path) -> Self {
        DISKS.lock().unwrap().entry(dir.to_owned()).or_default().clone()
    }

    pub(super) fn write(&self, bytes: usize) -> Result<(), (usize, io::Error)> {
        let room = self.0.room.load(Ordering::Relaxed);
        if bytes as u64 > room {
            return Err((room as usize, io::ErrorKind::StorageFull.into()));
        }
        if room != u64::MAX {
            self.0.room.store(room - bytes as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        if self.0.sync_fails.load(Ordering::Relaxed) {
            Err(io::Error::other("device gone"))
        } else {
            Ok(())
        }
    }

    fn room(&self, bytes: u64) {
        self.0.room.store(bytes, Ordering::Relaxed);
    }
}

fn config(dir: &Path) -> config::Journal {
    config::Journal {
        dir: dir.to_owned(),
        segment_bytes: 2_000,
        max_bytes: 1 << 20,
        queue: 64,
    }
}

async fn bus(config: &config::Journal) -> Bus {
    let bus = Bus::open(&config::InProcess {
        journal: Some(config.clone()),
    })
    .unwrap();
    bus.ensure_topic(&TopicConfig::queue("work")).await.unwrap();
    bus
}

fn message(id: u128, size: usize) -> Message {
    Message::bytes(Key::Id(id), vec![id as u8; size])
}

async fn publish(bus: &Bus, id: u128, size: usize) -> Result<(), Error> {
    bus.publish("work", message(id, size), Durability::Durable)
        .await
        .map(drop)
}

/// Takes what waits, in order, and commits those that `commit` picks; the others stay in flight until the end.
async fn take(bus: &Bus, commit: impl Fn(u128) -> bool) -> Vec<u128> {
    let mut subscription = bus.subscribe("work", "test", usize::MAX).await.unwrap();
    let (mut ids, mut kept) = (Vec::new(), Vec::new());
    while bus.depth("work") > 0 {
        let delivery = subscription.next().await.unwrap();
        let Key::Id(id) = *delivery.key() else { panic!("no id") };
        assert!(delivery.bytes().iter().all(|byte| *byte == id as u8));
        ids.push(id);
        if commit(id) {
            delivery.commit()
        } else {
            kept.push(delivery)
        }
    }
    ids
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == segment::EXTENSION)
        })
        .collect();
    paths.sort();
    paths
}

fn size(dir: &Path) -> u64 {
    // The writer may drop one meanwhile.
    segments(dir)
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// A folder with the same files, as another process would find them after a SIGKILL now.
fn crashed(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for path in segments(dir) {
        // Oldest first: one that is dropped meanwhile has its messages in a later one.
        let _dropped = std::fs::copy(&path, copy.path().join(path.file_name().unwrap()));
    }
    copy
}

fn recovered(dir: &Path) -> Vec<u128> {
    let (_lock, found) = recover::open(dir).unwrap();
    let id = |restored: &Restored| match restored.message.key {
        Key::Id(id) => id,
        Key::None | Key::Text(_) => panic!("no id"),
    };
    found.messages.iter().map(|(restored, _, _)| id(restored)).collect()
}

/// The rule of a crash: what was written whole before the cut counts, message and commit alike.
fn expected(file: &[u8], cut: usize) -> Vec<u128> {
    let (mut messages, mut committed) = (Vec::new(), BTreeSet::new());
    for (record, range) in scan(&Bytes::copy_from_slice(file), HEADER, marker(file).unwrap()).records {
        match record {
            _ if range.end > cut => {}
            Record::Message { seq, message, .. } => {
                let Key::Id(id) = message.key else { panic!("no id") };
                messages.push((seq, id));
            }
            Record::Commits(seqs) => committed.extend(seqs),
        }
    }
    messages
        .into_iter()
        .filter(|(seq, _)| !committed.contains(seq))
        .map(|(_, id)| id)
        .collect()
}

/// A journal of one segment with messages and commits mixed.
async fn mixed(dir: &Path) -> Vec<u8> {
    let config = config::Journal {
        segment_bytes: 1 << 20,
        ..config(dir)
    };
    let bus = bus(&config).await;
    for round in 0..4_u128 {
        for id in 0..5 {
            publish(&bus, round * 5 + id, (id as usize) * 7).await.unwrap();
        }
        assert_eq!(
            take(&bus, |id| id % 3 == round % 3).await.last(),
            Some(&(round * 5 + 4))
        );
    }
    bus.close().await.unwrap();
    drop(bus);
    let path = segments(dir).pop().unwrap();
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn killed_at_any_byte_nothing_written_is_lost_and_nothing_else_appears() {
    let dir = TempDir::new().unwrap();
    let file = mixed(dir.path()).await;
    let mut seen = BTreeSet::new();
    for cut in 0..=file.len() {
        let after = TempDir::new().unwrap();
        let path = segment_path(after.path(), 1);
        std::fs::write(&path, &file[..cut]).unwrap();
        let found = recovered(after.path());
        assert_eq!(found, expected(&file, cut), "cut at {cut} of {}", file.len());
        assert!(
            !path.exists() || recovered(after.path()) == found,
            "a second start sees the same"
        );
        seen.insert(found);
    }
    assert!(seen.len() > 20, "the cuts did not hit the records: {}", seen.len());
}

#[tokio::test]
async fn garbage_behind_the_last_write_is_cut() {
    let dir = TempDir::new().unwrap();
    let file = mixed(dir.path()).await;
    let path = segments(dir.path()).pop().unwrap();
    for garbage in [&[0; 100][..], &[255; 3], &file[8..24]] {
        std::fs::write(&path, [&file, garbage].concat()).unwrap();
        assert_eq!(recovered(dir.path()), expected(&file, file.len()));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), file.len() as u64);
    }
}

#[tokio::test]
async fn a_damaged_byte_costs_one_record_only() {
    let dir = TempDir::new().unwrap();
    let file = mixed(dir.path()).await;
    let marker = marker(&file).unwrap();
    let whole = scan(&Bytes::copy_from_slice(&file), HEADER, marker).records.len();
    for at in HEADER..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x55;
        let found = scan(&Bytes::from(damaged), HEADER, marker);
        assert_eq!(found.records.len(), whole - 1, "byte {at}");
        assert!(
            found.damaged.len() == 1 || found.end < file.len(),
            "byte {at} goes unreported"
        );
    }
}

#[tokio::test]
async fn a_record_forged_in_a_message_is_not_believed() {
    let dir = TempDir::new().unwrap();
    let mut forged = Vec::new();
    record::put_message(&mut forged, 7, 99, "work", &Key::Id(666), b"evil");
    let bus = bus(&config(dir.path())).await;
    bus.publish("work", Message::bytes(Key::Id(1), forged), Durability::Durable)
        .await
        .unwrap();
    publish(&bus, 2, 10).await.unwrap();
    let path = segments(dir.path()).pop().unwrap();
    let mut file = std::fs::read(&path).unwrap();
    // The carrier's checksum breaks, so that reading looks for the next record inside it.
    file[HEADER + 12] ^= 1;
    let after = TempDir::new().unwrap();
    std::fs::write(segment_path(after.path(), 1), &file).unwrap();
    assert_eq!(recovered(after.path()), [2]);
}

#[tokio::test]
async fn a_full_disk_refuses_loses_nothing_and_recovers() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config(dir.path())).await;
    publish(&bus, 1, 100).await.unwrap();
    for room in [0, 1, 17, 100] {
        Disk::of(dir.path()).room(room);
        let error = publish(&bus, 2, 100).await.unwrap_err();
        assert!(
            matches!(&error, Error::DiskFull { path } if path.starts_with(dir.path())),
            "{error}"
        );
        assert_eq!(bus.depth("work"), 1, "a refused message must not be delivered");
        assert_eq!(recovered(crashed(dir.path()).path()), [1]);
    }
    Disk::of(dir.path()).room(u64::MAX);
    publish(&bus, 3, 100).await.unwrap();
    assert_eq!(recovered(crashed(dir.path()).path()), [1, 3]);
    assert_eq!(take(&bus, |_| true).await, [1, 3]);
}

#[tokio::test]
async fn a_start_on_a_full_disk_delivers_what_is_there() {
    let dir = TempDir::new().unwrap();
    let first = bus(&config(dir.path())).await;
    publish(&first, 1, 10).await.unwrap();
    drop(first);
    Disk::of(dir.path()).room(5);
    let second = bus(&config(dir.path())).await;
    assert!(matches!(publish(&second, 2, 10).await, Err(Error::DiskFull { .. })));
    assert_eq!(take(&second, |_| true).await, [1]);
    Disk::of(dir.path()).room(u64::MAX);
    publish(&second, 3, 10).await.unwrap();
    second.close().await.unwrap();
    assert_eq!(recovered(crashed(dir.path()).path()), [3]);
}

#[tokio::test]
async fn commits_made_while_the_disk_is_full_are_noted_later() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config(dir.path())).await;
    publish(&bus, 1, 10).await.unwrap();
    publish(&bus, 2, 10).await.unwrap();
    Disk::of(dir.path()).room(0);
    take(&bus, |id| id == 1).await;
    assert!(publish(&bus, 3, 10).await.is_err());
    Disk::of(dir.path()).room(u64::MAX);
    publish(&bus, 4, 10).await.unwrap();
    assert_eq!(recovered(crashed(dir.path()).path()), [2, 4]);
}

#[tokio::test]
async fn a_disk_that_cannot_sync_acknowledges_nothing_and_gets_a_new_file() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config(dir.path())).await;
    publish(&bus, 1, 10).await.unwrap();
    Disk::of(dir.path()).0.sync_fails.store(true, Ordering::Relaxed);
    let error = publish(&bus, 2, 10).await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot sync ") && error.retryable(),
        "{error}"
    );
    Disk::of(dir.path()).0.sync_fails.store(false, Ordering::Relaxed);
    publish(&bus, 3, 10).await.unwrap();
    assert_eq!(segments(dir.path()).len(), 2);
    assert_eq!(recovered(crashed(dir.path()).path()), [1, 3]);
}

#[tokio::test]
async fn a_persist_that_failed_can_be_tried_again() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config(dir.path())).await;
    let receipt = bus.publish("work", message(1, 10), Durability::Volatile).await.unwrap();
    Disk::of(dir.path()).room(0);
    assert!(receipt.persist().await.is_err());
    assert!(
        receipt.persist().await.is_err(),
        "a failure must not be remembered as success"
    );
    Disk::of(dir.path()).room(u64::MAX);
    receipt.persist().await.unwrap();
    receipt.persist().await.unwrap();
    assert_eq!(recovered(crashed(dir.path()).path()), [1]);
    assert_eq!(bus.depth("work"), 1, "persisting is not publishing again");
}

#[tokio::test]
async fn a_journal_at_its_limit_refuses_until_messages_are_committed() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config::Journal {
        max_bytes: 10_000,
        ..config(dir.path())
    })
    .await;
    let mut accepted = 0;
    let error = loop {
        match publish(&bus, accepted, 500).await {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::JournalFull { limit: 10_000, .. }), "{error}");
    assert!(accepted >= 15, "{accepted}");
    assert_eq!(take(&bus, |_| true).await.len() as u128, accepted);
    while publish(&bus, 100, 500).await.is_err() {}
    assert_eq!(recovered(crashed(dir.path()).path()), [100]);
}

#[tokio::test]
async fn the_disk_stays_bounded_behind_a_message_that_nobody_finishes() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config::Journal {
        max_bytes: 20_000,
        ..config(dir.path())
    })
    .await;
    publish(&bus, 7, 300).await.unwrap();
    let mut subscription = bus.subscribe("work", "test", 10).await.unwrap();
    let stuck = subscription.next().await.unwrap();
    for id in 100..1_000 {
        // A commit is noted a moment later than made, so at the limit a publish may be early.
        while publish(&bus, id, 300).await.is_err() {}
        subscription.next().await.unwrap().commit();
        assert!(size(dir.path()) < 22_000, "{} bytes", size(dir.path()));
    }
    bus.close().await.unwrap();
    assert_eq!(recovered(crashed(dir.path()).path()), [7]);
    stuck.commit();
}

#[tokio::test]
async fn segments_go_when_all_is_committed() {
    let dir = TempDir::new().unwrap();
    let journal = config(dir.path());
    let first = bus(&journal).await;
    for id in 0..50 {
        publish(&first, id, 300).await.unwrap();
    }
    assert!(segments(dir.path()).len() > 5);
    take(&first, |_| true).await;
    first.close().await.unwrap();
    drop(first);
    assert_eq!(segments(dir.path()).len(), 1);
}

/// A number that was given once must never be given again while its commit mark is in a file.
#[tokio::test]
async fn numbers_are_not_reused_after_a_restart() {
    let dir = TempDir::new().unwrap();
    for round in 0..5 {
        let bus = bus(&config(dir.path())).await;
        for id in 0..20 {
            publish(&bus, round * 100 + id, 150).await.unwrap();
        }
        take(&bus, |id| id % 100 != 19).await;
        let after = crashed(dir.path());
        bus.close().await.unwrap();
        drop(bus);
        let left: Vec<_> = (0..=round).map(|round| round * 100 + 19).collect();
        assert_eq!(recovered(dir.path()), left);
        assert!(recovered(after.path()).ends_with(&[round * 100 + 19]));
    }
}

/// Compaction can leave a mark whose message is in no file any more.
#[test]
fn a_number_known_only_by_its_mark_is_not_reused() {
    let dir = TempDir::new().unwrap();
    let mut segment = segment::Segment::create(dir.path(), 1).unwrap();
    let mut records = Vec::new();
    record::put_message(&mut records, segment.marker, 3, "work", &Key::Id(3), b"");
    record::put_commits(&mut records, segment.marker, &[7, 5]);
    segment.append(&records, true).unwrap();
    let (_lock, found) = recover::open(dir.path()).unwrap();
    assert_eq!((found.next_seq, found.next_segment, found.messages.len()), (8, 2, 1));
}

#[tokio::test]
async fn a_message_committed_while_it_is_persisted_does_not_come_again() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config(dir.path())).await;
    let mut subscription = bus.subscribe("work", "test", 1).await.unwrap();
    for id in 0..200 {
        let receipt = bus
            .publish("work", message(id, 10), Durability::Volatile)
            .await
            .unwrap();
        let delivery = subscription.next().await.unwrap();
        let (persisted, ()) = tokio::join!(receipt.persist(), async { delivery.commit() });
        persisted.unwrap();
    }
    bus.close().await.unwrap();
    assert_eq!(recovered(crashed(dir.path()).path()), []);
}

#[tokio::test]
async fn a_commit_is_noted_once() {
    let dir = TempDir::new().unwrap();
    let bus = bus(&config::Journal {
        segment_bytes: 1 << 20,
        ..config(dir.path())
    })
    .await;
    for id in 0..20 {
        publish(&bus, id, 10).await.unwrap();
        take(&bus, |_| true).await;
    }
    bus.close().await.unwrap();
    let file = Bytes::from(std::fs::read(segments(dir.path()).pop().unwrap()).unwrap());
    let marks = scan(&file, HEADER, marker(&file).unwrap())
        .records
        .into_iter()
        .map(|(record, _)| match record {
            Record::Commits(seqs) => seqs.len(),
            Record::Message { .. } => 0,
        });
    assert_eq!(marks.sum::<usize>(), 20);
}

#[tokio::test]
async fn a_journal_is_for_one_process() {
    let dir = TempDir::new().unwrap();
    let first = bus(&config(dir.path())).await;
    let second = Bus::open(&config::InProcess {
        journal: Some(config(dir.path())),
    });
    assert!(matches!(second.err(), Some(Error::InUse { dir: held }) if held == dir.path()));
    drop(first);
    bus(&config(dir.path())).await;
}

#[tokio::test]
async fn a_segment_without_a_readable_head_is_put_aside() {
    let dir = TempDir::new().unwrap();
    std::fs::write(segment_path(dir.path(), 1), b"FWBUS").unwrap();
    std::fs::write(segment_path(dir.path(), 2), [9; 100]).unwrap();
    assert!(recovered(dir.path()).is_empty());
    assert!(segments(dir.path()).is_empty());
    assert!(segment_path(dir.path(), 2).with_extension("damaged").exists());
}
