//! One file of the journal.

use super::segment_path;
use crate::Error;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u64,
    pub(super) marker: u64,
    /// Bytes that are good.
    pub(super) len: u64,
    path: PathBuf,
    /// None when the disk had no room for the file.
    file: Option<File>,
    /// A write failed; what follows `len` has yet to be cut.
    torn: bool,
    /// The disk failed to sync: what it says about this file later is not to be relied on.
    suspect: bool,
    #[cfg(test)]
    pub(super) disk: super::tests::Disk,
}

pub(super) const EXTENSION: &str = "journal";
/// Bytes of the head.
pub(super) const HEADER: usize = 20;
const MAGIC: [u8; 8] = *b"FWBUS\0\0\x01";

/// The head of a segment: magic, marker, checksum.
fn head(marker: u64) -> [u8; HEADER] {
    let mut head = [0; HEADER];
    head[..8].copy_from_slice(&MAGIC);
    head[8..16].copy_from_slice(&marker.to_le_bytes());
    let crc = crc32fast::hash(&head[..16]);
    head[16..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// The marker of a file's records, if it begins with a head.
pub(super) fn marker(file: &[u8]) -> Option<u64> {
    let found = file.get(..HEADER)?;
    let marker = u64::from_le_bytes(found[8..16].try_into().expect("eight bytes"));
    (found == head(marker)).then_some(marker)
}

impl Segment {
    /// Makes an empty segment that is durably there.
    pub(super) fn create(dir: &Path, id: u64) -> Result<Self, Error> {
        let mut segment = Self::absent(dir, id);
        let create = || {
            #[cfg(test)]
            segment.disk.write(HEADER).map_err(|(_, error)| error)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&segment.path)?;
            file.write_all(&head(segment.marker))?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
            Ok(file)
        };
        match create() {
            Ok(file) => {
                segment.file = Some(file);
                segment.len = HEADER as u64;
                segment.suspect = false;
                Ok(segment)
            }
            Err(source) => {
                // Half a head would be an oddity to report at the next start.
                let _absent = std::fs::remove_file(&segment.path);
                Err(Error::disk("create", &segment.path, source))
            }
        }
    }

    /// A segment in name only, for a start on a full disk: the first write makes a real one.
    pub(super) fn absent(dir: &Path, id: u64) -> Self {
        Self {
            id,
            marker: RandomState::new().build_hasher().finish(),
            len: 0,
            path: segment_path(dir, id),
            file: None,
            torn: false,
            suspect: true,
            #[cfg(test)]
            disk: super::tests::Disk::of(dir),
        }
    }

    /// Appends and, if `sync`, waits for the disk. After an error nothing of `bytes` is part of the segment.
    pub(super) fn append(&mut self, bytes: &[u8], sync: bool) -> Result<(), Error> {
        self.mend()?;
        let result = self.write(bytes).map_err(|source| ("write", source)).and_then(|()| {
            if !sync {
                return Ok(());
            }
            self.sync()
                .inspect_err(|_| self.suspect = true)
                .map_err(|source| ("sync", source))
        });
        if let Err((operation, source)) = result {
            self.torn = true;
            // Where this fails too, the next append tries again.
            let _still_torn = self.mend();
            return Err(Error::disk(operation, &self.path, source));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Whether this file should get no more records.
    pub(super) fn spent(&self) -> bool {
        self.suspect
    }

    fn mend(&mut self) -> Result<(), Error> {
        if self.torn {
            let cut = |mut file: &File| {
                file.set_len(self.len)?;
                file.seek(SeekFrom::Start(self.len))
            };
            self.file()
                .and_then(cut)
                .map_err(|source| Error::disk("cut a failed write off", &self.path, source))?;
            self.torn = false;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = self.file()?;
        #[cfg(test)]
        if let Err((fits, error)) = self.disk.write(bytes.len()) {
            file.write_all(&bytes[..fits])?;
            return Err(error);
        }
        file.write_all(bytes)
    }

    fn sync(&self) -> std::io::Result<()> {
        #[cfg(test)]
        self.disk.sync()?;
        self.file()?.sync_data()
    }

    fn file(&self) -> std::io::Result<&File> {
        self.file.as_ref().ok_or_else(|| std::io::ErrorKind::StorageFull.into())
    }
}
