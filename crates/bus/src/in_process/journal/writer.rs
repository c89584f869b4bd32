//! The thread that writes the journal.

use super::recover::Found;
use super::segment::Segment;
use super::{Item, Job, Shared, record, segment_path};
use crate::in_process::entry::Entry;
use crate::metrics;
use crate::{Error, config};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Owner of the files.
pub(super) struct Writer {
    config: config::Journal,
    current: Segment,
    /// Earlier segments, oldest first.
    sealed: VecDeque<Sealed>,
    /// Uncommitted messages and where they are.
    live: HashMap<u64, Place>,
    live_bytes: u64,
    /// Live messages of the current segment.
    live_in_current: usize,
    /// Marks that are not on disk yet.
    marks: Vec<u64>,
    buffer: Vec<u8>,
    /// Keeps other processes out.
    _lock: File,
}

#[derive(Debug)]
struct Sealed {
    id: u64,
    bytes: u64,
    live: usize,
}

#[derive(Debug)]
struct Place {
    segment: u64,
    bytes: u64,
    topic: Arc<str>,
    entry: Arc<Entry>,
}

/// A buffer that grew beyond this for one large group is given back.
const KEPT_BUFFER: usize = 1 << 20;

impl Writer {
    /// A writer that goes on where the journal ended, in a segment of its own.
    pub(super) fn new(config: &config::Journal, lock: File, found: &Found) -> Result<Self, Error> {
        let sealed = found
            .segments
            .iter()
            .map(|&(id, bytes)| Sealed { id, bytes, live: 0 })
            .collect();
        let current = match Segment::create(&config.dir, found.next_segment) {
            Ok(segment) => segment,
            // What is there can be delivered, and finishing it makes room.
            Err(error @ Error::DiskFull { .. }) => {
                tracing::warn!(%error, "the journal starts without room");
                Segment::absent(&config.dir, found.next_segment)
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            current,
            config: config.clone(),
            sealed,
            live: HashMap::new(),
            live_bytes: 0,
            live_in_current: 0,
            marks: Vec::new(),
            buffer: Vec::new(),
            _lock: lock,
        })
    }

    /// Takes over a message that was found.
    pub(super) fn adopt(&mut self, seq: u64, segment: u64, bytes: u64, topic: Arc<str>, entry: Arc<Entry>) {
        self.settle(
            seq,
            Place {
                segment,
                bytes,
                topic,
                entry,
            },
        );
    }

    /// Works until the journal closes.
    pub(super) fn run(mut self, shared: &Shared) {
        let (mut jobs, mut marks) = (Vec::new(), Vec::new());
        self.compact();
        while shared.take(&mut jobs, &mut marks).is_some() {
            self.turn(&mut jobs, &mut marks);
        }
    }

    /// Writes one group.
    pub(super) fn turn(&mut self, jobs: &mut Vec<Job>, marks: &mut Vec<u64>) {
        // What was committed before its persist reached us is marked once it is written.
        let early: Vec<u64> = marks.drain(..).filter(|seq| !self.forget(*seq)).collect();
        for item in jobs.iter_mut().flat_map(|job| &mut job.items) {
            item.body = item.entry.message.encode();
        }
        let (accepted, refused) = self.fit(std::mem::take(jobs));
        let result = self.write(&accepted);
        for job in accepted {
            self.finish(job, result.clone());
        }
        for job in refused {
            let full = Error::JournalFull {
                dir: self.config.dir.clone(),
                limit: self.config.max_bytes,
            };
            self.finish(job, Err(full));
        }
        if early.into_iter().filter(|seq| self.forget(*seq)).count() > 0 {
            // The marks stay for the next turn where this fails.
            let _kept = self.write(&[]);
        }
        self.compact();
        metrics::journal_size(self.bytes(), self.live.len());
    }

    /// Splits the jobs into those that fit below the limit, in order, and the rest.
    fn fit(&self, jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
        let mut room = self.config.max_bytes.saturating_sub(self.bytes());
        jobs.into_iter().partition(|job| {
            let size: u64 = job.items.iter().map(Item::len).sum();
            let fits = size <= room;
            if fits {
                room -= size;
            }
            fits
        })
    }

    /// Puts marks and messages on disk. Marks alone do not wait for the disk: losing one is only a redelivery.
    fn write(&mut self, jobs: &[Job]) -> Result<(), Error> {
        if jobs.is_empty() && self.marks.is_empty() {
            return Ok(());
        }
        self.roll()?;
        let marker = self.current.marker;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        record::put_commits(&mut self.buffer, marker, &self.marks);
        for Item {
            entry,
            topic,
            body,
            seq,
            ..
        } in jobs.iter().flat_map(|job| &job.items)
        {
            record::put_message(&mut self.buffer, marker, *seq, topic, &entry.message.key, body);
        }
        let start = Instant::now();
        self.current
            .append(&self.buffer, !jobs.is_empty())
            .inspect_err(|error| {
                metrics::JOURNAL_FAILURES.inc();
                tracing::error!(%error, "cannot write the journal");
            })?;
        self.marks.clear();
        if !jobs.is_empty() {
            metrics::journal_write(start.elapsed(), jobs.iter().map(|job| job.items.len()).sum());
        }
        Ok(())
    }

