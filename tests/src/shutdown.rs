//! SIGTERM under load: exit 0, every promise kept, nothing left running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Method;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{Platform, shell};

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
    let key = {
        use base64::Engine as _;
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(platform.key())
        )
    };
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|i| {
            let (platform, stop, key) = (platform.clone(), stop.clone(), key.clone());
            tokio::spawn(async move {
                let (mut accepted, mut blocking) = (Vec::new(), 0);
                while !stop.load(Ordering::Relaxed) {
                    let wait = if i % 2 == 0 { "?blocking=true" } else { "" };
                    let target = format!("/api/v1/namespaces/_/actions/slow{wait}");
                    let Ok(answer) = platform
                        .send(Method::POST, &target, Some(&key), Some("{}".into()))
                        .await
                    else {
                        break;
                    };
                    match answer.status {
                        202 => accepted.push(answer.activation_id()),
                        200 => blocking += 1,
                        503 => break,
                        _ => panic!("{answer:?}"),
                    }
                }
                (accepted, blocking)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(800)).await;
    platform.signal(Signal::SIGTERM);
    let mut accepted = Vec::new();
    for worker in workers {
        accepted.extend(worker.await.expect("no answer but 200, 202 and 503").0);
        stop.store(true, Ordering::Relaxed);
    }
    let platform = Arc::into_inner(platform).expect("the workers are gone");
    let (code, folder) = platform.ended().await;
    assert_eq!(code, Some(0), "{}", folder.log());
    assert!(
        !folder.path().join("api.url").exists(),
        "a stopped platform announces no address"
    );
    assert!(!accepted.is_empty());
    let platform = folder.start().await;
    for id in accepted {
        let record = platform.record(&id).await;
        assert_eq!(record["response"]["status"], "success", "{record}");
    }
}
