//! The Slack story: a message in a channel comes in through an outgoing webhook, a sequence asks for the weather and posts
//! the answer through an incoming webhook. What may go wrong on the way, too.

#[cfg(feature = "docker")]
mod docker;

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::try_join_all;
use hyper::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use wsk_demo::{LOOPBACK, Message, Reply, Slack, Weather, send};

use crate::catalog::{says, serve};
use crate::harness::{Folder, LONG, Platform, program};
use crate::wait;

/// What the weather service makes the action say.
const CLEAR: &str = "clear sky, Temperature: 6.95 Real feel: 3.1 Max Temperature: 8.89 Min Temperature: 8.89 \
                     Humidity: 64.0 Wind Speed: 2.8km/h";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A platform on which the story is set up.
struct Story {
    p: Platform,
    slack: Slack,
    weather: Weather,
    /// Where Slack sends what is written in the channel.
    url: String,
}

impl Story {
    async fn start() -> Story {
        Story::on(Folder::new()).await
    }

    /// With the weather action as a program of the native kind.
    async fn on(folder: Folder) -> Story {
        let image = program("openweather").display().to_string();
        Story::with(folder, LOOPBACK, &[&image, "--native"]).await
    }

    /// With the weather action made of `image`, and Slack and the weather service at `host`.
    async fn with(folder: Folder, host: IpAddr, image: &[&str]) -> Story {
        let p = serve(folder).await;
        let slack = Slack::start(host).await.expect("a Slack");
        let weather = Weather::start(host).await.expect("a weather service");
        let (url, create) = (weather.url(), ["-i", "action", "create"]);
        let given = ["-p", "weather_url", &url, "-p", "appid", weather.key(), "-t", "120000"];
        let quarkus = [&create[..], &["openweather-quarkus"], image, &given].concat();
        says(&p, &quarkus).await;
        let copy = [
            "--copy",
            "openweather-slack",
            "/whisk.system/slack/post",
            "-p",
            "url",
            &slack.webhook(),
        ];
        says(&p, &[&create[..], &copy].concat()).await;
        let components = "/guest/openweather-quarkus,/guest/openweather-slack";
        says(&p, &[&create[..], &["openweather", "--sequence", components]].concat()).await;
        says(&p, &["-i", "action", "update", "openweather", "--web", "true"]).await;
        let url = expose(&p, "/openweather", &[]).await;
        Story { p, slack, weather, url }
    }

    async fn tell(&self, text: &str) -> wsk_demo::Delivery {
        self.slack
            .tell(&self.url, &Message::new(text))
            .await
            .expect("an answer")
    }

    fn posted(&self) -> Vec<Value> {
        self.slack
            .posts()
            .expect("posts")
            .into_iter()
            .map(Value::from)
            .collect()
    }

    /// Records of an action, once there are so many.
    async fn records(&self, action: &str, count: usize) -> Vec<Value> {
        wait::until(LONG, async || {
            let list = self.p.get(&format!("/activations?name={action}&docs=true")).await;
            match list.as_array() {
                Some(list) if list.len() == count => Ok(list.clone()),
                Some(_) | None => Err(format!("not {count} records of {action}: {list}")),
            }
        })
        .await
    }
}

/// Makes a path of an API for the sequence; gives its address.
async fn expose(p: &Platform, path: &str, more: &[&str]) -> String {
    let said = says(
        p,
        &[&["-i", "api", "create", path, "POST", "openweather"][..], more].concat(),
    )
    .await;
    let mut lines = said.lines();
    let created = format!("ok: created API {path} POST for action /_/openweather");
    assert_eq!(lines.next(), Some(created.as_str()));
    let (url, key) = (lines.next().expect("an address").to_owned(), p.key());
    let uuid = key.split(':').next().expect("a key");
    assert_eq!(url, format!("http://{}/api/{uuid}{path}", p.address));
    url
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}

