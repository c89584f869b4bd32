//! From an `Authorization` header to an identity, and from a namespace to its owner.
//!
//! Answers of the store are remembered under the public half of the header alone; the whole header is then compared in
//! constant time, so a hit decodes nothing and leaks nothing. What is remembered holds as long as the store's generation
//! does. It is asked for once a second while there are requests: beside them, or, after a silence, before the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};
use wsk_entities::{Identity, Namespace};
use wsk_store::SubjectStore;

use crate::header::{self, Credentials};
use crate::{Error, Outcome, metrics};

/// From this age on the generation is asked for again, beside the requests.
const REFRESH: Duration = Duration::from_secs(1);

/// From this age on requests wait for the answer.
const STALE: Duration = Duration::from_secs(2);

/// How long what is remembered serves while the store fails: as long as OpenWhisk remembers in any case.
const GRACE: Duration = Duration::from_secs(300);

/// Options of the memory of identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most keys, and most namespaces, remembered. Beyond it all are forgotten and read again.
    pub most: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { most: 10_000 }
    }
}

/// Finds out who is calling. Clones share what they remember.
#[derive(Clone)]
pub struct Authenticator {
    shared: Arc<Shared>,
}

struct Shared {
    subjects: Arc<dyn SubjectStore>,
    config: Config,
    /// By the public part of the header.
    known: DashMap<Box<[u8]>, Proof>,
    owners: DashMap<Namespace, Arc<Identity>>,
    /// Raised each time everything was forgotten: an answer read before that is not remembered after it.
    forgotten: AtomicU64,
    clock: Clock,
    generation: AtomicU64,
    /// Held while asking for the generation.
    asking: Mutex<()>,
    scheduled: AtomicBool,
}

struct Proof {
    header: Box<[u8]>,
    identity: Arc<Identity>,
}

/// When the generation was last asked for, in milliseconds since `origin`.
struct Clock {
    origin: Instant,
    confirmed: AtomicU64,
    failed: AtomicU64,
}

/// No time yet.
const NEVER: u64 = u64::MAX;

/// What to do about the generation before an answer from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Fresh,
    /// Ask beside this request.
    Soon,
    /// Ask before this request.
    Now,
    /// The store failed a moment ago, but what is remembered is young enough.
    Tolerated,
    /// The store failed a moment ago, and has for long.
    Failing,
}

impl Authenticator {
    /// With default options.
    pub fn new(subjects: Arc<dyn SubjectStore>) -> Authenticator {
        Authenticator::with_config(subjects, Config::default())
    }

    pub fn with_config(subjects: Arc<dyn SubjectStore>, config: Config) -> Authenticator {
        let clock = Clock {
            origin: Instant::now(),
            confirmed: AtomicU64::new(NEVER),
            failed: AtomicU64::new(NEVER),
        };
        let shared = Shared {
            subjects,
            config,
            known: DashMap::new(),
            owners: DashMap::new(),
            forgotten: AtomicU64::new(0),
            clock,
            generation: AtomicU64::new(0),
            asking: Mutex::new(()),
            scheduled: AtomicBool::new(false),
        };
        Authenticator {
            shared: Arc::new(shared),
        }
    }

    /// What the value of an `Authorization` header says. Errors: [`Error::Store`].
    pub async fn authenticate<H>(&self, header: Option<&H>) -> Result<Outcome, Error>
    where
        H: AsRef<[u8]> + Sync + ?Sized,
    {
        let Some(value) = header.map(AsRef::as_ref) else {
            return Ok(Outcome::Missing);
        };
        self.refresh().await?;
        if let Some(identity) = self.shared.remembered(value) {
            metrics::REMEMBERED.inc();
            return Ok(Outcome::Known(identity));
        }
        let (uuid, key) = match header::read(value) {
            Credentials::None => return Ok(Outcome::Missing),
            Credentials::Malformed => {
                metrics::REFUSED.inc();
                return Ok(Outcome::Invalid);
            }
            Credentials::Pair { uuid, key } => (uuid, key),
        };
        let before = self.shared.forgotten.load(Ordering::Acquire);
        metrics::LOOKUPS.inc();
        match self.shared.subjects.by_key(&uuid, &key).await? {
            None => {
                metrics::REFUSED.inc();
                Ok(Outcome::Invalid)
            }
            Some(identity) => {
                let identity = Arc::new(identity);
                self.shared.remember(value, &identity, before);
                Ok(Outcome::Known(identity))
            }
        }
    }

