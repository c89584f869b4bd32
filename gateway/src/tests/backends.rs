//! Calls of APIs that lead to other servers, good and bad ones.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::*;

/// A server that hands its connections to the test.
async fn server() -> (String, mpsc::UnboundedReceiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

/// A gateway whose `/a/p` leads to a server.
async fn before(address: &str, config: Config) -> Edge {
    let edge = Data::new().await.serve(config).await;
    edge.import(&leading_to("/a", &format!("http://{address}/base$(request.path)")))
        .await;
    edge
}

fn quick() -> Config {
    let mut config = Config::default();
    config.apis.backend_timeout = wsk_service::config::Duration::from_millis(200);
    config
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).ends_with(end) {
        let mut byte = [0];
        assert_eq!(
            stream.read(&mut byte).await.unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

fn target() -> String {
    format!("/api/{ALICE}/a/p?q=1")
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (address, mut connections) = server().await;
    let edge = before(&address, Config::default()).await;
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: gw\r\ntransfer-encoding: chunked\r\n\r\n",
        target()
    );
    client
        .write_all(format!("{head}3\r\nabc\r\n").as_bytes())
        .await
        .unwrap();
    let mut backend = connections.recv().await.unwrap();
    let request = until(&mut backend, "3\r\nabc\r\n").await;
    assert!(request.starts_with("POST /base/a/p?q=1 HTTP/1.1\r\n"), "{request}");
    for header in [
        format!("host: {address}"),
        "via: 1.1 ferrowhisk".to_owned(),
        format!("x-forwarded-url: http://gw{}", target()),
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }
    // The answer begins while the request goes on.
    backend
        .write_all(b"HTTP/1.1 201 Made\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        .await
        .unwrap();
    let answer = until(&mut client, "1\r\nx\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 201 ") && answer.contains("x-a: b\r\n"),
        "{answer}"
    );
    client.write_all(b"3\r\ndef\r\n0\r\n\r\n").await.unwrap();
    until(&mut backend, "3\r\ndef\r\n0\r\n\r\n").await;
    backend.write_all(b"1\r\ny\r\n0\r\n\r\n").await.unwrap();
    until(&mut client, "1\r\ny\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_backend_that_breaks_off_breaks_off_the_answer() {
    let (address, mut connections) = server().await;
    let edge = before(&address, Config::default()).await;
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    client
        .write_all(format!("GET {} HTTP/1.1\r\nhost: gw\r\n\r\n", target()).as_bytes())
        .await
        .unwrap();
    let mut backend = connections.recv().await.unwrap();
    until(&mut backend, "\r\n\r\n").await;
    backend
        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        .await
        .unwrap();
    until(&mut client, "1\r\nx\r\n").await;
    drop(backend);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.ok();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "half an answer looks whole");
}

#[tokio::test]
async fn a_backend_that_falls_silent_is_given_up() {
    let (address, mut connections) = server().await;
    let edge = before(&address, quick()).await;
    // Before its answer.
    let silent = edge.get(&target()).await;
    assert_eq!(silent.status, 504);
    connections.recv().await.unwrap();
    // Within it.
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    client
        .write_all(format!("GET {} HTTP/1.1\r\nhost: gw\r\n\r\n", target()).as_bytes())
        .await
        .unwrap();
    let mut backend = connections.recv().await.unwrap();
    until(&mut backend, "\r\n\r\n").await;
    backend
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")
        .await
        .unwrap();
    let mut seen = Vec::new();
    client.read_to_end(&mut seen).await.ok();
    assert!(seen.ends_with(b"\r\n\r\nx"), "{}", String::from_utf8_lossy(&seen));
}

#[tokio::test]
async fn backends_that_are_none() {
    let (address, mut connections) = server().await;
    let edge = before(&address, Config::default()).await;
    tokio::spawn(async move {
        let mut backend = connections.recv().await.unwrap();
        until(&mut backend, "\r\n\r\n").await;
        backend.write_all(b"nonsense\r\n\r\n").await.unwrap();
        // The next ones are closed at once.
        while let Some(backend) = connections.recv().await {
            drop(backend);
        }
    });
    for _ in 0..2 {
        let answer = edge.get(&target()).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(answer.json()["code"], answer.headers["x-request-id"].to_str().unwrap());
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [
        format!("http://{closed}/"),
        "http://no-such-host.invalid/".to_owned(),
        format!("https://{address}/"),
    ] {
        edge.import(&leading_to("/b", &url)).await;
        assert_eq!(edge.get(&format!("/api/{ALICE}/b/p")).await.status, 502, "{url}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_announced_or_not() {
    let (address, mut connections) = server().await;
    let mut config = Config::default();
    config.apis.body = wsk_service::config::Size(1000);
    let edge = before(&address, config).await;
    let too_large = r#"{"status":413,"message":"Error: Request entity too large."}"#;
    let announced = edge.send("POST", &target(), &[], vec![b'x'; 1001]).await;
    assert_eq!((announced.status.as_u16(), announced.text()), (413, too_large));
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: gw\r\ntransfer-encoding: chunked\r\n\r\n",
        target()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let _backend = connections.recv();
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    client.write_all(chunk.repeat(3).as_bytes()).await.unwrap();
    client.write_all(b"0\r\n\r\n").await.ok();
    let answer = until(&mut client, too_large).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dribbles_is_given_up() {
    let (address, mut connections) = server().await;
    let edge = before(&address, Config::default()).await;
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nhost: gw\r\ncontent-length: 100\r\n\r\nx", target());
    client.write_all(head.as_bytes()).await.unwrap();
    let _backend = connections.recv().await.unwrap();
    let answer = until(&mut client, "in time.\"}").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_backend() {
    let (address, mut connections) = server().await;
    let edge = before(&address, Config::default()).await;
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    client
        .write_all(format!("GET {} HTTP/1.1\r\nhost: gw\r\n\r\n", target()).as_bytes())
        .await
        .unwrap();
    let mut backend = connections.recv().await.unwrap();
    until(&mut backend, "\r\n\r\n").await;
    drop(client);
    let mut rest = Vec::new();
    tokio::time::timeout(std::time::Duration::from_secs(30), backend.read_to_end(&mut rest))
        .await
        .expect("the call goes on without its caller")
        .ok();
}

#[tokio::test]
async fn a_cluster_keeps_its_calls_inside() {
    let (address, mut connections) = server().await;
    let mut config = Config::default();
    config.apis.backend_host = format!("http://{address}");
    let edge = Data::new().await.serve(config).await;
    edge.create("/a", "/p", "get", "a", "json").await.json();
    let calling = tokio::spawn(async move { edge.get(&format!("/api/{ALICE}/a/p")).await.status });
    let mut backend = connections.recv().await.unwrap();
    let request = until(&mut backend, "\r\n\r\n").await;
    assert!(
        request.starts_with("GET /api/v1/web/alice/default/a.json HTTP/1.1\r\n"),
        "{request}"
    );
    backend.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(calling.await.unwrap(), 204);
}

#[tokio::test]
async fn private_backends_can_be_put_out_of_reach() {
    let (address, mut connections) = server().await;
    let mut config = Config::default();
    config.apis.private_backends = false;
    let edge = before(&address, config).await;
    assert_eq!(edge.get(&target()).await.status, 502);
    assert!(connections.try_recv().is_err(), "the backend was reached");
    edge.create("/own", "/p", "get", "a", "json").await.json();
    assert_eq!(
        edge.get(&format!("/api/{ALICE}/own/p")).await.status,
        200,
        "actions are within reach"
    );
}
