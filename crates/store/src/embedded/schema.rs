//! What the database file looks like, and how a connection to it is set up.
//!
//! The shapes that matter for speed:
//!
//! * A record is appended to `records` by row number; its three indexes are narrow and grow at their ends, so that a batch
//!   dirties few pages. `records_name` is cut into *epochs*, stretches of start times with some thousand records each
//!   (`epochs`): else a thousand busy actions would dirty a thousand pages per batch.
//! * `head` and `body` of a record are two objects whose fields make up its document in OpenWhisk's shape. Lists read `head` alone.
//! * `tally` counts records by namespace, epoch and name, so that counts and far pages never walk the records.
//! * Code lies in its own table under its digest: lists never touch it, equal code is kept once.

use std::time::Duration;

use rusqlite::Connection;

use crate::Error;

/// `FeWS`: marks the file as ours.
const APPLICATION: i32 = 0x4665_5753;

/// Raised with every change of [`TABLES`] that an older program cannot work with.
const VERSION: i32 = 1;

/// How long a connection waits for a writer of another process, such as `wskadmin`, and how often it looks. A server
/// under load leaves the lock free for moments only, which SQLite's own growing pauses would miss.
const BUSY: Duration = Duration::from_secs(10);
const BUSY_STEP: Duration = Duration::from_millis(1);

const TABLES: &str = "
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('revision', 0), ('generation', 0);

CREATE TABLE entities (
    row INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    ns TEXT NOT NULL,
    package TEXT,
    updated INTEGER NOT NULL,
    public INTEGER NOT NULL,
    target TEXT,
    code TEXT,
    doc TEXT NOT NULL
);
CREATE INDEX entities_list ON entities (kind, ns, updated, key DESC);
CREATE INDEX entities_package ON entities (kind, ns, package, updated, key DESC) WHERE package IS NOT NULL;
CREATE INDEX entities_public ON entities (kind, ns, updated, key DESC) WHERE public = 1;
CREATE INDEX entities_target ON entities (target) WHERE target IS NOT NULL;
CREATE INDEX entities_code ON entities (code) WHERE code IS NOT NULL;
CREATE TABLE code (digest TEXT PRIMARY KEY, text TEXT NOT NULL);

CREATE TABLE subjects (subject TEXT PRIMARY KEY, blocked INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (
    subject TEXT NOT NULL,
    place INTEGER NOT NULL,
    ns TEXT NOT NULL,
    uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (subject, place)
) WITHOUT ROWID;
CREATE INDEX keys_uuid ON keys (uuid);
CREATE INDEX keys_ns ON keys (ns);
CREATE TABLE limits (ns TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL);
CREATE TABLE epochs (id INTEGER PRIMARY KEY, start INTEGER NOT NULL, top INTEGER NOT NULL, n INTEGER NOT NULL);
CREATE TABLE records (
    row INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    ns INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    name INTEGER NOT NULL,
    start INTEGER NOT NULL,
    status INTEGER NOT NULL,
    head TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX records_list ON records (ns, start, id DESC);
CREATE INDEX records_name ON records (ns, epoch, name, start, id DESC);
CREATE TABLE tally (
    ns INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    name INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (ns, epoch, name)
) WITHOUT ROWID;
";

/// What came after the first files were written and an older program does not mind; made wherever it is missing.
const LATER: &str = "
CREATE TABLE IF NOT EXISTS apis (
    tenant TEXT NOT NULL,
    base TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    hosts TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (tenant, base)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subscriptions (
    tenant TEXT NOT NULL,
    api TEXT NOT NULL,
    client TEXT NOT NULL,
    secret TEXT,
    PRIMARY KEY (tenant, api, client)
) WITHOUT ROWID;
INSERT OR IGNORE INTO counters VALUES ('apis', 0);
";

/// What a connection is for; decides how much it may cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Writer,
    Reader,
}

/// Settings of one connection. They are not stored in the file, so every connection needs them.
pub fn prepare(conn: &mut Connection, role: Role) -> Result<(), Error> {
    conn.busy_handler(Some(|tries: i32| {
        std::thread::park_timeout(BUSY_STEP);
        BUSY_STEP.saturating_mul(tries.unsigned_abs()) < BUSY
    }))?;
    // Kibibytes, hence negative. A batch of records must fit the writer's or its pages reach the log twice.
    let cache = match role {
        Role::Writer => -2048,
        Role::Reader => -512,
    };
    conn.pragma_update(None, "cache_size", cache)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.set_prepared_statement_cache_capacity(64);
    match role {
        Role::Writer => {
            // FULL: each commit syncs the log before it returns, which is what makes `Ok` durable.
            conn.pragma_update(None, "synchronous", "FULL")?;
            conn.pragma_update(None, "wal_autocheckpoint", 2000)?;
            // The log shrinks again after a burst.
            conn.pragma_update(None, "journal_size_limit", 16 << 20)?;
        }
        Role::Reader => conn.pragma_update(None, "query_only", true)?,
    }
    Ok(())
}

/// Refuses a file that is not ours or newer than this program; an empty one is fine.
pub fn ensure_ours(conn: &Connection) -> Result<(), Error> {
    is_current(conn).map(|_| ())
}

/// Makes the tables in an empty file.
pub fn ensure(conn: &mut Connection) -> Result<(), Error> {
    if is_current(conn)? && has_later(conn)? {
        return Ok(());
    }
    // Another process may be doing the same: look again under the lock.
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if !is_current(&tx)? {
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", VERSION)?;
    }
    tx.execute_batch(LATER)?;
    Ok(tx.commit()?)
}

/// Whether [`LATER`] has been made; its last statement stands for all.
fn has_later(conn: &Connection) -> Result<bool, Error> {
    let mut query = conn.prepare("SELECT 1 FROM counters WHERE name = 'apis'")?;
    Ok(query.exists([])?)
}

/// Whether the file has our tables; false when it is empty. Errors: [`Error::Unusable`].
fn is_current(conn: &Connection) -> Result<bool, Error> {
    let number = |pragma: &str| conn.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(false),
        (APPLICATION, VERSION) => Ok(true),
        (APPLICATION, newer) if newer > VERSION => Err(Error::Unusable(format!(
            "the database has version {newer}, this program knows {VERSION}: use the program that wrote it, or a newer one"
        ))),
        (APPLICATION, older) => Err(Error::Unusable(format!(
            "the database has version {older}, which this program cannot read"
        ))),
        _ => Err(Error::Unusable(
            "this is a database of another program: name another file".to_owned(),
        )),
    }
}
