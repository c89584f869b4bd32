//! Reading a journal that an earlier process left, however it ended.

use super::record::{Record, Scan, scan};
use super::segment::{self, EXTENSION, HEADER};
use super::{Restored, segment_path};
use crate::Error;
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Uncommitted messages in order, each with its segment and the bytes it takes there.
    pub(super) messages: Vec<(Restored, u64, u64)>,
    /// Segments with their sizes, oldest first.
    pub(super) segments: Vec<(u64, u64)>,
    pub(super) next_segment: u64,
    pub(super) next_seq: u64,
}

/// How often, and how far apart, the lock is tried: children that a killed process was just starting hold it for a moment.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Locks the folder for this process and reads it.
pub(super) fn open(dir: &Path) -> Result<(File, Found), Error> {
    std::fs::create_dir_all(dir).map_err(|source| Error::disk("create", dir, source))?;
    let path = dir.join("lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let lock = opened.map_err(|source| Error::disk("open", &path, source))?;
    for _ in 0..LOCK_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok((lock, read(dir)?)),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(Error::disk("lock", &path, source)),
        }
    }
    Err(Error::InUse { dir: dir.to_owned() })
}

/// Reads every segment.
fn read(dir: &Path) -> Result<Found, Error> {
    let mut found = Found {
        next_segment: 1,
        next_seq: 1,
        ..Found::default()
    };
    let mut messages: BTreeMap<u64, (Restored, u64, u64)> = BTreeMap::new();
    let mut committed = HashSet::new();
    for id in segment_ids(dir)? {
        found.next_segment = id + 1;
        let Some(records) = read_segment(dir, id)? else {
            continue;
        };
        found.segments.push((id, records.end as u64));
        for (record, range) in records.records {
            match record {
                Record::Message { seq, topic, message } => {
                    found.next_seq = found.next_seq.max(seq + 1);
                    // A later copy replaces the original, whose segment was about to be dropped.
                    messages.insert(seq, (Restored { seq, topic, message }, id, range.len() as u64));
                }
                // A number whose mark is in a file must not be given to a new message.
                Record::Commits(seqs) => {
                    found.next_seq = seqs.iter().fold(found.next_seq, |next, seq| next.max(seq + 1));
                    committed.extend(seqs);
                }
            }
        }
    }
    found.messages = messages
        .into_iter()
        .filter(|(seq, _)| !committed.contains(seq))
        .map(|(_, found)| found)
        .collect();
    Ok(found)
}

fn segment_ids(dir: &Path) -> Result<Vec<u64>, Error> {
    let failed = |source| Error::disk("list", dir, source);
    let mut ids = Vec::new();
    for file in std::fs::read_dir(dir).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            ids.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Reads one segment and cuts its torn tail. A file without a good head held nothing that was acknowledged, or is damaged
/// beyond reading; it is put aside.
fn read_segment(dir: &Path, id: u64) -> Result<Option<Scan>, Error> {
    let path = segment_path(dir, id);
    let file = Bytes::from(std::fs::read(&path).map_err(|source| Error::disk("read", &path, source))?);
    let Some(marker) = segment::marker(&file) else {
        if file.len() > HEADER {
            tracing::error!(path = %path.display(), "journal segment has no readable head; it is put aside");
            std::fs::rename(&path, path.with_extension("damaged"))
                .map_err(|source| Error::disk("put aside", &path, source))?;
        } else {
            std::fs::remove_file(&path).map_err(|source| Error::disk("remove", &path, source))?;
        }
        return Ok(None);
    };
    let scan = scan(&file, HEADER, marker);
    for range in &scan.damaged {
        tracing::error!(path = %path.display(), offset = range.start, bytes = range.len(), "journal segment is damaged");
    }
    if scan.end < file.len() {
        let bytes = file.len() - scan.end;
        tracing::warn!(path = %path.display(), offset = scan.end, bytes, "cut an unfinished write off the journal");
        let cut = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(scan.end as u64)?;
            file.sync_all()
        };
        cut().map_err(|source| Error::disk("cut", &path, source))?;
    }
    Ok(Some(scan))
}
