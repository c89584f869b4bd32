//! What a bulk write of records that fails is taken for: what may pass is offered again, what a document is refused for is not.
//! A stub answers as CouchDB does; one test asks the server at `FERROWHISK_TEST_COUCHDB`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wsk_entities::{Activation, ActivationId, Json, Namespace, StatusCode};
use wsk_store::contract::samples::{arcs, record};
use wsk_store::{ActivationStore, Config, CouchConfig, Error, Stores, open, stand_in};

/// What is answered to a bulk write.
#[derive(Clone, Copy)]
enum Bulk {
    Says(&'static str, &'static str),
    Hangs,
    /// Takes them after a while, unless the name of an action tells it not to, and counts them.
    Slow(&'static Counts),
}

/// Bulk writes that a stub was asked for.
struct Counts {
    under_way: AtomicUsize,
    most: AtomicUsize,
    /// By how many documents each had.
    sizes: Mutex<Vec<usize>>,
}

impl Counts {
    const fn new() -> Counts {
        Counts {
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            sizes: Mutex::new(Vec::new()),
        }
    }

    /// What is answered to a bulk write, in time.
    async fn answer(&self, request: &str) -> (&'static str, String) {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let documents = body["docs"].as_array().unwrap();
        self.sizes.lock().unwrap().push(documents.len());
        self.most
            .fetch_max(self.under_way.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        if documents.iter().any(|document| document["name"] == "monstrous") {
            return ("413 Request Entity Too Large", String::new());
        }
        let fate = |document: &serde_json::Value| {
            let error = match document["name"].as_str() {
                Some("forbidden") => "forbidden",
                Some("failing") => "internal_server_error",
                Some(_) | None => return serde_json::json!({ "id": document["_id"], "rev": "1-a", "ok": true }),
            };
            serde_json::json!({ "id": document["_id"], "error": error, "reason": "x" })
        };
        let fates: Vec<_> = documents.iter().rev().map(fate).collect();
        let failing = fates.iter().any(|fate| fate["error"] == "internal_server_error");
        let status = if failing {
            "500 Internal Server Error"
        } else {
            "201 Created"
        };
        (status, serde_json::to_string(&fates).unwrap())
    }

    /// How many documents each request had.
    fn sizes(&self) -> Vec<usize> {
        self.sizes.lock().unwrap().clone()
    }
}

/// Has every database and document that is asked for, and does this with bulk writes.
async fn stub(bulk: Bulk) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (incoming, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(incoming, bulk));
        }
    });
    address
}

