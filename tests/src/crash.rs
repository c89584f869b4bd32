//! Promises P1, P2 and P5 of `docs/specification.md` under `kill -9`: what was accepted ends in exactly one record, what was acknowledged is there,
//! and the platform serves again at once.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::harness::{Answer, Folder, LONG, Platform, Unreached, get, shell};
use crate::leaks::{descendants, idle};
use crate::wait;

const ROUNDS: usize = 20;
const WORKERS: usize = 6;
/// The rules of the trigger.
const RULES: [&str; 2] = ["first", "second"];

/// What clients were told.
#[derive(Default)]
struct Promised {
    /// Of a single action.
    activations: HashSet<String>,
    fires: HashSet<String>,
    sequences: HashSet<String>,
    actions: HashSet<String>,
    /// What each worker's own action may be: there with this number, or not there. More than one only while the last write
    /// has no answer.
    kept: [Vec<Option<u64>>; WORKERS],
}

/// How often each activation ran, as told by the action itself.
type Runs = Arc<Mutex<HashMap<String, usize>>>;

/// One client in one round.
struct Client {
    platform: Arc<Platform>,
    promised: Arc<Mutex<Promised>>,
    stop: Arc<AtomicBool>,
    round: usize,
    worker: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_nothing() {
    let mut rng = rand::rngs::StdRng::seed_from_u64(20_261_128);
    let promised = Arc::new(Mutex::new(Promised::default()));
    promised.lock().await.kept.fill(vec![None]);
    let (port, runs) = count_runs().await;
    let (mut folder, mut starts) = (Folder::new(), Vec::new());
    for round in 0..ROUNDS {
        let platform = Arc::new(served(folder, &mut starts).await);
        if round == 0 {
            furnish(&platform, port).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let client = |worker| Client {
            platform: platform.clone(),
            promised: promised.clone(),
            stop: stop.clone(),
            round,
            worker,
        };
        let workers: Vec<_> = (0..WORKERS).map(|worker| tokio::spawn(client(worker).load())).collect();
        tokio::time::sleep(Duration::from_millis(rng.random_range(30..400))).await;
        platform.signal(nix::sys::signal::Signal::SIGKILL);
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.await.expect("a worker does not panic");
        }
        let platform = Arc::into_inner(platform).expect("the workers are gone");
        folder = platform.ended().await.1;
    }
    let platform = served(folder, &mut starts).await;
    tell(&format!("starts took {starts:?} ms"));
    let promised = Arc::into_inner(promised).expect("the workers are gone").into_inner();
    let single = all_is_recorded(&platform, &promised).await;
    for name in &promised.actions {
        let answer = platform.call(Method::GET, &format!("/actions/{name}"), None).await;
        assert_eq!(answer.status, 200, "{name} was acknowledged: {answer:?}");
    }
    for (worker, may_be) in promised.kept.iter().enumerate() {
        let answer = platform
            .call(Method::GET, &format!("/actions/kept-{worker}"), None)
            .await;
        let found = number(&answer);
        assert!(may_be.contains(&found), "{found:?} is none of {may_be:?}: {answer:?}");
    }
    idle(&platform).await;
    let ids = single.iter().chain(&promised.fires).chain(&promised.sequences);
    once_each(&platform, &ids.collect()).await;
    what_is_recorded_never_runs_again(platform, &runs, &single).await;
}

/// Starts a platform and notes how long it took until it answered, in milliseconds.
async fn served(folder: Folder, starts: &mut Vec<u128>) -> Platform {
    let begin = Instant::now();
    let platform = folder.start().await;
    assert_eq!(get(&platform.address, "/ping").await.status, 200);
    starts.push(begin.elapsed().as_millis());
    platform
}

/// Seen in passing tests, too.
fn tell(text: &str) {
    writeln!(std::io::stderr(), "kill -9: {text}").expect("an open stderr");
}

/// What the load uses. It is made once: that it is there in every later life is part of the promise.
async fn furnish(platform: &Platform, port: u16) {
    let report = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo $__OW_ACTIVATION_ID >&3; exec 3>&-; echo '{{}}'");
    let mut work = shell("");
    work["code"] = json!(format!("#!/bin/bash\n{report}\n"));
    platform
        .put_action("work", work, json!({"logs": 0, "memory": 128}))
        .await;
    let chain = json!({"kind": "sequence", "components": ["/_/work", "/_/work"]});
    platform.put_action("chain", chain, json!({})).await;
    let made = platform.call(Method::PUT, "/triggers/bell", Some(&json!({}))).await;
    assert_eq!(made.status, 200, "{made:?}");
    for name in RULES {
        let rule = json!({"trigger": "/_/bell", "action": "/_/work"});
        let made = platform.call(Method::PUT, &format!("/rules/{name}"), Some(&rule)).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
}

/// Listens to the action, which tells its activation's id each time it runs.
async fn count_runs() -> (u16, Runs) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let runs = Runs::default();
    let counted = runs.clone();
    tokio::spawn(async move {
        // One after another: when a run has been counted, so have all that ended before it began.
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut id = String::new();
            // One that was killed on the way says nothing.
            if stream.read_to_string(&mut id).await.is_ok() && id.ends_with('\n') {
                *counted.lock().await.entry(id.trim().to_owned()).or_default() += 1;
            }
        }
    });
    (port, runs)
}

