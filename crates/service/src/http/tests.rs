use super::*;
use crate::supervise::Canceller;
use async_trait::async_trait;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Answers with what it was asked; some paths wait for the test.
#[derive(Default)]
struct Echo {
    started: Notify,
    go_on: Notify,
    stream: Mutex<Option<Sender>>,
}

#[async_trait]
impl Handler for Echo {
    async fn handle(self: Arc<Self>, request: Request) -> Response {
        match request.head.uri.path() {
            "/wait" => {
                self.started.notify_one();
                self.go_on.notified().await;
            }
            "/stream" => {
                let (sender, body) = Body::stream(1);
                *self.stream.lock().unwrap() = Some(sender);
                self.started.notify_one();
                return Response::new(body);
            }
            _ => {}
        }
        Response::new(Body::full(request.body))
    }
}

struct Server {
    address: SocketAddr,
    echo: Arc<Echo>,
    canceller: Canceller,
    running: JoinHandle<()>,
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = Arc::new(Echo::default());
    let (canceller, cancel) = Cancel::new();
    let running = tokio::spawn(serve(listener, limits, echo.clone(), cancel));
    Server {
        address,
        echo,
        canceller,
        running,
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request and reads until the server closes.
    async fn exchange(&self, request: &[u8]) -> String {
        let mut client = self.connect().await;
        client.write_all(request).await.unwrap();
        read_all(&mut client).await
    }
}

async fn read_all(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads one response whose body is `body`.
async fn read_one(client: &mut TcpStream, body: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(format!("\r\n\r\n{body}").as_bytes()) {
        assert!(
            client.read_buf(&mut answer).await.unwrap() > 0,
            "closed after {}",
            String::from_utf8_lossy(&answer)
        );
    }
    String::from_utf8(answer).unwrap()
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Whether the server closes the connection; the paused clock makes it soon.
async fn closes(client: &mut TcpStream) -> bool {
    matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let server = start(Limits::default()).await;
    let mut client = server.connect().await;
    for body in ["one", "two", ""] {
        client.write_all(&post("/", body)).await.unwrap();
        let answer = read_one(&mut client, body).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains(&format!("content-length: {}\r\n", body.len())),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_body_in_pieces_arrives_whole() {
    let server = start(Limits::default()).await;
    let mut client = server.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await
        .unwrap();
    tokio::task::yield_now().await;
    client.write_all(b"2\r\nde\r\n").await.unwrap();
    tokio::task::yield_now().await;
    client.write_all(b"1\r\nf\r\n0\r\n\r\n").await.unwrap();
    read_one(&mut client, "abcdef").await;
}

#[tokio::test]
async fn a_long_target_is_refused() {
    let server = start(Limits {
        target_bytes: 20,
        ..Limits::default()
    })
    .await;
    let answer = server
        .exchange(b"GET /234567890123456789?1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nThe request target is too long."), "{answer}");
    let mut client = server.connect().await;
    client
        .write_all(b"GET /2345678901234567890 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(read_one(&mut client, "").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_long_body_is_refused_after_the_client_has_sent_it() {
    let server = start(Limits {
        body_bytes: 4_000_000,
        ..Limits::default()
    })
    .await;
    let body = "x".repeat(11_900_000);
    let chunked =
        format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nb59460\r\n{body}\r\n0\r\n\r\n");
    for request in [post("/", &body), chunked.into_bytes()] {
        let answer = server.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(
            answer.contains("content-type: text/plain; charset=UTF-8\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\nRequest too large"), "{answer}");
    }
    let mut client = server.connect().await;
    let body = &body[..4_000_000];
    client.write_all(&post("/", body)).await.unwrap();
    assert!(read_one(&mut client, body).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let server = start(Limits::default()).await;
    let answer = server
        .exchange(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_rejection_can_be_reshaped() {
    struct Shaped;
    #[async_trait]
    impl Handler for Shaped {
        async fn handle(self: Arc<Self>, _: Request) -> Response {
            unreachable!("the request is rejected")
        }

        fn reject(&self, head: &hyper::http::request::Parts, rejection: Rejection) -> Response {
            Response::new(Body::full(format!("{} {rejection:?}", head.method)))
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_canceller, cancel) = Cancel::new();
    let limits = Limits {
        target_bytes: 3,
        ..Limits::default()
    };
    tokio::spawn(serve(listener, limits, Arc::new(Shaped), cancel));
    client
        .write_all(b"PUT /abcdef HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(read_all(&mut client).await.ends_with("\r\n\r\nPUT TargetTooLong"));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_and_slow_heads_end() {
    let server = start(Limits::default()).await;
    let (mut idle, mut slow, mut used) = (server.connect().await, server.connect().await, server.connect().await);
    slow.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    used.write_all(&post("/", "x")).await.unwrap();
    read_one(&mut used, "x").await;
    let start = tokio::time::Instant::now();
    assert!(closes(&mut idle).await && closes(&mut slow).await && closes(&mut used).await);
    let took = start.elapsed();
    assert!(
        (Duration::from_secs(60)..Duration::from_secs(90)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_in_work_and_a_silent_stream_are_not_idle() {
    let server = start(Limits::default()).await;
    let (mut waiting, mut streaming) = (server.connect().await, server.connect().await);
    waiting.write_all(&post("/wait", "w")).await.unwrap();
    server.echo.started.notified().await;
    streaming.write_all(&post("/stream", "")).await.unwrap();
    server.echo.started.notified().await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    server.echo.go_on.notify_one();
    read_one(&mut waiting, "w").await;
    let sender = server.echo.stream.lock().unwrap().take().unwrap();
    sender.send("data: 1\n\n").await.unwrap();
    drop(sender);
    let mut answer = String::new();
    while !answer.ends_with("\r\n0\r\n\r\n") {
        answer.push(streaming.read_u8().await.unwrap() as char);
    }
    assert!(answer.contains("\r\n\r\n9\r\ndata: 1\n\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_stream_learns_that_its_client_has_gone() {
    let server = start(Limits::default()).await;
    let mut client = server.connect().await;
    client.write_all(&post("/stream", "")).await.unwrap();
    server.echo.started.notified().await;
    let sender = server.echo.stream.lock().unwrap().take().unwrap();
    drop(client);
    sender.gone().await;
    assert!(sender.send("x").await.is_err());
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let server = start(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let (mut one, mut two, mut three) = (server.connect().await, server.connect().await, server.connect().await);
    for client in [&mut one, &mut two] {
        client.write_all(&post("/", "a")).await.unwrap();
        read_one(client, "a").await;
    }
    three.write_all(&post("/wait", "b")).await.unwrap();
    two.write_all(&post("/", "c")).await.unwrap();
    read_one(&mut two, "c").await;
    let started = server.echo.started.notified();
    assert!(
        tokio::time::timeout(Duration::from_millis(50), started).await.is_err(),
        "a third connection was served"
    );
    drop(one);
    server.echo.started.notified().await;
    server.echo.go_on.notify_one();
    read_one(&mut three, "b").await;
}

#[tokio::test]
async fn a_drain_finishes_what_was_begun_and_no_more() {
    let server = start(Limits::default()).await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    idle.write_all(&post("/", "x")).await.unwrap();
    read_one(&mut idle, "x").await;
    busy.write_all(&post("/wait", "kept")).await.unwrap();
    server.echo.started.notified().await;
    server.canceller.cancel();
    assert!(closes(&mut idle).await);
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "a draining server accepts"
    );
    assert!(!server.running.is_finished());
    server.echo.go_on.notify_one();
    let answer = read_all(&mut busy).await;
    assert!(
        answer.ends_with("\r\n\r\nkept") && answer.contains("connection: close"),
        "{answer}"
    );
    server.running.await.unwrap();
}

#[tokio::test]
async fn a_drain_answers_who_is_in_the_backlog() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for body in ["one", "two", "three"] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&post("/", body)).await.unwrap();
        clients.push((client, body));
    }
    let (canceller, cancel) = Cancel::new();
    canceller.cancel();
    serve(listener, Limits::default(), Arc::<Echo>::default(), cancel).await;
    for (mut client, body) in clients {
        let answer = read_all(&mut client).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{body}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_answers_who_connected_just_before_and_waits_for_nobody_long() {
    let server = start(Limits::default()).await;
    let (mut late, mut silent) = (server.connect().await, server.connect().await);
    // Both are accepted: each accepts what comes after them in turn.
    server
        .exchange(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    let start = tokio::time::Instant::now();
    server.canceller.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    late.write_all(&post("/", "late")).await.unwrap();
    let answer = read_all(&mut late).await;
    assert!(
        answer.ends_with("\r\n\r\nlate") && answer.contains("connection: close"),
        "{answer}"
    );
    assert!(closes(&mut silent).await);
    server.running.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_drain_answers_a_request_that_has_arrived() {
    let server = start(Limits::default()).await;
    let mut client = server.connect().await;
    client.write_all(&post("/", "first")).await.unwrap();
    read_one(&mut client, "first").await;
    client.write_all(&post("/", "last")).await.unwrap();
    server.canceller.cancel();
    let answer = read_all(&mut client).await;
    assert!(answer.ends_with("\r\n\r\nlast"), "{answer}");
    server.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline() {
    let server = start(Limits::default()).await;
    let mut busy = server.connect().await;
    busy.write_all(&post("/wait", "")).await.unwrap();
    server.echo.started.notified().await;
    let start = tokio::time::Instant::now();
    server.canceller.cancel();
    server.running.await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(30));
    assert!(closes(&mut busy).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off() {
    let server = start(Limits::default()).await;
    let mut client = server.connect().await;
    client.write_all(&post("/stream", "")).await.unwrap();
    server.echo.started.notified().await;
    let sender = server.echo.stream.lock().unwrap().take().unwrap();
    let feeding = tokio::spawn(async move { while sender.send(vec![0u8; 1 << 20]).await.is_ok() {} });
    tokio::time::timeout(Duration::from_secs(300), feeding)
        .await
        .expect("a client that reads nothing holds its answer for ever")
        .unwrap();
}

#[tokio::test]
async fn a_streamed_request_reaches_its_handler_before_its_end() {
    struct First;
    #[async_trait]
    impl Handler for First {
        async fn handle(self: Arc<Self>, _: Request) -> Response {
            unreachable!("every request is streamed")
        }

        fn streams(&self, _: &hyper::http::request::Parts) -> bool {
            true
        }

        async fn stream(self: Arc<Self>, request: Streamed) -> Response {
            Response::new(Body::forward_within(request.body, Duration::from_secs(60)))
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_canceller, cancel) = Cancel::new();
    tokio::spawn(serve(listener, Limits::default(), Arc::new(First), cancel));
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc")
        .await
        .unwrap();
    assert!(read_one(&mut client, "abc").await.contains("content-length: 6"));
    client.write_all(b"def").await.unwrap();
    let mut rest = [0; 3];
    client.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"def");
}
