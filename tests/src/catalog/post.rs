//! `/whisk.system/slack/post`.

use serde_json::{Value, json};
use wsk_demo::{LOOPBACK, Reply, Server, Slack};

use super::{activation, error, printed, result, start};

fn with(url: &str, more: &Value) -> Value {
    let mut arguments = json!({"url": url, "text": "hi"});
    for (name, value) in more.as_object().expect("an object") {
        arguments[name] = value.clone();
    }
    arguments
}

#[tokio::test]
async fn one_field_with_the_message_in_order() {
    needs_interpreters!();
    let p = &start().await;
    let slack = Slack::start(LOOPBACK).await.expect("a Slack");
    let sent = activation(p, "slack/post", &with(&slack.webhook(), &json!({}))).await;
    assert_eq!(sent["response"]["result"], json!({}));
    assert_eq!(printed(p, &sent).await, ["stdout: success:  hi successfully sent"]);
    let all = json!({
        "attachments": [{"title": "t"}], "as_user": true, "icon_emoji": ":sun:", "username": "me", "channel": "#c",
        "text": "é & \"x\"\n=+%",
    });
    result(p, "slack/post", &with(&slack.webhook(), &all)).await;
    let absent = json!({"as_user": "true", "channel": null, "icon_emoji": null, "username": ""});
    result(p, "slack/post", &with(&slack.webhook(), &absent)).await;
    let posts = slack.posts().expect("posts");
    let texts: Vec<String> = posts.into_iter().map(|post| Value::from(post).to_string()).collect();
    assert_eq!(
        texts,
        [
            r#"{"username":"Simple Message Bot","text":"hi"}"#,
            r##"{"channel":"#c","username":"me","icon_emoji":":sun:","as_user":true,"text":"é & \"x\"\n=+%","attachments":"[{\"title\":\"t\"}]"}"##,
            r#"{"username":"Simple Message Bot","text":"hi"}"#,
        ]
    );
}

#[tokio::test]
async fn with_a_token_the_fields_stand_alone() {
    needs_interpreters!();
    let p = &start().await;
    let api = Server::start(|_| Reply::new(200, "{}")).await.expect("a server");
    let more = json!({"token": "xoxb", "as_user": true, "channel": "C1", "attachments": {"a": 1}});
    result(p, "slack/post", &with(&api.url("/api/chat.postMessage"), &more)).await;
    let seen = api.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line(), "POST /api/chat.postMessage");
    assert_eq!(seen[0].header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(
        seen[0].text(),
        "channel=C1&username=Simple+Message+Bot&as_user=true&text=hi&attachments=%7B%22a%22%3A1%7D&token=xoxb"
    );
}

#[tokio::test]
async fn what_is_missing_is_named() {
    needs_interpreters!();
    let p = &start().await;
    assert_eq!(
        error(p, "slack/post", &json!({})).await,
        "No text provided",
        "the text is looked for first"
    );
    assert_eq!(
        error(p, "slack/post", &json!({"url": "http://localhost"})).await,
        "No text provided"
    );
    assert_eq!(
        error(p, "slack/post", &json!({"text": "hi"})).await,
        "No Webhook URL provided"
    );
    assert_eq!(
        error(p, "slack/post", &json!({"attachments": []})).await,
        "No Webhook URL provided"
    );
    let slack = Slack::start(LOOPBACK).await.expect("a Slack");
    result(p, "slack/post", &with(&slack.webhook(), &json!({"text": ""}))).await;
    result(p, "slack/post", &json!({"url": slack.webhook(), "attachments": [1]})).await;
    let posts = slack.posts().expect("posts");
    assert_eq!(posts[0]["text"], "", "an empty text counts as given");
    assert!(!posts[1].contains_key("text"), "{posts:?}");
}

#[tokio::test]
async fn slacks_status_is_logged_and_no_more() {
    needs_interpreters!();
    let p = &start().await;
    let slack = Slack::start(LOOPBACK).await.expect("a Slack");
    slack.answer(500);
    let sent = activation(p, "slack/post", &with(&slack.webhook(), &json!({}))).await;
    assert_eq!(sent["response"]["status"], "success");
    assert_eq!(sent["response"]["result"], json!({}));
    let log = printed(p, &sent).await;
    assert!(
        log.contains(&"stdout: success:  hi successfully sent".to_owned()),
        "{log:?}"
    );
    assert!(
        log.contains(&"stderr: warning: the message was answered with status 500".to_owned()),
        "{log:?}"
    );
    assert_eq!(slack.posts().expect("posts").len(), 1, "it is not tried again");
}

#[tokio::test]
async fn a_network_failure_is_the_actions_error() {
    needs_interpreters!();
    let p = &start().await;
    let refused = activation(p, "slack/post", &with("http://127.0.0.1:1/x", &json!({}))).await;
    assert_eq!(refused["response"]["status"], "application error");
    assert_eq!(refused["response"]["result"]["error"]["code"], "ECONNREFUSED");
    let log = printed(p, &refused).await;
    assert!(
        log[0].starts_with("stdout: error: ") && log[0].contains("ECONNREFUSED"),
        "{log:?}"
    );
    let crooked = error(p, "slack/post", &with("no address", &json!({}))).await;
    assert_eq!(crooked["code"], "ERR_INVALID_URL");
}
