//! The contract of APIs, and files that older programs made.

use std::sync::Arc;

use super::config;
use crate::contract::apis::api;
use crate::{ApiStore, Config, Expected};

async fn open(path: Option<&std::path::Path>) -> Arc<dyn ApiStore> {
    crate::open_all(&Config::Embedded(config(path))).await.unwrap().1
}

mod in_memory {
    use super::*;

    async fn fresh() -> (Arc<dyn ApiStore>, ()) {
        (open(None).await, ())
    }

    crate::api_contract_suite!(fresh);
}

mod file {
    use super::*;

    async fn fresh() -> (Arc<dyn ApiStore>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (open(Some(&dir.path().join("store.db"))).await, dir)
    }

    crate::api_contract_suite!(fresh);
}

#[tokio::test]
async fn apis_are_there_after_reopening_and_in_older_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    drop(open(Some(&path)).await);
    // As an older program left it.
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("DROP TABLE apis; DROP TABLE subscriptions; DELETE FROM counters WHERE name = 'apis'")
        .unwrap();
    drop(raw);
    let store = open(Some(&path)).await;
    let revision = store.put_api(&api("/a", 1), Expected::Absent).await.unwrap();
    drop(store);
    let store = open(Some(&path)).await;
    let found = store.apis(&api("/a", 1).tenant).await.unwrap();
    assert_eq!(
        (found[0].value.clone(), found[0].revision.clone()),
        (api("/a", 1), revision)
    );
}
