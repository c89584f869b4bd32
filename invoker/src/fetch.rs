//! Reading actions: settings on a cold start, code for `/init`. A warm container needs neither.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use wsk_entities::{Architecture, Code, Entity, FullName, Manifest};
use wsk_store::{EntityStore, Error};

use crate::machine::Machine;
use crate::outcome::Fault;
use crate::plan::Plan;

/// Reads of an entity or its code before the store counts as away.
const ATTEMPTS: u32 = 5;
/// Code above this size is turned into JSON off the reactor's thread.
const LARGE_CODE: usize = 256 << 10;

/// Reads actions and keeps code of recent ones within a bound.
pub(crate) struct Actions {
    entities: Arc<dyn EntityStore>,
    manifest: Arc<Manifest>,
    machine: Arc<Machine>,
    kept: Mutex<Kept>,
    bound: usize,
}

/// Whose code is at hand, longest ago first.
#[derive(Default)]
struct Kept {
    plans: VecDeque<(Weak<Plan>, usize)>,
    bytes: usize,
}

/// Why there is no code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoCode {
    /// An update replaced this revision.
    Superseded,
    /// It is a program for another architecture.
    Foreign(Architecture),
    Fault(Fault),
}

impl Actions {
    pub fn new(
        entities: Arc<dyn EntityStore>,
        manifest: Arc<Manifest>,
        machine: Arc<Machine>,
        bound: usize,
    ) -> Actions {
        Actions {
            entities,
            manifest,
            machine,
            kept: Mutex::default(),
            bound,
        }
    }

    /// The newest revision of an action.
    pub async fn plan(&self, name: &FullName) -> Result<Arc<Plan>, Fault> {
        let stored = match patiently(|| self.entities.get(name)).await {
            Ok(Some(stored)) => stored,
            Ok(None) | Err(Error::Missing(_)) => return Err(Fault::Deleted),
            Err(error @ Error::Corrupted { .. }) => {
                tracing::error!(action = %name, %error, "action cannot be read");
                return Err(Fault::Incompatible);
            }
            Err(error) => {
                tracing::error!(action = %name, %error, "action could not be fetched");
                return Err(Fault::Fetch);
            }
        };
        match stored.value {
            Entity::Action(action) => {
                Plan::new(action, stored.revision, &self.manifest, &self.machine.architecture).map(Arc::new)
            }
            Entity::Trigger(_) | Entity::Rule(_) | Entity::Package(_) => Err(Fault::Incompatible),
        }
    }

    /// The code of an action as a JSON string; none where its image carries it. Starts of one action share one read.
    pub async fn code(&self, plan: &Arc<Plan>) -> Result<Option<Bytes>, NoCode> {
        let Some(code) = &plan.code else { return Ok(None) };
        let mut loaded = plan.loaded.lock().await;
        if let Some(code) = &*loaded {
            return Ok(Some(code.clone()));
        }
        let text = match code {
            Code::Inline(text) => text.clone(),
            Code::Attached(attachment) => {
                let text = patiently(|| self.entities.code(&plan.name, attachment)).await;
                text.map_err(|error| match error {
                    Error::Missing(_) => NoCode::Superseded,
                    error => {
                        tracing::error!(action = %plan.name, %error, "code could not be fetched");
                        NoCode::Fault(Fault::Fetch)
                    }
                })?
            }
        };
        let (code, architecture) = prepared(text, plan.compiled).await;
        if let Some(architecture) = architecture.filter(|other| *other != self.machine.architecture) {
            return Err(NoCode::Foreign(architecture));
        }
        *loaded = Some(code.clone());
        drop(loaded);
        self.keep(plan, code.len());
        Ok(Some(code))
    }

    /// Counts code that is at hand, and lets go of the oldest beyond the bound.
    fn keep(&self, plan: &Arc<Plan>, bytes: usize) {
        let mut kept = self.kept.lock().expect("no panic under this lock");
        kept.plans.push_back((Arc::downgrade(plan), bytes));
        kept.bytes += bytes;
        while kept.bytes > self.bound {
            let Some((oldest, bytes)) = kept.plans.pop_front() else {
                break;
            };
            kept.bytes -= bytes;
            // Whoever holds the lock is about to use the code; it is let go with its plan then.
            if let Some(plan) = oldest.upgrade()
                && let Ok(mut loaded) = plan.loaded.try_lock()
            {
                *loaded = None;
            }
        }
    }
}

/// Code as a JSON string, and what it was compiled for if it was.
async fn prepared(text: Arc<str>, compiled: bool) -> (Bytes, Option<Architecture>) {
    let prepare = move |text: Arc<str>| {
        let mut out = Vec::with_capacity(text.len() + text.len() / 16 + 2);
        crate::run::push_string(&mut out, &text);
        (
            Bytes::from(out),
            compiled.then(|| Architecture::of_code(&text)).flatten(),
        )
    };
    if text.len() <= LARGE_CODE {
        return prepare(text);
    }
    tokio::task::spawn_blocking(move || prepare(text))
        .await
        .expect("preparing does not panic")
}

/// Calls again while the failure may pass.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(mut call: impl FnMut() -> F) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        match call().await {
            Err(error) if error.retryable() && attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}
