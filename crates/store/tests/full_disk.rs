//! A disk that really fills up: a small file system in a mount namespace, where the machine allows one.
//!
//! The test starts itself again inside the namespace; [`fills_the_disk`] runs for real only with [`FOLDER`] set.

#![expect(clippy::unwrap_used, reason = "everything here is a test or the process of one")]

use std::path::{Path, PathBuf};
use std::process::Command;

use wsk_entities::ActivationId;
use wsk_store::contract::samples::{action_with, arcs, full, ns, record};
use wsk_store::{ActivationFilter, Config, EmbeddedConfig, Error, Expected, Stores};

const FOLDER: &str = "STORE_SMALL_DISK";
const DONE: &str = "the small disk was filled and emptied";

async fn open(folder: &Path) -> Stores {
    let config = EmbeddedConfig {
        path: Some(folder.join("store.db")),
        ..EmbeddedConfig::default()
    };
    wsk_store::open(&Config::Embedded(config)).await.unwrap()
}

/// Stores batches from an id on until the disk is full; the first id that was refused.
async fn fill(stores: &Stores, from: u128) -> u128 {
    let batch = |first: u128| arcs((0..20).map(|n| record(first + n, "guest/a", 5)));
    let mut next = from;
    loop {
        match stores.activations.store(batch(next)).await {
            Ok(()) => next += 20,
            Err(Error::Full { path }) => {
                assert!(path.ends_with("store.db"), "{path}");
                return next;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn all_there(stores: &Stores, upto: u128) {
    for id in 0..upto {
        let got = stores
            .activations
            .get(&ns("guest"), ActivationId::from_bits(id))
            .await
            .unwrap();
        assert!(got.is_some(), "record {id} of {upto}");
    }
    let count = stores
        .activations
        .count(&ns("guest"), &ActivationFilter::default())
        .await
        .unwrap();
    assert_eq!(u128::from(count), upto);
}

#[tokio::test]
async fn fills_the_disk() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    std::fs::write(folder.join("ballast"), vec![1; 3 << 20]).unwrap();
    let stores = open(&folder).await;
    stores
        .entities
        .put(&action_with("guest/before", 1, "x"), Expected::Absent)
        .await
        .unwrap();
    let refused = fill(&stores, 0).await;
    assert!(refused > 100, "{refused}");
    all_there(&stores, refused).await;
    for _ in 0..3 {
        let put = stores
            .entities
            .put(&action_with("guest/late", 1, &"y".repeat(100_000)), Expected::Absent)
            .await;
        assert!(matches!(put, Err(Error::Full { .. })), "{put:?}");
    }
    drop(stores);
    let stores = open(&folder).await;
    all_there(&stores, refused).await;
    std::fs::remove_file(folder.join("ballast")).unwrap();
    stores
        .entities
        .put(&action_with("guest/late", 1, &"y".repeat(100_000)), Expected::Absent)
        .await
        .unwrap();
    let refused_later = fill(&stores, refused).await;
    assert!(refused_later > refused);
    all_there(&stores, refused_later).await;
    assert!(stores.entities.get(&full("guest/before")).await.unwrap().is_some());
    println!("{DONE}");
}

#[test]
fn a_full_disk_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=6m none "$1" && exec "$0" --exact fills_the_disk --nocapture"#;
    let inside = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .args([std::env::current_exe().unwrap(), dir.path().to_owned()])
        .env(FOLDER, dir.path())
        .output();
    match inside {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("fills_the_disk") => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                text.contains(DONE),
                "{text}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output) => println!(
            "skipped, no mount namespace: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => println!("skipped, no unshare: {error}"),
    }
}
