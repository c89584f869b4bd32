//! Connections and the threads they live on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::Error;
use crate::embedded::failure::located;
use crate::embedded::schema::{self, Role};
use crate::embedded::writer::{self, Session, Task, Write};
use crate::metrics;

/// Most writes that wait for the writer; more callers wait their turn outside the queue.
const QUEUE: usize = 1024;

/// Most reads at the same time. Each keeps a connection with its cache.
const READERS: usize = 2;

/// A database, in memory or on file.
pub enum Database {
    /// Every call runs on its caller.
    Memory(Box<Mutex<Session>>),
    File(File),
}

/// A database file with its writer thread and its reading connections.
pub struct File {
    path: Arc<Path>,
    queue: Option<mpsc::Sender<Box<dyn Write>>>,
    thread: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
}

/// Reading connections: opened when first needed, kept for the next.
struct Readers {
    path: Arc<Path>,
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Database {
    pub fn in_memory() -> Result<Database, Error> {
        let mut conn = Connection::open_in_memory()?;
        schema::prepare(&mut conn, Role::Writer)?;
        schema::ensure(&mut conn)?;
        Ok(Database::Memory(Box::new(Mutex::new(Session::new(conn)))))
    }

    /// Opens or makes a file. Blocks on the disk. Errors name the file.
    pub fn on_file(path: &Path) -> Result<Database, Error> {
        let conn = open_writer(path).map_err(|e| located(e, path))?;
        let path: Arc<Path> = path.into();
        let (queue, receiver) = mpsc::channel(QUEUE);
        let session = Session::new(conn);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .stack_size(512 << 10)
            .spawn(move || writer::run(session, receiver))
            .map_err(|e| Error::Unavailable(format!("no thread for the writer: {e}")))?;
        let readers = Readers {
            path: path.clone(),
            turns: Semaphore::new(READERS),
            idle: Mutex::new(Vec::new()),
        };
        Ok(Database::File(File {
            path,
            queue: Some(queue),
            thread: Some(thread),
            readers: Arc::new(readers),
        }))
    }

    /// Runs `work` in a transaction; `Ok` means it is durable. `work` may share its transaction with others.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Result<T, Error> + Send + 'static,
    {
        match self {
            Database::Memory(session) => session.lock().unwrap_or_else(PoisonError::into_inner).alone(work),
            Database::File(file) => file.write(work).await.map_err(|e| file.failed(e)),
        }
    }

    /// Runs `work` on one snapshot of the data.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        match self {
            Database::Memory(session) => {
                let session = session.lock().unwrap_or_else(PoisonError::into_inner);
                work(&session.conn)
            }
            Database::File(file) => file.read(work).await.map_err(|e| file.failed(e)),
        }
    }

    /// Runs `work`, which costs time but touches no data, where it holds nobody up.
    pub async fn compute<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Error> + Send + 'static,
    {
        match self {
            Database::Memory(_) => work(),
            Database::File(_) => blocking(work).await,
        }
    }
}

impl File {
    /// Counts a failure and names the file in it.
    fn failed(&self, error: Error) -> Error {
        metrics::failed(&error);
        located(error, &self.path)
    }

    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Result<T, Error> + Send + 'static,
    {
        let gone = || Error::Unavailable("the writer has stopped: restart the program".to_owned());
        let (task, reply) = Task::new(work);
        let queue = self.queue.as_ref().expect("the queue is there until drop");
        queue.send(Box::new(task)).await.map_err(|_| gone())?;
        reply.await.map_err(|_| gone())?
    }

    async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let readers = self.readers.clone();
        let _turn = self
            .readers
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        blocking(move || {
            let conn = readers.take()?;
            // One snapshot for all statements of the work.
            let snapshot = Transaction::new_unchecked(&conn, TransactionBehavior::Deferred)?;
            let result = work(&snapshot);
            snapshot.finish()?;
            readers.give(conn);
            result
        })
        .await
    }
}

impl Drop for File {
    /// Waits until what was queued is written and the file is closed, so that whoever opens it next finds it at rest.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(conn) => Ok(conn),
            None => {
                let mut conn = Connection::open_with_flags(&self.path, flags())?;
                schema::prepare(&mut conn, Role::Reader)?;
                Ok(conn)
            }
        }
    }

    fn give(&self, conn: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
    }
}

fn open_writer(path: &Path) -> Result<Connection, Error> {
    let mut conn = Connection::open_with_flags(path, flags() | OpenFlags::SQLITE_OPEN_CREATE)?;
    schema::prepare(&mut conn, Role::Writer)?;
    // Looked at before the journal mode is changed: a foreign file stays as it is.
    schema::ensure_ours(&conn)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    schema::ensure(&mut conn)?;
    restrict(path)?;
    Ok(conn)
}

/// Keys and code are in there: nobody but the owner reads it.
fn restrict(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let suffixed = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for file in [path.to_owned(), suffixed("-wal"), suffixed("-shm")] {
        match std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Unavailable(format!(
                    "its access cannot be limited to its owner: {error}"
                )));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let given_up = |why: &dyn std::fmt::Display| Error::Unavailable(format!("a read was given up: {why}"));
    let (done, result) = oneshot::channel();
    // Boxed, so that tokio's part is compiled for one type. Whoever asked may be gone.
    let work: Box<dyn FnOnce() + Send> = Box::new(move || drop(done.send(work())));
    tokio::task::spawn_blocking(work).await.map_err(|e| given_up(&e))?;
    result.await.map_err(|e| given_up(&e))?
}
