//! `/whisk.system/websocket/send`, against a server that checks every byte of the protocol that a client sends.

use base64::Engine as _;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{activation, error, result, start};

/// What a server must answer to a client's key.
fn accept(key: &str) -> String {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// What a server heard: the request line, opcode and content of the frames, and whether the client ended the connection.
#[derive(Debug, PartialEq)]
struct Heard {
    line: String,
    frames: Vec<(u8, Vec<u8>)>,
    ended: bool,
}

/// How the server greets.
#[derive(Clone, Copy, PartialEq)]
enum Greeting {
    Proper,
    WrongAccept,
    Refusal,
}

async fn server(greeting: Greeting) -> (String, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        listen(stream, greeting).await
    });
    (format!("ws://{address}/chat?room=1"), task)
}

async fn listen(stream: TcpStream, greeting: Greeting) -> Heard {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("a line");
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let found = head
            .iter()
            .find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    assert_eq!(header("upgrade"), "websocket");
    assert_eq!(header("sec-websocket-version"), "13");
    let proof = match greeting {
        Greeting::Proper => accept(&header("sec-websocket-key")),
        Greeting::WrongAccept | Greeting::Refusal => "nonsense".to_owned(),
    };
    let status = match greeting {
        Greeting::Refusal => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned(),
        Greeting::Proper | Greeting::WrongAccept => format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n\r\n"
        ),
    };
    stream
        .get_mut()
        .write_all(status.as_bytes())
        .await
        .expect("a client that listens");
    let mut heard = Heard {
        line: head[0].clone(),
        frames: Vec::new(),
        ended: false,
    };
    while let Some((opcode, content)) = frame(&mut stream).await {
        if opcode == 8 {
            // The answer to a close is a close; then it is the server that ends the connection.
            stream
                .get_mut()
                .write_all(&[0x88, 2, 0x03, 0xe8])
                .await
                .expect("a client that listens");
            stream.get_mut().shutdown().await.expect("a connection to end");
        }
        heard.frames.push((opcode, content));
    }
    heard.ended = true;
    heard
}

/// The next frame, which must be a whole and masked one; none at the end of the connection.
async fn frame(stream: &mut BufReader<TcpStream>) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.ok()?;
    assert_eq!(head[0] & 0xf0, 0x80, "final, without extensions");
    assert_eq!(head[1] & 0x80, 0x80, "a client's frames are masked");
    let length = match head[1] & 0x7f {
        126 => u64::from(stream.read_u16().await.expect("a length")),
        127 => stream.read_u64().await.expect("a length"),
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.expect("a mask");
    let mut content = vec![0; usize::try_from(length).expect("a length")];
    stream.read_exact(&mut content).await.expect("the content");
    content
        .iter_mut()
        .enumerate()
        .for_each(|(at, byte)| *byte ^= mask[at % 4]);
    Some((head[0] & 0x0f, content))
}

#[test]
fn the_accept_key_is_that_of_the_rfc() {
    assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[tokio::test]
async fn messages_of_every_length_arrive() {
    needs_interpreters!();
    let p = &start().await;
    for text in [
        "hi",
        "é😀",
        &"x".repeat(125),
        &"y".repeat(126),
        &"z".repeat(65_535),
        &"w".repeat(65_536),
    ] {
        let (uri, server) = server(Greeting::Proper).await;
        let sent = result(p, "websocket/send", &json!({"uri": uri, "payload": text})).await;
        assert_eq!(sent, json!({"payload": text}));
        let heard = server.await.expect("a server");
        let expected = Heard {
            line: "GET /chat?room=1 HTTP/1.1".into(),
            frames: vec![(1, text.as_bytes().to_vec()), (8, vec![0x03, 0xe8])],
            ended: true,
        };
        assert_eq!(heard, expected);
    }
}

#[tokio::test]
async fn what_is_missing_or_refused_is_the_actions_error() {
    needs_interpreters!();
    let p = &start().await;
    assert_eq!(
        error(p, "websocket/send", &json!({"payload": "x"})).await,
        "You must specify a uri parameter."
    );
    assert_eq!(
        error(p, "websocket/send", &json!({"uri": "ws://localhost"})).await,
        "You must specify a payload parameter."
    );
    let dead = error(p, "websocket/send", &json!({"uri": "ws://127.0.0.1:1", "payload": "x"})).await;
    assert_eq!(dead["code"], "ECONNREFUSED");
    let message = async |greeting| {
        let (uri, _server) = server(greeting).await;
        let error: Value = error(p, "websocket/send", &json!({"uri": uri, "payload": "x"})).await;
        error["message"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(message(Greeting::Refusal).await, "Unexpected server response: 403");
    assert_eq!(
        message(Greeting::WrongAccept).await,
        "Invalid Sec-WebSocket-Accept header"
    );
    let ftp = error(p, "websocket/send", &json!({"uri": "ftp://localhost", "payload": "x"})).await;
    assert_eq!(ftp, "The uri must begin with ws:// or wss://, not ftp:");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    needs_interpreters!();
    let p = &start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("ws://{}", listener.local_addr().expect("an address"));
    let late = activation(p, "websocket/send", &json!({"uri": uri, "payload": "x"})).await;
    let text = format!("Did not establish websocket connection to {uri} in a timely manner.");
    assert_eq!(late["response"]["result"]["error"], text);
    assert!(late["duration"].as_u64().expect("a duration") >= 30_000, "{late}");
}
