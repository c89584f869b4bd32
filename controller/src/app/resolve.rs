//! From a name that a caller used to the action that runs, with the parameters it is bound to.

use std::sync::Arc;

use wsk_entities::{Action, EntityPath, Exec, FullName, Parameters};
use wsk_store::{Revision, Stored};

use super::balancer::Wants;
use super::cache::{Entry, Value};
use super::entitlement::CONFORMANCE;
use super::{App, Caller, Error};
use crate::metrics;

/// An action as a caller may use it. Shared and cached: a warm invoke does no merging.
#[derive(Debug)]
pub struct ResolvedAction {
    /// The stored action, under the provider's name when it was named through a binding.
    pub action: Arc<Action>,
    pub revision: Revision,
    /// Package, binding and action parameters, merged; later wins.
    pub parameters: Arc<Parameters>,
    /// The binding through which it was named, `ns/binding`.
    pub binding: Option<EntityPath>,
    /// What it asks of the invoker that runs it.
    pub wants: Wants,
    /// Whether its kind is one that may be kept but no longer run.
    pub deprecated: bool,
    /// Whether callers from other namespaces may use it under this name.
    public: bool,
    /// All that this was made from.
    sources: Box<[Arc<Entry>]>,
}

impl ResolvedAction {
    pub fn full_name(&self) -> FullName {
        self.action.full_name()
    }

    /// Whether everything it was made from is unchanged.
    pub fn is_current(&self) -> bool {
        self.sources.iter().all(|s| !s.is_stale())
    }
}

impl App {
    /// The action that `name` stands for, when the caller may read it; reading and invoking need the same.
    ///
    /// Errors: 403 naming the action, or its package, for what is foreign and not public; 404 when it is not there; 409 when
    /// the name is another entity's.
    pub async fn resolve_action(&self, caller: &Caller, name: &FullName) -> Result<Arc<ResolvedAction>, Error> {
        if let Some(hit) = self.cache.resolved(name)
            && (hit.public || caller.owns(name.namespace()))
        {
            metrics::CACHE_HITS.inc();
            return Ok(hit);
        }
        Box::pin(self.resolve_anew(caller, name)).await
    }

    async fn resolve_anew(&self, caller: &Caller, name: &FullName) -> Result<Arc<ResolvedAction>, Error> {
        let resolved = match name.package_name() {
            None => {
                caller.must_own(name)?;
                let (entry, action) = self.action_entry(name).await?;
                let parameters = Arc::new(action.parameters.clone());
                let revision = entry.revision.clone();
                ResolvedAction {
                    wants: Wants::of(&action, &revision.0, &self.manifest),
                    deprecated: self.is_deprecated(&action),
                    action,
                    revision,
                    parameters,
                    binding: None,
                    public: false,
                    sources: [entry].into(),
                }
            }
            Some(package) => self.resolve_packaged(caller, name, &package).await?,
        };
        let resolved = Arc::new(resolved);
        self.cache.keep_resolved(name, &resolved);
        Ok(resolved)
    }

    async fn resolve_packaged(
        &self,
        caller: &Caller,
        name: &FullName,
        package_name: &FullName,
    ) -> Result<ResolvedAction, Error> {
        let package = self.readable_package(caller, package_name).await?;
        let provider = package.provider();
        let path = EntityPath::in_package(provider.namespace.namespace.clone(), provider.name.clone());
        let (entry, action) = self.action_entry(&path.with(name.name.clone())).await?;
        let mut parameters = provider.parameters.clone();
        if let Some(binding) = package.binding() {
            parameters = parameters.merged(&binding.parameters);
        }
        let parameters = Arc::new(parameters.merged(&action.parameters));
        let binding = package.binding().map(|_| name.path.clone());
        let public = provider.publish && binding.is_none();
        let revision = entry.revision.clone();
        let sources = package.binding.into_iter().chain([package.provider, entry]).collect();
        Ok(ResolvedAction {
            wants: Wants::of(&action, &revision.0, &self.manifest),
            deprecated: self.is_deprecated(&action),
            action,
            revision,
            parameters,
            binding,
            public,
            sources,
        })
    }

    fn is_deprecated(&self, action: &Action) -> bool {
        let Exec::Code { kind, .. } = &action.exec else {
            return false;
        };
        self.manifest.resolve(kind).is_some_and(|runtime| runtime.deprecated)
    }

    /// The action stored under exactly this name.
    pub(super) async fn action_entry(&self, name: &FullName) -> Result<(Arc<Entry>, Arc<Action>), Error> {
        let entry = self.find(name).await?.ok_or(Error::Missing)?;
        match &entry.value {
            Value::Action(action) => {
                let action = Arc::clone(action);
                Ok((entry, action))
            }
            Value::Trigger(_) | Value::Rule(_) | Value::Package(_) => Err(Error::Conflict(CONFORMANCE.into())),
        }
    }

    /// The entity stored under this name, from the cache when it is there.
    pub async fn find(&self, name: &FullName) -> Result<Option<Arc<Entry>>, Error> {
        if let Some(entry) = self.cache.get(name) {
            metrics::CACHE_HITS.inc();
            return Ok(Some(entry));
        }
        metrics::CACHE_MISSES.inc();
        let ticket = self.cache.ticket(name);
        let stored: Option<Stored<_>> = self.entities.get(name).await?;
        Ok(stored.map(|stored| self.cache.fill(name, stored, ticket)))
    }
}
