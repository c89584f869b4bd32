//! Who may use what.
//!
//! Everybody owns their namespace. In foreign ones only public plain packages can be read, and the actions in them invoked.
//! What is not there is not told apart from what is private, except to its owner.

use std::sync::Arc;

use wsk_entities::{Collection, FullName, Namespace, Package};

use super::cache::{Entry, Value};
use super::{App, Caller, Error};

/// A package that the caller may read, with what it is bound to.
#[derive(Debug, Clone)]
pub struct ReadablePackage {
    /// The binding, when the name was one's.
    pub binding: Option<Arc<Entry>>,
    pub provider: Arc<Entry>,
}

/// The text for a name that belongs to an entity of another collection.
pub const CONFORMANCE: &str = "Resource by this name exists but is not in this collection.";

impl ReadablePackage {
    pub fn provider(&self) -> &Arc<Package> {
        package_of(&self.provider).expect("only packages are made readable")
    }

    pub fn binding(&self) -> Option<&Arc<Package>> {
        self.binding
            .as_ref()
            .map(|b| package_of(b).expect("only packages are made readable"))
    }
}

/// The package that an entry is, if it is one.
pub fn package_of(entry: &Entry) -> Option<&Arc<Package>> {
    match &entry.value {
        Value::Package(package) => Some(package),
        Value::Action(_) | Value::Trigger(_) | Value::Rule(_) => None,
    }
}

impl Caller {
    pub fn namespace(&self) -> &Namespace {
        &self.identity.namespace.name
    }

    pub fn owns(&self, namespace: &Namespace) -> bool {
        self.namespace() == namespace
    }

    /// Errors: 403 naming `resource` unless the caller owns its namespace.
    pub fn must_own(&self, resource: &FullName) -> Result<(), Error> {
        if self.owns(resource.namespace()) {
            Ok(())
        } else {
            Err(Error::Forbidden(resource.to_string()))
        }
    }

    /// Errors: 403 naming the namespace unless it is the caller's.
    pub fn must_own_namespace(&self, namespace: &Namespace) -> Result<(), Error> {
        if self.owns(namespace) {
            Ok(())
        } else {
            Err(Error::Forbidden(namespace.to_string()))
        }
    }
}

impl App {
    /// The package under `name`, when the caller may read it: its own, a public plain one, or an own binding to either.
    ///
    /// Errors: 403 naming the package for all that is foreign and not public, there or not; 404 and 409 for the owner.
    pub async fn readable_package(&self, caller: &Caller, name: &FullName) -> Result<ReadablePackage, Error> {
        let refused = || Error::Forbidden(name.to_string());
        let owner = caller.owns(name.namespace());
        let first = self.package_for(owner, name).await?.ok_or_else(refused)?;
        let package = package_of(&first).expect("asked for a package");
        let Some(target) = package.binding.as_ref().map(wsk_entities::Binding::full_name) else {
            return if owner || package.publish {
                Ok(ReadablePackage {
                    binding: None,
                    provider: first,
                })
            } else {
                Err(refused())
            };
        };
        if !owner {
            return Err(refused());
        }
        if target == *name {
            return Err(Error::Unprocessable(format!(
                "Package binding '{name}' contains a circular reference."
            )));
        }
        let owner = caller.owns(target.namespace());
        let provider = self.package_for(owner, &target).await?.ok_or_else(refused)?;
        let bound = package_of(&provider).expect("asked for a package");
        // No write makes a binding to a binding, but the provider may have become one since.
        if bound.binding.is_some() || !(owner || bound.publish) {
            return Err(refused());
        }
        Ok(ReadablePackage {
            binding: Some(first),
            provider,
        })
    }

    /// Checks that the caller may read (or invoke, which is the same) all of these actions. Nothing is charged.
    ///
    /// Errors: 403 naming the actions that are refused, sorted; the package's own refusal for packaged ones.
    pub async fn may_use_actions(&self, caller: &Caller, names: &[FullName]) -> Result<(), Error> {
        let mut refused: Vec<String> = Vec::new();
        for name in names {
            match name.package_name() {
                Some(package) => drop(self.readable_package(caller, &package).await?),
                None if caller.owns(name.namespace()) => {}
                None => refused.push(name.to_string()),
            }
        }
        refused.sort();
        refused.dedup();
        if refused.is_empty() {
            Ok(())
        } else {
            Err(Error::Forbidden(refused.join(", ")))
        }
    }

    /// The package under `name`; none for a foreigner when there is none.
    async fn package_for(&self, owner: bool, name: &FullName) -> Result<Option<Arc<Entry>>, Error> {
        match self.find(name).await? {
            Some(entry) if entry.value.collection() == Collection::Packages => Ok(Some(entry)),
            Some(_) if owner => Err(Error::Conflict(CONFORMANCE.into())),
            None if owner => Err(Error::Missing),
            Some(_) | None => Ok(None),
        }
    }
}
