//! Cancelling activations: what runs is killed, what waits never runs, and either has one record that says so, whatever dies.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Folder, LONG, Platform, node, shell};
use crate::wait;

/// Runs for longer than any test waits.
const SLOW: &str = "async function main(args) {
    console.log('begun');
    await new Promise(resolve => setTimeout(resolve, args.ms || 120000));
    return {slept: true};
}";

/// Memory for one container, and a queue for one activation beside it.
const CRAMPED: &str = "[invoker]\nmemory_mb = 256\nrun_buffer = 1\nprewarm = false\n";

async fn slow(p: &Platform) {
    p.put_action("slow", node(SLOW), json!({"timeout": 300_000, "memory": 256}))
        .await;
}

async fn start(p: &Platform, name: &str) -> String {
    let answer = p
        .call(Method::POST, &format!("/actions/{name}"), Some(&json!({})))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.activation_id()
}

pub async fn cancel(p: &Platform, id: &str) -> Answer {
    p.call(Method::DELETE, &format!("/activations/{id}"), None).await
}

/// Everything in flight: id and action.
async fn in_flight(p: &Platform) -> Vec<String> {
    let answer = p.send(Method::GET, "/activation", None, None).await.expect("an answer");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let words = text.split(|c: char| !c.is_ascii_hexdigit());
    words.filter(|word| word.len() == 32).map(str::to_owned).collect()
}

/// Waits until every slot was given back.
async fn nothing_in_flight(p: &Platform) {
    wait::until(LONG, async || match in_flight(p).await {
        busy if busy.is_empty() => Ok(()),
        busy => Err(format!("{busy:?} still hold slots")),
    })
    .await;
}

/// Waits until an activation has printed something, hence runs.
async fn runs(p: &Platform, id: &str) {
    let mut events = crate::follow::Events::open(p, id, None).await;
    assert!(events.line().await.ends_with("stdout: begun"));
}

fn cancelled(record: &Value) -> bool {
    record["annotations"]
        .as_array()
        .expect("annotations")
        .contains(&json!({"key": "cancelled", "value": true}))
}

fn error(record: &Value) -> &str {
    record["response"]["result"]["error"].as_str().expect("an error")
}

