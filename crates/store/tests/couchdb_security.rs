//! A CouchDB behind TLS, one that wants a password, and what is none. The server at `FERROWHISK_TEST_COUCHDB` gets a TLS
//! terminator of the test's own; refusals come from a stub.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use wsk_entities::{Namespace, UserLimits};
use wsk_store::{Config, CouchConfig, Error, Stores, open};

/// An authority's certificate in a file, and a way to sign with it.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Speaks TLS as `host` and passes on what it hears to a server.
    async fn in_front_of(&self, server: String, host: &str) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (incoming, _) = listener.accept().await.unwrap();
                let (acceptor, server) = (acceptor.clone(), server.clone());
                tokio::spawn(async move {
                    let Ok(mut clear) = acceptor.accept(incoming).await else {
                        return;
                    };
                    let mut behind = TcpStream::connect(server).await.unwrap();
                    let _ended = tokio::io::copy_bidirectional(&mut clear, &mut behind).await;
                });
            }
        });
        address
    }
}

/// Answers every request with this, on connections that it closes.
async fn stub(status: &'static str, body: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut incoming, _) = listener.accept().await.unwrap();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let mut head = [0; 4096];
            let _read = incoming.read(&mut head).await;
            let _written = incoming.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// Host and port of the real server; none where there is none.
fn server() -> String {
    let given = std::env::var("FERROWHISK_TEST_COUCHDB")
        .expect("FERROWHISK_TEST_COUCHDB names no CouchDB; run .ci/test-couchdb");
    let (_, rest) = given.split_once("://").unwrap();
    rest.rsplit_once('@')
        .map_or(rest, |(_, host)| host)
        .trim_end_matches('/')
        .to_owned()
}

fn at(url: String) -> CouchConfig {
    let given = std::env::var("FERROWHISK_TEST_COUCHDB").unwrap_or_default();
    let credentials = given.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    let (username, password) = credentials
        .and_then(|(pair, _)| pair.split_once(':'))
        .unwrap_or_default();
    CouchConfig {
        url,
        username: username.to_owned(),
        password: password.to_owned(),
        prefix: format!("secure_{:016x}_", RandomState::new().hash_one(0)),
        ..CouchConfig::default()
    }
}

async fn opened(config: CouchConfig) -> Result<Stores, Error> {
    open(&Config::Couchdb(config)).await
}

async fn refused(config: CouchConfig, texts: &[&str]) {
    let error = opened(config).await.err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, Error::Unusable(_)) && !error.retryable(), "{text}");
    assert!(!text.contains('\n') && !text.contains("hush"), "{text}");
    for expected in texts {
        assert!(text.contains(expected), "no {expected}: {text}");
    }
}

#[tokio::test]
async fn what_is_written_over_tls_is_there() {
    let authority = Authority::new();
    let address = authority.in_front_of(server(), "localhost").await;
    let config = CouchConfig {
        ca_file: Some(authority.file()),
        ..at(format!("https://localhost:{}", address.port()))
    };
    let namespace = Namespace::new("guest").unwrap();
    let limits = UserLimits {
        invocations_per_minute: Some(7),
        ..UserLimits::default()
    };
    let stores = opened(config).await.unwrap();
    stores.subjects.put_limits(&namespace, &limits).await.unwrap();
    assert_eq!(stores.subjects.limits(&namespace).await.unwrap(), Some(limits));
}

#[tokio::test]
async fn a_certificate_that_is_not_believed_is_named_with_the_key() {
    let (authority, other) = (Authority::new(), Authority::new());
    let address = authority.in_front_of(server(), "localhost").await;
    let named = |host: &str, ca_file: Option<PathBuf>| CouchConfig {
        ca_file,
        ..at(format!("https://{host}:{}", address.port()))
    };
    refused(named("localhost", Some(other.file())), &["`store.ca_file`", "ca.pem"]).await;
    refused(
        named("localhost", None),
        &["`store.ca_file`", "that this machine trusts"],
    )
    .await;
    refused(
        named("127.0.0.1", Some(authority.file())),
        &["another host's", "`store.url`"],
    )
    .await;
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_down() {
    let config = at(format!("https://{}", server()));
    refused(config, &["does not speak TLS", "`store.url`"]).await;
}

#[tokio::test]
async fn a_wrong_password_is_named_with_the_keys() {
    let address = stub(
        "401 Unauthorized",
        r#"{"error":"unauthorized","reason":"Name or password is incorrect."}"#,
    )
    .await;
    let config = CouchConfig {
        username: "whisk".to_owned(),
        password: "hush".to_owned(),
        ..at(format!("http://{address}"))
    };
    refused(
        config,
        &["Name or password is incorrect", "`store.username`", "`store.password`"],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_couchdb_is_not_written_to() {
    for (status, body) in [
        ("200 OK", "<html>Welcome</html>"),
        ("404 Not Found", "{}"),
        ("302 Found", ""),
    ] {
        let address = stub(status, body).await;
        refused(at(format!("http://{address}")), &["is no CouchDB", "`store.url`"]).await;
    }
    let address = stub("503 Service Unavailable", "upstream is down").await;
    let error = opened(at(format!("http://{address}"))).await.err().unwrap();
    assert!(error.retryable() && error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let config = at(format!("http://{}", server()));
    opened(config.clone()).await.unwrap();
    let base = format!(
        "http://{}/{}subjects/_design/ferrowhisk-format",
        server(),
        config.prefix
    );
    let client = reqwest::Client::new();
    let authorized = |request: reqwest::RequestBuilder| match config.username.as_str() {
        "" => request,
        username => request.basic_auth(username, Some(&config.password)),
    };
    let found = authorized(client.get(&base))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(found.contains(r#""ferrowhiskFormat":1"#), "{found}");
    let later = found.replace(r#""ferrowhiskFormat":1"#, r#""ferrowhiskFormat":2"#);
    let put = authorized(client.put(&base))
        .header("content-type", "application/json")
        .body(later);
    assert_eq!(put.send().await.unwrap().status().as_u16(), 201);
    refused(config, &["subjects", "format 2", "knows 1", "`store.prefix`"]).await;
}

/// Not a configuration that was wrong: an operator changes the password, or a certificate, and what waits is written then.
#[tokio::test]
async fn who_was_let_in_once_waits_to_be_let_in_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (refuse, refusing) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut incoming, _) = listener.accept().await.unwrap();
            let refusing = refusing.clone();
            tokio::spawn(async move {
                if *refusing.borrow() {
                    let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    let mut head = [0; 4096];
                    let _read = incoming.read(&mut head).await;
                    let _written = incoming.write_all(answer.as_bytes()).await;
                    return;
                }
                let mut behind = TcpStream::connect(server()).await.unwrap();
                let mut refusing = refusing;
                tokio::select! {
                    _ended = tokio::io::copy_bidirectional(&mut incoming, &mut behind) => {}
                    _changed = refusing.changed() => {}
                }
            });
        }
    });
    let stores = opened(at(format!("http://{address}"))).await.unwrap();
    refuse.send(true).unwrap();
    let namespace = Namespace::new("guest").unwrap();
    let error = loop {
        match stores.subjects.limits(&namespace).await {
            Err(error) if error.to_string().contains("`store.password`") => break error,
            // The connection that was open when the refusals began.
            Err(_) | Ok(_) => tokio::task::yield_now().await,
        }
    };
    assert!(error.retryable(), "{error}");
}
