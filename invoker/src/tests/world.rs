//! An invoker, the bus and store around it, and a hand on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use wsk_bus::messages::{
    self, Acknowledgement, ActionRef, ActivationMessage, CACHE_INVALIDATION, CacheInvalidation, CacheKey,
    ControllerIndex, HEALTH, Ping,
};
use wsk_bus::{Durability, Key, Message, MessageBus, Subscription, TopicConfig};
use wsk_containers::scripted;
use wsk_entities::{
    Action, ActionLimits, Activation, ActivationId, ActivationSummary, Code, Entity, Exec, FullName, Identity, Json,
    Manifest, Namespace, Parameters, TransactionId, UserLimits, Version,
};
use wsk_service::clock;
use wsk_store::{ActivationFilter, ActivationStore, Expected, Faulty, Page, Revision, Stores};

use crate::{Config, Drained, Handle, Invoker};

pub(super) const MANIFEST: &str = r#"{"runtimes":{
    "nodejs":[{"kind":"nodejs:20","image":{"prefix":"openwhisk","name":"action-nodejs-v20"},"process":{"program":["node"]}}]},
    "blackboxes":[{"prefix":"openwhisk","name":"dockerskeleton"}]}"#;

/// Everything one test needs.
pub(super) struct World {
    pub bus: Arc<dyn MessageBus>,
    pub stores: Stores,
    pub records: Arc<Records>,
    pub containers: scripted::Handle,
    factory: scripted::Factory,
    pub config: Config,
    manifest: Arc<Manifest>,
    pub secrets: Arc<wsk_secrets::Vault>,
    invoker: Option<Handle>,
    acks: Box<dyn Subscription>,
    health: Box<dyn Subscription>,
    seen: Vec<Arc<Acknowledgement>>,
    next: u128,
}

/// A store of records that fails when it is told to, and that counts what it took.
pub(super) struct Records {
    pub inner: Faulty,
    pub written: AtomicUsize,
    pub writes: AtomicUsize,
}

/// What one activation left behind.
pub(super) struct Seen {
    pub record: Activation,
    pub acks: Vec<Arc<Acknowledgement>>,
}

pub(super) fn config() -> Config {
    Config {
        user_metrics: 0,
        ..Config::default()
    }
}

impl World {
    pub async fn new() -> World {
        World::with(config(), MANIFEST).await
    }

    pub async fn with(config: Config, manifest: &str) -> World {
        clock::simulate(Duration::from_secs(1_700_000_000));
        let bus = wsk_bus::open(&wsk_bus::Config::default()).unwrap();
        let stores = wsk_store::open(&wsk_store::Config::Embedded(wsk_store::EmbeddedConfig::default()))
            .await
            .unwrap();
        let records = Arc::new(Records {
            inner: Faulty::around(stores.activations.clone()),
            written: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
        });
        bus.ensure_topic(&TopicConfig::queue("completed0")).await.unwrap();
        bus.ensure_topic(&TopicConfig::broadcast(HEALTH)).await.unwrap();
        let acks = bus.subscribe("completed0", "completed0", 1000).await.unwrap();
        let health = bus.subscribe(HEALTH, "test", 1000).await.unwrap();
        let (factory, containers) = scripted::pair();
        let manifest = Arc::new(Manifest::parse(manifest).unwrap());
        let mut world = World {
            bus,
            stores,
            records,
            containers,
            factory,
            config,
            manifest,
            secrets: Arc::new(wsk_secrets::Vault::empty()),
            invoker: None,
            acks,
            health,
            seen: Vec::new(),
            next: 1,
        };
        world.start().await;
        world
    }

    pub async fn start(&mut self) {
        let invoker = Invoker::start(
            self.config.clone(),
            self.manifest.clone(),
            self.bus.clone(),
            self.stores.entities.clone(),
            self.records.clone(),
            Arc::new(self.factory.clone()),
            self.secrets.clone(),
        );
        self.invoker = Some(invoker.await.unwrap());
    }

    /// Ends the invoker as a crash would.
    pub async fn kill(&mut self) {
        self.invoker = None;
        settle().await;
    }

    pub fn invoker(&self) -> &Handle {
        self.invoker.as_ref().unwrap()
    }

    pub async fn drain(&mut self, limit: Duration) -> Drained {
        self.invoker.take().unwrap().drain(limit).await
    }

    /// Stores an action of the namespace `guest` and says at which revision.
    pub async fn put(&self, name: &str, change: impl FnOnce(&mut Action)) -> Revision {
        let full: FullName = format!("guest/{name}").parse().unwrap();
        let exec = Exec::Code {
            kind: "nodejs:20".into(),
            code: Code::Inline("code".into()),
            main: None,
            binary: false,
        };
        let mut action = Action {
            namespace: full.path.clone(),
            name: full.name.clone(),
            version: Version::FIRST,
            publish: false,
            updated: clock::now(),
            exec,
            parameters: Parameters::new(),
            annotations: Parameters::new(),
            limits: ActionLimits {
                memory: 256,
                timeout: 1000,
                ..ActionLimits::default()
            },
        };
        change(&mut action);
        let expected = match self.stores.entities.get(&full).await.unwrap() {
            None => Expected::Absent,
            Some(stored) => Expected::Revision(stored.revision),
        };
        self.stores
            .entities
            .put(&Entity::Action(action), expected)
            .await
            .unwrap()
            .revision
    }

