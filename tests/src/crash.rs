//! Promises P1, P2 and P5 of `docs/specification.md` under `kill -9`: what was accepted ends in exactly one record, what was acknowledged is there,
//! and the platform serves again at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Method;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::sync::Mutex;

use crate::harness::{Folder, LONG, Platform, shell};
use crate::wait;

const ROUNDS: usize = 20;
const WORKERS: usize = 6;

/// What clients were told.
#[derive(Default)]
struct Promised {
    activations: HashSet<String>,
    actions: HashSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_nothing() {
    let seed = 20_261_128;
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let promised = Arc::new(Mutex::new(Promised::default()));
    let mut folder = Folder::new();
    for round in 0..ROUNDS {
        let platform = Arc::new(folder.start().await);
        platform
            .put_action("work", shell("echo '{\"ok\":true}'"), json!({"logs": 0, "memory": 128}))
            .await;
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| tokio::spawn(load(platform.clone(), promised.clone(), stop.clone(), round, worker)))
            .collect();
        tokio::time::sleep(Duration::from_millis(rng.random_range(30..400))).await;
        platform.signal(nix::sys::signal::Signal::SIGKILL);
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.await.expect("a worker does not panic");
        }
        let platform = Arc::into_inner(platform).expect("the workers are gone");
        folder = platform.ended().await.1;
    }
    let platform = folder.start().await;
    let promised = promised.lock().await;
    assert!(
        promised.activations.len() > ROUNDS,
        "the load accepted only {}",
        promised.activations.len()
    );
    for id in &promised.activations {
        platform.record(id).await;
    }
    for name in &promised.actions {
        let answer = platform.call(Method::GET, &format!("/actions/{name}"), None).await;
        assert_eq!(answer.status, 200, "{name} was acknowledged: {answer:?}");
    }
    once_each(&platform, &promised.activations).await;
}

/// Invokes and creates until told to stop, noting what the platform promised.
async fn load(
    platform: Arc<Platform>,
    promised: Arc<Mutex<Promised>>,
    stop: Arc<AtomicBool>,
    round: usize,
    worker: usize,
) {
    let key = format!("Basic {}", {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(platform.key())
    });
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let invoke = "/api/v1/namespaces/_/actions/work";
        let answer = platform.send(Method::POST, invoke, Some(&key), Some("{}".into())).await;
        if let Some(answer) = answer.ok().filter(|answer| answer.status == 202) {
            promised.lock().await.activations.insert(answer.activation_id());
        }
        let name = format!("made-{round}-{worker}-{n}");
        let body = json!({"exec": shell("true")}).to_string();
        let create = format!("/api/v1/namespaces/_/actions/{name}");
        let answer = platform.send(Method::PUT, &create, Some(&key), Some(body)).await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            promised.lock().await.actions.insert(name);
        }
    }
}

/// No id is listed twice.
async fn once_each(platform: &Platform, accepted: &HashSet<String>) {
    let mut seen = Vec::new();
    loop {
        let page = platform
            .get(&format!("/activations?limit=200&skip={}", seen.len()))
            .await;
        let page = page.as_array().expect("a list");
        if page.is_empty() {
            break;
        }
        seen.extend(
            page.iter()
                .filter_map(|a| a["activationId"].as_str())
                .map(str::to_owned),
        );
    }
    let unique: HashSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "an activation has two records");
    let missing: Vec<_> = accepted.iter().filter(|id| !unique.contains(id)).collect();
    assert!(missing.is_empty(), "not listed: {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_must_not_run_twice_gets_an_error_record() {
    let platform = Platform::start().await;
    let body = json!({
        "exec": shell("sleep 30; echo '{}'"),
        "annotations": [{"key": "max-attempts", "value": 1}],
        "limits": {"timeout": 60000, "memory": 128},
    });
    let answer = platform.call(Method::PUT, "/actions/once", Some(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let accepted = platform.call(Method::POST, "/actions/once", Some(&json!({}))).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    wait::until(LONG, async || {
        let running = descendants(platform.pid().as_raw(), "sleep");
        if running > 0 {
            Ok(())
        } else {
            Err("the action does not run yet".into())
        }
    })
    .await;
    let folder = platform.kill().await;
    let platform = folder.start().await;
    let record = platform.record(&accepted.activation_id()).await;
    assert_eq!(record["response"]["status"], "whisk internal error", "{record}");
}

/// Processes named `name` below `root`.
fn descendants(root: i32, name: &str) -> usize {
    let mut count = 0;
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    for entry in processes.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if comm.trim() == name && is_below(pid, root) {
            count += 1;
        }
    }
    count
}

fn is_below(mut pid: i32, root: i32) -> bool {
    while pid > 1 {
        if pid == root {
            return true;
        }
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            return false;
        };
        let after = stat.rsplit(')').next().unwrap_or_default();
        pid = after
            .split_whitespace()
            .nth(1)
            .and_then(|p| p.parse().ok())
            .unwrap_or(0);
    }
    false
}
