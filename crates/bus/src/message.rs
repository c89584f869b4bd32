//! What crosses the bus.

use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;

/// What a message is about; for tracing and for telling duplicates, never for routing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Key {
    /// Nothing in particular.
    #[default]
    None,
    /// A 128-bit id: an activation.
    Id(u128),
    /// A name.
    Text(Box<str>),
}

/// A typed message that stays a value while it stays in this process and is serialised only when it must leave it.
pub trait Payload: Any + Send + Sync {
    /// The wire form. Called at most a few times per message, and not at all on the warm path.
    fn encode(&self) -> Bytes;

    /// Reads the wire form.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    fn decode(text: &[u8]) -> Result<Self, String>
    where
        Self: Sized;

    /// Roughly the bytes it occupies, for the topic's bound.
    fn size(&self) -> usize;
}

/// The content of a message.
#[derive(Clone)]
pub enum Body {
    /// Wire form.
    Bytes(Bytes),
    /// A value of this process, see [`crate::Delivery::local`].
    Local(Arc<dyn Payload>),
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is about.
    pub key: Key,
    /// Its content.
    pub body: Body,
    /// Whether somebody may have seen it on another topic, see [`crate::Delivery::pass_on`].
    pub(crate) seen: bool,
}

impl Message {
    /// A message in wire form.
    pub fn bytes(key: Key, body: impl Into<Bytes>) -> Self {
        Self {
            key,
            body: Body::Bytes(body.into()),
            seen: false,
        }
    }

    /// A typed message.
    pub fn local(key: Key, body: Arc<dyn Payload>) -> Self {
        Self {
            key,
            body: Body::Local(body),
            seen: false,
        }
    }

    /// The same message once more, of which somebody may have had the first: it counts as redelivered.
    #[must_use]
    pub fn again(self) -> Self {
        Self { seen: true, ..self }
    }

    /// Bytes that count towards a topic's bound.
    pub fn size(&self) -> usize {
        match &self.body {
            Body::Bytes(bytes) => bytes.len(),
            Body::Local(payload) => payload.size(),
        }
    }

    /// The wire form, made now if need be.
    pub fn encode(&self) -> Bytes {
        match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Local(payload) => payload.encode(),
        }
    }

    /// The value that was published in this process, if it is a `T`.
    pub fn downcast<T: Payload>(&self) -> Option<Arc<T>> {
        match &self.body {
            Body::Bytes(_) => None,
            Body::Local(payload) => {
                let any: Arc<dyn Any + Send + Sync> = payload.clone();
                any.downcast().ok()
            }
        }
    }
}

impl std::fmt::Debug for Body {
    /// Sizes only: parameters and keys stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Local(payload) => write!(f, "Local({} bytes)", payload.size()),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("-"),
            Self::Id(id) => write!(f, "{id:032x}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}
