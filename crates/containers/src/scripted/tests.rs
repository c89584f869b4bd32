//! The scripted factory keeps the contract when its script plays the contract's program.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{CallKind, Handle, Outcome, Reply, Seen, pair};
use crate::{Call, CallError, Container, ContainerFactory, Error, LogRequest, Spec, Stream, Until, contract};

fn spec() -> Spec {
    Spec {
        name: "contract".to_owned(),
        image: "example/contract:1".to_owned(),
        program: vec!["contract".to_owned()],
        folder: None,
        memory_mb: 128,
        concurrency: 1,
        env: vec![("CONTRACT".to_owned(), "kept".to_owned())],
        managed: true,
        tenant: None,
    }
}

fn call(limit: Duration) -> Call {
    Call {
        body: "{}".into(),
        limit,
        answer_limit: 1_000,
    }
}

fn play(seen: &Seen) -> Reply {
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let value = &body["value"];
    let number = |name: &str| value[name].as_u64().unwrap_or(0);
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut reply = match value["do"].as_str().unwrap_or_default() {
        "echo" => Reply::ok(value.to_string()),
        "counts" => {
            let inits = u32::from(seen.kind == CallKind::Run);
            Reply::ok(json!({"inits": inits, "runs": seen.before + 1, "ticks": 0}).to_string())
        }
        "env" => Reply::ok(json!({"CONTRACT": "kept"}).to_string()),
        "print" => {
            let lines = |stream, text: String| text.lines().map(|line| (stream, line.to_owned())).collect::<Vec<_>>();
            let mut reply = Reply::ok("{}");
            reply.lines = lines(Stream::Stdout, text("out"));
            reply.lines.extend(lines(Stream::Stderr, text("err")));
            reply
        }
        "flood" => {
            let mut reply = Reply::ok("{}");
            reply.lines = vec![(Stream::Stdout, "x".repeat(99)); number("lines") as usize];
            reply
        }
        "sleep" => Reply::ok("{}").after(Duration::from_millis(number("ms"))),
        "exit" => Reply::outcome(Outcome::Die).without_sentinel(),
        "close" => Reply::outcome(Outcome::Close),
        "eat" if number("mb") > 128 => Reply::outcome(Outcome::OutOfMemory),
        "eat" => Reply::ok(json!({"eaten": number("mb") << 20}).to_string()),
        "big" => Reply::ok("a".repeat(number("bytes") as usize)),
        "chunked" => Reply::ok(text("body")),
        "status" => Reply::status(number("status") as u16, text("body")),
        _ => Reply::ok("{}"),
    };
    reply.sentinel &= value["sentinel"] != false;
    reply
}

fn start(spec: &Spec) -> Result<Duration, Error> {
    match spec.program[0].strip_prefix("/nonexistent") {
        None => Ok(Duration::from_millis(1)),
        Some(_) => Err(Error::ProgramMissing {
            image: spec.image.clone(),
            program: spec.program[0].clone(),
        }),
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let (factory, handle) = pair();
    handle.behave(play);
    handle.starts(start);
    contract::all(&contract::Subject {
        factory: Arc::new(factory),
        spec: spec(),
        missing: Spec {
            program: vec!["/nonexistent/program".to_owned()],
            ..spec()
        },
        limits_memory: true,
    })
    .await;
    assert!(handle.alive().is_empty());
}

async fn scene() -> (Arc<dyn Container>, Handle) {
    let (factory, handle) = pair();
    let container = factory.create(spec()).await.unwrap();
    (container, handle)
}

#[tokio::test(start_paused = true)]
async fn wrong_use_is_noted() {
    let (container, handle) = scene().await;
    let limit = Duration::from_millis(10);
    container.run(call(limit)).await.unwrap();
    container.init(call(limit)).await.unwrap();
    container.init(call(limit)).await.unwrap();
    handle.next_run(Reply::outcome(Outcome::Hang));
    let (one, two) = tokio::join!(container.run(call(limit)), container.run(call(limit)));
    assert_eq!((one, two), (Err(CallError::Timeout), Err(CallError::Timeout)));
    container.pause().await.unwrap();
    assert_eq!(container.run(call(limit)).await, Err(CallError::Timeout));
    container.destroy().await.unwrap();
    let _ = container.run(call(limit)).await;
    let noted = handle.violations();
    let expected = [
        "/run before",
        "second /init",
        "more /run than",
        "call while paused",
        "call after destroy",
    ];
    assert_eq!(noted.len(), expected.len(), "{noted:?}");
    assert!(
        noted
            .iter()
            .zip(expected)
            .all(|(noted, expected)| noted.starts_with(expected)),
        "{noted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn refused_inits_are_retried_and_deaths_are_seen() {
    let (container, handle) = scene().await;
    handle.next_init(Reply::outcome(Outcome::Refused));
    handle.next_init(Reply::outcome(Outcome::Refused));
    assert_eq!(container.init(call(Duration::from_secs(2))).await.unwrap().status, 200);
    handle.next_run(Reply::outcome(Outcome::Hang));
    let kill = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(handle.kill(container.id()));
    };
    assert_eq!(
        tokio::join!(container.run(call(Duration::from_secs(9))), kill).0,
        Err(CallError::ConnectionLost)
    );
    assert_eq!(
        container.run(call(Duration::from_secs(9))).await,
        Err(CallError::Refused)
    );
    assert!(!handle.kill(container.id()));
    assert!(handle.violations().is_empty(), "{:?}", handle.violations());
}

#[tokio::test(start_paused = true)]
async fn logs_wait_for_the_sentinel_and_init_writes_none() {
    let (container, handle) = scene().await;
    let limit = Duration::from_secs(1);
    container.init(call(limit)).await.unwrap();
    handle.next_run(
        Reply::ok("{}")
            .line(Stream::Stdout, "hello")
            .after(Duration::from_millis(300)),
    );
    let request = LogRequest {
        limit_bytes: 100,
        until: Until::Sentinel,
        wait: limit,
    };
    let (_, logs) = tokio::join!(container.run(call(limit)), container.logs(request));
    assert_eq!((logs.lines[0].text.as_str(), logs.incomplete), ("hello", false));
    assert!(container.logs(request).await.incomplete);
}
