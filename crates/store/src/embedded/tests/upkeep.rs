//! What keeps the file small and open to others.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::*;
use crate::contract::samples::*;

#[tokio::test]
async fn the_file_stays_flat_under_retention() {
    let (stores, dir) = in_folder().await;
    let raw = Connection::open(dir.path().join("store.db")).unwrap();
    let number = |sql: &str| raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let mut pages = Vec::new();
    for round in 0..40u64 {
        // New names all the time, as when every call has its own action.
        let of = |n: u64| {
            record(
                u128::from(round * 1000 + n),
                &format!("ns{}/a{round}-{n}", round / 9),
                round * 200 + n,
            )
        };
        stores.activations.store(arcs((0..200).map(of))).await.unwrap();
        stores.activations.retain(RETAIN_MS / 2).await.unwrap();
        assert_eq!(
            number("SELECT count(*) FROM records"),
            (RETAIN_COUNT as i64).min(200 * (round as i64 + 1))
        );
        pages.push(number("PRAGMA page_count"));
    }
    assert!(pages[39] <= pages[10] + pages[10] / 10, "{pages:?}");
    let kept = number("SELECT count(DISTINCT epoch) FROM records");
    assert!(
        number("SELECT count(*) FROM epochs") <= kept + 1,
        "epochs without records go"
    );
    // A batch lies in one epoch here, and a name stays until the last record of its epoch is gone.
    let names = number("SELECT count(*) FROM names");
    assert!(names <= RETAIN_COUNT as i64 + 200 + 5, "{names} names of 8000 are left");
    assert_eq!(number("SELECT sum(n) FROM tally"), RETAIN_COUNT as i64);
    assert_eq!(number("SELECT count(*) FROM tally WHERE n <= 0"), 0);
}

#[tokio::test]
async fn code_that_nothing_refers_to_leaves_no_trace() {
    use crate::Expected;
    let (stores, dir) = in_folder().await;
    let raw = Connection::open(dir.path().join("store.db")).unwrap();
    let mut last = None;
    for n in 0..20 {
        let code = n.to_string().repeat(100_000);
        let expected = last.map_or(Expected::Absent, Expected::Revision);
        let put = stores
            .entities
            .put(&action_with("guest/a", n, &code), expected)
            .await
            .unwrap();
        last = Some(put.revision);
    }
    let count: i64 = raw
        .query_row("SELECT count(*) FROM code", [], |row| row.get(0))
        .unwrap();
    let pages: i64 = raw.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    assert!(pages < 250, "freed pages are used again: {pages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_gets_a_turn_under_load() {
    let (server, dir) = in_folder().await;
    let admin = on_file(&dir.path().join("store.db")).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut load = Vec::new();
    for writer in 0..4u128 {
        let (server, done) = (server.clone(), done.clone());
        load.push(tokio::spawn(async move {
            let mut id = writer << 64;
            while !done.load(Ordering::SeqCst) {
                let batch = (0..50).map(|n| record(id + n, "guest/a", 5));
                server.activations.store(arcs(batch)).await.unwrap();
                id += 50;
            }
        }));
    }
    for n in 0..5u32 {
        let uuid = format!("{n:08x}-71f6-4ed5-8c54-816aa4f8c502");
        let before = server.subjects.generation().await.unwrap();
        admin
            .subjects
            .put_subject(&subject("guest", &[("guest", &uuid, 'k')]))
            .await
            .unwrap();
        assert_ne!(server.subjects.generation().await.unwrap(), before);
    }
    done.store(true, Ordering::SeqCst);
    for writer in load {
        writer.await.unwrap();
    }
}
