//! The system catalog on a running platform: each action's contract, and what a plain user does with it.

mod github;
mod installed;
mod post;
mod samples;
mod utils;
mod websocket;

use std::process::Output;

use base64::Engine as _;
use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Folder, LONG, Platform, program};
use crate::wait;

/// A platform with the catalog on it.
pub async fn start() -> Platform {
    serve(Folder::new()).await
}

/// A platform with the catalog on it, on this folder.
pub async fn serve(folder: Folder) -> Platform {
    let platform = folder.start().await;
    complete(&platform).await;
    platform
}

/// Waits until the last action of the catalog is there.
async fn complete(platform: &Platform) {
    wait::until(LONG, async || {
        let answer = system(platform, Method::GET, "/packages/websocket", None).await;
        match answer["actions"][0]["name"].as_str() {
            Some("send") => Ok(()),
            Some(_) | None => Err(format!("the catalog is not there: {answer}")),
        }
    })
    .await;
}

/// An answer of the API below `/whisk.system`, asked by the guest.
async fn system(platform: &Platform, method: Method, path: &str, body: Option<&Value>) -> Value {
    as_owner_of(&platform.key(), platform, method, path, body).await
}

async fn as_owner_of(key: &str, platform: &Platform, method: Method, path: &str, body: Option<&Value>) -> Value {
    let authorization = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(key));
    let path = format!("/api/v1/namespaces/whisk.system{path}");
    let answer = platform
        .send(method, &path, Some(&authorization), body.map(Value::to_string))
        .await;
    answer.expect("an answer").json()
}

/// The activation of an action of the catalog, invoked by the guest.
async fn activation(platform: &Platform, action: &str, arguments: &Value) -> Value {
    let path = format!("/actions/{action}?blocking=true");
    let answer = system(platform, Method::POST, &path, Some(arguments)).await;
    assert!(answer["activationId"].is_string(), "{action}: {answer}");
    answer
}

/// Its result, for one that succeeds.
async fn result(platform: &Platform, action: &str, arguments: &Value) -> Value {
    let activation = activation(platform, action, arguments).await;
    assert_eq!(activation["response"]["status"], "success", "{action}: {activation}");
    activation["response"]["result"].clone()
}

/// The error of one that does not.
async fn error(platform: &Platform, action: &str, arguments: &Value) -> Value {
    let activation = activation(platform, action, arguments).await;
    assert_eq!(
        activation["response"]["status"], "application error",
        "{action}: {activation}"
    );
    activation["response"]["result"]["error"].clone()
}

/// What an activation printed, without the times.
async fn printed(platform: &Platform, activation: &Value) -> Vec<String> {
    let id = activation["activationId"].as_str().expect("an id");
    let record = platform.record(id).await;
    let lines = record["logs"].as_array().expect("a log").iter();
    let text = |line: &Value| {
        let line = line.as_str().expect("a line");
        line.split_once(' ')
            .map_or("", |(_, rest)| rest.trim_start())
            .to_owned()
    };
    lines.map(text).collect()
}

/// Runs `wsk` as the guest of a platform.
pub async fn wsk(platform: &Platform, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("wsk"));
    command
        .env("WSK_CONFIG_FILE", platform.folder.file("wskprops"))
        .current_dir(platform.folder.path())
        .args(["--apihost", &format!("http://{}", platform.address)])
        .args(["--auth", &platform.key()])
        .args(arguments);
    command.output().await.expect("wsk runs")
}

/// What `wsk` prints when all goes well.
pub async fn says(platform: &Platform, arguments: &[&str]) -> String {
    let output = wsk(platform, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn pairs(list: &Value) -> Value {
    let pair = |item: &Value| (item["key"].as_str().expect("a key").to_owned(), item["value"].clone());
    json!(
        list.as_array()
            .expect("a list")
            .iter()
            .map(pair)
            .collect::<serde_json::Map<_, _>>()
    )
}