fn annotation(record: &Value, key: &str) -> Value {
    let list = record["annotations"].as_array().expect("annotations");
    list.iter()
        .find(|a| a["key"] == key)
        .map_or(Value::Null, |a| a["value"].clone())
}

#[tokio::test]
async fn the_set_up_is_what_the_commands_say() {
    needs_interpreters!();
    let story = Story::start().await;
    let list = says(&story.p, &["action", "list"]).await;
    for (name, kind) in [
        ("openweather-quarkus", "blackbox"),
        ("openweather-slack", "nodejs:20"),
        ("openweather", "sequence"),
    ] {
        let line = list.lines().find(|line| line.starts_with(&format!("/guest/{name} ")));
        assert!(
            line.is_some_and(|line| line.ends_with(&format!(" private {kind}"))),
            "{name}: {list}"
        );
    }
    let sequence = story.p.get("/actions/openweather").await;
    let components = json!(["/guest/openweather-quarkus", "/guest/openweather-slack"]);
    assert_eq!(sequence["exec"]["components"], components);
    for (key, value) in [("web-export", true), ("raw-http", false), ("final", true)] {
        assert_eq!(annotation(&sequence, key), value, "{sequence}");
    }
    let api = says(&story.p, &["api", "get", "/"]).await;
    let target = "/api/v1/web/guest/default/openweather.json\"";
    assert!(api.contains(target), "the backend of the route: {api}");
}

#[tokio::test]
async fn a_message_is_answered_with_exactly_one_post() {
    needs_interpreters!();
    let story = Story::start().await;
    let delivery = story.tell("weather Athens").await;
    assert_eq!(delivery.attempts.len(), 1, "{delivery:?}");
    assert_eq!(
        (delivery.attempts[0].status, body(&delivery.attempts[0])),
        (200, json!({}))
    );
    assert_eq!(
        story.posted(),
        [json!({"username": "Simple Message Bot", "text": CLEAR})]
    );
    assert_eq!(
        story.weather.asked(),
        [format!(
            "GET /data/2.5/weather?q=Athens&appid={}&units=metric",
            story.weather.key()
        )]
    );

    let sequence = &story.records("openweather", 1).await[0];
    let (first, second) = (
        &story.records("openweather-quarkus", 1).await[0],
        &story.records("openweather-slack", 1).await[0],
    );
    assert_eq!(sequence["logs"], json!([first["activationId"], second["activationId"]]));
    assert_eq!(
        (annotation(sequence, "topmost"), annotation(sequence, "kind")),
        (json!(true), json!("sequence"))
    );
    for component in [first, second] {
        assert_eq!(annotation(component, "causedBy"), "sequence");
        assert_eq!(component["cause"], sequence["activationId"]);
    }
    assert_eq!(first["response"]["result"], json!({ "text": CLEAR }));
}

#[tokio::test]
async fn with_the_response_type_http_an_empty_result_is_no_answer_for_slack() {
    needs_interpreters!();
    let story = Story::start().await;
    let url = expose(&story.p, "/pitfall", &["--response-type", "http"]).await;
    let delivery = story
        .slack
        .tell(&url, &Message::new("weather Athens"))
        .await
        .expect("an answer");
    let statuses: Vec<u16> = delivery.attempts.iter().map(|reply| reply.status).collect();
    assert_eq!(
        statuses,
        [204, 204, 204, 204],
        "Slack takes only 200 for an answer, so it tries again"
    );
    assert_eq!(story.posted().len(), 4);
}

#[tokio::test]
async fn without_a_city_slack_is_told_and_nothing_is_posted() {
    needs_interpreters!();
    let story = Story::start().await;
    let delivery = story.tell("weather").await;
    assert_eq!(delivery.attempts.len(), 4, "it tries up to its limit");
    for reply in &delivery.attempts {
        assert_eq!(
            (reply.status, &body(reply)["error"]),
            (400, &json!("There was an error processing your request."))
        );
    }
    let failed = &story.records("openweather-quarkus", 4).await[0];
    assert_eq!(failed["response"]["status"], "action developer error");
    assert!(
        failed["logs"]
            .to_string()
            .contains("the message 'weather' names no city"),
        "{failed}"
    );
    assert_eq!((story.posted(), story.weather.asked()), (vec![], vec![]));
}

