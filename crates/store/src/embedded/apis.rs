//! APIs and their subscriptions.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use crate::embedded::database::Database;
use crate::embedded::failure::corrupted;
use crate::embedded::{int, unsigned};
use crate::{Api, ApiStore, Error, Expected, Revision, Stored, Subscription};

pub struct Apis {
    database: Arc<Database>,
}

impl Apis {
    pub fn new(database: Arc<Database>) -> Apis {
        Apis { database }
    }
}

#[async_trait]
impl ApiStore for Apis {
    async fn apis(&self, tenant: &str) -> Result<Vec<Stored<Api>>, Error> {
        let tenant = tenant.to_owned();
        self.database.read(move |conn| list(conn, &tenant)).await
    }

    async fn put_api(&self, api: &Api, expected: Expected) -> Result<Revision, Error> {
        let api = api.clone();
        self.database
            .write(move |session| {
                let conn = &session.conn;
                expect(conn, &api.tenant, &api.base_path, &expected)?;
                let revision = advance(conn)?;
                let hosts = serde_json::to_string(&api.hosts).expect("texts serialise to JSON");
                conn.prepare_cached(
                    "INSERT OR REPLACE INTO apis (tenant, base, id, revision, hosts, doc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![api.tenant, api.base_path, api.id, int(revision), hosts, api.document])?;
                Ok(named(revision))
            })
            .await
    }

    async fn delete_api(&self, tenant: &str, base_path: &str, expected: &Revision) -> Result<(), Error> {
        let (tenant, base, expected) = (
            tenant.to_owned(),
            base_path.to_owned(),
            Expected::Revision(expected.clone()),
        );
        self.database
            .write(move |session| {
                let conn = &session.conn;
                expect(conn, &tenant, &base, &expected)?;
                let subscribed = "DELETE FROM subscriptions WHERE tenant = ?1 AND api = (SELECT id FROM apis WHERE tenant = ?1 AND base = ?2)";
                conn.execute(subscribed, [&tenant, &base])?;
                conn.execute("DELETE FROM apis WHERE tenant = ?1 AND base = ?2", [&tenant, &base])?;
                advance(conn).map(|_| ())
            })
            .await
    }

    async fn subscribe(&self, tenant: &str, api: &str, subscription: &Subscription) -> Result<(), Error> {
        let (tenant, api, subscription) = (tenant.to_owned(), api.to_owned(), subscription.clone());
        self.database
            .write(move |session| {
                let conn = &session.conn;
                let known = "SELECT 1 FROM apis WHERE tenant = ?1 AND id = ?2";
                if !conn.prepare_cached(known)?.exists([&tenant, &api])? {
                    return Err(Error::Missing(format!("API {api}")));
                }
                conn.execute(
                    "INSERT OR REPLACE INTO subscriptions (tenant, api, client, secret) VALUES (?1, ?2, ?3, ?4)",
                    params![tenant, api, subscription.client_id, subscription.secret],
                )?;
                advance(conn).map(|_| ())
            })
            .await
    }

    async fn unsubscribe(&self, tenant: &str, api: &str, client_id: &str) -> Result<bool, Error> {
        let (tenant, api, client) = (tenant.to_owned(), api.to_owned(), client_id.to_owned());
        self.database
            .write(move |session| {
                let conn = &session.conn;
                let gone = conn.execute(
                    "DELETE FROM subscriptions WHERE tenant = ?1 AND api = ?2 AND client = ?3",
                    [&tenant, &api, &client],
                )?;
                advance(conn)?;
                Ok(gone > 0)
            })
            .await
    }

    async fn subscriptions(&self, tenant: &str, api: &str) -> Result<Vec<Subscription>, Error> {
        let (tenant, api) = (tenant.to_owned(), api.to_owned());
        self.database
            .read(move |conn| {
                let mut query = conn.prepare_cached(
                    "SELECT client, secret FROM subscriptions WHERE tenant = ?1 AND api = ?2 ORDER BY client",
                )?;
                let rows = query.query_map([&tenant, &api], |row| {
                    Ok(Subscription {
                        client_id: row.get(0)?,
                        secret: row.get(1)?,
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn generation(&self) -> Result<u64, Error> {
        self.database
            .read(|conn| {
                let mut query = conn.prepare_cached("SELECT value FROM counters WHERE name = 'apis'")?;
                Ok(unsigned(query.query_row([], |row| row.get(0))?))
            })
            .await
    }
}

fn list(conn: &Connection, tenant: &str) -> Result<Vec<Stored<Api>>, Error> {
    let mut query =
        conn.prepare_cached("SELECT base, id, revision, hosts, doc FROM apis WHERE tenant = ?1 ORDER BY base")?;
    let mut rows = query.query([tenant])?;
    let mut apis = Vec::new();
    while let Some(row) = rows.next()? {
        let (base_path, hosts): (Box<str>, String) = (row.get(0)?, row.get(3)?);
        let hosts = serde_json::from_str(&hosts).map_err(|e| corrupted(&format!("API {tenant}{base_path}"), e))?;
        let value = Api {
            tenant: tenant.into(),
            base_path,
            id: row.get(1)?,
            hosts,
            document: row.get(4)?,
        };
        let revision = named(unsigned(row.get(2)?));
        apis.push(Stored { value, revision });
    }
    Ok(apis)
}

/// Fails with [`Error::Conflict`] unless the API is what a write expects.
fn expect(conn: &Connection, tenant: &str, base: &str, expected: &Expected) -> Result<(), Error> {
    let mut query = conn.prepare_cached("SELECT revision FROM apis WHERE tenant = ?1 AND base = ?2")?;
    let found: Option<i64> = query.query_row([tenant, base], |row| row.get(0)).optional()?;
    let holds = match (expected, found) {
        (Expected::Absent, None) => true,
        (Expected::Revision(expected), Some(found)) => named(unsigned(found)) == *expected,
        (Expected::Absent, Some(_)) | (Expected::Revision(_), None) => false,
    };
    match holds {
        true => Ok(()),
        false => Err(Error::Conflict(format!("the API {base}"))),
    }
}

/// Tells every process that APIs are not what they were; the new generation.
fn advance(conn: &Connection) -> Result<u64, Error> {
    let mut next = conn.prepare_cached("UPDATE counters SET value = value + 1 WHERE name = 'apis' RETURNING value")?;
    Ok(unsigned(next.query_row([], |row| row.get(0))?))
}

fn named(revision: u64) -> Revision {
    Revision(revision.to_string().into())
}
