//! Ids of activations and transactions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::serde_as_text;
use crate::{Error, Timestamp};

/// 128 random bits, written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActivationId(u128);

/// The id that follows one external request through everything it causes.
///
/// In messages it is upstream's array `[id, start ms]`, with a third element `true` when extra logging was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionId {
    pub id: Arc<str>,
    pub start: Timestamp,
    pub extra_logging: bool,
}

impl ActivationId {
    pub fn from_bits(bits: u128) -> ActivationId {
        ActivationId(bits)
    }

    /// An id made at `now` from random bits: a version 7 UUID. Ids of one time lie next to each other, which keeps a
    /// store's index of them cheap; the other 74 bits are random.
    pub fn at(now: Timestamp, random: u128) -> ActivationId {
        const RANDOM: u128 = (0x0FFF << 64) | 0x3FFF_FFFF_FFFF_FFFF;
        const VERSION: u128 = (0x7000 << 64) | 0x8000_0000_0000_0000;
        ActivationId((u128::from(now) << 80) | VERSION | (random & RANDOM))
    }

    pub fn bits(self) -> u128 {
        self.0
    }
}

impl FromStr for ActivationId {
    type Err = Error;

    fn from_str(text: &str) -> Result<ActivationId, Error> {
        let length = text.chars().count();
        if length != 32 {
            return Err(Error::Rejected(format!(
                "Activation id length is {length} but must be 32."
            )));
        }
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if !text.bytes().all(hex) {
            return Err(Error::rejected("The activation id is not valid."));
        }
        u128::from_str_radix(text, 16)
            .map(ActivationId)
            .map_err(|_| Error::rejected("The activation id is not valid."))
    }
}

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0u8; 32];
        for (i, byte) in self.0.to_be_bytes().iter().enumerate() {
            text[2 * i] = HEX[usize::from(byte >> 4)];
            text[2 * i + 1] = HEX[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(ActivationId, ActivationId::from_str);

impl TransactionId {
    pub fn new(id: impl Into<Arc<str>>, start: Timestamp) -> TransactionId {
        TransactionId {
            id: id.into(),
            start,
            extra_logging: false,
        }
    }
}

impl TransactionId {
    /// Prefix of the system's own ids, which no client may use.
    pub const RESERVED: &'static str = "sid_";

    /// The id of a request: the client's own, unless there is none or it is reserved; else 32 letters and digits from
    /// `draw`, which gives 128 random bits at a time.
    pub fn given_or_drawn(given: Option<&str>, start: Timestamp, draw: impl FnMut() -> u128) -> TransactionId {
        match given.filter(|id| !id.is_empty() && !id.starts_with(Self::RESERVED)) {
            Some(id) => TransactionId::new(id, start),
            None => TransactionId::new(drawn(draw), start),
        }
    }
}

/// Eight characters from each 64 bits: 62^8 is below 2^48, so what is left over biases nothing that matters.
fn drawn(mut draw: impl FnMut() -> u128) -> Arc<str> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = [0u8; 32];
    for half in text.chunks_mut(16) {
        let bits = draw();
        for (eight, mut bits) in half.chunks_mut(8).zip([bits as u64, (bits >> 64) as u64]) {
            for byte in eight {
                *byte = ALPHABET[(bits % 62) as usize];
                bits /= 62;
            }
        }
    }
    std::str::from_utf8(&text).expect("the alphabet is ASCII").into()
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl Serialize for TransactionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element(&*self.id)?;
        seq.serialize_element(&self.start)?;
        if self.extra_logging {
            seq.serialize_element(&true)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for TransactionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TransactionId, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = TransactionId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a transaction id array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TransactionId, A::Error> {
                let missing = || serde::de::Error::custom("a transaction id has an id and a start");
                let id: String = seq.next_element()?.ok_or_else(missing)?;
                let start = seq.next_element()?.ok_or_else(missing)?;
                let mut extra_logging = false;
                while let Some(more) = seq.next_element::<crate::Json>()? {
                    extra_logging |= more.is_true();
                }
                Ok(TransactionId {
                    id: id.into(),
                    start,
                    extra_logging,
                })
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_at_a_time_are_uuids_that_sort_by_it() {
        let earlier = ActivationId::at(1_700_000_000_000, u128::MAX);
        let later = ActivationId::at(1_700_000_000_001, 0);
        assert!(earlier < later && earlier.to_string() < later.to_string());
        assert_eq!(later.to_string(), "018bcfe5680170008000000000000000");
        assert_eq!(uuid::Uuid::from_u128(earlier.bits()).get_version_num(), 7);
        assert_eq!(earlier.to_string(), "018bcfe568007fffbfffffffffffffff");
    }
}
