//! What is installed, what users may do with it, and that it is installed once.

use hyper::Method;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{as_owner_of, pairs, says, serve, start, system, wsk};
use crate::harness::{Folder, Platform};

const PACKAGES: [&str; 5] = ["github", "samples", "slack", "utils", "websocket"];

#[tokio::test]
async fn everybody_sees_the_packages() {
    needs_interpreters!();
    let p = start().await;
    let list = says(&p, &["package", "list", "/whisk.system"]).await;
    for package in PACKAGES {
        let line = list
            .lines()
            .find(|line| line.starts_with(&format!("/whisk.system/{package} ")));
        assert!(line.is_some_and(|line| line.ends_with(" shared")), "{package}: {list}");
    }
    let summary = says(&p, &["package", "get", "--summary", "/whisk.system/github"]).await;
    let expected = "package /whisk.system/github: Feeds of what happens on GitHub\n   \
                    (parameters: accessToken, repository, username)\n \
                    feed   /whisk.system/github/webhook: Creates a webhook on GitHub that fires the trigger\n   \
                    (parameters: accessToken, baseUrl, events, repository, username)\n";
    assert_eq!(summary, expected);
    let summary = says(&p, &["action", "get", "--summary", "/whisk.system/samples/wordCount"]).await;
    let expected = "action /whisk.system/samples/wordCount: Counts the words of a text\n   (parameters: payload)\n";
    assert_eq!(summary, expected);
    let list = says(&p, &["action", "list", "/whisk.system/utils"]).await;
    assert_eq!(
        list.lines()
            .filter(|line| line.starts_with("/whisk.system/utils/"))
            .count(),
        9,
        "{list}"
    );
    assert_eq!(
        says(&p, &["list"]).await.matches("whisk.system").count(),
        0,
        "it is not the guest's"
    );
}

#[tokio::test]
async fn every_entity_carries_what_tools_show() {
    needs_interpreters!();
    let p = start().await;
    for package in PACKAGES {
        let package = system(&p, Method::GET, &format!("/packages/{package}"), None).await;
        assert_eq!(package["publish"], true);
        assert!(pairs(&package["annotations"])["description"].is_string(), "{package}");
        let entries = ["actions", "feeds"]
            .map(|list| package[list].as_array().expect("a list").clone())
            .concat();
        for entry in entries {
            let annotations = pairs(&entry["annotations"]);
            assert!(annotations["description"].is_string(), "{entry}");
            assert!(
                annotations["exec"].as_str().expect("a kind").starts_with("nodejs:"),
                "{entry}"
            );
            let calls = matches!(entry["name"].as_str(), Some("helloPromises" | "countdown" | "invoke"));
            assert_eq!(annotations["provide-api-key"], calls, "{entry}");
            assert!(annotations["sampleInput"].is_object(), "{entry}");
            assert!(annotations["sampleOutput"].is_object(), "{entry}");
            for parameter in annotations["parameters"].as_array().expect("a list") {
                assert!(
                    parameter["name"].is_string() && parameter["description"].is_string(),
                    "{entry}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_plain_user_copies_and_binds() {
    needs_interpreters!();
    let p = start().await;
    let made = says(
        &p,
        &[
            "action",
            "create",
            "--copy",
            "mine",
            "/whisk.system/slack/post",
            "-p",
            "url",
            "http://localhost/x",
        ],
    )
    .await;
    assert_eq!(made, "ok: created action mine\n");
    let (mine, source) = (
        p.get("/actions/mine?code=true").await,
        system(&p, Method::GET, "/actions/slack/post?code=true", None).await,
    );
    assert!(
        source["exec"]["code"]
            .as_str()
            .expect("readable code")
            .contains("function main")
    );
    assert_eq!(mine["exec"], source["exec"]);
    assert_eq!(pairs(&mine["annotations"]), pairs(&source["annotations"]));
    assert_eq!(pairs(&mine["parameters"]), json!({"url": "http://localhost/x"}));

    says(
        &p,
        &["package", "bind", "/whisk.system/utils", "u", "-p", "separator", ";"],
    )
    .await;
    let split = says(&p, &["action", "invoke", "u/split", "-r", "-p", "payload", "a;b"]).await;
    let split: Value = serde_json::from_str(&split).expect("JSON");
    assert_eq!(
        split["lines"],
        json!(["a", "b"]),
        "the binding's parameter reaches the action"
    );
    assert!(
        !wsk(&p, &["action", "delete", "/whisk.system/utils/split"])
            .await
            .status
            .success()
    );
    assert!(
        !wsk(&p, &["package", "update", "/whisk.system/utils", "--shared", "no"])
            .await
            .status
            .success()
    );
}

#[tokio::test]
async fn a_restart_changes_nothing_and_an_operators_change_stays() {
    needs_interpreters!();
    let p = start().await;
    let key = std::fs::read_to_string(p.folder.path().join("whisk.system.auth")).expect("the system key");
    let changed = json!({"exec": {"kind": "nodejs:default", "code": "function main() { return {mine: 1}; }"}});
    let put = "/actions/utils/echo?overwrite=true";
    as_owner_of(key.trim(), &p, Method::PUT, put, Some(&changed)).await;
    let before = everything(&p).await;
    p.signal(Signal::SIGTERM);
    let (code, folder) = p.ended().await;
    assert_eq!(code, Some(0));
    let p = serve(folder).await;
    assert_eq!(everything(&p).await, before);
    let echo = system(&p, Method::GET, "/actions/utils/echo?code=true", None).await;
    assert_eq!(echo["version"], "0.0.2");
    assert_eq!(echo["exec"]["code"], changed["exec"]["code"]);
}

async fn everything(p: &Platform) -> Vec<Value> {
    let mut all = Vec::new();
    for package in PACKAGES {
        all.push(system(p, Method::GET, &format!("/packages/{package}"), None).await);
    }
    all
}

#[tokio::test]
async fn an_installation_that_was_killed_is_completed_and_nothing_is_written_twice() {
    needs_interpreters!();
    let p = Folder::new().start().await;
    let p = serve(p.kill().await).await;
    for package in everything(&p).await {
        assert_eq!(package["version"], "0.0.1", "{package}");
        for action in package["actions"].as_array().expect("a list") {
            assert_eq!(action["version"], "0.0.1", "{action}");
        }
    }
}

#[tokio::test]
async fn it_can_be_left_out() {
    let p = Folder::with_config("catalog = false\n").start().await;
    let list = says(&p, &["package", "list", "/whisk.system"]).await;
    assert_eq!(list, "packages\n");
}
