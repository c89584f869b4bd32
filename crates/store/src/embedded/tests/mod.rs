mod faults;
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
    open(&config(Some(path))).await.unwrap()
}

async fn in_folder() -> (Stores, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (on_file(&dir.path().join("store.db")).await, dir)
}

mod in_memory {
    use super::*;

    async fn fresh() -> (Stores, ()) {
        (open(&config(None)).await.unwrap(), ())
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
        let action = ["guest/a", "guest/b", "other/c"][n as usize % 3];
        by.activations
            .store(arcs([record(10 + n, action, 500 - n as u64)]))
            .await
            .unwrap();
    }
    for (ns_, expected) in [("guest", 1 + 67 + 67), ("other", 66)] {
        let filter = crate::ActivationFilter::default();
        assert_eq!(server.activations.count(&ns(ns_), &filter).await.unwrap(), expected);
        let page = crate::Page {
            skip: expected - 1,
            limit: 9,
        };
        assert_eq!(
            admin
                .activations
                .summaries(&ns(ns_), &filter, page)
                .await
                .unwrap()
                .len(),
            1
        );
    }
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
