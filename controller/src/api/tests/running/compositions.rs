//! Sequences and conductors, and what becomes of them when the controller dies.

use super::*;
use crate::Config;
use crate::api::tests::{MANIFEST, new_bus, new_stores, vault};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use wsk_entities::{ActivationId, ActivationSummary, Namespace, Timestamp};
use wsk_store::{ActivationFilter, Error, Page, Stores};

/// A store that does not take the records of `inner` while it is told not to.
struct Picky {
    all: Arc<dyn ActivationStore>,
    refuses: AtomicBool,
}

#[async_trait::async_trait]
impl ActivationStore for Picky {
    async fn store(&self, records: Vec<Arc<Activation>>) -> Result<(), Error> {
        if self.refuses.load(Ordering::SeqCst) && records.iter().any(|record| record.name.as_str() == "inner") {
            return Err(Error::Unavailable("the test says so".into()));
        }
        self.all.store(records).await
    }

    async fn get(&self, namespace: &Namespace, id: ActivationId) -> Result<Option<Activation>, Error> {
        self.all.get(namespace, id).await
    }

    async fn summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, Error> {
        self.all.summaries(namespace, filter, page).await
    }

    async fn records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, Error> {
        self.all.records(namespace, filter, page).await
    }

    async fn count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, Error> {
        self.all.count(namespace, filter).await
    }

    async fn exists(&self, namespace: &Namespace, id: ActivationId) -> Result<bool, Error> {
        self.all.exists(namespace, id).await
    }

    async fn retain(&self, now: Timestamp) -> Result<u64, Error> {
        self.all.retain(now).await
    }
}

async fn ready(behaviour: impl Fn(&ActivationMessage) -> Act + Send + Sync + 'static) -> (Api, Invoker) {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, behaviour).await;
    furnish(&api).await;
    (api, invoker)
}

async fn furnish(api: &Api) {
    let client = api.client("guest");
    for name in ["a", "b"] {
        client.put(&format!("actions/{name}"), code()).await.ok();
    }
    client.put("actions/s", sequence(&["/_/a", "/_/b"])).await.ok();
    let mut conductor = code();
    conductor["annotations"] = json!([{"key": "conductor", "value": true}]);
    client.put("actions/c", conductor).await.ok();
}

#[tokio::test(start_paused = true)]
async fn a_sequence_is_answered_and_recorded() {
    let (api, invoker) = ready(echo).await;
    let client = api.client("guest");
    let answer = client.post("actions/s?blocking=true", json!({"x": 1})).await;
    let shown = answer.ok();
    let seen = invoker.seen();
    let ids: Vec<String> = seen.iter().map(|m| m.activation_id.to_string()).collect();
    assert_eq!(
        (shown["logs"].clone(), shown["duration"].clone()),
        (json!(ids), json!(14))
    );
    assert_eq!(shown["response"]["result"], json!({"x": 1}));
    assert!(
        seen.iter()
            .all(|m| m.cause.map(|c| c.to_string()).as_deref() == shown["activationId"].as_str())
    );
    assert_eq!(record(&client, &id(&answer)).await, shown);
}

