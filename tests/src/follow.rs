//! Following logs while they are written: lines come as they are printed, in order and once, and nobody who is slow or gone
//! holds anybody up.

use std::time::Duration;

use base64::Engine as _;
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::cancel::cancel;
use crate::harness::{Folder, LONG, Platform, node, program};
use crate::wait;

/// A follower, on a plain connection.
pub struct Events {
    stream: BufReader<TcpStream>,
}

/// What is left of an event.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: String,
    data: String,
}

impl Events {
    pub async fn open(p: &Platform, id: &str, after: Option<u64>) -> Events {
        let (status, events) = Events::ask(p, id, after).await;
        assert_eq!(status, 200);
        events
    }

    async fn ask(p: &Platform, id: &str, after: Option<u64>) -> (u16, Events) {
        let key = base64::engine::general_purpose::STANDARD.encode(p.key());
        let mut head = format!(
            "GET /api/v1/namespaces/_/activations/{id}/logs?follow=true HTTP/1.1\r\nhost: {}\r\n\
             authorization: Basic {key}\r\naccept: text/event-stream\r\n",
            p.address
        );
        if let Some(after) = after {
            head.push_str(&format!("last-event-id: {after}\r\n"));
        }
        let mut stream = TcpStream::connect(&p.address).await.expect("a connection");
        stream
            .write_all(format!("{head}\r\n").as_bytes())
            .await
            .expect("a request");
        let mut events = Events {
            stream: BufReader::new(stream),
        };
        let status = events.text_line().await.expect("a status line");
        while events.text_line().await.is_some_and(|line| !line.is_empty()) {}
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), events)
    }

    async fn text_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(LONG, self.stream.read_line(&mut line)).await;
        match read.expect("a line in time") {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }

    /// The next event; none at the end of the connection. Chunks are told from fields by their having no colon.
    async fn event(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.text_line().await?;
            match line.split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", data)) => event.data = data.to_owned(),
                Some(_) => {}
                None if line.is_empty() && !event.data.is_empty() => return Some(event),
                None if line == "0" => return None,
                None => {}
            }
        }
    }

    /// The next line of the log.
    pub async fn line(&mut self) -> String {
        let event = self.event().await.expect("an event");
        assert_eq!(event.name, "", "{event:?}");
        event.data
    }

    /// All that is left: the lines, and the end.
    async fn rest(&mut self) -> (Vec<String>, Value) {
        let mut lines = Vec::new();
        loop {
            let event = self.event().await.expect("an end");
            if event.name == "end" {
                let end = serde_json::from_str(&event.data).expect("JSON");
                return (lines, end);
            }
            lines.push(event.data);
        }
    }
}

const STEPS: &str = "async function main(args) {
    for (let i = 0; i < (args.n || 3); i++) {
        console.log('step ' + i);
        await new Promise(resolve => setTimeout(resolve, args.ms || 300));
    }
    console.error('done');
    return {};
}";

async fn steps(p: &Platform) {
    p.put_action("steps", node(STEPS), json!({"timeout": 300_000, "memory": 256}))
        .await;
}

