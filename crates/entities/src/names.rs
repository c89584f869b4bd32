//! Names and paths.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// Longest name segment, in characters.
const MAX_NAME: usize = 256;

/// Name of an action, package, trigger or rule: upstream's rule `\A([\w]|[\w][\w@ .&-]{0,254}[\w@.&-])\z` over ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityName(Arc<str>);

/// Name of a namespace; the same rule as for an entity name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(Arc<str>);

/// Where an entity lives: a namespace, or a package in one. Written `ns` or `ns/pkg`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityPath {
    pub namespace: Namespace,
    pub package: Option<EntityName>,
}

/// Full name of an entity. Written `ns/name` or `ns/pkg/name`; in JSON the object `{path, name}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullName {
    pub path: EntityPath,
    pub name: EntityName,
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn follows_name_rule(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let inner = |b: u8| is_word(b) || matches!(b, b'@' | b' ' | b'.' | b'&' | b'-');
    is_word(*first) && bytes.iter().all(|b| inner(*b)) && *last != b' ' && bytes.len() <= MAX_NAME
}

impl EntityName {
    /// Errors: [`Error::Rejected`] with upstream's text for a name that is too long or has illegal characters.
    pub fn new(text: &str) -> Result<EntityName, Error> {
        let length = text.chars().count();
        if length > MAX_NAME {
            return Err(Error::Rejected(format!(
                "Name segement longer than allowed: {length} > {MAX_NAME}."
            )));
        }
        if follows_name_rule(text) {
            Ok(EntityName(text.into()))
        } else {
            Err(Error::rejected("The name of the entity contains illegal characters."))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Namespace {
    /// The marker that stands for the caller's own namespace in paths and bodies.
    pub const DEFAULT_MARKER: &'static str = "_";

    /// Errors: [`Error::Rejected`] with upstream's text.
    pub fn new(text: &str) -> Result<Namespace, Error> {
        let length = text.chars().count();
        if length > MAX_NAME {
            return Err(Error::Rejected(format!(
                "Namespace longer than allowed: {length} > {MAX_NAME}."
            )));
        }
        if follows_name_rule(text) {
            Ok(Namespace(text.into()))
        } else {
            Err(Error::rejected("The namespace contains illegal characters."))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_default_marker(&self) -> bool {
        &*self.0 == Self::DEFAULT_MARKER
    }
}

impl EntityPath {
    pub fn root(namespace: Namespace) -> EntityPath {
        EntityPath {
            namespace,
            package: None,
        }
    }

    pub fn in_package(namespace: Namespace, package: EntityName) -> EntityPath {
        EntityPath {
            namespace,
            package: Some(package),
        }
    }

    /// The full name of the entity called `name` here.
    pub fn with(&self, name: EntityName) -> FullName {
        FullName {
            path: self.clone(),
            name,
        }
    }
}

impl FullName {
    pub fn new(namespace: Namespace, package: Option<EntityName>, name: EntityName) -> FullName {
        FullName {
            path: EntityPath { namespace, package },
            name,
        }
    }

    pub fn namespace(&self) -> &Namespace {
        &self.path.namespace
    }

    pub fn package(&self) -> Option<&EntityName> {
        self.path.package.as_ref()
    }

    /// The package's own full name, for a packaged entity.
    pub fn package_name(&self) -> Option<FullName> {
        self.path
            .package
            .clone()
            .map(|name| FullName::new(self.path.namespace.clone(), None, name))
    }

    /// The same name with the marker `_` replaced by `namespace`.
    pub fn resolved(mut self, namespace: &Namespace) -> FullName {
        if self.path.namespace.is_default_marker() {
            self.path.namespace = namespace.clone();
        }
        self
    }

    /// `/ns/pkg/name`, as components and `__OW_ACTION_NAME` show it.
    pub fn slashed(&self) -> String {
        format!("/{self}")
    }
}

impl FromStr for EntityPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<EntityPath, Error> {
        let mut parts = text.strip_prefix('/').unwrap_or(text).split('/');
        let namespace = Namespace::new(parts.next().unwrap_or_default())?;
        let package = parts.next().map(EntityName::new).transpose()?;
        match parts.next() {
            None => Ok(EntityPath { namespace, package }),
            Some(_) => Err(Error::rejected("The namespace contains illegal characters.")),
        }
    }
}

impl FromStr for FullName {
    type Err = Error;

    /// `ns/name` or `ns/pkg/name`, with or without a leading slash; empty segments do not count, as upstream reads it.
    fn from_str(text: &str) -> Result<FullName, Error> {
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(Error::malformed("requirement failed: path undefined"));
        }
        if let Some(bad) = parts.iter().find(|part| !follows_name_rule(part)) {
            return Err(Error::Malformed(format!(
                "'{text}' is not a full name: '{bad}' has illegal characters or is too long"
            )));
        }
        let entity = |part: &str| EntityName::new(part).expect("the rule was checked");
        let namespace = Namespace::new(parts[0]).expect("the rule is that of entity names");
        match parts[1..] {
            [] => Err(Error::malformed(
                "requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of the entity.",
            )),
            [name] => Ok(FullName::new(namespace, None, entity(name))),
            [package, name] => Ok(FullName::new(namespace, Some(entity(package)), entity(name))),
            [_, _, _, ..] => Err(Error::malformed("fully qualified name malformed")),
        }
    }
}

/// Whether a text is a path of any depth, as the `feed` annotation of a trigger must be.
pub fn is_path(text: &str) -> bool {
    let mut parts = text.split('/').filter(|part| !part.is_empty()).peekable();
    parts.peek().is_some() && parts.all(follows_name_rule)
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EntityPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.package {
            None => write!(f, "{}", self.namespace),
            Some(package) => write!(f, "{}/{}", self.namespace, package),
        }
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.path, self.name)
    }
}

macro_rules! serde_as_text {
    ($type:ty, $parse:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(&text).map_err(|e: Error| serde::de::Error::custom(e.reason()))
            }
        }
    };
}
pub(crate) use serde_as_text;

serde_as_text!(EntityName, EntityName::new);
serde_as_text!(Namespace, Namespace::new);
serde_as_text!(EntityPath, EntityPath::from_str);

#[derive(Serialize, Deserialize)]
struct FullNameWire {
    path: EntityPath,
    name: EntityName,
}

impl Serialize for FullName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FullNameWire {
            path: self.path.clone(),
            name: self.name.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FullName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let FullNameWire { path, name } = FullNameWire::deserialize(deserializer)?;
        Ok(FullName { path, name })
    }
}
