//! A fixed load for counting instructions: so many fires into 100 rules, or so many invokes that do not wait, of a
//! controller with a journal and an invoker that takes nothing. What one costs is the difference of two runs, by thread:
//!
//! `cargo build --release -p wsk-controller --example accept`, then twice, with 10 and 30 (of invokes 200 and 600),
//! `valgrind --tool=callgrind --separate-threads=yes target/release/examples/accept fire 10`. A run must end within ten
//! seconds: after that the invoker counts as gone, and nothing is placed any more.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wsk_bus::messages::{InvokerInstance, Ping};
use wsk_bus::{Durability, InProcess, Journal, Key, Message, MessageBus, TopicConfig};
use wsk_controller::{App, Config, Parts, api};
use wsk_entities::{Identity, Manifest, Namespace, TransactionId, UserLimits};
use wsk_identity::{Authenticator, Outcome};
use wsk_secrets::{Keys, Vault};

const RULES: usize = 100;
const MANIFEST: &str = r#"{"runtimes":{"echo":[{"kind":"echo:1","default":true,"image":{"name":"echo"}}]}}"#;

/// Where the load goes, and as whom.
struct Target {
    app: Arc<App>,
    caller: Arc<Identity>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, count] = words.as_slice() else {
        panic!("say fire or invoke, and how often");
    };
    let path = match what.as_str() {
        "fire" => "triggers/many",
        "invoke" => "actions/echo",
        other => panic!("neither fire nor invoke: {other}"),
    };
    let folder = tempfile::tempdir().expect("a folder for the journal");
    let bus = wsk_bus::open(&wsk_bus::Config::InProcess(InProcess {
        journal: Some(Journal {
            dir: folder.path().to_owned(),
            ..Journal::default()
        }),
    }));
    let bus = bus.expect("a bus");
    let target = Target::over(bus.clone()).await;
    invoker(&target.app, &*bus).await;
    target.furnish().await;
    for _ in 0..count.parse().expect("a number") {
        target.send("POST", path, r#"{"n":1}"#.to_owned(), 202).await;
    }
    // Whatever the threads still do for what was accepted belongs to it.
    bus.close().await.expect("the journal ends");
}

/// An invoker that is up, and reads nothing.
async fn invoker(app: &App, bus: &dyn MessageBus) {
    let mut topic = TopicConfig::queue("invoker0");
    topic.max_messages = 1_000_000;
    topic.max_bytes = 1 << 40;
    bus.ensure_topic(&topic).await.expect("a topic");
    let ping = Ping {
        name: InvokerInstance::new(0, 1 << 30),
        is_enabled: true,
        node: None,
    };
    let text = serde_json::to_vec(&ping).expect("a ping serialises");
    let message = Message::bytes(Key::None, Bytes::from(text));
    bus.publish("health", message, Durability::Volatile)
        .await
        .expect("somebody hears of it");
    while app.invokers().is_empty() {
        tokio::task::yield_now().await;
    }
}

impl Target {
    async fn over(bus: Arc<dyn MessageBus>) -> Target {
        let in_memory = wsk_store::Config::Embedded(wsk_store::EmbeddedConfig::default());
        let stores = wsk_store::open(&in_memory).await.expect("stores in memory");
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned();
        let app = App::new(Parts {
            config: Config::default(),
            manifest: Arc::new(Manifest::parse(MANIFEST).expect("a manifest")),
            identities: Arc::new(Authenticator::new(stores.subjects.clone())),
            stores,
            bus,
            secrets: Arc::new(Vault::open_with(Keys::Given(key.into())).expect("a key")),
            rng: StdRng::seed_from_u64(1),
        });
        // Its tasks go on until the process ends.
        std::mem::forget(app.take_up_duties().await.expect("topics"));
        let (name, key) = (Namespace::new("guest").expect("a name"), "k".repeat(64));
        let uuid = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";
        let caller = Arc::new(Identity::new("guest", name, uuid, &key, UserLimits::default()));
        Target { app, caller }
    }

    /// An action, and a trigger with its rules.
    async fn furnish(&self) {
        let action = r#"{"exec":{"kind":"echo:1","code":"-"}}"#;
        self.send("PUT", "actions/echo", action.to_owned(), 200).await;
        self.send("PUT", "triggers/many", "{}".to_owned(), 200).await;
        for i in 0..RULES {
            let rule = r#"{"trigger":"/_/many","action":"/_/echo"}"#;
            self.send("PUT", &format!("rules/r{i}"), rule.to_owned(), 200).await;
        }
    }

    async fn send(&self, method: &str, path: &str, body: String, expected: u16) {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("/api/v1/namespaces/_/{path}"))
            .header(CONTENT_TYPE, "application/json");
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let response = self.app.handle(api::Request {
            parts,
            body: body.into(),
            caller: Outcome::Known(self.caller.clone()),
            transid: TransactionId::new("tid", 1),
        });
        assert_eq!(response.await.status().as_u16(), expected, "{method} {path}");
    }
}
