//! Lists and counts walk an index, in its order, and touch no code.

use rusqlite::Connection;

use crate::embedded::database::Database;
use crate::embedded::{records, scope};

fn plan(conn: &Connection, sql: &str) -> String {
    let mut query = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let none: Vec<Option<i64>> = vec![None; query.parameter_count()];
    let steps = query
        .query_map(rusqlite::params_from_iter(none), |row| row.get::<_, String>(3))
        .unwrap();
    steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

#[tokio::test]
async fn every_list_is_an_index_walk() {
    let database = Database::in_memory().unwrap();
    database
        .read(|conn| {
            for sql in scope::LISTS.into_iter().chain(records::LISTS) {
                let plan = plan(conn, sql);
                assert!(plan.contains("SEARCH"), "{sql}\n{plan}");
                assert!(
                    !plan.contains("SCAN") && !plan.contains("TEMP B-TREE") && !plan.contains("code"),
                    "{sql}\n{plan}"
                );
            }
            for sql in scope::COUNTS.into_iter().chain(records::COUNTS) {
                assert!(plan(conn, sql).contains("COVERING INDEX"), "{sql}");
            }
            Ok(())
        })
        .await
        .unwrap();
}
