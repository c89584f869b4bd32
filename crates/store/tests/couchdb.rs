//! The store contract on a CouchDB at `FERROWHISK_TEST_COUCHDB` (`http://user:password@host:port`). `.ci/test-couchdb` starts
//! a server of the same interface; a real CouchDB 3.5 takes the same suite.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use wsk_store::contract::{RETAIN_COUNT, RETAIN_MS, durability};
use wsk_store::{ApiStore, Config, CouchConfig, Error, Stores, open, open_all};

/// Databases of one test, or none where there is no server.
fn fresh_config() -> CouchConfig {
    let given = std::env::var("FERROWHISK_TEST_COUCHDB")
        .expect("FERROWHISK_TEST_COUCHDB names no CouchDB; run .ci/test-couchdb");
    let (scheme, rest) = given.split_once("://").unwrap();
    let (credentials, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (username, password) = credentials.split_once(':').unwrap_or_default();
    use std::hash::{BuildHasher, RandomState};
    CouchConfig {
        url: format!("{scheme}://{host}"),
        username: username.to_owned(),
        password: password.to_owned(),
        prefix: format!("test_{:016x}_", RandomState::new().hash_one(0)),
        retain_ms: RETAIN_MS,
        retain_count: RETAIN_COUNT,
        ..CouchConfig::default()
    }
}

async fn fresh() -> (Stores, ()) {
    (open(&Config::Couchdb(fresh_config())).await.unwrap(), ())
}

async fn fresh_apis() -> (Arc<dyn ApiStore>, ()) {
    (open_all(&Config::Couchdb(fresh_config())).await.unwrap().1, ())
}

wsk_store::contract_suite!(fresh);
wsk_store::api_contract_suite!(fresh_apis);

#[tokio::test]
async fn what_is_written_is_there_for_the_next() {
    let config = Config::Couchdb(fresh_config());
    let written = durability::write(&open(&config).await.unwrap()).await;
    durability::find(&open(&config).await.unwrap(), &written).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = CouchConfig {
        url: format!("http://{nobody}"),
        ..CouchConfig::default()
    };
    let error = open(&Config::Couchdb(config)).await.err().unwrap();
    let text = error.to_string();
    assert!(
        matches!(error, Error::Unavailable(_)) && text.contains(&nobody.to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    let config = CouchConfig {
        url: "couch.example:5984".to_owned(),
        ..CouchConfig::default()
    };
    let text = open(&Config::Couchdb(config)).await.err().unwrap().to_string();
    assert!(
        text.contains("`store.url`: `couch.example:5984` is no address of a CouchDB"),
        "{text}"
    );
}
