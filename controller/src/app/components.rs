//! What a sequence may consist of, judged when it is written.
//!
//! Nested sequences are inlined: their atomic actions count, and none of them may be the sequence itself. Every action is
//! read once, however often it occurs, so the work is bounded by the number of different actions and by the limit.

use std::collections::HashMap;

use wsk_entities::{EntityPath, Exec, FullName};

use super::entitlement::{CONFORMANCE, package_of};
use super::{App, Error};

const TOO_MANY: &str = "Too many actions in the sequence.";
const NONE: &str = "No component specified for the sequence.";
const CYCLIC: &str = "Sequence may not refer to itself.";
const NOT_FOUND: &str = "Sequence component does not exist.";

/// Atomic actions below the names looked at so far; none while a name is still being looked at.
type Counted = HashMap<FullName, Option<u64>>;

impl App {
    /// Checks the components of the sequence called `name`. Errors: 400 with upstream's four texts, 409 for a component that
    /// is no action.
    pub(super) async fn check_components(&self, name: &FullName, components: &[FullName]) -> Result<(), Error> {
        let limit = u64::from(self.config.sequence_length);
        if components.len() as u64 > limit {
            return Err(Error::Rejected(TOO_MANY.into()));
        }
        if components.is_empty() {
            return Err(Error::Rejected(NONE.into()));
        }
        let own = self
            .without_binding(name)
            .await?
            .ok_or_else(|| Error::Rejected(NOT_FOUND.into()))?;
        let mut counted = Counted::new();
        counted.insert(own, None);
        let count = self.count_atomic(components, &mut counted, limit).await?;
        if count > limit {
            Err(Error::Rejected(TOO_MANY.into()))
        } else {
            Ok(())
        }
    }

    async fn count_atomic(&self, components: &[FullName], counted: &mut Counted, limit: u64) -> Result<u64, Error> {
        let mut sum = 0;
        for component in components {
            let missing = || Error::Rejected(NOT_FOUND.into());
            let component = self.without_binding(component).await?.ok_or_else(missing)?;
            let below = match counted.get(&component) {
                Some(Some(count)) => *count,
                Some(None) => return Err(Error::Rejected(CYCLIC.into())),
                None => {
                    counted.insert(component.clone(), None);
                    let count = match &self.component(&component).await?.exec {
                        Exec::Sequence { components } => {
                            Box::pin(self.count_atomic(components, counted, limit)).await?
                        }
                        Exec::Code { .. } | Exec::Blackbox { .. } => 1,
                    };
                    counted.insert(component, Some(count));
                    count
                }
            };
            sum += below;
            if sum > limit {
                return Err(Error::Rejected(TOO_MANY.into()));
            }
        }
        Ok(sum)
    }

    async fn component(&self, name: &FullName) -> Result<std::sync::Arc<wsk_entities::Action>, Error> {
        match self.action_entry(name).await {
            Ok((_, action)) => Ok(action),
            Err(Error::Missing) => Err(Error::Rejected(NOT_FOUND.into())),
            Err(other) => Err(other),
        }
    }

    /// The name under which the action is stored: a binding replaced by its provider. None when the package is missing.
    pub(super) async fn without_binding(&self, name: &FullName) -> Result<Option<FullName>, Error> {
        let Some(package) = name.package_name() else {
            return Ok(Some(name.clone()));
        };
        let Some(entry) = self.find(&package).await? else {
            return Ok(None);
        };
        let package = package_of(&entry).ok_or_else(|| Error::Conflict(CONFORMANCE.into()))?;
        Ok(Some(match &package.binding {
            None => name.clone(),
            Some(binding) => {
                EntityPath::in_package(binding.namespace.clone(), binding.name.clone()).with(name.name.clone())
            }
        }))
    }
}
