//! The API as a client sees it, over a store in memory and a bus without journal.

mod checklist;
mod coverage;
mod entities;
mod fuzz;
mod packages;
mod properties;
mod rules;
mod running;
mod secrets;
mod surface;

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, StatusCode};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use wsk_bus::MessageBus;
use wsk_entities::{Identity, Manifest, Namespace, TransactionId, UserLimits};
use wsk_identity::{Authenticator, Outcome};
use wsk_secrets::{Keys, Vault};
use wsk_store::{Faulty, Stores};

use super::Request;
use crate::Config;
use crate::app::{App, Duties, Parts};

const MANIFEST: &str = r#"{"runtimes":{
    "nodejs":[{"kind":"nodejs:18","image":{"prefix":"openwhisk","name":"action-nodejs-v18"},"deprecated":true},
              {"kind":"nodejs:20","image":{"prefix":"openwhisk","name":"action-nodejs-v20"},"default":true,
               "attached":{"attachmentName":"codefile","attachmentType":"text/plain"}}],
    "python":[{"kind":"python:3","image":{"prefix":"openwhisk","name":"action-python-v3"},"default":true}]}}"#;

/// A controller without invokers.
pub struct Api {
    pub app: Arc<App>,
    subjects: Arc<dyn wsk_store::SubjectStore>,
    pub secrets: Arc<Vault>,
    _duties: Duties,
}

/// A client with one key, or none.
#[derive(Clone)]
pub struct Client<'a> {
    app: &'a Arc<App>,
    caller: Outcome,
}

/// An answer, its body parsed when it is JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// Keys of a fixed value.
fn vault() -> Arc<Vault> {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned();
    Arc::new(Vault::open_with(Keys::Given(key.into())).unwrap())
}

/// A bus in memory.
pub fn new_bus() -> Arc<dyn MessageBus> {
    wsk_bus::open(&wsk_bus::Config::default()).unwrap()
}

/// Stores in memory.
async fn new_stores() -> Stores {
    let config = wsk_store::Config::Embedded(wsk_store::EmbeddedConfig::default());
    wsk_store::open(&config).await.unwrap()
}

pub fn identity(name: &str, limits: UserLimits) -> Arc<Identity> {
    let uuid = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";
    Arc::new(Identity::new(
        name,
        Namespace::new(name).unwrap(),
        uuid,
        &"k".repeat(64),
        limits,
    ))
}

impl Api {
    pub async fn start() -> Api {
        Api::with(MANIFEST, None).await
    }

    pub async fn configured(config: Config) -> Api {
        Api::made(MANIFEST, None, config, new_bus()).await
    }

    /// A controller with this manifest, over the stores of another or new ones.
    pub async fn with(manifest: &str, over: Option<&Api>) -> Api {
        let id = if over.is_some() { "1" } else { "0" };
        let config = Config {
            id: id.into(),
            ..Config::default()
        };
        let bus = over.map_or_else(new_bus, |api| api.app.bus.clone());
        Api::made(manifest, over, config, bus).await
    }

    /// A controller over this bus.
    pub async fn over_bus(bus: Arc<dyn MessageBus>) -> Api {
        Api::made(MANIFEST, None, Config::default(), bus).await
    }

    async fn made(manifest: &str, over: Option<&Api>, config: Config, bus: Arc<dyn MessageBus>) -> Api {
        let stores = match over {
            None => new_stores().await,
            Some(api) => Stores {
                entities: api.app.entities.clone(),
                activations: api.app.activations.clone(),
                subjects: new_stores().await.subjects,
            },
        };
        let secrets = over.map_or_else(vault, |api| api.secrets.clone());
        Api::over_stores(manifest, stores, secrets, config, bus).await
    }

    /// A controller whose records are in a store that fails as it is told to.
    pub async fn with_faulty_records() -> (Api, Arc<Faulty>) {
        let stores = new_stores().await;
        let records = Arc::new(Faulty::around(stores.activations.clone()));
        let stores = Stores {
            activations: records.clone(),
            ..stores
        };
        let api = Api::over_stores(MANIFEST, stores, vault(), Config::default(), new_bus()).await;
        (api, records)
    }

