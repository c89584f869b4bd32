//! Secret parameters: nothing on the disk, in a log or in an answer holds one in clear, whatever dies; keys change under
//! a running platform; a lost key is told as such.

use std::path::Path;
use std::process::Output;

use base64::Engine as _;
use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Folder, LONG, Platform, program, python};
use crate::wait;

const SECRET: &str = "needle-7c1f0e";
const PLAIN: &str = "straw-5be2a9";

/// Proves that it got its secrets without repeating them.
const MIRROR: &str = "import os\ndef main(args):\n  turned = {k: v[::-1] for k, v in args.items() if isinstance(v, str)}\n  \
                      return {'args': turned, 'env': os.environ.get('born', '')[::-1]}\n";

fn turned(text: &str) -> String {
    text.chars().rev().collect()
}

fn secret(key: &str) -> Value {
    json!({"key": key, "value": SECRET, "secret": true})
}

async fn put(platform: &Platform, path: &str, body: Value) {
    let answer = platform
        .call(Method::PUT, &format!("{path}?overwrite=true"), Some(&body))
        .await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains(SECRET), "{text}");
}

/// The mirror, with a secret argument, a secret init parameter and a plain one.
async fn mirror(platform: &Platform, name: &str) {
    let mut born = secret("born");
    born["init"] = json!(true);
    let parameters = json!([secret("token"), born, {"key": "plain", "value": PLAIN}]);
    put(
        platform,
        &format!("/actions/{name}"),
        json!({"exec": python(MIRROR), "parameters": parameters}),
    )
    .await;
}

/// Files below a folder that hold a text, plain or in base64.
fn holders(folder: &Path, needle: &str) -> Vec<String> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(needle);
    // The last characters depend on what follows.
    let needles = [needle.as_bytes(), &encoded.as_bytes()[..encoded.len() - 4]];
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    let bytes = std::fs::read(entry.path()).unwrap_or_default();
                    if needles
                        .iter()
                        .any(|needle| bytes.windows(needle.len()).any(|part| part == *needle))
                    {
                        found.push(entry.path().display().to_string());
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
    found
}

/// What a blocking invocation gives. Right after its start a platform may not have heard of its invoker yet.
async fn invoke(platform: &Platform, name: &str) -> Value {
    wait::until(LONG, async || {
        let answer = platform.invoke(name, &json!({})).await;
        let body = answer.json();
        match body["response"].is_object() {
            true => Ok(body["response"].clone()),
            false if answer.status == 503 => Err(body.to_string()),
            false => panic!("{answer:?}"),
        }
    })
    .await
}

fn seen() -> Value {
    let args = json!({"token": turned(SECRET), "plain": turned(PLAIN)});
    json!({"args": args, "env": turned(SECRET)})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_kept_holds_a_secret() {
    needs_interpreters!();
    let platform = Folder::with_config("[log]\nlevel = \"trace\"\n").start().await;
    mirror(&platform, "mirror").await;
    put(&platform, "/packages/p", json!({"parameters": [secret("of-package")]})).await;
    let bound = json!({"binding": {"namespace": "_", "name": "p"}, "parameters": [secret("of-binding")]});
    put(&platform, "/packages/b", bound).await;
    mirror(&platform, "p/mirror").await;
    let stuck =
        json!({"exec": python("import time\ndef main(args):\n  time.sleep(600)\n"), "parameters": [secret("token")]});
    put(&platform, "/actions/stuck", stuck).await;
    put(
        &platform,
        "/triggers/t",
        json!({"parameters": [secret("of-trigger"), {"key": "also", "value": PLAIN}]}),
    )
    .await;
    put(
        &platform,
        "/actions/s",
        json!({"exec": {"kind": "sequence", "components": ["/_/mirror", "/_/stuck"]}}),
    )
    .await;
    for action in ["mirror", "s"] {
        let rule = json!({"trigger": "/_/t", "action": format!("/_/{action}")});
        put(&platform, &format!("/rules/{action}-r"), rule).await;
    }
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
    let through = invoke(&platform, "b/mirror").await["result"]["args"].clone();
    for key in ["token", "of-package", "of-binding"] {
        assert_eq!(through[key], turned(SECRET), "{through}");
    }
    // Accepted and under way when everything ends: all of it is in the journal.
    let accepted = platform.call(Method::POST, "/actions/mirror", None).await;
    platform.call(Method::POST, "/actions/stuck", None).await;
    let fired = platform.call(Method::POST, "/triggers/t", Some(&json!({}))).await;
    assert_eq!((accepted.status, fired.status), (202, 202));
    let ids = fired_ids(&platform, &fired.activation_id()).await;
    let result = platform.record(&ids[0]).await["response"]["result"]["args"].clone();
    assert_eq!(
        (&result["of-trigger"], &result["token"]),
        (&json!(turned(SECRET)), &json!(turned(SECRET)))
    );
    let folder = platform.kill().await;
    assert_eq!(holders(&folder.path(), SECRET), Vec::<String>::new());
    assert!(!folder.log().contains(SECRET), "the log holds it");
    assert!(
        !holders(&folder.path(), PLAIN).is_empty(),
        "what is not marked is found, so the search works"
    );
    // Its next life has the secret again.
    let platform = folder.start().await;
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
    assert_eq!(
        platform.record(&accepted.activation_id()).await["response"]["result"],
        seen()
    );
    assert_eq!(holders(&platform.folder.path(), SECRET), Vec::<String>::new());
    assert!(!platform.folder.log().contains(SECRET), "the log holds it");
}

/// The activations that a fire started, in the order of their rules.
async fn fired_ids(platform: &Platform, fire: &str) -> Vec<String> {
    let record = platform.record(fire).await;
    let lines = record["logs"].as_array().expect("lines").iter();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line.as_str().expect("text")).expect("JSON"));
    lines
        .map(|line| line["activationId"].as_str().expect("an id").to_owned())
        .collect()
}

