//! The journal: durable messages on disk until they are committed.
//!
//! **Invariants.** One writer thread owns the files. Everything waiting for it when it comes round goes to the disk in one
//! write and one fdatasync. A sequence number is not given again while a
//! file mentions it, so replay need not care in which order a message,
//! its copy and its commit stand in the files. Segments are dropped oldest first only, so a commit mark is never gone before
//! the message that it is about. After a failed write the file ends where the last good write ended.

mod record;
mod recover;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use super::entry::Entry;
use super::queue::Reservation;
use crate::{Error, Message, config};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The running journal; dropping it writes what waits and stops the thread.
pub(crate) struct Journal {
    pub(super) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What publishers and consumers reach of the journal.
#[derive(Debug)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    work: Condvar,
    /// Bounds the jobs. Commit marks need no bound of their own: there is one per durable message in memory.
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct Inbox {
    jobs: Vec<Job>,
    marks: Vec<u64>,
    next_seq: u64,
    closed: bool,
}

/// A group of messages that become durable together. Without items it only waits for what came before it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) items: Vec<Item>,
    done: oneshot::Sender<Result<(), Error>>,
    _permit: OwnedSemaphorePermit,
}

/// One message on its way to the disk.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) entry: Arc<Entry>,
    pub(super) topic: Arc<str>,
    /// Its wire form, which the writer makes: publishers have better things to do.
    pub(super) body: Bytes,
    /// The place in the queue that it gets once durable; none when it is in the queue already.
    pub(super) reservation: Option<Reservation>,
    pub(super) seq: u64,
}

/// An uncommitted message of an earlier process.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) seq: u64,
    pub(super) topic: Arc<str>,
    pub(super) message: Message,
}

/// How long the first commit mark waits for company. A process that dies within it sees these messages again.
const MARK_DELAY: Duration = Duration::from_millis(5);

impl Journal {
    /// Reads what an earlier process left and starts the writer. `adopt` turns each message into the entry that the writer
    /// keeps for it.
    pub(super) fn open(
        config: &config::Journal,
        mut adopt: impl FnMut(Restored, &Arc<Shared>) -> Arc<Entry>,
    ) -> Result<Self, Error> {
        let (lock, found) = recover::open(&config.dir)?;
        let shared = Arc::new(Shared {
            inbox: Mutex::new(Inbox {
                jobs: Vec::new(),
                marks: Vec::new(),
                next_seq: found.next_seq,
                closed: false,
            }),
            work: Condvar::new(),
            permits: Arc::new(Semaphore::new(config.queue.clamp(1, Semaphore::MAX_PERMITS))),
        });
        let mut writer = writer::Writer::new(config, lock, &found)?;
        for (restored, segment, bytes) in found.messages {
            let (seq, topic) = (restored.seq, restored.topic.clone());
            writer.adopt(seq, segment, bytes, topic, adopt(restored, &shared));
        }
        let inbox = shared.clone();
        let thread = std::thread::Builder::new()
            .name("bus-journal".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|source| Error::disk("start the writer of", &config.dir, source))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl Shared {
    /// Makes messages durable together and, where they have a reservation, gives them to their queues. What was submitted
    /// takes effect even when this future is dropped.
    pub(super) async fn append(&self, items: Vec<Item>) -> Result<(), Error> {
        let permit = self.permit().await?;
        let done = self.lock().submit(items, permit)?;
        self.work.notify_one();
        done.await.unwrap_or(Err(Error::Closed))
    }

    /// Makes one message durable that its consumers may hold already.
    pub(super) async fn persist(&self, entry: &Arc<Entry>, topic: &Arc<str>) -> Result<(), Error> {
        loop {
            let permit = self.permit().await?;
            let (done, ours) = {
                let mut fate = entry.fate();
                if fate.committed {
                    return Ok(());
                }
                let mut inbox = self.lock();
                let (ours, seq) = (fate.journalled.is_none(), inbox.next_seq);
                let items = if ours {
                    let (entry, topic) = (entry.clone(), topic.clone());
                    vec![Item {
                        entry,
                        topic,
                        body: Bytes::new(),
                        reservation: None,
                        seq: 0,
                    }]
                } else {
                    Vec::new()
                };
                let done = inbox.submit(items, permit)?;
                if ours {
                    fate.journalled = Some(seq);
                }
                (done, ours)
            };
            self.work.notify_one();
            done.await.unwrap_or(Err(Error::Closed))?;
            if ours || entry.fate().journalled.is_some() {
                return Ok(());
            }
        }
    }

    /// Notes that a message needs no redelivery.
    pub(super) fn mark(&self, seq: u64) {
        let mut inbox = self.lock();
        if inbox.closed {
            return;
        }
        inbox.marks.push(seq);
        let first = inbox.marks.len() == 1 && inbox.jobs.is_empty();
        drop(inbox);
        if first {
            self.work.notify_one();
        }
    }

    /// Waits until everything noted so far is on disk, and ends the writer.
    pub(super) async fn close(&self) -> Result<(), Error> {
        let permit = self.permit().await?;
        let done = {
            let mut inbox = self.lock();
            let done = inbox.submit(Vec::new(), permit)?;
            inbox.closed = true;
            done
        };
        self.work.notify_one();
        self.permits.close();
        done.await.unwrap_or(Err(Error::Closed))
    }

    /// For the writer: waits for work and takes all of it. `None` when there will be none.
    fn take(&self, jobs: &mut Vec<Job>, marks: &mut Vec<u64>) -> Option<()> {
        let mut inbox = self.lock();
        loop {
            if !inbox.jobs.is_empty() || inbox.closed {
                break;
            }
            if inbox.marks.is_empty() {
                inbox = self.work.wait(inbox).expect("no panic under this lock");
            } else {
                let (guard, waited) = self
                    .work
                    .wait_timeout(inbox, MARK_DELAY)
                    .expect("no panic under this lock");
                inbox = guard;
                if waited.timed_out() {
                    break;
                }
            }
        }
        let done = inbox.closed && inbox.jobs.is_empty() && inbox.marks.is_empty();
        jobs.append(&mut inbox.jobs);
        marks.append(&mut inbox.marks);
        if done { None } else { Some(()) }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.permits.clone().acquire_owned().await.map_err(|_| Error::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("no panic under this lock")
    }
}

impl Inbox {
    /// Queues a job and numbers its messages.
    fn submit(
        &mut self,
        mut items: Vec<Item>,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        for item in &mut items {
            item.seq = self.next_seq;
            self.next_seq += 1;
        }
        let (done, receiver) = oneshot::channel();
        self.jobs.push(Job {
            items,
            done,
            _permit: permit,
        });
        Ok(receiver)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing more to write.
            let _panic = thread.join();
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

/// Where a journal's files are.
fn segment_path(dir: &std::path::Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016}.{}", segment::EXTENSION))
}
