mod apis;
mod faults;
mod groups;
mod plans;
mod upkeep;

use std::path::Path;

use super::*;
use crate::contract::{RETAIN_COUNT, RETAIN_MS, durability};

fn config(path: Option<&Path>) -> Config {
    Config {
        path: path.map(Path::to_owned),
        retain_ms: RETAIN_MS,
        retain_count: RETAIN_COUNT,
    }
}

async fn on_file(path: &Path) -> Stores {
    open(&config(Some(path))).await.unwrap().0
}

async fn in_folder() -> (Stores, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (on_file(&dir.path().join("store.db")).await, dir)
}

mod in_memory {
    use super::*;

    async fn fresh() -> (Stores, ()) {
        (open(&config(None)).await.unwrap().0, ())
    }

    crate::contract_suite!(fresh);
}

mod file {
    crate::contract_suite!(super::in_folder);
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let stores = on_file(&path).await;
    let written = durability::write(&stores).await;
    drop(stores);
    durability::find(&on_file(&path).await, &written).await;
}

#[tokio::test]
async fn another_process_sees_and_is_seen() {
    use crate::contract::samples::*;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (server, admin) = (on_file(&path).await, on_file(&path).await);
    let before = server.subjects.generation().await.unwrap();
    server.activations.store(arcs([record(1, "guest/a", 1)])).await.unwrap();
    let uuid = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";
    admin
        .subjects
        .put_subject(&subject("guest", &[("guest", uuid, 'k')]))
        .await
        .unwrap();
    assert_ne!(server.subjects.generation().await.unwrap(), before);
    assert!(server.subjects.by_key(uuid, &key('k')).await.unwrap().is_some());
    // Even records from both sides count right: what the writers remember is checked against the file.
    for n in 0..200 {
        let by = if n % 3 == 0 { &admin } else { &server };
        let action = ["guest/a", "guest/b", "other/c"][(n / 2) as usize % 3];
        by.activations
            .store(arcs([record(10 + n, action, 10 + n as u64)]))
            .await
            .unwrap();
    }
    for (namespace, since) in [("guest", 0), ("other", 0), ("guest", 101), ("other", 60)] {
        let filter = crate::ActivationFilter {
            since: Some(since),
            ..Default::default()
        };
        let page = crate::Page { skip: 0, limit: 1000 };
        let listed = admin
            .activations
            .summaries(&ns(namespace), &filter, page)
            .await
            .unwrap()
            .len() as u64;
        assert_eq!(
            server.activations.count(&ns(namespace), &filter).await.unwrap(),
            listed,
            "{namespace} {since}"
        );
    }
    let raw = rusqlite::Connection::open(&path).unwrap();
    let wrong = "SELECT count(*) FROM epochs e WHERE n <> (SELECT count(*) FROM records r WHERE r.epoch = e.id)";
    assert_eq!(raw.query_row(wrong, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let stores = on_file(&path).await;
    durability::write(&stores).await;
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
        seen += 1;
    }
    assert_eq!(seen, 3, "database, log and its index");
}
