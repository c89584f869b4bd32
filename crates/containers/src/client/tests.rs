use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use super::*;

fn call(limit: Duration) -> Call {
    Call {
        body: vec![Bytes::from("{\"a\""), Bytes::from(":1}")].into(),
        limit,
        answer_limit: 100,
    }
}

/// Answers every request on a connection of its own with what it received, and closes.
async fn serve_closing(listener: UnixListener, announce: &'static str) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let body = String::from_utf8(request)
            .unwrap()
            .split("\r\n\r\n")
            .nth(1)
            .unwrap()
            .to_owned();
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{announce}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_is_called_again() {
    for announce in ["", "Connection: close\r\n"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let server = tokio::spawn(serve_closing(UnixListener::bind(&path).unwrap(), announce));
        let client = Client::new(Endpoint::Unix(path), 1);
        for _ in 0..3 {
            let answer = client.run(call(Duration::from_secs(5))).await.unwrap();
            assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"a\":1}"[..]));
        }
        server.abort();
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
            .await
            .unwrap();
    });
    let client = Client::new(Endpoint::Unix(path), 1);
    assert_eq!(
        client.run(call(Duration::from_secs(5))).await,
        Err(CallError::ConnectionLost)
    );
    assert_eq!(client.run(call(Duration::from_secs(5))).await, Err(CallError::Refused));
}

#[tokio::test]
async fn init_waits_until_somebody_listens_unless_nobody_will() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let client = Client::new(Endpoint::Unix(path.clone()), 1);
    assert_eq!(
        client.init(call(Duration::from_secs(5)), || true).await,
        Err(CallError::ConnectionLost)
    );
    assert_eq!(
        client.init(call(Duration::from_millis(60)), || false).await,
        Err(CallError::Timeout)
    );
    let late = async {
        tokio::time::sleep(Duration::from_millis(80)).await;
        tokio::spawn(serve_closing(UnixListener::bind(&path).unwrap(), ""));
    };
    let (answer, ()) = tokio::join!(client.init(call(Duration::from_secs(5)), || false), late);
    assert_eq!(answer.unwrap().status, 200);
}