async fn serve(mut incoming: TcpStream, bulk: Bulk) {
    let request = request(&mut incoming).await;
    let (status, body) = match (request.starts_with("POST "), bulk) {
        (false, _) => ("200 OK", r#"{"couchdb":"Welcome","ferrowhiskFormat":1}"#.to_owned()),
        (true, Bulk::Says(status, body)) => (status, whole(body)),
        (true, Bulk::Hangs) => std::future::pending().await,
        (true, Bulk::Slow(counts)) => counts.answer(&request).await,
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let _written = incoming.write_all(answer.as_bytes()).await;
}

/// With ids of full length.
fn whole(text: &str) -> String {
    text.replace("guest/", &format!("guest/{:031}", 0))
}

/// A request, to the end of its body: a connection that is closed before that is reset.
async fn request(incoming: &mut TcpStream) -> String {
    let (mut request, mut part) = (String::new(), [0; 4096]);
    loop {
        let length = request
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let complete = request
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.len() >= length.unwrap_or(0));
        if complete {
            return request;
        }
        let read = incoming.read(&mut part).await.unwrap();
        assert!(read > 0, "the client went away: {request}");
        request.push_str(&String::from_utf8_lossy(&part[..read]));
    }
}

async fn stores(bulk: Bulk) -> Stores {
    stores_by(CouchConfig::default().batch, bulk).await
}

/// With so many records in a request.
async fn stores_by(batch: usize, bulk: Bulk) -> Stores {
    let config = CouchConfig {
        url: format!("http://{}", stub(bulk).await),
        timeout_s: 1,
        batch,
        ..CouchConfig::default()
    };
    open(&Config::Couchdb(config)).await.unwrap()
}

/// How storing two records fails.
async fn failure(bulk: Bulk) -> Error {
    let two = arcs([record(1, "guest/a", 1000), record(2, "guest/a", 2000)]);
    stores(bulk).await.activations.store(two).await.unwrap_err()
}

#[tokio::test]
async fn a_document_that_is_refused_for_good_is_told_from_one_that_may_pass() {
    for (fate, retryable) in [
        (r#""error":"forbidden","reason":"too much of it""#, false),
        (r#""error":"document_too_large","reason":"too much of it""#, false),
        (r#""error":"bad_request","reason":"too much of it""#, false),
        (r#""error":"doc_validation","reason":"too much of it""#, false),
        (r#""error":"internal_server_error","reason":"too much of it""#, true),
        (r#""error":"timeout","reason":"too much of it""#, true),
        (r#""error":"unauthorized","reason":"too much of it""#, true),
        (r#""error":"of a later CouchDB","reason":"too much of it""#, true),
    ] {
        let fates: &'static str =
            format!(r#"[{{"ok":true,"id":"guest/1","rev":"1-a"}},{{"id":"guest/2",{fate}}}]"#).leak();
        let error = failure(Bulk::Says("201 Created", fates)).await;
        assert_eq!(error.retryable(), retryable, "{fate}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(&whole("guest/2")) && text.contains("too much of it"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_record_that_is_there_is_no_failure() {
    let fates = r#"[{"ok":true,"id":"guest/1","rev":"1-a"},{"id":"guest/2","error":"conflict","reason":"x"}]"#;
    let two = arcs([record(1, "guest/a", 1000), record(2, "guest/a", 2000)]);
    let stored = stores(Bulk::Says("201 Created", fates))
        .await
        .activations
        .store(two)
        .await;
    stored.unwrap();
}

/// Of the whole write only its size or form is held against it: one by one the records may be taken.
#[tokio::test]
async fn a_server_that_fails_is_asked_again() {
    for (status, body, retryable) in [
        (
            "500 Internal Server Error",
            r#"{"error":"unknown_error","reason":"badmatch"}"#,
            true,
        ),
        ("503 Service Unavailable", "", true),
        ("429 Too Many Requests", "", true),
        (
            "401 Unauthorized",
            r#"{"error":"unauthorized","reason":"not yet"}"#,
            true,
        ),
        (
            "403 Forbidden",
            r#"{"error":"forbidden","reason":"not a member"}"#,
            true,
        ),
        ("200 OK", "<html>Maintenance</html>", true),
        ("201 Created", r#"[{"ok":true,"id":"guest/1","rev":"1-a"}]"#, true),
        ("302 Found", "", true),
        ("404 Not Found", r#"{"error":"not_found","reason":"no_db_file"}"#, true),
        (
            "413 Request Entity Too Large",
            r#"{"error":"document_too_large","reason":"guest/1"}"#,
            false,
        ),
        (
            "400 Bad Request",
            r#"{"error":"bad_request","reason":"invalid UTF-8 JSON"}"#,
            false,
        ),
    ] {
        let error = failure(Bulk::Says(status, body)).await;
        assert_eq!(error.retryable(), retryable, "{status}: {error}");
    }
}

/// Of the server or of one document; and operators hear of it.
#[tokio::test]
async fn a_disk_that_is_full_is_said_and_counted() {
    let before = counted("full");
    for (status, body) in [
        (
            "507 Insufficient Storage",
            r#"{"error":"insufficient_storage","reason":"enospc"}"#,
        ),
        (
            "201 Created",
            r#"[{"id":"guest/1","error":"insufficient_storage","reason":"x"},{"ok":true,"id":"guest/2","rev":"1-a"}]"#,
        ),
    ] {
        let error = failure(Bulk::Says(status, body)).await;
        assert!(matches!(error, Error::Full { .. }), "{error}");
    }
    assert_eq!(counted("full") - before, 2.0);
}

/// Failures of this kind that the metric of alerts shows.
fn counted(kind: &str) -> f64 {
    let families = prometheus::gather();
    let family = families
        .iter()
        .find(|family| family.name() == "ferrowhisk_store_failures_total");
    let metrics = family.into_iter().flat_map(|family| family.get_metric());
    let of_kind = metrics.filter(|metric| metric.get_label().iter().any(|label| label.value() == kind));
    of_kind.map(|metric| metric.get_counter().get_value()).sum()
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let began = Instant::now();
    let error = failure(Bulk::Hangs).await;
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("`store.timeout_s`"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// Stores a record of each of these actions at once, each in a call of its own.
async fn stored_at_once(activations: &Arc<dyn ActivationStore>, names: &[&str]) -> Vec<Result<(), Error>> {
    let mut waiting = tokio::task::JoinSet::new();
    for (id, name) in (1..).zip(names) {
        let (activations, record) = (activations.clone(), record(id, &format!("guest/{name}"), 1000));
        waiting.spawn(async move { (id, activations.store(arcs([record])).await) });
    }
    let mut stored = waiting.join_all().await;
    stored.sort_unstable_by_key(|(id, _)| *id);
    stored.into_iter().map(|(_, stored)| stored).collect()
}

/// As after a while without the server, when thousands of records wait: asked to take all of them at once it would take none in time.
/// What waits goes together.
#[tokio::test]
async fn what_has_waited_for_the_server_does_not_overrun_it() {
    static COUNTS: Counts = Counts::new();
    let activations = stores_by(20, Bulk::Slow(&COUNTS)).await.activations;
    let stored = stored_at_once(&activations, &["a"; 1000]).await;
    assert!(stored.iter().all(Result::is_ok), "{stored:?}");
    assert_eq!(COUNTS.most.load(Ordering::Acquire), 4);
    assert_eq!(COUNTS.sizes(), [20; 50]);
}

/// The stub tells of the last document first.
#[tokio::test]
async fn each_is_told_of_its_own_record_alone() {
    static COUNTS: Counts = Counts::new();
    let activations = stores(Bulk::Slow(&COUNTS)).await.activations;
    let names = ["a", "forbidden", "a", "failing", "a"];
    let stored = stored_at_once(&activations, &names).await;
    assert_eq!(COUNTS.sizes(), [5]);
    for (name, stored) in names.iter().zip(stored) {
        match *name {
            "a" => stored.unwrap(),
            "failing" => assert!(stored.unwrap_err().retryable()),
            _ => assert!(!stored.unwrap_err().retryable()),
        }
    }
}

/// The rest of a request that is refused as a whole, because of one that is too large, is stored.
#[tokio::test]
async fn what_a_whole_request_is_refused_for_is_one_records_failure() {
    static COUNTS: Counts = Counts::new();
    let activations = stores(Bulk::Slow(&COUNTS)).await.activations;
    let names = ["a", "a", "a", "a", "a", "monstrous", "a", "a"];
    let stored = stored_at_once(&activations, &names).await;
    for (name, stored) in names.iter().zip(stored) {
        match *name {
            "a" => stored.unwrap(),
            _ => assert!(!stored.unwrap_err().retryable()),
        }
    }
    assert_eq!(COUNTS.sizes(), [8, 4, 4, 2, 1, 1, 2]);
}

/// Offered at once, as when what was refused elsewhere is offered again while its stand-in is: whose text was not sent is not told
/// that it was refused.
#[tokio::test]
async fn another_text_of_a_record_that_is_refused_is_offered_again() {
    static COUNTS: Counts = Counts::new();
    let activations = stores(Bulk::Slow(&COUNTS)).await.activations;
    let (refused, taken) = tokio::join!(
        activations.store(arcs([record(1, "guest/forbidden", 1000)])),
        activations.store(arcs([record(1, "guest/a", 1000)])),
    );
    assert!(!refused.unwrap_err().retryable());
    assert!(taken.unwrap_err().retryable());
    assert_eq!(COUNTS.sizes(), [1]);
}

/// Nor does it keep the others from being stored.
#[tokio::test]
async fn who_stops_waiting_leaves_the_others_theirs() {
    static COUNTS: Counts = Counts::new();
    let activations = stores(Bulk::Slow(&COUNTS)).await.activations;
    let gives_up = tokio::time::timeout(
        Duration::from_millis(1),
        activations.store(arcs([record(1, "guest/a", 1000)])),
    );
    let (gave_up, stored) = tokio::join!(gives_up, activations.store(arcs([record(2, "guest/a", 1000)])));
    assert!(gave_up.is_err());
    stored.unwrap();
    assert_eq!(COUNTS.sizes(), [2]);
}

/// Whether records of these ids are there, asked at once.
async fn there<const N: usize>(status: &'static str, body: &'static str, ids: [u128; N]) -> Vec<Result<bool, Error>> {
    let activations = stores(Bulk::Says(status, body)).await.activations;
    let mut asked = tokio::task::JoinSet::new();
    for (place, id) in ids.into_iter().enumerate() {
        let activations = activations.clone();
        asked.spawn(async move {
            let (namespace, id) = (Namespace::new("guest").unwrap(), ActivationId::from_bits(id));
            (place, activations.exists(&namespace, id).await)
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_unstable_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn each_is_told_of_the_record_it_asked_for() {
    let rows = r#"{"rows":[{"key":"guest/3","error":"not_found"},{"key":"guest/5","error":"timeout"},
        {"id":"guest/2","key":"guest/2","value":{"rev":"2-b","deleted":true},"doc":null},
        {"id":"guest/1","key":"guest/1","value":{"rev":"1-a"}}]}"#;
    let answers = there("200 OK", rows, [1, 2, 3, 4, 5, 1]).await;
    for (answer, known) in answers.iter().zip([true, false, false]) {
        assert_eq!(*answer.as_ref().unwrap(), known, "{answers:?}");
    }
    assert!(answers[5].as_ref().unwrap(), "{answers:?}");
    for unsaid in &answers[3..5] {
        assert!(unsaid.as_ref().unwrap_err().retryable(), "{answers:?}");
    }
}

/// A record that is not found runs again.
#[tokio::test]
async fn what_cannot_be_looked_for_now_is_not_taken_for_absent() {
    for (status, body) in [
        (
            "412 Precondition Failed",
            r#"{"error":"nodedown","reason":"progress not possible"}"#,
        ),
        ("404 Object Not Found", r#"{"error":"not_found","reason":"no_db_file"}"#),
        ("403 Forbidden", r#"{"error":"forbidden","reason":"not a member"}"#),
        ("400 Bad Request", ""),
        ("200 OK", "<html>Maintenance</html>"),
    ] {
        for answer in there(status, body, [1, 2]).await {
            assert!(answer.as_ref().is_err_and(Error::retryable), "{status}: {answer:?}");
        }
    }
}

/// The others are stored at once, and what stands for the refused one is taken.
#[tokio::test]
async fn a_validation_of_the_operators_refuses_one_record_alone() {
    let (server, config) = server();
    let stores = open(&Config::Couchdb(config.clone())).await.unwrap();
    let validates = serde_json::json!({
        "language": "javascript",
        "validate_doc_update": "function (doc) {
            if (doc.response && doc.response.result.monstrous) throw({ forbidden: 'no monsters' });
        }"
    });
    let url = format!("{server}/{}activations/_design/validates", config.prefix);
    let put = reqwest::Client::new()
        .put(url)
        .header("content-type", "application/json")
        .body(validates.to_string());
    let put = match &*config.username {
        "" => put,
        username => put.basic_auth(username, Some(&config.password)),
    };
    assert_eq!(put.send().await.unwrap().status().as_u16(), 201);
    let mut monstrous = record(2, "guest/a", 2000);
    monstrous.response.result = Json::parse(r#"{"monstrous":true}"#).unwrap();
    let three = [
        record(1, "guest/a", 1000),
        monstrous.clone(),
        record(3, "guest/a", 3000),
    ];
    let error = stores.activations.store(arcs(three)).await.unwrap_err();
    assert!(
        !error.retryable() && error.to_string().contains("no monsters"),
        "{error}"
    );
    let found = async |id| -> Option<Activation> {
        let (namespace, id) = (Namespace::new("guest").unwrap(), ActivationId::from_bits(id));
        stores.activations.get(&namespace, id).await.unwrap()
    };
    assert!(found(1).await.is_some() && found(2).await.is_none() && found(3).await.is_some());
    stores
        .activations
        .store(arcs([stand_in(&monstrous, &error)]))
        .await
        .unwrap();
    let stands = found(2).await.unwrap();
    assert_eq!(stands.response.status_code, StatusCode::WhiskError);
    assert!(
        stands.response.result.as_str().contains("no monsters"),
        "{:?}",
        stands.response
    );
}

/// Address and configuration of the real server.
fn server() -> (String, CouchConfig) {
    let given = std::env::var("FERROWHISK_TEST_COUCHDB")
        .expect("FERROWHISK_TEST_COUCHDB names no CouchDB; run .ci/test-couchdb");
    let (scheme, rest) = given.split_once("://").unwrap();
    let (credentials, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (username, password) = credentials.split_once(':').unwrap_or_default();
    let url = format!("{scheme}://{}", host.trim_end_matches('/'));
    let config = CouchConfig {
        url: url.clone(),
        username: username.to_owned(),
        password: password.to_owned(),
        prefix: format!("failing_{:016x}_", RandomState::new().hash_one(0)),
        ..CouchConfig::default()
    };
    (url, config)
}
