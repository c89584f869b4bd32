//! The load: one request, sent over and over on kept-alive connections, the same client for every target.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What to send, ready to go over the wire.
#[derive(Clone)]
pub struct Request {
    pub address: String,
    bytes: Vec<u8>,
    /// Where each call has something of its own.
    marks: Vec<usize>,
    /// The status that counts as an answer.
    expect: u16,
}

/// Stands for what differs from call to call: 13 digits, as many as a deadline has.
const MARK: &str = "#############";

/// A kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Request {
    pub fn post(address: &str, path: &str, authorization: Option<&str>, body: &str) -> Request {
        Request::new("POST", address, path, authorization, body)
    }

    pub fn new(method: &str, address: &str, path: &str, authorization: Option<&str>, body: &str) -> Request {
        let authorization = authorization
            .map(|a| format!("authorization: Basic {a}\r\n"))
            .unwrap_or_default();
        let content = if body.is_empty() && method != "POST" {
            String::new()
        } else {
            format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
        };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n{authorization}{content}\r\n");
        Request {
            address: address.to_owned(),
            bytes: format!("{head}{body}").into_bytes(),
            marks: Vec::new(),
            expect: 200,
        }
    }

    /// A `/run` as the platform sends it: the same fields, and those that differ from activation to activation do so here.
    /// Both matter, as a Node runtime puts each field into its environment.
    pub fn run(address: &str, value: &str) -> Request {
        let body = format!(
            r#"{{"value":{value},"namespace":"guest","action_name":"/guest/runtime","action_version":"0.0.1","activation_id":"01a2211439a87f10813{MARK}","transaction_id":"MDgN4dsohrbhWYEFKZ3{MARK}","deadline":"{MARK}"}}"#
        );
        let mut request = Request::post(address, "/run", None, &body);
        let found = request.bytes.windows(MARK.len()).enumerate();
        request.marks = found.filter(|(_, w)| *w == MARK.as_bytes()).map(|(at, _)| at).collect();
        request
    }

    /// What to send this time.
    fn write_to(&self, out: &mut Vec<u8>) {
        static CALLS: AtomicU64 = AtomicU64::new(1_795_851_363_000);
        out.clear();
        out.extend_from_slice(&self.bytes);
        if !self.marks.is_empty() {
            let text = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
            for at in &self.marks {
                out[*at..at + MARK.len()].copy_from_slice(text.as_bytes());
            }
        }
    }

    pub fn expecting(mut self, status: u16) -> Request {
        self.expect = status;
        self
    }

    pub fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(&self.address).with_context(|| self.address.clone())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(16 << 10),
        })
    }

    /// Sends it once on a connection of its own and gives the body.
    pub fn once(&self) -> Result<Vec<u8>> {
        let mut connection = self.connect()?;
        let (status, body) = connection.call(self)?;
        if status != self.expect {
            bail!(
                "status {status} instead of {}: {}",
                self.expect,
                String::from_utf8_lossy(&body)
            );
        }
        Ok(body)
    }
}

impl Connection {
    /// Sends the request, reads the whole answer.
    pub fn call(&mut self, request: &Request) -> Result<(u16, Vec<u8>)> {
        request.write_to(&mut self.buffer);
        self.stream.write_all(&self.buffer)?;
        self.buffer.clear();
        loop {
            let mut chunk = [0u8; 16 << 10];
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                bail!("{} closed the connection", request.address);
            }
            self.buffer.extend_from_slice(&chunk[..n]);
            if let Some((status, at, length)) = head_of(&self.buffer)?
                && self.buffer.len() >= at + length
            {
                return Ok((status, self.buffer[at..at + length].to_vec()));
            }
        }
    }

    /// How long one call took; an answer with another status than expected is an error.
    pub fn timed(&mut self, request: &Request) -> Result<Duration> {
        let begun = Instant::now();
        let (status, body) = self.call(request)?;
        let took = begun.elapsed();
        if status != request.expect {
            bail!(
                "status {status} instead of {}: {}",
                request.expect,
                String::from_utf8_lossy(&body)
            );
        }
        Ok(took)
    }
}

/// Status, start of the body and its length, once the head is complete.
fn head_of(buffer: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&buffer[..end])?;
    let status = head
        .get(9..12)
        .and_then(|s| s.parse().ok())
        .context("an HTTP status line")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Ok(Some((status, end + 4, length.unwrap_or(0))))
}

/// Calls per second with `connections` in a closed loop, and how many were made.
pub fn throughput(requests: &[Request], connections: usize, time: Duration) -> Result<(f64, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..connections)
            .map(|i| {
                let mut turn: Vec<Request> = requests.to_vec();
                turn.rotate_left(i * requests.len() / connections);
                tokio::spawn(closed_loop(turn, begun + time))
            })
            .collect();
        let mut calls = 0;
        for task in tasks {
            calls += task.await??;
        }
        Ok((calls as f64 / begun.elapsed().as_secs_f64(), calls))
    })
}

/// What the platform answers when it takes no more.
const OVERLOADED: u16 = 503;

async fn closed_loop(requests: Vec<Request>, until: Instant) -> Result<u64> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let first = requests.first().context("something to send")?;
    let mut stream = tokio::net::TcpStream::connect(&first.address).await?;
    stream.set_nodelay(true)?;
    let (mut calls, mut buffer) = (0, Vec::with_capacity(16 << 10));
    for request in requests.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        request.write_to(&mut buffer);
        stream.write_all(&buffer).await?;
        buffer.clear();
        loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                bail!("{} closed the connection", request.address);
            }
            if let Some((status, at, length)) = head_of(&buffer)?
                && buffer.len() >= at + length
            {
                // Back-pressure is an answer, but not one that counts.
                if status != request.expect && status != OVERLOADED {
                    bail!("status {status}: {}", String::from_utf8_lossy(&buffer[at..]));
                }
                calls += u64::from(status == request.expect);
                break;
            }
        }
    }
    Ok(calls)
}
