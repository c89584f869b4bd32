//! Making keys.

use rand::distr::{Alphanumeric, Distribution};
use rand::{CryptoRng, RngExt};

use crate::header::KEY;

/// A new key pair: a version 4 uuid and 64 characters of `[A-Za-z0-9]`, which is 381 bits.
pub fn new_key<R: CryptoRng + ?Sized>(rng: &mut R) -> (String, String) {
    let uuid = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
    let key = Alphanumeric.sample_iter(rng).take(KEY).map(char::from).collect();
    (uuid.to_string(), key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn keys_have_the_shape_clients_check() {
        let mut rng = StdRng::seed_from_u64(7);
        let (uuid, key) = new_key(&mut rng);
        let parsed = uuid::Uuid::parse_str(&uuid).unwrap();
        assert_eq!((parsed.get_version_num(), uuid.len()), (4, 36));
        assert!(
            key.len() == 64 && key.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{key}"
        );
        assert_ne!(new_key(&mut rng), (uuid.clone(), key.clone()));
        assert_eq!(
            new_key(&mut StdRng::seed_from_u64(7)),
            (uuid, key),
            "the generator alone decides"
        );
    }
}
