//! SIGTERM under load: exit 0, every call answered, every promise kept, nothing left running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::{LONG, Platform, exchange_over, shell};
use crate::leaks::Traces;
use crate::wait;

/// What one client saw.
#[derive(Default)]
struct Tally {
    /// Calls for which there was a connection before the signal, and later ones that were answered.
    started: usize,
    answered: usize,
    /// Why one was not.
    broken: Option<String>,
    /// Blocking calls that brought their result.
    results: usize,
    /// Activations that were accepted and are to be recorded.
    accepted: Vec<String>,
}

/// How far the test is.
#[derive(Default)]
struct Course {
    /// Clients that have had a good answer.
    served: AtomicUsize,
    /// Whether the platform was told to stop.
    told: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_keeps_every_promise() {
    let platform = Arc::new(Platform::start().await);
    platform
        .put_action(
            "slow",
            shell("sleep 0.2; echo '{\"ok\":true}'"),
            json!({"memory": 128, "logs": 0}),
        )
        .await;
    let course = Arc::new(Course::default());
    let mut clients = Vec::new();
    for query in ["", "?blocking=true"].repeat(4) {
        clients.push((query, tokio::spawn(calls(platform.clone(), course.clone(), query))));
    }
    wait::until(LONG, async || match course.served.load(Ordering::SeqCst) {
        served if served == clients.len() => Ok(()),
        served => Err(format!("{served} clients of {} were served", clients.len())),
    })
    .await;
    let traces = Traces::of(&platform);
    course.told.store(true, Ordering::SeqCst);
    platform.signal(Signal::SIGTERM);
    let mut accepted = Vec::new();
    for (query, client) in clients {
        let tally = client.await.expect("no answer but 200, 202 and 503");
        assert_eq!(tally.answered, tally.started, "{query:?}: {:?}", tally.broken);
        let good = tally.results + tally.accepted.len();
        assert!(good > 0, "{query:?}: no call went well before the end");
        assert_eq!(tally.results > 0, !query.is_empty(), "{query:?}: {}", tally.results);
        accepted.extend(tally.accepted);
    }
    let platform = Arc::into_inner(platform).expect("the clients are gone");
    let folder = traces.are_gone(platform).await;
    assert!(
        !folder.path().join("api.url").exists(),
        "a stopped platform announces no address"
    );
    let platform = folder.start().await;
    for id in accepted {
        let record = platform.record(&id).await;
        assert_eq!(record["response"]["status"], "success", "{record}");
    }
}

/// Calls one after another until the platform serves no more. Whoever was connected before the signal gets an answer; the
/// system resets some of those who connect while the listener is being closed.
async fn calls(platform: Arc<Platform>, course: Arc<Course>, query: &str) -> Tally {
    let target = format!("/api/v1/namespaces/_/actions/slow{query}");
    let mut tally = Tally::default();
    while let Ok(stream) = TcpStream::connect(&platform.address).await {
        let late = course.told.load(Ordering::SeqCst);
        let request = platform.request(Method::POST, &target, Some(platform.authorization()), Some("{}".into()));
        let answer = match exchange_over(stream, request.expect("a request")).await {
            Ok(answer) => answer,
            Err(_) if late => break,
            Err(error) => {
                tally.started += 1;
                tally.broken = Some(format!("{error:#}"));
                break;
            }
        };
        tally.started += 1;
        tally.answered += 1;
        if answer.status < 300 && tally.answered == 1 {
            course.served.fetch_add(1, Ordering::SeqCst);
        }
        match answer.status {
            202 => {
                let id = answer.activation_id();
                tally.accepted.push(id.clone());
                // Without waiting the queue grows so long that what is behind it outlasts any drain.
                if !is_recorded(&platform, &id).await {
                    break;
                }
            }
            200 => tally.results += 1,
            503 => break,
            _ => panic!("{answer:?}"),
        }
    }
    tally
}

/// Waits for a record; false when the platform serves no more.
async fn is_recorded(platform: &Platform, id: &str) -> bool {
    let target = format!("/api/v1/namespaces/_/activations/{id}");
    let look = async || {
        let key = Some(platform.authorization());
        let answer = platform.send(Method::GET, &target, key, None).await;
        answer.map_or(0, |answer| answer.status)
    };
    let recorded = async {
        loop {
            match look().await {
                404 => tokio::time::sleep(Duration::from_millis(10)).await,
                status => return status == 200,
            }
        }
    };
    tokio::time::timeout(LONG, recorded).await.expect("a record")
}