    /// A blocking message for an action.
    pub fn message(&mut self, name: &str, revision: &Revision) -> ActivationMessage {
        self.next += 1;
        let full: FullName = format!("guest/{name}").parse().unwrap();
        let user = Identity::new(
            "guesty",
            Namespace::new("guest").unwrap(),
            "uuid",
            "key",
            UserLimits::default(),
        );
        ActivationMessage {
            transid: TransactionId::new(format!("t{}", self.next), clock::now()),
            action: ActionRef {
                path: full.path,
                name: full.name,
                version: Version::FIRST,
                binding: None,
            },
            revision: revision.0.clone(),
            user: Arc::new(user),
            activation_id: ActivationId::from_bits(self.next),
            root_controller_index: ControllerIndex::new("0"),
            blocking: true,
            content: Some(Json::parse(r#"{"name":"unipi"}"#).unwrap()),
            init_args: Vec::new(),
            locked_args: Default::default(),
            cause: None,
            trace_context: None,
            detour: None,
        }
    }

    pub async fn send(&self, message: ActivationMessage) -> ActivationId {
        let id = message.activation_id;
        let message = Message::local(Key::Id(id.bits()), Arc::new(message));
        self.bus
            .publish("invoker0", message, Durability::Durable)
            .await
            .unwrap();
        id
    }

    /// Says that an entity was changed, as a controller does.
    pub async fn announce(&self, name: &str) {
        let change = CacheInvalidation {
            key: CacheKey {
                main_id: name.to_owned(),
                secondary_id: None,
            },
            instance_id: "controller0".to_owned(),
        };
        let message = Message::local(Key::None, Arc::new(change));
        self.bus
            .publish(CACHE_INVALIDATION, message, Durability::Volatile)
            .await
            .unwrap();
        settle().await;
    }

    /// Sends, and waits for the record.
    pub async fn invoke(&mut self, message: ActivationMessage) -> Seen {
        let id = self.send(message).await;
        self.record(id).await
    }

    /// Stores an action with nothing special and invokes it once.
    pub async fn invoke_new(&mut self) -> Seen {
        let revision = self.put("hello", |_| ()).await;
        let message = self.message("hello", &revision);
        self.invoke(message).await
    }

    /// The record of an activation, once it is there, with the acknowledgements that came.
    pub async fn record(&mut self, id: ActivationId) -> Seen {
        let namespace = Namespace::new("guest").unwrap();
        let deadline = Instant::now() + Duration::from_secs(3600);
        let record = loop {
            if let Some(record) = self.stores.activations.get(&namespace, id).await.unwrap() {
                break record;
            }
            assert!(
                Instant::now() < deadline,
                "no record of {id}; violations: {:?}",
                self.containers.violations()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        settle().await;
        self.gather().await;
        let acks = self
            .seen
            .iter()
            .filter(|ack| ack.activation_id() == id)
            .cloned()
            .collect();
        Seen { record, acks }
    }

    pub async fn has_record(&self, id: ActivationId) -> bool {
        self.stores
            .activations
            .exists(&Namespace::new("guest").unwrap(), id)
            .await
            .unwrap()
    }

    /// Takes in the acknowledgements that have come.
    pub async fn gather(&mut self) -> &[Arc<Acknowledgement>] {
        while let Ok(Some(delivery)) = tokio::time::timeout(Duration::ZERO, self.acks.next()).await {
            self.seen.push(messages::read(&delivery).unwrap());
            delivery.commit();
        }
        &self.seen
    }

    pub async fn last_ping(&mut self) -> Option<Arc<Ping>> {
        let mut last = None;
        while let Ok(Some(delivery)) = tokio::time::timeout(Duration::ZERO, self.health.next()).await {
            last = Some(messages::read(&delivery).unwrap());
            delivery.commit();
        }
        last
    }

    /// Waits, in virtual time, until a fact holds.
    pub async fn until(&self, what: &str, fact: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(3600);
        while !fact(self) {
            assert!(Instant::now() < deadline, "never came true: {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn clean(&self) {
        assert_eq!(self.containers.violations(), Vec::<String>::new());
    }
}

impl Seen {
    /// `result.error` as text, or the whole result.
    pub fn error(&self) -> String {
        match self
            .record
            .response
            .result
            .object()
            .and_then(|mut o| o.swap_remove("error"))
        {
            Some(error) => error.string().unwrap_or_else(|| error.to_string()),
            None => self.record.response.result.to_string(),
        }
    }

    pub fn status(&self) -> u8 {
        self.record.response.status_code as u8
    }

    pub fn annotation(&self, key: &str) -> Option<String> {
        self.record.annotations.get(key).map(Json::to_string)
    }
}

/// Lets everything that is ready run.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

impl Records {
    pub fn go_away(&self, away: bool) {
        self.inner.go_away(away);
    }
}

#[async_trait]
impl ActivationStore for Records {
    async fn store(&self, records: Vec<Arc<Activation>>) -> Result<(), wsk_store::Error> {
        let count = records.len();
        self.inner.store(records).await?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.written.fetch_add(count, Ordering::SeqCst);
        Ok(())
    }

    async fn get(&self, namespace: &Namespace, id: ActivationId) -> Result<Option<Activation>, wsk_store::Error> {
        self.inner.get(namespace, id).await
    }

    async fn summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, wsk_store::Error> {
        self.inner.summaries(namespace, filter, page).await
    }

    async fn records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, wsk_store::Error> {
        self.inner.records(namespace, filter, page).await
    }

    async fn count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, wsk_store::Error> {
        self.inner.count(namespace, filter).await
    }

    async fn exists(&self, namespace: &Namespace, id: ActivationId) -> Result<bool, wsk_store::Error> {
        self.inner.exists(namespace, id).await
    }

    async fn retain(&self, now: wsk_entities::Timestamp) -> Result<u64, wsk_store::Error> {
        self.inner.retain(now).await
    }
}