    fn finish(&mut self, job: Job, result: Result<(), Error>) {
        for item in job.items {
            let bytes = item.len();
            let Item {
                entry,
                topic,
                reservation,
                seq,
                ..
            } = item;
            if result.is_err() {
                entry.fate().journalled = None;
                continue;
            }
            self.settle(
                seq,
                Place {
                    segment: self.current.id,
                    bytes,
                    topic,
                    entry: entry.clone(),
                },
            );
            if let Some(reservation) = reservation {
                entry.fate().journalled = Some(seq);
                reservation.fulfil(entry);
            }
        }
        // The publisher may have gone; what it asked for stands.
        let _gone = job.done.send(result);
    }

    fn settle(&mut self, seq: u64, place: Place) {
        self.count(place.segment, 1);
        self.live_bytes += place.bytes;
        if let Some(before) = self.live.insert(seq, place) {
            self.live_bytes -= before.bytes;
            self.count(before.segment, -1);
        }
    }

    /// Ends a message and keeps its mark for the next write. False for one that is not here.
    fn forget(&mut self, seq: u64) -> bool {
        let Some(place) = self.live.remove(&seq) else {
            return false;
        };
        self.live_bytes -= place.bytes;
        self.count(place.segment, -1);
        self.marks.push(seq);
        true
    }

    fn count(&mut self, segment: u64, change: isize) {
        if segment == self.current.id {
            self.live_in_current = self.live_in_current.saturating_add_signed(change);
        } else if let Ok(at) = self.sealed.binary_search_by_key(&segment, |sealed| sealed.id) {
            self.sealed[at].live = self.sealed[at].live.saturating_add_signed(change);
        }
    }

    /// Starts a new segment when the current one is long enough, or its disk has failed it.
    fn roll(&mut self) -> Result<(), Error> {
        if self.current.len < self.config.segment_bytes && !self.current.spent() {
            return Ok(());
        }
        let next = Segment::create(&self.config.dir, self.current.id + 1)?;
        let before = std::mem::replace(&mut self.current, next);
        let live = std::mem::take(&mut self.live_in_current);
        self.sealed.push_back(Sealed {
            id: before.id,
            bytes: before.len,
            live,
        });
        Ok(())
    }

    /// Drops segments without live messages from the old end on. Where that leaves too much that is dead, the messages that
    /// hold the old end are written again at the new end.
    fn compact(&mut self) {
        self.drop_dead();
        let (bytes, max) = (self.bytes(), self.config.max_bytes);
        let dead = bytes.saturating_sub(self.live_bytes);
        let crowded = (bytes > max / 2 && dead > bytes / 2) || (bytes > max / 8 * 7 && dead > max / 8);
        if crowded && !self.sealed.is_empty() {
            match self.relocate() {
                Ok(()) => self.drop_dead(),
                Err(error) => tracing::warn!(%error, "cannot compact the journal yet"),
            }
        }
    }

    fn drop_dead(&mut self) {
        while self.sealed.front().is_some_and(|oldest| oldest.live == 0) {
            let oldest = self.sealed.pop_front().expect("looked at above");
            let path = segment_path(&self.config.dir, oldest.id);
            if let Err(source) = remove(&self.config.dir, &path) {
                tracing::warn!(path = %path.display(), error = %source, "cannot remove a journal segment");
            }
        }
    }

    /// Copies the live messages of the oldest segment into the current one.
    fn relocate(&mut self) -> Result<(), Error> {
        self.roll()?;
        let Some(oldest) = self.sealed.front().map(|oldest| oldest.id) else {
            return Ok(());
        };
        let mut moved: Vec<u64> = self
            .live
            .iter()
            .filter(|(_, place)| place.segment == oldest)
            .map(|(seq, _)| *seq)
            .collect();
        moved.sort_unstable();
        self.buffer.clear();
        for seq in &moved {
            let Place { topic, entry, .. } = &self.live[seq];
            let (key, body) = (&entry.message.key, entry.message.encode());
            record::put_message(&mut self.buffer, self.current.marker, *seq, topic, key, &body);
        }
        self.current.append(&self.buffer, true)?;
        for seq in moved {
            let Place {
                bytes, topic, entry, ..
            } = &self.live[&seq];
            let place = Place {
                segment: self.current.id,
                bytes: *bytes,
                topic: topic.clone(),
                entry: entry.clone(),
            };
            self.settle(seq, place);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.current.len + self.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>()
    }
}

impl Item {
    /// What it takes on disk.
    fn len(&self) -> u64 {
        record::message_len(&self.topic, &self.entry.message.key, self.body.len())
    }
}

/// Removes a segment for good before the next one goes: were an older one to come back after a power loss, the marks for its
/// messages might not.
fn remove(dir: &Path, path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        // One that was never made for want of room.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(dir)?.sync_all(),
    }
}