async fn start(p: &Platform, arguments: Value) -> String {
    let answer = p.call(Method::POST, "/actions/steps", Some(&arguments)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.activation_id()
}

fn logs(record: &Value) -> Vec<String> {
    serde_json::from_value(record["logs"].clone()).expect("lines")
}

#[tokio::test]
async fn lines_come_while_it_runs_and_the_end_says_how() {
    needs_interpreters!();
    let p = Platform::start().await;
    steps(&p).await;
    let id = start(&p, json!({"ms": 120_000})).await;
    let (mut one, mut other) = (Events::open(&p, &id, None).await, Events::open(&p, &id, None).await);
    for events in [&mut one, &mut other] {
        assert!(events.line().await.ends_with("stdout: step 0"));
    }
    drop(other);
    assert_eq!(cancel(&p, &id).await.status, 200);
    let (_, end) = one.rest().await;
    let expected = json!({
        "activationId": id, "status": "action developer error", "statusCode": 2, "success": false, "cancelled": true,
    });
    assert_eq!(end, expected);
    assert!(one.event().await.is_none(), "nothing follows the end");
    wait::until(LONG, async || {
        let metrics = crate::harness::get(&p.address, "/metrics").await;
        match String::from_utf8_lossy(&metrics.body).contains("controller_followers_counter 0") {
            true => Ok(()),
            false => Err("somebody still follows".to_owned()),
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_followed_is_what_is_recorded_and_a_resumed_log_goes_on() {
    needs_interpreters!();
    let p = Platform::start().await;
    steps(&p).await;
    let id = start(&p, json!({"n": 5, "ms": 100})).await;
    let (lines, end) = Events::open(&p, &id, None).await.rest().await;
    assert_eq!(end["success"], json!(true), "{end}");
    assert_eq!(lines, logs(&p.record(&id).await));
    assert_eq!(lines.len(), 6);
    let mut resumed = Events::open(&p, &id, Some(4)).await;
    let first = resumed.event().await.expect("an event");
    assert_eq!((first.id.as_str(), &first.data), ("5", &lines[4]));
    assert_eq!(resumed.rest().await.0, lines[5..]);
    assert!(Events::open(&p, &id, Some(99)).await.rest().await.0.is_empty());
    assert_eq!(Events::ask(&p, &"0".repeat(32), None).await.0, 404);
    let plain = p.get(&format!("/activations/{id}/logs")).await;
    assert_eq!(logs(&plain), lines, "who does not ask is answered as ever");
}

#[tokio::test]
async fn who_follows_what_waits_hears_nothing_until_it_runs() {
    needs_interpreters!();
    let p = Folder::with_config("[invoker]\nmemory_mb = 256\nprewarm = false\n")
        .start()
        .await;
    steps(&p).await;
    let first = start(&p, json!({"ms": 120_000})).await;
    assert!(Events::open(&p, &first, None).await.line().await.ends_with("step 0"));
    let second = start(&p, json!({"n": 1, "ms": 1})).await;
    let mut events = Events::open(&p, &second, None).await;
    let silent = tokio::time::timeout(Duration::from_millis(500), events.event()).await;
    assert!(silent.is_err(), "{silent:?}");
    assert_eq!(cancel(&p, &first).await.status, 200);
    let (lines, end) = events.rest().await;
    assert_eq!((lines.len(), &end["success"]), (2, &json!(true)));
}

/// Waits until an activation is said to be so far.
async fn until_state(p: &Platform, id: &str, state: &str) -> Value {
    wait::until(LONG, async || {
        match p.get(&format!("/activations/{id}?pending=true")).await {
            shown if shown["state"] == state => Ok(shown),
            shown => Err(format!("not {state}: {shown}")),
        }
    })
    .await
}

#[tokio::test]
async fn who_asks_is_told_what_runs_and_what_waits() {
    needs_interpreters!();
    for concurrency in [1, 2] {
        let config = "[controller]\nmax_action_concurrency = 4\n[invoker]\nmemory_mb = 256\nprewarm = false\n";
        let p = Folder::with_config(config).start().await;
        let limits = json!({"timeout": 300_000, "memory": 256, "concurrency": concurrency});
        p.put_action("steps", node(STEPS), limits.clone()).await;
        p.put_action("others", node(STEPS), limits).await;
        let first = start(&p, json!({"ms": 120_000})).await;
        let shown = until_state(&p, &first, "running").await;
        let expected = json!({
            "activationId": first, "namespace": "guest", "name": "steps", "path": "guest/steps", "state": "running",
        });
        assert_eq!(shown, expected);
        // There is memory for one container alone.
        let answer = p
            .call(Method::POST, "/actions/others", Some(&json!({"n": 1, "ms": 120_000})))
            .await;
        let second = answer.activation_id();
        let waits = p.get(&format!("/activations/{second}?pending=true")).await;
        assert_eq!((&waits["state"], &waits["name"]), (&json!("pending"), &json!("others")));
        let plain = p.call(Method::GET, &format!("/activations/{first}"), None).await;
        assert_eq!(plain.status, 404, "who does not ask is answered as ever");
        let unknown = format!("/activations/{}?pending=true", "0".repeat(32));
        assert_eq!(p.call(Method::GET, &unknown, None).await.status, 404);
        assert_eq!(cancel(&p, &first).await.status, 200);
        until_state(&p, &second, "running").await;
        assert_eq!(cancel(&p, &second).await.status, 200);
        let record = p.record(&second).await;
        assert_eq!(p.get(&format!("/activations/{second}?pending=true")).await, record);
    }
}

#[tokio::test]
async fn a_flood_reaches_who_reads_and_harms_nobody_for_who_does_not() {
    needs_interpreters!();
    let p = Platform::start().await;
    let flood = "function main() { const line = 'x'.repeat(1000);
        for (let i = 0; i < 4000; i++) console.log(i + ' ' + line); return {}; }";
    p.put_action("steps", node(flood), json!({"memory": 256})).await;
    let id = start(&p, json!({})).await;
    let (mut slow, mut fast) = (Events::open(&p, &id, None).await, Events::open(&p, &id, None).await);
    let (lines, end) = fast.rest().await;
    assert_eq!(end["success"], json!(true));
    assert_eq!(lines, logs(&p.record(&id).await));
    assert_eq!(lines.len(), 4000);
    // The other has not read a byte beyond the head, and still finds everything.
    assert_eq!(slow.rest().await.0.len(), 4000);
    let gone = Events::open(&p, &id, None).await;
    drop(gone);
    assert_eq!(p.invoke("steps", &json!({})).await.status, 200);
}

#[tokio::test]
async fn the_end_of_the_platform_does_not_wait_for_followers() {
    needs_interpreters!();
    let p = Folder::with_config("drain = \"2s\"\n").start().await;
    steps(&p).await;
    let id = start(&p, json!({"ms": 120_000})).await;
    let mut events = Events::open(&p, &id, None).await;
    events.line().await;
    p.signal(nix::sys::signal::Signal::SIGTERM);
    let mut left = Vec::new();
    let _ = events.stream.read_to_end(&mut left).await;
    assert!(
        !String::from_utf8_lossy(&left).contains("event: end"),
        "it has not ended"
    );
    assert_eq!(p.ended().await.0, Some(0));
}

#[tokio::test]
async fn wsk_follows_and_cancels() {
    needs_interpreters!();
    let p = Platform::start().await;
    steps(&p).await;
    let wsk = |words: &[&str]| {
        let mut command = tokio::process::Command::new(program("wsk"));
        let host = format!("http://{}", p.address);
        command.env("WSK_CONFIG_FILE", p.folder.file("wskprops"));
        command.args(["--apihost", &host, "--auth", &p.key()]).args(words);
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command
    };
    let id = start(&p, json!({"ms": 120_000})).await;
    let mut following = wsk(&["activation", "logs", &id, "--follow", "--strip"])
        .spawn()
        .expect("wsk runs");
    let mut lines = BufReader::new(following.stdout.take().expect("its output")).lines();
    let first = tokio::time::timeout(LONG, lines.next_line())
        .await
        .expect("a line in time");
    assert_eq!(first.expect("a line").as_deref(), Some("step 0"));
    let cancelled = wsk(&["activation", "cancel", &id]).output().await.expect("wsk runs");
    assert_eq!(
        String::from_utf8_lossy(&cancelled.stdout),
        format!("ok: cancelled activation {id}\n")
    );
    assert_eq!(following.wait().await.expect("an end").code(), Some(0));
    let id = start(&p, json!({"n": 1, "ms": 1})).await;
    p.record(&id).await;
    let refused = wsk(&["activation", "cancel", &id]).output().await.expect("wsk runs");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    let text = format!(
        "error: Unable to cancel activation '{id}': The activation has already ended (success) and cannot be cancelled."
    );
    assert!(told.starts_with(&text), "{told}");
    // 409 as the other refusals: its status less 256.
    assert_eq!(refused.status.code(), Some(153));
}
