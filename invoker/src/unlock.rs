//! Opening what is locked among the arguments, right before they are handed to the action.
//!
//! A message carries secret parameters sealed, and names them in `lockedArgs`. Nothing is kept in clear between two runs:
//! opening one takes a few microseconds, and memory that holds no secret cannot lose one. What was opened lives in memory
//! that is wiped when the call is over.

use std::borrow::Cow;

use wsk_bus::messages::ActivationMessage;
use wsk_entities::Json;
use wsk_secrets::{Error, Vault, Zeroizing};

use crate::outcome::Fault;
use crate::run::push_string;

/// A value as it goes to the action.
pub(crate) enum Value<'a> {
    Plain(&'a Json),
    /// Its JSON.
    Opened(Zeroizing<String>),
}

impl Value<'_> {
    pub fn text(&self) -> &str {
        match self {
            Value::Plain(json) => json.as_str(),
            Value::Opened(text) => text,
        }
    }
}

/// The argument `name`, opened where it is locked.
pub(crate) fn value<'a>(
    vault: &Vault,
    message: &ActivationMessage,
    name: &str,
    value: &'a Json,
) -> Result<Value<'a>, Fault> {
    let Some(algorithm) = message.locked_args.get(name) else {
        return Ok(Value::Plain(value));
    };
    let sealed = match value.string() {
        Some(text) => vault.open(&text, algorithm),
        None => Err(Error::Unreadable),
    };
    let opened = sealed.map(Value::Opened);
    opened.map_err(|error| Fault::Locked(error.of(name).to_string()))
}

/// The arguments for `/run`, init parameters left out and what is locked opened; none where nothing is locked.
pub(crate) fn arguments(vault: &Vault, message: &ActivationMessage) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    if message.locked_args.is_empty() {
        return Ok(None);
    }
    let Some(object) = message.content.as_ref().and_then(Json::object) else {
        return Ok(None);
    };
    let given = object.iter().filter(|(name, _)| !message.init_args.contains(name));
    let values = given.map(|(name, json)| Ok((name, value(vault, message, name, json)?)));
    let values: Vec<(&String, Value<'_>)> = values.collect::<Result<_, Fault>>()?;
    // Its final size from the start: growing would leave copies behind that nobody wipes.
    let size = values
        .iter()
        .map(|(name, value)| 6 * name.len() + value.text().len() + 4);
    let mut out = Zeroizing::new(Vec::with_capacity(2 + size.sum::<usize>()));
    out.push(b'{');
    for (name, value) in &values {
        if out.len() > 1 {
            out.push(b',');
        }
        push_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.text().as_bytes());
    }
    out.push(b'}');
    Ok(Some(out))
}

/// Text for an environment: strings as they are, `null` as nothing, all else as compact JSON.
pub(crate) fn variable<'a>(value: &'a Value<'_>) -> Cow<'a, str> {
    let text = value.text();
    if text == "null" {
        return Cow::Borrowed("");
    }
    if !text.starts_with('"') {
        return Cow::Borrowed(text);
    }
    let tolerant = || Json::parse(text).ok()?.string();
    Cow::Owned(serde_json::from_str(text).ok().or_else(tolerant).unwrap_or_default())
}
