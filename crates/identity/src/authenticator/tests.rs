use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use wsk_entities::{SubjectDocument, SubjectNamespace, UserLimits};
use wsk_store::SubjectStore;

use super::*;

const UUID: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";

/// An in-memory store that counts look-ups, can be told to fail, and can hold look-ups back after they were made.
struct Scripted {
    inner: Arc<dyn SubjectStore>,
    lookups: AtomicUsize,
    failing: AtomicBool,
    gate: Semaphore,
}

const OPEN: usize = 1000;

impl Scripted {
    async fn new() -> Arc<Scripted> {
        let stores = wsk_store::open(&wsk_store::Config::Embedded(wsk_store::EmbeddedConfig::default()))
            .await
            .unwrap();
        let inner = stores.subjects;
        inner
            .put_subject(&subject("alice", UUID, &key('a'), false))
            .await
            .unwrap();
        Arc::new(Scripted {
            inner,
            lookups: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            gate: Semaphore::new(OPEN),
        })
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), wsk_store::Error> {
        let failing = self.failing.load(Ordering::SeqCst);
        if failing {
            Err(wsk_store::Error::Unavailable("told to fail".into()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl SubjectStore for Scripted {
    async fn by_key(&self, uuid: &str, key: &str) -> Result<Option<Identity>, wsk_store::Error> {
        self.check()?;
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let found = self.inner.by_key(uuid, key).await;
        let _passed = self.gate.acquire().await.unwrap();
        found
    }

    async fn by_namespace(&self, namespace: &Namespace) -> Result<Option<Identity>, wsk_store::Error> {
        self.check()?;
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.inner.by_namespace(namespace).await
    }

    async fn subject(&self, subject: &str) -> Result<Option<SubjectDocument>, wsk_store::Error> {
        self.inner.subject(subject).await
    }

    async fn put_subject(&self, document: &SubjectDocument) -> Result<(), wsk_store::Error> {
        self.inner.put_subject(document).await
    }

    async fn delete_subject(&self, subject: &str) -> Result<bool, wsk_store::Error> {
        self.inner.delete_subject(subject).await
    }

    async fn subjects(&self) -> Result<Vec<SubjectDocument>, wsk_store::Error> {
        self.inner.subjects().await
    }

    async fn limits(&self, namespace: &Namespace) -> Result<Option<UserLimits>, wsk_store::Error> {
        self.inner.limits(namespace).await
    }

    async fn put_limits(&self, namespace: &Namespace, limits: &UserLimits) -> Result<(), wsk_store::Error> {
        self.inner.put_limits(namespace, limits).await
    }

    async fn delete_limits(&self, namespace: &Namespace) -> Result<bool, wsk_store::Error> {
        self.inner.delete_limits(namespace).await
    }

    async fn generation(&self) -> Result<u64, wsk_store::Error> {
        self.check()?;
        self.inner.generation().await
    }
}

fn key(letter: char) -> String {
    letter.to_string().repeat(64)
}

fn subject(name: &str, uuid: &str, key: &str, blocked: bool) -> SubjectDocument {
    let namespace = SubjectNamespace {
        name: Namespace::new(name).unwrap(),
        uuid: uuid.into(),
        key: key.into(),
    };
    SubjectDocument {
        subject: name.into(),
        namespaces: vec![namespace],
        blocked,
    }
}

fn basic(uuid: &str, key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{uuid}:{key}")))
}

async fn subject_of(authenticator: &Authenticator, header: &str) -> Option<String> {
    let outcome = authenticator.authenticate(Some(header)).await.unwrap();
    outcome.identity().map(|identity| identity.subject.to_string())
}

async fn seconds(n: f64) {
    tokio::time::advance(Duration::from_secs_f64(n)).await;
}

#[tokio::test(start_paused = true)]
async fn outcomes_tell_no_key_from_a_wrong_one() {
    let authenticator = Authenticator::new(Scripted::new().await);
    let outcome = async |header: Option<&str>| authenticator.authenticate(header).await.unwrap();
    assert_eq!(outcome(None).await, Outcome::Missing);
    assert_eq!(outcome(Some("Bearer token")).await, Outcome::Missing);
    assert_eq!(outcome(Some("Basic !")).await, Outcome::Missing);
    assert_eq!(outcome(Some(&basic(UUID, "short"))).await, Outcome::Invalid);
    assert_eq!(outcome(Some(&basic(UUID, &key('b')))).await, Outcome::Invalid);
    let known = outcome(Some(&basic(UUID, &key('a')))).await;
    assert_eq!(
        &*known.identity().unwrap().authkey.api_key,
        format!("{UUID}:{}", key('a'))
    );
}

#[tokio::test(start_paused = true)]
async fn a_known_key_is_looked_up_once() {
    let store = Scripted::new().await;
    let authenticator = Authenticator::new(store.clone());
    let header = basic(UUID, &key('a'));
    for _ in 0..5 {
        assert_eq!(subject_of(&authenticator, &header).await.as_deref(), Some("alice"));
        seconds(0.9).await;
    }
    assert_eq!(store.lookups(), 1);
    assert_eq!(
        subject_of(&authenticator, &basic(UUID, &key('b'))).await,
        None,
        "memory serves the whole key only"
    );
    assert_eq!(subject_of(&authenticator, &format!("{header}x")).await, None);
    for _ in 0..3 {
        authenticator
            .owner(&Namespace::new("alice").unwrap())
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(
        store.lookups(),
        3,
        "a malformed header needs no look-up, an owner needs one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_blocked_subject_is_noticed_after_a_silence() {
    let store = Scripted::new().await;
    let authenticator = Authenticator::new(store.clone());
    let (header, namespace) = (basic(UUID, &key('a')), Namespace::new("alice").unwrap());
    assert!(subject_of(&authenticator, &header).await.is_some());
    assert!(authenticator.owner(&namespace).await.unwrap().is_some());
    store
        .put_subject(&subject("alice", UUID, &key('a'), true))
        .await
        .unwrap();
    seconds(2.0).await;
    assert_eq!(
        subject_of(&authenticator, &header).await,
        None,
        "the first request waits for the store"
    );
    assert!(authenticator.owner(&namespace).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_changed_subject_is_noticed_under_load_without_waiting() {
    let store = Scripted::new().await;
    let authenticator = Authenticator::new(store.clone());
    let header = basic(UUID, &key('a'));
    assert!(subject_of(&authenticator, &header).await.is_some());
    store
        .put_limits(&Namespace::new("alice").unwrap(), &UserLimits::default())
        .await
        .unwrap();
    seconds(1.5).await;
    assert!(
        subject_of(&authenticator, &header).await.is_some(),
        "served from memory, the question is on its way"
    );
    assert_eq!(store.lookups(), 1);
    while authenticator.shared.scheduled.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    assert!(subject_of(&authenticator, &header).await.is_some());
    assert_eq!(store.lookups(), 2, "read again with the new limits");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_change_overtook_is_not_remembered() {
    let store = Scripted::new().await;
    let authenticator = Authenticator::new(store.clone());
    let header = basic(UUID, &key('a'));
    let held = store.gate.acquire_many(OPEN as u32).await.unwrap();
    let slow = tokio::spawn({
        let (authenticator, header) = (authenticator.clone(), header.clone());
        async move { subject_of(&authenticator, &header).await }
    });
    while store.lookups() == 0 {
        tokio::task::yield_now().await;
    }
    store.delete_subject("alice").await.unwrap();
    seconds(2.0).await;
    assert!(
        authenticator
            .owner(&Namespace::new("alice").unwrap())
            .await
            .unwrap()
            .is_none()
    );
    drop(held);
    assert!(slow.await.unwrap().is_some(), "it was valid when it was read");
    assert_eq!(subject_of(&authenticator, &header).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_tolerated_for_known_keys_and_for_a_while() {
    let store = Scripted::new().await;
    let authenticator = Authenticator::new(store.clone());
    let header = basic(UUID, &key('a'));
    assert!(subject_of(&authenticator, &header).await.is_some());
    store.failing.store(true, Ordering::SeqCst);
    for _ in 0..29 {
        seconds(10.0).await;
        assert!(subject_of(&authenticator, &header).await.is_some());
    }
    let unknown = authenticator.authenticate(Some(&basic(UUID, &key('b')))).await;
    assert!(
        matches!(unknown, Err(Error::Store(_))),
        "not knowing is not a wrong key: {unknown:?}"
    );
    seconds(20.0).await;
    assert!(matches!(
        authenticator.authenticate(Some(&header)).await,
        Err(Error::Store(_))
    ));
    assert!(matches!(
        authenticator.authenticate(Some(&header)).await,
        Err(Error::Store(_))
    ));
    store.failing.store(false, Ordering::SeqCst);
    seconds(1.0).await;
    assert!(subject_of(&authenticator, &header).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded() {
    let store = Scripted::new().await;
    let authenticator = Authenticator::with_config(store.clone(), Config { most: 2 });
    for n in 0..5 {
        let (name, uuid) = (format!("user{n}"), format!("23bc46b1-71f6-4ed5-8c54-816aa4f8c60{n}"));
        store
            .put_subject(&subject(&name, &uuid, &key('u'), false))
            .await
            .unwrap();
        assert_eq!(
            subject_of(&authenticator, &basic(&uuid, &key('u'))).await.as_deref(),
            Some(&*name)
        );
        authenticator
            .owner(&Namespace::new(&name).unwrap())
            .await
            .unwrap()
            .unwrap();
        assert!(authenticator.shared.known.len() <= 2 && authenticator.shared.owners.len() <= 2);
    }
}

#[test]
fn ages_decide_when_to_ask() {
    let s = |n: u64| Some(Duration::from_secs(n));
    let cases = [
        (None, None, Due::Now),
        (s(0), None, Due::Fresh),
        (s(1), None, Due::Soon),
        (s(2), None, Due::Now),
        (s(9), s(0), Due::Tolerated),
        (s(9), s(1), Due::Now),
        (s(300), s(0), Due::Failing),
        (None, s(0), Due::Failing),
        (None, s(1), Due::Now),
    ];
    for (confirmed, failed, expected) in cases {
        assert_eq!(due(confirmed, failed), expected, "{confirmed:?} {failed:?}");
    }
}
