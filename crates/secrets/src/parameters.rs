//! Which parameters of an entity are secret, and what is stored, shown and opened of them.

use wsk_entities::{Json, Parameter, Parameters};
use zeroize::Zeroizing;

use crate::{Error, Vault};

/// The annotation by which a client that knows nothing of the member `secret` marks parameters: an array of their names.
pub const ANNOTATION: &str = "secret-parameters";

/// Which parameters are stored sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those that are marked.
    #[default]
    Marked,
    /// All of them, as upstream's switch has it.
    All,
}

/// The parameters that a write asks for: `given` are those of the request, or the stored ones where it has none.
///
/// A secret stays one, also when a client that knows no marks gives it a new value; only `"secret": false` together with
/// a value ends that. Of a stored secret a client sees `null`, so `null`, or no value at all, leaves it as it is; a mark
/// without a value marks what is there.
///
/// # Errors
/// The annotation is not an array of names.
pub fn wanted(
    given: Parameters,
    stored: Option<&Parameters>,
    annotations: &Parameters,
) -> Result<Parameters, wsk_entities::Error> {
    let named = named(annotations)?;
    let settle = |parameter: Parameter| {
        let named = named.contains(&parameter.key);
        settled(parameter, stored, named)
    };
    Ok(given.iter().cloned().map(settle).collect())
}

fn settled(given: Parameter, stored: Option<&Parameters>, named: bool) -> Parameter {
    let before = stored.and_then(|stored| stored.entry(&given.key));
    let was_secret = before.is_some_and(Parameter::is_secret);
    let secret = (named || given.secret.unwrap_or(was_secret)).then_some(true);
    let stays = given.value.is_null() && (given.secret == Some(true) || was_secret && given.secret.is_none());
    match before.filter(|_| stays) {
        Some(before) => Parameter {
            init: given.init,
            secret,
            ..before.clone()
        },
        None => Parameter { secret, ..given },
    }
}

fn named(annotations: &Parameters) -> Result<Vec<String>, wsk_entities::Error> {
    let Some(names) = annotations.get(ANNOTATION) else {
        return Ok(Vec::new());
    };
    let names = serde_json::from_str::<Vec<String>>(names.as_str()).ok();
    names.ok_or_else(|| {
        let text = format!("The annotation {ANNOTATION} must be an array of names of parameters.");
        wsk_entities::Error::Rejected(text)
    })
}

/// What is stored: everything in scope sealed, with the newest key.
///
/// # Errors
/// Those of [`Vault::seal`].
pub fn seal(parameters: Parameters, scope: Scope, vault: &Vault) -> Result<Parameters, Error> {
    let seal = |parameter: &Parameter| {
        let secret = parameter.is_secret() || scope == Scope::All;
        if parameter.is_sealed() {
            // One that does not open now stays: its key may come back.
            let renewed = renewed(parameter, vault).ok().flatten();
            return Ok(renewed.unwrap_or_else(|| parameter.clone()));
        }
        if !secret || parameter.value.is_null() {
            return Ok(parameter.clone());
        }
        sealed(parameter, parameter.value.as_str(), vault)
    };
    parameters.iter().map(seal).collect()
}

/// The same parameters under the newest key; none when they are already.
///
/// # Errors
/// [`Error::Parameter`] for one that does not open.
pub fn reseal(parameters: &Parameters, vault: &Vault) -> Result<Option<Parameters>, Error> {
    let mut changed = false;
    let renew = |parameter: &Parameter| {
        let newer = if parameter.is_sealed() {
            renewed(parameter, vault)?
        } else {
            None
        };
        changed |= newer.is_some();
        Ok(newer.unwrap_or_else(|| parameter.clone()))
    };
    let all: Parameters = parameters.iter().map(renew).collect::<Result<_, Error>>()?;
    Ok(changed.then_some(all))
}

/// What readers of the entity see: secrets without their value, all else in clear.
///
/// # Errors
/// [`Error::Parameter`] for one that does not open.
pub fn shown(parameters: &Parameters, vault: &Vault) -> Result<Parameters, Error> {
    let show = |parameter: &Parameter| match (parameter.is_secret(), parameter.is_sealed()) {
        (true, _) => Ok(veiled(parameter)),
        (false, true) => opened(parameter, vault),
        (false, false) => Ok(parameter.clone()),
    };
    parameters.iter().map(show).collect()
}

/// What can be shown without a key.
pub fn veil(parameters: &Parameters) -> Parameters {
    let show = |parameter: &Parameter| match parameter.is_secret() || parameter.is_sealed() {
        true => veiled(parameter),
        false => parameter.clone(),
    };
    parameters.iter().map(show).collect()
}

/// Everything in clear, for what the platform itself does with it.
///
/// # Errors
/// [`Error::Parameter`] for one that does not open.
pub fn open(parameters: &Parameters, vault: &Vault) -> Result<Parameters, Error> {
    let open = |parameter: &Parameter| match parameter.is_sealed() {
        true => opened(parameter, vault),
        false => Ok(parameter.clone()),
    };
    parameters.iter().map(open).collect()
}

fn veiled(parameter: &Parameter) -> Parameter {
    Parameter {
        value: Json::null(),
        encryption: None,
        ..parameter.clone()
    }
}

fn opened(parameter: &Parameter, vault: &Vault) -> Result<Parameter, Error> {
    let clear = clear(parameter, vault)?;
    let value = Json::parse(&clear).map_err(|_| Error::Unreadable.of(&parameter.key))?;
    Ok(Parameter {
        value,
        encryption: None,
        ..parameter.clone()
    })
}

/// The parameter under the newest key; none when it is already.
fn renewed(parameter: &Parameter, vault: &Vault) -> Result<Option<Parameter>, Error> {
    let (text, algorithm) = parts(parameter)?;
    if vault.is_newest(&text, algorithm) {
        return Ok(None);
    }
    let clear = clear(parameter, vault)?;
    sealed(parameter, &clear, vault).map(Some)
}

fn sealed(parameter: &Parameter, clear: &str, vault: &Vault) -> Result<Parameter, Error> {
    let sealed = vault.seal(clear)?;
    Ok(Parameter {
        value: Json::from(&*sealed.text),
        encryption: Some(sealed.algorithm.to_owned()),
        ..parameter.clone()
    })
}

fn clear(parameter: &Parameter, vault: &Vault) -> Result<Zeroizing<String>, Error> {
    let (text, algorithm) = parts(parameter)?;
    vault.open(&text, algorithm).map_err(|error| error.of(&parameter.key))
}

fn parts(parameter: &Parameter) -> Result<(String, &str), Error> {
    let text = parameter.value.string();
    text.zip(parameter.encryption.as_deref())
        .ok_or_else(|| Error::Unreadable.of(&parameter.key))
}

#[cfg(test)]
mod tests;