#[tokio::test]
async fn fields_of_a_message_do_not_reach_past_the_first_component() {
    needs_interpreters!();
    let story = Story::start().await;
    let elsewhere = Slack::start(LOOPBACK).await.expect("another Slack");
    let message = Message::new("weather Athens")
        .with("url", &elsewhere.webhook())
        .with("channel", "#board");
    let delivery = story.slack.tell(&story.url, &message).await.expect("an answer");
    assert_eq!(delivery.attempts[0].status, 200);
    assert_eq!(
        story.posted(),
        [json!({"username": "Simple Message Bot", "text": CLEAR})]
    );
    assert_eq!(elsewhere.bodies(), [""; 0]);
    // What is final is the sequence's own.
    let message = Message::new("weather Athens").with("_actions", "/guest/other");
    let reply = send(Method::POST, &story.url, &[FORM], message.form())
        .await
        .expect("an answer");
    assert_eq!(reply.status, 400);
    assert_eq!(story.posted().len(), 1);
}

#[tokio::test]
async fn an_answer_after_more_than_a_minute_is_posted_once() {
    needs_interpreters!();
    let story = Story::start().await;
    story.weather.slow_down(Duration::from_secs(61));
    let reply = send(Method::POST, &story.url, &[FORM], Message::new("weather Athens").form());
    let reply = reply.await.expect("an answer");
    // The body is that of every web action that is late; the id of the activation is in a header.
    assert_eq!(
        (reply.status, &body(&reply)["error"]),
        (202, &json!("Response not yet ready."))
    );
    let id = reply.headers["x-openwhisk-activation-id"].to_str().expect("an id");
    assert_eq!(story.p.record(id).await["name"], "openweather");
    assert_eq!(
        story.posted(),
        [json!({"username": "Simple Message Bot", "text": CLEAR})]
    );
    assert_eq!(story.records("openweather-quarkus", 1).await.len(), 1, "it ran once");
}

#[tokio::test]
async fn when_the_weather_service_is_down_nothing_is_posted_and_the_record_says_why() {
    needs_interpreters!();
    let story = Story::start().await;
    story.weather.go_down();
    let reply = send(Method::POST, &story.url, &[FORM], Message::new("weather Athens").form());
    assert_eq!(reply.await.expect("an answer").status, 400);
    let failed = &story.records("openweather-quarkus", 1).await[0];
    assert_eq!(failed["response"]["success"], false);
    let log = failed["logs"].to_string();
    assert!(
        log.contains("the weather service at") && log.contains("503 Service Unavailable"),
        "{log}"
    );
    assert_eq!(story.posted(), [] as [Value; 0]);
    story.weather.recover();
    assert_eq!(story.tell("weather Athens").await.attempts[0].status, 200);
    assert_eq!(story.posted().len(), 1);
}

#[tokio::test]
async fn only_what_was_exposed_answers() {
    needs_interpreters!();
    let story = Story::start().await;
    let get = send(Method::GET, &story.url, &[], "").await.expect("an answer");
    assert_eq!(
        (get.status, body(&get)),
        (
            404,
            json!({"status": 404, "message": "Error: Whoops. Verb not supported."})
        )
    );
    let key = story.p.key();
    let uuid = key.split(':').next().expect("a key");
    let foreign = story.url.replace(uuid, "00000000-0000-4000-8000-000000000000");
    let form = Message::new("weather Athens").form();
    let wrong = send(Method::POST, &foreign, &[FORM], form).await.expect("an answer");
    assert_eq!(wrong.status, 404, "{wrong:?}");
    assert_eq!(story.posted(), [] as [Value; 0]);
}