    async fn over_stores(
        manifest: &str,
        stores: Stores,
        secrets: Arc<Vault>,
        config: Config,
        bus: Arc<dyn MessageBus>,
    ) -> Api {
        let subjects = stores.subjects.clone();
        let app = App::new(Parts {
            config,
            manifest: Arc::new(Manifest::parse(manifest).unwrap()),
            identities: Arc::new(Authenticator::new(stores.subjects.clone())),
            stores,
            bus,
            secrets: secrets.clone(),
            rng: StdRng::seed_from_u64(1),
        });
        let duties = app.take_up_duties().await.unwrap();
        Api {
            app,
            subjects,
            secrets,
            _duties: duties,
        }
    }

    /// The next life of a controller whose tasks are gone: the same name, stores and bus.
    pub async fn reborn(dead: Api) -> Api {
        let (subjects, secrets) = (dead.subjects.clone(), dead.secrets.clone());
        let parts = Parts {
            config: dead.app.config.clone(),
            manifest: dead.app.manifest.clone(),
            stores: Stores {
                entities: dead.app.entities.clone(),
                activations: dead.app.activations.clone(),
                subjects: subjects.clone(),
            },
            identities: dead.app.identities.clone(),
            bus: dead.app.bus.clone(),
            secrets: secrets.clone(),
            rng: StdRng::seed_from_u64(2),
        };
        // What the dead one held in its hands goes back to the bus.
        drop(dead);
        let app = App::new(parts);
        let duties = app.take_up_duties().await.unwrap();
        Api {
            app,
            subjects,
            secrets,
            _duties: duties,
        }
    }

    pub async fn subject(&self, document: &Value) {
        self.subjects
            .put_subject(&serde_json::from_value(document.clone()).unwrap())
            .await
            .unwrap();
    }

    pub fn client(&self, namespace: &str) -> Client<'_> {
        self.limited(namespace, UserLimits::default())
    }

    pub fn limited(&self, namespace: &str, limits: UserLimits) -> Client<'_> {
        Client {
            app: &self.app,
            caller: Outcome::Known(identity(namespace, limits)),
        }
    }

    pub fn stranger(&self, caller: Outcome) -> Client<'_> {
        Client { app: &self.app, caller }
    }
}

impl Client<'_> {
    /// Sends a request. `path` is below the caller's namespace unless it begins with a slash.
    pub async fn send(&self, method: &str, path: &str, body: Option<&str>, headers: &[(&str, &str)]) -> Answer {
        let target = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/api/v1/namespaces/_/{path}")
        };
        let mut request = hyper::Request::builder().method(method).uri(target);
        request = request.header(AUTHORIZATION, "Basic Og==");
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            if !value.is_empty() {
                request = request.header(*name, *value);
            }
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let body = bytes::Bytes::copy_from_slice(body.unwrap_or_default().as_bytes());
        let request = Request {
            parts,
            body,
            caller: self.caller.clone(),
            transid: TransactionId::new("tid", 1),
        };
        let response = self.app.handle(request).await;
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            text: String::from_utf8(response.body().as_full().unwrap().to_vec()).unwrap(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[]).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(&body.to_string()), &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(&body.to_string()), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, &[]).await
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The answer when it was 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    /// Status and error text; the body must be an error body.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let fields = body.as_object().unwrap();
        assert_eq!(fields.len(), 2, "{}", self.text);
        assert_eq!(fields["code"], "tid");
        (self.status.as_u16(), fields["error"].as_str().unwrap().to_owned())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

pub fn code() -> Value {
    serde_json::json!({"exec": {"kind": "nodejs:default", "code": "function main(p) { return p }"}})
}

pub fn sequence(components: &[&str]) -> Value {
    serde_json::json!({"exec": {"kind": "sequence", "components": components}})
}

/// What the server says about something that is not entitled.
pub fn refused(name: &str) -> (u16, String) {
    (
        403,
        format!("The supplied authentication is not authorized to access '{name}'."),
    )
}

pub fn missing() -> (u16, String) {
    (404, "The requested resource does not exist.".into())
}
