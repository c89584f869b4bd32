//! Reading an `Authorization` header.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Clients leave padding out at times, which changes nothing about the content.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Characters of the public half of a key pair, and of its secret half.
const UUID: usize = 36;
pub const KEY: usize = 64;

/// What a header holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Not Basic authentication: as good as no header.
    None,
    /// A pair that no key can look like.
    Malformed,
    Pair {
        uuid: String,
        key: String,
    },
}

/// Reads a header's value.
pub fn read(value: &[u8]) -> Credentials {
    let Some(encoded) = token(value) else {
        return Credentials::None;
    };
    let Ok(decoded) = LENIENT.decode(encoded) else {
        return Credentials::None;
    };
    let pair = std::str::from_utf8(&decoded).ok().and_then(|text| text.split_once(':'));
    match pair {
        Some((uuid, key))
            if uuid.len() == UUID && uuid::Uuid::try_parse(uuid).is_ok() && key.chars().count() == KEY =>
        {
            Credentials::Pair {
                uuid: uuid.to_owned(),
                key: key.to_owned(),
            }
        }
        Some(_) | None => Credentials::Malformed,
    }
}

/// The part of a header's value that holds the scheme and the public half of the pair, nothing of the secret half: 36
/// bytes of uuid are 48 characters of base64.
pub fn public_part(value: &[u8]) -> Option<&[u8]> {
    value.get(..SCHEME.len() + UUID / 3 * 4)
}

const SCHEME: &[u8] = b"Basic ";

fn token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let encoded = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !encoded.is_empty()).then_some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const ID: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(pair)).into_bytes()
    }

    #[test]
    fn reads_a_pair() {
        let key = "k".repeat(KEY);
        let pair = Credentials::Pair {
            uuid: ID.into(),
            key: key.clone(),
        };
        let header = basic(&format!("{ID}:{key}"));
        assert_eq!(read(&header), pair);
        assert_eq!(read(&[b"bASIC", &header[5..]].concat()), pair, "schemes have no case");
        let unpadded = header.strip_suffix(b"=").unwrap();
        assert_eq!(read(unpadded.strip_suffix(b"=").unwrap_or(unpadded)), pair);
    }

    #[test]
    fn what_is_not_basic_counts_as_no_header() {
        for header in [
            "",
            "Basic",
            "Basic ",
            "Basic    ",
            "Bearer abc",
            "Basic *!*",
            "Digest username=x",
            "YWJj",
        ] {
            assert_eq!(read(header.as_bytes()), Credentials::None, "{header:?}");
        }
    }

    #[test]
    fn a_decodable_pair_of_the_wrong_shape_is_malformed() {
        let key = "k".repeat(KEY);
        let wrong = [
            "no colon".to_owned(),
            ":".to_owned(),
            format!("{ID}:"),
            format!("not-a-uuid:{key}"),
            format!("{}:{key}", ID.replace('-', "")),
            format!("{ID}:{}", &key[1..]),
            format!("{ID}:{key}k"),
        ];
        for pair in wrong {
            assert_eq!(read(&basic(&pair)), Credentials::Malformed, "{pair:?}");
        }
    }

    #[test]
    fn the_public_part_says_nothing_about_the_key() {
        let (a, b) = (
            basic(&format!("{ID}:{}", "a".repeat(KEY))),
            basic(&format!("{ID}:{}", "b".repeat(KEY))),
        );
        assert_eq!(public_part(&a), public_part(&b));
        assert_eq!(public_part(b"Basic short"), None);
    }
}
