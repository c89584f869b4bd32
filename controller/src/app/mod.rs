//! The rules of the platform, one file per resource, over the seam traits.

mod acks;
mod actions;
mod activations;
pub mod balancer;
mod cache;
mod cancel;
mod changes;
mod components;
mod composition;
mod conductor;
mod elsewhere;
mod entitlement;
mod error;
mod events;
mod fire;
mod follow;
#[cfg(test)]
mod golden;
mod invoke;
mod limits;
mod listing;
mod owed;
mod packages;
mod resolve;
mod retry;
mod rules;
mod secrets;
mod sequences;
mod takeover;
mod throttle;
mod triggers;
mod underway;
mod wait;
pub(crate) mod web;
mod work;

use std::sync::Arc;

use rand::rngs::StdRng;
use wsk_bus::MessageBus;
use wsk_entities::{ActivationId, Bounds, Identity, LimitBounds, Manifest, Timestamp, TransactionId};
use wsk_identity::Authenticator;
use wsk_secrets::Vault;
use wsk_store::{ActivationStore, EntityStore, Stores};

use crate::Config;

pub use actions::CodeWanted;
pub use activations::UnderWay;
pub use balancer::Health;
use cache::Cache;
pub use cancel::{Cancelled, is_cancelled};
pub use changes::Overwrite;
pub use error::Error;
pub use follow::Told;
pub use invoke::Started;
pub use packages::Contents;
pub use resolve::ResolvedAction;
pub use rules::StatedRule;
pub use wait::{MAX_WAIT, Wait};
pub use work::Duties;
use work::Work;

/// Everything the rules work with. One per controller, shared by all requests.
pub struct App {
    pub config: Config,
    pub manifest: Arc<Manifest>,
    pub(crate) entities: Arc<dyn EntityStore>,
    pub(crate) activations: Arc<dyn ActivationStore>,
    /// Finds the owner of a namespace, as whom a web action runs.
    pub(crate) identities: Arc<Authenticator>,
    pub(crate) bus: Arc<dyn MessageBus>,
    pub(crate) chance: Chance,
    /// The keys of secret parameters.
    secrets: Arc<Vault>,
    cache: Cache,
    work: Work,
}

/// What a controller is made of: opened seams, configuration, and the seed of its randomness.
pub struct Parts {
    pub config: Config,
    pub manifest: Arc<Manifest>,
    pub stores: Stores,
    pub identities: Arc<Authenticator>,
    pub bus: Arc<dyn MessageBus>,
    pub secrets: Arc<Vault>,
    pub rng: StdRng,
}

/// Who asks, and under which transaction.
#[derive(Debug, Clone)]
pub struct Caller {
    pub identity: Arc<Identity>,
    pub transid: TransactionId,
}

/// The one source of randomness: seeded in simulations.
#[derive(Debug)]
pub struct Chance(std::sync::Mutex<StdRng>);

impl App {
    pub fn new(parts: Parts) -> Arc<App> {
        crate::metrics::show();
        let Parts {
            config,
            manifest,
            stores,
            identities,
            bus,
            secrets,
            rng,
        } = parts;
        let cache = Cache::new(config.entity_cache, config.entity_cache_bytes);
        let work = Work::new(&config);
        let Stores {
            entities,
            subjects: _,
            activations,
        } = stores;
        Arc::new(App {
            config,
            manifest,
            entities,
            activations,
            identities,
            bus,
            chance: Chance::new(rng),
            secrets,
            cache,
            work,
        })
    }

    /// The ranges of action limits that this deployment allows.
    pub fn bounds(&self) -> LimitBounds {
        let most = self.config.max_action_concurrency.max(1);
        LimitBounds {
            concurrency: Bounds { min: 1, max: most },
            ..LimitBounds::default()
        }
    }
}

impl Chance {
    pub fn new(rng: StdRng) -> Chance {
        Chance(std::sync::Mutex::new(rng))
    }

    pub fn activation_id(&self) -> ActivationId {
        ActivationId::at(now(), self.draw())
    }

    /// A random number from 0 to 1.
    pub fn fraction(&self) -> f64 {
        f64::from(self.draw() as u32) / f64::from(u32::MAX)
    }

    /// 128 random bits.
    pub fn draw(&self) -> u128 {
        use rand::Rng as _;
        let mut rng = self.0.lock().expect("no holder of the generator panics");
        (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())
    }
}

/// Milliseconds since the epoch. Follows tokio's clock, so that paused and simulated time hold for records too.
pub fn now() -> Timestamp {
    wsk_service::clock::now()
}
