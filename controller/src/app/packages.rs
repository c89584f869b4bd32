//! Packages and bindings.

use std::sync::Arc;

use wsk_entities::requests::PackagePut;
use wsk_entities::{
    Action, Binding, Collection, Entity, EntityPath, FullName, Json, Package, Parameters, ShownPackage, Version,
};
use wsk_store::{Page, Visibility};

use super::changes::Overwrite;
use super::entitlement::package_of;
use super::secrets::veiled;
use super::{App, Caller, Error, now};

const BINDING_ANNOTATION: &str = "binding";
const NO_SUCH_PACKAGE: &str = "Binding references a package that does not exist.";
const NOT_A_PACKAGE: &str = "Cannot bind to a resource that is not a package.";

/// Entities read at a time where all are wanted.
const BATCH: u64 = 200;

/// What happens to the contents of a package that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// They forbid it.
    Kept,
    Deleted,
}

/// A package with its provider's actions.
#[derive(Debug)]
pub struct FullPackage {
    package: Arc<Package>,
    parameters: Arc<Parameters>,
    contents: Vec<Action>,
}

impl FullPackage {
    pub fn shown(&self) -> ShownPackage<'_> {
        self.package.shown(&self.parameters, &self.contents)
    }
}

impl App {
    /// A package as its readers see it: a binding shows itself, with its provider's actions and merged parameters.
    pub async fn get_package(&self, caller: &Caller, name: &FullName) -> Result<FullPackage, Error> {
        let readable = self.readable_package(caller, name).await.map_err(|error| match error {
            Error::Missing => Error::NotFound(format!("The requested resource '{name}' does not exist.")),
            other => other,
        })?;
        let provider = Arc::clone(readable.provider());
        let path = EntityPath::in_package(provider.namespace.namespace.clone(), provider.name.clone());
        let contents = self.contents(&path).await?;
        let (package, parameters) = match readable.binding() {
            None => (Arc::clone(&provider), provider.parameters.clone()),
            Some(binding) => (Arc::clone(binding), provider.parameters.merged(&binding.parameters)),
        };
        let parameters = self.shown(&Arc::new(parameters))?;
        Ok(FullPackage {
            package,
            parameters,
            contents,
        })
    }

    /// Creates or updates a package. The caller owns the namespace.
    pub async fn put_package(
        self: &Arc<App>,
        caller: &Caller,
        name: &FullName,
        overwrite: Overwrite,
        put: PackagePut,
    ) -> Result<Package, Error> {
        if let Some(binding) = &put.binding {
            self.readable_package(caller, &binding.full_name())
                .await
                .map_err(|error| match error {
                    Error::Missing => Error::Rejected(NO_SUCH_PACKAGE.into()),
                    Error::Conflict(_) => Error::Conflict(NOT_A_PACKAGE.into()),
                    other => other,
                })?;
        }
        let found = self.to_put(Collection::Packages, name, overwrite).await?;
        let stored = found.as_deref().and_then(package_of);
        if let Some(binding) = &put.binding {
            if stored.is_some_and(|stored| stored.binding.is_none()) {
                let text = "Resource is a package and cannot be converted into a binding.";
                return Err(Error::Conflict(text.into()));
            }
            self.check_binding(binding).await?;
        }
        let mut package = match stored {
            Some(stored) => updated(stored, put),
            None => created(name, put),
        };
        let before = stored.map(|stored| &stored.parameters);
        package.parameters = self.sealed(package.parameters, before, &package.annotations)?;
        let entity = Entity::Package(package);
        self.write(&entity, found.as_deref()).await?;
        let Entity::Package(package) = entity else {
            unreachable!("a package was written")
        };
        self.shown_package(package)
    }

    /// Deletes a package and gives it back. The caller owns the namespace.
    pub async fn delete_package(self: &Arc<App>, name: &FullName, contents: Contents) -> Result<Arc<Package>, Error> {
        let entry = self.fresh(Collection::Packages, name).await?.ok_or(Error::Missing)?;
        let package = package_of(&entry).expect("packages were asked for");
        if package.binding.is_none() {
            let path = EntityPath::in_package(name.namespace().clone(), name.name.clone());
            match contents {
                Contents::Kept => self.must_be_empty(&path).await?,
                Contents::Deleted => self.empty(&path).await?,
            }
        }
        self.erase(name, &entry.revision).await?;
        Ok(Arc::new(Package {
            parameters: veiled(&package.parameters),
            ..(**package).clone()
        }))
    }

