//! What the data folder and the configuration may be, and what is said when they are not.

use std::process::Stdio;

use hyper::Method;
use serde_json::json;

use crate::harness::{Folder, Platform, program, shell};

/// Runs `ferrowhisk serve` on a folder and gives what it says when it refuses.
async fn refusal(folder: &Folder) -> String {
    let output = folder
        .serve()
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
        .wait_with_output();
    let output = tokio::time::timeout(crate::harness::LONG, output)
        .await
        .expect("it ends")
        .expect("an output");
    assert_eq!(output.status.code(), Some(1), "it must refuse");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_folder_in_use_is_refused_by_name() {
    let platform = Platform::start().await;
    let text = refusal(&platform.folder).await;
    assert!(text.contains("in use by another ferrowhisk"), "{text}");
    assert!(text.contains(&platform.pid().to_string()), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    assert_eq!(platform.call(Method::GET, "/actions", None).await.status, 200);
}

#[tokio::test]
async fn bad_configuration_names_the_key() {
    for (text, expected) in [
        ("datta = \"x\"", "datta"),
        ("[invoker]\nmemory_mb = \"much\"", "invoker.memory_mb"),
        ("[retention]\ncount = \"many\"", "retention.count"),
        ("[log]\nlevel = \"loudest,,=\"", "loudest"),
        ("drain = \"soon\"", "drain"),
    ] {
        let said = refusal(&Folder::with_config(text)).await;
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    let folder = Folder::new();
    let platform = folder.start().await;
    let folder = platform.kill().await;
    let database = std::fs::read_dir(folder.path())
        .expect("a data folder")
        .flatten()
        .map(|e| e.path());
    let databases: Vec<_> = database
        .filter(|p| p.extension().is_some_and(|e| e == "db" || e == "sqlite"))
        .collect();
    assert_eq!(databases.len(), 1, "{databases:?}");
    for suffix in ["-wal", "-shm"] {
        let mut side = databases[0].clone().into_os_string();
        side.push(suffix);
        if std::path::Path::new(&side).exists() {
            std::fs::remove_file(side).expect("a side file");
        }
    }
    std::fs::write(
        &databases[0],
        "this was never a database, and it is long enough to be read as one",
    )
    .expect("a file");
    let said = refusal(&folder).await;
    let name = databases[0].file_name().expect("a name").to_string_lossy().into_owned();
    assert!(said.contains(&name), "{said}");
}

#[tokio::test]
async fn the_guest_key_is_random_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (a, b) = (Platform::start().await, Platform::start().await);
    assert_ne!(a.key(), b.key());
    let mode = std::fs::metadata(a.folder.path().join("guest.auth"))
        .expect("a key file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let (uuid, key) = {
        let key = a.key();
        let (u, k) = key.split_once(':').expect("uuid:key");
        (u.to_owned(), k.to_owned())
    };
    assert_eq!((uuid.len(), key.len()), (36, 64));
}

#[tokio::test]
async fn the_key_and_the_actions_survive_a_restart() {
    let platform = Platform::start().await;
    platform
        .put_action("kept", shell("echo '{\"n\":1}'"), json!({"memory": 128}))
        .await;
    let key = platform.key();
    let platform = platform.kill().await.start().await;
    assert_eq!(platform.key(), key);
    let answer = platform.invoke("kept", &json!({})).await;
    assert_eq!(answer.json()["response"]["result"], json!({"n": 1}), "{answer:?}");
}

#[tokio::test]
async fn the_configuration_can_be_printed_and_is_documented() {
    let output = tokio::process::Command::new(program("ferrowhisk"))
        .args(["serve", "--print-config"])
        .output();
    let output = output.await.expect("it runs");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("[invoker]") && text.contains("listen ="), "{text}");
    let reference = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&reference).expect("docs/configuration.md");
    let output = tokio::process::Command::new(program("ferrowhisk"))
        .arg("config-reference")
        .output()
        .await;
    let table = String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned();
    assert!(
        page.contains(table.trim()),
        "docs/configuration.md is old: `ferrowhisk config-reference` prints the table"
    );
}
