//! Secret parameters on their way through the controller: sealed when they are written, without value when they are
//! shown, and never opened for an activation. The message carries them sealed, with their names in `lockedArgs`; the
//! invoker opens them. Only the secret of a webhook's signature is opened here, because it is judged here.
//!
//! Which arguments are locked is decided by what they hold: an argument that still is the sealed text of its parameter
//! was not overridden. Nobody sees sealed texts, and every one has an iv of its own, so none can be sent from outside.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use wsk_entities::{Json, Package, Parameters, Trigger};

use super::{App, Error};

impl App {
    /// The parameters that a write stores: `given` are those of the request, or the `stored` ones where it has none.
    pub(super) fn sealed(
        &self,
        given: Parameters,
        stored: Option<&Parameters>,
        annotations: &Parameters,
    ) -> Result<Parameters, Error> {
        let wanted = wsk_secrets::wanted(given, stored, annotations)?;
        wsk_secrets::seal(wanted, self.config.sealed, &self.secrets).map_err(unusable)
    }

    /// What readers see of stored parameters.
    pub(super) fn shown(&self, stored: &Arc<Parameters>) -> Result<Arc<Parameters>, Error> {
        if is_plain(stored) {
            return Ok(stored.clone());
        }
        let shown = wsk_secrets::shown(stored, &self.secrets);
        shown.map(Arc::new).map_err(unusable)
    }

    pub(super) fn shown_trigger(&self, trigger: &Arc<Trigger>) -> Result<Arc<Trigger>, Error> {
        if is_plain(&trigger.parameters) {
            return Ok(trigger.clone());
        }
        let parameters = wsk_secrets::shown(&trigger.parameters, &self.secrets).map_err(unusable)?;
        Ok(Arc::new(Trigger {
            parameters,
            ..(**trigger).clone()
        }))
    }

    pub(super) fn shown_package(&self, package: Package) -> Result<Package, Error> {
        if is_plain(&package.parameters) {
            return Ok(package);
        }
        let parameters = wsk_secrets::shown(&package.parameters, &self.secrets).map_err(unusable)?;
        Ok(Package { parameters, ..package })
    }

    /// Parameters in clear, for what the platform itself judges by them; none when one does not open.
    pub(super) fn opened<'a>(&self, stored: &'a Parameters) -> Option<Cow<'a, Parameters>> {
        if is_plain(stored) {
            return Some(Cow::Borrowed(stored));
        }
        let opened = wsk_secrets::open(stored, &self.secrets);
        opened.inspect_err(report).ok().map(Cow::Owned)
    }
}

/// What is shown of parameters that nobody needs any more.
pub(super) fn veiled(stored: &Parameters) -> Parameters {
    if is_plain(stored) {
        stored.clone()
    } else {
        wsk_secrets::veil(stored)
    }
}

/// The sealed ones among the parameters of a trigger, which its actions are given beside their own.
pub(super) fn sealed_of(trigger: &Trigger) -> Parameters {
    trigger.parameters.sealed().cloned().collect()
}

/// The arguments that the invoker has to open, name to algorithm. `own` are the action's merged parameters, `given` the
/// sealed ones of a trigger that fired it.
pub(super) fn locked(own: &Parameters, given: &Parameters, arguments: Option<&Json>) -> BTreeMap<String, String> {
    let sealed = || own.sealed().chain(given.iter());
    if sealed().next().is_none() {
        return BTreeMap::new();
    }
    let arguments = arguments.and_then(Json::object).unwrap_or_default();
    sealed()
        .filter(|parameter| arguments.get(&parameter.key) == Some(&parameter.value))
        .filter_map(|parameter| Some((parameter.key.clone(), parameter.encryption.clone()?)))
        .collect()
}

fn is_plain(parameters: &Parameters) -> bool {
    parameters
        .iter()
        .all(|parameter| !parameter.is_sealed() && !parameter.is_secret())
}

fn unusable(error: wsk_secrets::Error) -> Error {
    report(&error);
    Error::Internal(error.to_string())
}

fn report(error: &wsk_secrets::Error) {
    tracing::error!(%error, "a secret parameter cannot be sealed or opened");
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsk_entities::Parameter;

    fn parameters(list: &[(&str, &str, bool)]) -> Parameters {
        let one = |(key, value, sealed): &(&str, &str, bool)| Parameter {
            encryption: sealed.then(|| "aes-256".to_owned()),
            ..Parameter::new(key, Json::from(*value))
        };
        list.iter().map(one).collect()
    }

    fn names(own: &Parameters, given: &Parameters, arguments: &str) -> Vec<String> {
        locked(own, given, Some(&Json::parse(arguments).unwrap()))
            .into_keys()
            .collect()
    }

    #[test]
    fn what_the_caller_overrides_is_not_locked() {
        let own = parameters(&[("a", "S1", true), ("b", "S2", true), ("c", "S3", false)]);
        let none = Parameters::new();
        assert_eq!(names(&own, &none, r#"{"a":"S1","b":"S2","c":"S3"}"#), ["a", "b"]);
        assert_eq!(names(&own, &none, r#"{"a":"mine","b":"S2","c":"S3"}"#), ["b"]);
        assert!(names(&own, &none, r#"["S1"]"#).is_empty());
        assert!(locked(&own, &none, None).is_empty());
    }

    #[test]
    fn a_triggers_secret_is_locked_where_it_arrives() {
        let own = parameters(&[("a", "S1", true)]);
        let trigger = parameters(&[("a", "T1", true), ("t", "T2", true)]);
        assert_eq!(names(&own, &trigger, r#"{"a":"T1","t":"T2"}"#), ["a", "t"]);
        assert_eq!(names(&own, &trigger, r#"{"a":"T1","t":"body"}"#), ["a"]);
    }
}
