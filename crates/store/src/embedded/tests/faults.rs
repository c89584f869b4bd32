//! Full disks, damaged documents, files that are not ours.

use rusqlite::Connection;

use super::*;
use crate::contract::samples::*;
use crate::embedded::database::Database;
use crate::{ActivationFilter, EntityStore, Error, Expected, Page};

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let database = Arc::new(Database::on_file(&path).unwrap());
    let store = entities::Entities::new(database.clone());
    store
        .put(&action_with("guest/before", 1, "x"), Expected::Absent)
        .await
        .unwrap();
    let limit = async |pages: i64| {
        let set = move |session: &mut writer::Session| {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            Ok(session.conn.query_row(&pragma, [], |row| row.get::<_, i64>(0))?)
        };
        database.write(set).await.unwrap()
    };
    let used = limit(1).await;
    limit(used).await;
    let large = "y".repeat(200_000);
    let refused = store
        .put(&action_with("guest/large", 2, &large), Expected::Absent)
        .await;
    match refused {
        Err(Error::Full { path: named }) => assert_eq!(named, path.display().to_string()),
        other => panic!("{other:?}"),
    }
    assert!(
        store.get(&full("guest/large")).await.unwrap().is_none(),
        "nothing of it stays"
    );
    assert!(store.get(&full("guest/before")).await.unwrap().is_some());
    limit(1_000_000).await;
    store
        .put(&action_with("guest/large", 3, &large), Expected::Absent)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_damaged_document_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let stores = on_file(&path).await;
    durability::write(&stores).await;
    let raw = Connection::open(&path).unwrap();
    raw.execute("UPDATE entities SET doc = substr(doc, 2) WHERE key = 'durable/a'", [])
        .unwrap();
    raw.execute("UPDATE records SET body = '{}' WHERE row = 1", []).unwrap();
    raw.execute("UPDATE limits SET doc = x'ff'", []).unwrap();
    let named = |error: Error| match error {
        Error::Corrupted { id, reason } => (id, reason),
        other => panic!("{other:?}"),
    };
    let (id, _) = named(stores.entities.get(&full("durable/a")).await.unwrap_err());
    assert_eq!(id, "durable/a");
    let zero = wsk_entities::ActivationId::from_bits(0);
    let (id, reason) = named(stores.activations.get(&ns("durable"), zero).await.unwrap_err());
    assert_eq!(
        (id.as_str(), reason.contains("response")),
        ("00000000000000000000000000000000", true),
        "{reason}"
    );
    let (all, last) = (ActivationFilter::default(), Page { skip: 99, limit: 1 });
    let summaries = stores.activations.summaries(&ns("durable"), &all, last).await.unwrap();
    assert_eq!(
        summaries.len(),
        1,
        "the summary of a damaged record can still be listed"
    );
    assert!(stores.subjects.limits(&ns("durable")).await.is_err());
    assert!(stores.entities.get(&full("durable/p")).await.unwrap().is_some());
}

#[tokio::test]
async fn files_of_others_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(
        path("text"),
        "not a database, but quite long enough to be taken for one by its size alone",
    )
    .unwrap();
    Connection::open(path("foreign"))
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    drop(on_file(&path("newer")).await);
    Connection::open(path("newer"))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    for (name, says) in [
        ("text", "not a database"),
        ("foreign", "another program"),
        ("newer", "version 99"),
    ] {
        let before = std::fs::read(path(name)).unwrap();
        match open(&config(Some(&path(name)))).await {
            Err(Error::Unusable(text)) => {
                assert!(
                    text.contains(says) && text.contains(name) && !text.contains('\n'),
                    "{text}"
                );
            }
            Err(other) => panic!("{name}: {other:?}"),
            Ok(_) => panic!("{name} was opened"),
        }
        assert_eq!(std::fs::read(path(name)).unwrap(), before, "{name}");
    }
    let nowhere = open(&config(Some(&path("missing/folder/store.db")))).await;
    assert!(matches!(nowhere, Err(Error::Unavailable(text)) if text.contains("missing/folder")));
}
