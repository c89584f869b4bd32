//! One key: AES-GCM with 128 or 256 bits.

use std::fmt;

use aes_gcm::aead::consts::{U12, U128};
use aes_gcm::aead::{Aead, Nonce};
use aes_gcm::aes::{Aes128, Aes256};
use aes_gcm::{AesGcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::TryRng as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Bytes of the iv that ours are sealed with: upstream's length for aes-256.
pub(crate) const IV: usize = 128;
/// The iv that upstream seals aes-128 with.
const SHORT_IV: usize = 12;
/// Bytes of an iv that name the key.
const ID: usize = 8;

/// Names a key without telling anything of it: the beginning of a digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID]);

/// A key, ready for use.
pub struct Key {
    id: KeyId,
    cipher: Cipher,
}

/// Each key for both lengths of iv, boxed because key schedules are large.
enum Cipher {
    Small(Box<(AesGcm<Aes128, U128>, AesGcm<Aes128, U12>)>),
    Large(Box<(AesGcm<Aes256, U128>, AesGcm<Aes256, U12>)>),
}

impl KeyId {
    /// The id that an iv of ours begins with; any iv of that length has some.
    pub(crate) fn of_iv(iv: &[u8]) -> Option<KeyId> {
        if iv.len() != IV {
            return None;
        }
        iv.first_chunk().copied().map(KeyId)
    }
}

impl Key {
    /// A key of 16 or 32 bytes in base64; else why it is none.
    pub fn parse(text: &str) -> Result<Key, &'static str> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| "it is not base64")?);
        Key::new(&bytes).ok_or("it has neither 16 bytes (aes-128) nor 32 (aes-256)")
    }

    /// A new key of 32 bytes as text.
    pub fn generate() -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        random(&mut *bytes);
        Zeroizing::new(STANDARD.encode(bytes.as_slice()))
    }

    fn new(bytes: &[u8]) -> Option<Key> {
        let cipher = match bytes.len() {
            16 => {
                let of = "the length was looked at";
                let long = AesGcm::new_from_slice(bytes).expect(of);
                Cipher::Small(Box::new((long, AesGcm::new_from_slice(bytes).expect(of))))
            }
            32 => {
                let of = "the length was looked at";
                let long = AesGcm::new_from_slice(bytes).expect(of);
                Cipher::Large(Box::new((long, AesGcm::new_from_slice(bytes).expect(of))))
            }
            _ => return None,
        };
        let digest = Sha256::new()
            .chain_update(b"ferrowhisk key id")
            .chain_update(bytes)
            .finalize();
        let id = KeyId(*digest.first_chunk().expect("a digest is longer than an id"));
        Some(Key { id, cipher })
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Upstream's name for how it seals.
    pub fn algorithm(&self) -> &'static str {
        match self.cipher {
            Cipher::Small(_) => "aes-128",
            Cipher::Large(_) => "aes-256",
        }
    }

    /// The stored form of a text.
    pub(crate) fn seal(&self, clear: &str) -> String {
        let mut iv = [0u8; IV];
        let (id, chance) = iv.split_at_mut(ID);
        id.copy_from_slice(&self.id.0);
        random(chance);
        let sealed = match &self.cipher {
            Cipher::Small(both) => encrypted(&both.0, &iv, clear),
            Cipher::Large(both) => encrypted(&both.0, &iv, clear),
        };
        let sealed = sealed.expect("parameters are far shorter than what one iv may seal");
        let mut out = Vec::with_capacity(4 + IV + sealed.len());
        out.extend_from_slice(&(IV as u32).to_be_bytes());
        out.extend_from_slice(&iv);
        out.extend_from_slice(&sealed);
        STANDARD.encode(out)
    }

    /// What was sealed with this key under this iv; none when it was not, or was changed since.
    pub(crate) fn open(&self, iv: &[u8], sealed: &[u8]) -> Option<Zeroizing<String>> {
        let clear = match (&self.cipher, iv.len()) {
            (Cipher::Small(both), IV) => decrypted(&both.0, iv, sealed),
            (Cipher::Small(both), SHORT_IV) => decrypted(&both.1, iv, sealed),
            (Cipher::Large(both), IV) => decrypted(&both.0, iv, sealed),
            (Cipher::Large(both), SHORT_IV) => decrypted(&both.1, iv, sealed),
            (Cipher::Small(_) | Cipher::Large(_), _) => None,
        };
        match String::from_utf8(clear?) {
            Ok(text) => Some(Zeroizing::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                None
            }
        }
    }
}

fn encrypted<A: Aead>(cipher: &A, iv: &[u8], clear: &str) -> Option<Vec<u8>> {
    let iv = <&Nonce<A>>::try_from(iv).ok()?;
    cipher.encrypt(iv, clear.as_bytes()).ok()
}

fn decrypted<A: Aead>(cipher: &A, iv: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let iv = <&Nonce<A>>::try_from(iv).ok()?;
    cipher.decrypt(iv, sealed).ok()
}

/// Fills `bytes` from the system's source: the seeded one of simulations would use an iv twice.
fn random(bytes: &mut [u8]) {
    rand::rngs::SysRng
        .try_fill_bytes(bytes)
        .expect("the system has randomness to give");
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.algorithm(), self.id)
    }
}
