//! The keys in force, and what they seal and open.
//!
//! Keys in a file are followed while the process runs: a key that is put on top of the file seals from then on, and a
//! value under a key that is not known yet makes the file be read again. The file is looked at only when something is
//! sealed or does not open, never on the way of an activation that opens.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::file::{self, Stamp};
use crate::{Error, Key, KeyId};

/// Where keys come from.
#[derive(Clone)]
pub enum Keys {
    /// Given in the configuration or the environment, separated by blanks, commas or lines.
    Given(Zeroizing<String>),
    /// In a file, which is made with a new key when something is to be sealed and it is not there.
    File(PathBuf),
    /// In a file that is there for all machines of a deployment: one that made its own would be understood by nobody else.
    Shared(PathBuf),
}

impl Keys {
    fn file(&self) -> Option<&Path> {
        match self {
            Keys::Given(_) => None,
            Keys::File(path) | Keys::Shared(path) => Some(path),
        }
    }
}

/// A sealed value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub text: String,
    pub algorithm: &'static str,
}

/// The keys of one process.
pub struct Vault {
    keys: Keys,
    ring: RwLock<Arc<Ring>>,
    /// One at a time makes a file.
    making: Mutex<()>,
}

struct Ring {
    keys: Vec<Key>,
    stamp: Option<Stamp>,
}

/// The id of the key that a sealed value names; none for one of another platform, whose iv is too short for that.
pub fn key_id(sealed: &str) -> Option<KeyId> {
    KeyId::of_iv(Parts::of(sealed).ok()?.iv())
}

/// A sealed value, taken apart.
struct Parts {
    bytes: Vec<u8>,
    iv: usize,
}

impl Vault {
    /// A vault with these keys. A file that is not there yet is no error.
    ///
    /// # Errors
    /// [`Error::BadKey`] and [`Error::File`] for what cannot be used.
    pub fn open_with(keys: Keys) -> Result<Vault, Error> {
        let ring = match &keys {
            Keys::Given(text) => Ring {
                keys: parse(text, "secrets.keys")?,
                stamp: None,
            },
            Keys::File(path) | Keys::Shared(path) => read(path)?,
        };
        Ok(Vault {
            keys,
            ring: RwLock::new(Arc::new(ring)),
            making: Mutex::default(),
        })
    }

    /// A vault without keys: nothing can be sealed, nothing opens.
    pub fn empty() -> Vault {
        Vault::open_with(Keys::Given(Zeroizing::default())).expect("no keys are good keys")
    }

    /// Seals with the first key.
    ///
    /// # Errors
    /// [`Error::NoKey`], and those of the key file.
    pub fn seal(&self, clear: &str) -> Result<Sealed, Error> {
        let ring = self.sealing()?;
        let key = ring.keys.first().ok_or_else(|| self.nothing())?;
        Ok(Sealed {
            text: key.seal(clear),
            algorithm: key.algorithm(),
        })
    }

    /// Opens what was sealed with any of the keys.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::NoneFits`], [`Error::Damaged`], [`Error::Unreadable`].
    pub fn open(&self, sealed: &str, algorithm: &str) -> Result<Zeroizing<String>, Error> {
        let parts = Parts::of(sealed)?;
        let ring = self.ring();
        let error = match ring.open(&parts, algorithm, &self.place()) {
            Ok(clear) => return Ok(clear),
            Err(error) => error,
        };
        // The key may have come since.
        match self.refreshed(&ring)? {
            Some(newer) => newer.open(&parts, algorithm, &self.place()),
            None => Err(error),
        }
    }

    /// The id of the key that a sealed value names, if it is one of ours.
    pub fn key_of(&self, sealed: &str, algorithm: &str) -> Option<KeyId> {
        let parts = Parts::of(sealed).ok()?;
        let ring = self.ring();
        ring.named(parts.iv(), algorithm).map(Key::id)
    }

    /// Whether a sealed value is under the key that seals now.
    pub fn is_newest(&self, sealed: &str, algorithm: &str) -> bool {
        let first = self.ids().first().copied();
        first.is_some() && self.key_of(sealed, algorithm) == first
    }

    /// The ids of the keys, the one that seals first, from the file as it is now.
    pub fn ids(&self) -> Vec<KeyId> {
        let ring = self.ring();
        let ring = self.refreshed(&ring).ok().flatten().unwrap_or(ring);
        ring.keys.iter().map(Key::id).collect()
    }

    /// Puts a new key in front of the others.
    ///
    /// # Errors
    /// [`Error::NoKey`] where keys are not in a file: then only the operator can.
    pub fn add_key(&self) -> Result<KeyId, Error> {
        let path = self.keys.file().ok_or(Error::NoKey)?;
        let _turn = self.making.lock().expect("no panic under this lock");
        file::add(path)?;
        self.replace(read(path)?).keys.first().map(Key::id).ok_or(Error::NoKey)
    }