    async fn check_binding(&self, binding: &Binding) -> Result<(), Error> {
        let entry = self
            .find(&binding.full_name())
            .await?
            .ok_or_else(|| Error::Rejected(NO_SUCH_PACKAGE.into()))?;
        match package_of(&entry) {
            None => Err(Error::Conflict(NOT_A_PACKAGE.into())),
            Some(package) if package.binding.is_some() => {
                Err(Error::Rejected("Cannot bind to another package binding.".into()))
            }
            Some(_) => Ok(()),
        }
    }

    async fn must_be_empty(&self, path: &EntityPath) -> Result<(), Error> {
        let count = self.entities.count(Collection::Actions, path, Visibility::All).await?;
        let entities = if count == 1 { "entity" } else { "entities" };
        match count {
            0 => Ok(()),
            _ => Err(Error::Conflict(format!(
                "Package not empty (contains {count} {entities}). Set force param or delete package contents."
            ))),
        }
    }

    /// Deletes all actions of a package. Errors: 409 when one of them is being changed at the same time.
    async fn empty(self: &Arc<App>, path: &EntityPath) -> Result<(), Error> {
        loop {
            let page = Page { skip: 0, limit: BATCH };
            let batch = self
                .entities
                .list(Collection::Actions, path, Visibility::All, page)
                .await?;
            if batch.is_empty() {
                return Ok(());
            }
            for action in batch {
                let name = action.full_name();
                let Some(entry) = self.fresh(Collection::Actions, &name).await? else {
                    continue;
                };
                match self.erase(&name, &entry.revision).await {
                    Ok(()) | Err(Error::Missing) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn contents(&self, path: &EntityPath) -> Result<Vec<Action>, Error> {
        let mut out = Vec::new();
        loop {
            let page = Page {
                skip: out.len() as u64,
                limit: BATCH,
            };
            let batch = self
                .entities
                .list(Collection::Actions, path, Visibility::All, page)
                .await?;
            let is_last = (batch.len() as u64) < BATCH;
            out.extend(batch.into_iter().filter_map(|entity| match entity {
                Entity::Action(action) => Some(action),
                Entity::Trigger(_) | Entity::Rule(_) | Entity::Package(_) => None,
            }));
            if is_last {
                return Ok(out);
            }
        }
    }
}

fn created(name: &FullName, put: PackagePut) -> Package {
    Package {
        namespace: name.path.clone(),
        name: name.name.clone(),
        version: put.version.unwrap_or(Version::FIRST),
        publish: put.publish.unwrap_or(false),
        updated: now(),
        annotations: annotated(put.annotations.unwrap_or_default(), put.binding.as_ref()),
        parameters: put.parameters.unwrap_or_default(),
        binding: put.binding,
    }
}

fn updated(stored: &Package, put: PackagePut) -> Package {
    let binding = put.binding.or_else(|| stored.binding.clone());
    Package {
        namespace: stored.namespace.clone(),
        name: stored.name.clone(),
        version: put.version.unwrap_or_else(|| stored.version.next()),
        publish: put.publish.unwrap_or(stored.publish),
        updated: now(),
        annotations: annotated(
            put.annotations.unwrap_or_else(|| stored.annotations.clone()),
            binding.as_ref(),
        ),
        parameters: put.parameters.unwrap_or_else(|| stored.parameters.clone()),
        binding,
    }
}

/// The annotation that shows a binding is the server's alone.
fn annotated(mut annotations: Parameters, binding: Option<&Binding>) -> Parameters {
    annotations.remove(BINDING_ANNOTATION);
    if let Some(binding) = binding {
        let value = serde_json::json!({ "name": binding.name, "namespace": binding.namespace });
        annotations.set(BINDING_ANNOTATION, Json::of(&value));
    }
    annotations
}
