//! Callers who hang up in the middle, and writes that nobody hears of.

use super::*;
use crate::Config;
use crate::api::tests::{MANIFEST, missing, new_bus, new_stores, vault};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use wsk_entities::{Attachment, Binding, Collection, Entity, EntityPath, FullName};
use wsk_store::{EntityStore, Error, Expected, Page, Revision, Stored, Stores, Visibility};

/// What a store does with what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Helpful,
    /// Reads of this entity do not return.
    Mute(&'static str),
    /// Writes take effect and do not return.
    Slow,
    Away,
}

/// A store of entities that is held up.
struct Held {
    inner: Arc<dyn EntityStore>,
    mood: Mutex<Mood>,
    /// Somebody waits.
    reached: Notify,
    gate: Semaphore,
}

impl Held {
    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn is(&self, mood: Mood) -> bool {
        *self.mood.lock().unwrap() == mood
    }

    async fn wait(&self) {
        self.reached.notify_one();
        self.gate.acquire().await.unwrap().forget();
    }

    async fn written<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if self.is(Mood::Slow) {
            self.wait().await;
        }
        result
    }
}

#[async_trait::async_trait]
impl EntityStore for Held {
    async fn get(&self, name: &FullName) -> Result<Option<Stored<Entity>>, Error> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Mute(held) if name.to_string() == held => self.wait().await,
            Mood::Away => return Err(Error::Unavailable("the test says so".into())),
            Mood::Mute(_) | Mood::Helpful | Mood::Slow => {}
        }
        self.inner.get(name).await
    }

    async fn code(&self, name: &FullName, attachment: &Attachment) -> Result<Arc<str>, Error> {
        self.inner.code(name, attachment).await
    }

    async fn put(&self, entity: &Entity, expected: Expected) -> Result<Stored<Entity>, Error> {
        self.written(self.inner.put(entity, expected).await).await
    }

    async fn sealed(&self, after: Option<&FullName>, limit: u64) -> Result<Vec<Stored<Entity>>, Error> {
        self.inner.sealed(after, limit).await
    }

    async fn reseal(&self, entity: &Entity, at: &Revision) -> Result<bool, Error> {
        self.inner.reseal(entity, at).await
    }

    async fn delete(&self, name: &FullName, expected: &Revision) -> Result<(), Error> {
        self.written(self.inner.delete(name, expected).await).await
    }

    async fn list(
        &self,
        collection: Collection,
        path: &EntityPath,
        visibility: Visibility,
        page: Page,
    ) -> Result<Vec<Entity>, Error> {
        self.inner.list(collection, path, visibility, page).await
    }

    async fn count(&self, collection: Collection, path: &EntityPath, visibility: Visibility) -> Result<u64, Error> {
        self.inner.count(collection, path, visibility).await
    }

    async fn bindings_to(&self, package: &Binding) -> Result<Vec<FullName>, Error> {
        self.inner.bindings_to(package).await
    }
}

/// A controller whose entities are in a store that is held up.
async fn held(config: Config) -> (Api, Arc<Held>) {
    let stores = new_stores().await;
    let entities = Arc::new(Held {
        inner: stores.entities.clone(),
        mood: Mutex::new(Mood::Helpful),
        reached: Notify::new(),
        gate: Semaphore::new(0),
    });
    let stores = Stores {
        entities: entities.clone(),
        ..stores
    };
    let api = Api::over_stores(MANIFEST, stores, vault(), config, new_bus()).await;
    (api, entities)
}

/// Asks, and hangs up when the store has been reached; `meanwhile` is when it has.
async fn hang_up(asks: impl Future<Output = Answer>, store: &Held, meanwhile: impl FnOnce()) {
    let reached = async {
        store.reached.notified().await;
        meanwhile();
    };
    tokio::select! {
        biased;
        answer = asks => panic!("{answer:?}"),
        () = reached => {}
    }
}