    /// Where keys are configured, for messages.
    pub fn place(&self) -> String {
        match &self.keys {
            Keys::Given(_) => "secrets.keys".to_owned(),
            Keys::File(path) | Keys::Shared(path) => format!("{} (secrets.key_file)", path.display()),
        }
    }

    /// The ring to seal with: the file as it is now, made when there is none.
    fn sealing(&self) -> Result<Arc<Ring>, Error> {
        let ring = self.ring();
        let ring = self.refreshed(&ring)?.unwrap_or(ring);
        let Keys::File(path) = &self.keys else { return Ok(ring) };
        if !ring.keys.is_empty() {
            return Ok(ring);
        }
        let _turn = self.making.lock().expect("no panic under this lock");
        let ring = self.replace(read(path)?);
        if !ring.keys.is_empty() {
            return Ok(ring);
        }
        file::add(path)?;
        tracing::info!(file = %path.display(), "made a key for secrets; without it they cannot be read again");
        Ok(self.replace(read(path)?))
    }

    /// The keys of the file, when it has changed since `known` was read.
    fn refreshed(&self, known: &Ring) -> Result<Option<Arc<Ring>>, Error> {
        match self.keys.file() {
            Some(path) if file::stamp(path) != known.stamp => Ok(Some(self.replace(read(path)?))),
            Some(_) | None => Ok(None),
        }
    }

    /// Why there is nothing to seal with.
    fn nothing(&self) -> Error {
        match &self.keys {
            Keys::Given(_) => Error::NoKey,
            Keys::File(_) | Keys::Shared(_) => Error::Empty { place: self.place() },
        }
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().expect("no panic under this lock").clone()
    }

    fn replace(&self, ring: Ring) -> Arc<Ring> {
        let ring = Arc::new(ring);
        *self.ring.write().expect("no panic under this lock") = ring.clone();
        ring
    }
}

fn read(path: &Path) -> Result<Ring, Error> {
    // Looked at before it is read: a change between the two is seen the next time.
    let stamp = file::stamp(path);
    let text = file::read(path)?.unwrap_or_default();
    let place = format!("the key file {} (secrets.key_file)", path.display());
    Ok(Ring {
        keys: parse(&text, &place)?,
        stamp,
    })
}

fn parse(text: &str, place: &str) -> Result<Vec<Key>, Error> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.flat_map(|line| line.split([' ', '\t', ',']).filter(|word| !word.is_empty()));
    let key = |(at, word): (usize, &str)| {
        Key::parse(word).map_err(|reason| Error::BadKey {
            place: place.to_owned(),
            number: at + 1,
            reason,
        })
    };
    words.enumerate().map(key).collect()
}

impl Ring {
    /// The key that an iv names.
    fn named(&self, iv: &[u8], algorithm: &str) -> Option<&Key> {
        let id = KeyId::of_iv(iv)?;
        self.keys
            .iter()
            .find(|key| key.id() == id && key.algorithm() == algorithm)
    }

    fn open(&self, parts: &Parts, algorithm: &str, place: &str) -> Result<Zeroizing<String>, Error> {
        let (iv, sealed, place) = (parts.iv(), parts.sealed(), place.to_owned());
        if let Some(key) = self.named(iv, algorithm) {
            return key.open(iv, sealed).ok_or(Error::Damaged { id: key.id(), place });
        }
        // Sealed elsewhere, under an iv that names nothing.
        let fitting = self.keys.iter().filter(|key| key.algorithm() == algorithm);
        let opened = fitting.filter_map(|key| key.open(iv, sealed)).next();
        opened.ok_or_else(|| match KeyId::of_iv(iv) {
            Some(id) => Error::UnknownKey { id, place },
            None => Error::NoneFits {
                algorithm: algorithm.to_owned(),
                place,
            },
        })
    }
}

impl Parts {
    fn of(text: &str) -> Result<Parts, Error> {
        let bytes = STANDARD.decode(text).map_err(|_| Error::Unreadable)?;
        let iv = bytes.first_chunk().copied().map(u32::from_be_bytes);
        let iv = iv.and_then(|iv| usize::try_from(iv).ok()).ok_or(Error::Unreadable)?;
        if bytes.len() - 4 < iv {
            return Err(Error::Unreadable);
        }
        Ok(Parts { bytes, iv })
    }

    fn iv(&self) -> &[u8] {
        &self.bytes[4..4 + self.iv]
    }

    fn sealed(&self) -> &[u8] {
        &self.bytes[4 + self.iv..]
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({:?})", self.ring().keys)
    }
}

#[cfg(test)]
mod tests;