async fn admin(folder: &Folder, words: &[&str]) -> Output {
    let mut command = Command::new(program("wskadmin"));
    command.arg("--data").arg(folder.path()).args(words);
    command.output().await.expect("wskadmin runs")
}

async fn keys(folder: &Folder) -> Vec<String> {
    let output = admin(folder, &["secrets", "keys"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_while_the_platform_runs() {
    needs_interpreters!();
    let platform = Platform::start().await;
    mirror(&platform, "mirror").await;
    let revision = platform.get("/actions/mirror").await["updated"].clone();
    let old = keys(&platform.folder).await;
    assert!(old.len() == 1 && old[0].ends_with(" encrypts 2"), "{old:?}");
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
    let output = admin(&platform.folder, &["secrets", "rotate"]).await;
    assert!(output.status.success(), "{output:?}");
    let now = keys(&platform.folder).await;
    assert!(
        now.len() == 2 && now[0].ends_with(" encrypts 2") && now[1].ends_with(" decrypts 0"),
        "{now:?}"
    );
    // What the platform still has at hand is under the old key, what it reads and writes from now on under the new one.
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
    mirror(&platform, "second").await;
    assert_eq!(invoke(&platform, "second").await["result"], seen());
    assert!(keys(&platform.folder).await[0].ends_with(" encrypts 4"));
    assert_eq!(
        platform.get("/actions/mirror").await["updated"],
        revision,
        "nobody changed the action"
    );
    // The old key goes.
    let file = platform.folder.path().join("secrets.keys");
    let folder = platform.kill().await;
    let text = std::fs::read_to_string(&file).expect("the key file");
    std::fs::write(&file, text.lines().next().expect("a key")).expect("written");
    let platform = folder.start().await;
    for name in ["mirror", "second"] {
        assert_eq!(invoke(&platform, name).await["result"], seen());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_key_is_named_and_may_come_back() {
    needs_interpreters!();
    let platform = Platform::start().await;
    mirror(&platform, "mirror").await;
    let id = keys(&platform.folder).await[0]
        .split(' ')
        .next()
        .expect("an id")
        .to_owned();
    let file = platform.folder.path().join("secrets.keys");
    let hidden = platform.folder.file("elsewhere");
    let folder = platform.kill().await;
    std::fs::rename(&file, &hidden).expect("moved");
    let platform = folder.start().await;
    let response = invoke(&platform, "mirror").await;
    let error = response["result"]["error"].as_str().expect("an error").to_owned();
    assert_eq!(response["status"], "whisk internal error");
    assert!(
        error.contains(&format!("its key {id} is not in")) && error.contains("secrets.key_file"),
        "{error}"
    );
    assert_eq!(platform.get("/actions/mirror").await["parameters"][0]["secret"], true);
    std::fs::rename(&hidden, &file).expect("moved back");
    wait::until(LONG, async || match invoke(&platform, "mirror").await {
        response if response["success"] == true => Ok(()),
        response => Err(response.to_string()),
    })
    .await;
}

/// The operator's switch: everything is encrypted at rest, and clients notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_parameters_can_be_encrypted_at_rest() {
    needs_interpreters!();
    let platform = Folder::with_config("[secrets]\nall = true\n").start().await;
    mirror(&platform, "mirror").await;
    let parameters = platform.get("/actions/mirror").await["parameters"].clone();
    assert_eq!(parameters[2], json!({"key": "plain", "value": PLAIN}));
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
    let folder = platform.kill().await;
    for needle in [SECRET, PLAIN] {
        assert_eq!(holders(&folder.path(), needle), Vec::<String>::new());
    }
}

/// Keys that the environment gives are enough, and stay there: no key file is made, and no file or log has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_may_come_from_the_environment() {
    needs_interpreters!();
    let encode = |byte: u8| base64::engine::general_purpose::STANDARD.encode([byte; 32]);
    let keys = [encode(7), encode(8)];
    let variable = "FERROWHISK_SECRETS__KEYS";
    let folder = Folder::with_config("[log]\nlevel = \"trace\"\n").with_variable(variable, &keys.join(","));
    let platform = folder.start().await;
    mirror(&platform, "mirror").await;
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
    let platform = platform.kill().await.start().await;
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
    let folder = platform.kill().await;
    assert!(!folder.path().join("secrets.keys").exists(), "a key file was made");
    for needle in [SECRET, &keys[0], &keys[1]] {
        assert_eq!(holders(&folder.path(), needle), Vec::<String>::new());
        assert!(!folder.log().contains(needle), "the log holds {needle}");
    }
    // The first one encrypted: without it nothing is opened, with it alone everything.
    let platform = folder.with_variable(variable, &keys[1]).start().await;
    let response = invoke(&platform, "mirror").await;
    assert_eq!(response["status"], "whisk internal error", "{response}");
    let folder = platform.kill().await.with_variable(variable, &keys[0]);
    let platform = folder.start().await;
    assert_eq!(invoke(&platform, "mirror").await["result"], seen());
}