impl Client {
    /// Invokes, fires, creates, changes and deletes until told to stop, noting what the platform promised.
    async fn load(self) {
        self.recall().await;
        let mut n = 0;
        while !self.stop.load(Ordering::Relaxed) {
            n += 1;
            if let Some(id) = self.accepted("actions/work").await {
                self.promised.lock().await.activations.insert(id);
            }
            let turn = (n + self.worker as u64) % 4;
            if turn == 0
                && let Some(id) = self.accepted("triggers/bell").await
            {
                self.promised.lock().await.fires.insert(id);
            }
            if turn == 2
                && let Some(id) = self.accepted("actions/chain").await
            {
                self.promised.lock().await.sequences.insert(id);
            }
            let name = format!("made-{}-{}-{n}", self.round, self.worker);
            let body = json!({"exec": shell("true")});
            let answer = self.send(Method::PUT, &format!("actions/{name}"), Some(body)).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                self.promised.lock().await.actions.insert(name);
            }
            self.change(n).await;
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Answer> {
        let target = format!("/api/v1/namespaces/_/{path}");
        let (key, body) = (Some(self.platform.authorization()), body.map(|body| body.to_string()));
        self.platform.send(method, &target, key, body).await
    }

    /// The id of what a POST started, if the platform said so.
    async fn accepted(&self, path: &str) -> Option<String> {
        let answer = self.send(Method::POST, path, Some(json!({}))).await.ok()?;
        (answer.status == 202).then(|| answer.activation_id())
    }

    fn kept(&self) -> String {
        format!("actions/kept-{}", self.worker)
    }

    /// Whether the worker's own action is as it was left, all kills notwithstanding.
    async fn recall(&self) {
        let Ok(answer) = self.send(Method::GET, &self.kept(), None).await else {
            return;
        };
        let found = number(&answer);
        let may_be = &mut self.promised.lock().await.kept[self.worker];
        assert!(may_be.contains(&found), "{found:?} is none of {may_be:?}: {answer:?}");
        *may_be = vec![found];
    }

    /// Writes or, now and then, deletes the worker's own action.
    async fn change(&self, n: u64) {
        let there = self.promised.lock().await.kept[self.worker]
            .last()
            .is_some_and(Option::is_some);
        let (becomes, sent) = if there && n.is_multiple_of(3) {
            (None, self.send(Method::DELETE, &self.kept(), None).await)
        } else {
            let number = self.round as u64 * 1_000_000 + n;
            let body = json!({"exec": shell("true"), "annotations": [{"key": "n", "value": number}]});
            let path = format!("{}?overwrite=true", self.kept());
            (Some(number), self.send(Method::PUT, &path, Some(body)).await)
        };
        let may_be = &mut self.promised.lock().await.kept[self.worker];
        match sent {
            Ok(answer) if answer.status == 200 => *may_be = vec![becomes],
            Err(error) if error.is::<Unreached>() => {}
            Ok(_) | Err(_) => may_be.push(becomes),
        }
    }
}

/// The number that a worker's own action bears; none when it is not there.
fn number(answer: &Answer) -> Option<u64> {
    if answer.status == 404 {
        return None;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    let action = answer.json();
    let annotations = action["annotations"].as_array().expect("annotations").iter();
    let mut number = annotations.filter(|annotation| annotation["key"] == "n");
    Some(number.next().and_then(|n| n["value"].as_u64()).expect("a number"))
}

/// Whether everything accepted has its record, and so has what it brought about; gives the activations of the one action.
async fn all_is_recorded(platform: &Platform, promised: &Promised) -> HashSet<String> {
    let mut single = promised.activations.clone();
    for id in &promised.fires {
        let lines = logs(platform, id).await;
        let lines: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect();
        assert_eq!(lines.len(), RULES.len(), "{id}: {lines:?}");
        let started = lines.iter().map(|line| line["activationId"].as_str());
        single.extend(started.map(|id| id.unwrap_or_else(|| panic!("no rule failed: {lines:?}")).to_owned()));
    }
    for id in &promised.sequences {
        let components = logs(platform, id).await;
        assert_eq!(components.len(), 2, "{id}: {components:?}");
        single.extend(components);
    }
    let counts = [&promised.activations, &promised.fires, &promised.sequences].map(HashSet::len);
    tell(&format!("accepted {counts:?} activations, fires and sequences"));
    assert!(
        counts.iter().all(|count| *count > 0) && counts[0] > ROUNDS,
        "the load accepted only {counts:?}"
    );
    for id in &single {
        platform.record(id).await;
    }
    single
}

/// The lines of a record.
async fn logs(platform: &Platform, id: &str) -> Vec<String> {
    let record = platform.record(id).await;
    let lines = record["logs"].as_array().expect("lines").iter();
    lines.map(|line| line.as_str().expect("text").to_owned()).collect()
}

/// Another death, when everything has its record, brings no activation back to life.
async fn what_is_recorded_never_runs_again(platform: Platform, runs: &Runs, single: &HashSet<String>) {
    let before = all_runs(&platform, runs).await;
    for id in single.iter().filter(|id| !before.contains_key(*id)) {
        let record = platform.record(id).await;
        assert_ne!(record["response"]["success"], true, "nobody ran it: {record}");
    }
    let again = before.values().filter(|count| **count > 1).count();
    tell(&format!(
        "{} activations ran, {again} of them again after a kill",
        before.len()
    ));
    let platform = platform.kill().await.start().await;
    let after = all_runs(&platform, runs).await;
    let changed: Vec<_> = before
        .iter()
        .filter(|(id, count)| after.get(*id) != Some(count))
        .collect();
    assert!(changed.is_empty(), "ran again although recorded: {changed:?}");
}

/// The count when nothing is in flight and every run has been counted.
async fn all_runs(platform: &Platform, runs: &Runs) -> HashMap<String, usize> {
    idle(platform).await;
    let last = wait::until(LONG, async || {
        let answer = platform.invoke("work", &json!({})).await;
        match answer.status {
            200 => Ok(answer.activation_id()),
            _ => Err(format!("{answer:?}")),
        }
    })
    .await;
    wait::until(LONG, async || {
        let runs = runs.lock().await;
        let counted = runs.contains_key(&last).then(|| runs.clone());
        counted.ok_or_else(|| "the last run was not counted yet".to_owned())
    })
    .await
}

/// No id is listed twice.
async fn once_each(platform: &Platform, accepted: &HashSet<&String>) {
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
    let missing: Vec<_> = accepted.iter().filter(|id| !unique.contains(*id)).collect();
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
