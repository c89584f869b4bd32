//! Semantic versions of entities.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::names::serde_as_text;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `major.minor.patch`. A new entity is `0.0.1`; each accepted update raises the patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    /// The version of an entity that was just created.
    pub const FIRST: Version = Version {
        major: 0,
        minor: 0,
        patch: 1,
    };

    /// The version after an update that names none.
    pub fn next(self) -> Version {
        Version {
            patch: self.patch.saturating_add(1),
            ..self
        }
    }
}

impl FromStr for Version {
    type Err = Error;

    /// `1`, `1.2` and `1.2.3`; a fourth part and leading zeros are ignored as upstream does. `0.0.0` is refused.
    fn from_str(text: &str) -> Result<Version, Error> {
        let malformed = || Error::malformed("semantic version malformed");
        let mut parts = [0u32; 3];
        for (i, part) in text.split('.').enumerate() {
            let number = part.parse::<u32>().map_err(|_| malformed())?;
            if part.starts_with('+') {
                return Err(malformed());
            }
            if let Some(slot) = parts.get_mut(i) {
                *slot = number;
            }
        }
        match parts {
            [0, 0, 0] => Err(malformed()),
            [major, minor, patch] => Ok(Version { major, minor, patch }),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

serde_as_text!(Version, Version::from_str);
