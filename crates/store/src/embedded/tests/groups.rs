//! Writes that share a transaction, and do not share their failures.

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::Error;
use crate::contract::samples::*;
use crate::embedded::schema::{self, Role};
use crate::embedded::writer::{Session, Task, Write};
use crate::embedded::{epochs, records};

struct Group {
    session: Session,
    writes: Vec<Box<dyn Write>>,
}

type Reply = oneshot::Receiver<Result<u64, Error>>;

impl Group {
    fn new() -> Group {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::prepare(&mut conn, Role::Writer).unwrap();
        schema::ensure(&mut conn).unwrap();
        Group {
            session: Session::new(conn),
            writes: Vec::new(),
        }
    }

    fn add(&mut self, work: impl FnOnce(&mut Session) -> Result<u64, Error> + Send + 'static) -> Reply {
        let (task, reply) = Task::new(work);
        self.writes.push(Box::new(task));
        reply
    }

    fn add_record(&mut self, id: u128) -> Reply {
        let records = arcs([record(id, "guest/a", id as u64)]);
        self.add(move |session| records::insert(session, &records))
    }

    fn run(&mut self) {
        self.session.group(&mut self.writes);
        assert!(self.session.conn.is_autocommit(), "no transaction stays open");
    }

    fn number(&self, sql: &str) -> i64 {
        self.session.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn outcome(mut reply: Reply) -> Result<u64, Error> {
    reply.try_recv().expect("every write is answered")
}

#[test]
fn a_failure_takes_back_its_own_changes_only() {
    let mut group = Group::new();
    let before = group.add_record(1);
    let failing = group.add(|session| {
        records::insert(session, &arcs([record(2, "new-namespace/new-action", 2)]))?;
        Err(Error::Conflict("it".into()))
    });
    let after = group.add_record(3);
    group.run();
    assert!(matches!((outcome(before), outcome(after)), (Ok(1), Ok(1))));
    assert!(matches!(outcome(failing), Err(Error::Conflict(_))));
    assert_eq!(
        group.number("SELECT sum(id = x'00000000000000000000000000000002') FROM records"),
        0
    );
    assert_eq!(group.number("SELECT count(*) FROM names WHERE text LIKE '%new%'"), 0);
    // What the failed work had interned must not be remembered either.
    let again = group.add(|session| records::insert(session, &arcs([record(2, "new-namespace/new-action", 2)])));
    group.run();
    assert!(matches!(outcome(again), Ok(1)));
    assert_eq!(
        group.number("SELECT count(*) FROM records r JOIN names n ON n.id = r.name WHERE n.text = 'new-action'"),
        1
    );
}

#[test]
fn counts_are_those_of_what_was_committed() {
    let mut group = Group::new();
    for round in 0..5 {
        for n in 0..epochs::FULL as u128 {
            drop(group.add_record(round * 1_000 + n));
            drop(group.add(|session| {
                records::insert(session, &arcs([record(u128::MAX, "other/b", 7)]))?;
                Err(Error::Conflict("it".into()))
            }));
        }
        group.run();
    }
    let all = 5 * epochs::FULL;
    assert_eq!(group.number("SELECT count(*) FROM records"), all);
    assert_eq!(group.number("SELECT sum(n) FROM tally"), all);
    assert_eq!(group.number("SELECT sum(n) FROM epochs"), all);
    let outside =
        "SELECT count(*) FROM records r JOIN epochs e ON e.id = r.epoch WHERE r.start > e.top OR r.start < e.start";
    assert_eq!(group.number(outside), 0);
}

#[test]
fn a_lost_transaction_fails_all_that_was_in_it_and_nothing_after() {
    let mut group = Group::new();
    let before = group.add_record(1);
    let losing = group.add(|session| {
        session.conn.execute_batch("ROLLBACK").unwrap();
        Err(Error::Full { path: String::new() })
    });
    let after = group.add_record(3);
    group.run();
    assert!(
        matches!(outcome(before), Err(Error::Full { .. })),
        "it was not committed, and says why"
    );
    assert!(matches!(outcome(losing), Err(Error::Full { .. })));
    assert!(matches!(outcome(after), Ok(1)));
    assert_eq!(group.number("SELECT count(*) FROM records"), 1);
    assert_eq!(group.number("SELECT sum(n) FROM tally"), 1);
    // And the one before can be tried again.
    let again = group.add_record(1);
    group.run();
    assert!(matches!(outcome(again), Ok(1)));
}
