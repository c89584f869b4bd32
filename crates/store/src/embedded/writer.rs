//! The one writer: everything that waits goes into one transaction with one sync of the disk.

use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::embedded::{names::Names, tally::Tally};
use crate::metrics;

/// Most writes in one transaction, so that the first of them does not wait for long.
const MAX_GROUP: usize = 256;

/// The writing connection and what it remembers between writes.
pub struct Session {
    pub conn: Connection,
    pub names: Names,
    pub tally: Tally,
    /// `PRAGMA data_version`: changes when another connection wrote, which makes what we remember stale.
    seen: i64,
}

/// A write on its way: applied inside a transaction, settled after the commit.
pub trait Write: Send {
    /// Runs it; the error it will answer, if it failed.
    fn apply(&mut self, session: &mut Session) -> Option<Error>;

    /// Answers the caller, once it is known whether the transaction lasted.
    fn settle(self: Box<Self>, commit: &Result<(), Error>);
}

/// A closure as [`Write`], with where its result goes.
pub struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Task<T, F> {
    pub fn new(work: F) -> (Task<T, F>, oneshot::Receiver<Result<T, Error>>) {
        let (reply, receiver) = oneshot::channel();
        (
            Task {
                work: Some(work),
                result: None,
                reply,
            },
            receiver,
        )
    }
}

impl<T, F> Write for Task<T, F>
where
    T: Send,
    F: FnOnce(&mut Session) -> Result<T, Error> + Send,
{
    fn apply(&mut self, session: &mut Session) -> Option<Error> {
        let work = self.work.take()?;
        let result = session.isolated(work);
        let error = result.as_ref().err().cloned();
        self.result = Some(result);
        error
    }

    fn settle(self: Box<Self>, commit: &Result<(), Error>) {
        let result = match (self.result, commit) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(_)) | None, Err(error)) => Err(error.clone()),
            (None, Ok(())) => Err(Error::Unavailable("the write was not run".to_owned())),
        };
        // A caller that went away does not undo its write.
        let _ = self.reply.send(result);
    }
}

impl Session {
    pub fn new(conn: Connection) -> Session {
        Session {
            conn,
            names: Names::default(),
            tally: Tally::default(),
            seen: 0,
        }
    }

    /// Runs one piece of work in a transaction of its own.
    pub fn alone<T>(&mut self, work: impl FnOnce(&mut Session) -> Result<T, Error>) -> Result<T, Error> {
        self.begin()?;
        let result = work(self);
        match result {
            Ok(value) => self.commit().map(|()| value),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Runs a group of writes, in one transaction unless it is lost midway, and answers each.
    pub fn group(&mut self, writes: &mut Vec<Box<dyn Write>>) {
        let mut waiting = std::mem::take(writes).into_iter();
        while waiting.len() > 0 {
            let started = Instant::now();
            if let Err(error) = self.begin() {
                let failed = Err(error);
                waiting.by_ref().for_each(|write| write.settle(&failed));
                return;
            }
            let mut applied = Vec::with_capacity(waiting.len());
            let outcome = match self.apply(&mut waiting, &mut applied) {
                Ok(()) => self.commit(),
                Err(lost) => {
                    self.forget();
                    Err(lost)
                }
            };
            if outcome.is_ok() {
                metrics::COMMIT_SECONDS.observe(started.elapsed().as_secs_f64());
                metrics::WRITES.inc_by(applied.len() as u64);
            }
            applied.into_iter().for_each(|write| write.settle(&outcome));
        }
    }

    /// Applies writes one after the other. Errors: the transaction is lost, and all that was applied in it.
    fn apply(
        &mut self,
        waiting: &mut impl Iterator<Item = Box<dyn Write>>,
        applied: &mut Vec<Box<dyn Write>>,
    ) -> Result<(), Error> {
        for mut write in waiting {
            let error = write.apply(self);
            applied.push(write);
            // SQLite gives the whole transaction up on some failures, such as a full disk.
            if self.conn.is_autocommit() {
                return Err(error.unwrap_or_else(|| Error::Unavailable("the transaction was given up".to_owned())));
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let version = self
            .conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if self.seen != version {
            self.seen = version;
            self.forget();
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        let committed = self
            .tally
            .flush(&self.conn)
            .and_then(|()| Ok(self.conn.prepare_cached("COMMIT")?.execute([]).map(|_| ())?));
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    fn roll_back(&mut self) {
        if !self.conn.is_autocommit() {
            let rolled = self.conn.execute_batch("ROLLBACK");
            if let Err(error) = rolled {
                tracing::error!(%error, "a transaction could not be rolled back");
            }
        }
        self.forget();
    }

    /// Runs work so that its failure takes back only its own changes.
    fn isolated<T>(&mut self, work: impl FnOnce(&mut Session) -> Result<T, Error>) -> Result<T, Error> {
        self.conn.prepare_cached("SAVEPOINT work")?.execute([])?;
        self.tally.start_work();
        let result = work(self);
        if result.is_err() && !self.conn.is_autocommit() {
            self.conn.prepare_cached("ROLLBACK TO work")?.execute([])?;
            // Names that the work had made are gone; counts of earlier work of the group still stand.
            self.names.forget();
            self.tally.undo_work();
        }
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("RELEASE work")?.execute([])?;
        }
        result
    }

    fn forget(&mut self) {
        self.names.forget();
        self.tally.forget();
    }
}

/// Body of the writer thread: ends when every handle is gone and the queue is empty.
pub fn run(mut session: Session, mut queue: mpsc::Receiver<Box<dyn Write>>) {
    let mut group = Vec::new();
    while queue.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        session.group(&mut group);
    }
}