/// What is stored is what every controller knows, though the one who wrote it heard nothing of it.
#[tokio::test(start_paused = true)]
async fn a_write_is_known_to_all_though_its_caller_hung_up() {
    let (api, store) = held(Config::default()).await;
    let other = Api::with(MANIFEST, Some(&api)).await;
    let (client, elsewhere) = (api.client("guest"), other.client("guest"));
    client.put("actions/a", code()).await.ok();
    elsewhere.get("actions/a").await.ok();

    store.be(Mood::Slow);
    hang_up(client.put("actions/a?overwrite=true", code()), &store, || ()).await;
    store.gate.add_permits(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for client in [&client, &elsewhere] {
        assert_eq!(client.get("actions/a").await.ok()["version"], "0.0.2");
    }

    hang_up(client.delete("actions/a"), &store, || ()).await;
    store.gate.add_permits(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for client in [&client, &elsewhere] {
        assert_eq!(client.get("actions/a").await.refusal(), missing());
    }
}

/// The last resort, for announcements that were never made; not at the price of what runs on while the store is away.
#[tokio::test(start_paused = true)]
async fn what_changed_unannounced_is_noticed_within_minutes() {
    let config = Config {
        cluster_size: 2,
        ..Config::default()
    };
    let (api, store) = held(config).await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    let name: FullName = "guest/a".parse().unwrap();
    let stored = store.inner.get(&name).await.unwrap().unwrap();
    store.inner.delete(&name, &stored.revision).await.unwrap();

    store.be(Mood::Away);
    tokio::time::sleep(Duration::from_secs(600)).await;
    client.get("actions/a?code=false").await.ok();
    store.be(Mood::Helpful);
    client.get("actions/a?code=false").await.ok();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(client.get("actions/a?code=false").await.refusal(), missing());
}

/// Another controller has written, and this one has not heard of it yet.
#[tokio::test(start_paused = true)]
async fn a_rule_made_elsewhere_a_moment_ago_is_fired() {
    let config = Config {
        cluster_size: 2,
        ..Config::default()
    };
    let (api, store) = held(config).await;
    let _invoker = Invoker::start(&api, echo).await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("triggers/t", json!({})).await.ok();
    let rule = json!({"trigger": "/_/t", "action": "/_/a"});
    client.put("rules/r", rule).await.ok();
    let name: FullName = "guest/t".parse().unwrap();
    let armed = store.inner.get(&name).await.unwrap().unwrap();
    client.post("rules/r", json!({"status": "inactive"})).await;
    let fire = async || client.post("triggers/t", json!({})).await.status.as_u16();
    assert_eq!(fire().await, 204);

    let known = store.inner.get(&name).await.unwrap().unwrap();
    let expected = Expected::Revision(known.revision);
    store.inner.put(&armed.value, expected).await.unwrap();
    store.be(Mood::Away);
    assert_eq!(fire().await, 204, "what is known counts while the store is away");
    store.be(Mood::Helpful);
    assert_eq!(fire().await, 202);
}

/// One rule is placed, the next one's action is still looked for.
#[tokio::test(start_paused = true)]
async fn a_fire_whose_caller_hangs_up_holds_nothing() {
    let (api, store) = held(Config::default()).await;
    let client = api.client("guest");
    client.put("triggers/t", json!({})).await.ok();
    for name in ["a", "b"] {
        client.put(&format!("actions/{name}"), code()).await.ok();
        let rule = json!({"trigger": "/_/t", "action": format!("/_/{name}")});
        client.put(&format!("rules/{name}-rule"), rule).await.ok();
    }
    // Knows nothing yet.
    let other = Api::with(MANIFEST, Some(&api)).await;
    let invoker = Invoker::start(&other, echo).await;
    let (client, namespace) = (other.client("guest"), "23bc46b1-71f6-4ed5-8c54-816aa4f8c502");
    let held = || {
        let app = &other.app;
        (
            app.in_flight_count(),
            app.counted_in_flight(namespace),
            app.memory_held()[0],
        )
    };
    store.be(Mood::Mute("guest/b"));
    hang_up(client.post("triggers/t", json!({})), &store, || {
        assert_eq!(held(), (1, 1, 256))
    })
    .await;
    assert_eq!(held(), (0, 0, 0));
    assert!(invoker.seen().is_empty());
}