#[tokio::test]
async fn json_and_a_proxy_in_between_make_no_difference() {
    needs_interpreters!();
    let story = Story::start().await;
    let message = Message::new("weather Athens");
    let json_ = [("content-type", "application/json")];
    let reply = send(Method::POST, &story.url, &json_, message.json().to_string())
        .await
        .expect("an answer");
    assert_eq!((reply.status, body(&reply)), (200, json!({})));
    // TLS ended at the proxy, and the name of the site is the proxy's.
    let proxied = [
        FORM,
        ("host", "weather.example.org"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "weather.example.org"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    let reply = send(Method::POST, &story.url, &proxied, message.form())
        .await
        .expect("an answer");
    assert_eq!((reply.status, body(&reply)), (200, json!({})));
    let post = json!({"username": "Simple Message Bot", "text": CLEAR});
    assert_eq!(story.posted(), [post.clone(), post]);
}

#[tokio::test]
async fn a_burst_of_ten_is_ten_posts_within_the_limits_of_a_cluster() {
    needs_interpreters!();
    let limits = "[controller]\ninvocations_per_minute = 60\nconcurrent_invocations = 30\n";
    let story = Story::on(Folder::with_config(limits)).await;
    // Slack takes about one message a second; what it refuses is not sent again.
    story.slack.answer(429);
    let form = Message::new("weather Athens").form();
    let burst = (0..10).map(|_| send(Method::POST, &story.url, &[FORM], form.clone()));
    let replies: Vec<Reply> = try_join_all(burst).await.expect("answers");
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert_eq!(
        story.posted(),
        vec![json!({"username": "Simple Message Bot", "text": CLEAR}); 10]
    );
    assert_eq!(story.records("openweather", 10).await.len(), 10);
}

#[tokio::test]
async fn a_trigger_and_a_rule_give_the_same_post() {
    needs_interpreters!();
    let story = Story::start().await;
    says(&story.p, &["trigger", "create", "slackmsg"]).await;
    says(&story.p, &["rule", "create", "answer", "slackmsg", "openweather"]).await;
    let message = Message::new("weather Athens").json();
    let fired = story.p.call(Method::POST, "/triggers/slackmsg", Some(&message)).await;
    assert_eq!(fired.status, 202, "{fired:?}");
    story.records("openweather", 1).await;
    assert_eq!(
        story.posted(),
        [json!({"username": "Simple Message Bot", "text": CLEAR})]
    );
}

/// The demo, with temporary files in a folder of its own.
fn demo(scratch: &TempDir) -> Command {
    let demo = program("wsk-demo");
    let mut command = Command::new(&demo);
    command
        .arg(demo.parent().expect("a folder of programs"))
        .env("TMPDIR", scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn left_behind(scratch: &TempDir) -> usize {
    std::fs::read_dir(scratch.path()).expect("a folder").count()
}

#[tokio::test]
async fn the_demo_plays_it_and_cleans_up() {
    needs_interpreters!();
    let scratch = tempfile::tempdir().expect("a folder");
    let output = demo(&scratch).output().await.expect("the demo runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for step in [
        "ok: created API /openweather POST for action /_/openweather",
        "< 200 {}",
        CLEAR,
        "ok: triggered /_/slackmsg",
    ] {
        assert!(said.contains(step), "{step} is missing: {said}");
    }
    assert_eq!(left_behind(&scratch), 0);
}

#[tokio::test]
async fn a_demo_that_is_interrupted_cleans_up_too() {
    needs_interpreters!();
    let scratch = tempfile::tempdir().expect("a folder");
    let mut child = demo(&scratch).spawn().expect("the demo runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    while let Some(line) = lines.next_line().await.expect("text") {
        if line.starts_with("platform ") {
            let pid = Pid::from_raw(child.id().expect("it runs").cast_signed());
            kill(pid, Signal::SIGINT).expect("a process to signal");
        }
    }
    let output = child.wait_with_output().await.expect("an end");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("demo: interrupted"),
        "{output:?}"
    );
    assert_eq!(left_behind(&scratch), 0);
}