#[tokio::test]
async fn what_runs_is_killed_and_its_caller_told_at_once() {
    needs_interpreters!();
    let p = Arc::new(Folder::with_config(CRAMPED).start().await);
    slow(&p).await;
    let caller = tokio::spawn({
        let p = p.clone();
        async move { p.invoke("slow", &json!({})).await }
    });
    let id = wait::until(LONG, async || {
        in_flight(&p).await.pop().ok_or("nothing runs".to_owned())
    })
    .await;
    runs(&p, &id).await;
    let answer = cancel(&p, &id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let record = answer.json();
    assert!(cancelled(&record), "{record}");
    assert_eq!(record["response"]["status"], "action developer error");
    assert_eq!(error(&record), "The activation was cancelled while its code ran.");
    assert!(
        record["logs"][0].as_str().expect("a log").ends_with("stdout: begun"),
        "{record}"
    );
    let told = caller.await.expect("an answer");
    assert_eq!((told.status, told.activation_id()), (502, id.clone()));
    assert_eq!(p.record(&id).await, record);
    nothing_in_flight(&p).await;
    // Its memory is free again, all of it.
    let next = p.invoke("slow", &json!({"ms": 1})).await;
    assert_eq!(next.status, 200, "{next:?}");
    assert_eq!(cancel(&p, &id).await.status, 200, "asking twice is no mistake");
    let done = cancel(&p, &next.activation_id()).await;
    let text = "The activation has already ended (success) and cannot be cancelled.";
    assert_eq!((done.status, done.json()["error"].as_str()), (409, Some(text)));
    let unknown = cancel(&p, &"0".repeat(32)).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn who_waits_for_memory_or_on_the_bus_never_runs() {
    needs_interpreters!();
    let p = Folder::with_config(CRAMPED).start().await;
    slow(&p).await;
    let first = start(&p, "slow").await;
    runs(&p, &first).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(start(&p, "slow").await);
    }
    // The last is still on the bus, where its invoker cannot reach it yet.
    for id in waiting.iter().rev() {
        let answer = cancel(&p, id).await;
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        let record = p.record(id).await;
        assert!(cancelled(&record), "{record}");
        assert!(error(&record).starts_with("The activation was cancelled"), "{record}");
        assert_eq!((&record["duration"], &record["logs"]), (&json!(0), &json!([])));
    }
    assert_eq!(cancel(&p, &first).await.status, 200);
    nothing_in_flight(&p).await;
    assert_eq!(p.invoke("slow", &json!({"ms": 1})).await.status, 200);
    for id in &waiting {
        assert!(cancelled(&p.record(id).await), "a later record replaced the first");
    }
}

#[tokio::test]
async fn a_sequence_stops_where_it_is() {
    needs_interpreters!();
    let p = Platform::start().await;
    slow(&p).await;
    let fast = shell("echo '{\"ms\": 120000}'");
    p.put_action("fast", fast, json!({"memory": 128})).await;
    let components = json!({"kind": "sequence", "components": ["/guest/fast", "/guest/slow", "/guest/fast"]});
    p.put_action("all", components, json!({})).await;
    let id = start(&p, "all").await;
    let component = wait::until(LONG, async || {
        let answer = p.send(Method::GET, "/activation", None, None).await.expect("an answer");
        match String::from_utf8_lossy(&answer.body).contains("slow") {
            true => in_flight(&p).await.pop().ok_or("gone again".to_owned()),
            false => Err("the second component has not begun".to_owned()),
        }
    })
    .await;
    runs(&p, &component).await;
    let answer = cancel(&p, &id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let record = answer.json();
    assert!(cancelled(&record), "{record}");
    let ran = record["logs"].as_array().expect("components").clone();
    assert_eq!((ran.len(), ran[1].as_str()), (2, Some(component.as_str())), "{record}");
    assert!(cancelled(&p.record(&component).await));
    nothing_in_flight(&p).await;
    let records = p.get("/activations?docs=true").await;
    let of_all = |record: &&Value| record["cause"] == json!(id);
    assert_eq!(records.as_array().expect("a list").iter().filter(of_all).count(), 2);
}

#[tokio::test]
async fn what_failed_is_not_run_again() {
    let p = Platform::start().await;
    let body = json!({
        "exec": shell("echo '{\"error\": \"x\"}'"), "limits": {"memory": 128},
        "annotations": [{"key": "retry", "value": {"attempts": 3, "delay": 200_000}}],
    });
    assert_eq!(p.call(Method::PUT, "/actions/flaky", Some(&body)).await.status, 200);
    let id = start(&p, "flaky").await;
    // The first run has failed, and the pause has begun.
    wait::until(LONG, async || match p.get("/activations?name=flaky").await {
        list if list.as_array().is_some_and(|list| !list.is_empty()) => Ok(()),
        list => Err(format!("no run yet: {list}")),
    })
    .await;
    let answer = cancel(&p, &id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let record = answer.json();
    assert!(cancelled(&record), "{record}");
    assert_eq!(record["logs"].as_array().map(Vec::len), Some(1), "{record}");
}

#[tokio::test]
async fn others_in_the_same_container_are_not_harmed() {
    needs_interpreters!();
    let config = "[controller]\nmax_action_concurrency = 4\n[invoker]\nmemory_mb = 256\nprewarm = false\n";
    let p = Arc::new(Folder::with_config(config).start().await);
    let limits = json!({"timeout": 60_000, "memory": 256, "concurrency": 4});
    p.put_action("slow", node(SLOW), limits).await;
    let other = tokio::spawn({
        let p = p.clone();
        async move { p.invoke("slow", &json!({"ms": 6000})).await }
    });
    wait::until(LONG, async || match in_flight(&p).await.len() {
        1 => Ok(()),
        n => Err(format!("{n} in flight")),
    })
    .await;
    let id = start(&p, "slow").await;
    // There is memory for one container alone, so that they share it, once it is there.
    wait::until(LONG, async || {
        let metrics = crate::harness::get(&p.address, "/metrics").await;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        match text.contains("containerPool_activeCount_counter 1") {
            true => Ok(()),
            false => Err("nothing runs".to_owned()),
        }
    })
    .await;
    let answer = cancel(&p, &id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(cancelled(&answer.json()));
    let other = other.await.expect("an answer");
    assert_eq!(
        (other.status, &other.json()["response"]["result"]),
        (200, &json!({"slept": true}))
    );
    // The container went with it, although the code that was given up would have run on.
    assert_eq!(p.invoke("slow", &json!({"ms": 1})).await.status, 200);
    nothing_in_flight(&p).await;
}

#[tokio::test]
async fn no_kill_brings_back_what_was_cancelled() {
    needs_interpreters!();
    let mut folder = Folder::with_config(CRAMPED);
    let mut gone = Vec::new();
    for _ in 0..3 {
        let p = folder.start().await;
        slow(&p).await;
        let running = start(&p, "slow").await;
        runs(&p, &running).await;
        let mut waiting = Vec::new();
        for _ in 0..3 {
            waiting.push(start(&p, "slow").await);
        }
        let last = waiting.pop().expect("the last");
        for id in [&last, &running] {
            let answer = cancel(&p, id).await;
            assert!(matches!(answer.status, 200 | 202), "{answer:?}");
            gone.push(id.clone());
        }
        folder = p.kill().await;
        let p = folder.start().await;
        for id in &gone {
            assert!(cancelled(&p.record(id).await), "{id}");
        }
        // What was not cancelled is taken up again, and can still be.
        for id in &waiting {
            wait::until(LONG, async || match cancel(&p, id).await.status {
                200 | 202 => Ok(()),
                other => Err(format!("{id}: {other}")),
            })
            .await;
            gone.push(id.clone());
        }
        nothing_in_flight(&p).await;
        folder = p.kill().await;
    }
    let p = folder.start().await;
    for id in &gone {
        assert!(cancelled(&p.record(id).await), "{id}");
    }
    nothing_in_flight(&p).await;
}
