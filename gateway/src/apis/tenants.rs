//! The routes of each tenant, read from the store when first asked for and kept until something changed.
//!
//! What this process wrote is seen at once; what another wrote within a second, which is how often the store's generation
//! is asked for while there are requests. While the store fails, what is known serves on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};
use wsk_store::{Api, ApiStore, Subscription};

use super::limit::Rate;
use super::matching::Table;
use super::oauth::Guard;
use super::routes::{self, Cors, Keys, Operation};

/// How old an answer about the generation may be.
const REFRESH: Duration = Duration::from_secs(1);
/// Most tenants remembered, those without an API included; beyond it all are forgotten.
const MOST: usize = 10_000;

/// A path of an API with all that a call of it needs.
#[derive(Debug)]
pub struct Served {
    pub api: Arc<ServedApi>,
    /// With the base path.
    pub path: String,
    pub operations: Vec<Operation>,
}

/// What the paths of an API share.
#[derive(Debug)]
pub struct ServedApi {
    pub id: Box<str>,
    pub cors: Cors,
    pub keys: Keys,
    pub guard: Option<Guard>,
    pub rate: Option<Rate>,
    /// Client ids with the digests of their secrets.
    pub clients: HashMap<Box<str>, Option<Box<str>>>,
    /// Names under which its owner reached the platform.
    pub hosts: Vec<String>,
}

pub type Tenant = Table<Served>;

/// All tenants that were asked for.
pub struct Tenants {
    store: Arc<dyn ApiStore>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    tenants: HashMap<Box<str>, Arc<Tenant>>,
    generation: Option<u64>,
    asked: Option<Instant>,
    /// Raised with each forgetting: what was read before is not remembered after.
    epoch: u64,
}

impl Tenants {
    pub fn new(store: Arc<dyn ApiStore>) -> Tenants {
        Tenants {
            store,
            known: Mutex::default(),
        }
    }

    /// The routes of a tenant; none of them for one that is not there. Errors: the store's, when nothing is remembered.
    pub async fn get(&self, tenant: &str) -> Result<Arc<Tenant>, wsk_store::Error> {
        self.refresh().await;
        let epoch = {
            let known = self.lock();
            if let Some(found) = known.tenants.get(tenant) {
                return Ok(found.clone());
            }
            known.epoch
        };
        let read = Arc::new(self.read(tenant).await?);
        let mut known = self.lock();
        if known.epoch == epoch {
            if known.tenants.len() >= MOST {
                known.tenants.clear();
            }
            known.tenants.insert(tenant.into(), read.clone());
        }
        Ok(read)
    }

    /// Forgets a tenant whose APIs were written.
    pub fn forget(&self, tenant: &str) {
        let mut known = self.lock();
        known.epoch += 1;
        known.tenants.remove(tenant);
    }

    async fn refresh(&self) {
        {
            let mut known = self.lock();
            if known.asked.is_some_and(|asked| asked.elapsed() < REFRESH) {
                return;
            }
            // Set before asking, so that one request asks and the others go on.
            known.asked = Some(Instant::now());
        }
        match self.store.generation().await {
            Ok(generation) => {
                let mut known = self.lock();
                if known.generation.replace(generation) != Some(generation) {
                    known.epoch += 1;
                    known.tenants.clear();
                }
            }
            Err(error) => tracing::warn!(%error, "the store of API routes cannot be asked; those known stay in use"),
        }
    }

    async fn read(&self, tenant: &str) -> Result<Tenant, wsk_store::Error> {
        let mut table = Tenant::default();
        for stored in self.store.apis(tenant).await? {
            let api = stored.value;
            let routes = serde_json::from_str(&api.document).map_err(|error| error.to_string());
            let routes = match routes.and_then(|document| routes::read(&document)) {
                Ok(routes) => routes,
                Err(reason) => {
                    tracing::error!(%reason, base_path = %api.base_path, "a stored API cannot be served");
                    continue;
                }
            };
            let subscriptions = match routes.keys {
                Keys::None => Vec::new(),
                Keys::Id(_) | Keys::IdAndSecret { .. } => self.store.subscriptions(tenant, &api.id).await?,
            };
            let shared = Arc::new(ServedApi::new(api, &routes, subscriptions));
            for resource in routes.resources {
                let served = Served {
                    api: shared.clone(),
                    path: resource.path,
                    operations: resource.operations,
                };
                let pattern = served.path.clone();
                table.add(&pattern, served);
            }
        }
        Ok(table)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServedApi {
    fn new(api: Api, routes: &routes::Routes, subscriptions: Vec<Subscription>) -> ServedApi {
        let clients = subscriptions
            .into_iter()
            .map(|subscription| (subscription.client_id, subscription.secret));
        ServedApi {
            id: api.id,
            cors: routes.cors,
            keys: routes.keys.clone(),
            guard: routes.guard.clone(),
            rate: routes.rate,
            clients: clients.collect(),
            hosts: api.hosts,
        }
    }
}
