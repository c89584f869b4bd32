//! `/whisk.system/samples`.

use hyper::Method;
use serde_json::{Value, json};
use wsk_demo::{Reply, Server};

use super::{activation, error, printed, result, start};
use crate::harness::{LONG, Platform};
use crate::wait;

#[tokio::test]
async fn greetings() {
    needs_interpreters!();
    let p = &start().await;
    let cases = [
        (json!({}), "Hello, stranger from somewhere!"),
        (json!({"name": "Ada", "place": "London"}), "Hello, Ada from London!"),
        (json!({"payload": "Alan"}), "Hello, Alan from somewhere!"),
        (json!({"payload": "Alan", "name": "Ada"}), "Hello, Ada from somewhere!"),
    ];
    for (arguments, text) in cases {
        assert_eq!(
            result(p, "samples/greeting", &arguments).await,
            json!({"payload": text})
        );
    }
    let greeted = activation(p, "samples/greeting", &json!({"name": "Ada"})).await;
    assert_eq!(printed(p, &greeted).await, ["stdout: { name: 'Ada' }"]);
    let hello = activation(p, "samples/helloWorld", &json!({"payload": "world"})).await;
    assert_eq!(hello["response"]["result"], json!({}));
    assert_eq!(printed(p, &hello).await, ["stdout: hello world!"]);
    let lines = result(p, "samples/helloPromises", &json!({"name": "Ada", "place": "London"})).await;
    assert_eq!(lines, json!({"lines": ["Hello,", "Ada", "from", "London!"]}));
}

#[tokio::test]
async fn words_and_lines() {
    needs_interpreters!();
    let p = &start().await;
    for action in ["samples/wordCount", "samples/wordCountAsync"] {
        let counted = activation(p, action, &json!({"payload": "Five fuzzy  felines"})).await;
        assert_eq!(
            counted["response"]["result"],
            json!({"count": 4}),
            "single spaces divide: {counted}"
        );
        let log = printed(p, &counted).await;
        assert_eq!(log, ["stdout: The message 'Five fuzzy  felines' has 4 words"]);
        if action.ends_with("Async") {
            assert!(counted["duration"].as_u64().expect("a duration") >= 100, "{counted}");
        }
    }
    let lines = json!(["seven", "eight"]);
    let cat = result(p, "samples/cat", &json!({ "lines": lines })).await;
    assert_eq!(cat, json!({"lines": lines, "payload": "seven\neight\n"}));
    let head = result(p, "samples/head", &json!({ "lines": lines })).await;
    assert_eq!(head, json!({"lines": ["seven"], "num": 1}));
    let head = result(p, "samples/head", &json!({"lines": lines, "num": 2})).await;
    assert_eq!(head, json!({"lines": lines, "num": 2}));
    for action in ["samples/cat", "samples/head"] {
        assert_eq!(
            error(p, action, &json!({})).await,
            "You must specify a lines parameter!"
        );
    }
}

#[tokio::test]
async fn parameters_are_printed_by_name() {
    needs_interpreters!();
    let p = &start().await;
    let printed_ = activation(p, "samples/printParams", &json!({"b": 2, "a": "x", "c": {"d": 1}})).await;
    let params = printed_["response"]["result"]["params"]
        .as_object()
        .expect("params")
        .clone();
    assert_eq!(Value::from(params.clone()), json!({"a": "x", "b": 2, "c": {"d": 1}}));
    assert_eq!(params.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    let id = printed_["activationId"].as_str().expect("an id");
    let lines = p.record(id).await["logs"].clone();
    let ends = [
        "stdout: params.a: x",
        "stdout:  params.b: 2",
        r#"stdout:  params.c: {"d":1}"#,
    ];
    for (line, end) in lines.as_array().expect("a log").iter().zip(ends) {
        assert!(line.as_str().expect("a line").ends_with(end), "{lines}");
    }
}

#[tokio::test]
async fn a_countdown_starts_the_next_and_does_not_wait() {
    needs_interpreters!();
    let p = &start().await;
    let started = activation(p, "samples/countdown", &json!({"n": "2"})).await;
    assert_eq!(printed(p, &started).await, ["stdout: 2"]);
    let next = started["response"]["result"]["activationId"]
        .as_str()
        .expect("the next one's id")
        .to_owned();
    let next = p.record(&next).await;
    assert_eq!(printed(p, &next).await, ["stdout: 1"]);
    let last = next["response"]["result"]["activationId"]
        .as_str()
        .expect("the last one's id")
        .to_owned();
    let last = p.record(&last).await;
    assert_eq!(printed(p, &last).await, ["stdout: 0", "stdout: Happy New Year!"]);
    assert_eq!(last["response"]["result"], json!({}));
    wait::until(LONG, async || match records(p, "countdown").await {
        3 => Ok(()),
        count => Err(format!("{count} records")),
    })
    .await;
}

async fn records(p: &Platform, name: &str) -> usize {
    let list = p
        .call(Method::GET, &format!("/activations?name=samples/{name}"), None)
        .await;
    list.json().as_array().expect("a list").len()
}

#[tokio::test]
async fn invoke_gives_the_whole_activation() {
    needs_interpreters!();
    let p = &start().await;
    let outer = activation(p, "samples/invoke", &json!({})).await;
    let inner = &outer["response"]["result"];
    assert_eq!((&inner["name"], &inner["namespace"]), (&json!("date"), &json!("guest")));
    let date = inner["response"]["result"]["date"].as_str().expect("a date");
    assert_eq!(printed(p, &outer).await, [format!("stdout: It is now {date}")]);
}

#[tokio::test]
async fn curl_fetches_and_sees_no_shell() {
    needs_interpreters!();
    let p = &start().await;
    let server = Server::start(|seen| Reply::new(200, format!("you asked {}", seen.uri)))
        .await
        .expect("a server");
    let fetched = result(p, "samples/curl", &json!({"payload": server.url("/a?b=c")})).await;
    if fetched["msg"].as_str().is_some_and(|msg| msg.contains("ENOENT")) {
        assert!(std::env::var_os("CI").is_none(), "curl must be there");
        println!("skipped: there is no curl on this machine");
        return;
    }
    assert_eq!(fetched, json!({"msg": "you asked /a?b=c"}));
    let hostile = result(p, "samples/curl", &json!({"payload": "; echo mine"})).await;
    let said = hostile["msg"].as_str().expect("a text");
    assert!(said.contains("curl: (3)") || said.contains("curl: (6)"), "{said}");
    let dead = result(p, "samples/curl", &json!({"payload": "127.0.0.1:1"})).await;
    assert!(dead["msg"].as_str().expect("a text").contains("curl: (7)"), "{dead}");
}
