//! The rules of the platform, one file per resource, over the seam traits.

mod error;

use std::sync::Arc;

use rand::rngs::StdRng;
use wsk_bus::MessageBus;
use wsk_entities::{ActivationId, Identity, Manifest, Timestamp, TransactionId};
use wsk_identity::Authenticator;
use wsk_store::{ActivationStore, EntityStore};

use crate::Config;

pub use error::Error;

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

impl Chance {
    pub fn new(rng: StdRng) -> Chance {
        Chance(std::sync::Mutex::new(rng))
    }

    pub fn activation_id(&self) -> ActivationId {
        ActivationId::from_bits(self.draw())
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
