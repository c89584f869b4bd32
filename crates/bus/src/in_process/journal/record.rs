//! Records, and finding them again in a file that a crash may have cut or a disk may have damaged.
//!
//! A record is `marker u64, length u32, crc32 u32, content`, little-endian; the checksum covers marker, length and content.
//! The marker is random per file: behind a damaged stretch reading goes on at the next marker, and a message whose sender put
//! a forged record inside it is never mistaken for one.

use crate::{Body, Key, Message};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// What a record says.
#[derive(Debug)]
pub(super) enum Record {
    /// A message, to be delivered until committed.
    Message {
        seq: u64,
        topic: Arc<str>,
        message: Message,
    },
    /// Messages that need no delivery.
    Commits(Vec<u64>),
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Records, and where they stand.
    pub(super) records: Vec<(Record, Range<usize>)>,
    /// Where the last record ends; what follows was torn off by a crash.
    pub(super) end: usize,
    /// Stretches between records that are none: damage, not a crash.
    pub(super) damaged: Vec<Range<usize>>,
}

const MESSAGE: u8 = 1;
const COMMITS: u8 = 2;
const KEY_NONE: u8 = 0;
const KEY_ID: u8 = 1;
const KEY_TEXT: u8 = 2;
/// Bytes before the content.
const PREFIX: usize = 16;
/// Marks per record, to keep one damaged record from forgetting many.
const MARKS: usize = 1024;

/// Appends a message record.
pub(super) fn put_message(out: &mut Vec<u8>, marker: u64, seq: u64, topic: &str, key: &Key, body: &[u8]) {
    put(out, marker, |out| {
        out.push(MESSAGE);
        out.extend_from_slice(&seq.to_le_bytes());
        put_text(out, topic);
        match key {
            Key::None => out.push(KEY_NONE),
            Key::Id(id) => {
                out.push(KEY_ID);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Key::Text(text) => {
                out.push(KEY_TEXT);
                put_text(out, text);
            }
        }
        out.extend_from_slice(body);
    })
}

/// The length of a message record.
pub(super) fn message_len(topic: &str, key: &Key, body: usize) -> u64 {
    let key = match key {
        Key::None => 0,
        Key::Id(_) => 16,
        Key::Text(text) => 2 + text.len(),
    };
    (PREFIX + 1 + 8 + 2 + topic.len() + 1 + key + body) as u64
}

/// Appends records of commit marks.
pub(super) fn put_commits(out: &mut Vec<u8>, marker: u64, seqs: &[u64]) {
    for seqs in seqs.chunks(MARKS) {
        put(out, marker, |out| {
            out.push(COMMITS);
            seqs.iter().for_each(|seq| out.extend_from_slice(&seq.to_le_bytes()));
        });
    }
}

fn put(out: &mut Vec<u8>, marker: u64, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&marker.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    content(out);
    let length = u32::try_from(out.len() - start - PREFIX).expect("topics bound their messages far below 4 GiB");
    out[start + 8..start + 12].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&out[start..start + 12], &out[start + PREFIX..]);
    out[start + 12..start + PREFIX].copy_from_slice(&crc.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("topic and key names are short");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn checksum(prefix: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(prefix);
    hasher.update(content);
    hasher.finalize()
}

/// Reads every record of `file` from `start` on.
pub(super) fn scan(file: &Bytes, start: usize, marker: u64) -> Scan {
    let mut found = Scan {
        end: start,
        ..Scan::default()
    };
    let mut at = start;
    while at < file.len() {
        if let Some((record, length)) = read(file, at, marker) {
            if found.end < at {
                found.damaged.push(found.end..at);
            }
            found.records.push((record, at..at + length));
            at += length;
            found.end = at;
        } else {
            let mark = marker.to_le_bytes();
            let next = file[at + 1..].windows(mark.len()).position(|window| window == mark);
            at = next.map_or(file.len(), |distance| at + 1 + distance);
        }
    }
    found
}

fn read(file: &Bytes, at: usize, marker: u64) -> Option<(Record, usize)> {
    let prefix = file.get(at..at + PREFIX)?;
    let number = |range: Range<usize>| u32::from_le_bytes(prefix[range].try_into().expect("four bytes"));
    if prefix[..8] != marker.to_le_bytes() {
        return None;
    }
    let (start, length) = (at + PREFIX, number(8..12) as usize);
    let content = file.get(start..start.checked_add(length)?)?;
    if checksum(&prefix[..12], content) != number(12..16) {
        return None;
    }
    let record = Reader {
        content: file.slice(start..start + length),
    }
    .record()?;
    Some((record, PREFIX + length))
}

/// Takes fields off the front of a record's content.
struct Reader {
    content: Bytes,
}

impl Reader {
    fn record(mut self) -> Option<Record> {
        match self.take(1)?[0] {
            MESSAGE => {
                let seq = self.u64()?;
                let topic = self.text()?.into();
                let key = match self.take(1)?[0] {
                    KEY_NONE => Key::None,
                    KEY_ID => Key::Id(u128::from_le_bytes(self.take(16)?[..].try_into().ok()?)),
                    KEY_TEXT => Key::Text(self.text()?),
                    _ => return None,
                };
                // The file's buffer is freed when its last message is.
                let body = Body::Bytes(Bytes::copy_from_slice(&self.content));
                Some(Record::Message {
                    seq,
                    topic,
                    message: Message { key, body, seen: true },
                })
            }
            COMMITS => {
                let mut seqs = Vec::with_capacity(self.content.len() / 8);
                while !self.content.is_empty() {
                    seqs.push(self.u64()?);
                }
                Some(Record::Commits(seqs))
            }
            _ => None,
        }
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.content.len()).then(|| self.content.split_to(length))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?[..].try_into().ok()?))
    }

    fn text(&mut self) -> Option<Box<str>> {
        let length = u16::from_le_bytes(self.take(2)?[..].try_into().ok()?);
        let bytes = self.take(length.into())?;
        std::str::from_utf8(&bytes).ok().map(Into::into)
    }
}
