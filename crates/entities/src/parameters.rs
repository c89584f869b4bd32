//! Parameters and annotations: arrays of `{key, value}`, unique by key.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Json, Object};

/// One parameter or annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    pub key: String,
    pub value: Json,
    /// Offered as environment at `/init` and left out of `/run`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
    /// Whether the value is never shown, nor stored in clear: `true` where its owner said so. `false` only in requests, where
    /// it takes the mark away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<bool>,
    /// Name of the algorithm when the value is stored encrypted; never sent by clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
}

/// An ordered set of parameters; the last of a repeated key wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<Parameter>);

impl Parameter {
    /// A plain parameter.
    pub fn new(key: &str, value: Json) -> Parameter {
        Parameter {
            key: key.to_owned(),
            value,
            init: false,
            secret: None,
            encryption: None,
        }
    }

    /// Whether its owner marked it secret.
    pub fn is_secret(&self) -> bool {
        self.secret == Some(true)
    }

    /// Whether `value` is not the value itself but what it was encrypted to.
    pub fn is_sealed(&self) -> bool {
        self.encryption.is_some()
    }
}

impl Parameters {
    pub fn new() -> Parameters {
        Parameters::default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter()
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        self.entry(key).map(|p| &p.value)
    }

    /// The parameter under `key` with all that is said of it.
    pub fn entry(&self, key: &str) -> Option<&Parameter> {
        self.0.iter().find(|p| p.key == key)
    }

    /// Those whose value is stored encrypted.
    pub fn sealed(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter().filter(|p| p.is_sealed())
    }

    /// Whether the value under `key` is exactly the JSON value `true`.
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(Json::is_true)
    }

    /// Upstream's truthiness of the value under `key`; `absent` when there is none.
    pub fn is_truthy(&self, key: &str, absent: bool) -> bool {
        self.get(key).map_or(absent, Json::is_truthy)
    }

    /// Sets `key` to `value`, keeping its place when it is there already.
    pub fn set(&mut self, key: &str, value: Json) {
        self.insert(Parameter::new(key, value));
    }

    pub fn insert(&mut self, parameter: Parameter) {
        match self.0.iter_mut().find(|p| p.key == parameter.key) {
            Some(slot) => *slot = parameter,
            None => self.0.push(parameter),
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Parameter> {
        let at = self.0.iter().position(|p| p.key == key)?;
        Some(self.0.remove(at))
    }

    /// These parameters overlaid by `later`, which wins. What stays keeps its place.
    pub fn merged(&self, later: &Parameters) -> Parameters {
        self.0.iter().chain(&later.0).cloned().collect()
    }

    /// As an object, for arguments.
    pub fn to_object(&self) -> Object {
        self.0.iter().map(|p| (p.key.clone(), p.value.clone())).collect()
    }

    /// Names of the bound (not null) parameters, which `final` makes immutable.
    pub fn bound(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|p| !p.value.is_null()).map(|p| p.key.as_str())
    }

    /// Size as the limits count it: names plus compact JSON values, in bytes.
    pub fn size(&self) -> u64 {
        self.0
            .iter()
            .map(|p| (p.key.len() + p.value.as_str().len()) as u64)
            .sum()
    }

    /// Reads the array form of a request body. Errors: [`Error::Malformed`] `parameters malformed!`.
    pub fn from_json(json: &Json) -> Result<Parameters, Error> {
        let malformed = || Error::malformed("parameters malformed!");
        let items: Vec<Json> = serde_json::from_str(json.as_str()).map_err(|_| malformed())?;
        items.iter().map(|item| parameter(item).ok_or_else(malformed)).collect()
    }
}

/// One entry of a request's list. Unlike in stored documents, nothing stands for something else: no array for an object,
/// no `null` for an absent field.
fn parameter(item: &Json) -> Option<Parameter> {
    let mut fields = item.object()?;
    let key = fields.get("key")?.string()?;
    let flag = |name: &str| match fields.get(name).map(Json::as_str) {
        None => Some(None),
        Some("false") => Some(Some(false)),
        Some("true") => Some(Some(true)),
        Some(_) => None,
    };
    let (init, secret) = (flag("init")?.unwrap_or(false), flag("secret")?);
    let value = match fields.swap_remove("value") {
        // The value that is there already stays.
        None if secret == Some(true) => Json::null(),
        value => value?,
    };
    Some(Parameter {
        key,
        value,
        init,
        secret,
        // Only we say what is encrypted: what a client claims to be would be taken for our own work.
        encryption: None,
    })
}

impl FromIterator<Parameter> for Parameters {
    /// In linear time: a body of a megabyte holds tens of thousands of keys.
    fn from_iter<I: IntoIterator<Item = Parameter>>(iter: I) -> Parameters {
        let mut out: IndexMap<String, Parameter> = IndexMap::new();
        for parameter in iter {
            match out.get_mut(&parameter.key) {
                Some(slot) => *slot = parameter,
                None => drop(out.insert(parameter.key.clone(), parameter)),
            }
        }
        Parameters(out.into_values().collect())
    }
}

impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parameters, D::Error> {
        Vec::<Parameter>::deserialize(deserializer).map(Parameters::from_iter)
    }
}