    /// The identity as which web actions of a namespace run. Errors: [`Error::Store`].
    pub async fn owner(&self, namespace: &Namespace) -> Result<Option<Arc<Identity>>, Error> {
        self.refresh().await?;
        if let Some(identity) = self.shared.owners.get(namespace) {
            metrics::REMEMBERED.inc();
            return Ok(Some(identity.clone()));
        }
        let before = self.shared.forgotten.load(Ordering::Acquire);
        metrics::LOOKUPS.inc();
        let owner = self.shared.subjects.by_namespace(namespace).await?.map(Arc::new);
        if let Some(identity) = &owner {
            self.shared.remember_owner(namespace, identity, before);
        }
        Ok(owner)
    }

    /// Makes sure that what is remembered may be used.
    async fn refresh(&self) -> Result<(), Error> {
        match self.shared.clock.due() {
            Due::Fresh | Due::Tolerated => Ok(()),
            Due::Soon => {
                if !self.shared.scheduled.swap(true, Ordering::AcqRel) {
                    let shared = self.shared.clone();
                    tokio::spawn(async move {
                        let asked = shared.ask().await;
                        shared.scheduled.store(false, Ordering::Release);
                        if let Err(error) = asked {
                            tracing::warn!(%error, "identities cannot be checked; those remembered stay in use");
                        }
                    });
                }
                Ok(())
            }
            Due::Now | Due::Failing => self.shared.ask().await,
        }
    }
}

impl Shared {
    fn remembered(&self, value: &[u8]) -> Option<Arc<Identity>> {
        let proof = self.known.get(header::public_part(value)?)?;
        bool::from(proof.header.ct_eq(value)).then(|| proof.identity.clone())
    }

    fn remember(&self, value: &[u8], identity: &Arc<Identity>, before: u64) {
        let Some(public) = header::public_part(value) else {
            return;
        };
        if self.known.len() >= self.config.most {
            self.known.clear();
        }
        self.known.insert(
            public.into(),
            Proof {
                header: value.into(),
                identity: identity.clone(),
            },
        );
        if self.forgotten.load(Ordering::Acquire) != before {
            self.known.remove(public);
        }
    }

    fn remember_owner(&self, namespace: &Namespace, identity: &Arc<Identity>, before: u64) {
        if self.owners.len() >= self.config.most {
            self.owners.clear();
        }
        self.owners.insert(namespace.clone(), identity.clone());
        if self.forgotten.load(Ordering::Acquire) != before {
            self.owners.remove(namespace);
        }
    }

    /// Asks for the generation, once for all who wait, and forgets everything when it is another.
    async fn ask(&self) -> Result<(), Error> {
        let _one = self.asking.lock().await;
        match self.clock.due() {
            Due::Fresh | Due::Tolerated => return Ok(()),
            Due::Failing => {
                let text = "it has not answered for minutes".to_owned();
                return Err(Error::Store(wsk_store::Error::Unavailable(text)));
            }
            Due::Soon | Due::Now => {}
        }
        let asked = self.clock.now();
        match self.subjects.generation().await {
            Ok(generation) => {
                if self.generation.swap(generation, Ordering::AcqRel) != generation {
                    self.forget();
                }
                self.clock.confirmed.store(asked, Ordering::Release);
                self.clock.failed.store(NEVER, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                self.clock.failed.store(asked, Ordering::Release);
                match self.clock.due() {
                    Due::Failing => Err(error.into()),
                    Due::Fresh | Due::Soon | Due::Now | Due::Tolerated => {
                        tracing::warn!(%error, "identities cannot be checked; those remembered stay in use");
                        Ok(())
                    }
                }
            }
        }
    }

    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.known.clear();
        self.owners.clear();
    }
}

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn due(&self) -> Due {
        let now = self.now();
        let age = |at: &AtomicU64| match at.load(Ordering::Acquire) {
            NEVER => None,
            at => Some(Duration::from_millis(now.saturating_sub(at))),
        };
        due(age(&self.confirmed), age(&self.failed))
    }
}

/// Decides by the ages of the last answer and of the failure after it.
fn due(confirmed: Option<Duration>, failed: Option<Duration>) -> Due {
    let tolerable = confirmed.is_some_and(|age| age < GRACE);
    match (confirmed, failed) {
        (Some(age), _) if age < REFRESH => Due::Fresh,
        (_, Some(age)) if age < REFRESH => {
            if tolerable {
                Due::Tolerated
            } else {
                Due::Failing
            }
        }
        (Some(age), None) if age < STALE => Due::Soon,
        (Some(_) | None, _) => Due::Now,
    }
}

#[cfg(test)]
mod tests;
