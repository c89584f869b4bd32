//! Keys as operators type them.

use uuid::Uuid;

use super::Refusal;

/// A key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    pub uuid: String,
    pub key: String,
}

/// Least length of the second half.
const LENGTH: usize = 64;

impl Key {
    pub fn random() -> Self {
        let (uuid, key) = wsk_identity::new_key(&mut rand::rng());
        Self { uuid, key }
    }

    /// Takes `uuid:key`; the first half is brought to the form of a version 4 UUID.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (uuid, key) = text.split_once(':').unwrap_or((text, ""));
        let uuid = Uuid::try_parse(uuid).map_err(|_| Refusal::usage("authorization id is not a valid UUID"))?;
        if key.chars().count() < LENGTH {
            return Err(Refusal::usage("authorization key must be at least 64 characters long"));
        }
        let uuid = uuid::Builder::from_random_bytes(uuid.into_bytes())
            .into_uuid()
            .to_string();
        Ok(Self {
            uuid,
            key: key.to_owned(),
        })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uuid, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_and_normalised() {
        let key = "k".repeat(64);
        let parsed = Key::parse(&format!("23BC46B1-71F6-1ED5-0C54-816AA4F8C502:{key}"))
            .ok()
            .unwrap();
        assert_eq!(
            parsed.to_string(),
            format!("23bc46b1-71f6-4ed5-8c54-816aa4f8c502:{key}")
        );
        let refused = |text: &str| Key::parse(text).err().unwrap().message;
        assert_eq!(
            refused(&format!("nonsense:{key}")),
            "authorization id is not a valid UUID"
        );
        let short = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:short";
        assert_eq!(refused(short), "authorization key must be at least 64 characters long");
    }
}