#[tokio::test(start_paused = true)]
async fn a_sequence_that_nobody_waits_for_is_recorded_too() {
    let (api, _invoker) = ready(echo).await;
    let client = api.client("guest");
    let answer = client.post("actions/s", json!({"x": 1})).await;
    assert_eq!(answer.status, 202);
    let shown = record(&client, &id(&answer)).await;
    assert_eq!(shown["logs"].as_array().unwrap().len(), 2);
    assert_eq!(api.app.bus.depth("owed0"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_first_is_accepted_and_goes_on() {
    let (api, _invoker) = ready(|_| Act::After(Duration::from_secs(4), success("{}"))).await;
    let client = api.client("guest");
    for wait in [1000, 5000] {
        let answer = client
            .post(&format!("actions/s?blocking=true&timeout={wait}"), json!({}))
            .await;
        assert_eq!(answer.status, 202);
        let shown = record(&client, &id(&answer)).await;
        assert_eq!(shown["logs"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_that_never_answers_ends_the_sequence() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let client = api.client("guest");
    let answer = client.post("actions/s", json!({})).await;
    tokio::time::sleep(Duration::from_secs(119)).await;
    assert_eq!(client.get(&format!("activations/{}", id(&answer))).await.status, 404);
    let shown = record(&client, &id(&answer)).await;
    assert_eq!(shown["response"]["status"], "whisk internal error");
}

#[tokio::test(start_paused = true)]
async fn a_conductor_directs() {
    let (api, invoker) = ready(|message| {
        if message.action.name.as_str() != "c" {
            return Act::Answer(success(r#"{"y":2}"#));
        }
        let input = message.content.as_ref().map(Json::to_value).unwrap_or_default();
        if input["n"] == 1 {
            return Act::Answer(success(&json!({"params": input}).to_string()));
        }
        Act::Answer(success(r#"{"action":"a","params":{"x":1},"state":{"n":1}}"#))
    })
    .await;
    let answer = api
        .client("guest")
        .post("actions/c?blocking=true", json!({}))
        .await
        .ok();
    assert_eq!(answer["response"]["result"], json!({"y": 2, "n": 1}));
    assert_eq!((answer["logs"].as_array().unwrap().len(), invoker.seen().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_refused_before_anything_runs() {
    let (api, invoker) = ready(echo).await;
    let client = api.client("guest");
    let other = api.client("other-ns");
    other.put("packages/p", json!({"publish": true})).await.ok();
    other.put("actions/p/x", code()).await.ok();
    client
        .put("actions/foreign", sequence(&["/_/a", "/other-ns/p/x"]))
        .await
        .ok();
    other
        .put("packages/p?overwrite=true", json!({"publish": false}))
        .await
        .ok();
    assert_eq!(
        client.post("actions/foreign", json!({})).await.refusal(),
        super::super::refused("other-ns/p")
    );
    assert!(invoker.seen().is_empty());
}

/// Runs one life of a controller on a runtime of its own; all its tasks die with it.
fn life<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// The controller dies while a component runs. In its next life the component's answer counts and nothing runs twice.
#[test]
fn an_accepted_sequence_survives_its_controller() {
    for (died_at, runs) in [("a", ["a", "b"]), ("b", ["a", "b"])] {
        let (api, accepted) = life(async {
            let (api, invoker) = ready(move |message| {
                if message.action.name.as_str() == died_at {
                    Act::Ignore
                } else {
                    echo(message)
                }
            })
            .await;
            let answer = api.client("guest").post("actions/s", json!({"x": 1})).await;
            while invoker.seen().last().is_none_or(|m| m.action.name.as_str() != died_at) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            (api, id(&answer))
        });
        life(async move {
            let api = Api::reborn(api).await;
            let invoker = Invoker::start(&api, echo).await;
            let shown = record(&api.client("guest"), &accepted).await;
            assert_eq!(shown["response"]["result"], json!({"x": 1}), "died at {died_at}");
            assert_eq!(shown["logs"].as_array().unwrap().len(), 2);
            let again: Vec<String> = invoker.seen().iter().map(|m| m.action.name.to_string()).collect();
            let from = runs.iter().position(|name| *name == died_at).unwrap();
            assert_eq!(again, runs[from..], "only what had not ended runs");
        });
    }
}

/// The wait of a caller ended, then the controller died: the promise made at that moment holds.
#[test]
fn a_sequence_accepted_late_survives_too() {
    let (api, accepted) = life(async {
        let (api, _invoker) = ready(|_| Act::Ignore).await;
        let answer = api
            .client("guest")
            .post("actions/s?blocking=true&timeout=100", json!({"x": 1}))
            .await;
        assert_eq!(answer.status, 202);
        (api, id(&answer))
    });
    life(async move {
        let api = Api::reborn(api).await;
        let _invoker = Invoker::start(&api, echo).await;
        let shown = record(&api.client("guest"), &accepted).await;
        assert_eq!(shown["response"]["result"], json!({"x": 1}));
    });
}

/// Nothing can run at first: what was accepted waits instead of failing.
#[tokio::test(start_paused = true)]
async fn an_accepted_sequence_waits_for_an_invoker() {
    let api = Api::start().await;
    furnish(&api).await;
    let client = api.client("guest");
    let answer = client.post("actions/s", json!({"x": 1})).await;
    assert_eq!(answer.status, 202);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let invoker = Invoker::start(&api, echo).await;
    let shown = record(&client, &id(&answer)).await;
    assert_eq!(shown["response"]["result"], json!({"x": 1}));
    let blocked = api.client("guest");
    drop(invoker);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let answer = blocked.post("actions/s?blocking=true", json!({})).await;
    assert_eq!(answer.json()["response"]["result"]["error"], "Sequence failed.");
}

fn names(invoker: &Invoker) -> Vec<String> {
    invoker.seen().iter().map(|m| m.action.name.to_string()).collect()
}

/// The store takes no record of the nested sequence when the caller's wait ends, nor before the controller dies.
#[test]
fn a_record_that_cannot_be_stored_holds_no_caller_and_is_not_lost() {
    let (api, store, accepted) = life(async {
        let stores = new_stores().await;
        let picky = Arc::new(Picky {
            all: stores.activations.clone(),
            refuses: AtomicBool::new(true),
        });
        let stores = Stores {
            activations: picky.clone(),
            ..stores
        };
        let api = Api::over_stores(MANIFEST, stores, vault(), Config::default(), new_bus()).await;
        let invoker = Invoker::start(&api, echo).await;
        furnish(&api).await;
        let client = api.client("guest");
        client.put("actions/inner", sequence(&["/_/a"])).await.ok();
        client.put("actions/outer", sequence(&["/_/inner", "/_/b"])).await.ok();
        let call = client.post("actions/outer?blocking=true&timeout=2000", json!({"x": 1}));
        let answer = tokio::time::timeout(Duration::from_secs(60), call).await;
        let answer = answer.expect("the wait ends as asked");
        assert_eq!((answer.status.as_u16(), names(&invoker)), (202, vec!["a".to_owned()]));
        (api, picky, id(&answer))
    });
    life(async move {
        let api = Api::reborn(api).await;
        let invoker = Invoker::start(&api, echo).await;
        store.refuses.store(false, Ordering::SeqCst);
        let client = api.client("guest");
        let outer = record(&client, &accepted).await;
        let inner = record(&client, outer["logs"][0].as_str().unwrap()).await;
        assert_eq!(
            (&inner["name"], &outer["response"]["result"]),
            (&json!("inner"), &json!({"x": 1}))
        );
        assert_eq!(names(&invoker), ["b"], "what had ended does not run again");
    });
}

/// The ledger has no place free, so that the states of a run that was accepted late are read when it has ended.
#[tokio::test(start_paused = true)]
async fn a_state_that_is_read_late_starts_nothing() {
    let config = Config {
        compositions: 1,
        ..Config::default()
    };
    let api = Api::configured(config).await;
    let invoker = Invoker::start(&api, |message| {
        let slow = message.action.name.as_str() == "slow";
        Act::After(Duration::from_secs(if slow { 50 } else { 2 }), success("{}"))
    })
    .await;
    furnish(&api).await;
    let client = api.client("guest");
    client.put("actions/slow", code()).await.ok();
    client.put("actions/first", sequence(&["/_/slow"])).await.ok();
    let first = client.post("actions/first", json!({})).await;
    while names(&invoker).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let late = client.post("actions/s?blocking=true&timeout=1000", json!({})).await;
    assert_eq!((first.status.as_u16(), late.status.as_u16()), (202, 202));
    for answer in [first, late] {
        record(&client, &id(&answer)).await;
    }
    while api.app.bus.depth("owed0") > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(names(&invoker), ["slow", "a", "b"]);
}

/// Nor where no record says that it has ended.
#[tokio::test(start_paused = true)]
async fn a_composition_without_a_record_runs_once_though_its_states_are_read_late() {
    let config = Config {
        compositions: 1,
        ..Config::default()
    };
    let api = Api::configured(config).await;
    let invoker = Invoker::start(&api, |message| {
        let slow = message.action.name.as_str() == "slow";
        Act::After(Duration::from_secs(if slow { 50 } else { 2 }), success("{}"))
    })
    .await;
    furnish(&api).await;
    let client = api.limited(
        "guest",
        wsk_entities::UserLimits {
            store_activations: Some(false),
            ..Default::default()
        },
    );
    client.put("actions/slow", code()).await.ok();
    client.put("actions/first", sequence(&["/_/slow"])).await.ok();
    let first = client.post("actions/first", json!({})).await;
    while names(&invoker).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let late = client.post("actions/s?blocking=true&timeout=1000", json!({})).await;
    assert_eq!((first.status.as_u16(), late.status.as_u16()), (202, 202));
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(
        (names(&invoker).join(" "), api.app.bus.depth("owed0")),
        ("slow a b".to_owned(), 0)
    );
}
